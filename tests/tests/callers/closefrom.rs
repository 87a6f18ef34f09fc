//! A caller that closes descriptors it does not know, as `closefrom(3)` does. The library's
//! descriptors are closed with them, and the kernel gives their numbers to the next descriptors of
//! the caller.
//!
//! The library must not write to, read from or close a descriptor under such a number. It makes
//! what it needs again, or reports what happened. Each case runs in a process of its own.
//!
//! The file is longer than 400 lines because most of it is one table of cases.

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, socketpair};
use nix::sys::stat::fstat;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, close};
use seclude::{
    Ended, ErrorKind, Join, MiB, Namespace, Outcome, Pool, Profile, Result, Sandbox, Seccomp,
    Stdio, WindowSize,
};
use seclude_tests::caller::{as_each, only};
use seclude_tests::cgroups::kernel_is_at_least;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;

const CASE: &str = "SECLUDE_TEST_CLOSED_FROM";
const TAKEN: &str = "SECLUDE_TEST_TAKEN";

/// Uses an object after its descriptors were closed.
type Use = Box<dyn FnOnce() -> Result<String>>;

/// The expected result of that use.
#[derive(Clone, Copy)]
enum Then {
    /// It works, because the library makes again what was lost.
    Works,
    /// The command has ended, because its warden lost the connection to the caller.
    Ended,
    /// An error of this kind that says what the caller did.
    Told(ErrorKind),
}

