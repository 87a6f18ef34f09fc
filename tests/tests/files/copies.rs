//! Copies out of and into sandboxes in which a hostile program runs meanwhile.

use seclude::{Bind, Child, Ended, ErrorKind, MiB, Sandbox, Stdio, Transfer};
use seclude_tests::caller::{Caller, as_each};
use seclude_tests::scratch;
use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

fn write(path: impl AsRef<Path>, text: &str) {
    fs::create_dir_all(path.as_ref().parent().expect("it has one")).expect("there is room");
    fs::write(path, text).expect("there is room");
}

fn running(sandbox: &Sandbox, script: &str) -> Child {
    let mut child = sandbox
        .command("sh")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut byte = [0];
    child.stdout.as_mut().expect("it is piped").read_exact(&mut byte).expect("it prints a line");
    child
}

#[test]
fn files_go_in_and_out_while_it_runs() {
    as_each("files_go_in_and_out_while_it_runs", |_| {
        let place = scratch::directory();
        write(place.path().join("in/data"), "6 7");
        let sandbox = Sandbox::new().tmpfs("/tmp", MiB(1));
        let script = "mkdir /tmp/w; ln -s /etc /tmp/w/link; echo ready; read go; cat /tmp/in/data > /tmp/w/result && rm -r /tmp/in && echo done; read end";
        let mut child = running(&sandbox, script);
        let transfer = Transfer::new();
        child.copy_in(place.path().join("in"), "/tmp/in", &transfer).expect("there is room");
        assert!(
            child.copy_in(place.path().join("in"), "/usr/in", &transfer).is_err(),
            "it is read-only there"
        );
        let mut stdin = child.stdin.take().expect("it is piped");
        std::io::Write::write_all(&mut stdin, b"go\n").expect("it reads");
        let mut said = [0; 10];
        child
            .stdout
            .as_mut()
            .expect("it is piped")
            .read_exact(&mut said)
            .expect("it prints a line");
        assert_eq!(
            &said, b"eady\ndone\n",
            "what came in is the command's own: it can read and remove it"
        );
        child
            .copy_out("/tmp/w/result", place.path().join("result"), &transfer)
            .expect("it is there");
        assert_eq!(fs::read_to_string(place.path().join("result")).expect("it is there"), "6 7");
        assert!(
            child.copy_out("/tmp/w/link/passwd", place.path().join("no"), &transfer).is_err(),
            "no link is followed"
        );
        assert!(child.copy_out("/tmp/w", place.path().join("no"), &transfer).is_err());
        std::io::Write::write_all(&mut stdin, b"end\n").expect("it reads");
        assert_eq!(child.wait().expect("it ends").ended, Ended::Exited(0));
        assert_eq!(
            child
                .copy_out("/tmp/w/result", place.path().join("late"), &transfer)
                .expect_err("gone")
                .kind(),
            ErrorKind::Invalid
        );
    });
}

/// A lease makes every open(2) wait until its holder releases it, usually after 45 seconds
/// (fcntl(2)).
#[test]
fn a_lease_holds_nobody_up() {
    as_each("a_lease_holds_nobody_up", |_| {
        let place = scratch::directory();
        let script = "import fcntl, os, signal, sys\nsignal.signal(signal.SIGIO, signal.SIG_IGN)\nfd = os.open('/tmp/leased', os.O_RDWR | os.O_CREAT)\nos.write(fd, b'x')\nfcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)\nprint(flush=True)\nsys.stdin.read()";
        let sandbox = Sandbox::new().tmpfs("/tmp", MiB(1));
        let mut command = sandbox.command("python3");
        let mut child = command
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        child.stdout.as_mut().expect("it is piped").read_exact(&mut [0]).expect("it prints a line");
        let error = child
            .copy_out("/tmp/leased", place.path().join("copy"), &Transfer::new())
            .expect_err("it is leased");
        assert_eq!(error.raw_os_error(), Some(libc::EWOULDBLOCK), "{error}");
        assert!(error.remedy().is_some_and(|remedy| remedy.contains("lease")));
        assert!(!place.path().join("copy").exists());
        child.stdin = None;
        assert_eq!(child.wait().expect("it ends").ended, Ended::Exited(0));
    });
}

/// Exchanges the directory that a copy is being made into for one of the caller's, then creates
/// every name that is still to come. The copy fails and removes what it made. It must not remove
/// what took its place.
const EXCHANGE: &str = r#"
import ctypes, os, sys
libc = ctypes.CDLL(None)
AT_FDCWD, RENAME_EXCHANGE = -100, 2
def refused(what, path):
    try: what(path); print('did', what.__name__)
    except OSError: pass
