//! A template's network namespaces: each is lent to one copy at a time, and lent again only if
//! nothing in it shows that somebody has been there.
//!
//! To make one takes longer than all else that a copy takes. They belong to the template's user
//! namespace, so nobody in a copy has a capability over one: what can be left behind is sockets and
//! what traffic has counted or taught, and [`FILES`] tell of both.

use crate::sys::{self, CWD, Errno, Fd, Pages, Result, Table, open};
use crate::wire::message::{NETWORK_FILES as FILES, Report};
use crate::wire::plan::namespace;

/// More than these are not kept: they go with their copies.
const KEPT: usize = 32;

/// So many of [`FILES`] must be there.
const NEEDED: usize = 4;

pub struct Networks {
    /// The template's own.
    home: Option<Fd>,
    kept: Table<Network>,
    /// What the files of the one made last have contents before anybody was in it.
    fresh: Option<Contents>,
    made: u64,
    reused: u64,
    retired: u64,
    /// The one retired last, by its number (namespaces(7)), and by which of [`FILES`].
    last: (u64, usize),
}

struct Network {
    namespace: Fd,
    files: [Option<Fd>; FILES.len()],
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// As one that has just been made.
    Empty,
    /// To the copy of this number.
    Lent(i32),
    /// Nobody is in it any more.
    Left,
}

/// Where the template stands while it makes a copy: one of those kept, or one that is not.
pub struct Lent(Option<usize>);

impl Lent {
    /// None of ours.
    pub const NONE: Lent = Lent(None);
}

impl Networks {
    pub const fn new() -> Networks {
        Networks {
            home: None,
            kept: Table::new(),
            fresh: None,
            made: 0,
            reused: 0,
            retired: 0,
            last: (0, 0),
        }
    }

    /// Stands in one where nobody is.
    pub fn enter(&mut self) -> Result<Lent> {
        if self.home.is_none() {
            self.home = Some(sys::open(CWD, c"/proc/self/ns/net", open::READ, 0)?);
        }
        while self.find(State::Empty).is_none() && self.find(State::Left).is_some() {
            self.tidy_one();
        }
        if let Some(index) = self.find(State::Empty) {
            sys::join_namespace(self.kept[index].namespace.number(), namespace::NET)?;
            self.reused += 1;
            return Ok(Lent(Some(index)));
        }
        sys::unshare(namespace::NET)?;
        self.made += 1;
        sys::loopback_up().inspect_err(|_| self.leave())?;
        // Without a number left for its descriptors it is as good, for once.
        Ok(Lent(if self.kept.len() < KEPT { self.keep().ok() } else { None }))
    }

    fn find(&self, state: State) -> Option<usize> {
        self.kept.iter().position(|network| network.state == state)
    }

    /// Keeps the one that has just been made, and the template is in.
    fn keep(&mut self) -> Result<usize> {
        let namespace = sys::open(CWD, c"/proc/self/ns/net", open::READ, 0)?;
        let mut files = [const { None }; FILES.len()];
        for (index, (file, path)) in files.iter_mut().zip(FILES).enumerate() {
            match sys::open(CWD, path, open::READ, 0) {
                Ok(opened) => *file = Some(opened),
                // A kernel without IPv6, say.
                Err(Errno::ENOENT) if index >= NEEDED => {}
                Err(errno) => return Err(errno),
            }
        }
        self.fresh = Some(Contents::by(&files)?);
        self.kept.push(Network { namespace, files, state: State::Empty })?;
        Ok(self.kept.len() - 1)
    }

    /// Goes home; the copy, if there is one, stays.
    pub fn leave(&self) {
        if let Some(home) = &self.home {
            // It is the template's own: it may.
            let _ = sys::join_namespace(home.number(), namespace::NET);
        }
    }

    pub fn lend(&mut self, Lent(index): Lent, pid: i32) {
        if let Some(network) = index.and_then(|index| self.kept.get_mut(index)) {
            network.state = State::Lent(pid);
        }
    }

    /// A child has been reaped.
    pub fn reaped(&mut self, pid: i32) {
        if let Some(index) = self.find(State::Lent(pid)) {
            self.kept[index].state = State::Left;
        }
    }

    /// What has become of them.
    pub fn report(&self) -> Report<'static> {
        let &Networks { made, reused, retired, last: (last, file), .. } = self;
        Report::Networks { made, reused, retired, last, file: file as u32 }
    }

    /// Whether one is still to be looked after.
    pub fn has_leftover(&self) -> bool {
        self.find(State::Left).is_some()
    }

    /// Looks whether one that has been left is as it was; if not, it is lent to nobody any more.
    // Not inlined: its large frame would become part of the frame of the loop.
    #[inline(never)]
    pub fn tidy_one(&mut self) {
        let Some(index) = self.find(State::Left) else { return };
        let differing = match (&self.fresh, Contents::by(&self.kept[index].files)) {
            (Some(fresh), Ok(contents)) => contents.differs(fresh),
            _ => Some(0),
        };
        match differing {
            None => self.kept[index].state = State::Empty,
            Some(file) => {
                if let Some(network) = self.kept.take(index) {
                    self.retired += 1;
                    self.last = (
                        sys::status(network.namespace.number(), c"")
                            .map_or(0, |status| status.number),
                        file,
                    );
                }
            }
        }
    }
}

/// The contents of all [`FILES`].
struct Contents {
    text: Pages,
    ends: [usize; FILES.len()],
}

impl Contents {
    fn by(files: &[Option<Fd>; FILES.len()]) -> Result<Contents> {
        const ROOM: usize = 64 * 1024;
        let mut contents = Contents { text: Pages::new(ROOM, false)?, ends: [0; FILES.len()] };
        let mut end = 0;
        for (file, its_end) in files.iter().zip(&mut contents.ends) {
            let start = end;
            while let Some(file) = file {
                match sys::read_at(file, (end - start) as u64, &mut contents.text.bytes()[end..])? {
                    0 if end == ROOM => return Err(Errno::ENAMETOOLONG),
                    0 => break,
                    length => end += length,
                }
            }
            *its_end = end;
        }
        Ok(contents)
    }

    fn file(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.read().get(start..self.ends[index]).unwrap_or_default()
    }

    /// Which file does not say the same.
    fn differs(&self, other: &Contents) -> Option<usize> {
        (0..FILES.len()).find(|&index| {
            let (one, other) = (self.file(index), other.file(index));
            one != other && !words(one).eq(words(other))
        })
    }
}

/// The words, but for the numbers of sockstat that are the whole machine's.
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    const MACHINES: [&[u8]; 3] = [b"orphan", b"alloc", b"mem"];
    let mut machines = false;
    text.split(u8::is_ascii_whitespace).filter(move |word| {
        let skipped = core::mem::replace(&mut machines, MACHINES.contains(word));
        !skipped
    })
}