/// A name, a function that makes an object with descriptors, and the expected result of its use.
type Case = (&'static str, fn() -> Use, Then);

const CASES: &[Case] = &[
    (
        "a sandbox that has been used",
        || {
            let sandbox = Sandbox::new();
            echo(&sandbox).expect("it starts");
            Box::new(move || echo(&sandbox))
        },
        Then::Works,
    ),
    (
        "a sandbox that has been prepared",
        || {
            let sandbox = Sandbox::new();
            sandbox.prepare().expect("it can be");
            Box::new(move || echo(&sandbox))
        },
        Then::Works,
    ),
    (
        "a pool",
        || {
            let pool = filled(Sandbox::new().pool(2).expect("there is room"));
            Box::new(move || written(pool.command("echo").arg("x")))
        },
        Then::Told(ErrorKind::Io),
    ),
    (
        "a pool whose sandboxes are used again",
        || {
            let pool = Sandbox::new().reusing_pool(2).expect("there is room");
            written(pool.command("echo").arg("x")).expect("it starts");
            let pool = filled(pool);
            Box::new(move || written(pool.command("echo").arg("x")))
        },
        Then::Told(ErrorKind::Io),
    ),
    (
        "a cell",
        || {
            let cell = Sandbox::new().cell().expect("it starts");
            Box::new(move || written(cell.command("echo").arg("x")))
        },
        Then::Told(ErrorKind::WardenLost),
    ),
    (
        "a cell that a cgroup holds",
        || {
            let cell = Sandbox::new().memory(MiB(256)).pids(64).cell().expect("it starts");
            Box::new(move || written(cell.command("echo").arg("x").memory(MiB(64))))
        },
        Then::Told(ErrorKind::WardenLost),
    ),
    (
        "a cell that is reset",
        || {
            let cell = Sandbox::new().cell().expect("it starts");
            Box::new(move || cell.reset().and_then(|()| written(cell.command("echo").arg("x"))))
        },
        Then::Works,
    ),
    (
        "a cell that is closed",
        || {
            let cell = Sandbox::new().cell().expect("it starts");
            Box::new(move || {
                cell.close();
                Ok("x\n".into())
            })
        },
        Then::Works,
    ),
    (
        "a running command",
        || {
            let mut child = Sandbox::new().command("sleep").arg("1000").spawn().expect("it starts");
            Box::new(move || child.wait().map(|outcome| lost(&outcome)))
        },
        Then::Ended,
    ),
    (
        "a running command that is looked at",
        || {
            let mut child = Sandbox::new().command("sleep").arg("1000").spawn().expect("it starts");
            Box::new(move || {
                loop {
                    if let Some(outcome) = child.try_wait()? {
                        return Ok(lost(&outcome));
                    }
                }
            })
        },
        Then::Ended,
    ),
    (
        "a running command that is killed",
        || {
            let mut child = Sandbox::new().command("sleep").arg("1000").spawn().expect("it starts");
            Box::new(move || {
                let _ = child.kill();
                child.wait().map(|outcome| lost(&outcome))
            })
        },
        Then::Ended,
    ),
    (
        "a running command with pipes",
        || {
            let mut command = Sandbox::new().command("cat");
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let child = command.spawn().expect("it starts");
            Box::new(move || {
                child.wait_with_output().map(|output| {
                    assert_eq!((output.stdout, output.stderr), (Vec::new(), Vec::new()));
                    lost(&output.outcome)
                })
            })
        },
        Then::Ended,
    ),
    (
        "a running command with pipes, dropped",
        || {
            let mut command = Sandbox::new().command("cat");
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let child = command.spawn().expect("it starts");
            Box::new(move || {
                drop(child);
                Ok("x\n".into())
            })
        },
        Then::Works,
    ),
    (
        "a running command in a cell",
        || {
            let cell = Sandbox::new().cell().expect("it starts");
            let mut child = cell.command("sleep").arg("1000").spawn().expect("it starts");
            Box::new(move || child.wait().map(|outcome| lost(&outcome)))
        },
        Then::Ended,
    ),
    (
        "a running command without a process tree of its own",
        || {
            let sandbox = Sandbox::new().share(Namespace::Pid);
            let mut child = sandbox.command("sleep").arg("1000").spawn().expect("it starts");
            Box::new(move || child.wait().map(|outcome| lost(&outcome)))
        },
        Then::Ended,
    ),
    (
        "a terminal",
        || {
            let mut command = Sandbox::new().terminals().command("cat");
            let mut child = command
                .stdin(Stdio::pty())
                .stdout(Stdio::pty())
                .stderr(Stdio::pty())
                .spawn()
                .expect("it starts");
            let mut terminal = child.terminal.take().expect("it has one");
            Box::new(move || {
                assert!(terminal.write(b"x").is_err() && terminal.read(&mut [0; 8]).is_err());
                let resized = terminal.resize(WindowSize::default());
                drop(child);
                resized.map(|()| "resized".into())
            })
        },
        Then::Told(ErrorKind::Io),
    ),
    (
        "a listener",
        || {
            let sandbox =
                Sandbox::new().seccomp(Seccomp::profile(Profile::Default).notify("uname"));
            let mut child =
                sandbox.command("uname").stdout(Stdio::null()).spawn().expect("it starts");
            let listener = child.take_listener().expect("it has one");
            let call = listener.receive().expect("it is open").expect("it calls");
            Box::new(move || {
                let refused = call.allow().expect_err("it is closed");
                assert!(refused.to_string().contains("descriptor of the library's"), "{refused}");
                let heard = listener.receive();
                drop(child);
                heard.map(|_| "heard".into())
            })
        },
        Then::Told(ErrorKind::Io),
    ),
    (
        "a descriptor that was given to a command",
        || {
            let mut command = Sandbox::new().command("cat");
            command.fd(7, File::open("/etc/hostname").expect("it is there"));
            Box::new(move || written(&mut command))
        },
        Then::Told(ErrorKind::Io),
    ),
    (
        "a stream that was given to a command",
        || {
            let mut command = Sandbox::new().command("cat");
            command.stdin(File::open("/etc/hostname").expect("it is there"));
            Box::new(move || written(&mut command))
        },
        Then::Told(ErrorKind::Io),
    ),
    (
        "namespaces that are joined",
        || {
            let child = Sandbox::new().command("sleep").arg("1000").spawn().expect("it starts");
            let kinds = [Namespace::User, Namespace::Net];
            let joined = Sandbox::new()
                .join(&Join::new().process(child.id()).only(kinds))
                .expect("they are there");
            Box::new(move || {
                let result = written(joined.command("echo").arg("x"));
                drop(child);
                result
            })
        },
        Then::Told(ErrorKind::Io),
    ),
    (
        "namespaces that are to be joined",
        || {
            let join =
                Join::new().descriptor(File::open("/proc/self/ns/net").expect("it is there"));
            Box::new(move || Sandbox::new().join(&join).map(|_| "joined".into()))
        },
        Then::Told(ErrorKind::Io),
    ),
];

/// Waits until a pool is full, so that its threads are idle when the descriptors are closed.
fn filled(pool: Pool) -> Pool {
    while pool.statistics().ready < pool.statistics().size {
        std::thread::yield_now();
    }
    pool
}

fn written(command: &mut seclude::Command) -> Result<String> {
    command.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The end of a command after its warden lost the connection to the caller.
fn lost(outcome: &Outcome) -> String {
    match outcome.ended {
        Ended::WardenLost(_) | Ended::Killed => "lost".into(),
        ended => ended.to_string(),
    }
}

fn echo(sandbox: &Sandbox) -> Result<String> {
    written(sandbox.command("echo").arg("x"))
}

/// The descriptors that the caller opens afterwards. They are sockets, so that a message sent to
/// one of them is noticed.
struct Own(Vec<(OwnedFd, u64)>);

impl Own {
    fn open() -> Own {
        let pair = |_| {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let (one, other) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)
                .expect("there is room");
            [one, other]
        };
        let inode = |socket: &OwnedFd| fstat(socket).expect("it is open").st_ino;
        Own((0..60)
            .flat_map(pair)
            .map(|socket| {
                let inode = inode(&socket);
                (socket, inode)
            })
            .collect())
    }

    /// What was done to them by code other than this test.
    fn harm(&self) -> Vec<String> {
        let mut harm = Vec::new();
        for (socket, inode) in &self.0 {
            let number = socket.as_raw_fd();
            match fstat(socket) {
                Ok(status) if status.st_ino == *inode => {}
                found => harm
                    .push(format!("{number} was closed: {:?}", found.map(|status| status.st_ino))),
            }
            match recv(number, &mut [0; 4096], MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) => {}
                heard => harm.push(format!("{number} heard {heard:?}")),
            }
        }
        harm
    }
}

