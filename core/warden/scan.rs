//! Process scans: the processes inside, as a proc file system lists them.

use crate::entries::Entries;
use crate::sys::{self, CWD, Errno, Fd, Pages, Result, Table, open};
use crate::text::{self, ShortText};
use crate::wire::plan::guard;
use core::ffi::CStr;

/// A view of the processes inside.
pub struct ProcessScan {
    proc: Fd,
    /// Every process in it but the warden is inside. Otherwise the descendants of the warden are.
    alone: bool,
}

/// What a scan needs of `/proc/PID/stat`.
struct Stat {
    /// The state of the main thread, or of the thread with this id.
    state: u8,
    parent: u32,
    group: u32,
    session: u32,
    threads: u32,
}

impl Stat {
    /// Whether the main thread has ended and others have not.
    fn is_headless(&self) -> bool {
        self.threads > 1 && matches!(self.state, b'Z' | b'X')
    }
}

/// A set of process ids.
struct Marks(Pages);

impl Marks {
    /// The kernel's limit on process ids (PID_MAX_LIMIT).
    const NUMBERS: usize = 1 << 22;

    fn new() -> Result<Marks> {
        Pages::new(Marks::NUMBERS / 8, false).map(Marks)
    }

    fn place(&mut self, id: u32) -> (&mut u8, u8) {
        (&mut self.0.bytes()[id as usize % Marks::NUMBERS / 8], 1 << (id % 8))
    }

    fn set(&mut self, id: u32) {
        let (byte, bit) = self.place(id);
        *byte |= bit;
    }

    fn has(&mut self, id: u32) -> bool {
        let (byte, bit) = self.place(id);
        *byte & bit != 0
    }
}

/// The process groups that a scan has come upon.
pub struct Groups<'a> {
    scan: &'a ProcessScan,
    seen: Marks,
}

impl Groups<'_> {
    /// None but the warden's own, which no scan is to find.
    ///
    /// # Errors
    ///
    /// An error if the warden's own group cannot be read.
    pub fn of(scan: &ProcessScan) -> Result<Groups<'_>> {
        let own = scan.stat(sys::process_id().unsigned_abs()).ok_or(Errno::ESRCH)?.group;
        let mut seen = Marks::new()?;
        seen.set(own);
        Ok(Groups { scan, seen })
    }

    /// The group of the process, the first time that it is found.
    pub fn new_one(&mut self, pid: u32) -> Option<u32> {
        let group = self.scan.stat(pid)?.group;
        // 0 is a group of another process tree, and -1 would stand for every process.
        if group <= 1 || self.seen.has(group) {
            return None;
        }
        self.seen.set(group);
        Some(group)
    }
}

impl ProcessScan {
    /// Scans this proc. `alone`: every process in it but the warden is inside.
    pub fn new(proc: Fd, alone: bool) -> ProcessScan {
        ProcessScan { proc, alone }
    }

    /// Scans the descendants of the warden in the proc at `/proc`.
    pub fn shared() -> Result<ProcessScan> {
        let proc = sys::open(CWD, c"/proc", open::PATH | open::DIRECTORY, 0)?;
        // Anything else at `/proc` could be a command's. A file in it could keep an open waiting.
        if sys::is_in_proc(&proc)? { Ok(ProcessScan::new(proc, false)) } else { Err(Errno::ENODEV) }
    }

    /// Keeps the lowest process ids from processes that are made from now on. The warden of a
    /// command that enters the cell takes one of them with clone3(2), `set_tid`. Setting this takes
    /// CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE over this process tree.
    pub fn reserve_pids(&self) -> Result<()> {
        let last = sys::open(self.proc.number(), c"sys/kernel/ns_last_pid", open::WRITE, 0)?;
        let number = ShortText::numbered(b"", guard::LAST_RESERVED.into(), b"");
        sys::write(&last, number.as_bytes())
    }

    /// Calls `visit` with each process but the warden. Where this walks the tree, children come
    /// before their parent.
    pub fn each(&self, visit: &mut dyn FnMut(u32)) {
        self.each_of(None, visit);
    }

    /// Calls `visit` with each process that the proc lists, but the warden, until it returns
    /// `false`.
    fn each_listed(&self, visit: &mut dyn FnMut(u32) -> bool) {
        const WARDEN: u32 = 1;
        let Ok(listed) = sys::open(self.proc.number(), c".", open::READ | open::DIRECTORY, 0)
        else {
            return;
        };
        let mut entries = Entries::new(listed);
        while let Ok(Some(name)) = entries.next() {
            match core::str::from_utf8(name.to_bytes()).ok().and_then(|name| name.parse().ok()) {
                Some(WARDEN) | None => {}
                Some(pid) if visit(pid) => {}
                Some(_) => return,
            }
        }
    }

