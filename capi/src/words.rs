//! Closed sets of names: what C calls the core's words. The tables are written by `make faces`.

use std::ffi::{CStr, c_char};
use std::ptr;

/// The numbers of a set, each with the name that every language has for it.
pub(crate) type Words<Number> = [(Number, &'static CStr)];

/// The name of a number; NULL if there is no such number.
pub(crate) fn name_of<Number: PartialEq>(words: &Words<Number>, number: Number) -> *const c_char {
    words.iter().find(|(known, _)| *known == number).map_or(ptr::null(), |(_, name)| name.as_ptr())
}

/// The number of a name. `None` if the core has a word that this table lacks: a test of each set
/// says that it has none.
pub(crate) fn number_of<Number: Copy>(words: &Words<Number>, name: &str) -> Option<Number> {
    words.iter().find(|(_, known)| known.to_bytes() == name.as_bytes()).map(|(number, _)| *number)
}

/// The core's word of a number, by the name that both have.
pub(crate) fn word_of<Number: PartialEq, Word>(
    words: &Words<Number>,
    number: Number,
    from: fn(&str) -> Option<Word>,
) -> Option<Word> {
    words.iter().find(|(known, _)| *known == number).and_then(|(_, name)| from(name.to_str().ok()?))
}

/// That a table and the core's set are the same, word by word.
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
