//! The tmpfs mounts with a limit, to report which one is full.

use crate::sys::{self, Fd};

/// At most 16 mounts. The limits of further ones are enforced but not reported.
pub struct Scratch {
    mounts: [Option<Fd>; 16],
}

impl Scratch {
    pub fn new() -> Scratch {
        Scratch { mounts: [const { None }; 16] }
    }

    pub fn push(&mut self, mount: Fd) {
        if let Some(place) = self.mounts.iter_mut().find(|place| place.is_none()) {
            *place = Some(mount);
        }
    }

    /// The limit of a full mount: its size in bytes, or its number of files.
    pub fn full(&self) -> Option<u64> {
        self.mounts.iter().flatten().find_map(|mount| {
            let room = sys::room(mount).ok()?;
            let limit_of = |all: u64, left: u64| (all > 0 && left == 0).then_some(all);
            limit_of(room.bytes, room.bytes_left).or_else(|| limit_of(room.files, room.files_left))
        })
    }
}
