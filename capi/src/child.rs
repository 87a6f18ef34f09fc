//! `seclude_child`: a running command: watched, waited for, signalled, ended.

use crate::boundary::{Answer, change, code, free, made, read, told, write_sized};
use crate::error::{SECLUDE_EINVAL, seclude_error};
use crate::outcome::{enforced, seclude_outcome};
use crate::output::seclude_output;
use crate::processes::seclude_processes;
use seclude_core::{Child, Enforced, Error, Outcome};
use std::ffi::c_int;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// A running command. Freeing it kills everything inside; so does the caller's end, however it
/// comes.
pub struct seclude_child {
    pub(crate) state: State,
    pid: u32,
    inside_pid: u32,
    pub(crate) enforced: Enforced,
}

pub(crate) enum State {
    Held(Box<Child>),
    /// The core's child was used up by `seclude_child_wait_with_output`: what is left is its end.
    Collected(Box<Answer<Outcome>>),
}

impl seclude_child {
    pub(crate) fn new(child: Child) -> seclude_child {
        seclude_child {
            pid: child.id(),
            inside_pid: child.inside_id(),
            enforced: child.enforced(),
            state: State::Held(Box::new(child)),
        }
    }

    /// Its end, from the core's child by `ask`, or as it was collected.
    fn end(
        &mut self,
        ask: impl FnOnce(&mut Child) -> Result<Option<Outcome>, Error>,
    ) -> Answer<Option<Outcome>> {
        match &mut self.state {
            State::Held(child) => Ok(ask(child)?),
            State::Collected(outcome) => outcome.as_ref().clone().map(Some),
        }
    }
}

/// Answers a wait: 1 and `*outcome` if it has ended, 0 if not.
fn answer(outcome: *mut seclude_outcome, size: usize, ended: Option<Outcome>) -> Answer<c_int> {
    let Some(ended) = ended else { return Ok(0) };
    write_sized(outcome, size, seclude_outcome::new(&ended)?);
    Ok(1)
}

/// Kills everything inside, waits until it is gone, closes what was not taken, and frees the
/// object. NULL is a no-op.
///
/// In a process that the caller forked, it only closes that process's copies: what runs inside is
/// not harmed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_free(child: *mut seclude_child) {
    free(child);
}

/// A descriptor of the command's first process, for poll(2) and event loops: readable once that has
/// ended. After that, `seclude_child_wait` and `seclude_child_try_wait` return promptly. Borrowed:
/// never close it; valid until the child is freed or its output collected. `SECLUDE_EINVAL` after
/// that, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_pidfd(child: *const seclude_child) -> c_int {
    told(child, SECLUDE_EINVAL, |child| match &child.state {
        State::Held(child) => Some(child.pidfd().as_raw_fd()),
        State::Collected(_) => None,
    })
}

/// The command's process id, as the caller sees it. 0 if the caller's `/proc` does not tell, and
/// for NULL. It is not the caller's own child: wait with the functions here, not with waitpid(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_pid(child: *const seclude_child) -> u32 {
    told(child, 0, |child| Some(child.pid))
}

/// The command's process id, as it sees itself. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_inside_pid(child: *const seclude_child) -> u32 {
    told(child, 0, |child| Some(child.inside_pid))
}

/// The `SECLUDE_PROTECTION_...` that are enforced on it, joined by `|`. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_enforced(child: *const seclude_child) -> u64 {
    told(child, 0, |child| Some(enforced(&child.enforced)))
}

/// The ABI of Landlock that is in force on it; 0 if none is, and for NULL. What it rules are the
/// `SECLUDE_PROTECTION_LANDLOCK_...` among the enforced.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_landlock_abi(child: *const seclude_child) -> u32 {
    told(child, 0, |child| child.enforced.landlock_abi())
}

/// Takes the write end of its standard input, if that was piped. Owned: the caller closes it.
/// Close-on-exec and blocking. A second time, or if it was not piped, `SECLUDE_EINVAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_take_stdin(child: *mut seclude_child) -> c_int {
    take(child, |child| child.stdin.take().map(IntoRawFd::into_raw_fd))
}

/// Takes the read end of its standard output, as `seclude_child_take_stdin`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_take_stdout(child: *mut seclude_child) -> c_int {
    take(child, |child| child.stdout.take().map(IntoRawFd::into_raw_fd))
}

/// Takes the read end of its standard error, as `seclude_child_take_stdin`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_take_stderr(child: *mut seclude_child) -> c_int {
    take(child, |child| child.stderr.take().map(IntoRawFd::into_raw_fd))
}

/// Takes the other side of its terminal, if a stream was `SECLUDE_STDIO_PTY`: what is written to
/// it, the command reads, and the other way round, by the terminal's rules. Owned: closing it, and
/// every copy of it, hangs up, and the command gets SIGHUP. read(2) fails with EIO when
/// nobody inside has the terminal open any more: that is its end. Otherwise as
/// `seclude_child_take_stdin`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_take_terminal(child: *mut seclude_child) -> c_int {
    take(child, |child| child.terminal.take().map(|terminal| OwnedFd::from(terminal).into_raw_fd()))
}

