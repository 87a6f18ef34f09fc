use super::super::entry::{Entry, Kind};
use super::*;

/// A block that is a header.
fn header(name: &str, letter: u8, size: u64) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_entry_type(EntryType::new(letter));
    header.set_mode(0o644);
    header.set_uid(1);
    header.set_gid(2);
    header.set_mtime(3);
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn padded(contents: &[u8]) -> Vec<u8> {
    let mut padded = contents.to_vec();
    padded.resize(padded.len().next_multiple_of(BLOCK), 0);
    padded
}

fn pax(records: &str) -> Vec<u8> {
    [header("pax", b'x', records.len() as u64), padded(records.as_bytes())].concat()
}

fn read(archive: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>> {
    let mut archive = Archive::new(archive, "it");
    let mut entries = Vec::new();
    while let Some(entry) = archive.next()? {
        let mut contents = Vec::new();
        let read = archive.contents().read_to_end(&mut contents);
        read.map_err(|error| unreadable("it", error))?;
        entries.push((entry, contents));
    }
    Ok(entries)
}

#[test]
fn entries_follow_one_another() {
    let archive = [
        header("d/", b'5', 0),
        header("d/f", b'0', 600),
        padded(&[7; 600]),
        pax("10 path=p\n20 mtime=-0.5000000\n10 uid=70\n"),
        header("ignored", b'0', 1),
        padded(b"x"),
        vec![0; 1024],
    ];
    let entries = read(&archive.concat()).unwrap();
    assert_eq!(entries.len(), 3);
    assert_eq!((&*entries[0].0.path, &entries[0].0.kind), (&b"d"[..], &Kind::Directory));
    assert_eq!((&*entries[1].0.path, &*entries[1].1), (&b"d/f"[..], &[7; 600][..]));
    let Entry { path, attributes, .. } = &entries[2].0;
    assert_eq!((&**path, attributes.uid, attributes.gid), (&b"p"[..], 70, 2));
    assert_eq!((attributes.seconds, attributes.nanoseconds), (-1, 500_000_000));
}

#[test]
fn what_is_not_read_is_skipped() {
    let archive = [header("a", b'0', 513), padded(&[1; 513]), header("b", b'0', 0)].concat();
    let mut archive = Archive::new(&*archive, "it");
    assert_eq!(archive.next().unwrap().unwrap().path, b"a");
    assert_eq!(archive.next().unwrap().unwrap().path, b"b");
    assert!(archive.next().unwrap().is_none());
}

#[test]
fn times_have_both_signs() {
    let pairs: [(&str, Option<(i64, u32)>); 10] = [
        ("0", Some((0, 0))),
        ("1.5", Some((1, 500_000_000))),
        ("1.0000000009", Some((1, 0))),
        ("-1", Some((-1, 0))),
        ("-1.25", Some((-2, 750_000_000))),
        ("-0.25", Some((-1, 750_000_000))),
        ("-9223372036854775808", Some((i64::MIN, 0))),
        ("-9223372036854775808.1", None),
        ("9223372036854775808", None),
        ("1.x", None),
    ];
    for (text, expected) in pairs {
        assert_eq!(time(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn no_archive_begins_like_the_digest_of_a_directory() {
    let text = [&crate::images::stream::NO_HEADER[..], &header("f", b'0', 0)].concat();
    assert!(read(&text).is_err());
    assert!(!crate::images::stream::is_packed(&text));
}
