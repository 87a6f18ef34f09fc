//! Cells and templates: cells are isolated from each other, a reset restores their first state,
//! they end with their caller, and they recover after a loss.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use seclude::{Cell, Ended, ErrorKind, MiB, Output, Overlay, Protection, Sandbox, Stdio};
use seclude_tests::caller::{Caller, as_each, program};
use seclude_tests::census::{
    await_marked, descendants, descendants_of, here, is_warden, survivors,
};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Command;
use std::time::{Duration, Instant};

/// Prints what a payload can see of its surroundings, and what it could have left there.
const LOOK: &str = r#"
import os, json, socket, glob
def lines(path):
    try: return open(path).read().splitlines()
    except OSError as error: return [str(error)]
def tree(top): return sorted((directory, sorted(names), sorted(files)) for directory, names, files in os.walk(top))
statuses = [line for line in lines("/proc/self/status") if line.split(":")[0] in (
    "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "SigBlk", "SigIgn", "Umask")]
print(json.dumps({
    "files": [tree(top) for top in ("/tmp", "/dev", "/etc")],
    "mounts": [line.split(" ", 2)[2].split(" ", 1)[1] for line in lines("/proc/self/mountinfo")],
    "ids": [lines("/proc/self/uid_map"), lines("/proc/self/gid_map"), os.getuid(), os.getgroups()],
    "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()),
    "status": statuses,
    "ipc": [lines("/proc/sysvipc/" + kind) for kind in ("shm", "sem", "msg")],
    "net": [lines("/proc/net/" + name) for name in ("dev", "tcp", "tcp6", "udp", "unix", "route", "snmp")],
    "limits": lines("/proc/self/limits"),
    "names": [os.uname().nodename, lines("/proc/self/cgroup"), lines("/proc/sys/kernel/domainname")],
    "environment": dict(os.environ),
}, indent=1))
"#;

/// Leaves traces wherever a payload can, and a process that keeps them.
const SOIL: &str = r#"
import os, socket, ctypes, time, subprocess
libc = ctypes.CDLL(None)
for place in ("/tmp/file", "/dev/shm/file"): open(place, "w").write("traces")
os.mkdir("/tmp/directory"); os.symlink("/etc", "/tmp/link")
for kind in (libc.shmget, libc.semget): kind(0x5ec1de, 4096 if kind is libc.shmget else 1, 0o1666)
libc.msgget(0x5ec1de, 0o1666)
abstract = socket.socket(socket.AF_UNIX); abstract.bind("\0traces"); abstract.listen()
port = socket.socket(); port.bind(("127.0.0.1", 4321)); port.listen()
client = socket.create_connection(("127.0.0.1", 4321)); served, _ = port.accept(); client.send(b"x"); served.recv(1)
print("soiled", flush=True)
time.sleep(1000)
"#;

fn sandbox() -> Sandbox {
    Sandbox::new().tmpfs("/tmp", MiB(16)).wall_time(Duration::from_secs(60))
}

/// A sandbox whose template holds the finished file system, and some whose template holds the
/// sources alone.
fn each_stock() -> [Sandbox; 3] {
    let overlay = Overlay::new(["/usr/share/zoneinfo"], "/tmp/zones");
    [sandbox(), sandbox().writable_root(), sandbox().entry(overlay)]
}

fn python(cell: &Cell, text: &str) -> Output {
    cell.command("python3").args(["-c", text]).output().expect("it starts")
}

fn look(cell: &Cell) -> String {
    let seen = python(cell, LOOK);
    assert_eq!(seen.outcome.ended, Ended::Exited(0), "{}", String::from_utf8_lossy(&seen.stderr));
    String::from_utf8(seen.stdout).expect("JSON")
}

/// Starts the program that leaves traces, and waits until it has.
fn soil(cell: &Cell) -> seclude::Child {
    let mut child = cell
        .command("python3")
        .args(["-c", SOIL])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped"))
        .read_line(&mut line)
        .expect("it prints a line");
    assert_eq!(line, "soiled\n");
    child
}

#[test]
fn a_reset_is_as_if_nothing_had_run() {
    as_each("a_reset_is_as_if_nothing_had_run", |_| {
        for sandbox in each_stock() {
            sandbox.prepare().expect("it can have a template");
            let cell = sandbox.cell().expect("it starts");
            let fresh = look(&cell);
            for _ in 0..3 {
                let mut child = soil(&cell);
                // The control: the traces can be seen.
                assert_ne!(look(&cell), fresh);
                cell.reset().expect("it can be");
                assert_eq!(child.wait().expect("it has ended").ended, Ended::Killed);
                assert_eq!(look(&cell), fresh);
            }
        }
    });
}

#[test]
fn cells_of_one_template_are_apart() {
    as_each("cells_of_one_template_are_apart", |_| {
        let sandbox = sandbox();
        sandbox.prepare().expect("it can have a template");
        let (one, other) = (sandbox.cell().expect("it starts"), sandbox.cell().expect("it starts"));
        let fresh = look(&other);
        let child = soil(&one);
        assert_ne!(look(&one), fresh);
        assert_eq!(look(&other), fresh);
        // Neither cell can reach a socket of the other or signal one of its processes.
        let reach = r#"
import socket, os, ctypes
def tries(work):
    try: work(); return "reached"
    except OSError as error: return error.strerror
abstract = socket.socket(socket.AF_UNIX)
print(tries(lambda: abstract.connect("\0traces")), tries(lambda: socket.create_connection(("127.0.0.1", 4321))))
print(ctypes.CDLL(None).shmget(0x5ec1de, 0, 0), os.path.exists("/tmp/file"), os.path.exists("/dev/shm/file"))
"#;
        let text = |output: Output| String::from_utf8(output.stdout).expect("text");
        assert_eq!(
            text(python(&other, reach)),
            "Connection refused Connection refused\n-1 False False\n"
        );
        assert!(
            text(python(&one, reach)).starts_with("reached reached\n"),
            "the control: where it was opened, it is reached"
        );
        drop(child);
        // The cells have separate process trees, and the template is in neither.
        let inside = |cell: &Cell| {
            cell.processes()
                .expect("they are ours")
                .iter()
                .map(|process| process.pid)
                .collect::<BTreeSet<_>>()
        };
        assert!(inside(&one).is_disjoint(&inside(&other)));
        let levels: Vec<usize> =
            other.processes().expect("ours").iter().map(|process| process.pids.len()).collect();
        assert_eq!(levels, [3], "a template's copies are one tree deeper than it");
    });
}

#[test]
fn shared_memory_is_each_copys_own_whatever_is_made_above_it() {
    as_each("shared_memory_is_each_copys_own_whatever_is_made_above_it", |_| {
        for sandbox in [
            sandbox(),
            sandbox().dir("/dev"),
            sandbox().dir("/dev/shm/below"),
            sandbox().tmpfs("/dev/shm", MiB(1)),
        ] {
            sandbox.prepare().expect("it can have a template");
            let (one, other) =
                (sandbox.cell().expect("it starts"), sandbox.cell().expect("it starts"));
            let leaves = one.command("touch").arg("/dev/shm/left").status().expect("it starts");
            assert!(leaves.success(), "the control: it can be left");
            let finds =
                other.command("test").args(["-e", "/dev/shm/left"]).status().expect("it starts");
            assert_eq!(finds.ended, Ended::Exited(1));
        }
    });
}

#[test]
fn nothing_is_learned_under_a_filter_that_is_there_already() {
    let cell = sandbox().cell().expect("it starts");
    let pool = sandbox().pool(1).expect("it starts");
    for mut command in [cell.command("true"), pool.command("true")] {
        assert_eq!(command.learn().expect_err("it has its filter").kind(), ErrorKind::Invalid);
    }
}

#[test]
fn message_queues_are_each_copys_own_and_shared_in_a_cell() {
    as_each("message_queues_are_each_copys_own_and_shared_in_a_cell", |_| {
        let sandbox = sandbox().mqueue("/dev/mqueue");
        sandbox.prepare().expect("it can have a template");
        let (one, other) = (sandbox.cell().expect("it starts"), sandbox.cell().expect("it starts"));
        let queue = "/dev/mqueue/left";
        assert!(one.command("touch").arg(queue).status().expect("it starts").success());
        assert!(one.command("test").args(["-e", queue]).status().expect("it starts").success());
        let finds = other.command("test").args(["-e", queue]).status().expect("it starts");
        assert_eq!(finds.ended, Ended::Exited(1));
    });
}

#[test]
fn a_copy_is_protected_as_a_sandbox_of_its_own_is() {
    as_each("a_copy_is_protected_as_a_sandbox_of_its_own_is", |_| {
        let protections = |sandbox: &Sandbox| -> BTreeSet<Protection> {
            sandbox.command("true").status().expect("it starts").enforced.iter().collect()
        };
        for (cold, prepared) in each_stock().iter().zip(each_stock()) {
            prepared.prepare().expect("it can have a template");
            assert_eq!(protections(&prepared), protections(cold));
        }
        let cold = sandbox();
        let pool = sandbox().pool(1).expect("it starts");
        let pooled = pool
            .command("true")
            .status()
            .expect("it starts")
            .enforced
            .iter()
            .collect::<BTreeSet<_>>();
        assert_eq!(pooled, protections(&cold));
        let cell = sandbox().cell().expect("it starts");
        assert!(
            cell.enforced().contains(Protection::SeccompFilter)
                || cell.enforced().contains(Protection::FilteredWarden)
        );
    });
}

#[test]
fn many_commands_run_at_once_in_one_cell() {
    as_each("many_commands_run_at_once_in_one_cell", |_| {
        let cell = sandbox().cell().expect("it starts");
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let cell = &cell;
                scope.spawn(move || {
                    for round in 0..20 {
                        let code = (thread * 20 + round) % 256;
                        let text = format!("echo {code}; cat; exit {code}");
                        let mut command = cell.command("sh");
                        let output = command.args(["-c", &text]).output().expect("it starts");
                        assert_eq!(output.outcome.ended, Ended::Exited(code));
                        assert_eq!(output.stdout, format!("{code}\n").into_bytes());
                    }
                });
            }
        });
        assert_eq!(cell.processes().expect("ours").len(), 1);
    });
}