    /// Calls `visit` with each process of the command with the first process `root`, and whether it
    /// is stopped or dead. [`ProcessScan::belongs`] says which processes those are. `None` visits
    /// all descendants of the warden.
    ///
    /// This lists all processes at once, because a chain of forks can grow faster than a scan
    /// follows it.
    ///
    /// # Errors
    ///
    /// An error means that the list could not be read. `visit` is not called then.
    pub fn each_member(&self, root: Option<u32>, visit: &mut dyn FnMut(u32, bool)) -> Result<()> {
        let listed = sys::open(self.proc.number(), c".", open::READ | open::DIRECTORY, 0)?;
        let mut marks = Marks::new()?;
        let (mut entries, mut all) = (Entries::new(listed), Table::new());
        while let Some(name) = entries.next()? {
            let Some(pid) =
                core::str::from_utf8(name.to_bytes()).ok().and_then(|name| name.parse().ok())
            else {
                continue;
            };
            if let Some(stat) = self.stat(pid) {
                all.push((pid, stat))?;
            }
        }
        let own = sys::process_id().unsigned_abs();
        let first = root.unwrap_or(own);
        marks.set(first);
        for (pid, _) in all.iter().filter(|(_, stat)| root == Some(stat.session)) {
            marks.set(*pid);
        }
        let mut changed = true;
        while core::mem::take(&mut changed) {
            for (pid, stat) in all.iter().filter(|(pid, _)| *pid != own) {
                if !marks.has(*pid) && marks.has(stat.parent) {
                    marks.set(*pid);
                    changed = true;
                }
            }
        }
        for (pid, stat) in all.iter().filter(|(pid, _)| *pid != own && marks.has(*pid)) {
            // No thread of a process in which one is stopped forks. If no thread can be read, one
            // may.
            let state = if stat.is_headless() {
                self.living_thread(*pid).map_or(b'R', |(_, state)| state)
            } else {
                stat.state
            };
            visit(*pid, matches!(state, b'T' | b't' | b'Z' | b'X'));
        }
        Ok(())
    }

    /// Calls `visit` with each process of the command with the first process `root`: this process,
    /// the others in its session, and its descendants. `None` visits every process.
    pub fn each_of(&self, root: Option<u32>, visit: &mut dyn FnMut(u32)) {
        self.each_of_while(root, &mut |pid| {
            visit(pid);
            true
        });
    }

    /// The same, until `visit` returns `false`.
    pub fn each_of_while(&self, root: Option<u32>, visit: &mut dyn FnMut(u32) -> bool) {
        /// A fork bomb may grow faster than a walk through its tree goes.
        const LONGEST: u64 = 1_000_000_000;
        if self.alone {
            return self.each_listed(&mut |pid| {
                root.is_some_and(|root| !self.belongs(pid, root)) || visit(pid)
            });
        }
        let end = sys::now().saturating_add(LONGEST);
        let _ = self.each_child(c"thread-self/children", 0, root, &mut |pid, belongs| {
            (!belongs || visit(pid)) && sys::now() < end
        });
    }

    /// Whether no process but the warden is inside.
    pub fn is_empty(&self) -> bool {
        let mut empty = true;
        self.each_of_while(None, &mut |_| {
            empty = false;
            false
        });
        empty
    }

    /// Whether a process belongs to the command with the first process `root`.
    pub fn belongs(&self, pid: u32, root: u32) -> bool {
        const GENERATIONS: u32 = 256;
        let mut ancestor = pid;
        for _ in 0..GENERATIONS {
            let Some(Stat { parent, session, .. }) = self.stat(ancestor) else { return false };
            if ancestor == root || session == root {
                return true;
            }
            if parent <= 1 {
                return false;
            }
            ancestor = parent;
        }
        false
    }

    /// The process that traces this one, if this proc shows it.
    pub fn tracer(&self, pid: u32) -> Option<u32> {
        let mut buffer = [0u8; 512];
        let tracer = text::field(self.read(pid, b"/status", &mut buffer)?, b"TracerPid:");
        u32::try_from(tracer).ok().filter(|tracer| *tracer > 1)
    }

    /// Reads `/proc/PID/stat`. Field 2 is a name in parentheses that may contain any character, so
    /// the fields are counted from the last parenthesis.
    fn stat(&self, pid: u32) -> Option<Stat> {
        let mut buffer = [0u8; 512];
        let text = self.read(pid, b"/stat", &mut buffer)?;
        let name_end = text.iter().rposition(|&byte| byte == b')')?;
        let mut fields = text.get(name_end + 2..)?.split(|&byte| byte == b' ');
        let state = *fields.next()?.first()?;
        let mut number =
            |skip: usize| core::str::from_utf8(fields.nth(skip)?).ok()?.parse::<u32>().ok();
        // Fields 4, 5, 6 and 20 in proc_pid_stat(5).
        let (parent, group, session, threads) = (number(0)?, number(0)?, number(0)?, number(13)?);
        Some(Stat { state, parent, group, session, threads })
    }

