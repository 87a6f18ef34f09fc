//! The reported usage is correct: peak memory and processor time are compared with programs that
//! know what they use. The result depends neither on the size of the caller nor on earlier runs.

use seclude::{Command, Ended, GiB, MemorySource, MiB, Sandbox, Usage};
use seclude_tests::alone::alone;
use seclude_tests::caller::as_each;
use seclude_tests::payload::{command, mark, sandbox};
use std::time::Duration;

const SIZES: [u64; 3] = [1 << 20, 100 << 20, 1 << 30];

fn used(command: &mut Command) -> (Usage, Vec<u8>) {
    let output = command.output().expect("it starts");
    assert_eq!(
        output.outcome.ended,
        Ended::Exited(0),
        "{:?} {}",
        output.outcome,
        String::from_utf8_lossy(&output.stderr)
    );
    (output.outcome.usage, output.stdout)
}

fn peak(sandbox: &Sandbox, bytes: u64) -> u64 {
    used(&mut command(sandbox, "touch", bytes, &mark())).0.memory_peak
}

/// The kernel counts memory in batches, so a peak is no more exact than this: up to 64 pages for
/// each processor (MEMCG_CHARGE_BATCH; the batch of a process's own counters is smaller), and the
/// page tables.
fn granularity(bytes: u64) -> u64 {
    const PAGE: u64 = 4096;
    let processors = std::thread::available_parallelism().map_or(1, |number| number.get() as u64);
    64 * PAGE * processors + bytes / 512
}

/// Checks the peak of a program that touches this many bytes, minus that of the same program
/// touching none.
fn assert_peaks(sandbox: &Sandbox) {
    // The median, because the number of batches varies.
    let typical = |bytes: u64| {
        let mut peaks: Vec<u64> = (0..7).map(|_| peak(sandbox, bytes)).collect();
        peaks.sort_unstable();
        peaks[peaks.len() / 2]
    };
    let nothing = typical(0);
    for bytes in SIZES {
        let told = typical(bytes).saturating_sub(nothing);
        let tolerance = (bytes / 20).max(granularity(bytes));
        eprintln!(
            "{bytes} bytes touched, {told} reported ({:+.2} %)",
            (told as f64 / bytes as f64 - 1.0) * 100.0
        );
        assert!(
            told.abs_diff(bytes) <= tolerance,
            "{bytes} bytes touched, {told} reported above the {nothing} of nothing"
        );
    }
}

#[test]
fn the_peak_of_memory_is_what_was_touched() {
    let _alone = alone();
    as_each("the_peak_of_memory_is_what_was_touched", |_| {
        assert_peaks(&sandbox().memory(GiB(2)));
        // Without a limit the peak is reported, too.
        assert_peaks(&sandbox());
    });
}

/// A program that maps a file and has little memory of its own. Only one of the two figures
/// includes the pages of the file.
#[test]
fn the_anonymous_peak_has_no_pages_of_files() {
    const FILE: usize = 96 << 20;
    const OWN: u64 = 20 << 20;
    let _alone = alone();
    as_each("the_anonymous_peak_has_no_pages_of_files", |_| {
        let place = seclude_tests::scratch::directory();
        let file = place.path().join("file");
        std::fs::write(&file, vec![1; FILE]).expect("there is room");
        let program = "import mmap, time\n\
            own = bytearray(20 << 20)\n\
            with open('/file', 'rb') as file: pages = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)\n\
            print(sum(pages[::4096]))\n\
            time.sleep(0.2)";
        let run = |sandbox: Sandbox| {
            used(sandbox.bind_ro(&file, "/file").command("python3").args(["-c", program])).0
        };
        let usage = run(Sandbox::new().memory(GiB(1)));
        assert!(usage.max_rss > FILE as u64, "the control: it maps the file: {usage:?}");
        let told = usage.anonymous_peak.expect("memory is limited");
        assert!((OWN..FILE as u64 / 2).contains(&told), "{usage:?}");
        assert_eq!(run(Sandbox::new()).anonymous_peak, None, "without a limit nothing samples it");
        // A sampled limit does not count the file either, and neither does the peak.
        let tight = run(Sandbox::new().memory(MiB(64)));
        assert!(
            tight.memory_peak <= 64 << 20 || tight.memory_source == MemorySource::Cgroup,
            "{tight:?}"
        );
    });
}

#[test]
fn the_peak_of_memory_is_none_of_a_large_callers() {
    let _alone = alone();
    as_each("the_peak_of_memory_is_none_of_a_large_callers", |_| {
        const OWN: usize = 4 << 30;
        let available = std::fs::read_to_string("/proc/meminfo").expect("/proc is mounted");
        let available = available.lines().find_map(|line| {
            line.strip_prefix("MemAvailable:")?.split_whitespace().next()?.parse::<u64>().ok()
        });
        if available.is_none_or(|kib| kib < 7 << 20) {
            return eprintln!(
                "SKIPPED: a caller of 4 GiB takes 7 GiB of memory, and {available:?} KiB are available"
            );
        }
        let own = vec![1u8; OWN];
        let sandbox = sandbox().memory(GiB(2));
        let small = peak(&sandbox, 0);
        assert!(small < 16 << 20, "{small} bytes for a program that does nothing");
        assert_peaks(&sandbox);
        // Keeps the compiler from removing the unused memory.
        assert_eq!(std::hint::black_box(&own)[OWN - 1], 1);
    });
}

#[test]
fn processor_time_is_what_getrusage_says() {
    let _alone = alone();
    as_each("processor_time_is_what_getrusage_says", |_| {
        for sandbox in
            [sandbox(), sandbox().cpu_time(Duration::from_secs(100)), sandbox().memory(GiB(1))]
        {
            for milliseconds in [0, 50, 1000] {
                let (usage, stdout) = used(&mut command(&sandbox, "burn", milliseconds, &mark()));
                let own = Duration::from_micros(
                    String::from_utf8_lossy(&stdout).trim().parse().expect("microseconds"),
                );
                assert!(
                    own >= Duration::from_millis(milliseconds),
                    "the control: it burns {own:?}"
                );
                let tolerance = (own / 50).max(Duration::from_millis(10));
                assert!(
                    usage.cpu().abs_diff(own) <= tolerance,
                    "{:?} reported, {own:?} by its own account",
                    usage.cpu()
                );
                assert!(usage.wall * 4 >= own, "{usage:?}");
            }
        }
    });
}

/// A hundred runs in one sandbox: an earlier, larger run does not affect a later one.
#[test]
fn a_small_run_after_a_large_one_is_small() {
    let _alone = alone();
    as_each("a_small_run_after_a_large_one_is_small", |_| {
        let sandbox = sandbox().memory(GiB(1)).pids(20).cpu_time(Duration::from_secs(100));
        for run in 0..100 {
            let large = run % 10 == 0;
            let bytes = if large { 200 << 20 } else { 0 };
            let (usage, _) = used(&mut command(&sandbox, "touch", bytes, &mark()));
            assert_eq!(usage.memory_peak > 100 << 20, large, "run {run}: {usage:?}");
            assert!(usage.memory_peak > 64 << 10, "run {run}: no program is that small: {usage:?}");
            assert!(usage.cpu() < Duration::from_secs(5), "run {run}: {usage:?}");
            assert!(usage.processes_peak.is_none_or(|peak| peak <= 2), "run {run}: {usage:?}");
            assert!(large || usage.minor_faults < 25_000, "run {run}: {usage:?}");
        }
    });
}
