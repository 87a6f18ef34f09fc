//! What programs inside send over the network, as the caller's process reads it: questions for
//! names, and frames. And the rules of the way out, as text.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    seclude::fuzzing::question(data);
    seclude::fuzzing::frame(data);
    seclude::fuzzing::acknowledgements(data);
    if let Ok(text) = std::str::from_utf8(data) {
        seclude::fuzzing::rules(text);
    }
});
