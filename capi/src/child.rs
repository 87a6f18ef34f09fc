//! `seclude_child`: a running command, with the functions to wait for, signal and kill it.

use crate::boundary::{Answer, change, code, create, free, query, read, write_sized};
use crate::error::{SECLUDE_EINVAL, seclude_error};
use crate::outcome::{enforced, seclude_outcome};
use crate::output::seclude_output;
use crate::processes::seclude_processes;
use seclude_core::{Child, Enforced, Error, Outcome};
use std::ffi::c_int;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// A running command.
///
/// Everything inside is killed when the child is freed, and when the calling process ends, in
/// whichever way.
pub struct seclude_child {
    pub(crate) state: State,
    pid: u32,
    inside_pid: u32,
    pub(crate) enforced: Enforced,
}

pub(crate) enum State {
    Held(Box<Child>),
    /// `seclude_child_wait_with_output` has consumed the core's child. Its end is left.
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

    /// The end of the command: from the core's child by `ask`, or the collected one.
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

/// The result of a wait: 1 and `*outcome` if the command has ended, otherwise 0.
fn answer(outcome: *mut seclude_outcome, size: usize, ended: Option<Outcome>) -> Answer<c_int> {
    let Some(ended) = ended else { return Ok(0) };
    write_sized(outcome, size, seclude_outcome::new(&ended)?);
    Ok(1)
}

/// Kills everything inside, waits until it is gone, closes the descriptors that were not taken, and
/// frees the child. NULL is a no-op.
///
/// In a process that the caller forked, this only closes that process's copies of the descriptors.
/// The processes inside live on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_free(child: *mut seclude_child) {
    free(child);
}

/// Returns a pidfd of the command's first process, for poll(2) and event loops: pidfd_open(2).
///
/// It becomes readable when that process has ended. `seclude_child_wait` and
/// `seclude_child_try_wait` then return promptly. Borrowed: never close it. It is valid until the
/// child is freed or its output collected. Afterwards, and for NULL, this returns `SECLUDE_EINVAL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_pidfd(child: *const seclude_child) -> c_int {
    query(child, SECLUDE_EINVAL, |child| match &child.state {
        State::Held(child) => Some(child.pidfd().as_raw_fd()),
        State::Collected(_) => None,
    })
}

/// Returns the process id of the command's first process in the caller's pid namespace. 0 if the
/// caller's `/proc` does not show it, and for NULL.
///
/// The process is no child of the caller: wait for it with the functions here, not with waitpid(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_pid(child: *const seclude_child) -> u32 {
    query(child, 0, |child| Some(child.pid))
}

/// Returns the process id of the command's first process in the sandbox's pid namespace. 0 for
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_inside_pid(child: *const seclude_child) -> u32 {
    query(child, 0, |child| Some(child.inside_pid))
}

/// Returns the protections that are active, `SECLUDE_PROTECTION_...` joined by `|`. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_enforced(child: *const seclude_child) -> u64 {
    query(child, 0, |child| Some(enforced(&child.enforced)))
}

/// Returns the Landlock ABI that the ruleset uses; 0 without Landlock, and for NULL.
///
/// The `SECLUDE_PROTECTION_LANDLOCK_...` in `seclude_child_enforced` tell what Landlock restricts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_landlock_abi(child: *const seclude_child) -> u32 {
    query(child, 0, |child| child.enforced.landlock_abi())
}

/// Takes the write end of the command's standard input, if that is a pipe.
///
/// Returns the descriptor, or `SECLUDE_EINVAL` if the stream is no pipe or was taken before. Owned:
/// the caller closes it. It is close-on-exec and blocking.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_take_stdin(child: *mut seclude_child) -> c_int {
    take_stream(child, |child| child.stdin.take().map(IntoRawFd::into_raw_fd))
}

/// Takes the read end of the command's standard output, as `seclude_child_take_stdin` does.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_take_stdout(child: *mut seclude_child) -> c_int {
    take_stream(child, |child| child.stdout.take().map(IntoRawFd::into_raw_fd))
}

/// Takes the read end of the command's standard error, as `seclude_child_take_stdin` does.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_take_stderr(child: *mut seclude_child) -> c_int {
    take_stream(child, |child| child.stderr.take().map(IntoRawFd::into_raw_fd))
}

/// Takes the other side of the command's terminal, if a stream is `SECLUDE_STDIO_PTY`. Otherwise
/// like `seclude_child_take_stdin`.
///
/// The command reads what the caller writes there, and the caller reads what the command writes, by
/// the rules of a terminal. Once the last copy is closed, the command gets SIGHUP. read(2) fails
/// with EIO when no process inside has the terminal open any more.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_take_terminal(child: *mut seclude_child) -> c_int {
    take_stream(child, |child| {
        child.terminal.take().map(|terminal| OwnedFd::from(terminal).into_raw_fd())
    })
}

