//! Writes images for other programs: as an OCI image layout, and as a tar archive of a root.

use super::changes::tier_of;
use super::entry::{Entry, Kind};
use super::image::Image;
use super::layer::{has_other_meaning, whiteout};
use super::stack::{Removed, Stack, Taker};
use super::stream::{DigestedWriter, sha256};
use crate::base::error::{Error, ErrorKind, Result};
use crate::host::store::Layer;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tar::{EntryType, Header};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

impl Image {
    /// Writes the image as an OCI image layout into a directory, which is new or empty. Other
    /// programs can take it from there, such as `skopeo copy oci:DIRECTORY docker://NAME`.
    ///
    /// Each layer has the owners that the image was imported with, and is compressed with gzip.
    /// The same image gives the same bytes. `reference` is its name in the layout.
    ///
    /// # Errors
    ///
    /// `Invalid` if the directory has something in it, or the image has a file whose name begins
    /// with `.wh.`: in a layout, that stands for a removed one.
    pub fn export_oci(&self, directory: impl AsRef<Path>, reference: &str) -> Result<()> {
        let layout = Layout { directory: directory.as_ref() };
        layout.make()?;
        let mut layers = Vec::new();
        let mut contents = Vec::new();
        for layer in self.held() {
            let (descriptor, digest) = layout.layer(layer)?;
            layers.push(descriptor);
            contents.push(format!("sha256:{digest}"));
        }
        let config = json!({
            "architecture": architecture(),
            "os": "linux",
            "config": {
                "Env": self.environment().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
                "Cmd": self.arguments(),
                "WorkingDir": self.directory(),
                "User": self.user(),
            },
            "rootfs": { "type": "layers", "diff_ids": contents },
        });
        let config = layout.text(CONFIG, &config)?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config,
            "layers": layers,
        });
        let mut manifest = layout.text(MANIFEST, &manifest)?;
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": reference });
        layout.write("oci-layout", &json!({ "imageLayoutVersion": "1.0.0" }))?;
        // Last: without it, nothing takes the directory for a layout.
        layout.write("index.json", &json!({ "schemaVersion": 2, "manifests": [manifest] }))
    }

    /// Writes the files of the image, as its programs see them, as a tar archive, which is not
    /// compressed. The file must not exist. The same image gives the same bytes.
    ///
    /// # Errors
    ///
    /// `Invalid` if the image has a file whose name begins with `.wh.`: [`ImageSource::tar`] would
    /// take it for a removed one.
    ///
    /// [`ImageSource::tar`]: crate::ImageSource::tar
    pub fn export_tar(&self, file: impl AsRef<Path>) -> Result<()> {
        let path = file.as_ref();
        let failed = |error| Error::io(format!("write {}", path.display()), error).at(path);
        let written = File::create_new(path).map_err(failed)?;
        let tiers = self.held().iter().rev().map(tier_of).collect::<Result<Vec<_>>>()?;
        let mut writer = TarWriter::new(BufWriter::new(written), path);
        let done = Stack::new(tiers, Removed::Hidden, "the image")
            .read(&mut writer)
            .and_then(|()| writer.finish()?.flush().map_err(failed));
        done.inspect_err(|_| {
            let _ = fs::remove_file(path);
        })
    }
}

/// A directory with an OCI image layout.
struct Layout<'a> {
    directory: &'a Path,
}

impl Layout<'_> {
    fn make(&self) -> Result<()> {
        let blobs = self.directory.join("blobs/sha256");
        if fs::read_dir(self.directory).is_ok_and(|mut entries| entries.next().is_some()) {
            let shown = self.directory.display();
            return Err(Error::new(ErrorKind::Invalid, format!("write an image to {shown}"))
                .because("the directory has something in it")
                .hint("name a new directory")
                .at(self.directory));
        }
        fs::create_dir_all(&blobs).map_err(|error| self.failed(&blobs, error))
    }

    /// Writes a layer. Returns its descriptor and the digest of its contents.
    fn layer(&self, layer: &Layer) -> Result<(Value, String)> {
        let draft = self.directory.join("blobs/sha256/draft");
        let failed = |error| self.failed(&draft, error);
        let file = BufWriter::new(File::create(&draft).map_err(failed)?);
        let packed = GzEncoder::new(DigestedWriter::new(file), Compression::default());
        let mut writer = TarWriter::new(DigestedWriter::new(packed), &draft);
        Stack::new(vec![tier_of(layer)?], Removed::Told, "the layer").read(&mut writer)?;
        let (packed, contents) = writer.finish()?.finish();
        let packed = packed.finish().map_err(failed)?;
        let size = packed.count;
        let (mut file, digest) = packed.finish();
        file.flush().map_err(failed)?;
        let path = self.blob(&digest);
        fs::rename(&draft, &path).map_err(|error| self.failed(&path, error))?;
        Ok((descriptor(LAYER, &digest, size), contents))
    }

    /// Writes a text as a blob. Returns its descriptor.
    fn text(&self, kind: &str, value: &Value) -> Result<Value> {
        let text = value.to_string();
        let digest = sha256(text.as_bytes());
        let path = self.blob(&digest);
        fs::write(&path, &text).map_err(|error| self.failed(&path, error))?;
        Ok(descriptor(kind, &digest, text.len() as u64))
    }

    fn write(&self, name: &str, value: &Value) -> Result<()> {
        let path = self.directory.join(name);
        fs::write(&path, value.to_string()).map_err(|error| self.failed(&path, error))
    }

    fn blob(&self, digest: &str) -> std::path::PathBuf {
        self.directory.join("blobs/sha256").join(digest)
    }

    fn failed(&self, path: &Path, error: io::Error) -> Error {
        Error::io(format!("write {}", path.display()), error).at(path)
    }
}

