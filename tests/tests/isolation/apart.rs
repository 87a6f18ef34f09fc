//! Sandboxes copied from one template share nothing that can be written. What a payload leaves or
//! does in one cannot be found, reached or noticed in another. There is a test for each class of
//! object.
//!
//! A payload places an object in one cell. Other sandboxes look for it: a cell that existed before,
//! a cell made afterwards, and a pool's sandbox. The control is another command of the same cell,
//! which finds it. Each test runs as root inside with every system call and nested namespaces
//! (`hostile`). Where the default allows the object, it runs with the default too.
//! `tests/tests/endurance/burden.rs` shows that a payload does not stop another copy from starting.

use seclude::{Cell, Child, Command, Ended, MiB, Profile, Sandbox, Stdio};
use seclude_tests::caller::as_each;
use std::io::{BufRead, BufReader};
use std::time::Duration;

/// The start of every program. A look exits with 0 if it finds the object and with 1 if not. `told`
/// is what the program that placed the object printed.
const BOTH: &str = r#"
import ctypes, os, platform, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
told = sys.argv[1]
def laid(word=""):
    print(word, flush=True)
    time.sleep(1000)
def found(is_there): sys.exit(0 if is_there else 1)
def works(deed):
    try: deed()
    except OSError: return False
    return True
"#;

/// The default sandbox with some more writable places.
fn usual() -> Sandbox {
    let sandbox = Sandbox::new()
        .tmpfs("/tmp", MiB(4))
        .tmpfs("/var/deep", MiB(1))
        .tmpfs("/tmp/below", MiB(1))
        .dir("/made");
    sandbox.wall_time(Duration::from_secs(60))
}

/// A sandbox with everything that a payload can be given without sharing namespaces or files.
fn hostile() -> Sandbox {
    usual().uid(0).gid(0).seccomp(Profile::Unconfined).no_landlock().nested()
}

fn python(mut command: Command, text: &str, told: &str) -> Command {
    command.args(["-ISc", &format!("{BOTH}{text}"), told]).stderr(Stdio::inherit());
    command
}

/// Places an object and waits until it is there. Returns the process that holds it, and what it
/// printed.
fn lay(cell: &Cell, text: &str) -> (Child, String) {
    let mut child = python(cell.command("python3"), text, "")
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped"))
        .read_line(&mut line)
        .expect("it prints a line");
    assert!(line.ends_with('\n'), "it could not be laid: {:?}", child.wait());
    (child, line.trim_end().to_owned())
}

fn finds(command: Command, look: &str, told: &str) -> bool {
    match python(command, look, told).status().expect("it starts").ended {
        Ended::Exited(0) => true,
        Ended::Exited(1) => false,
        ended => panic!("{look}: {ended:?}"),
    }
}

/// Checks that an object placed in one sandbox is found in the same sandbox and in no other.
/// Returns the process that holds it; the caller checks its end.
fn apart(sandbox: &Sandbox, what: &str, look: &str) -> Child {
    sandbox.prepare().expect("it can have a template");
    let (one, before) = (sandbox.cell().expect("it starts"), sandbox.cell().expect("it starts"));
    let (mut child, told) = lay(&one, what);
    let after = sandbox.cell().expect("it starts");
    let pool = sandbox.pool(1).expect("it starts");
    for other in [before.command("python3"), after.command("python3"), pool.command("python3")] {
        assert!(!finds(other, look, &told), "found in another: {look}");
        assert_eq!(
            child.try_wait().expect("it can be asked"),
            None,
            "it has been ended from another: {look}"
        );
    }
    assert!(
        finds(one.command("python3"), look, &told),
        "the control: it can be found where it was laid: {look}"
    );
    child
}

/// The same with the default sandbox and with `hostile`.
fn apart_in_any(what: &str, look: &str) {
    for sandbox in [usual(), hostile()] {
        drop(apart(&sandbox, what, look));
    }
}

#[test]
fn files() {
    as_each("files", |_| {
        // Every mount point, and the directories that the policy makes.
        let places = r#"
places = [line.split(" ")[4] for line in open("/proc/self/mountinfo")] + ["/made", "/etc", "/run", "/var", "/home"]
names = [place.rstrip("/") + "/canary" for place in places]
"#;
        let what = format!(
            "{places}\nmade = [name for name in names if works(lambda: open(name, 'x'))]\nassert len(made) >= 4, made\nlaid(len(made))"
        );
        apart_in_any(&what, &format!("{places}\nfound(any(map(os.path.exists, names)))"));
    });
}

