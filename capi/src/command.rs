//! `seclude_command`: what to run, and the ways to start it.

use crate::boundary::{
    Answer, Sticky, bytes, change, code, descriptor, free, made, made_or_not, set, strings,
    write_sized,
};
use crate::child::seclude_child;
use crate::error::seclude_error;
use crate::outcome::seclude_outcome;
use crate::output::seclude_output;
use seclude_core::{Command, Sandbox, Stdio, WindowSize};
use std::ffi::{c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// For the standard streams: the caller's own stream of that number; `/dev/null` if the caller has
/// closed it, or has it closed on `execve(2)`, as a daemon may.
pub const SECLUDE_STDIO_INHERIT: c_int = -1001;
/// For the standard streams: `/dev/null`.
pub const SECLUDE_STDIO_NULL: c_int = -1002;
/// For the standard streams: a pipe, whose other end the child object holds
/// (`seclude_child_take_stdin` and its kin).
pub const SECLUDE_STDIO_PIPED: c_int = -1003;
/// A stream: a pseudo-terminal that is the sandbox's own and controls the command's session; one
/// for all the streams that say so. Its other side is the child's: `seclude_child_take_terminal`.
/// Takes `seclude_sandbox_terminals`.
pub const SECLUDE_STDIO_PTY: c_int = -1004;

/// What to run in a sandbox: program, arguments, environment, directory, standard streams, further
/// descriptors.
///
/// Made by `seclude_sandbox_command`. It can be started many times. A mistake in a setter sticks:
/// starting it reports the first one, and the sandbox's before its own.
pub struct seclude_command {
    command: Command,
    sticky: Option<seclude_error>,
}

impl seclude_command {
    /// Never fails: what went wrong sticks to the command.
    pub(crate) fn new(make: impl FnOnce() -> Answer<Command>) -> *mut seclude_command {
        let made = catch_unwind(AssertUnwindSafe(make))
            .unwrap_or_else(|panic| Err(seclude_error::panic(&*panic)));
        let (command, sticky) = match made {
            Ok(command) => (command, None),
            Err(error) => (Sandbox::new().command(""), Some(error)),
        };
        Box::into_raw(Box::new(seclude_command { command, sticky }))
    }

    /// The core's own, or the error that sticks.
    pub(crate) fn into_sound(self) -> Answer<Command> {
        self.sticky.map_or(Ok(self.command), Err)
    }

    pub(crate) fn sound(&mut self) -> Answer<&mut Command> {
        self.sticky.clone().map_or(Ok(&mut self.command), Err)
    }
}

impl Sticky for seclude_command {
    fn sticky(&mut self) -> &mut Option<seclude_error> {
        &mut self.sticky
    }
}

fn build(command: *mut seclude_command, change: impl FnOnce(&mut Command) -> Answer<&mut Command>) {
    set(command, |object| change(&mut object.command).map(|_| ()));
}

fn sound<'a>(command: *mut seclude_command) -> Answer<&'a mut Command> {
    change("command", command)?.sound()
}

/// Frees a command and its copies of descriptors. NULL is a no-op. Children that it started are not
/// affected.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_free(command: *mut seclude_command) {
    free(command);
}

/// Appends an argument, any bytes but NUL. The program's own name, the zeroth, is there already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_arg(
    command: *mut seclude_command,
    argument: *const c_char,
) {
    build(command, |command| Ok(command.arg(bytes("argument", argument)?)));
}

/// Appends arguments up to a NULL, which `arguments` must end with.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_args(
    command: *mut seclude_command,
    arguments: *const *const c_char,
) {
    build(command, |command| Ok(command.args(strings("arguments", arguments)?)));
}

/// What the program sees as its own name, instead of the name that it is started by.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_arg0(command: *mut seclude_command, name: *const c_char) {
    build(command, |command| Ok(command.arg0(bytes("program's own name", name)?)));
}

/// Sets an environment variable. At first there are PATH, HOME, LANG and TMPDIR, and nothing of the
/// caller's. A name is not empty and has no "=".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_env(
    command: *mut seclude_command,
    name: *const c_char,
    value: *const c_char,
) {
    build(command, |command| {
        Ok(command.env(
            bytes("environment variable", name)?,
            bytes("environment variable's value", value)?,
        ))
    });
}

/// Removes an environment variable. No error if there is none of this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_env_remove(
    command: *mut seclude_command,
    name: *const c_char,
) {
    build(command, |command| Ok(command.env_remove(bytes("environment variable", name)?)));
}

/// Removes every environment variable. A program without a slash is then looked for in the default
/// PATH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_env_clear(command: *mut seclude_command) {
    build(command, |command| Ok(command.env_clear()));
}

/// The working directory, an absolute path inside. "/" if nothing is said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_cwd(
    command: *mut seclude_command,
    directory: *const c_char,
) {
    build(command, |command| Ok(command.current_dir(bytes("working directory", directory)?)));
}

/// The standard input: one of `SECLUDE_STDIO_...`, or a descriptor of the caller's, 0 or higher,
/// which is duplicated at once: the caller may close its own. If nothing is said: inherited, but
/// `/dev/null` for `seclude_command_output`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_stdin(command: *mut seclude_command, stream: c_int) {
    build(command, |command| Ok(command.stdin(stdio("stdin", stream)?)));
}

/// The standard output: as `seclude_command_stdin`. If nothing is said: inherited, but piped for
/// `seclude_command_output`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_stdout(command: *mut seclude_command, stream: c_int) {
    build(command, |command| Ok(command.stdout(stdio("stdout", stream)?)));
}

