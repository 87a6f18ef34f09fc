//! The network namespaces of a template. Each is lent to one copy at a time, and lent again only if
//! nothing in it shows that the last copy used it.
//!
//! Making one takes longer than everything else in making a copy. They belong to the template's
//! user namespace, so no process in a copy has a capability over them. Such a process can leave
//! behind only sockets, and what its traffic has counted and what the kernel learned from it.
//! [`FILES`] show both.

use crate::sys::{self, CWD, Errno, Fd, Pages, Result, Table, open};
use crate::wire::message::{NETWORK_FILES as FILES, Report};
use crate::wire::plan::namespace;

/// The most namespaces to keep. Others end with their copies.
const KEPT: usize = 32;

/// How many of [`FILES`], from the first on, must exist.
const NEEDED: usize = 4;

pub struct Networks {
    /// The template's own network namespace.
    home: Option<Fd>,
    kept: Table<Network>,
    /// The contents of the files in the namespace made last, before any process used it.
    fresh: Option<Contents>,
    made: u64,
    reused: u64,
    retired: u64,
    /// The inode number of the namespace retired last (namespaces(7)), and the index in [`FILES`]
    /// of the file that differed.
    last: (u64, usize),
}

struct Network {
    namespace: Fd,
    files: [Option<Fd>; FILES.len()],
    state: NetworkState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum NetworkState {
    /// In the state of a new one.
    Empty,
    /// Lent to the copy with this process id.
    Lent(i32),
    /// The copy has ended. The files are not compared yet.
    Left,
}

/// The network namespace that the template is in while it makes a copy: the index of a kept one, or
/// `None` for one that is not kept.
pub struct LentNetwork(Option<usize>);

impl LentNetwork {
    /// The copy gets no network namespace of the template.
    pub const NONE: LentNetwork = LentNetwork(None);
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

    /// Enters a network namespace that no process uses.
    pub fn enter(&mut self) -> Result<LentNetwork> {
        if self.home.is_none() {
            self.home = Some(sys::open(CWD, c"/proc/self/ns/net", open::READ, 0)?);
        }
        while self.find(NetworkState::Empty).is_none() && self.find(NetworkState::Left).is_some() {
            self.tidy_one();
        }
        if let Some(index) = self.find(NetworkState::Empty) {
            sys::join_namespace(self.kept[index].namespace.number(), namespace::NET)?;
            self.reused += 1;
            return Ok(LentNetwork(Some(index)));
        }
        sys::unshare(namespace::NET)?;
        self.made += 1;
        sys::loopback_up().inspect_err(|_| self.leave())?;
        // Without free descriptors it cannot be kept, but it serves this one copy.
        Ok(LentNetwork(if self.kept.len() < KEPT { self.keep().ok() } else { None }))
    }

    fn find(&self, state: NetworkState) -> Option<usize> {
        self.kept.iter().position(|network| network.state == state)
    }

    /// Keeps the new network namespace that the template is in.
    fn keep(&mut self) -> Result<usize> {
        let namespace = sys::open(CWD, c"/proc/self/ns/net", open::READ, 0)?;
        let mut files = [const { None }; FILES.len()];
        for (index, (file, path)) in files.iter_mut().zip(FILES).enumerate() {
            match sys::open(CWD, path, open::READ, 0) {
                Ok(opened) => *file = Some(opened),
                // This kernel may lack IPv6, for example.
                Err(Errno::ENOENT) if index >= NEEDED => {}
                Err(errno) => return Err(errno),
            }
        }
        self.fresh = Some(Contents::by(&files)?);
        self.kept.push(Network { namespace, files, state: NetworkState::Empty })?;
        Ok(self.kept.len() - 1)
    }

    /// Goes back to the template's own network namespace. A copy stays in the other.
    pub fn leave(&self) {
        if let Some(home) = &self.home {
            // The template owns this namespace, so this cannot be refused.
            let _ = sys::join_namespace(home.number(), namespace::NET);
        }
    }

    pub fn lend(&mut self, LentNetwork(index): LentNetwork, pid: i32) {
        if let Some(network) = index.and_then(|index| self.kept.get_mut(index)) {
            network.state = NetworkState::Lent(pid);
        }
    }

    /// Records that a child has been reaped.
    pub fn reaped(&mut self, pid: i32) {
        if let Some(index) = self.find(NetworkState::Lent(pid)) {
            self.kept[index].state = NetworkState::Left;
        }
    }

    /// The report on the network namespaces.
    pub fn report(&self) -> Report<'static> {
        let &Networks { made, reused, retired, last: (last, file), .. } = self;
        Report::Networks { made, reused, retired, last, file: file as u32 }
    }

    /// Whether a namespace is still to be compared.
    pub fn has_leftover(&self) -> bool {
        self.find(NetworkState::Left).is_some()
    }

    /// Compares one namespace that a copy has left with a new one. If they differ, it is retired
    /// and never lent again.
    // Not inlined: its large frame would become part of the frame of the loop.
    #[inline(never)]
    pub fn tidy_one(&mut self) {
        let Some(index) = self.find(NetworkState::Left) else { return };
        let differing = match (&self.fresh, Contents::by(&self.kept[index].files)) {
            (Some(fresh), Ok(contents)) => contents.differs(fresh),
            _ => Some(0),
        };
        match differing {
            None => self.kept[index].state = NetworkState::Empty,
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

    /// The index of the first file that differs.
    fn differs(&self, other: &Contents) -> Option<usize> {
        (0..FILES.len()).find(|&index| {
            let (one, other) = (self.file(index), other.file(index));
            one != other && !words(one).eq(words(other))
        })
    }
}

/// The words of a text, without the numbers in sockstat that count for the whole machine.
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    const MACHINES: [&[u8]; 3] = [b"orphan", b"alloc", b"mem"];
    let mut machines = false;
    text.split(u8::is_ascii_whitespace).filter(move |word| {
        let skipped = core::mem::replace(&mut machines, MACHINES.contains(word));
        !skipped
    })
}
