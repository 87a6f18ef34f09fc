//! The protocol between the library and the warden as a crate of its own, for lints and tests.
//!
//! The sources are in `core/wire`. Both sides compile them from there, and the published package
//! contains that folder.
#![no_std]

#[path = "../core/wire/mod.rs"]
pub mod wire;

#[cfg(test)]
extern crate std;

#[cfg(test)]
mod tests {
    use crate::wire::codec::{Malformed, Reader, Sink, Wire};
    use crate::wire::message::{Limits, Report, Request};
    use crate::wire::usage::{UNKNOWN, Usage};
    use std::vec::Vec;

    struct Bytes(Vec<u8>);

    impl Sink for Bytes {
        fn put(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }
    }

    fn encoded<'a>(value: &impl Wire<'a>) -> Vec<u8> {
        let mut bytes = Bytes(Vec::new());
        value.encode(&mut bytes);
        bytes.0
    }

    #[test]
    fn a_report_decodes_to_what_was_encoded() {
        let usage = Usage { wall: 7, memory_peak: u64::MAX - 1, ..Usage::NONE };
        let report = Report::Ended { how: 1, value: -2, status: 3, seen: 4, scratch: 5, usage };
        let bytes = encoded(&report);
        match Reader::new(&bytes).only::<Report<'_>>() {
            Ok(Report::Ended {
                how: 1,
                value: -2,
                status: 3,
                seen: 4,
                scratch: 5,
                usage: decoded,
            }) => assert_eq!(decoded, usage),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn missing_and_surplus_bytes_are_malformed() {
        let limits = Limits { wall_ns: 1, memory: u64::MAX, ..Limits::default() };
        let bytes = encoded(&Request::Limit { limits, meter: 1 });
        for length in 0..bytes.len() {
            assert!(
                Reader::new(&bytes[..length]).only::<Request<'_>>().is_err(),
                "{length} bytes of {}",
                bytes.len()
            );
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(Reader::new(&bytes).only::<Request<'_>>().is_ok());
        assert!(Reader::new(&longer).only::<Request<'_>>().is_err());
    }

    #[test]
    fn a_length_beyond_the_end_is_malformed() {
        let bytes = encoded(&&b"abc"[..]);
        assert_eq!(Reader::new(&bytes).only::<&[u8]>(), Ok(&b"abc"[..]));
        for length in [4u32, u32::MAX] {
            let wrong = [&length.to_le_bytes()[..], b"abc"].concat();
            assert_eq!(Reader::new(&wrong).only::<&[u8]>(), Err(Malformed));
        }
    }

    #[test]
    fn an_uncounted_figure_is_not_zero() {
        assert_eq!((Usage::NONE.processes_peak, Usage::NONE.memory_peak), (UNKNOWN, 0));
    }
}
