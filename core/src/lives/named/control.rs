//! What another process of the user can do to a published cell as a whole.

use super::{Life, NamedCell};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::processes::{self, Process};
use crate::base::sys;
use crate::host::namespace::gone;
use crate::wire::plan::guard::{ENTRANTS_COUNT, FIRST_ENTRANT};
use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};

impl NamedCell {
    /// Every process inside, each after its parent: its ids inside and outside, parent, command,
    /// user. Wardens of commands that have entered the cell are left out where the caller may not
    /// look at them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the cell has ended, or an error if the caller's `/proc` cannot be
    /// read.
    pub fn processes(&self) -> Result<Vec<Process>> {
        self.warden()?;
        self.inside()
    }

    /// Stops every process inside (SIGSTOP) until [`NamedCell::thaw`]. Wall times keep running.
    ///
    /// This is weaker than [`Cell::freeze`](crate::Cell::freeze) with a cgroup: a parent inside can
    /// see that its child has stopped, and a process that gets SIGCONT continues.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the cell has ended. [`ErrorKind::Setup`] if processes appear
    /// faster than they can be stopped, or one does not stop because it waits for a device.
    pub fn freeze(&self) -> Result<()> {
        self.warden()?;
        if processes::stop(|| self.payload())? {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Setup, format!("stop the processes of the cell {}", self.name()))
            .because(
                "some run on: they appear faster than they can be stopped, or wait for a device",
            )
            .hint("try again, or kill them (NamedCell::kill_all)"))
    }

    /// Continues every process inside that [`NamedCell::freeze`] has stopped.
    ///
    /// # Errors
    ///
    /// As for [`NamedCell::processes`].
    pub fn thaw(&self) -> Result<()> {
        self.warden()?;
        processes::resume(&self.payload()?);
        Ok(())
    }

    /// Kills every process inside. The cell stays, with its files.
    ///
    /// Commands end as if a process of the cell had killed them: as
    /// [`Ended::Signaled`](crate::Ended::Signaled).
    ///
    /// # Errors
    ///
    /// As for [`NamedCell::processes`]. [`ErrorKind::Setup`] if a process does not end because it
    /// waits for a device.
    pub fn kill_all(&self) -> Result<()> {
        self.warden()?;
        if processes::kill(|| self.payload())? {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Setup, format!("kill the processes of the cell {}", self.name()))
            .because("some have not ended: one that waits for a device ends only afterwards")
            .hint("try again, or end the cell (NamedCell::close)"))
    }

    /// Ends the cell and everything inside, by killing its warden. For the cell's own caller its
    /// commands end as [`Ended::WardenLost`](crate::Ended::WardenLost).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the cell has ended, or an error if its warden cannot be signalled.
    pub fn close(&self) -> Result<()> {
        let warden = self.warden()?;
        // Where the process tree is shared, the kernel does not end it with the warden. Elsewhere
        // it ends also what this could not find.
        let _ = processes::kill(|| self.payload());
        sys::pidfd_send_signal(warden.as_fd(), libc::SIGKILL)
            .map_err(|error| Error::io(format!("end the cell {}", self.name()), error))
    }

    /// Every process in the cell's pid namespace and in those below it.
    ///
    /// Commands that have entered the cell descend from a process outside, not from the cell's
    /// warden. So the namespace decides, and for processes of nested namespaces their parent.
    fn inside(&self) -> Result<Vec<Process>> {
        let tree = |pid: u32| {
            let path = format!("/proc/{pid}/ns/pid");
            fs::read_link(&path)
                .map_err(|error| Error::io(format!("read {path}"), error).at(path.clone()))
        };
        let cells = tree(self.pid())?;
        // With a shared pid namespace, the others in it are not the cell's.
        if cells == tree(std::process::id())? {
            return processes::below(self.pid().cast_signed());
        }
        let mut known = BTreeSet::new();
        let mut list = processes::all()?;
        list.retain(|process| {
            // A process that the caller may not look at is another user's, or an entered warden.
            let inside = known.contains(&process.parent)
                || tree(process.pid).is_ok_and(|other| other == cells);
            inside && known.insert(process.pid)
        });
        Ok(list)
    }

    /// The processes inside without the wardens.
    fn payload(&self) -> Result<Vec<Process>> {
        let mut list = self.inside()?;
        let known: BTreeSet<u32> = list.iter().map(|process| process.pid).collect();
        // Only the warden of an entered command has both a parent outside and a reserved id.
        let entrants = FIRST_ENTRANT..FIRST_ENTRANT + ENTRANTS_COUNT;
        list.retain(|process| {
            let entered = !known.contains(&process.parent)
                && process.pids.last().is_some_and(|id| entrants.contains(id));
            process.pid != self.pid() && !entered
        });
        Ok(list)
    }

    /// A descriptor of the warden's process, checked to be the warden and alive.
    fn warden(&self) -> Result<OwnedFd> {
        let lost = || gone(&format!("cell {}", self.name()));
        let pidfd = sys::pidfd_open(self.pid()).map_err(|error| match error.raw_os_error() {
            Some(libc::ESRCH) => lost(),
            _ => Error::io(format!("open the warden of the cell {}", self.name()), error),
        })?;
        // The descriptor is the warden's if the warden still lives now.
        match self.warden.life() {
            Life::Lives => Ok(pidfd),
            Life::Ended => Err(lost()),
            Life::Unknown => {
                Err(Error::new(ErrorKind::WardenLost, format!("look at the cell {}", self.name()))
                    .because("the caller's /proc does not show whether it lives"))
            }
        }
    }
}
