//! Collecting output does not exhaust the caller's memory: a command that writes without end is
//! ended, its outcome says so, and the caller's memory stays bounded.

use seclude::{Ended, Sandbox, Stdio};
use seclude_tests::alone::alone;
use seclude_tests::caller::as_each;
use seclude_tests::payload::{command, mark, sandbox};
use std::io::Read;
use std::time::Duration;

const BOUND: usize = 64 << 20;

/// The growth of this process's peak memory during `work`.
fn growth<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let field = |name: &str| {
        let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
        let line =
            status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel reports it");
        line.split_whitespace()
            .next()
            .and_then(|number| number.parse::<usize>().ok())
            .expect("a number")
            << 10
    };
    // Resets the peak to the current size (proc_pid_clear_refs(5)).
    std::fs::write("/proc/self/clear_refs", "5").expect("it is our own");
    let before = field("VmRSS:");
    let result = work();
    (result, field("VmHWM:").saturating_sub(before))
}

#[test]
fn an_endless_writer_is_stopped() {
    let _alone = alone();
    as_each("an_endless_writer_is_stopped", |_| {
        for (streams, lengths) in [(1, [BOUND, 0]), (2, [0, BOUND])] {
            let sandbox = sandbox().wall_time(Duration::from_secs(60));
            let (output, grown) = growth(|| {
                command(&sandbox, "write", streams, &mark()).output().expect("it starts")
            });
            assert_eq!(
                (output.outcome.ended, output.outcome.limit),
                (Ended::OutputLimit, Some(BOUND as u64)),
                "{:?}",
                output.outcome
            );
            assert_eq!([output.stdout.len(), output.stderr.len()], lengths);
            assert!(grown >= BOUND / 2, "the control: it is measured, {grown}");
            // A growing buffer takes the old buffer and one of twice the size at once.
            assert!(grown <= 3 * BOUND + (16 << 20), "{grown} bytes for {BOUND}");
        }
    });
}

#[test]
fn a_limit_on_output_bounds_the_caller() {
    let _alone = alone();
    as_each("a_limit_on_output_bounds_the_caller", |_| {
        const LIMIT: usize = 4 << 20;
        let sandbox = sandbox().output(LIMIT as u64).wall_time(Duration::from_secs(60));
        let (output, grown) =
            growth(|| command(&sandbox, "write", 3, &mark()).output().expect("it starts"));
        assert_eq!(
            (output.outcome.ended, output.outcome.limit),
            (Ended::OutputLimit, Some(LIMIT as u64))
        );
        assert!(grown <= 6 * LIMIT + (16 << 20), "{grown} bytes for {LIMIT}");
    });
}

/// Exactly as much output as the bound is allowed.
#[test]
fn as_much_as_the_bound() {
    let _alone = alone();
    as_each("as_much_as_the_bound", |_| {
        let script = format!("head -c {BOUND} /dev/zero; exit 3");
        let output =
            Sandbox::new().command("sh").args(["-c", &script]).output().expect("it starts");
        assert_eq!((output.outcome.ended, output.stdout.len()), (Ended::Exited(3), BOUND));
    });
}

/// A caller that reads the pipe itself has only the policy's bound.
#[test]
fn who_reads_by_himself_is_not_bounded() {
    let _alone = alone();
    as_each("who_reads_by_himself_is_not_bounded", |_| {
        let script = format!("head -c {} /dev/zero", BOUND + 1000);
        let mut command = Sandbox::new().command("sh");
        command.args(["-c", &script]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut pipe = child.stdout.take().expect("piped");
        let (mut total, mut buffer) = (0, vec![0; 1 << 16]);
        while let length @ 1.. = pipe.read(&mut buffer).expect("a pipe") {
            total += length;
        }
        assert_eq!(total, BOUND + 1000);
        assert_eq!(child.wait().expect("it ends").ended, Ended::Exited(0));
    });
}

/// A limited stream that goes to a file is cut at exactly the same size, also when it is appended
/// to the file's content.
#[test]
fn what_goes_to_a_file_is_cut() {
    let _alone = alone();
    as_each("what_goes_to_a_file_is_cut", |_| {
        let place = seclude_tests::scratch::directory();
        let path = place.path().join("out");
        std::fs::write(&path, "before ").expect("a file of our own");
        let file = std::fs::OpenOptions::new().append(true).open(&path).expect("a file of our own");
        let sandbox = sandbox().output(100_000_u64).wall_time(Duration::from_secs(60));
        let outcome =
            command(&sandbox, "write", 1, &mark()).stdout(file).status().expect("it starts");
        assert_eq!(
            (outcome.ended, outcome.limit),
            (Ended::OutputLimit, Some(100_000)),
            "{outcome:?}"
        );
        assert_eq!(outcome.usage.stdout_bytes, Some(100_000));
        let data = std::fs::read(&path).expect("a file of our own");
        assert!(data.starts_with(b"before x") && data.len() == 100_007, "{} bytes", data.len());
    });
}
