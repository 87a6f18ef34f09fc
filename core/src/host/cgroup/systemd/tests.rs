//! Tests against a real message bus: a `dbus-daemon` of the test's own, and a service on it,
//! written with zbus, that plays systemd's manager. They prove what the module sends and how it
//! treats the replies. systemd itself does not take part.

use super::SystemdRefusal;
use super::bus::Address;
use super::message::{self, Target};
use super::request::{addresses, ask, cgroup_of};
use manager::{Answer, Daemon, ManagerDirectory, pids_of};
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

mod manager;

const UNIT: &str = "seclude-1-0.scope";
/// A limit that a busy machine still meets.
const PATIENT: Duration = Duration::from_secs(20);
/// A limit for the tests that reach it.
const SHORT: Duration = Duration::from_millis(300);

#[test]
fn asks_for_a_delegated_scope_around_the_process() {
    let Some(daemon) = Daemon::start() else { return };
    let (_manager, asked) = daemon.manager(Answer::Job("done"));
    daemon.ask(PATIENT).unwrap();
    let asked = asked.lock().unwrap();
    let [asked] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((asked.name.as_str(), asked.mode.as_str(), asked.others), (UNIT, "fail", 0));
    let property = |name: &str| {
        let mut found = asked
            .properties
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.try_clone().unwrap());
        let value = found.next().unwrap_or_else(|| panic!("no {name} in {asked:?}"));
        assert!(found.next().is_none());
        value
    };
    assert!(bool::try_from(property("Delegate")).unwrap());
    assert_eq!(pids_of(&property("PIDs")), [std::process::id()]);
    assert_eq!(String::try_from(property("CollectMode")).unwrap(), "inactive-or-failed");
    assert_eq!(
        String::try_from(property("Description")).unwrap(),
        format!("sandbox of process {}", std::process::id())
    );
    assert_eq!(asked.properties.len(), 4);
}

#[test]
fn a_refusal_says_what_systemd_says() {
    let Some(daemon) = Daemon::start() else { return };
    let (_manager, _) = daemon.manager(Answer::Denied);
    let refusal = daemon.ask(PATIENT).unwrap_err();
    assert_eq!(
        refusal.cause,
        "systemd does not start seclude-1-0.scope: not for you \
        (org.freedesktop.DBus.Error.AccessDenied)"
    );
    assert!(refusal.hint.unwrap().contains("Delegate=yes"));
}

#[test]
fn a_job_that_fails_is_a_refusal() {
    let Some(daemon) = Daemon::start() else { return };
    let (_manager, _) = daemon.manager(Answer::Job("failed"));
    let refusal = daemon.ask(PATIENT).unwrap_err();
    assert_eq!(refusal.cause, "systemd's job for seclude-1-0.scope ended as \"failed\"");
}

/// Runs `ask`, which must end at its time limit. Returns the cause.
fn timed(ask: impl FnOnce(Duration) -> Result<(), SystemdRefusal>) -> String {
    let start = Instant::now();
    let refusal = ask(SHORT).unwrap_err();
    let took = start.elapsed();
    assert!(took >= SHORT, "not the limit's doing: {refusal:?} after {took:?}");
    assert!(took < SHORT + Duration::from_secs(5), "{took:?}");
    refusal.cause
}

