//! Tests in sandboxes: a test program, or one test of it, runs again in the sandbox of
//! [`Sandbox::for_tests`].
//!
//! A new process is safe in programs with threads, as test harnesses are. A function in a forked
//! process would not be.

use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::outcome::Ended;
use crate::run::command::{Command, Stdio};
use crate::run::sandbox::Sandbox;
use std::path::Path;
use std::{env, fs, io};

/// Names the pid namespace of the process outside. The variable alone proves nothing: a program can
/// inherit it where no sandbox was made.
const OUTSIDE: &str = "SECLUDE_TEST_OUTSIDE";
/// Names the test that the process inside runs.
const NAME: &str = "SECLUDE_TEST_NAME";
/// The directories that are private in a sandbox for tests.
const PRIVATE: [&str; 3] = ["/tmp", "/run", "/dev/shm"];

/// Whether this process runs in a sandbox that [`command`] has made.
pub fn is_inside() -> bool {
    env::var(OUTSIDE).is_ok_and(|outside| tree().is_ok_and(|tree| tree != outside))
}

/// Returns a command that runs this program again in the sandbox of [`Sandbox::for_tests`], with
/// the same working directory and environment. It has no arguments yet.
///
/// # Errors
///
/// Those of [`Sandbox::for_tests`], and an error if `/proc` does not show this program.
pub fn command() -> Result<Command> {
    let program =
        env::current_exe().map_err(|error| Error::io("find the program of this process", error))?;
    let mut command = showing(Sandbox::for_tests()?, &program).command(program);
    like_the_caller(&mut command)?;
    command.env(OUTSIDE, tree().map_err(|error| Error::io("read /proc/self/ns/pid", error))?);
    Ok(command)
}

/// Shows the directory of `program`, read-only, in a sandbox for tests that would hide it because
/// it lies below `/tmp`, `/run` or `/dev/shm` and not below the working directory. A program
/// directly in one of them is shown alone.
pub fn showing(sandbox: Sandbox, program: &Path) -> Sandbox {
    let visible = env::current_dir().is_ok_and(|current| program.starts_with(current));
    let hidden = PRIVATE.iter().any(|place| program.starts_with(place));
    let Some(directory) = program.parent().filter(|_| hidden && !visible) else { return sandbox };
    let alone = PRIVATE.iter().any(|place| directory == Path::new(place));
    let shown = if alone { program } else { directory };
    sandbox.bind_ro(shown, shown)
}

/// Gives a command the working directory and the environment of this process. Variables that name a
/// directory for temporary files are left out if a sandbox for tests has another one there.
///
/// # Errors
///
/// An error if the working directory is not known.
pub fn like_the_caller(command: &mut Command) -> Result<()> {
    let current =
        env::current_dir().map_err(|error| Error::io("find the working directory", error))?;
    command.current_dir(current);
    for (name, value) in env::vars_os() {
        let hidden = || PRIVATE.iter().any(|place| Path::new(&value).starts_with(place));
        match name.to_str() {
            Some("TMPDIR" | "TMP" | "TEMP" | "XDG_RUNTIME_DIR") if hidden() => {}
            _ => drop(command.env(name, value)),
        }
    }
    Ok(())
}

/// Whether this host does not allow sandboxes for tests, as opposed to a mistake.
pub fn is_denied(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NamespacesDenied | ErrorKind::Unsupported)
}

/// Runs the test function of this name in a sandbox of its own. The attribute `seclude::test` of
/// the crate `seclude-test` calls this.
///
/// # Panics
///
/// If the test fails inside, with what it wrote; or if no sandbox can be made. Where the host does
/// not allow sandboxes, the test is left out with a message, unless SECLUDE_TEST is `require`.
pub fn isolated(name: &str, body: fn()) {
    // The name of a function has the crate in front, which the harness leaves out.
    let name = name.split_once("::").map_or(name, |(_, name)| name);
    if is_inside() && env::var(NAME).is_ok_and(|inside| inside == name) {
        return body();
    }
    let ended = command().and_then(|mut command| {
        command.args(["--exact", name, "--include-ignored", "--test-threads=1", "--nocapture"]);
        command.env(NAME, name).stdin(Stdio::null()).output()
    });
    match ended {
        Ok(output) if output.outcome.ended == Ended::Exited(0) => {}
        Ok(output) => panic!(
            "{name}, in a sandbox, {}\n{}{}",
            output.outcome,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        ),
        Err(error) if is_denied(&error) && env::var("SECLUDE_TEST").as_deref() != Ok("require") => {
            eprintln!("left out: {name}: {error}");
        }
        Err(error) => panic!("{name}: no sandbox for tests: {error}"),
    }
}

/// The pid namespace of this process.
fn tree() -> io::Result<String> {
    Ok(fs::read_link("/proc/self/ns/pid")?.to_string_lossy().into_owned())
}
