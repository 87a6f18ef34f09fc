//! `seclude_processes`: the caller's view of what runs, inside a sandbox or in a namespace, at one
//! moment.

use crate::boundary::{free, told};
use seclude_core::Process;
use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::Arc;

/// A list of processes, as the caller sees them. What they call themselves is their own word. Never
/// changes. An index past the end answers 0 or NULL.
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
        // The kernel ends these words with a NUL, so none is inside.
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
    told(processes, otherwise, |processes| processes.list.get(index).and_then(ask))
}

/// Frees a list. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_processes_free(processes: *mut seclude_processes) {
    free(processes);
}

/// How many processes are in the list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_processes_count(processes: *const seclude_processes) -> usize {
    told(processes, 0, |processes| Some(processes.list.len()))
}

/// A process's id in the caller's pid namespace.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_processes_pid(
    processes: *const seclude_processes,
    index: usize,
) -> u32 {
    of(processes, index, 0, |entry| Some(entry.process.pid))
}

/// A process's id in the sandbox's pid namespace; the warden's is 1. The outside id where that
/// namespace is shared. In a list of `seclude_namespaces`, its id in the pid namespace that it is
/// in.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_processes_inside_pid(
    processes: *const seclude_processes,
    index: usize,
) -> u32 {
    of(processes, index, 0, |entry| Some(entry.process.inside_pid))
}

/// One of a process's ids, from the caller's namespace (`level` 0) inwards; 0 past the last. A
/// process in a sandbox within has more than two.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_processes_pid_at(
    processes: *const seclude_processes,
    index: usize,
    level: usize,
) -> u32 {
    of(processes, index, 0, |entry| entry.process.pids.get(level).copied())
}

/// The id of a process's parent in the caller's pid namespace.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_processes_parent(
    processes: *const seclude_processes,
    index: usize,
) -> u32 {
    of(processes, index, 0, |entry| Some(entry.process.parent))
}

/// A process's user id, as the caller sees it. `UINT32_MAX`, which is nobody's, past the end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_processes_uid(
    processes: *const seclude_processes,
    index: usize,
) -> u32 {
    of(processes, index, u32::MAX, |entry| Some(entry.process.uid))
}

/// A process's state: 'R' running, 'S' sleeping, 'D' in uninterruptible sleep, 'T' stopped, 'Z'
/// ended but not reaped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_processes_state(
    processes: *const seclude_processes,
    index: usize,
) -> c_char {
    of(processes, index, 0, |entry| c_char::try_from(u32::from(entry.process.state)).ok())
}

/// A process's name, at most 15 bytes, as it may set it by prctl(2). Borrowed: valid until the list
/// is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_processes_name(
    processes: *const seclude_processes,
    index: usize,
) -> *const c_char {
    of(processes, index, ptr::null(), |entry| Some(entry.name.as_ptr()))
}

/// One word of a process's command line, from 0 on; NULL past the last. The name in brackets where
/// the kernel shows none. Borrowed: valid until the list is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_processes_argument(
    processes: *const seclude_processes,
    index: usize,
    argument: usize,
) -> *const c_char {
    of(processes, index, ptr::null(), |entry| Some(entry.command.get(argument)?.as_ptr()))
}
