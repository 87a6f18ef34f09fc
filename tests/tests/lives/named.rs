//! Named cells: one process publishes a cell, another finds and enters it, and it ends with its
//! publisher. No other process is ever taken for it.

use nix::fcntl::{Flock, FlockArg};
use seclude_tests::caller::{Caller, as_each, program};
use seclude_tests::scratch;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn named(directory: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program("named"));
    command.args(words).env("SECLUDE_CELLS", directory.join("cells"));
    command
}

fn told(directory: &Path, words: &[&str]) -> String {
    let output = named(directory, words).output().expect("it runs");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// A process that keeps a published cell.
struct Keeper {
    process: Child,
    answers: BufReader<std::process::ChildStdout>,
    warden: u32,
}

impl Keeper {
    fn new(directory: &Path, name: &str) -> Keeper {
        let mut process = named(directory, &["keep", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let answers = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut keeper = Keeper { process, answers, warden: 0 };
        keeper.hear("ready");
        keeper
    }

    fn order(&mut self, order: &str) {
        writeln!(self.process.stdin.as_mut().expect("it is piped"), "{order}").expect("it listens");
        self.hear("done");
    }

    fn hear(&mut self, word: &str) {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it answers");
        let (said, warden) = line.trim_end().split_once(' ').unwrap_or_else(|| panic!("{line:?}"));
        assert_eq!(said, word, "{line:?}");
        self.warden = warden.parse().expect("a number");
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_cell_is_found_and_entered_from_another_process() {
    as_each("a_cell_is_found_and_entered_from_another_process", |_| {
        let place = scratch::directory();
        let at = place.path();
        assert_eq!(told(at, &["list"]), "");
        let mut keeper = Keeper::new(at, "a");
        let other = Keeper::new(at, "b.2");
        assert_eq!(told(at, &["list"]), format!("a {}\nb.2 {}\n", keeper.warden, other.warden));
        let script = "until cat /tmp/file 2>/dev/null; do :; done; hostname; id -u; grep -c . /proc/1/comm; echo second > /tmp/other";
        let shown = told(at, &["enter", "a", "sh", "-c", script]);
        assert!(shown.starts_with("first\nkept\n1000\n1\n"), "{shown}");
        // The policy of the cell applies, and so do its limits for all commands together.
        for held in [
            "no-capabilities",
            "no-nested-users",
            "seccomp-filter",
            "filtered-warden",
            "own-root",
            "read-only-root",
            "masked-proc",
        ] {
            assert!(shown.contains(held), "{held}: {shown}");
        }
        assert!(shown.contains("pids by "), "{shown}");
        assert!(told(at, &["enter", "a", "cat", "/tmp/other"]).starts_with("second\n"));
        let refused =
            "unshare -U true 2>/dev/null || echo refused; touch /x 2>/dev/null || echo read-only";
        assert!(told(at, &["enter", "a", "sh", "-c", refused]).starts_with("refused\nread-only\n"));
        // An entered command reaches the processes of the cell: it ends the sleeping one with a
        // signal.
        let shown = told(
            at,
            &[
                "enter",
                "a",
                "sh",
                "-c",
                "kill $(pidof sleep) && until ! pidof sleep; do :; done >/dev/null; echo gone",
            ],
        );
        assert!(shown.starts_with("gone\n"), "{shown}");
        // The name stays with the cell through a reset and is removed with the cell.
        let before = keeper.warden;
        keeper.order("reset");
        assert_ne!(keeper.warden, before);
        assert!(told(at, &["enter", "a", "ls", "/tmp"]).starts_with("Exited(0)"));
        keeper.order("publish renamed");
        assert_eq!(
            told(at, &["list"]),
            format!("b.2 {}\nrenamed {}\n", other.warden, keeper.warden)
        );
        keeper.order("close");
        assert_eq!(told(at, &["list"]), format!("b.2 {}\n", other.warden));
        assert!(told(at, &["enter", "renamed", "true"]).contains("no cell of this name lives"));
    });
}

#[test]
fn the_limits_of_the_whole_hold_who_enters() {
    as_each("the_limits_of_the_whole_hold_who_enters", |_| {
        let place = scratch::directory();
        let _keeper = Keeper::new(place.path(), "full");
        // The limit is 40, and two processes exist: the sleeper and the shell.
        let script =
            "i=0; while [ $i -lt 60 ]; do sleep 1000 & i=$((i+1)); done; sleep 5; echo all";
        let shown = told(place.path(), &["enter", "full", "sh", "-c", script]);
        assert!(!shown.contains("all"), "{shown}");
    });
}

#[test]
fn a_limit_on_memory_holds_who_enters_by_whatever_mechanism() {
    as_each("a_limit_on_memory_holds_who_enters_by_whatever_mechanism", |_| {
        let place = scratch::directory();
        let _keeper = Keeper::new(place.path(), "full");
        // The process stays until it has been inspected.
        let code = "import time; all = b'1' * (512 << 20); time.sleep(60)";
        let shown = told(place.path(), &["enter", "full", "python3", "-c", code]);
        // The cgroup belongs to the cell, and so does its count of OOM kills. Where memory is
        // sampled, the cell's warden may notice the excess first.
        let by_others = shown.starts_with("Signaled(9)") && shown.contains("memory by ");
        assert!(
            by_others || shown.starts_with("MemoryLimit") && shown.contains("memory by sampled"),
            "{shown}"
        );
        // A process that uses less memory goes on.
        let sleeps = "grep -qx sleep /proc/[0-9]*/comm";
        assert!(told(place.path(), &["enter", "full", "sh", "-c", sleeps]).contains("Exited(0)"));
    });
}

#[test]
fn an_entry_whose_cell_is_gone_is_nobodys() {
    as_each("an_entry_whose_cell_is_gone_is_nobodys", |_| {
        let place = scratch::directory();
        let at = place.path();
        let mut keeper = Keeper::new(at, "lost");
        keeper.process.kill().expect("it is ours");
        keeper.process.wait().expect("it is ours");
        let entry = at.join("cells/lost.cell");
        assert!(entry.exists(), "the entry stays after its process was killed");
        // The cell ends with the process, after a moment.
        while !told(at, &["list"]).is_empty() {
            std::thread::yield_now();
        }
        assert!(!entry.exists(), "who comes by tidies up");
        // A process with the same id and another start time is a different process.
        let keeper = Keeper::new(at, "lost");
        let text = std::fs::read_to_string(&entry).expect("it is there");
        let started = text
            .split("\"started\":")
            .nth(1)
            .and_then(|rest| rest.split([',', '}']).next())
            .expect("it says");
        std::fs::write(&entry, text.replace(&format!("\"started\":{started}"), "\"started\":1"))
            .expect("it is ours");
        assert!(told(at, &["enter", "lost", "true"]).contains("no cell of this name lives"));
        drop(keeper);
        std::fs::write(&entry, "{\"pid\": 1, ").expect("it is ours");
        assert_eq!(told(at, &["list"]), "");
    });
}

#[test]
fn names_and_directories_that_are_refused() {
    as_each("names_and_directories_that_are_refused", |_| {
        let place = scratch::directory();
        let at = place.path();
        let long = "x".repeat(65);
        for name in ["", ".", "..", "../a", "a/b", "a b", ".hidden", &long] {
            assert!(told(at, &["enter", name, "true"]).contains("a name has 1 to 64"), "{name:?}");
        }
        let _keeper = Keeper::new(at, "taken");
        assert!(told(at, &["keep", "taken"]).contains("another one lives under this name"));
        std::fs::set_permissions(at.join("cells"), std::fs::Permissions::from_mode(0o777))
            .expect("it is ours");
        assert!(told(at, &["list"]).contains("others than the caller can write to it"));
        std::fs::remove_dir_all(at.join("cells")).expect("it is ours");
        std::os::unix::fs::symlink("/tmp", at.join("cells")).expect("it is ours");
        assert!(!named(at, &["list"]).output().expect("it runs").status.success());
    });
}

/// Process ids and start times of an earlier boot belong to other processes now.
#[test]
fn an_entry_of_an_earlier_boot_is_nobodys() {
    as_each("an_entry_of_an_earlier_boot_is_nobodys", |_| {
        let place = scratch::directory();
        let at = place.path();
        let keeper = Keeper::new(at, "a");
        let text = std::fs::read_to_string(at.join("cells/a.cell")).expect("it is there");
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("it is there");
        for (name, other) in [("earlier", "00000000-0000-0000-0000-000000000000"), ("none", "")] {
            let entry = at.join(format!("cells/{name}.cell"));
            let stale = text.replace(boot.trim(), other);
            assert_ne!(stale, text);
            std::fs::write(&entry, &stale).expect("it is ours");
            assert!(told(at, &["enter", name, "true"]).contains("no cell of this name lives"));
            std::fs::write(&entry, &stale).expect("it is ours");
            assert_eq!(told(at, &["list"]), format!("a {}\n", keeper.warden));
            assert!(!entry.exists(), "who comes by tidies up");
        }
        // The control: the same entry with the current boot is found.
        std::fs::write(at.join("cells/copy.cell"), &text).expect("it is ours");
        assert!(told(at, &["enter", "copy", "true"]).starts_with("Exited(0)"));
    });
}

/// An unreadable entry may belong to a living cell. It is kept, and its reader gets an error.
#[test]
fn an_entry_that_cannot_be_read_is_not_removed() {
    as_each("an_entry_that_cannot_be_read_is_not_removed", |who| {
        if who == Caller::Root {
            eprintln!(
                "an_entry_that_cannot_be_read_is_not_removed: SKIPPED as root, which can read everything"
            );
            return;
        }
        let place = scratch::directory();
        let at = place.path();
        let _keeper = Keeper::new(at, "a");
        let entry = at.join("cells/a.cell");
        let mode = |mode| {
            std::fs::set_permissions(&entry, std::fs::Permissions::from_mode(mode))
                .expect("it is ours")
        };
        mode(0);
        assert!(told(at, &["enter", "a", "true"]).contains("read the entry of the cell a"));
        assert!(told(at, &["list"]).contains("read the entry of the cell a"));
        mode(0o600);
        assert!(told(at, &["enter", "a", "true"]).starts_with("Exited(0)"));
    });
}

/// Any process that may open a file or directory can lock it.
#[test]
fn nobody_else_can_lock_the_directory() {
    as_each("nobody_else_can_lock_the_directory", |_| {
        let place = scratch::directory();
        let at = place.path();
        let keeper = Keeper::new(at, "a");
        let directory = at.join("cells");
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755))
            .expect("it is ours");
        // As another user could who may list the directory or read an entry.
        let held: Vec<_> = [directory.clone(), directory.join("a.cell")]
            .into_iter()
            .map(|path| {
                Flock::lock(
                    std::fs::File::open(path).expect("it is ours"),
                    FlockArg::LockExclusiveNonblock,
                )
            })
            .collect();
        assert!(held.iter().all(Result::is_ok), "the control: these can be locked");
        assert_eq!(told(at, &["list"]), format!("a {}\n", keeper.warden));
        // The remaining lock file can be locked by this user only, or is refused.
        let lock = directory.join(".lock");
        assert_eq!(
            std::fs::metadata(&lock).expect("it is there").permissions().mode() & 0o777,
            0o600
        );
        std::fs::set_permissions(&lock, std::fs::Permissions::from_mode(0o644))
            .expect("it is ours");
        let said = told(at, &["list"]);
        assert!(
            said.contains("others than the caller could hold it")
                && said.contains("hint: remove it"),
            "{said}"
        );
        std::fs::remove_file(&lock).expect("it is ours");
        std::os::unix::fs::symlink(at.join("elsewhere"), &lock).expect("it is ours");
        assert!(!named(at, &["list"]).output().expect("it runs").status.success());
        assert!(!at.join("elsewhere").exists(), "no link is followed");
        std::fs::remove_file(&lock).expect("it is ours");
        assert_eq!(told(at, &["list"]), format!("a {}\n", keeper.warden));
    });
}
