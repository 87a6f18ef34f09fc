//! Files that a command leaves, collected after its end from every place that it can run in.

use seclude::{
    Bind, Cell, Collected, Command, Ended, ErrorKind, MiB, Output, Sandbox, Stdio, Transfer,
};
use seclude_tests::caller::{Caller, as_each};
use seclude_tests::scratch;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

fn sandbox() -> Sandbox {
    Sandbox::new().tmpfs("/work", MiB(8))
}

/// A shell script in `/work`.
fn script(sandbox: &Sandbox, script: &str) -> Command {
    in_work(sandbox.command("sh"), script)
}

fn in_work(mut command: Command, script: &str) -> Command {
    command.args(["-c", script]).current_dir("/work");
    command
}

/// Runs a command that must exit with 0, and returns what has been collected.
fn collected(command: &mut Command) -> Collected {
    let Output { outcome, stderr, files, .. } = command.output().expect("it runs");
    assert_eq!(outcome.ended, Ended::Exited(0), "{}", String::from_utf8_lossy(&stderr));
    files
}

fn paths(collected: &Collected) -> Vec<&str> {
    collected.files.iter().map(|file| file.path.to_str().expect("it is UTF-8")).collect()
}

const LEAVES: &str = "mkdir -p out/deep && echo 1 >out/1.txt && echo 2 >out/2.txt && \
    echo x >out/3.bin && echo h >out/.hidden.txt && echo d >out/deep/d.txt && chmod 640 out/2.txt";

#[test]
fn files_are_collected_wherever_a_command_runs() {
    as_each("files_are_collected_wherever_a_command_runs", |_| {
        let plain = sandbox();
        let prepared = sandbox();
        prepared.prepare().expect("it can be");
        let (pool, reusing) =
            (plain.pool(1).expect("it starts"), plain.reusing_pool(1).expect("it starts"));
        let cell = plain.cell().expect("it starts");
        for (name, command) in [
            ("own", plain.command("sh")),
            ("template", prepared.command("sh")),
            ("pool", pool.command("sh")),
            ("reusing pool", reusing.command("sh")),
            ("cell", cell.command("sh")),
        ] {
            let mut command = in_work(command, LEAVES);
            let files = collected(command.collect("out/*.txt").collect("/work/o?t/deep"));
            assert_eq!(files.error, None, "{name}");
            assert_eq!(paths(&files), ["/work/out/deep/d.txt", "out/1.txt", "out/2.txt"], "{name}");
            assert_eq!(files.get("out/2.txt"), Some(&b"2\n"[..]), "{name}");
            assert_eq!(files.files[2].permissions, 0o640, "{name}");
            assert_eq!((files.entries, files.bytes), (4, 6), "{name}");
            assert!(files.skipped.is_empty() && files.unmatched.is_empty(), "{name}");
        }
        // The places of both pools are free again.
        assert!(pool.command("true").status().expect("it runs").success());
        assert!(reusing.command("true").status().expect("it runs").success());
    });
}

#[test]
fn a_short_command_does_not_get_away() {
    as_each("a_short_command_does_not_get_away", |_| {
        let sandbox = sandbox().file("/work/given", "1");
        for _ in 0..20 {
            let mut command = sandbox.command("true");
            let files = collected(command.collect("/work/given").collect("/etc/none"));
            assert_eq!(files.get("/work/given"), Some(&b"1"[..]));
            assert_eq!(files.unmatched, ["/etc/none"]);
        }
    });
}