fn descriptor(kind: &str, digest: &str, size: u64) -> Value {
    json!({ "mediaType": kind, "digest": format!("sha256:{digest}"), "size": size })
}

/// The name of this machine's architecture in images.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Writes entries as a tar archive: ustar, with GNU long names and pax headers where they do not
/// suffice.
struct TarWriter<'a, W: Write> {
    archive: tar::Builder<W>,
    path: &'a Path,
}

impl<'a, W: Write> TarWriter<'a, W> {
    fn new(to: W, path: &'a Path) -> TarWriter<'a, W> {
        TarWriter { archive: tar::Builder::new(to), path }
    }

    fn finish(self) -> Result<W> {
        let path = self.path;
        self.archive.into_inner().map_err(|error| failed(path, error))
    }

    fn append(&mut self, entry: &Entry, contents: &mut dyn Read) -> io::Result<()> {
        let attributes = &entry.attributes;
        let time = time(attributes.seconds, attributes.nanoseconds);
        let is_exact = attributes.nanoseconds == 0 && attributes.seconds >= 0;
        let mut more: Vec<(String, &[u8])> = Vec::new();
        if !is_exact {
            more.push(("mtime".into(), time.as_bytes()));
        }
        for (name, value) in &entry.extended {
            more.push((format!("SCHILY.xattr.{}", String::from_utf8_lossy(name)), value));
        }
        if !more.is_empty() {
            self.archive.append_pax_extensions(more.iter().map(|(key, value)| (&**key, *value)))?;
        }
        let mut header = Header::new_gnu();
        header.set_mode(attributes.mode);
        header.set_uid(attributes.uid.into());
        header.set_gid(attributes.gid.into());
        header.set_mtime(attributes.seconds.try_into().unwrap_or(0));
        header.set_size(0);
        let name = match &*entry.path {
            b"" => OsStr::new("./"),
            path => OsStr::from_bytes(path),
        };
        match &entry.kind {
            Kind::Directory => {
                header.set_entry_type(EntryType::Directory);
                self.archive.append_data(&mut header, name, io::empty())
            }
            Kind::File { size } => {
                header.set_entry_type(EntryType::Regular);
                header.set_size(*size);
                let mut exact = Exact { from: contents, left: *size };
                self.archive.append_data(&mut header, name, &mut exact)
            }
            Kind::Symlink { target } => {
                header.set_entry_type(EntryType::Symlink);
                self.target(&mut header, target)?;
                self.archive.append_data(&mut header, name, io::empty())
            }
            Kind::HardLink { target } => {
                header.set_entry_type(EntryType::Link);
                self.target(&mut header, target)?;
                self.archive.append_data(&mut header, name, io::empty())
            }
            Kind::Fifo => {
                header.set_entry_type(EntryType::Fifo);
                self.archive.append_data(&mut header, name, io::empty())
            }
            Kind::Removed | Kind::Hidden => {
                let name = whiteout(&entry.path, &entry.kind).unwrap_or_default();
                header.set_entry_type(EntryType::Regular);
                self.archive.append_data(&mut header, OsStr::from_bytes(&name), io::empty())
            }
            Kind::Special => Ok(()),
        }
    }

    /// Sets the target of a link as it is. `Builder::append_link` leaves out slashes and dots.
    fn target(&mut self, header: &mut Header, target: &[u8]) -> io::Result<()> {
        const ROOM: usize = 100;
        if target.len() > ROOM {
            let mut long = Header::new_gnu();
            long.set_path("@LongLink")?;
            long.set_entry_type(EntryType::GNULongLink);
            long.set_mode(0o644);
            long.set_size(target.len() as u64 + 1);
            long.set_cksum();
            self.archive.append(&long, target.chain(&b"\0"[..]))?;
        }
        header.set_link_name_literal(&target[..target.len().min(ROOM)])
    }
}

/// A time in a pax header.
fn time(seconds: i64, nanoseconds: u32) -> String {
    match (seconds, nanoseconds) {
        // Before the epoch, the fraction counts away from the next second.
        (..0, 1..) => format!("-{}.{:09}", -(seconds + 1), 1_000_000_000 - nanoseconds),
        _ => format!("{seconds}.{nanoseconds:09}"),
    }
}

impl<W: Write> Taker for TarWriter<'_, W> {
    fn take(&mut self, entry: &Entry, contents: &mut dyn Read) -> Result<()> {
        if has_other_meaning(&entry.path) {
            let shown = String::from_utf8_lossy(&entry.path);
            return Err(Error::invalid(
                format!("write /{shown} to {}", self.path.display()),
                "in an archive, a name that begins with .wh. stands for a removed file",
            )
            .hint("rename or remove it in the image first"));
        }
        self.append(entry, contents).map_err(|error| failed(self.path, error))
    }
}

fn failed(path: &Path, error: io::Error) -> Error {
    Error::io(format!("write {}", path.display()), error).at(path)
}

/// Just as many bytes as the header of the file says. A file that is shorter by now is an error.
struct Exact<'a> {
    from: &'a mut dyn Read,
    left: u64,
}

impl Read for Exact<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.left.min(buffer.len() as u64) as usize;
        let length = self.from.read(&mut buffer[..most])?;
        if length == 0 && most > 0 {
            return Err(io::Error::other("a file became shorter while it was read"));
        }
        self.left -= length as u64;
        Ok(length)
    }
}
