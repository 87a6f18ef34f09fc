//! Whatever a payload does in one sandbox, another one can be copied from the same template,
//! starts, and reports the right outcome. The test sets no limit on how long that takes except
//! [`PATIENCE`], because both use the same machine. The control: the payload was running all the
//! time.

use seclude::{Ended, Limit, MiB, Profile, Sandbox, Stdio};
use seclude_tests::alone::alone;
use seclude_tests::caller::{Caller, as_each, program};
use seclude_tests::payload::PLACE;
use seclude_tests::pooler::Pooler;
use std::io::{BufRead, BufReader};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A start that takes longer counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);
/// The number of sandboxes started beside each payload.
const STARTS: usize = 4;

const PYTHON: &str = r#"
import array, ctypes, fcntl, mmap, os, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def as_long_as_it_works(deed):
    kept = []
    try:
        while True: kept.append(deed())
    except OSError: return kept
"#;

/// Names and Python programs of payloads. A program that ends is started again.
const PYTHONS: &[(&str, &str)] = &[
    (
        "pipes",
        r#"
def large():
    pair = os.pipe(); fcntl.fcntl(pair[1], 1031, 1 << 20); return pair
while True:
    for pair in as_long_as_it_works(large) + as_long_as_it_works(os.pipe): os.close(pair[0]); os.close(pair[1])
"#,
    ),
    (
        "loopback",
        r#"
server = socket.socket(); server.bind(("127.0.0.1", 4321)); server.listen(99)
while True:
    with socket.create_connection(("127.0.0.1", 4321)) as one, server.accept()[0] as other: one.send(b"x" * 65536); other.recv(65536)
"#,
    ),
    (
        "locks",
        r#"
def locked(path):
    try: fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError: pass
for path in ["/", "/dev/null", "/usr/bin/sh", "/usr/bin/dash", "/bin/sh"]: locked(path)
for top in ("/", "/etc", "/dev", "/usr", "/usr/bin"):
    for name in os.listdir(top)[:150]: locked(os.path.join(top, name))
time.sleep(1000)
"#,
    ),
    (
        "System V objects",
        r#"
def made(number):
    if number < 0: raise OSError
    return number
as_long_as_it_works(lambda: made(libc.shmget(0, 1 << 20, 0o1666))); as_long_as_it_works(lambda: made(libc.semget(0, 99, 0o1666)))
as_long_as_it_works(lambda: made(libc.msgget(0, 0o1666)))
time.sleep(1000)
"#,
    ),
    (
        "watches",
        r#"
def watch():
    number = libc.inotify_init1(0)
    if number < 0: raise OSError
    for path in (b"/", b"/usr", b"/usr/bin", b"/dev", b"/etc", b"/proc"): libc.inotify_add_watch(number, path, 0xfff)
as_long_as_it_works(watch)
time.sleep(1000)
"#,
    ),
    (
        "writers",
        r#"
while True:
    for place in ("/tmp/x", "/dev/shm/x"):
        try:
            with open(place, "wb") as file:
                while True: file.write(b"x" * (1 << 20))
        except OSError: os.unlink(place)
"#,
    ),
];

/// More payloads, for sandboxes that allow namespaces and every system call.
const NESTED: &[(&str, &str)] = &[
    (
        "mounts",
        r#"
libc.unshare(0x10020000) == 0 or sys.exit(9)
os.mkdir("/tmp/m")
libc.mount(b"x", b"/tmp/m", b"tmpfs", 0, b"size=4k") == 0 or sys.exit(9)
while True:
    for _ in range(200): libc.mount(b"x", b"/tmp/m", b"tmpfs", 0, b"size=4k")
    for _ in range(200): libc.umount2(b"/tmp/m", 2)
"#,
    ),
    (
        "namespaces",
        r#"
if os.fork() == 0: os._exit(-libc.unshare(0x10000000))
os.wait()[1] == 0 or sys.exit(9)
while True:
    child = os.fork()
    if child == 0:
        for _ in range(30): libc.unshare(0x10000000 | 0x20000 | 0x4000000 | 0x8000000 | 0x20000000 | 0x40000000)
        os._exit(0)
    os.waitpid(child, 0)
"#,
    ),
];

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new()
        .bind_ro(program("payload"), PLACE)
        .tmpfs("/tmp", MiB(16))
        .memory(MiB(64))
        .pids(64);
    sandbox.best_effort(Limit::Memory).best_effort(Limit::Pids).output(MiB(1)).wall_time(PATIENCE)
}

