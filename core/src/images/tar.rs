//! Reads tar archives: POSIX ustar and pax, GNU long names. The archive may be hostile.

use super::entry::{Entry, Kind, tidy};
use crate::base::error::{Error, Result};
use crate::wire::unpack::Attributes;
use std::io::Read;
use tar::{EntryType, Header};

const BLOCK: usize = 512;
/// The most bytes of the headers that describe one entry: names, and extended attributes, whose
/// kernel limit is 64 KiB for each.
const DESCRIPTION_MAX: u64 = 1 << 20;

/// A stream of entries.
pub struct Archive<R> {
    from: R,
    /// What the archive is called in errors.
    what: String,
    /// Bytes of the last entry and its padding that were not read yet.
    rest: u64,
    padding: u64,
}

/// What the headers before an entry say about it.
#[derive(Default)]
struct Description {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u32>,
    gid: Option<u32>,
    time: Option<(i64, u32)>,
    extended: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<R: Read> Archive<R> {
    pub fn new(from: R, what: impl Into<String>) -> Archive<R> {
        Archive { from, what: what.into(), rest: 0, padding: 0 }
    }

    /// The next entry. The contents of a file are to be read from [`Archive::contents`] before the
    /// next call, as far as they are wanted.
    pub fn next(&mut self) -> Result<Option<Entry>> {
        let mut description = Description::default();
        let mut room = DESCRIPTION_MAX;
        loop {
            let padding = std::mem::take(&mut self.padding);
            // No file has so many bytes.
            let unread = self.rest.checked_add(padding).ok_or_else(|| self.cut_off())?;
            self.skip(unread)?;
            let Some(header) = self.header()? else { return Ok(None) };
            let size = header.entry_size().map_err(|error| self.wrong(error.to_string()))?;
            let kind = header.entry_type();
            match kind {
                EntryType::GNULongName => {
                    description.path = Some(until_nul(self.described(size, &mut room)?));
                }
                EntryType::GNULongLink => {
                    description.target = Some(until_nul(self.described(size, &mut room)?));
                }
                EntryType::XHeader => {
                    let records = self.described(size, &mut room)?;
                    self.read_records(&records, &mut description)?;
                }
                // Attributes for all entries that follow (pax): no image needs them.
                EntryType::XGlobalHeader => self.begin(size),
                _ => return self.entry(&header, kind, size, description).map(Some),
            }
        }
    }

    /// The contents of the file that [`Archive::next`] has returned.
    pub fn contents(&mut self) -> Contents<'_, R> {
        Contents { archive: self }
    }

    /// The reader, at the contents of the entry that was read last.
    pub fn reader(&self) -> &R {
        &self.from
    }

    /// The reader, after the last entry.
    pub fn into_inner(self) -> R {
        self.from
    }

    fn entry(
        &mut self,
        header: &Header,
        kind: EntryType,
        size: u64,
        description: Description,
    ) -> Result<Entry> {
        let path = description.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let shown = String::from_utf8_lossy(path.get(..200).unwrap_or(&path)).into_owned();
        let number = |what: &str, value: std::io::Result<u64>| {
            value
                .ok()
                .and_then(|value| u32::try_from(value).ok())
                .ok_or_else(|| self.wrong(format!("the {what} of {shown:?} is no number")))
        };
        let (seconds, nanoseconds) = match description.time {
            Some(time) => time,
            // Negative numbers come in pax headers alone.
            None => (header.mtime().ok().and_then(|at| i64::try_from(at).ok()).unwrap_or(0), 0),
        };
        let attributes = Attributes {
            mode: number("mode", header.mode().map(u64::from))? & 0o7777,
            uid: description.uid.map_or_else(|| number("uid", header.uid()), Ok)?,
            gid: description.gid.map_or_else(|| number("gid", header.gid()), Ok)?,
            seconds,
            nanoseconds,
        };
        let size = description.size.unwrap_or(size);
        let target = || {
            let target = description.target.clone();
            target.or_else(|| header.link_name_bytes().map(|name| name.into_owned()))
        };
        let no_target = || self.wrong(format!("the link {shown:?} has no target"));
        let kind = match kind {
            // Old archives mark a directory by the slash at its end.
            EntryType::Regular | EntryType::Continuous if path.ends_with(b"/") => Kind::Directory,
            EntryType::Regular | EntryType::Continuous => Kind::File { size },
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => {
                let target = target().filter(|target| is_target(target)).ok_or_else(no_target)?;
                Kind::Symlink { target }
            }
            EntryType::Link => Kind::HardLink { target: tidy(&target().ok_or_else(no_target)?)? },
            EntryType::Fifo => Kind::Fifo,
            EntryType::Char | EntryType::Block => Kind::Special,
            EntryType::GNUSparse => {
                return Err(self
                    .wrong(format!("{shown:?} is a sparse file in a form of GNU tar's"))
                    .hint("repack it without the option --sparse"));
            }
            other => {
                let code = char::from(other.as_byte()).escape_default().to_string();
                return Err(self.wrong(format!("{shown:?} is of the unknown type '{code}'")));
            }
        };
        self.begin(if matches!(kind, Kind::File { .. }) { size } else { 0 });
        Ok(Entry { path: tidy(&path)?, attributes, kind, extended: description.extended })
    }

