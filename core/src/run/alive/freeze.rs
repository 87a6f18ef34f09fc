//! Standing still and going on: everything inside, or one command of many.

use super::Alive;
use crate::base::declared::named;
use crate::base::error::Result;
use crate::base::processes::{self, Process};
use crate::host::cgroup::Froze;
use crate::host::socket::Socket;
use crate::wire::message::Request;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

named! {
    /// By what a command, or a whole cell, was frozen.
    Freezer {
        /// `cgroup.freeze` of cgroup v2: the kernel, all at once.
        CgroupV2 = "cgroup-v2",
        /// The freezer of cgroup v1: the kernel, all at once.
        CgroupV1 = "cgroup-v1",
        /// SIGSTOP to every process. Weaker: a parent inside sees its child stopped, and a process that is sent SIGCONT
        /// goes on.
        Signal = "sigstop",
    }
}

impl Alive {
    /// Stops everything inside, until [`Alive::thaw`]; by what.
    pub fn freeze(&self) -> Result<Freezer> {
        let warden = self.warden.pid();
        let inside = || -> Result<Vec<i32>> {
            let all = processes::below(warden)?
                .into_iter()
                .filter_map(|process| i32::try_from(process.pid).ok());
            Ok(all.filter(|pid| *pid != warden).collect())
        };
        let _closed = self.gate.close();
        match self.enforcement().cgroup.freeze(warden, inside)? {
            Some(Froze::V2) => Ok(Freezer::CgroupV2),
            Some(Froze::V1(state)) => {
                self.ask(None, &Request::Frozen {}, &[state.as_fd()])?;
                Ok(Freezer::CgroupV1)
            }
            None => self.stop(None, || self.processes()),
        }
    }

    /// Stops what is spoken of over this socket by signal, and waits until all `those` but the
    /// first stand still: who waits for a disk does so only afterwards, and is not waited for
    /// long.
    pub fn stop(
        &self,
        socket: Option<&Socket>,
        those: impl Fn() -> Result<Vec<Process>>,
    ) -> Result<Freezer> {
        const ROUNDS: u32 = 200;
        const PAUSE: Duration = Duration::from_millis(2);
        self.ask(socket, &Request::Stop { on: true }, &[])?;
        for _ in 0..ROUNDS {
            let still = |process: &Process| matches!(process.state, 'T' | 't' | 'Z' | 'X');
            if those()?.iter().skip(usize::from(socket.is_none())).all(still) {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        Ok(Freezer::Signal)
    }

    /// Lets everything inside go on.
    pub fn thaw(&self) -> Result<()> {
        if self.enforcement().cgroup.thaw()? {
            Ok(())
        } else {
            self.ask(None, &Request::Stop { on: false }, &[])
        }
    }

    /// Asks the warden something; no error if it has ended meanwhile: its report says how.
    pub fn ask(
        &self,
        socket: Option<&Socket>,
        request: &Request<'_>,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<()> {
        match self.warden.send_over(socket, request, descriptors) {
            Err(error) if error.kind() == crate::base::error::ErrorKind::WardenLost => Ok(()),
            result => result,
        }
    }
}
