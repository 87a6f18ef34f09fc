//! The version of the header, which the caller compiled against, and of the running library.

use std::ffi::{c_char, c_int};

/// The major version of this header. While it is 0, a new minor version may change the ABI and the
/// SONAME.
pub const SECLUDE_VERSION_MAJOR: c_int = 0;
/// The minor version of this header.
pub const SECLUDE_VERSION_MINOR: c_int = 1;
/// The patch version of this header.
pub const SECLUDE_VERSION_PATCH: c_int = 0;
/// The version of this header as one number: major * 1000000 + minor * 1000 + patch.
pub const SECLUDE_VERSION_NUMBER: c_int = 1000;

/// Returns the version of the library that the program runs with, in the form of
/// `SECLUDE_VERSION_NUMBER`.
///
/// The library may be newer than the header that the program was compiled with, never older:
/// `assert(seclude_version_number() >= SECLUDE_VERSION_NUMBER)`.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_version_number() -> c_int {
    SECLUDE_VERSION_NUMBER
}

/// Returns the version of the library that the program runs with, as text: "0.1.0". Static: never
/// NULL, never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_macros_have_the_version_of_the_manifest() {
        let parts =
            format!("{SECLUDE_VERSION_MAJOR}.{SECLUDE_VERSION_MINOR}.{SECLUDE_VERSION_PATCH}");
        assert_eq!(parts, env!("CARGO_PKG_VERSION"));
        assert_eq!(
            SECLUDE_VERSION_NUMBER,
            SECLUDE_VERSION_MAJOR * 1_000_000
                + SECLUDE_VERSION_MINOR * 1000
                + SECLUDE_VERSION_PATCH
        );
    }
}
