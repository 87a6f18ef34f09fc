//! A fake kernel for the tests of set-up: a small model of the calls that the warden makes, in
//! place of the one function that makes them.
//!
//! It keeps what a process sees of its kernel: files and mounts, descriptors, ids, capabilities,
//! the seccomp filters, a Landlock domain. It enforces the rules about order that set-up must keep:
//! without capabilities nothing is mounted, and a filter takes `no_new_privs`. It records each call
//! as a line of text. A test may ask for another answer at one call.
//!
//! It shows what the warden does with the answers of a kernel. What a real kernel answers is for
//! the tests on real kernels.

extern crate std;

mod files;
mod memory;
mod mounts;
mod process;
mod trace;
mod tree;
mod truth;

use super::{Errno, Result, number as nr};
use process::Process;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::string::String;
use std::sync::{Mutex, PoisonError};
use std::vec::Vec;
use tree::{Place, Tree};

const EFAULT: Errno = Errno(14);
const EROFS: Errno = Errno(30);
/// What seccomp(2) answers without `no_new_privs` and CAP_SYS_ADMIN.
const EACCES_FILTER: Errno = Errno::EACCES;

/// The files of each proc. Those in `self` and `sys` are the ones that set-up uses.
const PROC_FILES: &[&str] = &[
    "self/setgroups",
    "self/uid_map",
    "self/gid_map",
    "self/oom_score_adj",
    "self/timens_offsets",
    "sys/user/max_user_namespaces",
    "sys/user/max_inotify_instances",
    "sys/kernel/ns_last_pid",
    "kcore",
    "keys",
    "acpi/wakeup",
    "scsi/scsi",
];

pub enum Object {
    Place {
        at: Place,
        offset: usize,
        listed: bool,
    },
    /// A text of the kernel, and how much of it has been read.
    Text {
        text: String,
        offset: usize,
    },
    Config {
        kind: String,
        options: Vec<(String, String)>,
    },
    /// The denied things: files, ports and scopes.
    Ruleset([u64; 3]),
    Socket,
}

/// Another answer than the model's.
#[derive(Clone, Copy)]
pub enum Answer {
    /// Fails with this error and does nothing.
    Fail(Errno),
    /// Does nothing and returns success.
    Pretend,
}

/// The calls that get another answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The call with this index.
    Once(usize),
    /// From this index on, every call with this number: an old kernel, or a filter.
    From(usize, usize),
    /// Every call with one of these names.
    Names(&'static [&'static str]),
    /// Every call whose line starts with one of these texts.
    Lines(Vec<String>),
}

pub struct Kernel {
    tree: Tree,
    process: Process,
    descriptors: BTreeMap<i32, Object>,
    mapped: BTreeMap<usize, usize>,
    /// What the caller sends: a message and its descriptors.
    messages: VecDeque<(Vec<u8>, usize)>,
    /// The number and the line of each call, once [`begin`] was called. A kernel that keeps no
    /// lines has empty ones.
    calls: Option<Vec<(usize, String)>>,
    keeps_lines: bool,
    fault: Option<(Fault, Answer)>,
    /// The value of the knob that limits user namespaces.
    user_namespaces: String,
    private_mounts: bool,
    landlock_abi: u32,
}

/// One test at a time: the warden keeps the number of the last refused call in a static.
static ONE: Mutex<()> = Mutex::new(());

std::thread_local! {
    static KERNEL: RefCell<Option<Kernel>> = const { RefCell::new(None) };
}

/// Runs `body` on this kernel. Returns its result and the kernel. The result must own nothing of
/// the warden, because a descriptor or a page would outlive the kernel.
pub fn run<T>(kernel: Kernel, body: impl FnOnce() -> T) -> (T, Kernel) {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    KERNEL.set(Some(kernel));
    let result = body();
    (result, KERNEL.take().expect("nothing else takes the kernel"))
}

/// Records calls from here on. Faults count from here too.
pub fn begin() {
    KERNEL.with_borrow_mut(|kernel| {
        kernel.iter_mut().for_each(|kernel| kernel.calls = Some(Vec::new()));
    });
}

