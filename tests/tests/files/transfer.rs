//! Copies out of and into directories that an attacker has filled. No link is followed, no FIFO
//! blocks the copy, and no bound is exceeded.

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use seclude::{Bind, Child, Ended, ErrorKind, MiB, Sandbox, Stdio, Transfer};
use seclude_tests::caller::{Caller, as_each};
use seclude_tests::scratch;
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn write(path: impl AsRef<Path>, text: &str) {
    fs::create_dir_all(path.as_ref().parent().expect("it has one")).expect("there is room");
    fs::write(path, text).expect("there is room");
}

#[test]
fn a_tree_is_copied_with_its_modes() {
    as_each("a_tree_is_copied_with_its_modes", |_| {
        let place = scratch::directory();
        let (base, to) = (place.path().join("base"), place.path().join("to"));
        write(base.join("out/a"), "a");
        write(base.join("out/deep/b"), "bb");
        fs::set_permissions(base.join("out/a"), Permissions::from_mode(0o4755))
            .expect("it is ours");
        let copied =
            Transfer::new().copy(&base, "out", &to).expect("there is nothing wrong with it");
        assert_eq!((copied.entries, copied.bytes), (4, 3));
        assert_eq!(fs::read_to_string(to.join("deep/b")).expect("it is there"), "bb");
        assert_eq!(
            fs::metadata(to.join("a")).expect("it is there").mode() & 0o7777,
            0o755,
            "set-user-id is not copied"
        );
        assert_eq!(
            Transfer::new().copy(&base, "out", &to).expect_err("it is there").raw_os_error(),
            Some(libc::EEXIST)
        );
        Transfer::new().copy(&base, "out/a", place.path().join("one")).expect("a file alone");
    });
}

#[test]
fn no_link_is_followed_and_no_special_file_opened() {
    as_each("no_link_is_followed_and_no_special_file_opened", |_| {
        let place = scratch::directory();
        let (base, to) = (place.path().join("base"), place.path().join("to"));
        write(place.path().join("secret"), "secret");
        write(base.join("plain"), "plain");
        symlink("../secret", base.join("file")).expect("there is room");
        symlink("..", base.join("up")).expect("there is room");
        symlink("/", base.join("host")).expect("there is room");
        for path in ["file", "up", "up/secret", "host/etc/passwd", "../secret", "/etc/passwd"] {
            let error = Transfer::new().copy(&base, path, &to).expect_err(path);
            assert!(
                matches!(error.raw_os_error(), None | Some(libc::ELOOP | libc::EXDEV)),
                "{path}: {error}"
            );
            assert!(!to.exists(), "{path}");
        }
        // A FIFO without a writer: opening it for reading blocks for ever.
        mkfifo(&base.join("pipe"), Mode::S_IRWXU).expect("there is room");
        let error = Transfer::new().copy(&place, "base", &to).expect_err("there are links in it");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(!to.exists(), "nothing is left of it");
        let copied =
            Transfer::new().skip_special().copy(&place, "base", &to).expect("they are left out");
        assert_eq!((copied.skipped.len(), copied.entries), (4, 2));
        assert!(to.join("plain").exists() && !to.join("file").exists());
        // The control: a reader that follows the link reads the secret.
        assert_eq!(fs::read_to_string(base.join("file")).expect("it leads there"), "secret");
    });
}

#[test]
fn bounds_hold_for_the_large_the_many_and_the_deep() {
    let place = scratch::directory();
    let (base, to) = (place.path().join("base"), place.path().join("to"));
    fs::create_dir(&base).expect("there is room");
    File::create(base.join("sparse"))
        .expect("there is room")
        .set_len(1 << 40)
        .expect("it takes none");
    let refused = |transfer: Transfer, path: &str| {
        let error = transfer.copy(&base, path, &to).expect_err(path);
        assert_eq!(error.raw_os_error(), Some(libc::EFBIG), "{error}");
        assert!(!to.exists());
    };
    refused(Transfer::new(), "sparse");
    for index in 0..200 {
        write(base.join(format!("many/{index}")), "");
    }
    refused(Transfer::new().max_entries(200), "many");
    assert_eq!(
        Transfer::new()
            .max_entries(201)
            .copy(&base, "many", &to)
            .expect("as many as may be")
            .entries,
        201
    );
    fs::remove_dir_all(&to).expect("it is ours");
    fs::create_dir_all(base.join(format!("deep{}", "/d".repeat(100)))).expect("there is room");
    refused(Transfer::new(), "deep");
    write(base.join("bytes/a"), &"x".repeat(1000));
    write(base.join("bytes/b"), &"x".repeat(1000));
    refused(Transfer::new().max_bytes(1999u64), "bytes");
    assert_eq!(
        Transfer::new()
            .max_bytes(2000u64)
            .copy(&base, "bytes", &to)
            .expect("as many as may be")
            .bytes,
        2000
    );
}

