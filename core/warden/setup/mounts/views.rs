//! File systems that show what the kernel keeps: processes, message queues, cgroups, terminals.

use super::Mounts;
use super::attach::Options;
use crate::sys::{Errno, Fd, Result, open};
use crate::wire::codec::List;
use crate::wire::plan::attribute;
use core::ffi::CStr;

impl<'a> Mounts<'a> {
    pub fn proc(&mut self, at: &'a CStr, hide: bool, subset: bool) -> Result<()> {
        let all: Options<'_> = &[(c"subset", c"pid"), (c"hidepid", c"2")];
        self.mount(
            at,
            c"proc",
            &all[usize::from(!subset)..1 + usize::from(hide)],
            attribute::NO_SUID | attribute::NO_DEV | attribute::NO_EXEC,
        )
    }

    /// Mounts the POSIX message queues of this ipc namespace, which are files (mq_overview(7)).
    pub fn message_queues(&mut self, at: &'a CStr) -> Result<()> {
        let attributes = attribute::NO_SUID | attribute::NO_DEV | attribute::NO_EXEC;
        self.mount(at, c"mqueue", &[], attributes)
    }

    /// Mounts a hierarchy of cgroups, with the root of this cgroup namespace as its root.
    // Not inlined: its frame is large.
    #[inline(never)]
    pub fn cgroup(&mut self, at: &'a CStr, controllers: List<'a, &'a CStr>) -> Result<()> {
        /// More than there are.
        const MOST: usize = 16;
        let attributes =
            attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_DEV | attribute::NO_EXEC;
        if controllers.is_empty() {
            return self.mount(at, c"cgroup2", &[], attributes);
        }
        let mut options = [(c"", c""); MOST];
        let mut count = 0;
        for controller in controllers.iter() {
            options.get_mut(count).ok_or(Errno::EPROTO)?.0 = controller;
            count += 1;
        }
        self.mount(at, c"cgroup", &options[..count], attributes)
    }

    /// Mounts a devpts and returns its root. Every user may open `ptmx`, and each terminal only the
    /// user who made it.
    pub fn terminals(&mut self, at: &'a CStr) -> Result<Fd> {
        // The host has a few thousand terminals in total (kernel.pty.max), and one sandbox must
        // leave some to others.
        let options: Options<'_> = &[(c"ptmxmode", c"0666"), (c"mode", c"0620"), (c"max", c"256")];
        self.mount(at, c"devpts", options, attribute::NO_SUID | attribute::NO_EXEC)?;
        self.open_inside(at, open::PATH | open::DIRECTORY)
    }
}
