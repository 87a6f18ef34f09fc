//! Nothing of the parent is visible inside. A canary of each kind is placed outside, and a command
//! looks for it. A look is a short script that exits with 0 if it finds the canary and with 1 if
//! not. Each has a negative control: the same script finds the canary when it runs outside, or with
//! one protection removed.
//!
//! The file is longer than 400 lines because it is one list of such checks, which share the code at
//! its top.

use nix::mqueue::{MQ_OFlag, MqAttr, mq_close, mq_open, mq_unlink};
use nix::sys::stat::Mode;
use seclude::{Ended, Namespace, Protection, Sandbox};
use seclude_tests::caller::{Caller, as_each, driver};
use seclude_tests::job::{Job, Stream};
use seclude_tests::scratch;
use std::fs::Permissions;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A program and its arguments.
#[derive(Debug, Clone)]
struct Look<'a>(Vec<&'a str>);

impl<'a> Look<'a> {
    /// A shell script with its `$1`.
    fn shell(script: &'a str, argument: &'a str) -> Look<'a> {
        Look(vec!["sh", "-c", script, "sh", argument])
    }

    /// A Python program with its `argv[1]`.
    fn python(program: &'a str, argument: &'a str) -> Look<'a> {
        Look(vec!["python3", "-c", program, argument])
    }

    /// A search for this pattern in the process's own `/proc/self/status`.
    fn status(pattern: &'a str) -> Look<'a> {
        Look(vec!["grep", "-q", pattern, "/proc/self/status"])
    }

    /// Whether it finds the canary in this sandbox.
    fn finds_inside(&self, sandbox: &Sandbox) -> bool {
        let output = sandbox.command(self.0[0]).args(&self.0[1..]).output().expect("it starts");
        match output.outcome.ended {
            Ended::Exited(0) => true,
            Ended::Exited(1) => false,
            ended => {
                panic!("{self:?} ended {ended:?}: {}", String::from_utf8_lossy(&output.stderr))
            }
        }
    }

    /// Whether it finds the canary without a sandbox, as the present user.
    fn finds_outside(&self) -> bool {
        self.judge(usual(self.0[0]).args(&self.0[1..]))
    }

    /// Whether it finds the canary without a sandbox, and in one, for a caller that executed
    /// `preparation`: a shell script that places the canary in its own process and then executes
    /// its arguments.
    fn finds_after(&self, preparation: &str) -> (bool, bool) {
        let prepared = || {
            let mut command = usual("sh");
            command.args(["-c", preparation, "sh"]);
            command
        };
        let outside = self.judge(prepared().args(&self.0));

        let place = scratch::directory();
        let (job, result) = (place.path().join("job"), place.path().join("result"));
        let lines = Job {
            program: self.0[0].into(),
            arguments: self.0[1..].iter().map(Into::into).collect(),
            streams: [Stream::Null, Stream::Inherit, Stream::Inherit],
            ..Job::default()
        };
        std::fs::write(&job, lines.write()).expect("a file of our own");
        let status = prepared().arg(driver()).args([&job, &result]).status().expect("sh is there");
        let told = std::fs::read_to_string(&result)
            .unwrap_or_else(|error| panic!("{preparation}: {status}, {error}"));
        let inside = match told.lines().find(|line| line.starts_with("ended ")) {
            Some("ended exited%200") => true,
            Some("ended exited%201") => false,
            _ => panic!("{self:?}: {told}"),
        };
        (outside, inside)
    }

    fn judge(&self, command: &mut Command) -> bool {
        let output = command.output().expect("sh is there");
        match output.status.code() {
            Some(0) => true,
            Some(1) => false,
            _ => panic!(
                "{self:?} ended with {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            ),
        }
    }
}

/// A command outside, with the same PATH as one inside.
fn usual(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null());
    command
}

/// A name that is unique on the machine.
fn canary(kind: &str) -> String {
    format!("seclude-canary-{kind}-{}-{}", Caller::present().name(), std::process::id())
}

/// A process of the host with the user id that the command has on the host. If it were visible, the
/// command could kill it.
struct Bystander(Child);