/// A name changes between a file, a link to the secret and a directory, as fast as possible.
#[test]
fn a_race_never_copies_the_secret() {
    let place = scratch::directory();
    let base = place.path().join("base");
    write(place.path().join("secret"), "secret");
    write(base.join("file"), "plain");
    write(base.join("spare"), "plain");
    symlink("../secret", base.join("link")).expect("there is room");
    let over = AtomicBool::new(false);
    let (mut copied, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let rename = |from: &str, to: &str| {
                fs::rename(base.join(from), base.join(to)).expect("it is ours")
            };
            while !over.load(Ordering::Relaxed) {
                rename("file", "plain");
                rename("link", "file");
                rename("file", "link");
                rename("plain", "file");
            }
        });
        // On a busy machine the swapping thread may not run for long.
        let deadline = Instant::now() + Duration::from_secs(30);
        for round in 0.. {
            if round >= 2000 && (copied.min(refused) > 10 || Instant::now() > deadline) {
                break;
            }
            let to = place.path().join(format!("to{round}"));
            match Transfer::new().copy(&base, "file", &to) {
                Ok(_) => {
                    copied += 1;
                    assert_eq!(fs::read_to_string(&to).expect("it is there"), "plain");
                }
                Err(_) => refused += 1,
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(copied > 10 && refused > 10, "{copied} copied, {refused} refused");
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

#[test]
fn what_is_left_out_counts_and_its_list_is_bounded() {
    let place = scratch::directory();
    let (base, to) = (place.path().join("base"), place.path().join("to"));
    let refused = |transfer: Transfer, path: &str| {
        let error = transfer.copy(&base, path, &to).expect_err(path);
        assert_eq!(error.raw_os_error(), Some(libc::EFBIG), "{error}");
        assert!(!to.exists());
        error.to_string()
    };
    for index in 0..50 {
        fs::create_dir_all(base.join("links")).expect("there is room");
        symlink("nowhere", base.join(format!("links/{index}"))).expect("there is room");
    }
    let transfer = Transfer::new().skip_special();
    assert!(refused(transfer.clone().max_entries(50), "links").contains("other things"));
    let copied =
        transfer.clone().max_entries(51).copy(&base, "links", &to).expect("as many as may be");
    assert_eq!((copied.entries, copied.skipped.len()), (1, 50));
    fs::remove_dir_all(&to).expect("it is ours");
    // Paths of 12 KiB. Several thousand of them would make the list of omitted files very long.
    let deep = base.join("deep");
    fs::create_dir(&deep).expect("there is room");
    let below =
        nix::fcntl::open(&deep, nix::fcntl::OFlag::O_PATH, Mode::empty()).expect("it is there");
    let mut directory = below;
    for _ in 0..60 {
        let name = "x".repeat(200);
        nix::sys::stat::mkdirat(&directory, name.as_str(), Mode::S_IRWXU).expect("there is room");
        directory =
            nix::fcntl::openat(&directory, name.as_str(), nix::fcntl::OFlag::O_PATH, Mode::empty())
                .expect("it has just been made");
    }
    for index in 0..400 {
        nix::unistd::symlinkat("nowhere", &directory, format!("{index}").as_str())
            .expect("there is room");
    }
    assert!(
        refused(transfer.max_entries(1_000_000), "deep")
            .contains("bytes in the paths of what was left out")
    );
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