fn take_stream(child: *mut seclude_child, pipe: impl FnOnce(&mut Child) -> Option<c_int>) -> c_int {
    code(std::ptr::null_mut(), || match &mut change("child", child)?.state {
        State::Held(child) => {
            child.forget_lost();
            pipe(child)
                .ok_or_else(|| seclude_error::invalid("stream", "was not piped, or taken already"))
        }
        State::Collected(_) => Err(seclude_error::invalid("stream", "was collected")),
    })
}

/// Waits until the command has ended, and writes to `*outcome` how it ended.
///
/// Returns 0 if the command ended, however it did. When this returns, nothing of the sandbox is
/// left, except for files that are to be collected. Another call gives the same result. A standard
/// input that is a pipe and was not taken is closed first, so that a command that reads it to its
/// end can end.
///
/// `size` is the size of `*outcome` in bytes. `outcome` may be NULL. While the call blocks, no
/// other thread may use the child. To kill it from another thread, wait on `seclude_child_pidfd`
/// with poll(2), or call `seclude_child_wait_timeout` repeatedly.
#[unsafe(no_mangle)]
#[must_use]
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

/// Waits until the command has ended, for at most `milliseconds`.
///
/// Returns 1 if it has ended, after writing `*outcome`, and 0 if it still runs. The standard input
/// stays open. `size` is the size of `*outcome` in bytes. `outcome` may be NULL.
#[unsafe(no_mangle)]
#[must_use]
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

/// Checks without waiting whether the command has ended. Otherwise like
/// `seclude_child_wait_timeout`.
#[unsafe(no_mangle)]
#[must_use]
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

/// Reads the command's standard output and standard error to their ends, and waits until it has
/// ended.
///
/// Returns 0 if the command ended, however it did. Both pipes are read at the same time, so that
/// neither can fill up and block the command. The output is kept in memory: of each stream, as much
/// as `seclude_sandbox_output` allows, or 64 MiB. A command that writes more is killed
/// (`SECLUDE_ENDED_OUTPUT_LIMIT`).
///
/// `*output` is owned: free it with `seclude_output_free`. It is NULL on failure. Afterwards the
/// child still answers waits and its process ids, but has no descriptors and no processes. It must
/// still be freed.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_wait_with_output(
    child: *mut seclude_child,
    output: *mut *mut seclude_output,
    err: *mut *mut seclude_error,
) -> c_int {
    create("output", output, err, || {
        let object = change("child", child)?;
        let gone = || Err(seclude_error::invalid("output", "was collected already"));
        if matches!(object.state, State::Collected(_)) {
            return gone();
        }
        // Later calls see this if the core panics meanwhile.
        let lost =
            State::Collected(Box::new(Err(seclude_error::internal("output", "a panic lost it"))));
        let State::Held(child) = std::mem::replace(&mut object.state, lost) else { return gone() };
        let output = child.wait_with_output().map_err(seclude_error::from);
        let end = output.as_ref().map(|output| output.outcome.clone()).map_err(Clone::clone);
        object.state = State::Collected(Box::new(end));
        seclude_output::new(output?)
    })
}

/// Returns in how many milliseconds to call `seclude_child_try_wait` again, for a program that only
/// polls.
///
/// By then the command must have ended because of its limits on time or of `seclude_child_kill`. If
/// the warden has not ended it, that call does. The result is a timeout for poll(2): 0 if the
/// moment has passed, -1 if there is none, if the command has ended, and for NULL. The functions
/// that wait need no such care.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_child_deadline(child: *const seclude_child) -> c_int {
    query(child, -1, |child| match &child.state {
        State::Held(child) => child.deadline().map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            c_int::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX)
        }),
        State::Collected(_) => None,
    })
}

/// Kills the command and everything that it started. Does not wait.
///
/// The end is `SECLUDE_ENDED_KILLED`, unless the command ended before. If the warden does not kill
/// it within a second, the next call that waits does. Returns 0 also if the command has ended
/// already.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_kill(
    child: *mut seclude_child,
    err: *mut *mut seclude_error,
) -> c_int {
    request(child, err, Child::kill)
}

/// Sends a signal, 1 to 64, to the command's first process. Returns 0 also if the command has ended
/// already.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_signal(
    child: *mut seclude_child,
    signal: c_int,
    err: *mut *mut seclude_error,
) -> c_int {
    request(child, err, |child| child.signal(signal))
}

/// Runs a request to a running command, which succeeds without effect once the command has ended.
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

/// Lists the processes inside at this moment: the warden first, each process after its parent.
///
/// The list is empty once the end of the command is known. `*processes` is owned: free it with
/// `seclude_processes_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_processes(
    child: *const seclude_child,
    processes: *mut *mut seclude_processes,
    err: *mut *mut seclude_error,
) -> c_int {
    create("processes", processes, err, || match &read("child", child)?.state {
        State::Held(child) => Ok(seclude_processes::new(child.processes()?)),
        State::Collected(_) => Ok(seclude_processes::new(Vec::new())),
    })
}