/// Runs `deed` over and over in one cell while other sandboxes start.
fn beside(sandbox: &Sandbox, name: &str, deed: &[String]) {
    sandbox.prepare().expect("it can have a template");
    let cell = sandbox.cell().expect("it starts");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let hostile = scope.spawn(|| {
            let mut times = 0;
            while !over.load(Ordering::Relaxed) {
                let mut command = cell.command(&deed[0]);
                command
                    .args(&deed[1..])
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null());
                match command.status() {
                    // Python exits with 1 on an error, and the payload with 99 for an unknown word.
                    Ok(outcome) => {
                        let failed = matches!(outcome.ended, Ended::Exited(9 | 99))
                            || outcome.ended == Ended::Exited(1) && deed[0] == "python3";
                        assert!(!failed, "{name} could not even begin: {outcome:?}");
                    }
                    // The payload has used up a resource of the cell.
                    Err(error) => {
                        assert!(cell.is_alive() || over.load(Ordering::Relaxed), "{error}")
                    }
                }
                times += 1;
            }
            times
        });
        let look = scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            for start in 0..STARTS {
                let begun = Instant::now();
                let script =
                    "test ! -e /tmp/x && test ! -e /tmp/m && : > /tmp/x && echo told && exit 7";
                let output = match start % 2 {
                    0 => sandbox.command("sh").args(["-c", script]).output(),
                    _ => sandbox
                        .cell()
                        .and_then(|cell| cell.command("sh").args(["-c", script]).output()),
                };
                let output = output.unwrap_or_else(|error| panic!("beside {name}: {error}"));
                assert_eq!(
                    (output.outcome.ended, &*output.stdout),
                    (Ended::Exited(7), &b"told\n"[..]),
                    "beside {name}"
                );
                assert!(begun.elapsed() < PATIENCE, "beside {name}");
            }
        });
        let started = look.join();
        over.store(true, Ordering::Relaxed);
        cell.close();
        let times = hostile.join();
        started.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let times = times.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        println!("{name}: begun {times} times");
        assert!(times > 0);
    });
}

#[test]
fn whatever_one_does_another_starts() {
    let _alone = alone();
    as_each("whatever_one_does_another_starts", |_| {
        for (word, number) in [
            ("fork", 0),
            ("threads", 0),
            ("memory", 0),
            ("disk", 5),
            ("inodes", 0),
            ("descriptors", 0),
            ("spin", 4),
            ("write", 1),
            ("deaf", 0),
        ] {
            beside(
                &sandbox(),
                word,
                &[PLACE.into(), word.into(), number.to_string(), "/tmp".into()],
            );
        }
        for (name, text) in PYTHONS {
            beside(&sandbox(), name, &["python3".into(), "-c".into(), format!("{PYTHON}{text}")]);
        }
        for (name, text) in NESTED {
            let nested = sandbox().nested().seccomp(Profile::Unconfined);
            beside(&nested, name, &["python3".into(), "-c".into(), format!("{PYTHON}{text}")]);
        }
    });
}

/// Sends descriptors that are never received, until the kernel accepts no more from this user.
/// Prints their number.
const UNDER_WAY: &str = r#"
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, [resource.getrlimit(resource.RLIMIT_NOFILE)[1]] * 2)
sent = 0
def send():
    global sent
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for _ in range(5):
        pair[0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 250))], socket.MSG_DONTWAIT)
        sent += 250
    return pair
kept = as_long_as_it_works(send)
print(sent, flush=True)
time.sleep(1000)
"#;

/// The kernel counts descriptors in flight per user outside, over all sandboxes. A process that may
/// open fewer than are in flight can send none: neither the caller, unless it is root, nor a
/// warden. Wardens may open as many as the caller's hard limit allows. A user whose limit is no
/// higher than a command's gets an error that names the cause.
#[test]
fn descriptors_under_way() {
    let _alone = alone();
    as_each("descriptors_under_way", |who| {
        for (limits, root, user) in
            [("-Sn 1024", true, false), ("-Sn 16384", true, true), ("-n 1024", false, false)]
        {
            let refused = |answer: &str| {
                let told = format!("error host-limit {} ", nix::libc::ETOOMANYREFS);
                answer.starts_with(&told) && answer.contains("under way")
            };
            let mut pooler = Pooler::start({
                let mut command = Command::new("sh");
                command
                    .args(["-c", &format!("ulimit {limits} && exec \"$0\"")])
                    .arg(program("pooler"));
                command
            });
            pooler.does("open 2");
            pooler.does("full");
            pooler.does("cell");
            let cell = sandbox().cell().expect("it starts");
            let mut hostile = cell.command("python3");
            hostile.args(["-c", &format!("{PYTHON}{UNDER_WAY}")]).stdout(Stdio::piped());
            let mut child = hostile.spawn().expect("it starts");
            let mut line = String::new();
            BufReader::new(child.stdout.take().expect("piped"))
                .read_line(&mut line)
                .expect("it prints a line");
            assert!(
                line.trim().parse::<u32>().expect("a number") > 4096,
                "the control: there are many under way, {line}"
            );
            let well = if who == Caller::Root { root } else { user };
            // A sandbox that was ready before, a new one, and a cell that has existed for long.
            for line in ["run", "inside", "open 2", "open 2"] {
                let answer = pooler.ask(line);
                assert!(
                    if well { answer == "ok" } else { refused(&answer) },
                    "{limits}, {line}: {answer}"
                );
            }
            cell.close();
            drop(child);
            let end = Instant::now() + PATIENCE;
            while pooler.ask("open 2") != "ok" {
                assert!(Instant::now() < end, "it stays so when they are gone");
                std::thread::sleep(Duration::from_millis(10));
            }
            pooler.does("run");
        }
    });
}
