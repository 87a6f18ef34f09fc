//! `seclude_command`: a program to run, and the ways to start it. The file is longer than 400 lines
//! because it has a function for each word of a command, with the text of the header.

use crate::boundary::{
    Answer, Sticky, bytes, change, code, create, descriptor, free, numbers, read, set, strings,
    try_create, write_sized,
};
use crate::child::seclude_child;
use crate::error::seclude_error;
use crate::outcome::seclude_outcome;
use crate::output::seclude_output;
use crate::sandbox::seclude_sandbox;
use seclude_core::{Command, Sandbox, Stdio, WindowSize};
use std::ffi::{c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// The caller's own stream of that number. `/dev/null` if the caller has closed it, or has set
/// close-on-exec on it, as a daemon may.
pub const SECLUDE_STDIO_INHERIT: c_int = -1001;
/// `/dev/null`.
pub const SECLUDE_STDIO_NULL: c_int = -1002;
/// A pipe. The child object holds the other end: `seclude_child_take_stdin` and the like.
pub const SECLUDE_STDIO_PIPED: c_int = -1003;
/// A pseudo-terminal of the sandbox's own, which controls the command's session. All streams with
/// this value are the same terminal. The child object holds its other side:
/// `seclude_child_take_terminal`. Takes `seclude_sandbox_terminals`.
pub const SECLUDE_STDIO_PTY: c_int = -1004;

/// A program to run in a sandbox: arguments, environment, working directory, standard streams,
/// further descriptors.
///
/// `seclude_sandbox_command` makes one. It can be started many times. A mistake in a setter sticks
/// to the command. Starting it reports the first mistake, that of the sandbox before its own.
pub struct seclude_command {
    pub(crate) command: Command,
    sticky: Option<seclude_error>,
}

impl seclude_command {
    /// Never fails: an error sticks to the command.
    pub(crate) fn new(make: impl FnOnce() -> Answer<Command>) -> *mut seclude_command {
        let made = catch_unwind(AssertUnwindSafe(make))
            .unwrap_or_else(|panic| Err(seclude_error::panic(&*panic)));
        let (command, sticky) = match made {
            Ok(command) => (command, None),
            Err(error) => (Sandbox::new().command(""), Some(error)),
        };
        Box::into_raw(Box::new(seclude_command { command, sticky }))
    }

    /// The core's command, or the error that sticks.
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

/// Makes a command that runs `program` in a copy of the sandbox. Later changes to the sandbox do
/// not affect it.
///
/// A program without a slash is looked up in PATH inside. Never NULL: if `sandbox` or `program` is
/// NULL, that mistake sticks to the command. Owned: free it with `seclude_command_free`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_sandbox_command(
    sandbox: *const seclude_sandbox,
    program: *const c_char,
) -> *mut seclude_command {
    seclude_command::new(|| {
        Ok(read("sandbox", sandbox)?.sound()?.command(bytes("program", program)?))
    })
}

/// Frees a command and its copies of descriptors. NULL is a no-op. Children that it started are not
/// affected.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_free(command: *mut seclude_command) {
    free(command);
}

/// Appends an argument: any bytes except NUL. The zeroth argument, the program's own name, is there
/// already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_arg(
    command: *mut seclude_command,
    argument: *const c_char,
) {
    build(command, |command| Ok(command.arg(bytes("argument", argument)?)));
}

/// Appends the arguments in `arguments`, which ends with NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_args(
    command: *mut seclude_command,
    arguments: *const *const c_char,
) {
    build(command, |command| Ok(command.args(strings("arguments", arguments)?)));
}

/// Sets the zeroth argument, which the program sees as its own name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_arg0(command: *mut seclude_command, name: *const c_char) {
    build(command, |command| Ok(command.arg0(bytes("program's own name", name)?)));
}

/// Sets an environment variable. The name is not empty and has no "=".
///
/// A new command has PATH, HOME, LANG and TMPDIR, and none of the caller's variables.
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

/// Removes an environment variable. A variable that does not exist is no error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_env_remove(
    command: *mut seclude_command,
    name: *const c_char,
) {
    build(command, |command| Ok(command.env_remove(bytes("environment variable", name)?)));
}

/// Removes every environment variable. A program without a slash is then looked up in the default
/// PATH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_env_clear(command: *mut seclude_command) {
    build(command, |command| Ok(command.env_clear()));
}