fn take(child: *mut seclude_child, pipe: impl FnOnce(&mut Child) -> Option<c_int>) -> c_int {
    code(std::ptr::null_mut(), || match &mut change("child", child)?.state {
        State::Held(child) => {
            child.forget_lost();
            pipe(child)
                .ok_or_else(|| seclude_error::invalid("stream", "was not piped, or taken already"))
        }
        State::Collected(_) => Err(seclude_error::invalid("stream", "was collected")),
    })
}

/// Waits for its end, and writes how it ended to `*outcome`, a structure of `size` bytes; `outcome`
/// may be NULL. 0 if it ended, however it did. Its standard input, if piped and not taken, is
/// closed first, so that a command that reads it to its end does end. When this returns, nothing of
/// the sandbox is left. Calling it again gives the same answer.
///
/// While it blocks, no other thread may use the child. Who wants to kill from elsewhere waits for
/// `seclude_child_pidfd` with poll(2), or with `seclude_child_wait_timeout`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_wait(
    child: *mut seclude_child,
    outcome: *mut seclude_outcome,
    size: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let ended = change("child", child)?.end(|child| child.wait().map(Some))?;
        answer(outcome, size, ended).map(|_| 0)
    })
}

/// Waits for its end for at most so many milliseconds: 1 and `*outcome` if it has ended, 0 if it
/// still runs. Does not close its standard input.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_wait_timeout(
    child: *mut seclude_child,
    milliseconds: u64,
    outcome: *mut seclude_outcome,
    size: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let ended = change("child", child)?
            .end(|child| child.wait_timeout(Duration::from_millis(milliseconds)))?;
        answer(outcome, size, ended)
    })
}

/// Its end, without waiting for it: 1 and `*outcome` if it has ended, 0 if it still runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_try_wait(
    child: *mut seclude_child,
    outcome: *mut seclude_outcome,
    size: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let ended = change("child", child)?.end(Child::try_wait)?;
        answer(outcome, size, ended)
    })
}

/// Reads both of its pipes to their ends, at once, so that neither can fill up and block the
/// command; then waits. 0 if it ended, however it did, and `*output` is new: free it with
/// `seclude_output_free`. What it writes is kept in memory, as much of it as
/// `seclude_sandbox_output` allows, or 64 MiB of each stream; who writes more is killed:
/// `SECLUDE_ENDED_OUTPUT_LIMIT`.
///
/// Afterwards the child answers waits and its ids; it has no descriptors and no processes any more.
/// It must still be freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_wait_with_output(
    child: *mut seclude_child,
    output: *mut *mut seclude_output,
    err: *mut *mut seclude_error,
) -> c_int {
    made("output", output, err, || {
        let object = change("child", child)?;
        let gone = || Err(seclude_error::invalid("output", "was collected already"));
        if matches!(object.state, State::Collected(_)) {
            return gone();
        }
        // Should the core panic half way, this is what later calls see.
        let lost =
            State::Collected(Box::new(Err(seclude_error::internal("output", "a panic lost it"))));
        let State::Held(child) = std::mem::replace(&mut object.state, lost) else { return gone() };
        let output = child.wait_with_output().map_err(seclude_error::from);
        let end = output.as_ref().map(|output| output.outcome.clone()).map_err(Clone::clone);
        object.state = State::Collected(Box::new(end));
        seclude_output::new(output?)
    })
}

/// When to ask again, for a program that only polls: in so many milliseconds it must have ended by
/// its limits on time, or by `seclude_child_kill`, and a `seclude_child_try_wait` after that ends
/// it if its warden has not. A timeout for poll(2): 0 if that moment has passed, -1 if there is
/// none, the child has ended, or is NULL. The functions that wait need no such care.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_deadline(child: *const seclude_child) -> c_int {
    told(child, -1, |child| match &child.state {
        State::Held(child) => child.deadline().map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            c_int::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX)
        }),
        State::Collected(_) => None,
    })
}

/// Kills the command and everything that it started. The end is `SECLUDE_ENDED_KILLED`, unless it
/// came before. Does not wait; if the warden does not do it within a second, the next call that
/// waits does. 0 also if it has ended already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_kill(
    child: *mut seclude_child,
    err: *mut *mut seclude_error,
) -> c_int {
    request(child, err, Child::kill)
}

/// Sends a signal, 1 to 64, to the command's first process. 0 also if it has ended already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_signal(
    child: *mut seclude_child,
    signal: c_int,
    err: *mut *mut seclude_error,
) -> c_int {
    request(child, err, |child| child.signal(signal))
}

/// What has nothing to do, and no error to tell, once the command has ended.
pub(crate) fn request(
    child: *mut seclude_child,
    err: *mut *mut seclude_error,
    ask: impl FnOnce(&mut Child) -> Result<(), Error>,
) -> c_int {
    code(err, || {
        match &mut change("child", child)?.state {
            State::Held(child) => ask(child)?,
            State::Collected(_) => {}
        }
        Ok(0)
    })
}

/// Every process inside, the warden first, each after its parent: 0, and `*processes` is a new
/// list, a picture of this moment. Free it with `seclude_processes_free`. The list is empty once
/// the command's end is known.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_processes(
    child: *const seclude_child,
    processes: *mut *mut seclude_processes,
    err: *mut *mut seclude_error,
) -> c_int {
    made("processes", processes, err, || match &read("child", child)?.state {
        State::Held(child) => Ok(seclude_processes::new(child.processes()?)),
        State::Collected(_) => Ok(seclude_processes::new(Vec::new())),
    })
}