    /// The next header, or `None` at the end of the archive.
    fn header(&mut self) -> Result<Option<Header>> {
        let mut block = [0; BLOCK];
        let mut length = 0;
        while length < BLOCK {
            match self.from.read(&mut block[length..]) {
                // An archive without the two blocks of zeros at its end.
                Ok(0) if length == 0 => return Ok(None),
                Ok(0) => return Err(self.cut_off()),
                Ok(read) => length += read,
                Err(error) => return Err(self.unreadable(error)),
            }
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block).clone();
        let sum =
            block[..148].iter().chain(&block[156..]).map(|byte| u32::from(*byte)).sum::<u32>()
                + 8 * u32::from(b' ');
        match header.cksum() {
            // No fuzzer finds out a sum.
            Ok(stored) if stored == sum || cfg!(fuzzing) => Ok(Some(header)),
            _ => Err(self.wrong("it is no tar archive, or damaged: a header has a wrong sum")),
        }
    }

    fn begin(&mut self, size: u64) {
        self.rest = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    /// The contents of a header that describes the next entry, for all of which there is `room`.
    fn described(&mut self, size: u64, room: &mut u64) -> Result<Vec<u8>> {
        *room = room.checked_sub(size).ok_or_else(|| {
            self.wrong(format!("an entry is described by more than {DESCRIPTION_MAX} bytes"))
        })?;
        self.begin(size);
        let mut bytes = Vec::new();
        let read = self.contents().read_to_end(&mut bytes);
        read.map_err(|error| self.unreadable(error))?;
        Ok(bytes)
    }

    /// Reads the records of a pax header: `LENGTH KEY=VALUE\n`, where a value may hold any bytes.
    fn read_records(&self, mut records: &[u8], description: &mut Description) -> Result<()> {
        let wrong = || self.wrong("a pax header is damaged");
        while !records.is_empty() {
            let space = records.iter().position(|byte| *byte == b' ').ok_or_else(wrong)?;
            let length: usize = parse(&records[..space]).ok_or_else(wrong)?;
            let record = records.get(space + 1..length).ok_or_else(wrong)?;
            let record = record.strip_suffix(b"\n").ok_or_else(wrong)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(wrong)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => description.path = Some(value.to_owned()),
                b"linkpath" => description.target = Some(value.to_owned()),
                b"size" => description.size = Some(parse(value).ok_or_else(wrong)?),
                b"uid" => description.uid = Some(parse(value).ok_or_else(wrong)?),
                b"gid" => description.gid = Some(parse(value).ok_or_else(wrong)?),
                b"mtime" => description.time = Some(time(value).ok_or_else(wrong)?),
                key if key.starts_with(b"GNU.sparse.") => {
                    return Err(self
                        .wrong("a file is sparse in a form of GNU tar's")
                        .hint("repack it without the option --sparse"));
                }
                key => {
                    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                        description.extended.push((name.to_owned(), value.to_owned()));
                    }
                }
            }
            records = &records[length..];
        }
        Ok(())
    }

    fn skip(&mut self, count: u64) -> Result<()> {
        self.rest = 0;
        let skipped = std::io::copy(&mut (&mut self.from).take(count), &mut std::io::sink());
        match skipped {
            Ok(skipped) if skipped == count => Ok(()),
            Ok(_) => Err(self.cut_off()),
            Err(error) => Err(self.unreadable(error)),
        }
    }

    fn wrong(&self, why: impl Into<String>) -> Error {
        Error::invalid(format!("read {}", self.what), why)
    }

    fn cut_off(&self) -> Error {
        self.wrong("the archive is cut off")
    }

    fn unreadable(&self, error: std::io::Error) -> Error {
        unreadable(&self.what, error)
    }
}

/// What an error of a reader means: only one with a number is the host's.
pub fn unreadable(what: &str, error: std::io::Error) -> Error {
    match error.raw_os_error() {
        Some(_) => Error::io(format!("read {what}"), error),
        None => Error::invalid(format!("read {what}"), error.to_string()),
    }
}

/// The contents of one file.
pub struct Contents<'a, R> {
    archive: &'a mut Archive<R>,
}

impl<R: Read> Read for Contents<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let archive = &mut *self.archive;
        let most = archive.rest.min(buffer.len() as u64) as usize;
        if most == 0 {
            return Ok(0);
        }
        match archive.from.read(&mut buffer[..most])? {
            0 => Err(std::io::Error::other("the archive is cut off")),
            length => {
                archive.rest -= length as u64;
                Ok(length)
            }
        }
    }
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}

/// Whether the kernel takes it for the text of a link.
fn is_target(target: &[u8]) -> bool {
    !target.is_empty() && target.len() < 4096 && !target.contains(&0)
}

fn parse<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A time such as `1700000000.25`, to the nanosecond.
fn time(value: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    // Before the epoch, the fraction counts away from the next second.
    match (whole.starts_with('-'), nanoseconds) {
        (true, 1..) => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds)),
        _ => Some((seconds, nanoseconds)),
    }
}

#[cfg(test)]
mod tests;