/// The standard error: as `seclude_command_stdout`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_stderr(command: *mut seclude_command, stream: c_int) {
    build(command, |command| Ok(command.stderr(stdio("stderr", stream)?)));
}

fn stdio(what: &str, stream: c_int) -> Answer<Stdio> {
    match stream {
        SECLUDE_STDIO_INHERIT => Ok(Stdio::inherit()),
        SECLUDE_STDIO_NULL => Ok(Stdio::null()),
        SECLUDE_STDIO_PIPED => Ok(Stdio::piped()),
        SECLUDE_STDIO_PTY => Ok(Stdio::pty()),
        fd => descriptor(what, fd).map(Stdio::from),
    }
}

/// The size of its terminal's window at first, in characters, if it has one (`SECLUDE_STDIO_PTY`):
/// 24 rows of 80 columns if nothing is said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_window_size(
    command: *mut seclude_command,
    rows: u16,
    columns: u16,
) {
    build(command, |command| Ok(command.window_size(WindowSize { rows, columns })));
}

/// Gives the command the caller's descriptor `fd` under the number `target`, 3 or higher, each
/// number once. `fd` is duplicated at once: the caller may close its own. Order and collisions with
/// the caller's own numbers do not matter. At most 249.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_fd(
    command: *mut seclude_command,
    target: c_int,
    fd: c_int,
) {
    build(command, |command| Ok(command.fd(target, descriptor("descriptor", fd)?)));
}

/// Starts it with this signal ignored (`signal(7)`), as `nohup` does with SIGHUP: programs that set
/// no action of their own, and what they start, ignore it too. If nothing is said no signal is,
/// whatever the caller ignores. Not SIGKILL or SIGSTOP.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_ignore_signal(
    command: *mut seclude_command,
    signal: c_int,
) {
    build(command, |command| Ok(command.ignore_signal(signal)));
}

/// How many milliseconds this command may take, 1 or more, instead of what the sandbox says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_wall_time(
    command: *mut seclude_command,
    milliseconds: u64,
) {
    build(command, |command| Ok(command.wall_time(Duration::from_millis(milliseconds))));
}

/// At most so many bytes of memory, 1 or more, for this command and what it starts. The sandbox
/// must set `seclude_sandbox_memory`, which bounds all its commands together; of both, the tighter
/// holds. In a cell the kernel holds it in a cgroup of the command's own if it so holds the cell's
/// limit; else it is sampled. What the command leaves behind in a cell stays in its cgroup.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_memory(command: *mut seclude_command, bytes: u64) {
    build(command, |command| Ok(command.memory(bytes)));
}

/// At most so many milliseconds of processor time, 1 or more, for this command and what it starts:
/// as for `seclude_command_memory`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_cpu_time(
    command: *mut seclude_command,
    milliseconds: u64,
) {
    build(command, |command| Ok(command.cpu_time(Duration::from_millis(milliseconds))));
}

/// At most so many processes and threads, 1 or more, for this command and what it starts: as for
/// `seclude_command_memory`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_pids(command: *mut seclude_command, number: u64) {
    build(command, |command| Ok(command.pids(number)));
}

/// Starts it. When this returns 0, the program runs, and `*child` is new: free it with
/// `seclude_child_free`. A missing program, a refused policy and every failed step of set-up are
/// errors here: nothing has started then, and `*child` is NULL.
///
/// A command of a pool waits for a place, as long as that takes, and no signal ends that wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_spawn(
    command: *mut seclude_command,
    child: *mut *mut seclude_child,
    err: *mut *mut seclude_error,
) -> c_int {
    made("child", child, err, || Ok(seclude_child::new(sound(command)?.spawn()?)))
}

/// As `seclude_command_spawn`, without waiting for a place in a pool: 1, and `*child` is new; 0 if
/// there is no place now, or no sandbox is ready: nothing has started then, and `*child` is NULL.
/// `seclude_pool_fd` tells when to try again. A command that runs elsewhere needs no place. The
/// errors are those of `seclude_command_spawn`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_try_spawn(
    command: *mut seclude_command,
    child: *mut *mut seclude_child,
    err: *mut *mut seclude_error,
) -> c_int {
    made_or_not("child", child, err, || Ok(sound(command)?.try_spawn()?.map(seclude_child::new)))
}

/// As `seclude_command_try_spawn`, but waits for a place for at most so many milliseconds. What the
/// command may take once it runs is its `seclude_command_wall_time`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_spawn_timeout(
    command: *mut seclude_command,
    milliseconds: u64,
    child: *mut *mut seclude_child,
    err: *mut *mut seclude_error,
) -> c_int {
    made_or_not("child", child, err, || {
        let started = sound(command)?.spawn_timeout(Duration::from_millis(milliseconds))?;
        Ok(started.map(seclude_child::new))
    })
}

/// Starts it, waits for its end, and writes how it ended to `*outcome`, a structure of `size`
/// bytes; `outcome` may be NULL. 0 if it ran, however it ended; the errors are those of
/// `seclude_command_spawn` and `seclude_child_wait`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_run(
    command: *mut seclude_command,
    outcome: *mut seclude_outcome,
    size: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        write_sized(outcome, size, seclude_outcome::new(&sound(command)?.status()?)?);
        Ok(0)
    })
}

/// Starts it, collects what it writes, waits for its end. 0 if it ran, however it ended, and
/// `*output` is new: free it with `seclude_output_free`. What it writes is kept in memory, as for
/// `seclude_child_wait_with_output`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_output(
    command: *mut seclude_command,
    output: *mut *mut seclude_output,
    err: *mut *mut seclude_error,
) -> c_int {
    made("output", output, err, || seclude_output::new(sound(command)?.output()?))
}