#[test]
fn a_directory_of_the_callers_is_written() {
    as_each("a_directory_of_the_callers_is_written", |_| {
        let place = scratch::directory();
        let (new, empty) = (place.path().join("new"), place.path().join("empty"));
        fs::create_dir(&empty).expect("there is room");
        for into in [&new, &empty] {
            let sandbox = sandbox();
            let mut command = script(&sandbox, LEAVES);
            let files =
                collected(command.collect("out/[1-9]*").collect("out/de*").collect_into(into));
            assert_eq!(files.error, None);
            assert!(files.files.is_empty());
            assert_eq!((files.entries, files.bytes), (5, 8));
            assert_eq!(fs::read(into.join("out/deep/d.txt")).expect("it is there"), b"d\n");
            let status = fs::metadata(into.join("out/2.txt")).expect("it is there");
            assert_eq!(status.permissions().mode() & 0o7777, 0o640);
            assert_eq!(status.uid(), nix::unistd::geteuid().as_raw());
            assert!(!into.join("out/.hidden.txt").exists());
        }
        // It can also be filled while the command runs. The outcome is not lost for that.
        let late = place.path().join("late");
        let mut command = script(&sandbox(), "read go; echo 1 >out; exit 3");
        command.stdin(Stdio::piped()).collect("out").collect_into(&late);
        let mut child = command.spawn().expect("it starts");
        fs::create_dir(&late).expect("there is room");
        fs::write(late.join("file"), "the caller's").expect("there is room");
        child.stdin = None;
        let output = child.wait_with_output().expect("it runs");
        assert_eq!(output.outcome.ended, Ended::Exited(3));
        let error = output.files.error.expect("it is full");
        assert!(error.to_string().contains("is not empty"), "{error}");
        assert_eq!(fs::read_dir(&late).expect("it is there").count(), 1);
        // Now it is not empty: that is an error before the start.
        let mut command = script(&sandbox(), "echo no");
        let error = command.collect("*").collect_into(&new).output().expect_err("it is full");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("is not empty"), "{error}");
        let mut command = script(&sandbox(), "echo no");
        let error = command
            .collect("*")
            .collect_into(place.path().join("none/deeper"))
            .output()
            .expect_err("it cannot be made");
        assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::Invalid, Some(libc::ENOENT)));
        let mut command = script(&sandbox(), "echo no");
        let mixed = place.path().join("mixed");
        let error =
            command.collect("a").collect("/a").collect_into(mixed).output().expect_err("mixed");
        assert!(error.to_string().contains("absolute and relative"), "{error}");
    });
}

/// After an error nothing of what was written is left, and the outcome stands.
#[test]
fn a_bound_leaves_nothing_behind_but_the_outcome() {
    as_each("a_bound_leaves_nothing_behind_but_the_outcome", |_| {
        let place = scratch::directory();
        let (new, empty) = (place.path().join("new"), place.path().join("empty"));
        fs::create_dir(&empty).expect("there is room");
        for into in [&new, &empty] {
            let sandbox = sandbox();
            let mut command = script(&sandbox, "mkdir -p a/b; echo 1 >a/b/1; echo 2 >a/2; exit 3");
            command.collect("a/b").collect("a/2").collect_into(into);
            let output =
                command.collect_within(Transfer::new().max_bytes(3_u64)).output().expect("it runs");
            assert_eq!(output.outcome.ended, Ended::Exited(3));
            let error = output.files.error.expect("it is too much");
            assert_eq!(
                (error.kind(), error.raw_os_error()),
                (ErrorKind::Invalid, Some(libc::EFBIG))
            );
            assert!(output.files.files.is_empty() && output.files.entries == 0);
        }
        assert!(!new.exists(), "it was made for this run");
        assert_eq!(fs::read_dir(&empty).expect("it is there").count(), 0);
    });
}

#[test]
fn special_files_are_an_error_where_the_caller_says_so() {
    as_each("special_files_are_an_error_where_the_caller_says_so", |_| {
        let sandbox = sandbox();
        for what in ["mkfifo x", "ln -s /etc/passwd x"] {
            let mut command = script(&sandbox, what);
            let files = collected(command.collect("*").collect_within(Transfer::new()));
            let error = files.error.expect("it is special");
            assert!(error.to_string().contains("neither a file nor a directory"), "{error}");
        }
    });
}