    /// A thread of the process that has not ended, and its state. `/proc/TID` is there, though no
    /// listing of `/proc` shows it.
    fn living_thread(&self, pid: u32) -> Option<(u32, u8)> {
        let path = ShortText::numbered(b"", pid.into(), b"/task");
        let listed =
            sys::open(self.proc.number(), path.as_c_str(), open::READ | open::DIRECTORY, 0).ok()?;
        let mut threads = Entries::new(listed);
        while let Ok(Some(name)) = threads.next() {
            let id = core::str::from_utf8(name.to_bytes()).ok().and_then(|name| name.parse().ok());
            if let Some(id) = id
                && let Some(Stat { state, .. }) = self.stat(id)
                && !matches!(state, b'Z' | b'X')
            {
                return Some((id, state));
            }
        }
        None
    }

    /// Whether the command with the first process `root` has more processes than `limit`, as far as
    /// the lists of children show. `None` counts the processes of all commands.
    ///
    /// One list shows many processes, and nothing of each is read. So the count is done in time
    /// where a fork bomb leaves little processor time to the warden.
    pub fn has_more_than(&self, limit: u64, root: Option<u32>) -> bool {
        /// Another command may leave orphans faster than they are asked for their session. Time
        /// that the warden does not get does not count.
        const LONGEST: u64 = 1_000_000_000;
        const OWN: u32 = 0;
        if self.alone {
            return false;
        }
        let end = sys::cpu_time_of(OWN).saturating_add(LONGEST);
        let mut found = Table::new();
        let _ = self.each_in(c"thread-self/children", &mut |pid| {
            let belongs = root.is_none_or(|root| {
                pid == root || self.stat(pid).is_some_and(|stat| stat.session == root)
            });
            if belongs {
                found.push(pid).is_ok() && found.len() as u64 <= limit
            } else {
                sys::cpu_time_of(OWN) < end
            }
        });
        let mut next = 0;
        while let Some(pid) = found.get(next).copied().filter(|_| found.len() as u64 <= limit) {
            let _ = self.each_in(children_of(pid).as_c_str(), &mut |pid| {
                found.push(pid).is_ok() && found.len() as u64 <= limit
            });
            next += 1;
        }
        found.len() as u64 > limit
    }

    /// Calls `visit` with each process below, and whether it belongs to the command with the first
    /// process `root`. `None`: all do. Returns whether to go on.
    fn each_child(
        &self,
        path: &CStr,
        depth: u32,
        root: Option<u32>,
        visit: &mut dyn FnMut(u32, bool) -> bool,
    ) -> bool {
        // Deeper processes become children of the warden as their parents die, one level each time.
        const DEPTH_MAX: u32 = 16;
        self.each_in(path, &mut |pid| {
            // What is below a process of the command belongs to it, too, and need not be asked.
            let root = root.filter(|&root| {
                pid != root && self.stat(pid).is_none_or(|stat| stat.session != root)
            });
            (depth == DEPTH_MAX
                || self.each_child(children_of(pid).as_c_str(), depth + 1, root, visit))
                && visit(pid, root.is_none())
        })
    }

    /// Calls `visit` with each process in a list of children, until it returns `false`. Returns
    /// whether to go on.
    fn each_in(&self, path: &CStr, visit: &mut dyn FnMut(u32) -> bool) -> bool {
        let Ok(file) = sys::open(self.proc.number(), path, open::READ, 0) else { return true };
        let mut buffer = [0u8; 512];
        let mut pid = 0u32;
        while let Ok(length @ 1..) = sys::read(&file, &mut buffer) {
            for &byte in &buffer[..length] {
                if let Some(digit) = (byte as char).to_digit(10) {
                    pid = pid.wrapping_mul(10).wrapping_add(digit);
                } else if pid > 1 {
                    if !visit(pid) {
                        return false;
                    }
                    pid = 0;
                }
            }
        }
        true
    }

    /// Reads a file that shows a process's memory. One of a main thread that has ended shows none:
    /// then this reads another thread's.
    pub fn read_memory<'a>(&self, pid: u32, file: &[u8], buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        let length = self.read(pid, file, buffer).map_or(0, <[u8]>::len);
        if buffer[..length].windows(3).any(|word| word == b"Rss") || !self.stat(pid)?.is_headless()
        {
            return Some(&buffer[..length]);
        }
        self.read(self.living_thread(pid)?.0, file, buffer)
    }

    /// Reads one of a process's files, as far as it fits into the buffer.
    pub fn read<'a>(&self, pid: u32, file: &[u8], buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        let path = ShortText::numbered(b"", pid.into(), file);
        let file = sys::open(self.proc.number(), path.as_c_str(), open::READ, 0).ok()?;
        let length = sys::read(&file, buffer).ok()?;
        Some(&buffer[..length])
    }
}

/// The list of the children of a process: proc_pid_task(5).
fn children_of(pid: u32) -> ShortText {
    let mut path = ShortText::numbered(b"", pid.into(), b"/task/");
    let _ = path.push_number(pid.into(), 10).and_then(|()| path.push(b"/children"));
    path
}