/// The answer of this thread's fake kernel. `None` if it has none: the real kernel answers then.
pub fn answer(number: usize, a: [usize; 6]) -> Option<Result<usize>> {
    // While a thread ends there are no thread-locals, and no fake kernel.
    let answer = KERNEL
        .try_with(|kernel| kernel.borrow_mut().as_mut().map(|kernel| kernel.call(number, a)))
        .ok()
        .flatten();
    assert!(
        answer.is_some() || !cfg!(miri),
        "this test calls the real kernel, which Miri does not have"
    );
    answer
}

impl Kernel {
    /// A kernel with this file system and one message of the caller.
    pub fn new(message: Vec<u8>) -> Kernel {
        Kernel {
            tree: Tree::of_host(),
            process: Process::new(),
            descriptors: BTreeMap::new(),
            mapped: BTreeMap::new(),
            messages: [(message, 1)].into(),
            calls: None,
            keeps_lines: false,
            fault: None,
            user_namespaces: "1000".into(),
            private_mounts: false,
            landlock_abi: 7,
        }
    }

    /// Keeps the line of each call.
    pub fn with_lines(mut self) -> Kernel {
        self.keeps_lines = true;
        self
    }

    /// Another message of the caller, which comes without descriptors.
    pub fn then(mut self, message: Vec<u8>) -> Kernel {
        self.messages.push_back((message, 0));
        self
    }

    pub fn with_fault(mut self, fault: Fault, answer: Answer) -> Kernel {
        self.keeps_lines |= matches!(fault, Fault::Lines(_));
        self.fault = Some((fault, answer));
        self
    }

    pub fn with_landlock(mut self, abi: u32) -> Kernel {
        self.landlock_abi = abi;
        self
    }

    /// The number, the name and the line of each call since [`begin`].
    pub fn calls(&self) -> impl Iterator<Item = (usize, &'static str, &str)> {
        let calls = self.calls.iter().flatten();
        calls.map(|(number, line)| (*number, trace::name(*number), line.as_str()))
    }

    fn call(&mut self, number: usize, a: [usize; 6]) -> Result<usize> {
        if self.calls.is_none() {
            return self.carry_out(number, a);
        }
        let line = if self.keeps_lines { self.line(number, a) } else { String::new() };
        let index = self.calls.as_ref().map_or(0, Vec::len);
        let fits = |fault: &Fault| match fault {
            Fault::Once(at) => index == *at,
            Fault::From(at, of) => index >= *at && number == *of,
            Fault::Names(names) => names.contains(&trace::name(number)),
            Fault::Lines(starts) => starts.iter().any(|start| line.starts_with(start.as_str())),
        };
        let other = self.fault.as_ref().filter(|(fault, _)| fits(fault)).map(|(_, answer)| *answer);
        self.calls.iter_mut().for_each(|calls| calls.push((number, line.clone())));
        match other {
            Some(Answer::Fail(errno)) => Err(errno),
            Some(Answer::Pretend) if number == nr::WRITE => Ok(a[2]),
            Some(Answer::Pretend) => Ok(0),
            None => self.carry_out(number, a),
        }
    }

    fn carry_out(&mut self, number: usize, a: [usize; 6]) -> Result<usize> {
        if let Some(result) = self.process.call(number, a) {
            return result;
        }
        match number {
            nr::MMAP => {
                let start = memory::map(a[1])?;
                self.mapped.insert(start, a[1]);
                Ok(start)
            }
            nr::MUNMAP => {
                let length = self.mapped.remove(&a[0]).ok_or(Errno::EINVAL)?;
                memory::unmap(a[0], length).map(|()| 0)
            }
            nr::MADVISE => memory::write(a[0], &std::vec![0; a[1]]).map(|()| 0),
            nr::RT_SIGACTION | nr::UMASK => Ok(0),
            nr::GETPID => Ok(1),
            // In a new pid namespace there is no other process.
            nr::KILL => Err(Errno::ESRCH),
            nr::SOCKET => Ok(self.give(Object::Socket)),
            nr::IOCTL => self.object(a[0]).map(|_| 0),
            nr::UNSHARE if a[0] == 1 => Err(Errno::EINVAL),
            nr::UNSHARE => self.process.needs_capability().map(|()| 0),
            nr::PRLIMIT64 => self.limit(a),
            nr::PPOLL => self.poll(a),
            nr::RECVMSG => self.receive(a),
            nr::LANDLOCK_CREATE | nr::LANDLOCK_ADD | nr::LANDLOCK_SELF => self.landlock(number, a),
            _ => self.mount_call(number, a).unwrap_or_else(|| self.file_call(number, a)),
        }
    }