#[test]
fn a_killed_caller_leaves_no_cell_and_no_pool() {
    as_each("a_killed_caller_leaves_no_cell_and_no_pool", |_| {
        const CELLS: usize = 50;
        const POOL: usize = 8;
        let rounds = seclude_tests::payload::rounds(3);
        for round in 0..rounds {
            let mark =
                format!("seclude-kept-{}-{}-{round}", Caller::present().name(), std::process::id());
            let mut keeper = Command::new(program("keeper"))
                .args([&mark, &CELLS.to_string(), &POOL.to_string()])
                .stdout(std::process::Stdio::piped())
                .spawn()
                .expect("it is there");
            let mut line = String::new();
            BufReader::new(keeper.stdout.take().expect("piped"))
                .read_line(&mut line)
                .expect("it prints a line");
            assert_eq!(line, format!("{CELLS} {POOL}\n"));
            // Each command and the process that it left behind.
            await_marked(&mark, 2 * (CELLS + POOL));
            let below = descendants_of(keeper.id());
            // The control: every process that must end exists. These are the template, the cells,
            // and the pool's sandboxes, both in use and ready.
            let there: Vec<u32> = below.into_iter().filter(|pid| is_warden(*pid)).collect();
            assert_eq!(there.len(), 1 + CELLS + 2 * POOL, "wardens");
            keeper.kill().expect("it is ours");
            keeper.wait().expect("it is ours");
            assert_eq!(survivors(&mark, Duration::from_secs(1)), [0u32; 0]);
            // Another process may have the id by now.
            let left = |pid: &u32| is_warden(*pid) && !descendants().contains(pid);
            let deadline = Instant::now() + here(Duration::from_secs(1));
            while there.iter().any(left) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
            assert_eq!(
                there.into_iter().filter(left).collect::<Vec<_>>(),
                [0u32; 0],
                "wardens without a caller"
            );
        }
        println!("{rounds} callers killed, each with {CELLS} cells and a pool of {POOL}");
    });
}