#[test]
fn a_silent_manager_costs_no_more_than_the_limit() {
    let Some(daemon) = Daemon::start() else { return };
    let (_manager, asked) = daemon.manager(Answer::Silence);
    let cause = timed(|limit| daemon.ask(limit));
    assert_eq!(cause, "systemd does not start seclude-1-0.scope: no answer within 0.3 s");
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[test]
fn a_job_without_end_costs_no_more_than_the_limit() {
    let Some(daemon) = Daemon::start() else { return };
    let (_manager, _) = daemon.manager(Answer::Endless);
    let cause = timed(|limit| daemon.ask(limit));
    assert_eq!(cause, "systemd does not finish seclude-1-0.scope: no answer within 0.3 s");
}

#[test]
fn a_bus_that_never_accepts_costs_no_more_than_the_limit() {
    let place = ManagerDirectory::new();
    let listener = UnixListener::bind(place.socket()).unwrap();
    // Fill the shortest possible queue, so that the next connect(2) waits.
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
    let _first = std::os::unix::net::UnixStream::connect(place.socket()).unwrap();
    timed(|limit| ask(&[place.address()], 1, UNIT, limit));
}

#[test]
fn a_bus_that_says_nothing_costs_no_more_than_the_limit() {
    let place = ManagerDirectory::new();
    let _listener = UnixListener::bind(place.socket()).unwrap();
    timed(|limit| ask(&[place.address()], 1, UNIT, limit));
}

#[test]
fn a_bus_that_never_stops_talking_costs_no_more_than_the_limit() {
    let place = ManagerDirectory::new();
    let listener = UnixListener::bind(place.socket()).unwrap();
    let talker = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n").unwrap();
        // Sends signals for ever: there is always something to read, and never a reply.
        let mut signal =
            message::call(1, &Target { destination: "a.b", path: "/", interface: "a.b" }, "C", &())
                .unwrap();
        signal[1] = 4;
        while stream.write_all(&signal).is_ok() {
            thread::sleep(Duration::from_millis(1));
        }
    });
    timed(|limit| ask(&[place.address()], 1, UNIT, limit));
    talker.join().unwrap();
}

/// The cause of the refusal when a bus completes the authentication and then sends `bytes`.
fn cause_of(bytes: Vec<u8>) -> String {
    let place = ManagerDirectory::new();
    let listener = UnixListener::bind(place.socket()).unwrap();
    let peer = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n").unwrap();
        stream.write_all(&bytes).unwrap();
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let refusal = ask(&[place.address()], 1, UNIT, PATIENT).unwrap_err();
    peer.join().unwrap();
    refusal.cause
}