    fn give(&mut self, object: Object) -> usize {
        // No real descriptor has so high a number, so a mistake closes none.
        let number = (100_000..).find(|number| !self.descriptors.contains_key(number));
        let number = number.expect("there are few descriptors");
        self.descriptors.insert(number, object);
        number as usize
    }

    fn object(&mut self, fd: usize) -> Result<&mut Object> {
        self.descriptors.get_mut(&(fd as i32)).ok_or(Errno::EBADF)
    }

    fn limit(&mut self, a: [usize; 6]) -> Result<usize> {
        if a[1] > 15 {
            return Err(Errno::EINVAL);
        }
        if a[3] != 0 {
            memory::write_numbers(a[3], &[1024, 4096])?;
        }
        Ok(0)
    }

    fn poll(&mut self, a: [usize; 6]) -> Result<usize> {
        assert!(!self.messages.is_empty(), "the warden would wait for ever");
        // struct pollfd: the descriptor, what is wanted, what is ready.
        for at in (0..a[1]).map(|index| a[0] + 8 * index) {
            let ready = memory::read(at, 4)? == 0i32.to_ne_bytes();
            memory::write(at + 6, &u16::from(ready).to_ne_bytes())?;
        }
        Ok(1)
    }

    fn receive(&mut self, a: [usize; 6]) -> Result<usize> {
        let (message, beside) = self.messages.pop_front().ok_or(Errno::EAGAIN)?;
        // struct msghdr: parts at byte 16, control at 32, its length at 40.
        let parts = memory::address(a[1] + 16)?;
        assert!(message.len() <= memory::word(parts + 8)?, "the message is too long");
        memory::write(memory::word(parts)?, &message)?;
        let control = memory::address(a[1] + 32)?;
        let length = if beside == 0 { 0 } else { 16 + 4 * beside };
        memory::write_numbers(a[1] + 40, &[length as u64])?;
        if beside > 0 {
            memory::write_numbers(control, &[length as u64])?;
        }
        for index in 0..beside {
            let number = self.give(Object::Socket) as u32;
            memory::write_numbers(control + 16 + 4 * index, &[number])?;
        }
        Ok(message.len())
    }

    fn landlock(&mut self, number: usize, a: [usize; 6]) -> Result<usize> {
        match number {
            nr::LANDLOCK_CREATE if a[2] == 1 && self.landlock_abi == 0 => Err(Errno::EOPNOTSUPP),
            nr::LANDLOCK_CREATE if a[2] == 1 => Ok(self.landlock_abi as usize),
            nr::LANDLOCK_CREATE if a[2] != 0 => Err(Errno::EINVAL),
            nr::LANDLOCK_CREATE => {
                let mut denied = [0; 3];
                for (index, part) in denied.iter_mut().enumerate().take(a[1] / 8) {
                    *part = memory::word(a[0] + 8 * index)? as u64;
                }
                Ok(self.give(Object::Ruleset(denied)))
            }
            nr::LANDLOCK_ADD if a[3] != 0 => Err(Errno::EINVAL),
            nr::LANDLOCK_ADD => match self.object(a[0])? {
                Object::Ruleset(_) => Ok(0),
                _ => Err(Errno::EBADFD),
            },
            _ if a[1] != 0 => Err(Errno::EINVAL),
            _ => {
                let Object::Ruleset([files, _, scopes]) = *self.object(a[0])? else {
                    return Err(Errno::EBADFD);
                };
                self.process.needs_capability()?;
                self.process.landlock[0] |= files;
                self.process.landlock[1] |= scopes;
                Ok(0)
            }
        }
    }
}
