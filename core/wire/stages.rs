//! The message of the stage clock, in builds that have one.
//!
//! After the tag byte come pairs of a stage and a time on the monotonic clock, 8 bytes each. A
//! stage below `OWN` is the index of a step in the plan. A stage from `OWN` on is one of [`NAMES`].

/// The first byte of the message. No report begins with it.
pub const TAG: u8 = 0xff;
pub const OWN: u64 = 1000;
pub const NAMES: [&str; 6] = [
    "the warden's first instruction",
    "the plan received",
    "ready",
    "the command received",
    "the program runs",
    "all inside has ended",
];
pub const BORN: u64 = OWN;
pub const PLAN_RECEIVED: u64 = OWN + 1;
pub const READY: u64 = OWN + 2;
pub const COMMAND_RECEIVED: u64 = OWN + 3;
pub const STARTED: u64 = OWN + 4;
pub const ENDED: u64 = OWN + 5;