impl Bystander {
    fn new(caller: Caller, name: &str) -> Bystander {
        let script = "echo; while :; do sleep 0.2; done";
        let mut child = as_behind(caller, &["sh", "-c", script, name])
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh is there");
        let mut line = [0];
        std::io::Read::read_exact(child.stdout.as_mut().expect("piped"), &mut line)
            .expect("it has become what it shall be");
        Bystander(child)
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().expect("it is ours").is_none()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command outside, as the host user that a command inside is.
fn as_behind(caller: Caller, words: &[&str]) -> Command {
    let id = caller.uid_behind().to_string();
    let mut command = match caller {
        Caller::User => usual(words[0]),
        Caller::Root => {
            let mut command = usual("setpriv");
            command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--", words[0]]);
            command
        }
    };
    command.args(&words[1..]);
    command
}

#[test]
fn no_process_of_the_host_is_listed() {
    as_each("no_process_of_the_host_is_listed", |caller| {
        let name = canary("process");
        let _bystander = Bystander::new(caller, &name);
        // The brackets prevent the pattern from matching itself.
        let pattern = format!("[s]{}", &name[1..]);
        // grep exits with 2 if a process ends before its file is read.
        let look = Look::shell("grep -qsa \"$1\" /proc/[0-9]*/cmdline || exit 1", &pattern);
        assert!(!look.finds_inside(&Sandbox::new()));
        assert!(look.finds_inside(&Sandbox::new().share(Namespace::Pid)), "shared, it is there");
        assert!(look.finds_outside());

        // The shell alone sees the ids of the warden and of itself, because `echo` and the pattern
        // start no process.
        let listing = "cd /proc; echo $$ [0-9]*";
        let strangers = |listed: Vec<u8>| {
            let text = String::from_utf8(listed).expect("numbers");
            let mut numbers = text.split_whitespace().map(str::to_owned);
            let own = numbers.next().expect("its own");
            numbers.filter(|number| *number != own && number != "1").count()
        };
        let inside =
            Sandbox::new().command("sh").args(["-c", listing]).output().expect("it starts");
        assert_eq!(strangers(inside.stdout), 0);
        let outside = usual("sh").args(["-c", listing]).output().expect("sh is there");
        assert_ne!(strangers(outside.stdout), 0, "outside there are others");
    });
}

#[test]
fn of_the_first_process_nothing_can_be_read() {
    as_each("of_the_first_process_nothing_can_be_read", |_| {
        let sandbox = Sandbox::new();
        // The control reads a process's own entry in the same way.
        for part in ["environ", "mem", "maps", "auxv"] {
            let open = format!("( : < /proc/$1/{part} ) 2>/dev/null || exit 1");
            assert!(
                !Look::shell(&open, "1").finds_inside(&sandbox),
                "/proc/1/{part} can be opened"
            );
            assert!(
                Look::shell(&open, "self").finds_inside(&sandbox),
                "a process's own {part} can be opened"
            );
        }
        for part in ["fd", "fdinfo", "map_files"] {
            let list = format!("ls /proc/$1/{part} >/dev/null 2>&1 || exit 1");
            assert!(
                !Look::shell(&list, "1").finds_inside(&sandbox),
                "/proc/1/{part} can be listed"
            );
            assert!(
                Look::shell(&list, "self").finds_inside(&sandbox),
                "a process's own {part} can be listed"
            );
        }
        for part in ["exe", "cwd", "root", "fd/0", "ns/mnt"] {
            let follow = format!("readlink /proc/$1/{part} >/dev/null || exit 1");
            assert!(
                !Look::shell(&follow, "1").finds_inside(&sandbox),
                "/proc/1/{part} can be read"
            );
            assert!(
                Look::shell(&follow, "self").finds_inside(&sandbox),
                "a process's own {part} can be read"
            );
        }
    });
}

#[test]
fn no_environment_holds_a_variable_of_the_caller() {
    as_each("no_environment_holds_a_variable_of_the_caller", |_| {
        let value = canary("variable");
        let look = Look::shell("cat /proc/[0-9]*/environ 2>/dev/null | grep -qa \"$1\"", &value);
        assert_eq!(
            look.finds_after(&format!("export SECLUDE_CANARY={value}; exec \"$@\"")),
            (true, false)
        );
    });
}

#[test]
fn no_descriptor_of_the_caller_is_inherited() {
    as_each("no_descriptor_of_the_caller_is_inherited", |_| {
        // The listing opens a descriptor that no longer exists when its name is inspected.
        let look = Look::shell(
            "for fd in /proc/$$/fd/*; do case ${fd##*/} in 0|1|2) ;; *) if [ -L $fd ]; then exit 0; fi ;; esac; done; exit 1",
            "",
        );
        assert_eq!(look.finds_after("exec 3</etc/passwd 7</ 9>&1; exec \"$@\""), (true, false));
    });
}

#[test]
fn no_signal_reaches_a_process_of_the_host() {
    as_each("no_signal_reaches_a_process_of_the_host", |caller| {
        let sandbox = Sandbox::new();
        let mut bystander = Bystander::new(caller, &canary("target"));
        let pid = bystander.pid();
        let one = Look::shell("kill -9 $1 2>/dev/null || exit 1", &pid);
        assert!(!one.finds_inside(&sandbox));

        // Shows what `kill -1` reaches with a process beside it inside. Outside, the call would
        // kill every process of that user.
        let all = Look::shell("sleep 1000 & kill -9 -1; wait $!; [ $? = 137 ]", "");
        assert!(all.finds_inside(&sandbox), "inside it reaches everybody");
        assert!(bystander.lives(), "a signal came through");

        let shared = sandbox.share(Namespace::Pid);
        let walled = sandbox_keeps_signals(&shared);
        assert!(!walled || !one.finds_inside(&shared), "shared, Landlock keeps signals inside");
        assert!(one.finds_inside(&shared.no_landlock()), "without it, the same user may kill it");
        bystander.0.wait().expect("it is ours");
    });
}

/// Whether Landlock scopes this sandbox's signals, which it does since Linux 6.12.
fn sandbox_keeps_signals(sandbox: &Sandbox) -> bool {
    sandbox
        .command("true")
        .status()
        .expect("it starts")
        .enforced
        .contains(Protection::LandlockSignals)
}

#[test]
fn no_system_v_memory_is_shared() {
    as_each("no_system_v_memory_is_shared", |_| {
        /// A segment that is removed when dropped.
        struct Segment(String);
        impl Drop for Segment {
            fn drop(&mut self) {
                let _ = usual("ipcrm").args(["-m", &self.0]).status();
            }
        }
        let made = usual("ipcmk")
            .args(["-M", "64", "-p", "0644"])
            .output()
            .expect("ipcmk (util-linux) is there");
        let text = String::from_utf8_lossy(&made.stdout).into_owned();
        let segment = Segment(text.split_whitespace().last().expect("it tells the id").to_owned());
        // 0o10000 is SHM_RDONLY. shmat(2) fails with -1.
        let look = Look::python(
            "import ctypes, sys; sys.exit(ctypes.CDLL(None).shmat(int(sys.argv[1]), None, 0o10000) == -1)",
            &segment.0,
        );
        assert!(!look.finds_inside(&Sandbox::new()));
        assert!(
            look.finds_inside(&Sandbox::new().share(Namespace::Ipc)),
            "shared, it can be attached"
        );
        assert!(look.finds_outside());
    });
}

#[test]
fn no_message_queue_is_shared() {
    as_each("no_message_queue_is_shared", |_| {
        /// A queue that is removed when dropped.
        struct Queue(String);
        impl Drop for Queue {
            fn drop(&mut self) {
                let _ = mq_unlink(self.0.as_str());
            }
        }
        let queue = Queue(format!("/{}", canary("queue")));
        let mode = Mode::S_IRUSR | Mode::S_IRGRP | Mode::S_IROTH;
        // Without attributes nix passes no mode either.
        let size = MqAttr::new(0, 1, 8, 0);
        let opened =
            mq_open(queue.0.as_str(), MQ_OFlag::O_CREAT | MQ_OFlag::O_RDONLY, mode, Some(&size));
        mq_close(opened.expect("the kernel has message queues")).expect("it is ours");
        let look = Look::python(
            "import ctypes, sys; sys.exit(ctypes.CDLL(None).mq_open(sys.argv[1].encode(), 0) == -1)",
            &queue.0,
        );
        assert!(!look.finds_inside(&Sandbox::new()));
        assert!(
            look.finds_inside(&Sandbox::new().share(Namespace::Ipc)),
            "shared, it can be opened"
        );
        assert!(look.finds_outside());
    });
}

#[test]
fn no_abstract_socket_can_be_reached() {
    as_each("no_abstract_socket_can_be_reached", |_| {
        let name = canary("socket");
        let address = SocketAddr::from_abstract_name(&name).expect("it is short");
        let _listener = UnixListener::bind_addr(&address).expect("the name is ours");
        let look = Look::python(
            "import socket, sys; socket.socket(socket.AF_UNIX).connect(chr(0) + sys.argv[1])",
            &name,
        );
        assert!(!look.finds_inside(&Sandbox::new()));
        assert!(
            look.finds_inside(&Sandbox::new().share(Namespace::Net)),
            "in the host's network it can be"
        );
    });
}

#[test]
fn no_port_of_the_host_can_be_reached() {
    as_each("no_port_of_the_host_can_be_reached", |_| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a loopback");
        let port = listener.local_addr().expect("it is bound").port().to_string();
        let look = Look::python(
            "import socket, sys; socket.create_connection((\"127.0.0.1\", int(sys.argv[1])))",
            &port,
        );
        assert!(!look.finds_inside(&Sandbox::new()));
        assert!(
            look.finds_inside(&Sandbox::new().share(Namespace::Net)),
            "in the host's network it can be"
        );
    });
}

#[test]
fn no_key_of_the_caller_is_found() {
    as_each("no_key_of_the_caller_is_found", |_| {
        if !Path::new("/usr/bin/keyctl").exists() && !Path::new("/bin/keyctl").exists() {
            eprintln!(
                "no_key_of_the_caller_is_found: SKIPPED: this machine has no keyctl (keyutils)"
            );
            return;
        }
        let name = canary("key");
        let look = Look::shell("keyctl search @s user \"$1\" >/dev/null 2>&1 || exit 1", &name);
        let preparation = format!(
            "exec keyctl session - sh -c 'keyctl add user {name} x @s >/dev/null && exec \"$@\"' sh \"$@\" 2>/dev/null"
        );
        assert_eq!(look.finds_after(&preparation), (true, false));
    });
}

#[test]
fn no_file_is_there_that_was_not_bound() {
    as_each("no_file_is_there_that_was_not_bound", |_| {
        for directory in [std::env::temp_dir(), "/dev/shm".into(), "/var/tmp".into()] {
            let file = tempfile::Builder::new()
                .prefix("seclude-test-")
                .permissions(Permissions::from_mode(0o644))
                .tempfile_in(&directory)
                .expect("everybody may write there");
            let look =
                Look::shell("[ -e \"$1\" ]", file.path().to_str().expect("its name is plain"));
            assert!(!look.finds_inside(&Sandbox::new()), "{} is there", file.path().display());
            assert!(
                look.finds_inside(&Sandbox::new().bind_ro(file.path(), file.path())),
                "bound, it is there"
            );
            assert!(look.finds_outside());
        }
    });
}

#[test]
fn the_hosts_name_is_not_told() {
    as_each("the_hosts_name_is_not_told", |_| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("/proc is mounted");
        let look = Look::shell("[ \"$(uname -n)\" = \"$1\" ]", name.trim());
        assert!(!look.finds_inside(&Sandbox::new()));
        assert!(look.finds_inside(&Sandbox::new().share(Namespace::Uts)), "shared, it is");
    });
}

