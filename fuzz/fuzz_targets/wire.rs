//! What the two sides say to each other: requests as the warden reads them, reports as the caller
//! reads them. What can be read is written again, and read again to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    seclude::fuzzing::request(data);
    seclude::fuzzing::report(data);
});
