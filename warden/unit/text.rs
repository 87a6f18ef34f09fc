//! Tests of texts in buffers of fixed size, and of numbers in texts.

use super::std::string::ToString;
use crate::sys::Errno;
use crate::text::{Path, ShortText, Text, field, number};

#[test]
fn a_text_takes_what_fits_and_a_nul() {
    let mut text = Text::<5>::empty();
    assert!(text.push(b"abcd").is_ok());
    assert_eq!((text.as_bytes(), text.as_c_str()), (&b"abcd"[..], c"abcd"));
    assert_eq!(text.push(b"e").err().map(|errno| errno.0), Some(Errno::ENAMETOOLONG.0));
    assert_eq!(text.as_bytes(), b"abcd");
    text.truncate(1);
    assert_eq!(text.as_c_str(), c"a");
}

#[test]
fn numbers_are_written_in_their_base() {
    for value in [0, 7, 8, 10, 4096, u64::MAX] {
        assert_eq!(
            ShortText::numbered(b"a", value, b"b").as_bytes(),
            ["a", &value.to_string(), "b"].concat().as_bytes()
        );
    }
    let mut mode = ShortText::empty();
    assert!(mode.push_number(0o1777, 8).is_ok());
    assert_eq!(mode.as_bytes(), b"1777");
    assert_eq!(ShortText::of_numbers([0, 100_000, 65536]).as_bytes(), b"0 100000 65536\n");
    assert_eq!(
        ShortText::of_numbers([u32::MAX; 3]).as_bytes(),
        b"4294967295 4294967295 4294967295\n"
    );
}

#[test]
fn paths_are_joined_by_one_slash() {
    for (directory, joined) in [("/a", "/a/x"), ("/a/", "/a/x"), ("/", "/x")] {
        assert_eq!(
            Path::join(directory.as_bytes(), b"x").map(|path| path.as_bytes().to_vec()).ok(),
            Some(joined.into())
        );
    }
    assert!(Path::join(&[b'a'; 4090], b"123456").is_err());
}

#[test]
fn a_field_is_found_at_the_beginning_of_a_line_alone() {
    let status = b"Name:\tVmHWM: 9\nVmHWM:\t    42 kB\nThreads:\t3\n";
    assert_eq!(field(status, b"VmHWM:"), 42);
    assert_eq!(field(status, b"Threads:"), 3);
    assert_eq!((field(status, b"VmRSS:"), field(b"", b"VmRSS:")), (0, 0));
    assert_eq!((number(b"12x"), number(b"x"), number(b"")), (12, 0, 0));
}