#[test]
fn system_v_objects() {
    as_each("system_v_objects", |_| {
        for (make, get) in [
            ("libc.shmget(0x5ec1de, 4096, 0o1666)", "libc.shmget(0x5ec1de, 0, 0)"),
            ("libc.semget(0x5ec1de, 1, 0o1666)", "libc.semget(0x5ec1de, 0, 0)"),
            ("libc.msgget(0x5ec1de, 0o1666)", "libc.msgget(0x5ec1de, 0)"),
        ] {
            let what = format!("number = {make}\nassert number >= 0\nlaid(number)");
            apart_in_any(&what, &format!("found({get} >= 0)"));
        }
        // Segments are also found by id. 0o10000 is SHM_RDONLY.
        let what = "number = libc.shmget(0x5ec1de, 4096, 0o1666)\nlaid(number)";
        apart_in_any(
            what,
            "libc.shmat.restype = ctypes.c_ssize_t\nfound(libc.shmat(int(told), None, 0o10000) != -1)",
        );
    });
}

#[test]
fn message_queues() {
    as_each("message_queues", |_| {
        // O_CREAT | O_RDWR, with default attributes.
        let what =
            "queue = libc.mq_open(b'/canary', 0o102, 0o666, None)\nassert queue >= 0\nlaid()";
        apart_in_any(what, "found(libc.mq_open(b'/canary', 0) >= 0)");
    });
}

#[test]
fn abstract_sockets() {
    as_each("abstract_sockets", |_| {
        for kind in ["SOCK_STREAM", "SOCK_DGRAM"] {
            let what = format!(
                "one = socket.socket(socket.AF_UNIX, socket.{kind}); one.bind('\\0canary'); socket.{kind} == 2 or one.listen(9)\nlaid()"
            );
            let look = format!(
                "found(works(lambda: socket.socket(socket.AF_UNIX, socket.{kind}).connect('\\0canary')))"
            );
            apart_in_any(&what, &look);
        }
    });
}

#[test]
fn ports() {
    as_each("ports", |_| {
        for (family, address) in [("AF_INET", "127.0.0.1"), ("AF_INET6", "::1")] {
            let what = format!(
                "one = socket.socket(socket.{family}); one.bind(('{address}', 4321)); one.listen(9)\nlaid()"
            );
            apart_in_any(
                &what,
                &format!(
                    "found(works(lambda: socket.socket(socket.{family}).connect(('{address}', 4321))))"
                ),
            );
            // Sending a datagram always succeeds, so the other side sends it back.
            let what = format!(
                "one = socket.socket(socket.{family}, socket.SOCK_DGRAM); one.bind(('{address}', 4321)); print(flush=True)\nwhile True: one.sendto(*one.recvfrom(9))"
            );
            let look = format!(
                "one = socket.socket(socket.{family}, socket.SOCK_DGRAM); one.settimeout(0.3); one.connect(('{address}', 4321))\nfound(works(lambda: (one.send(b'x'), one.recv(9))))"
            );
            apart_in_any(&what, &look);
        }
    });
}

/// Keys by name, in every keyring that a process reaches. The default filter allows no key calls.
#[test]
fn keys() {
    as_each("keys", |_| {
        let calls = "add, request, control = (248, 249, 250) if platform.machine() == 'x86_64' else (217, 218, 219)\nrings = (-1, -2, -3, -4, -5)\n";
        let what = format!(
            "{calls}made = [ring for ring in rings if libc.syscall(add, b'user', b'canary', b'x', 1, ring) >= 0]\nassert -4 in made and -3 in made, made\nlaid()"
        );
        // KEYCTL_SEARCH, and the lookup of request_key(2).
        let look = format!(
            "{calls}found(any(libc.syscall(control, 10, ring, b'user', b'canary', 0) >= 0 for ring in rings) or libc.syscall(request, b'user', b'canary', None, 0) >= 0)"
        );
        drop(apart(&hostile(), &what, &look));
        let refused = format!(
            "{calls}found(any(libc.syscall(call, 0, 0, 0, 0, 0) == 0 or ctypes.get_errno() != 1 for call in (add, request, control)))"
        );
        assert!(!finds(usual().command("python3"), &refused, ""), "the default has no keys");
    });
}

