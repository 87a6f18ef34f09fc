//! Collects what commands write. All pipes are read at the same time, so that none fills up and
//! blocks its command. Each stream is collected up to a bound, so that no command fills the
//! caller's memory.

use crate::base::error::{Error, Result};
use crate::base::sys;
use crate::host::socket::wait_for_any;
use crate::host::terminal;
use crate::run::child::Child;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

/// The most bytes of one stream that are collected, if the policy sets no limit on output.
pub const BOUND: u64 = 64 << 20;

/// A pipe that is still open.
struct Pipe {
    file: File,
    child: usize,
    /// 0 for standard output, 1 for standard error.
    stream: usize,
    /// Set once the command has ended: how many bytes in the pipe are still to be read. What comes
    /// after them is from other processes in the cell.
    remaining: Option<usize>,
}

/// More than a terminal can hold for its reader when the writer has ended: 4 KiB that FIONREAD
/// counts, and 8 KiB that are still on their way there.
const TERMINAL_HOLDS: usize = 16 << 10;

impl Pipe {
    /// Notes that the command has ended. Its last output is in the pipe. A terminal may deliver it
    /// only when it is polled, so there the number of bytes is a bound.
    fn note_end(&mut self) {
        self.remaining = Some(if self.file.is_terminal() {
            TERMINAL_HOLDS
        } else {
            sys::pending(self.file.as_fd())
        });
    }

    /// Reads the next bytes. 0 means the end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = self.remaining.unwrap_or(usize::MAX).min(buffer.len());
        let length =
            if room == 0 { 0 } else { terminal::end_is_end(self.file.read(&mut buffer[..room]))? };
        self.remaining = self.remaining.map(|bytes| bytes - length);
        Ok(length)
    }
}

/// Reads the pipes of all children until end-of-file. For a command in a cell, reads only until the
/// command ends: processes that it leaves behind may hold the pipe open for ever. Stops a command
/// that writes more than the bound.
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
                remaining: None,
            }));
        }
    }
    let mut buffer = vec![0; 64 << 10];
    while !pipes.is_empty() {
        let watches_end =
            |pipe: &&Pipe| children[pipe.child].pipes_may_stay() && pipe.remaining.is_none();
        let watched: Vec<usize> = pipes.iter().filter(watches_end).map(|pipe| pipe.child).collect();
        let streams = pipes.iter().map(|pipe| pipe.file.as_fd());
        let fds: Vec<_> =
            streams.chain(watched.iter().map(|child| children[*child].pidfd())).collect();
        let deadline = children.iter().filter_map(Child::deadline).min();
        // The rest of an ended command's output is in the pipe already: poll without waiting.
        let until = if pipes.iter().any(|pipe| pipe.remaining.is_some()) {
            Some(Instant::now())
        } else {
            deadline
        };
        let ready =
            if fds.len() == 1 && until.is_none() { vec![true] } else { wait_for_any(&fds, until)? };
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            // End what is overdue and has not been ended by its warden. Its pipes then come to
            // their ends.
            children.iter_mut().try_for_each(|child| child.enforce_deadlines(false))?;
        }
        let (ready, ended) = ready.split_at(pipes.len());
        if ended.contains(&true) {
            for pipe in &mut pipes {
                if watched.iter().zip(ended).any(|(child, ended)| *child == pipe.child && *ended) {
                    pipe.note_end();
                }
            }
            // Poll again before reading: the command may have written its last output after the
            // poll.
            continue;
        }
        let mut next = ready.iter().copied();
        let mut failure = None;
        pipes.retain_mut(|pipe| {
            if !next.next().unwrap_or(false) {
                return pipe.remaining.is_none();
            }
            let child = &mut children[pipe.child];
            let bound = child.bound();
            let into = &mut collected[pipe.child][pipe.stream];
            match pipe.read(&mut buffer) {
                Ok(0) => false,
                Ok(length) => {
                    let room = usize::try_from(bound).unwrap_or(usize::MAX) - into.len();
                    into.extend_from_slice(&buffer[..length.min(room)]);
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
