//! What a copy keeps: holes, and with `archive` links and times. And its progress.

use nix::sys::stat::{Mode, UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::mkfifo;
use seclude::{Bind, CopyProgress, ErrorKind, GiB, MiB, Sandbox, Transfer};
use seclude_tests::caller::as_each;
use seclude_tests::scratch;
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

const LENGTH: u64 = 1 << 30;

/// A file with two bytes, and holes before, between and after them.
fn make_sparse(path: &Path) {
    let file = File::create(path).expect("there is room");
    file.set_len(LENGTH).expect("it takes none");
    file.write_all_at(b"1", LENGTH / 4).expect("there is room");
    file.write_all_at(b"2", LENGTH / 2).expect("there is room");
}

fn check_sparse(path: &Path, what: &str) {
    let (file, status) = (File::open(path).expect(what), fs::metadata(path).expect(what));
    assert_eq!(status.len(), LENGTH, "{what}");
    assert!(status.blocks() * 512 < 1 << 20, "{what} takes {} blocks", status.blocks());
    let mut bytes = [9; 3];
    file.read_exact_at(&mut bytes, LENGTH / 4 - 1).expect("there are that many");
    assert_eq!(bytes, [0, b'1', 0], "{what}");
    file.read_exact_at(&mut bytes, LENGTH / 2 - 1).expect("there are that many");
    assert_eq!(bytes, [0, b'2', 0], "{what}");
}

#[test]
fn holes_stay_holes_on_every_way() {
    as_each("holes_stay_holes_on_every_way", |_| {
        let place = scratch::directory();
        let at = |name: &str| place.path().join(name);
        make_sparse(&at("sparse"));
        let transfer = Transfer::new().max_bytes(GiB(1));
        transfer.copy(place.path(), "sparse", at("one")).expect("there is room");
        check_sparse(&at("one"), "a copy outside");
        let cell = Sandbox::new().tmpfs("/work", MiB(8)).cell().expect("it starts");
        let copied = cell.copy_in(at("one"), "/work/in", &transfer).expect("8 MiB are enough");
        assert_eq!(copied.bytes, LENGTH, "a hole counts");
        cell.copy_out("/work/in", at("two"), &transfer).expect("there is room");
        check_sparse(&at("two"), "a copy in and out");
        let error = cell.copy_out("/work/in", at("three"), &Transfer::new()).expect_err("too long");
        assert_eq!(error.raw_os_error(), Some(libc::EFBIG), "{error}");
    });
}

fn old(path: &Path) {
    let time = TimeSpec::new(1_000_000_000, 123_456_789);
    let flag = UtimensatFlags::NoFollowSymlink;
    utimensat(nix::fcntl::AT_FDCWD, path, &time, &time, flag).expect("it is ours");
}

fn is_old(path: &Path) -> bool {
    let status = path.symlink_metadata().expect("it is there");
    (status.mtime(), status.mtime_nsec()) == (1_000_000_000, 123_456_789)
}

#[test]
fn archive_keeps_links_and_times() {
    as_each("archive_keeps_links_and_times", |_| {
        let place = scratch::directory();
        let at = |name: &str| place.path().join(name);
        fs::create_dir_all(at("tree/deep")).expect("there is room");
        fs::write(at("tree/a"), "text").expect("there is room");
        fs::set_permissions(at("tree/a"), fs::Permissions::from_mode(0o4751)).expect("it is ours");
        fs::hard_link(at("tree/a"), at("tree/deep/b")).expect("there is room");
        symlink("../nowhere", at("tree/c")).expect("there is room");
        symlink("/etc", at("tree/etc")).expect("there is room");
        for name in ["tree/a", "tree/c", "tree/etc", "tree/deep", "tree"] {
            old(&at(name));
        }
        let check = |name: &str| {
            for entry in ["a", "c", "etc", "deep/b", "deep", ""] {
                assert!(is_old(&at(name).join(entry)), "{name}/{entry}");
            }
            let status = at(name).join("a").metadata().expect("it is there");
            assert_eq!((status.nlink(), status.mode() & 0o7777), (2, 0o751));
            let other = at(name).join("deep/b").metadata().expect("it is there");
            assert_eq!((status.dev(), status.ino()), (other.dev(), other.ino()));
            for (link, target) in [("c", "../nowhere"), ("etc", "/etc")] {
                let found = fs::read_link(at(name).join(link)).expect("it is a link");
                assert_eq!(found, Path::new(target));
            }
        };
        let archive = Transfer::new().archive();
        let copied = archive.copy(place.path(), "tree", at("one")).expect("there is room");
        assert_eq!((copied.entries, copied.bytes, copied.skipped.len()), (6, 4, 0));
        check("one");
        let cell = Sandbox::new().tmpfs("/work", MiB(8)).cell().expect("it starts");
        cell.copy_in(at("tree"), "/work/tree", &archive).expect("there is room");
        cell.copy_out("/work/tree", at("two"), &archive).expect("there is room");
        check("two");
        // The control: by default links are an error, and times and links are not kept.
        let error = Transfer::new().copy(place.path(), "tree", at("no")).expect_err("links");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let plain = Transfer::new().skip_special();
        let copied = plain.copy(place.path(), "tree", at("plain")).expect("there is room");
        assert_eq!((copied.entries, copied.bytes, copied.skipped.len()), (4, 8, 2));
        assert!(!is_old(&at("plain/a")) && !at("plain/c").is_symlink());
        assert_eq!(at("plain/a").metadata().expect("it is there").nlink(), 1);
        // What is no link is special still.
        mkfifo(&at("tree/pipe"), Mode::S_IRWXU).expect("there is room");
        assert!(archive.copy(place.path(), "tree", at("no")).is_err());
        assert!(!at("no").exists(), "links are removed too");
        let copied = archive.skip_special().copy(place.path(), "tree", at("three"));
        assert_eq!(copied.expect("there is room").skipped, [Path::new("tree/pipe")]);
    });
}

#[test]
fn collected_directories_keep_links_where_the_caller_says_so() {
    as_each("collected_directories_keep_links_where_the_caller_says_so", |_| {
        let place = scratch::directory();
        let sandbox = Sandbox::new().tmpfs("/work", MiB(1));
        for (archive, into) in [(true, "links"), (false, "none")] {
            let mut command = sandbox.command("sh");
            command.args(["-c", "mkdir out; echo 1 >out/a; ln -s a out/b; ln -s /etc way"]);
            command.current_dir("/work").collect("out").collect("way/passwd");
            let within = Transfer::new().skip_special();
            command.collect_within(if archive { within.archive() } else { within });
            let files =
                command.collect_into(place.path().join(into)).output().expect("it runs").files;
            assert_eq!(files.error, None);
            let skipped: &[&str] = if archive { &["way"] } else { &["out/b", "way"] };
            assert_eq!(files.skipped, skipped.iter().map(Path::new).collect::<Vec<_>>());
            assert_eq!(place.path().join(into).join("out/b").is_symlink(), archive);
            assert!(!place.path().join(into).join("way").is_symlink());
        }
        let mut command = sandbox.command("sh");
        command.args(["-c", "echo 1 >a; ln -s a b"]).current_dir("/work").collect("*");
        command.collect_within(Transfer::new().skip_special().archive());
        let files = command.output().expect("it runs").files;
        assert_eq!((files.files.len(), files.skipped.len()), (1, 1), "memory has no links");
    });
}

/// The progress that a function was told, and the thread that called it.
type Calls = Arc<Mutex<Vec<(CopyProgress, ThreadId)>>>;

/// A transfer that notes each call, and cancels at the call with this number.
fn noted(cancelled: usize) -> (Transfer, Calls) {
    let calls = Calls::default();
    let noted = calls.clone();
    let transfer = Transfer::new().max_entries(50_000).progress(move |progress| {
        let mut calls = noted.lock().expect("nothing panics");
        calls.push((*progress, thread::current().id()));
        if calls.len() == cancelled { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    (transfer, calls)
}

/// So many that their copy takes longer than the time between two calls.
const FILES: u64 = 8000;

#[test]
fn the_progress_is_told_and_a_copy_can_be_cancelled() {
    as_each("the_progress_is_told_and_a_copy_can_be_cancelled", |_| {
        let place = scratch::directory();
        let (tree, to) = (place.path().join("tree"), place.path().join("to"));
        fs::create_dir(&tree).expect("there is room");
        for number in 0..FILES {
            fs::write(tree.join(number.to_string()), "12").expect("there is room");
        }
        let sandbox = Sandbox::new().bind(Bind::new(&tree, "/tree"));
        let cell = sandbox.cell().expect("it starts");
        let (transfer, calls) = noted(0);
        cell.copy_out("/tree", &to, &transfer).expect("there is room");
        let calls = std::mem::take(&mut *calls.lock().expect("nothing panics"));
        let progress: Vec<_> =
            calls.iter().map(|(progress, _)| (progress.entries, progress.bytes)).collect();
        assert_eq!(progress[0], (0, 0));
        assert_eq!(progress[progress.len() - 1], (FILES + 1, 2 * FILES));
        assert!(progress.is_sorted() && progress.len() > 2, "{progress:?}");
        assert!(calls.iter().all(|(_, caller)| *caller == thread::current().id()));
        fs::remove_dir_all(&to).expect("it is ours");
        // At the beginning, in between, and at the end of a short one.
        for (path, cancelled) in [("/tree", 1), ("/tree", 2), ("/tree/0", 2)] {
            let (transfer, calls) = noted(cancelled);
            let error = cell.copy_out(path, &to, &transfer).expect_err("it is cancelled");
            assert_eq!(error.raw_os_error(), Some(libc::ECANCELED), "{error}");
            let calls = calls.lock().expect("nothing panics");
            assert_eq!(calls.len(), cancelled);
            assert!(calls[cancelled - 1].0.entries < FILES, "{path}");
            assert!(!to.exists(), "what was copied is removed");
        }
    });
}

#[test]
fn a_panic_of_the_function_undoes_the_copy() {
    as_each("a_panic_of_the_function_undoes_the_copy", |_| {
        let place = scratch::directory();
        fs::write(place.path().join("file"), "text").expect("there is room");
        let cell = Sandbox::new().bind(Bind::new(place.path(), "/place")).cell();
        let cell = cell.expect("it starts");
        let to = place.path().join("to");
        let transfer = Transfer::new().progress(|progress| {
            assert_eq!(progress.entries, 0, "the end");
            ControlFlow::Continue(())
        });
        for inside in [false, true] {
            let copy = || match inside {
                true => cell.copy_out("/place/file", &to, &transfer),
                false => transfer.copy(place.path(), "file", &to),
            };
            let panic = catch_unwind(AssertUnwindSafe(copy)).expect_err("it panics at the end");
            assert!(panic.downcast_ref::<String>().is_some_and(|text| text.contains("the end")));
            assert!(!to.exists());
        }
    });
}