#[test]
fn no_capability_is_left() {
    as_each("no_capability_is_left", |_| {
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert!(
                Look::status(&format!("^{set}:.0*$")).finds_inside(&Sandbox::new()),
                "{set} is not empty"
            );
        }
        let some = Look::status("^Cap...:.*[1-9a-f]");
        assert!(!some.finds_inside(&Sandbox::new()));
        assert!(some.finds_outside(), "outside at least the bounding set holds some");
    });
}

#[test]
fn new_privileges_are_given_up() {
    as_each("new_privileges_are_given_up", |_| {
        let given_up = Look::status("^NoNewPrivs:.1$");
        assert!(given_up.finds_inside(&Sandbox::new()));
        // The control: outside, no_new_privs is not set. Where it is set, as in some containers, it
        // cannot be cleared.
        if given_up.finds_outside() {
            eprintln!(
                "new_privileges_are_given_up: control SKIPPED: no_new_privs is set for the caller itself"
            );
        }
    });
}

#[test]
fn no_signal_is_blocked_or_ignored() {
    as_each("no_signal_is_blocked_or_ignored", |_| {
        // A shell would clear its mask at start, and Python ignores a signal. grep changes neither.
        let preparation = "trap '' USR2 PIPE TERM; exec env --block-signal=USR1,INT \"$@\"";
        assert_eq!(
            Look::status("^SigBlk:.*[1-9a-f]").finds_after(preparation),
            (true, false),
            "blocked"
        );
        assert_eq!(
            Look::status("^SigIgn:.*[1-9a-f]").finds_after(preparation),
            (true, false),
            "ignored"
        );
    });
}