/// Runs one case, in a process that does nothing else.
fn run(&(name, make, then): &Case, taken: bool) {
    let used = make();
    for number in 3..1024 {
        let _ = close(number);
    }
    let own = if taken { Own::open() } else { Own(Vec::new()) };
    let result = used();
    match (then, &result) {
        (Then::Works, Ok(text)) => assert_eq!(text, "x\n", "{name}"),
        (Then::Ended, Ok(text)) => assert_eq!(text, "lost", "{name}"),
        (Then::Told(kind), Err(error)) => {
            let text = error.to_string();
            assert!(
                error.kind() == kind && error.raw_os_error() == Some(libc::EBADF),
                "{name}: {error:?}"
            );
            assert!(
                text.contains(
                    "the caller has closed a descriptor of the library's; hint: close only what"
                ),
                "{name}: {text}"
            );
        }
        _ => panic!("{name}: {result:?}"),
    }
    assert_eq!(own.harm(), Vec::<String>::new(), "{name}");
    // Before Linux 6.9, a process without its pidfd cannot be told from another one. The library
    // leaves it for the caller's own wait loop.
    if kernel_is_at_least(6, 9) {
        let left = waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG));
        assert!(matches!(left, Err(Errno::ECHILD)), "{name} leaves {left:?}");
    }
}

#[test]
fn what_the_caller_has_closed_is_neither_used_nor_closed_again() {
    const NAME: &str = "what_the_caller_has_closed_is_neither_used_nor_closed_again";
    as_each(NAME, |_| {
        if let Ok(name) = std::env::var(CASE) {
            let case = CASES.iter().find(|case| case.0 == name).expect("the name is on the list");
            run(case, std::env::var_os(TAKEN).is_some());
            std::process::exit(0);
        }
        let mut failed = Vec::new();
        for (name, ..) in CASES {
            for taken in [false, true] {
                // A case that hangs is killed.
                let mut command = Command::new("timeout");
                command
                    .args(["-s", "KILL", "60"])
                    .arg(std::env::current_exe().expect("/proc/self/exe can be read"));
                command.args(only(NAME)).env(CASE, name);
                if taken {
                    command.env(TAKEN, "1");
                }
                let output = command.output().expect("timeout (coreutils) is there");
                if !output.status.success() {
                    let said = String::from_utf8_lossy(&output.stderr).into_owned();
                    failed.push(format!("{name}, taken {taken}: {}\n{said}", output.status));
                }
            }
        }
        assert!(failed.is_empty(), "{}", failed.join("\n"));
    });
}
