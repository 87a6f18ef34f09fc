//! Closed sets of names: the C constants and the core's words that they stand for. `make faces`
//! writes the tables.

use std::ffi::{CStr, c_char};
use std::ptr;

/// The numbers of a set, each with its name, which is the same in every language.
pub(crate) type Words<Number> = [(Number, &'static CStr)];

/// The name of a number; NULL if there is no such number.
pub(crate) fn name_of<Number: PartialEq>(words: &Words<Number>, number: Number) -> *const c_char {
    words.iter().find(|(known, _)| *known == number).map_or(ptr::null(), |(_, name)| name.as_ptr())
}

/// The number of a name. `None` if the table lacks a word of the core, which a test of each set
/// excludes.
pub(crate) fn number_of<Number: Copy>(words: &Words<Number>, name: &str) -> Option<Number> {
    words.iter().find(|(_, known)| known.to_bytes() == name.as_bytes()).map(|(number, _)| *number)
}

/// The core's word for a number.
pub(crate) fn word_of<Number: PartialEq, Word>(
    words: &Words<Number>,
    number: Number,
    from: fn(&str) -> Option<Word>,
) -> Option<Word> {
    words.iter().find(|(known, _)| *known == number).and_then(|(_, name)| from(name.to_str().ok()?))
}

/// Asserts that a table has the words of the core's set, in the same order.
#[cfg(test)]
pub(crate) fn assert_complete<Number: Copy + PartialEq>(
    words: &Words<Number>,
    core: impl Iterator<Item = &'static str>,
) {
    let names: Vec<&str> = words.iter().filter_map(|(_, name)| name.to_str().ok()).collect();
    assert_eq!(names, core.collect::<Vec<_>>());
    for (number, name) in words {
        assert_eq!(name_of(words, *number), name.as_ptr());
        assert!(number_of(words, name.to_str().expect("UTF-8")) == Some(*number));
    }
}
