//! Collecting what commands write: from all their pipes at once, so that none can fill up and block
//! its command, and never more than a bound of each, so that no command fills the caller's memory.

use crate::base::error::{Error, Result};
use crate::base::sys;
use crate::host::socket::wait_for_any;
use crate::host::terminal;
use crate::run::child::Child;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

/// The most bytes of one stream that are collected, if the policy sets no limit on the output.
pub const BOUND: u64 = 64 << 20;

/// A pipe that is still open, and whose it is.
struct Pipe {
    file: File,
    child: usize,
    /// Standard output, or standard error.
    stream: usize,
    /// The command has ended, and others in its cell may go on to write: so much of what is in the
    /// pipe is still its own.
    rest: Option<usize>,
}

/// More than a terminal holds for its reader: 4 KiB where FIONREAD sees them, and 8 KiB on their
/// way there. Some of it may be on its way when the writer has ended.
const TERMINAL_HOLDS: usize = 16 << 10;

impl Pipe {
    /// Its command has ended: what it wrote last is there, or in a terminal comes when it is
    /// polled.
    fn ended(&mut self) {
        self.rest = Some(if self.file.is_terminal() {
            TERMINAL_HOLDS
        } else {
            sys::pending(self.file.as_fd())
        });
    }

    /// Reads a piece; 0 at the end.
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let room = self.rest.unwrap_or(usize::MAX).min(piece.len());
        let length =
            if room == 0 { 0 } else { terminal::end_is_end(self.file.read(&mut piece[..room]))? };
        self.rest = self.rest.map(|rest| rest - length);
        Ok(length)
    }
}

/// Reads the pipes of all children to their ends, or of one among others, to its end: what it has
/// left behind may hold them open for ever. Who writes more than the bound is stopped.
pub fn collect(children: &mut [Child]) -> Result<Vec<[Vec<u8>; 2]>> {
    let mut collected: Vec<[Vec<u8>; 2]> = Vec::new();
    let mut pipes = Vec::new();
    for (number, child) in children.iter_mut().enumerate() {
        collected.push(Default::default());
        let written = child
            .stdout
            .take()
            .map(OwnedFd::from)
            .or_else(|| child.terminal.take().map(OwnedFd::from));
        let streams = [written, child.stderr.take().map(OwnedFd::from)];
        for (stream, fd) in streams.into_iter().enumerate() {
            pipes.extend(fd.map(|fd| Pipe {
                file: File::from(fd),
                child: number,
                stream,
                rest: None,
            }));
        }
    }
    let mut piece = vec![0; 64 << 10];
    while !pipes.is_empty() {
        let waits = |pipe: &&Pipe| children[pipe.child].pipes_may_stay() && pipe.rest.is_none();
        let ends: Vec<usize> = pipes.iter().filter(waits).map(|pipe| pipe.child).collect();
        let streams = pipes.iter().map(|pipe| pipe.file.as_fd());
        let fds: Vec<_> =
            streams.chain(ends.iter().map(|child| children[*child].pidfd())).collect();
        let deadline = children.iter().filter_map(Child::deadline).min();
        // A rest is there already.
        let until = if pipes.iter().any(|pipe| pipe.rest.is_some()) {
            Some(Instant::now())
        } else {
            deadline
        };
        let ready =
            if fds.len() == 1 && until.is_none() { vec![true] } else { wait_for_any(&fds, until)? };
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            // What should have ended by now is ended here, if its warden has not: then its pipes
            // are at their ends.
            children.iter_mut().try_for_each(|child| child.hold(false))?;
        }
        let (ready, ended) = ready.split_at(pipes.len());
        if ended.contains(&true) {
            for pipe in &mut pipes {
                if ends.iter().zip(ended).any(|(child, ended)| *child == pipe.child && *ended) {
                    pipe.ended();
                }
            }
            // They are looked at again: what was written last may have come after the look at them.
            continue;
        }
        let mut next = ready.iter().copied();
        let mut failure = None;
        pipes.retain_mut(|pipe| {
            if !next.next().unwrap_or(false) {
                return pipe.rest.is_none();
            }
            let child = &mut children[pipe.child];
            let bound = child.bound();
            let into = &mut collected[pipe.child][pipe.stream];
            match pipe.read(&mut piece) {
                Ok(0) => false,
                Ok(length) => {
                    let room = usize::try_from(bound).unwrap_or(usize::MAX) - into.len();
                    into.extend_from_slice(&piece[..length.min(room)]);
                    if length > room {
                        failure = child.overflow(bound).err().or(failure.take());
                    }
                    length <= room
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
                Err(error) => {
                    failure = Some(Error::io("read what the command writes", error));
                    false
                }
            }
        });
        if let Some(error) = failure {
            return Err(error);
        }
    }
    Ok(collected)
}
