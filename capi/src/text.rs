//! `seclude_text`: a string that the library made and C borrows. It is an object because neither
//! side frees what the other allocates.

use crate::boundary::{free, query};
use std::ffi::c_char;

/// A string that the library made: a policy as text, for example.
///
/// It is an object because neither side frees memory that the other one allocates.
pub struct seclude_text {
    /// With a NUL at the end.
    bytes: Vec<u8>,
}

impl seclude_text {
    pub(crate) fn new(text: impl Into<Vec<u8>>) -> seclude_text {
        let mut bytes = text.into();
        bytes.push(0);
        seclude_text { bytes }
    }

    pub(crate) fn start(&self) -> *const c_char {
        self.bytes.as_ptr().cast()
    }

    /// Without the NUL at the end.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length()]
    }

    pub(crate) fn length(&self) -> usize {
        self.bytes.len() - 1
    }
}

/// Returns the string, which ends with a NUL. "" for NULL, so never NULL. Borrowed: valid until the
/// text is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_text_string(text: *const seclude_text) -> *const c_char {
    query(text, c"".as_ptr(), |text| Some(text.start()))
}

/// Returns the length in bytes, without the NUL at the end. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_text_length(text: *const seclude_text) -> usize {
    query(text, 0, |text| Some(text.length()))
}

/// Frees a text. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_text_free(text: *mut seclude_text) {
    free(text);
}
