//! Bytes of an image on their way: counted against a bound, digested and decompressed.

use super::entry::Entry;
use super::stack::Taker;
use crate::base::error::{Error, Result};
use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use sha2::{Digest, Sha256};
use std::io::{self, BufRead, BufReader, Read, Write};

/// How much is read at once.
pub const CHUNK: usize = 128 * 1024;

/// A reader that knows the SHA-256 digest of what was read.
pub struct Digested<R> {
    inner: R,
    digest: Sha256,
    /// The number of bytes read.
    pub count: u64,
}

impl<R: Read> Digested<R> {
    pub fn new(inner: R) -> Digested<R> {
        Digested { inner, digest: Sha256::new(), count: 0 }
    }

    /// Reads what is left, and returns the digest of everything.
    pub fn finish(mut self) -> io::Result<String> {
        let mut rest = vec![0; CHUNK];
        while self.read(&mut rest)? > 0 {}
        Ok(hexadecimal(&self.digest.finalize()))
    }
}

impl<R: Read> Read for Digested<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.digest.update(&buffer[..length]);
        self.count += length as u64;
        Ok(length)
    }
}

/// A writer that knows the SHA-256 digest of what was written.
pub struct DigestedWriter<W> {
    inner: W,
    digest: Sha256,
    /// The number of bytes written.
    pub count: u64,
}

impl<W: Write> DigestedWriter<W> {
    pub fn new(inner: W) -> DigestedWriter<W> {
        DigestedWriter { inner, digest: Sha256::new(), count: 0 }
    }

    /// The writer, and the digest of everything.
    pub fn finish(self) -> (W, String) {
        (self.inner, hexadecimal(&self.digest.finalize()))
    }
}

impl<W: Write> Write for DigestedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.digest.update(&bytes[..length]);
        self.count += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The digest of a chain of layers (OCI image specification, layer chain ids): of the digests of
/// the contents of one layer and of the chain below it.
pub fn chain(below: Option<&str>, contents: &str) -> String {
    match below {
        None => contents.to_owned(),
        Some(below) => sha256(format!("sha256:{below} sha256:{contents}").as_bytes()),
    }
}

/// What the digest of a directory begins with. Layers are found by the digests of archives, too,
/// and no archive begins with this: otherwise one that reads like the entries of a directory, which
/// a program in a cell can choose, would pass for that.
pub const NO_HEADER: [u8; 512] = [0xff; 512];

/// Takes the entries of a directory for another taker, and digests them.
pub struct DigestedEntries<'a> {
    taker: &'a mut dyn Taker,
    digest: Sha256,
}

impl<'a> DigestedEntries<'a> {
    pub fn new(taker: &'a mut dyn Taker) -> DigestedEntries<'a> {
        let mut digest = Sha256::new();
        digest.update(NO_HEADER);
        DigestedEntries { taker, digest }
    }

    pub fn finish(self) -> String {
        hexadecimal(&self.digest.finalize())
    }
}

impl Taker for DigestedEntries<'_> {
    fn take(&mut self, entry: &Entry, contents: &mut dyn Read) -> Result<()> {
        // Each part is quoted, so that no two different directories read the same.
        self.digest.update(format!("{entry:?}\n"));
        let mut contents = Tee { from: contents, digest: &mut self.digest };
        self.taker.take(entry, &mut contents)
    }
}

/// Digests what is read through it.
struct Tee<'a> {
    from: &'a mut dyn Read,
    digest: &'a mut Sha256,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(buffer)?;
        self.digest.update(&buffer[..length]);
        Ok(length)
    }
}

/// A reader that ends with an error once more than `most` bytes have come: what is compressed can
/// become a thousand times as long.
pub struct Bounded<R> {
    inner: R,
    left: u64,
    most: u64,
}

impl<R> Bounded<R> {
    pub fn new(inner: R, most: u64) -> Bounded<R> {
        Bounded { inner, left: most, most }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(length as u64).ok_or_else(|| {
            io::Error::other(format!("it has more than the {} bytes allowed", self.most))
        })?;
        Ok(length)
    }
}