#[test]
fn processes() {
    as_each("processes", |_| {
        let what = "laid(os.getpid())";
        let others = r#"
others = [int(name) for name in os.listdir('/proc') if name.isdigit() and int(name) not in (1, os.getpid())]
"#;
        apart_in_any(what, &format!("{others}found(others)"));
        // By process id, whatever /proc shows.
        apart_in_any(
            what,
            "found(int(told) != os.getpid() and any(works(lambda: os.kill(number, 0)) for number in range(2, 2000) if number != os.getpid()))",
        );
    });
}

#[test]
fn signals() {
    as_each("signals", |_| {
        for sandbox in [usual(), hostile()] {
            // Sends the signal to every process that may be signalled. The call fails if there is
            // none.
            let mut child = apart(&sandbox, "laid()", "found(works(lambda: os.kill(-1, 9)))");
            assert_eq!(
                child.wait().expect("it ends").ended,
                Ended::Signaled(9),
                "the control: it does arrive"
            );
        }
    });
}

#[test]
fn tracing() {
    as_each("tracing", |_| {
        let look = r#"
libc.ptrace.argtypes = [ctypes.c_long] * 4
others = [number for number in range(2, 2000) if number != os.getpid()]
def memory(number): os.close(os.open(f"/proc/{number}/mem", os.O_RDWR))
# PTRACE_SEIZE
found(any(libc.ptrace(0x4206, number, 0, 0) == 0 or works(lambda: memory(number)) for number in others))
"#;
        // PR_SET_PTRACER with PR_SET_PTRACER_ANY allows every process to trace this one.
        drop(apart(&hostile(), "libc.prctl(0x59616d61, ctypes.c_ulong(-1))\nlaid()", look));
    });
}

/// No kernel setting can be changed. Settings that belong to a namespace are separate in each
/// sandbox.
#[test]
fn knobs_of_the_kernel() {
    as_each("knobs_of_the_kernel", |_| {
        let look = r#"
def writable(top):
    names = (os.path.join(place, name) for place, _, names in os.walk(top) for name in names)
    return [name for name in names if works(lambda: os.close(os.open(name, os.O_WRONLY)))]
"#;
        for sandbox in [usual(), usual().uid(0).gid(0).seccomp(Profile::Unconfined).no_landlock()] {
            let finds = |top: &str| {
                finds(sandbox.command("python3"), &format!("{look}found(writable({top:?}))"), "")
            };
            assert!(!finds("/proc/sys"));
            assert!(finds("/proc/self"), "the control: what can be written to is seen to be");
        }
        let knobs = r#"
knobs = ["kernel/shmmni", "kernel/msgmni", "kernel/sem", "fs/mqueue/msg_max", "net/ipv4/ip_default_ttl", "net/ipv4/ip_unprivileged_port_start",
    "net/core/somaxconn", "net/ipv6/conf/all/hop_limit", "user/max_inotify_instances", "user/max_mnt_namespaces", "kernel/hostname"]
names = ["/proc/sys/" + name for name in knobs if os.path.exists("/proc/sys/" + name)]
def text(name): return open(name).read().split("\t")[0].strip()
values = [text(name) for name in names]
"#;
        // Changes each setting slightly, where that is possible, and leaves it changed.
        let turn = format!(
            r#"{knobs}
def turn(name):
    value = text(name)
    open(name, "w").write(str(int(value) - 1) if value.isdigit() else value + "-")
turned = [name for name in names if works(lambda: turn(name))]
sys.stderr.write("turned: %s\n" % turned)
laid(" ".join(map(text, names)))"#
        );
        let sandbox = hostile();
        sandbox.prepare().expect("it can have a template");
        let (one, other) = (sandbox.cell().expect("it starts"), sandbox.cell().expect("it starts"));
        let same = format!("{knobs}found(' '.join(values) == told)");
        let read = |cell: &Cell| lay(cell, &format!("{knobs}laid(' '.join(values))")).1;
        let at_first = read(&other);
        let (_child, told) = lay(&one, &turn);
        println!("{at_first}\n{told}");
        assert!(finds(other.command("python3"), &same, &at_first), "another's have been turned");
        assert!(
            finds(sandbox.command("python3"), &same, &at_first),
            "a new one's have been turned"
        );
        assert!(
            finds(one.command("python3"), &same, &told),
            "the control: its own are as it has turned them"
        );
    });
}
