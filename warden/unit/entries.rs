//! Tests of the names in a directory.

use super::std::collections::BTreeSet;
use super::std::string::String;
use super::{Scratch, directory, std};
use crate::entries::Entries;

#[test]
#[cfg_attr(miri, ignore = "it makes system calls")]
fn every_name_is_listed_once() {
    let place = Scratch::new("entries");
    let mut expected: BTreeSet<String> = [".", ".."].map(String::from).into();
    for number in 0..500 {
        let name = std::format!("{number}-{}", "x".repeat(number % 200));
        std::fs::write(place.path().join(&name), "").expect("the temporary directory is writable");
        expected.insert(name);
    }
    let mut entries = Entries::new(directory(place.path()));
    let mut listed = BTreeSet::new();
    while let Some(name) = entries.next().unwrap_or_else(|errno| panic!("{}", errno.0)) {
        assert!(listed.insert(name.to_str().expect("UTF-8").into()), "{name:?} twice");
    }
    assert_eq!(listed, expected);
}
