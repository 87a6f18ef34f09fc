//! File systems that show what the kernel keeps: processes, message queues, cgroups, terminals.

use super::super::target::Spot;
use super::Mounts;
use super::attach::{self, Options};
use crate::sys::{Errno, Fd, FileSystem, Result, open};
use crate::wire::codec::List;
use crate::wire::plan::attribute;
use core::ffi::CStr;

/// The attributes of these mounts.
const FIXED: u64 = attribute::NO_SUID | attribute::NO_DEV | attribute::NO_EXEC;

fn proc_options(hide: bool, subset: bool) -> Options<'static> {
    const ALL: Options<'_> = &[(c"subset", c"pid"), (c"hidepid", c"2")];
    &ALL[usize::from(!subset)..1 + usize::from(hide)]
}

impl<'a> Mounts<'a> {
    pub fn proc(&mut self, at: &'a CStr, hide: bool, subset: bool) -> Result<()> {
        self.mount(at, c"proc", proc_options(hide, subset), FIXED)
    }

    /// The same with a proc that the first process of another tree has begun.
    pub fn proc_of(
        &mut self,
        begun: FileSystem,
        at: &'a CStr,
        hide: bool,
        subset: bool,
    ) -> Result<()> {
        attach::configure(&begun, proc_options(hide, subset))?;
        let spot = Spot::of(at);
        let point = self.mount_point(&spot, true)?;
        self.forget_parent_below(&spot);
        let mounted = self.attach.put_new(begun, &point, FIXED)?;
        self.stand_on(&spot, Some(mounted))
    }

    /// Mounts the POSIX message queues of this ipc namespace, which are files (mq_overview(7)).
    pub fn message_queues(&mut self, at: &'a CStr) -> Result<()> {
        self.mount(at, c"mqueue", &[], FIXED)
    }

    /// Mounts a hierarchy of cgroups, with the root of this cgroup namespace as its root.
    // Not inlined: its frame is large.
    #[inline(never)]
    pub fn cgroup(&mut self, at: &'a CStr, controllers: List<'a, &'a CStr>) -> Result<()> {
        /// More than there are.
        const MOST: usize = 16;
        let attributes = FIXED | attribute::READ_ONLY;
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
