//! Entry points for the fuzz targets. This module exists only in fuzzing builds.

use crate::images::blobs::Blobs;
use crate::images::entry::tidy;
use crate::images::import::unpack_archive;
use crate::images::layer::{Bounds, Layer, Records};
use crate::images::layout;
use crate::images::stream::decoded;
use crate::images::unpacker::Owners;
use crate::plan::idmap::Mapping;
use crate::plan::{Manner, Part, Plan};
use crate::policy::seccomp::Filters;
use crate::run::sandbox::Sandbox;
use crate::wire::codec::{Reader, Wire};
use crate::wire::message::{Report, Request};
use crate::wire::plan::{IdRange, Step};
use crate::wire::unpack::{Attributes, Entry, RECORD_MAX};
use std::ffi::CStr;
use std::io::Write;
use std::path::Path;

fn decode<'a, T: Wire<'a>>(data: &'a [u8]) -> Option<T> {
    Reader::new(data).only().ok()
}

/// Decodes a request and everything in it, encodes it, and decodes the result.
pub fn request(data: &[u8]) {
    let Some(read) = decode::<Request<'_>>(data) else { return };
    if let Request::Setup { plan, .. } = &read {
        assert_eq!(plan.iter().count(), plan.len(), "every step can be read again");
        plan.iter().for_each(|step: Step<'_>| drop(format!("{step:?}")));
    }
    let mut written = Vec::new();
    read.encode(&mut written);
    let second = decode::<Request<'_>>(&written).expect("what was written can be read");
    assert_eq!(format!("{read:?}"), format!("{second:?}"));
}

/// Decodes a report, encodes it, and decodes the result.
pub fn report(data: &[u8]) {
    let Some(read) = decode::<Report<'_>>(data) else { return };
    let mut written = Vec::new();
    read.encode(&mut written);
    let second = decode::<Report<'_>>(&written).expect("what was written can be read");
    assert_eq!(format!("{read:?}"), format!("{second:?}"));
}

/// Reads a text as a CDI specification.
pub fn specification(text: &str) {
    crate::host::devices::assert_harmless(text);
}

/// Compiles a valid policy to filters, and to plans for each kind of id mapping. Checks that all
/// steps can be decoded.
pub fn compile(sandbox: &Sandbox) {
    let Ok(filters) = Filters::of(sandbox.policy(), crate::policy::seccomp::Tree::Own) else {
        return;
    };
    let ids = IdRange { inside: 0, outside: 0x7000_0000, count: 65536 };
    let range = Mapping::Range { uids: ids, gids: ids };
    for mapping in [
        Mapping::Own,
        range,
        range.of_copy(),
        Mapping::Shared { uid: 0x7000_0000, gid: 0x7000_0000 },
    ] {
        let manner = Manner {
            part: Part::Whole,
            mapping,
            admits: true,
            watches: true,
            in_cell: false,
            cgroups: Default::default(),
        };
        if let Ok(plan) = Plan::compile(sandbox.policy(), manner, &filters) {
            assert_eq!(plan.steps.list::<Step<'_>>().iter().count(), plan.labels.len());
        }
    }
}

/// Reads a question for a name, and writes every answer to it. Each answer is one, and none is a
/// question.
pub fn question(data: &[u8]) {
    use crate::run::egress::dns::{Answer, read, write};
    let Some(question) = read(data) else { return };
    let address = Answer::Address(std::net::Ipv4Addr::LOCALHOST);
    for answer in [address, Answer::Nothing, Answer::NoSuchName, Answer::Failure] {
        let Some(written) = write(data, answer) else { continue };
        assert_eq!(written[..2], data[..2], "it has the number of the question");
        assert_eq!(read(&written), None);
    }
    if let Some(name) = question.name {
        assert_eq!(crate::policy::egress::domain(&name).as_deref(), Some(&*name));
    }
}

/// Looks at a frame as the relay does.
pub fn frame(data: &[u8]) {
    crate::run::network::look_at_frame(data);
}

/// Reads an answer of netlink.
pub fn acknowledgements(data: &[u8]) {
    let found = crate::host::network::netlink::acknowledgements(data);
    assert!(found.len() <= data.len());
}

/// Reads rules, one in each line, and a published port. What could be read covers itself.
pub fn rules(text: &str) {
    use crate::policy::egress::{Credential, Egress};
    use crate::policy::ports::{Protocol, Publication};
    let lines: Vec<String> = text.lines().map(Into::into).collect();
    let _ = Publication::read(text);
    if let Ok(credential) = Credential::read(text) {
        let written = format!("{}={}", credential.origin, credential.file.display());
        assert_eq!(Credential::read(&written).ok(), Some(credential));
    }
    for line in &lines {
        let one = std::slice::from_ref(line);
        if let Ok(rules) = Egress::read(one, &[], &[]) {
            assert!(Egress::read(one, one, &[]).is_err(), "{line}: it denies itself");
            let metadata = std::net::IpAddr::from([169, 254, 169, 254]);
            let named = rules.permits_address(Protocol::Tcp, metadata, 80, false).is_ok();
            assert!(!named || line.contains("169.254."), "{line}: it names the address");
        }
    }
    let _ = Egress::read(&lines, &[], &lines);
}

/// Takes the records of a layer as the unpacker would, and checks what it relies on.
#[derive(Default)]
struct Checked {
    /// The bytes that the last file still has to have.
    left: u64,
}

impl Records for Checked {
    fn entry(&mut self, entry: &Entry<'_>) -> crate::Result<()> {
        assert_eq!(self.left, 0, "the last file is not whole");
        let mut written = Vec::new();
        entry.encode(&mut written);
        let read = decode::<Entry<'_>>(&written).expect("what was written can be read");
        assert_eq!(format!("{entry:?}"), format!("{read:?}"));
        let is_tidy = |path: &CStr| {
            let path = path.to_bytes();
            assert_eq!(tidy(path).ok().as_deref(), Some(path), "it leads nowhere else");
        };
        match *entry {
            Entry::Directory { path, attributes } | Entry::Fifo { path, attributes } => {
                is_tidy(path);
                check(attributes);
            }
            Entry::File { path, attributes, size } => {
                is_tidy(path);
                check(attributes);
                self.left = size;
            }
            Entry::Symlink { path, target, .. } => {
                is_tidy(path);
                assert!(target.count_bytes() < 4096);
            }
            Entry::HardLink { path, target } => {
                is_tidy(path);
                is_tidy(target);
            }
            Entry::Attribute { path, name, .. } => {
                is_tidy(path);
                let name = name.to_bytes();
                assert!(name.starts_with(b"user.") && !name.starts_with(b"user.overlay."));
            }
            Entry::Remove { path } | Entry::Times { path, .. } => is_tidy(path),
            Entry::Clear { path, after, until, keep } => {
                is_tidy(path);
                let is_within = |name: &CStr| name > after && (until.is_empty() || name <= until);
                assert!(keep.iter().all(is_within));
            }
            Entry::End {} => {}
        }
        match written.len() <= RECORD_MAX {
            true => Ok(()),
            false => Err(crate::base::error::Error::invalid("send it", "it is too long")),
        }
    }

    fn contents(&mut self, bytes: &[u8]) -> crate::Result<()> {
        self.left = self.left.checked_sub(bytes.len() as u64).expect("no more than it has");
        Ok(())
    }

    fn finish(self) -> crate::Result<()> {
        assert_eq!(self.left, 0, "the last file is not whole");
        Ok(())
    }
}

fn check(attributes: Attributes) {
    assert!(attributes.mode <= 0o7777 && attributes.nanoseconds < 1_000_000_000);
    assert!(attributes.uid < 65536 && attributes.gid < 65536);
}

/// Unpacks an archive, which may be compressed, to the records of a layer.
pub fn layer(data: &[u8]) {
    const BYTES: u64 = 1 << 20;
    for owners in [Owners::One, Owners::Below(65536)] {
        let bounds = Bounds { bytes: BYTES, entries: 1000 };
        let Ok(reader) = decoded(Box::new(data), "it") else { return };
        let mut layer = Layer::new(Checked::default(), owners, bounds);
        // What does not end soon would be bounded by a surplus of gigabytes.
        let reader = Box::new(std::io::Read::take(reader, 4 * BYTES));
        if unpack_archive(reader, "it", &mut layer, BYTES).is_ok() {
            let size = layer.finish().expect("everything was taken");
            assert!(size.bytes <= BYTES && size.entries <= 1000);
        }
    }
}

/// Finds an image in an archive of images, and reads what it is made of.
pub fn image(data: &[u8]) {
    let Ok(file) = nix::sys::memfd::memfd_create(c"it", nix::sys::memfd::MFdFlags::empty()) else {
        return;
    };
    let mut file = std::fs::File::from(file);
    if file.write_all(data).is_err() {
        return;
    }
    let Ok(blobs) = Blobs::archive(Path::new("it"), file) else { return };
    for reference in [None, Some("it:latest")] {
        let Ok(manifest) = layout::find(&blobs, reference) else { continue };
        assert!(!manifest.layers.is_empty() && manifest.layers.len() <= 1000);
        assert!(manifest.config.directory.starts_with('/'));
        for layer in &manifest.layers {
            let digits = layer.contents.bytes();
            assert!(digits.len() == 64 && layer.contents.bytes().all(|c| c.is_ascii_hexdigit()));
            let _ = blobs.open(&layer.blob).map(|blob| blob.size);
        }
    }
}
