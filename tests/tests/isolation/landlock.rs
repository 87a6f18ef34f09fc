//! The Landlock ruleset: what it protects by itself, where mounts and namespaces are opened or do
//! not apply. Each test has its control: the same without Landlock.

use seclude::{Bind, Ended, ErrorKind, Namespace, Protection, Sandbox, Stdio};
use seclude_tests::caller::{Caller, as_each};
use seclude_tests::scratch;
use std::fs::{self, File, Permissions};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};

/// The kernel's Landlock ABI. If it is lower than `least`, prints that the test is skipped and
/// returns `None`.
fn abi(test: &str, least: u32) -> Option<u32> {
    let enforced = Sandbox::new().command("true").status().expect("it starts").enforced;
    let abi = enforced.landlock_abi().filter(|abi| *abi >= least);
    if abi.is_none() {
        eprintln!("{test}: SKIPPED: this kernel has no Landlock of ABI {least}");
    }
    abi
}

/// Whether a shell script exits with 0. The sandbox must end by an exit.
fn succeeds(sandbox: &Sandbox, script: &str) -> bool {
    let output = sandbox.command("sh").args(["-c", script]).output().expect("it starts");
    match output.outcome.ended {
        Ended::Exited(code) => code == 0,
        ended => panic!("{script:?} ended {ended:?}"),
    }
}

#[test]
fn what_is_enforced_is_told() {
    let Some(abi) = abi("what_is_enforced_is_told", 2) else { return };
    let of = |sandbox: Sandbox| sandbox.command("true").status().expect("it starts").enforced;
    let default = of(Sandbox::new());
    assert!(default.contains(Protection::LandlockFiles));
    assert_eq!(default.contains(Protection::LandlockSignals), abi >= 6);
    assert_eq!(default.contains(Protection::LandlockSockets), abi >= 6);
    assert!(!default.contains(Protection::LandlockPorts));
    assert_eq!(of(Sandbox::new().nested()).landlock_abi(), None);
    assert!(!of(Sandbox::new().share(Namespace::Ipc)).contains(Protection::LandlockFiles));
    let none = of(Sandbox::new().no_landlock());
    assert_eq!(none.landlock_abi(), None);
    assert!(
        ![Protection::LandlockFiles, Protection::LandlockSignals, Protection::LandlockSockets]
            .iter()
            .any(|wall| none.contains(*wall))
    );
}

#[test]
fn what_programs_do_still_works() {
    let place = scratch::directory();
    fs::set_permissions(place.path(), Permissions::from_mode(0o777)).expect("it is ours");
    let sandbox =
        Sandbox::new().bind(Bind::new(place.path(), "/w").writable()).tmpfs("/tmp", 1_000_000u64);
    let script = r#"cd /w && mkdir a b && echo x > a/f && mv a/f b/f && ln -s f b/l && ln b/f b/h && truncate -s 0 b/f && rm -r a b \
        && cp /bin/true /tmp/t && /tmp/t && mkfifo /tmp/p && echo 1 > /dev/null && echo 2 > /dev/stdout && echo 3 > /dev/shm/s \
        && python3 -c "import ctypes; exit(ctypes.CDLL(None).mq_open(b'/q', 0o102, 0o600, None) < 0)" \
        && cat /proc/self/status > /dev/null && echo 100 > /proc/self/oom_score_adj && ls / /etc > /dev/null"#;
    as_each("what_programs_do_still_works", |_| assert!(succeeds(&sandbox, script)));
}

#[test]
fn a_file_given_to_be_read_is_not_opened_again_to_be_written() {
    if abi("a_file_given_to_be_read_is_not_opened_again_to_be_written", 2).is_none() {
        return;
    }
    as_each("a_file_given_to_be_read_is_not_opened_again_to_be_written", |caller| {
        let place = scratch::directory();
        let path = place.path().join("given");
        let writes = |sandbox: Sandbox| {
            fs::write(&path, "before").expect("there is room");
            fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("it is ours");
            let given = File::open(&path).expect("it is there");
            let mut command = sandbox.command("sh");
            command
                .args(["-c", "cat <&3 && echo after > /proc/self/fd/3"])
                .fd(3, given)
                .stderr(Stdio::null());
            let output = command.output().expect("it starts");
            assert_eq!(output.stdout, b"before");
            fs::read_to_string(&path).expect("it is there") != "before"
        };
        assert!(!writes(Sandbox::new()), "{caller:?}");
        assert!(writes(Sandbox::new().no_landlock()), "the control");
        // A file that is passed on for writing can be written.
        let out = File::create(&path).expect("it is ours");
        let written = Sandbox::new()
            .command("sh")
            .args(["-c", "echo twice > /dev/stdout"])
            .stdout(out)
            .status()
            .expect("it starts");
        assert_eq!(written.ended, Ended::Exited(0));
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "twice\n");
    });
}

#[test]
fn signals_end_at_the_sandbox() {
    if abi("signals_end_at_the_sandbox", 6).is_none() {
        return;
    }
    as_each("signals_end_at_the_sandbox", |caller| {
        // A privileged caller's sandbox is another user outside and can signal no process of the
        // caller anyway.
        if caller == Caller::Root {
            return;
        }
        let script = format!("kill -0 {}", std::process::id());
        let open = Sandbox::new().share(Namespace::Pid);
        assert!(!succeeds(&open, &script));
        assert!(succeeds(&open.no_landlock(), &script), "the control");
        assert!(succeeds(&Sandbox::new(), "sleep 9 & kill $!"), "inside they arrive");
    });
}

#[test]
fn abstract_sockets_of_a_shared_network_are_shared() {
    let name = format!("seclude-landlock-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let _listener = UnixListener::bind_addr(&address).expect("the name is free");
    let connect = format!(
        "python3 -c \"import socket; socket.socket(socket.AF_UNIX).connect(chr(0) + '{name}')\""
    );
    assert!(succeeds(&Sandbox::new().share(Namespace::Net), &connect));
    assert!(!succeeds(&Sandbox::new(), &connect));
}

#[test]
fn only_these_ports() {
    if abi("only_these_ports", 4).is_none() {
        return;
    }
    as_each("only_these_ports", |_| {
        let bind = |port: u16| {
            format!("python3 -c \"import socket; socket.socket().bind(('127.0.0.1', {port}))\"")
        };
        let connect = |port: u16| {
            format!(
                "python3 -c \"import socket; s = socket.socket(); s.bind(('127.0.0.1', {port})); s.listen(); socket.create_connection(('127.0.0.1', {port}))\""
            )
        };
        let held = Sandbox::new().tcp_bind([4001, 4002]).tcp_connect([4002]);
        assert!(succeeds(&held, &bind(4001)));
        assert!(!succeeds(&held, &bind(4003)));
        assert!(succeeds(&held, &connect(4002)));
        assert!(!succeeds(&held, &connect(4001)));
        assert!(
            succeeds(&Sandbox::new(), &bind(4003)) && succeeds(&Sandbox::new(), &connect(4001)),
            "the control"
        );
        let outcome = held.command("true").status().expect("it starts");
        assert!(outcome.enforced.contains(Protection::LandlockPorts));
        let none = Sandbox::new().tcp_bind([]);
        assert!(!succeeds(&none, &bind(4001)));
    });
    let error =
        Sandbox::new().tcp_bind([80]).no_landlock().check().expect_err("nothing can enforce it");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}
