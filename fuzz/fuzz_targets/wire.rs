//! The messages between the library and the warden: requests as the warden reads them, and reports
//! as the caller reads them. What can be read is written and read again, and must be the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    seclude::fuzzing::request(data);
    seclude::fuzzing::report(data);
});