/// A hundred thousand entries are neither kept in memory nor copied.
#[test]
fn a_flood_of_entries_is_bounded() {
    as_each("a_flood_of_entries_is_bounded", |_| {
        const FLOOD: &str = "import os\nos.chdir('/work')\nos.mkdir('d')\n\
            for n in range(100000): os.close(os.open('d/%d' % n, os.O_CREAT))\n";
        // One cell, to make them once.
        let cell = Sandbox::new().tmpfs("/work", MiB(256)).cell().expect("it starts");
        let made = cell.command("python3").args(["-c", FLOOD]).status().expect("it runs");
        assert!(made.success());
        for pattern in ["d", "d/*", "*/1*", "d/?????"] {
            let files = collected(in_work(cell.command("sh"), "").collect(pattern));
            let error = files.error.expect("there are too many");
            assert_eq!(error.raw_os_error(), Some(libc::EFBIG), "{error}");
        }
        // Those that do not match do not count.
        let files = collected(in_work(cell.command("sh"), "").collect("d/77?77"));
        assert_eq!((files.error, files.entries), (None, 10));
    });
}

#[test]
fn a_deep_tree_is_bounded() {
    as_each("a_deep_tree_is_bounded", |_| {
        const DEEP: &str = "import os\nos.chdir('/work')\n\
            for n in range(2000):\n os.mkdir('d' * 200)\n os.chdir('d' * 200)\n";
        let sandbox = Sandbox::new().tmpfs("/work", MiB(64));
        for pattern in ["*", "*/*/*/*/*", "*/".repeat(30).trim_end_matches('/')] {
            let mut command = sandbox.command("python3");
            command.args(["-c", DEEP]).current_dir("/work");
            let files = collected(command.collect(pattern));
            let error = files.error.expect("it is too deep");
            assert!(
                matches!(error.raw_os_error(), Some(libc::EFBIG | libc::ENAMETOOLONG)),
                "{error}"
            );
        }
    });
}

/// A hard link to a file that the sandbox's user may not read, where the host lets it make one.
#[test]
fn a_hard_link_gives_no_more_than_its_file() {
    as_each("a_hard_link_gives_no_more_than_its_file", |who| {
        let place = scratch::directory();
        let data = place.path().join("data");
        fs::create_dir(&data).expect("there is room");
        fs::write(data.join("secret"), "secret").expect("there is room");
        fs::set_permissions(&data, Permissions::from_mode(0o777)).expect("it is ours");
        fs::set_permissions(data.join("secret"), Permissions::from_mode(0o600))
            .expect("it is ours");
        // What fs.protected_hardlinks forbids inside, the test itself does in its place.
        fs::hard_link(data.join("secret"), data.join("out")).expect("it is ours");
        let sandbox = Sandbox::new().bind(Bind::new(&data, "/data").writable());
        let mut command = sandbox.command("sh");
        command.args(["-c", "ln /data/secret /data/other 2>/dev/null; true"]);
        let files = collected(command.collect("/data/o*"));
        match who {
            Caller::Root => {
                let error = files.error.expect("it is root's");
                assert_eq!(error.raw_os_error(), Some(libc::EACCES), "{error}");
                assert!(files.files.is_empty());
            }
            // The program runs as the caller's own user, so the file is its own.
            Caller::User => assert_eq!(files.get("/data/out"), Some(&b"secret"[..])),
        }
    });
}

/// A privileged caller's command that is the caller's own user has no capabilities. A file that it
/// may not read is not collected with the caller's.
#[test]
fn a_command_of_the_callers_own_user_lends_no_capabilities() {
    as_each("a_command_of_the_callers_own_user_lends_no_capabilities", |who| {
        if who == Caller::User {
            return;
        }
        let place = scratch::directory();
        let data = place.path().join("data");
        fs::create_dir(&data).expect("there is room");
        for (name, uid) in [("own", 0), ("others", 4242)] {
            let file = data.join(name);
            fs::write(&file, name).expect("there is room");
            fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("it is ours");
            std::os::unix::fs::chown(&file, Some(uid), Some(uid)).expect("root may");
        }
        let sandbox = Sandbox::new().as_caller().bind(Bind::new(&data, "/data").writable());
        let mut command = sandbox.command("sh");
        command.args(["-c", "! cat /data/others 2>/dev/null && mv /data/others /data/moved"]);
        let files = collected(command.collect("/data/own"));
        assert_eq!((files.get("/data/own"), &files.error), (Some(&b"own"[..]), &None));
        let mut command = sandbox.command("true");
        let error = collected(command.collect("/data/moved")).error.expect("it is another's");
        assert_eq!(error.raw_os_error(), Some(libc::EACCES), "{error}");
        // A copy out of the running sandbox has the same rights.
        let cell = sandbox.cell().expect("it starts");
        let to = place.path().join("to");
        let transfer = Transfer::new();
        cell.copy_out("/data/own", &to, &transfer).expect("the control: the command may read it");
        let error = cell.copy_out("/data/moved", place.path().join("moved"), &transfer);
        let error = error.expect_err("it is another's");
        assert_eq!(error.raw_os_error(), Some(libc::EACCES), "{error}");
    });
}

