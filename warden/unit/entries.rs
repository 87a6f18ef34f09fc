//! Tests of the names in a directory.

use super::std::collections::BTreeSet;
use super::std::string::String;
use super::{Scratch, directory, std};
use crate::entries::Entries;

#[test]
fn every_name_is_told_once_however_many_there_are() {
    let place = Scratch::new("entries");
    let mut expected: BTreeSet<String> = [".", ".."].map(String::from).into();
    for number in 0..500 {
        let name = std::format!("{number}-{}", "x".repeat(number % 200));
        std::fs::write(place.path().join(&name), "").expect("there is room");
        expected.insert(name);
    }
    let mut entries = Entries::new(directory(place.path()));
    let mut told = BTreeSet::new();
    while let Some(name) = entries.next().unwrap_or_else(|errno| panic!("{}", errno.0)) {
        assert!(told.insert(name.to_str().expect("UTF-8").into()), "{name:?} twice");
    }
    assert_eq!(told, expected);
}
