//! Tracers inside. The kernel reports a process's end to its tracer first and to its warden only
//! afterwards (ptrace(2)). A tracer must not keep the end from the caller, whatever happens to the
//! tracer.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use seclude::{Child, Ended, Sandbox, Stdio};
use seclude_tests::caller::{as_each, as_each_with_cells};
use seclude_tests::census::here;
use seclude_tests::watchdog::{Victims, returns};
use std::io::{BufRead, BufReader};
use std::time::Duration;

/// Traces process `traced` and prints a line. It never waits for the process.
const SEIZE: &str = r#"
import ctypes, os, time
def seize(traced):
    PTRACE_SEIZE = 0x4206
    seized = ctypes.CDLL(None, use_errno=True).ptrace(PTRACE_SEIZE, traced, 0, 0) == 0
    print("traced" if seized else os.strerror(ctypes.get_errno()), flush=True)
    time.sleep(1000)
"#;

/// A program that ends while its own child traces it.
const BY_ITS_CHILD: &str = r#"
ready, told = os.pipe()
traced = os.getpid()
if os.fork() == 0:
    os.dup2(told, 1)
    seize(traced)
print(os.read(ready, 99).decode(), end="", flush=True)
os._exit(7)
"#;

fn python(command: &mut seclude::Command, program: &str) -> Result<Child, String> {
    let program = format!("{SEIZE}{program}");
    command.args(["-c", &program]).stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())
}

fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("it is piped"))
        .read_line(&mut line)
        .expect("it says something");
    line.trim().to_owned()
}

/// Polls the descriptor until it reports the end, then returns the end, which must not take another
/// wait.
fn end_by_polling(child: &mut Child) -> Result<Ended, String> {
    let patience = PollTimeout::try_from(here(Duration::from_secs(20))).expect("it is short");
    let mut polled = [PollFd::new(child.pidfd(), PollFlags::POLLIN)];
    if poll(&mut polled, patience).map_err(|errno| errno.to_string())? == 0 {
        return Err("it has not ended".into());
    }
    let victims = Victims::default();
    let (polled, _) = returns("try_wait", Duration::ZERO, &victims, || child.try_wait())?;
    polled
        .map_err(|error| error.to_string())?
        .map(|outcome| outcome.ended)
        .ok_or_else(|| "it is reported as running".into())
}

/// A sandbox without Landlock, which would prevent commands from tracing each other.
fn sandbox() -> Sandbox {
    Sandbox::new().no_landlock()
}

#[test]
fn a_program_whose_child_traces_it_is_told_of_at_its_end() {
    as_each("a_program_whose_child_traces_it_is_told_of_at_its_end", |_| {
        let (pool, cell) =
            (Sandbox::new().pool(1).expect("it starts"), sandbox().cell().expect("it starts"));
        for mut command in
            [Sandbox::new().command("python3"), pool.command("python3"), cell.command("python3")]
        {
            let mut child = python(&mut command, BY_ITS_CHILD).expect("it starts");
            assert_eq!(first_line(&mut child), "traced");
            assert_eq!(end_by_polling(&mut child), Ok(Ended::Exited(7)));
        }
        assert!(cell.command("true").status().expect("it starts").success());
    });
}

#[test]
fn a_neighbour_that_traces_a_command_keeps_neither_its_end_nor_the_cell() {
    as_each_with_cells(
        "a_neighbour_that_traces_a_command_keeps_neither_its_end_nor_the_cell",
        |_| {
            let cell = sandbox().cell().expect("it starts");
            let mut command = cell.command("python3");
            let mut traced = python(&mut command, "print('runs', flush=True); time.sleep(1000)")
                .expect("it starts");
            assert_eq!(first_line(&mut traced), "runs");
            let mut command = cell.command("python3");
            let mut tracer =
                python(&mut command, &format!("seize({})", traced.inside_id())).expect("it starts");
            assert_eq!(first_line(&mut tracer), "traced");
            traced.kill().expect("it is killed");
            let victims = Victims::default();
            let (outcome, _) =
                returns("wait", Duration::ZERO, &victims, || traced.wait()).expect("it returns");
            let outcome = outcome.expect("it is reported");
            assert_eq!(
                (outcome.ended, outcome.by_caller),
                (Ended::Killed, false),
                "its own warden has ended it"
            );
            assert!(cell.command("true").status().expect("the cell goes on").success());
        },
    );
}