/// In a cell a program exchanges files, directories and links while they are collected.
#[test]
fn files_that_change_meanwhile_lead_nowhere() {
    as_each("files_that_change_meanwhile_lead_nowhere", |_| {
        const CHANGES: &str = "import ctypes, os\nos.chdir('/work')\nlibc = ctypes.CDLL(None)\n\
            os.mkdir('d')\nopen('d/f', 'w').write('inside')\nos.symlink('/etc', 'l')\n\
            os.symlink('/etc/passwd', 'x')\nopen('f', 'w').write('inside')\nopen('ready', 'w')\n\
            while True:\n libc.renameat2(-100, b'd', -100, b'l', 2)\n \
            libc.renameat2(-100, b'x', -100, b'f', 2)\n";
        let cell = sandbox().file("/etc/f", "outside").cell().expect("it starts");
        let mut changing =
            cell.command("python3").args(["-c", CHANGES]).spawn().expect("it starts");
        let mut kinds = [0; 3];
        for _ in 0..200 {
            let mut command = in_work(cell.command("sh"), "until test -e ready; do :; done");
            let files = collected(command.collect("d/f").collect("f").collect("l/f"));
            for file in &files.files {
                assert_eq!(file.contents, b"inside", "{}", file.path.display());
            }
            kinds[0] += usize::from(!files.files.is_empty());
            kinds[1] += usize::from(!files.skipped.is_empty());
            kinds[2] += usize::from(files.error.is_some());
        }
        eprintln!("files, links, errors: {kinds:?}");
        assert!(kinds[0] > 0 && kinds[1] + kinds[2] > 0, "{kinds:?}");
        changing.kill().expect("it is ours");
        changing.wait().expect("it ends");
    });
}

