//! What holds a command without namespaces, what it may do, and what the outcome says.

use crate::{sandbox, where_namespaces_are_denied};
use nix::unistd::{Gid, Uid};
use seclude::{ErrorKind, Namespace, Protection, Sandbox, Transfer};
use seclude_tests::container::USER;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A directory in which every user may write.
fn open_directory(place: &Path) -> PathBuf {
    let directory = place.join("work");
    fs::create_dir(&directory).expect("it is new");
    fs::set_permissions(&directory, Permissions::from_mode(0o777)).expect("it is ours");
    directory
}

#[test]
fn only_a_policy_that_allows_it_runs() {
    where_namespaces_are_denied("only_a_policy_that_allows_it_runs", |_| {
        let error = Sandbox::new().command("true").status().expect_err("there are no namespaces");
        let kind = if error.raw_os_error() == Some(libc::ENOSPC) {
            ErrorKind::HostLimit
        } else {
            ErrorKind::NamespacesDenied
        };
        assert_eq!(error.kind(), kind, "{error}");
        let outcome = sandbox().command("true").status().expect("it starts");
        assert!(outcome.success(), "{}", outcome.ended);
        let enforced = outcome.enforced;
        let made: Vec<_> = Namespace::ALL.iter().filter(|kind| enforced.private(**kind)).collect();
        assert!(made.is_empty(), "{made:?}");
        for protection in [
            Protection::LandlockFiles,
            Protection::LandlockSignals,
            Protection::NoNewPrivileges,
            Protection::SeccompFilter,
            Protection::GuardedWarden,
            Protection::HiddenWarden,
            Protection::KillByWarden,
        ] {
            assert!(enforced.contains(protection), "{protection:?}: {enforced:?}");
        }
        for protection in [Protection::OwnRoot, Protection::MaskedProc] {
            assert!(!enforced.contains(protection), "{protection:?}: {enforced:?}");
        }
    });
}

#[test]
fn ordinary_programs_run() {
    where_namespaces_are_denied("ordinary_programs_run", |place| {
        let work = open_directory(place);
        let script = "set -e; cd \"$0\"; echo one | cat >a; mkdir d; mv a d/b; ln d/b c; cat c; \
            python3 -c 'import socket, threading, tempfile, subprocess, os
os.sched_setaffinity(0, {0})
socket.socketpair()
threading.Thread(target=print, args=(\"two\",)).start()
tempfile.TemporaryFile()
subprocess.run([\"true\"], check=True)
os.kill(os.getpid(), 0)'; rm -r d c; sleep 100 & kill $!; echo 3 >/dev/null; wait";
        let confined = sandbox().bind_rw(&work, &work);
        let mut command = confined.command("sh");
        command.args(["-c", script]).arg(&work).env("TMPDIR", &work);
        let output = command.output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "one\ntwo\n", "{text}");
        assert!(output.outcome.success(), "{} {text}", output.outcome.ended);
    });
}

/// Signals to everybody, and to the process group of the warden, do not reach it.
#[test]
fn the_warden_survives_what_the_command_does_to_it() {
    where_namespaces_are_denied("the_warden_survives_what_the_command_does_to_it", |_| {
        let script = "
import fcntl, os, signal, socket, struct
def attempt(act):
    try:
        act()
        print('sent')
    except (OSError, AttributeError):
        pass
warden = os.getppid()
attempt(lambda: os.kill(warden, 9))
attempt(lambda: os.kill(-1, 9))
attempt(lambda: os.killpg(warden, 9))
directory = os.open(f'/proc/{warden}', os.O_RDONLY)
attempt(lambda: signal.pidfd_send_signal(directory, 9))
one, other = socket.socketpair()
for target in [warden, -warden]:
    attempt(lambda: fcntl.fcntl(one, fcntl.F_SETOWN, target))
    attempt(lambda: fcntl.fcntl(one, 15, struct.pack('ii', 1, warden)))
    attempt(lambda: fcntl.ioctl(one, 0x8901, struct.pack('i', target)))
fcntl.fcntl(one, fcntl.F_SETSIG, 9)
fcntl.fcntl(one, fcntl.F_SETFL, os.O_ASYNC)
other.send(b'x')
";
        let confined = sandbox();
        let output = confined.command("python3").args(["-c", script]).output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.outcome.success(), "{} {text}", output.outcome.ended);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{text}");
    });
}

#[test]
fn files_are_collected_and_copied() {
    where_namespaces_are_denied("files_are_collected_and_copied", |place| {
        let work = open_directory(place);
        let confined = sandbox().bind_rw(&work, &work);
        let mut command = confined.command("sh");
        command.args(["-c", "echo one >a; ln -s /etc/hostname b"]).current_dir(&work);
        let output = command.collect("a").collect("b").output().expect("it starts");
        let collected = output.files;
        assert_eq!(collected.get("a"), Some(&b"one\n"[..]), "{collected:?}");
        assert_eq!(collected.skipped, [Path::new("b")], "a link is not followed");
        let cell = confined.cell().expect("it opens");
        cell.copy_in(work.join("a"), work.join("c"), &Transfer::new()).expect("it is copied");
        cell.copy_out(work.join("c"), work.join("d"), &Transfer::new()).expect("it is copied");
        assert_eq!(fs::read(work.join("d")).expect("it is there"), b"one\n");
    });
}

/// What the filter refuses follows the rights that the caller has at each start.
#[test]
fn a_caller_that_gives_up_its_rights_is_protected_from_its_own_user() {
    const NAME: &str = "a_caller_that_gives_up_its_rights_is_protected_from_its_own_user";
    where_namespaces_are_denied(NAME, |place| {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let work = open_directory(place);
        let confined = sandbox().bind_rw(&work, &work);
        let changes_a_mode = |file: &str| {
            let mut command = confined.command("sh");
            command.args(["-c", "touch \"$0\" && chmod 600 \"$0\""]).arg(work.join(file));
            command.output().expect("it starts").outcome.success()
        };
        assert!(changes_a_mode("one"), "the control: another user may");
        let (user, group) = (Uid::from_raw(USER), Gid::from_raw(USER));
        nix::unistd::setresgid(group, group, group).expect("root may");
        nix::unistd::setresuid(user, user, user).expect("root may");
        assert!(!changes_a_mode("two"), "the caller's own user may not");
    });
}

/// A shared mount namespace means all the caller's files, and the outcome claims no more.
#[test]
fn shared_files_are_all_of_the_callers() {
    where_namespaces_are_denied("shared_files_are_all_of_the_callers", |place| {
        let file = open_directory(place).join("file");
        fs::write(&file, "text").expect("it is ours");
        let read =
            |sandbox: Sandbox| sandbox.command("cat").arg(&file).output().expect("it starts");
        assert_eq!(read(sandbox()).stdout, b"", "the control: it is out of reach");
        let shared = read(sandbox().share(Namespace::Mount));
        assert_eq!(shared.stdout, b"text");
        assert!(!shared.outcome.enforced.contains(Protection::LandlockFiles));
    });
}

/// The command's user outside: another one if the caller may change users, else the caller's own.
#[test]
fn root_is_another_user_and_a_user_is_itself() {
    where_namespaces_are_denied("root_is_another_user_and_a_user_is_itself", |_| {
        let output = sandbox().command("id").arg("-u").output().expect("it starts");
        let uid: u32 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
        let own = nix::unistd::geteuid().as_raw();
        assert_eq!(uid == own, own != 0, "the caller is {own}, the command is {uid}");
        assert_ne!(uid, 0);
    });
}