/// Sets the working directory, an absolute path inside. The default is "/".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_cwd(
    command: *mut seclude_command,
    directory: *const c_char,
) {
    build(command, |command| Ok(command.current_dir(bytes("working directory", directory)?)));
}

/// Sets the standard input: one of `SECLUDE_STDIO_...`, or a descriptor of the caller's, 0 or
/// higher.
///
/// A descriptor is borrowed and duplicated at once, so the caller may close it. The default is
/// `SECLUDE_STDIO_INHERIT`, and `SECLUDE_STDIO_NULL` for `seclude_command_output`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_stdin(command: *mut seclude_command, stream: c_int) {
    build(command, |command| Ok(command.stdin(stdio("stdin", stream)?)));
}

/// Sets the standard output, as `seclude_command_stdin` does.
///
/// The default is `SECLUDE_STDIO_INHERIT`, and `SECLUDE_STDIO_PIPED` for `seclude_command_output`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_stdout(command: *mut seclude_command, stream: c_int) {
    build(command, |command| Ok(command.stdout(stdio("stdout", stream)?)));
}

/// Sets the standard error, as `seclude_command_stdout` does, with the same defaults.
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

/// Sets the initial size of the command's terminal (`SECLUDE_STDIO_PTY`), in characters. The
/// default is 24 rows of 80 columns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_window_size(
    command: *mut seclude_command,
    rows: u16,
    columns: u16,
) {
    build(command, |command| Ok(command.window_size(WindowSize { rows, columns })));
}

/// Gives the command the caller's descriptor `fd` under the number `target`, 3 or higher. Each
/// target is given once, and at most 249 in all.
///
/// `fd` is borrowed and duplicated at once, so the caller may close it. Targets may equal numbers
/// of the caller's descriptors, and the order of the calls does not matter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_fd(
    command: *mut seclude_command,
    target: c_int,
    fd: c_int,
) {
    build(command, |command| Ok(command.fd(target, descriptor("descriptor", fd)?)));
}

/// Starts the command with this signal ignored (signal(7)), as nohup(1) does with SIGHUP.
///
/// Programs that set no action of their own ignore it, and so do the programs that they start. By
/// default no signal is ignored, even if the caller ignores some. SIGKILL and SIGSTOP cannot be
/// ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_ignore_signal(
    command: *mut seclude_command,
    signal: c_int,
) {
    build(command, |command| Ok(command.ignore_signal(signal)));
}

/// Also ignores the signals that the caller ignores when the command starts, as a child of fork(2)
/// and execve(2) does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_inherit_ignored_signals(command: *mut seclude_command) {
    build(command, |command| Ok(command.inherit_ignored_signals()));
}

/// Sets the umask, 0 to 0777 (umask(2)). The default is 022, whatever the caller's is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_umask(command: *mut seclude_command, mask: u32) {
    build(command, |command| Ok(command.umask(mask)));
}

/// Makes the command the leader of a new process group, for `group` 0. That is so without this
/// call: each command leads a session of its own, and the group of the same number.
///
/// Any other number is an error. A session's leader cannot change its group (setpgid(2)), and no
/// group of the caller's exists inside.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_process_group(
    command: *mut seclude_command,
    group: c_int,
) {
    build(command, |command| Ok(command.process_group(group)));
}

/// Runs the command as this user inside, instead of `seclude_sandbox_uid`, whose rules apply.
///
/// The command's sandbox is then one of another policy. It has that user in /etc/passwd, and is not
/// copied from a template (`seclude_sandbox_prepare`). In a cell or a pool, every other user than
/// the sandbox's is an error. Their warden has given up the right to change ids before the first
/// command starts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_uid(command: *mut seclude_command, uid: u32) {
    build(command, |command| Ok(command.uid(uid)));
}

/// Runs the command as this group inside, instead of `seclude_sandbox_gid`. The rules are those of
/// `seclude_command_uid`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_gid(command: *mut seclude_command, gid: u32) {
    build(command, |command| Ok(command.gid(gid)));
}

/// Gives the command exactly these `count` supplementary groups inside, at most 64. The default is
/// none. `groups` may be NULL if `count` is 0.
///
/// They lie in the range of `seclude_sandbox_gid`. Only a privileged caller can set them
/// (CAP_SETGID). An unprivileged caller's command keeps the caller's groups outside, where no
/// process may drop them (user_namespaces(7)). There even an empty list is an error if the caller
/// has groups. Otherwise the rules are those of `seclude_command_uid`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_groups(
    command: *mut seclude_command,
    groups: *const u32,
    count: usize,
) {
    build(command, |command| Ok(command.groups(numbers("groups", groups, count)?.iter().copied())));
}