#[test]
fn files_can_be_collected_once_and_only_after_the_end() {
    as_each("files_can_be_collected_once_and_only_after_the_end", |_| {
        let place = scratch::directory();
        let sandbox = sandbox();
        let mut command = script(&sandbox, "echo 1 >out; echo; exec sleep 1000");
        let child = command.collect("out").stdout(Stdio::piped()).spawn();
        let mut child = child.expect("it starts");
        let mut said = child.stdout.take().expect("piped");
        said.read_exact(&mut [0]).expect("it has written the file");
        let error = child.collect().expect_err("it runs");
        assert!(error.to_string().contains("has not been waited for"), "{error}");
        child.kill().expect("it is ours");
        assert_eq!(child.wait().expect("it ends").ended, Ended::Killed);
        // A mistake does not lose them.
        let full = place.path();
        fs::write(full.join("x"), "").expect("there is room");
        assert_eq!(child.collect_to(full).expect_err("it is full").kind(), ErrorKind::Invalid);
        let into = place.path().join("into");
        let files = child.collect_to(&into).expect("it has ended");
        assert_eq!((files.error, files.entries), (None, 1));
        assert_eq!(fs::read(into.join("out")).expect("it is there"), b"1\n");
        for error in
            [child.collect().expect_err("once"), child.collect_to(&into).expect_err("once")]
        {
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
        let mut plain = script(&sandbox, "true").spawn().expect("it starts");
        plain.wait().expect("it ends");
        assert_eq!(plain.collect().expect_err("nothing asked").kind(), ErrorKind::Invalid);
        let error = script(&sandbox, "true").collect("out").status().expect_err("lost files");
        assert!(error.remedy().is_some(), "{error}");
    });
}

/// In a pool that uses its sandboxes again the next command waits until the files are collected.
#[test]
fn a_reused_sandbox_waits_for_its_files_to_be_collected() {
    as_each("a_reused_sandbox_waits_for_its_files_to_be_collected", |_| {
        let pool = sandbox().reusing_pool(1).expect("it starts");
        let mut command = in_work(pool.command("sh"), "echo first >out");
        let mut first = command.collect("out").spawn().expect("it starts");
        first.wait().expect("it ends");
        let mut second = in_work(pool.command("sh"), "echo second >out");
        assert!(second.try_spawn().expect("no error").is_none(), "the place is taken");
        let files = first.collect().expect("it has ended");
        assert_eq!(files.get("out"), Some(&b"first\n"[..]));
        let mut second = second.try_spawn().expect("no error").expect("the place is free");
        second.wait().expect("it ends");
        // Dropping the command frees the place too.
        let mut command = in_work(pool.command("sh"), "echo third >out");
        let mut third = command.collect("out").spawn().expect("it starts");
        third.wait().expect("it ends");
        drop(third);
        assert!(pool.command("true").status().expect("it runs").success());
        // So does a warden that is killed.
        let mut command = in_work(pool.command("sh"), "sleep 1000");
        let mut fourth = command.collect("out").spawn().expect("it starts");
        let warden = fourth.processes().expect("it runs")[0].parent;
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(i32::try_from(warden).expect("it is small")),
            nix::sys::signal::Signal::SIGKILL,
        )
        .expect("it is ours");
        assert!(matches!(fourth.wait().expect("it ends").ended, Ended::WardenLost(_)));
        // Its socket is closed before it has ended. Until then the pool takes it for alive.
        let stat = format!("/proc/{warden}/stat");
        while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            std::thread::yield_now();
        }
        drop(fourth);
        assert!(pool.command("true").status().expect("it runs").success());
    });
}

/// Names that are no UTF-8, have newlines, or look like patterns.
#[test]
fn names_are_bytes() {
    as_each("names_are_bytes", |_| {
        let sandbox = sandbox();
        let mut command = script(&sandbox, "printf 1 >\"$(printf 'a\\nb\\377')\"; printf 2 >'[*]'");
        let files = collected(command.collect("a*").collect("\\[\\*\\]"));
        assert_eq!(files.get(Path::new(OsStr::from_bytes(b"a\nb\xff"))), Some(&b"1"[..]));
        assert_eq!(files.get("[*]"), Some(&b"2"[..]));
    });
}

/// Several commands that talk to each other each leave files.
#[test]
fn an_interaction_leaves_files() {
    as_each("an_interaction_leaves_files", |_| {
        let sandbox = sandbox();
        let mut asks = script(&sandbox, "echo 6; read answer; echo $answer >log");
        let mut answers = script(&sandbox, "read number; echo $((number * 7)); echo $number >log");
        asks.collect("log");
        answers.collect("log");
        let outputs = seclude::Interaction::between(asks, answers).output().expect("it runs");
        let logs: Vec<_> = outputs.iter().map(|output| output.files.get("log")).collect();
        assert_eq!(logs, [Some(&b"42\n"[..]), Some(&b"6\n"[..])]);
    });
}

/// A cell that is reset or closed keeps the files of an ended command until they are collected.
#[test]
fn files_outlive_their_cell() {
    as_each("files_outlive_their_cell", |_| {
        type End = fn(&Cell);
        let ends: [End; 2] = [|cell| cell.close(), |cell| cell.reset().expect("it can be")];
        for end in ends {
            let cell = sandbox().cell().expect("it starts");
            let mut command = in_work(cell.command("sh"), "echo 1 >out");
            let mut child = command.collect("out").spawn().expect("it starts");
            child.wait().expect("it ends");
            end(&cell);
            assert_eq!(child.collect().expect("it has ended").get("out"), Some(&b"1\n"[..]));
        }
    });
}