fn slay(pid: u32) {
    kill(Pid::from_raw(pid as i32), Signal::SIGKILL).expect("it is ours");
}

#[test]
fn who_loses_a_warden_or_a_template_is_told_and_goes_on() {
    as_each("who_loses_a_warden_or_a_template_is_told_and_goes_on", |_| {
        let sandbox = sandbox();
        sandbox.prepare().expect("it can have a template");
        let cell = sandbox.cell().expect("it starts");
        let mut child = cell.command("sleep").arg("1000").spawn().expect("it starts");
        slay(cell.processes().expect("ours")[0].pid);
        assert!(matches!(child.wait().expect("it is reported").ended, Ended::WardenLost(_)));
        while cell.is_alive() {
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(
            cell.command("true").status().expect_err("it is gone").kind(),
            ErrorKind::WardenLost
        );
        // A reset replaces the lost warden.
        cell.reset().expect("it can be");
        assert!(cell.command("true").status().expect("it starts").success());
        // All copies end with their template, and another template is made.
        slay(cell.processes().expect("ours")[0].parent);
        while cell.is_alive() {
            std::thread::sleep(Duration::from_millis(2));
        }
        cell.reset().expect("it can be");
        assert!(cell.command("true").status().expect("it starts").success());
        assert!(sandbox.command("true").status().expect("it starts").success());
    });
}

/// What a template has opened once is what all its copies show.
#[test]
fn copies_take_nothing_from_outside() {
    as_each("copies_take_nothing_from_outside", |_| {
        let place = seclude_tests::scratch::directory();
        let at = |name: &str| place.path().join(name);
        for layer in ["layer", "bound"] {
            std::fs::create_dir(at(layer)).expect("it is ours");
            std::fs::write(at(layer).join("file"), layer).expect("it is ours");
            let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
            std::fs::set_permissions(at(layer), everybody).expect("it is ours");
        }
        let overlay = Overlay::new([at("layer")], "/tmp/over");
        let prepared = sandbox().entry(overlay).bind_ro(at("bound"), "/tmp/bound");
        let cold = prepared.clone().hostname("another-policy");
        prepared.prepare().expect("it can have a template");
        for layer in ["layer", "bound"] {
            std::fs::rename(at(layer), at(&format!("{layer}.old"))).expect("it is ours");
        }
        let script = "cat /tmp/over/file /tmp/bound/file; echo > /tmp/over/new";
        for _ in 0..2 {
            let output = prepared.command("sh").args(["-c", script]).output().expect("it starts");
            assert!(output.outcome.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(output.stdout, b"layerbound");
        }
        assert!(!at("layer.old").join("new").exists());
        let error = cold.command("true").status().expect_err("they are not there");
        assert_eq!(error.kind(), ErrorKind::SourceMissing, "{error}");
    });
}

#[test]
fn a_shared_namespace_does_without_a_template() {
    as_each("a_shared_namespace_does_without_a_template", |_| {
        let sandbox = sandbox().share(seclude::Namespace::Pid);
        sandbox.prepare().expect("nothing is done");
        let cell = sandbox.cell().expect("it starts");
        cell.command("sh")
            .args(["-c", "touch /left /tmp/left 2>/dev/null"])
            .status()
            .expect("it starts");
        cell.reset().expect("it can be");
        let seen = cell
            .command("sh")
            .args(["-c", "ls -d /left /tmp/left 2>/dev/null"])
            .output()
            .expect("it starts");
        assert_eq!(String::from_utf8_lossy(&seen.stdout), "");
    });
}
