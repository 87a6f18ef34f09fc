//! The relay: a thread of the caller's process that carries frames whose faults the kernel has none
//! for.
//!
//! ```text
//!   member a --- port of a            port of b --- member b
//!                   |  \                 ^ |
//!                   |   \ copy           | | the filter of b drops
//!                   v    v               | | what comes from a
//!                 bridge  tap --relay-- tap
//! ```
//!
//! A socket on the port of the sender receives a copy of each frame. The filter of the receiver's
//! port drops the original. When the frame's time has come, the relay sends the copy from a socket
//! on that port, past the filter.

mod fate;

use super::link::Link;
use crate::base::error::{Error, Result};
use crate::host::network::tap::{HEADER, LONGEST, Tap};
use fate::Course;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::time::TimeSpec;
use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BinaryHeap};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// The names of a link: who sends, and to whom.
pub type Pair = (String, String);

/// A link between two members that are there.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    pub pair: Pair,
    pub link: Link,
    /// The number of the sender, which is in its hardware address, and its port.
    pub from: (u32, u32),
    pub to: (u32, u32),
}

/// The thread. Dropping it ends it.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    creator: u32,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the thread when the state has changed.
    changed: EventFd,
}

#[derive(Debug, Default)]
struct State {
    lanes: Vec<Lane>,
    /// One for each port, by its index.
    taps: BTreeMap<u32, Arc<Tap>>,
    /// The course of each link. It goes on when a member leaves and comes again.
    courses: BTreeMap<Pair, Course>,
    ended: bool,
}

