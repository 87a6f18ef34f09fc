//! Images, which strangers make: an archive of a layer, to the records that the unpacker gets, and
//! an archive of images, with its manifests. Sums of headers are not checked, digests are.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    seclude::fuzzing::layer(data);
    seclude::fuzzing::image(data);
});