/// Limits the wall time of this command, in milliseconds, 1 or more, instead of the sandbox's
/// limit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_wall_time(
    command: *mut seclude_command,
    milliseconds: u64,
) {
    build(command, |command| Ok(command.wall_time(Duration::from_millis(milliseconds))));
}

/// Limits the memory of this command and what it starts, in bytes, 1 or more.
///
/// The sandbox must have a limit (`seclude_sandbox_memory`), which bounds all its commands
/// together. The lower of the two applies. In a cell, the kernel enforces the limit in a cgroup of
/// the command's own if it enforces the cell's limit in a cgroup. Otherwise the limit is sampled.
/// Processes that the command leaves behind in a cell stay in its cgroup.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_memory(command: *mut seclude_command, bytes: u64) {
    build(command, |command| Ok(command.memory(bytes)));
}

/// Limits the processor time of this command and what it starts, in milliseconds, 1 or more. The
/// rules are those of `seclude_command_memory`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_cpu_time(
    command: *mut seclude_command,
    milliseconds: u64,
) {
    build(command, |command| Ok(command.cpu_time(Duration::from_millis(milliseconds))));
}

/// Limits the number of processes and threads of this command and what it starts, 1 or more. The
/// rules are those of `seclude_command_memory`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_command_pids(command: *mut seclude_command, number: u64) {
    build(command, |command| Ok(command.pids(number)));
}

/// Starts the command. When this returns 0, the program runs.
///
/// A missing program, a mistake in the policy and every failed step of the set-up are errors here,
/// and nothing runs then. A command of a pool waits for a place without a time limit, and signals
/// do not interrupt the wait.
///
/// `*child` is owned: free it with `seclude_child_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_command_spawn(
    command: *mut seclude_command,
    child: *mut *mut seclude_child,
    err: *mut *mut seclude_error,
) -> c_int {
    create("child", child, err, || Ok(seclude_child::new(sound(command)?.spawn()?)))
}

/// Starts the command if its pool has a free place and a ready sandbox. Does not wait.
///
/// Returns 1 if the program runs, and 0 if it was not started for want of either. `seclude_pool_fd`
/// reports when to try again. A command outside of a pool needs no place. The errors are those of
/// `seclude_command_spawn`.
///
/// `*child` is owned: free it with `seclude_child_free`. It is NULL unless this returns 1.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_command_try_spawn(
    command: *mut seclude_command,
    child: *mut *mut seclude_child,
    err: *mut *mut seclude_error,
) -> c_int {
    try_create("child", child, err, || Ok(sound(command)?.try_spawn()?.map(seclude_child::new)))
}

/// Starts the command, and waits at most `milliseconds` for a place in its pool. Otherwise like
/// `seclude_command_try_spawn`.
///
/// The time does not limit the command once it runs: `seclude_command_wall_time` does.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_command_spawn_timeout(
    command: *mut seclude_command,
    milliseconds: u64,
    child: *mut *mut seclude_child,
    err: *mut *mut seclude_error,
) -> c_int {
    try_create("child", child, err, || {
        let started = sound(command)?.spawn_timeout(Duration::from_millis(milliseconds))?;
        Ok(started.map(seclude_child::new))
    })
}

/// Starts the command, waits until it has ended, and writes to `*outcome` how it ended.
///
/// Returns 0 if the command ran, however it ended. The errors are those of `seclude_command_spawn`
/// and `seclude_child_wait`. `size` is the size of `*outcome` in bytes. `outcome` may be NULL.
#[unsafe(no_mangle)]
#[must_use]
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

/// Starts the command, collects its output, and waits until it has ended.
///
/// Returns 0 if the command ran, however it ended. The output is kept in memory, with the bounds of
/// `seclude_child_wait_with_output`.
///
/// `*output` is owned: free it with `seclude_output_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_command_output(
    command: *mut seclude_command,
    output: *mut *mut seclude_output,
    err: *mut *mut seclude_error,
) -> c_int {
    create("output", output, err, || seclude_output::new(sound(command)?.output()?))
}
