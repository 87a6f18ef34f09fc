//! Freezing and thawing: everything in a sandbox, or one command in a cell.

use super::Alive;
use crate::base::declared::named;
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::processes::{self, Process};
use crate::host::cgroup::Froze;
use crate::host::socket::Socket;
use crate::wire::message::Request;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(2);

named! {
    /// The mechanism that froze a command, or a whole cell.
    Freezer {
        /// `cgroup.freeze` of cgroup v2: the kernel stops all processes at once.
        CgroupV2 = "cgroup-v2",
        /// The freezer of cgroup v1: the kernel stops all processes at once.
        CgroupV1 = "cgroup-v1",
        /// SIGSTOP to every process. This is weaker: a parent inside can see that its child has
        /// stopped, and a process that gets SIGCONT continues.
        Signal = "sigstop",
    }
}

impl Alive {
    /// Stops everything in the sandbox until [`Alive::thaw`]. Returns the mechanism that did it.
    pub fn freeze(&self) -> Result<Freezer> {
        let warden = self.warden.pid();
        let inside = || -> Result<Vec<i32>> {
            // One that has ended cannot be moved, and its frozen parent does not reap it.
            let all = processes::below(warden)?.into_iter().filter(|process| !process.has_ended());
            let threads = all.filter_map(|process| i32::try_from(process.thread).ok());
            Ok(threads.filter(|thread| *thread != warden).collect())
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

    /// Stops by SIGSTOP the processes that the warden manages over `socket`, and waits until all of
    /// `processes` have stopped. Without a socket of its own, the first is the warden, which does
    /// not stop.
    ///
    /// The parent of a vfork(2) stops only when its child has executed a program, which a stopped
    /// child does not. So everything continues for a moment between the attempts.
    ///
    /// # Errors
    ///
    /// An error if one of them still runs in every attempt. A process in uninterruptible sleep,
    /// such as one that waits for a disk, stops only afterwards. Nothing stays stopped after an
    /// error.
    pub fn stop(
        &self,
        socket: Option<&Socket>,
        processes: impl Fn() -> Result<Vec<Process>>,
    ) -> Result<Freezer> {
        const ATTEMPTS: u32 = 20;
        const TIME: Duration = Duration::from_millis(50);
        let start = Instant::now();
        for _ in 0..ATTEMPTS {
            let stopped = self.try_stop(socket, &processes, TIME);
            if matches!(stopped, Ok(true)) {
                return Ok(Freezer::Signal);
            }
            self.ask(socket, &Request::Stop { on: false }, &[])?;
            stopped?;
            std::thread::sleep(PAUSE);
        }
        let waited = start.elapsed().as_millis();
        Err(Error::new(ErrorKind::HostLimit, "freeze everything inside")
            .because(format!("SIGSTOP has not stopped all of it after {waited} ms"))
            .hint("a process that waits for a disk stops only afterwards: try again"))
    }

    /// Sends SIGSTOP until everything has stopped, for this long. Returns whether it has.
    fn try_stop(
        &self,
        socket: Option<&Socket>,
        processes: &impl Fn() -> Result<Vec<Process>>,
        time: Duration,
    ) -> Result<bool> {
        let end = Instant::now() + time;
        loop {
            // In each round, for what has been forked since the last one.
            self.ask(socket, &Request::Stop { on: true }, &[])?;
            if processes()?.iter().skip(usize::from(socket.is_none())).all(Process::is_still) {
                return Ok(true);
            }
            if Instant::now() > end {
                return Ok(false);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Lets everything in the sandbox continue.
    pub fn thaw(&self) -> Result<()> {
        if self.enforcement().cgroup.thaw()? {
            Ok(())
        } else {
            self.ask(None, &Request::Stop { on: false }, &[])
        }
    }

    /// Sends a request to the warden. A warden that has ended is no error here: its report says how
    /// it ended.
    pub fn ask(
        &self,
        socket: Option<&Socket>,
        request: &Request<'_>,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<()> {
        match self.warden.send_over(socket, request, descriptors) {
            Err(error) if error.kind() == ErrorKind::WardenLost => Ok(()),
            result => result,
        }
    }
}