#[test]
fn nonsense_from_a_bus_is_refused() {
    assert_eq!(cause_of(vec![]), "the bus closed the connection");
    assert_eq!(
        cause_of(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        "the bus does not speak D-Bus"
    );
    let mut huge = vec![b'l', 2, 0, 1];
    huge.extend([0xff; 12]);
    assert_eq!(cause_of(huge), "the bus sent a message of more than 1048576 bytes");
    // A reply whose header fields are malformed.
    let mut broken = vec![b'l', 2, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0];
    broken.extend([0xff; 8]);
    assert_eq!(cause_of(broken), "the bus sent a malformed message");
    // A reply without a reply serial.
    assert_eq!(
        cause_of(vec![b'l', 2, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
        "the bus sent a malformed message"
    );
}

#[test]
fn a_bus_that_rejects_is_refused() {
    let place = ManagerDirectory::new();
    let listener = UnixListener::bind(place.socket()).unwrap();
    let peer = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"REJECTED EXTERNAL\r\n").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let refusal = ask(&[place.address()], 1, UNIT, PATIENT).unwrap_err();
    peer.join().unwrap();
    assert_eq!(
        refusal.cause,
        format!("authenticate at {}: the bus says \"REJECTED EXTERNAL\"", place.socket())
    );
}

#[test]
fn a_bus_without_a_manager_is_passed_over() {
    let (Some(empty), Some(full)) = (Daemon::start(), Daemon::start()) else { return };
    let nowhere = ManagerDirectory::new();
    let (_manager, asked) = full.manager(Answer::Job("done"));
    let refusal = ask(&[nowhere.address()], std::process::id(), UNIT, PATIENT).unwrap_err();
    assert_eq!(
        refusal.cause,
        format!("connect to {}: no such file or directory", nowhere.socket())
    );
    assert!(refusal.hint.unwrap().contains("Delegate=yes"));
    let refusal = ask(&[empty.place.address()], std::process::id(), UNIT, PATIENT).unwrap_err();
    assert_eq!(
        refusal.cause,
        format!("no systemd manager is on the bus at {}", empty.place.socket())
    );
    ask(
        &[nowhere.address(), empty.place.address(), full.place.address()],
        std::process::id(),
        UNIT,
        PATIENT,
    )
    .unwrap();
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[test]
fn tries_the_environment_then_the_usual_paths() {
    let shown = |uid, variables: &[(&str, &str)]| -> Vec<String> {
        let find = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        addresses(uid, find).iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        shown(0, &[("DBUS_SESSION_BUS_ADDRESS", "unix:path=/no")]),
        ["/run/dbus/system_bus_socket"]
    );
    assert_eq!(
        shown(0, &[("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/a")]),
        ["/a", "/run/dbus/system_bus_socket"]
    );
    assert_eq!(shown(1000, &[]), ["/run/user/1000/bus"]);
    assert_eq!(shown(1000, &[("XDG_RUNTIME_DIR", "/run/user/1000")]), ["/run/user/1000/bus"]);
    assert_eq!(
        shown(1000, &[("XDG_RUNTIME_DIR", "/x/"), ("DBUS_SESSION_BUS_ADDRESS", "")]),
        ["/x/bus", "/run/user/1000/bus"]
    );
    let several = "tcp:host=h,port=1;unix:guid=0,path=/with%20space;unixexec:path=/bin/sh;\
                   unix:abstract=hidden;unix:path=%zz";
    assert_eq!(
        shown(1000, &[("DBUS_SESSION_BUS_ADDRESS", several)]),
        ["/with space", "@hidden", "/run/user/1000/bus"]
    );
}

#[test]
fn checks_the_cgroup_of_the_process_itself() {
    let there = "1:name=systemd:/x\n0::/user.slice/seclude-1-0.scope\n";
    assert_eq!(cgroup_of(there, UNIT), Ok(PathBuf::from("/user.slice/seclude-1-0.scope")));
    for (elsewhere, cause) in [
        (
            "0::/user.slice/session-1.scope\n",
            "systemd reports seclude-1-0.scope as started, but the process is in \
            /user.slice/session-1.scope",
        ),
        ("0::/\n", "systemd reports seclude-1-0.scope as started, but the process is in /"),
        ("1:name=systemd:/seclude-1-0.scope\n", "the process is in no cgroup of the v2 hierarchy"),
    ] {
        assert_eq!(cgroup_of(elsewhere, UNIT).unwrap_err().cause, cause);
    }
}

const CALLER: &str = "SECLUDE_TEST_CALLER_OF_BUS";

/// The next two tests run this in a process of its own, because threads of zbus run in theirs.
#[test]
#[ignore = "a part of other tests, which start it"]
fn caller() {
    let address = Address::path(&std::env::var(CALLER).unwrap()).unwrap();
    let threads = || std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    let before = threads();
    match ask(&[address], std::process::id(), UNIT, PATIENT) {
        Ok(()) => println!("\nsaid: threads {before} {}", threads()),
        Err(refusal) => println!("\nsaid: {}", refusal.cause),
    }
}

/// Runs `caller` with the command prefix `before`, and returns the line that it prints.
fn called(before: &[&str], daemon: &Daemon) -> String {
    let caller = format!("{}::caller", module_path!().split_once("::").unwrap().1);
    let test = std::env::current_exe().unwrap();
    let words = before.iter().copied().chain([
        test.to_str().unwrap(),
        "--ignored",
        "--exact",
        "--nocapture",
        &caller,
    ]);
    let output =
        Command::new("env").args(words).env(CALLER, daemon.place.socket()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines()
        .find_map(|line| line.strip_prefix("said: "))
        .unwrap_or_else(|| panic!("{output:?}"))
        .to_owned()
}

#[test]
fn no_thread_is_started() {
    let Some(daemon) = Daemon::start() else { return };
    let (_manager, asked) = daemon.manager(Answer::Job("done"));
    let said = called(&[], &daemon);
    let during = asked.lock().unwrap()[0].threads;
    assert!(during > 0);
    assert_eq!(said, format!("threads {during} {during}"));
}

#[test]
fn a_bus_of_another_pid_namespace_is_not_asked() {
    let Some(daemon) = Daemon::start() else { return };
    let (_manager, asked) = daemon.manager(Answer::Job("done"));
    let apart: &[&str] = match nix::unistd::geteuid().is_root() {
        true => &["unshare", "--pid", "--fork"],
        false => &["unshare", "--user", "--pid", "--fork"],
    };
    let said = called(apart, &daemon);
    assert_eq!(said, format!("the bus at {} is in another pid namespace", daemon.place.socket()));
    assert!(asked.lock().unwrap().is_empty());
}