/// What a stream is compressed with, as its first bytes tell.
enum Decoded<'a> {
    Plain(BufReader<Box<dyn Read + 'a>>),
    Gzip(Box<MultiGzDecoder<BufReader<Box<dyn Read + 'a>>>>),
    Zstd(Box<Frames<'a>>),
}

impl Read for Decoded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Decoded::Plain(reader) => reader.read(buffer),
            Decoded::Gzip(reader) => reader.read(buffer),
            Decoded::Zstd(reader) => reader.read(buffer),
        }
    }
}

/// Whether a stream is compressed in a form that [`decoded`] reads.
pub fn is_packed(start: &[u8]) -> bool {
    start.starts_with(GZIP) || is_zstd(start)
}

const GZIP: &[u8] = &[0x1f, 0x8b];

/// Decompresses what comes from `from`: gzip, Zstandard, or nothing.
///
/// # Errors
///
/// Another compression.
pub fn decoded<'a>(from: Box<dyn Read + 'a>, what: &str) -> Result<Box<dyn Read + 'a>> {
    const OTHERS: [(&[u8], &str); 3] =
        [(&[0xfd, b'7', b'z', b'X', b'Z'], "xz"), (b"BZh", "bzip2"), (b"PK", "zip")];
    let mut reader = BufReader::with_capacity(CHUNK, from);
    let start =
        reader.fill_buf().map_err(|error| Error::io(format!("read {what}"), error))?.to_owned();
    if let Some((_, name)) = OTHERS.iter().find(|(magic, _)| start.starts_with(magic)) {
        return Err(Error::invalid(
            format!("read {what}"),
            format!("it is compressed with {name}"),
        )
        .hint("gzip, zstd and uncompressed archives can be read: recompress it"));
    }
    let decoded = if start.starts_with(GZIP) {
        Decoded::Gzip(Box::new(MultiGzDecoder::new(reader)))
    } else if is_zstd(&start) {
        Decoded::Zstd(Box::new(Frames { reader, decoder: FrameDecoder::new(), is_within: false }))
    } else {
        Decoded::Plain(reader)
    };
    Ok(Box::new(decoded))
}

/// Whether a stream begins with a Zstandard frame, or with one to skip (RFC 8878).
fn is_zstd(start: &[u8]) -> bool {
    const SKIPPED: &[u8] = &[0x2a, 0x4d, 0x18];
    start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
        || start.first().is_some_and(|byte| byte & 0xf0 == 0x50) && start[1..].starts_with(SKIPPED)
}

/// A stream of Zstandard frames, one after another.
struct Frames<'a> {
    reader: BufReader<Box<dyn Read + 'a>>,
    decoder: FrameDecoder,
    /// Whether a frame has begun and not ended.
    is_within: bool,
}

impl Frames<'_> {
    /// Begins the next frame that has contents. Returns whether there is one.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.reader.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.reader) {
                // A table of contents, for programs that read single files of the archive.
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    let skipped = io::copy(&mut (&mut self.reader).take(length), &mut io::sink())?;
                    if skipped < length {
                        return Err(io::Error::other("a frame is cut off"));
                    }
                }
                begun => return begun.map(|()| true).map_err(io::Error::other),
            }
        }
        Ok(false)
    }
}

impl Read for Frames<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.is_within {
                self.is_within = self.begin()?;
                if !self.is_within {
                    return Ok(0);
                }
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.reader, one).map_err(io::Error::other)?;
            }
            match self.decoder.read(buffer)? {
                0 if !buffer.is_empty() => self.is_within = false,
                length => return Ok(length),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_what_the_specification_says() {
        let (one, two) = (sha256(b"one"), sha256(b"two"));
        assert_eq!(chain(None, &one), one);
        let expected = sha256(format!("sha256:{one} sha256:{two}").as_bytes());
        assert_eq!(chain(Some(&one), &two), expected);
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_bound_is_no_end() {
        let mut read = Vec::new();
        assert!(Bounded::new(&b"12345"[..], 5).read_to_end(&mut read).is_ok());
        let error = Bounded::new(&b"123456"[..], 5).read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "it has more than the 5 bytes allowed");
    }

    #[test]
    fn another_compression_is_named() {
        let xz = [0xfd, b'7', b'z', b'X', b'Z', 0, 0];
        let error = decoded(Box::new(&xz[..]), "layer 1").err().unwrap();
        assert!(error.to_string().starts_with("read layer 1: it is compressed with xz"), "{error}");
    }
}
