//! `seclude_processes`: a list of processes in a sandbox or a namespace, at one moment.

use crate::boundary::{free, query};
use seclude_core::Process;
use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::Arc;

/// A list of processes at one moment, as the caller sees them. It never changes.
///
/// Names and command lines are the processes' own claims. For an index past the end, the functions
/// return 0 or NULL.
pub struct seclude_processes {
    list: Vec<ProcessEntry>,
}

struct ProcessEntry {
    process: Arc<Process>,
    name: CString,
    command: Vec<CString>,
}

impl seclude_processes {
    pub(crate) fn new(list: Vec<Process>) -> seclude_processes {
        seclude_processes::shared(list.into_iter().map(Arc::new).collect())
    }

    pub(crate) fn shared(list: Vec<Arc<Process>>) -> seclude_processes {
        // The kernel ends each of these words with a NUL, so they contain none.
        let word = |word: &str| CString::new(word).unwrap_or_default();
        let entry = |process: Arc<Process>| ProcessEntry {
            name: word(&process.name),
            command: process.command.iter().map(|text| word(text)).collect(),
            process,
        };
        seclude_processes { list: list.into_iter().map(entry).collect() }
    }
}

fn of<A>(
    processes: *const seclude_processes,
    index: usize,
    otherwise: A,
    ask: impl FnOnce(&ProcessEntry) -> Option<A>,
) -> A {
    query(processes, otherwise, |processes| processes.list.get(index).and_then(ask))
}

/// Frees a list. NULL is a no-op. Lists that are borrowed from `seclude_namespaces` are not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_processes_free(processes: *mut seclude_processes) {
    free(processes);
}

/// Returns the number of processes in the list. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_processes_count(processes: *const seclude_processes) -> usize {
    query(processes, 0, |processes| Some(processes.list.len()))
}

/// Returns a process's id in the caller's pid namespace.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_processes_pid(
    processes: *const seclude_processes,
    index: usize,
) -> u32 {
    of(processes, index, 0, |entry| Some(entry.process.pid))
}

/// Returns a process's id in the sandbox's pid namespace, where the warden is 1.
///
/// If the sandbox shares the caller's pid namespace, this is the id there. In a list of
/// `seclude_namespaces`, it is the id in the process's own pid namespace.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_processes_inside_pid(
    processes: *const seclude_processes,
    index: usize,
) -> u32 {
    of(processes, index, 0, |entry| Some(entry.process.inside_pid))
}

/// Returns one of a process's ids, from the caller's pid namespace (`level` 0) inwards. 0 past the
/// last. A process in a sandbox inside a sandbox has more than two.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_processes_pid_at(
    processes: *const seclude_processes,
    index: usize,
    level: usize,
) -> u32 {
    of(processes, index, 0, |entry| entry.process.pids.get(level).copied())
}

/// Returns the id of a process's parent in the caller's pid namespace.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_processes_parent(
    processes: *const seclude_processes,
    index: usize,
) -> u32 {
    of(processes, index, 0, |entry| Some(entry.process.parent))
}

/// Returns a process's user id in the caller's user namespace. `UINT32_MAX`, which is no user's,
/// past the end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_processes_uid(
    processes: *const seclude_processes,
    index: usize,
) -> u32 {
    of(processes, index, u32::MAX, |entry| Some(entry.process.uid))
}

/// Returns a process's state: 'R' running, 'S' sleeping, 'D' in uninterruptible sleep, 'T' stopped,
/// 'Z' a zombie, which has ended but was not waited for. 'T' and 'Z' mean all its threads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_processes_state(
    processes: *const seclude_processes,
    index: usize,
) -> c_char {
    of(processes, index, 0, |entry| c_char::try_from(u32::from(entry.process.state)).ok())
}

/// Returns a process's name, at most 15 bytes, which the process can set with prctl(2). Borrowed:
/// valid until the list is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_processes_name(
    processes: *const seclude_processes,
    index: usize,
) -> *const c_char {
    of(processes, index, ptr::null(), |entry| Some(entry.name.as_ptr()))
}

/// Returns one word of a process's command line, from 0. NULL past the last. Borrowed: valid until
/// the list is freed.
///
/// Where the kernel shows no command line, word 0 is the name in brackets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_processes_argument(
    processes: *const seclude_processes,
    index: usize,
    argument: usize,
) -> *const c_char {
    of(processes, index, ptr::null(), |entry| Some(entry.command.get(argument)?.as_ptr()))
}