if sys.argv[1] == 'root':
    refused(os.unlink, '/data/precious/file'); refused(os.rmdir, '/data/precious/empty')
print('ready', flush=True)
while not os.path.exists('/data/in'): pass
assert libc.renameat2(AT_FDCWD, b'/data/in', AT_FDCWD, b'/data/precious', RENAME_EXCHANGE) == 0
for number in range(3999, -1, -1):
    try: os.close(os.open('/data/precious/f%04d' % number, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError: pass
sys.stdin.read()
"#;

#[test]
fn a_failed_copy_removes_nothing_that_it_has_not_made() {
    as_each("a_failed_copy_removes_nothing_that_it_has_not_made", |who| {
        let place = scratch::directory();
        let source = place.path().join("source");
        for number in 0..4000 {
            write(source.join(format!("f{number:04}")), "");
        }
        let mut failed = 0;
        // Sometimes the copy finishes before a name is taken.
        for round in 0..20 {
            let data = place.path().join(format!("data{round}"));
            write(data.join("precious/file"), "the caller's");
            fs::create_dir(data.join("precious/empty")).expect("there is room");
            // The names that the copy uses first exist here and belong to the caller.
            write(data.join("precious/f0000"), "the caller's");
            fs::set_permissions(&data, Permissions::from_mode(0o777)).expect("it is ours");
            let sandbox = Sandbox::new().bind(Bind::new(&data, "/data").writable());
            let mut command = sandbox.command("python3");
            command
                .args(["-c", EXCHANGE, who.name()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
            let mut child = command.spawn().expect("it starts");
            let mut ready = [0; 6];
            child
                .stdout
                .as_mut()
                .expect("it is piped")
                .read_exact(&mut ready)
                .expect("it prints a line");
            assert_eq!(
                &ready, b"ready\n",
                "the control: the program itself may not remove what is root's"
            );
            let copied = child.copy_in(&source, "/data/in", &Transfer::new());
            child.kill().expect("it is ours");
            child.wait().expect("it ends");
            let kept =
                ["precious", "in"].into_iter().find(|name| data.join(name).join("file").exists());
            let kept = data.join(
                kept.unwrap_or_else(|| panic!("the caller's files are gone, after {copied:?}")),
            );
            assert!(kept.join("empty").exists() && kept.join("f0000").exists(), "after {copied:?}");
            assert_eq!(
                fs::read_to_string(kept.join("f0000")).expect("it is there"),
                "the caller's"
            );
            failed += u32::from(copied.is_err());
            fs::remove_dir_all(data).expect("it is ours");
            if failed == 3 {
                break;
            }
        }
        assert!(failed > 0, "no copy was made to fail");
    });
}

/// The program moves a file that only root may read to a directory from which root copies.
#[test]
fn a_copy_out_reads_what_the_program_may_read() {
    as_each("a_copy_out_reads_what_the_program_may_read", |who| {
        let place = scratch::directory();
        let data = place.path().join("data");
        write(data.join("plain"), "plain");
        write(data.join("secret"), "secret");
        fs::set_permissions(&data, Permissions::from_mode(0o777)).expect("it is ours");
        fs::set_permissions(data.join("plain"), Permissions::from_mode(0o644)).expect("it is ours");
        fs::set_permissions(data.join("secret"), Permissions::from_mode(0o600))
            .expect("it is ours");
        let sandbox = Sandbox::new().bind(Bind::new(&data, "/data").writable());
        let mut child = running(&sandbox, "cd /data && mv secret out && echo && read end");
        let copied = child.copy_out("/data/out", place.path().join("copy"), &Transfer::new());
        match who {
            Caller::Root => {
                assert_eq!(copied.expect_err("it is root's").raw_os_error(), Some(libc::EACCES))
            }
            // The program runs as the caller's own user, so the file is its own.
            Caller::User => drop(copied.expect("it is its own")),
        }
        child
            .copy_out("/data/plain", place.path().join("plain"), &Transfer::new())
            .expect("everybody may read it");
        assert_eq!(
            fs::metadata(place.path().join("plain")).expect("it is there").uid(),
            nix::unistd::geteuid().as_raw()
        );
        child.kill().expect("it is ours");
        child.wait().expect("it ends");
    });
}
