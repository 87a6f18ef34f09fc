//! What another process of the user can do to a published cell as a whole.

use super::{Life, NamedCell};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::processes::{self, Process};
use crate::base::sys;
use crate::host::namespace::gone;
use std::os::fd::{AsFd, OwnedFd};

impl NamedCell {
    /// Every process inside, the warden first: its ids inside and outside, parent, command, user.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the cell has ended, or an error if the caller's `/proc` cannot be
    /// read.
    pub fn processes(&self) -> Result<Vec<Process>> {
        self.warden()?;
        processes::below(self.root())
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
        if processes::stop_below(self.root())? {
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
        processes::continue_below(self.root())
    }

    /// Kills every process inside. The cell stays, with its files.
    ///
    /// Commands end as if a process of the cell had killed them: as
    /// [`Ended::Signaled`](crate::Ended::Signaled).
    ///
    /// # Errors
    ///
    /// As for [`NamedCell::processes`].
    pub fn kill_all(&self) -> Result<()> {
        self.warden()?;
        processes::kill_below(self.root());
        Ok(())
    }

    /// Ends the cell and everything inside, by killing its warden. For the cell's own caller its
    /// commands end as [`Ended::WardenLost`](crate::Ended::WardenLost).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the cell has ended, or an error if its warden cannot be signalled.
    pub fn close(&self) -> Result<()> {
        let warden = self.warden()?;
        // Where the process tree is shared, the kernel does not end it with the warden.
        processes::kill_below(self.root());
        sys::pidfd_send_signal(warden.as_fd(), libc::SIGKILL)
            .map_err(|error| Error::io(format!("end the cell {}", self.name()), error))
    }

    fn root(&self) -> i32 {
        self.pid().cast_signed()
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