impl Relay {
    pub fn start() -> Result<Relay> {
        let failed = |error: std::io::Error| Error::io("start the relay of a network", error);
        let changed = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|errno| failed(errno.into()))?;
        let shared = Arc::new(Shared { state: Mutex::default(), changed });
        let before = SigSet::all()
            .thread_swap_mask(SigmaskHow::SIG_SETMASK)
            .map_err(|errno| failed(errno.into()))?;
        let own = shared.clone();
        let thread = thread::Builder::new().name("seclude-relay".into()).spawn(move || run(&own));
        let _ = before.thread_set_mask();
        let thread = Some(thread.map_err(failed)?);
        Ok(Relay { shared, creator: std::process::id(), thread })
    }

    /// Carries these links, and no others. `open` opens a socket on a port.
    ///
    /// # Errors
    ///
    /// A socket cannot be opened. Its links then carry nothing.
    pub fn carry(&self, lanes: Vec<Lane>, open: impl Fn(u32) -> Result<Tap>) -> Result<()> {
        let mut state = self.shared.state();
        let ports = |lane: &Lane| [lane.from.1, lane.to.1];
        let wanted: Vec<u32> = lanes.iter().flat_map(ports).collect();
        state.taps.retain(|port, _| wanted.contains(port));
        let mut result = Ok(());
        for port in wanted {
            if let Entry::Vacant(place) = state.taps.entry(port) {
                match open(port) {
                    Ok(tap) => drop(place.insert(Arc::new(tap))),
                    Err(error) => result = result.and(Err(error)),
                }
            }
        }
        for lane in &lanes {
            let known = state.courses.get(&lane.pair);
            if known.is_none_or(|course| *course.link() != lane.link) {
                state.courses.insert(lane.pair.clone(), Course::new(lane.link));
            }
        }
        state.lanes = lanes;
        drop(state);
        let _ = self.shared.changed.write(1);
        result
    }

    /// Begins the random numbers of a link again.
    pub fn restart(&self, pair: &Pair) {
        self.shared.state().courses.remove(pair);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if self.creator != std::process::id() {
            // A forked process has no such thread.
            std::mem::forget(thread);
            return;
        }
        self.shared.state().ended = true;
        let _ = self.shared.changed.write(1);
        let _ = thread.join();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Frames that wait, the next one first. Frames of one time keep their order.
#[derive(Default)]
struct Waiting {
    frames: BinaryHeap<Reverse<(Instant, u64, Frame)>>,
    /// The number of the next frame.
    next: u64,
    bytes: usize,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Frame {
    /// The number of its sender, and the port that it goes to.
    from: u32,
    to: u32,
    data: Vec<u8>,
}

impl Waiting {
    /// Keeps a frame, unless too many wait.
    fn add(&mut self, deliver: Instant, frame: Frame) {
        const MOST: usize = 10_000;
        const MOST_BYTES: usize = 16 << 20;
        if self.frames.len() < MOST && self.bytes + frame.data.len() <= MOST_BYTES {
            self.bytes += frame.data.len();
            self.frames.push(Reverse((deliver, self.next, frame)));
            self.next += 1;
        }
    }

    /// Sends what is due. A frame of a link that was cut meanwhile is lost.
    fn send(&mut self, now: Instant, state: &State) {
        while self.frames.peek().is_some_and(|Reverse((deliver, ..))| *deliver <= now) {
            let Some(Reverse((.., frame))) = self.frames.pop() else { break };
            self.bytes -= frame.data.len();
            let is_open = |lane: &Lane| lane.from.0 == frame.from && lane.to.1 == frame.to;
            if state.lanes.iter().any(is_open)
                && let Some(tap) = state.taps.get(&frame.to)
            {
                tap.send(&frame.data);
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        self.frames.peek().map(|Reverse((deliver, ..))| *deliver)
    }
}

fn run(shared: &Shared) {
    // Sleep to the microsecond: prctl(2), PR_SET_TIMERSLACK.
    let _ = nix::sys::prctl::set_timerslack(1);
    let (mut waiting, mut buffer) = (Waiting::default(), vec![0; LONGEST]);
    loop {
        let taps: Vec<Arc<Tap>> = {
            let state = shared.state();
            if state.ended {
                return;
            }
            state.taps.values().cloned().collect()
        };
        let mut polled = vec![PollFd::new(shared.changed.as_fd(), PollFlags::POLLIN)];
        polled.extend(taps.iter().map(|tap| PollFd::new(tap.as_fd(), PollFlags::POLLIN)));
        let left = waiting.due().map(|due| due.saturating_duration_since(Instant::now()));
        match ppoll(&mut polled, left.map(TimeSpec::from_duration), None) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue,
            // The caller has closed the descriptors.
            Err(_) => return,
        }
        let is_wakened = polled[0].any().unwrap_or(true);
        if is_wakened
            && shared.changed.read().is_err_and(|errno| errno != nix::errno::Errno::EAGAIN)
        {
            return;
        }
        let mut state = shared.state();
        receive(&mut state, &mut waiting, &mut buffer);
        waiting.send(Instant::now(), &state);
    }
}

/// Takes a bounded number of frames from each socket, so that what is due does not wait.
fn receive(state: &mut State, waiting: &mut Waiting, buffer: &mut [u8]) {
    const AT_ONCE: usize = 64;
    let State { lanes, taps, courses, .. } = state;
    for (port, tap) in taps.iter() {
        for _ in 0..AT_ONCE {
            let Some(length) = tap.receive(buffer) else { break };
            let (now, data) = (Instant::now(), &buffer[..length]);
            for lane in lanes.iter().filter(|lane| lane.from.1 == *port) {
                if !is_for(&data[HEADER..], lane) {
                    continue;
                }
                let Some(course) = courses.get_mut(&lane.pair) else { continue };
                let fate = course.decide(now, length - HEADER, is_housekeeping(&data[HEADER..]));
                for deliver in fate.into_iter().flatten() {
                    let (from, to) = (lane.from.0, lane.to.1);
                    waiting.add(deliver, Frame { from, to, data: data.to_vec() });
                }
            }
        }
    }
}

/// Whether a frame goes from the sender of a lane to its receiver, alone or among others.
fn is_for(frame: &[u8], lane: &Lane) -> bool {
    let address = |number: u32| {
        let [_, high, middle, low] = number.to_be_bytes();
        [0x02, 0, 0, high, middle, low]
    };
    let to_all = frame[0] & 1 == 1;
    frame[6..12] == address(lane.from.0) && (to_all || frame[..6] == address(lane.to.0))
}

/// Looks at a frame, which may be malformed.
#[cfg(fuzzing)]
pub fn look_at(frame: &[u8]) {
    let lane = Lane { pair: Pair::default(), link: Link::new(), from: (1, 16), to: (2, 17) };
    if frame.len() >= 14 {
        is_for(frame, &lane);
    }
    is_housekeeping(frame);
}

/// Whether a frame is of ARP, or of the messages of ICMPv6 that take its place.
fn is_housekeeping(frame: &[u8]) -> bool {
    const ARP: [u8; 2] = [0x08, 0x06];
    const IPV6: [u8; 2] = [0x86, 0xdd];
    const ICMPV6: u8 = 58;
    /// Listener queries up to neighbour advertisements, and version 2 of listener reports.
    const MESSAGES: [std::ops::RangeInclusive<u8>; 2] = [130..=137, 143..=143];
    match frame.get(12..14) {
        Some(kind) if kind == ARP => true,
        Some(kind) if kind == IPV6 => {
            // Reports have one header of options in between.
            let (next, start) = match frame.get(20) {
                Some(0) => (frame.get(54), 62),
                next => (next, 54),
            };
            next == Some(&ICMPV6)
                && frame
                    .get(start)
                    .is_some_and(|kind| MESSAGES.iter().any(|messages| messages.contains(kind)))
        }
        _ => false,
    }
}
