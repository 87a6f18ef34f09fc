//! Changes to an overlay that are kept in a directory, with bounds: a file system of their own.

use super::disk_images::{lack, loops_of};
use seclude::{Ended, ErrorKind, MiB, Overlay, Sandbox};
use seclude_tests::caller::{Caller, as_each};
use seclude_tests::scratch;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A layer, and a directory for the changes.
struct Place {
    _directory: tempfile::TempDir,
    layer: PathBuf,
    kept: PathBuf,
}

impl Place {
    fn new(who: Caller) -> Place {
        let directory = scratch::directory();
        let [layer, kept] = ["layer", "kept"].map(|name| directory.path().join(name));
        for path in [&layer, &kept] {
            fs::create_dir(path).expect("there is room");
            fs::set_permissions(path, Permissions::from_mode(0o700)).expect("it is ours");
        }
        fs::write(layer.join("old"), "old").expect("there is room");
        for path in [&layer, &kept, &layer.join("old")] {
            who.own(path);
        }
        Place { _directory: directory, layer, kept }
    }

    fn overlay(&self) -> Overlay {
        Overlay::new([&self.layer], "/data").kept(&self.kept)
    }
}

fn within(overlay: Overlay) -> Sandbox {
    Sandbox::new().uid(0).gid(0).entry(overlay)
}

fn sh(sandbox: &Sandbox, script: &str) -> (Ended, String) {
    let output = sandbox.command("sh").args(["-c", script]).output().expect("it starts");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    (output.outcome.ended, String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Why this host cannot have them, if it cannot.
fn missing() -> Option<String> {
    let program = ["/usr/sbin/mke2fs", "/sbin/mke2fs"].iter().any(|path| Path::new(path).exists());
    lack("ext4").or_else(|| (!program).then(|| "mke2fs (e2fsprogs) is not installed".into()))
}

#[test]
fn bounded_changes_are_kept_and_end_at_their_bounds() {
    as_each("bounded_changes_are_kept_and_end_at_their_bounds", |who| {
        let place = Place::new(who);
        let bounded = within(place.overlay().size(MiB(8)).inodes(100));
        if who == Caller::User {
            let error = bounded.command("true").status().expect_err("only for root");
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.to_string().contains("only the host's root"), "{error}");
            assert_eq!(fs::read_dir(&place.kept).expect("it is ours").count(), 0);
            return;
        }
        if let Some(why) = missing() {
            return eprintln!("SKIPPED: {why}");
        }
        let full = "head -c 1000000 /dev/zero >/data/new; rm /data/old; head -c 20M /dev/zero \
                    >/data/large; stat -c %s /data/large";
        let (ended, size) = sh(&bounded, &format!("{full}; exit 1"));
        assert!(matches!(ended, Ended::ScratchFull), "{ended}");
        let size: u64 = size.trim().parse().expect("a number");
        assert!((6 << 20..9 << 20).contains(&size), "{size}");
        let (ended, text) = sh(&bounded, "ls /data; stat -c %s /data/new; rm /data/large");
        assert_eq!((ended, &*text), (Ended::Exited(0), "large\nnew\n1000000\n"));
        let many = "i=0; while echo >/data/$i 2>/dev/null; do i=$((i+1)); done; echo $i; exit 1";
        let (ended, count) = sh(&bounded, many);
        assert!(matches!(ended, Ended::ScratchFull), "{ended}");
        let count: u64 = count.trim().parse().expect("a number");
        assert!((60..=120).contains(&count), "{count}");
        // What the host sees is one file, and no loop device stays.
        let names = fs::read_dir(&place.kept).expect("it is ours");
        let names: Vec<_> = names.map(|entry| entry.expect("it is ours").file_name()).collect();
        assert_eq!(names, ["changes.ext4"]);
        assert_eq!(loops_of(&place.kept.join("changes.ext4")), 0);
        assert_eq!(fs::read_to_string(place.layer.join("old")).expect("it is ours"), "old");
    });
}

#[test]
fn a_cell_is_reset_many_times_over_bounded_changes() {
    if Caller::present() != Caller::Root {
        return eprintln!("SKIPPED: only for root");
    }
    if let Some(why) = missing() {
        return eprintln!("SKIPPED: {why}");
    }
    let place = Place::new(Caller::Root);
    let cell = within(place.overlay().size(MiB(2))).cell().expect("it starts");
    for round in 0..10 {
        let script = format!("ls /data | wc -l; echo {round} >/data/{round}");
        let output = cell.command("sh").args(["-c", &script]).output().expect("it starts");
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{}\n", round + 1));
        cell.reset().expect("the file system is free again");
    }
    assert_eq!(cell.changes().expect("they can be read").len(), 10);
    cell.close();
    assert_eq!(loops_of(&place.kept.join("changes.ext4")), 0);
}

#[test]
fn changes_of_other_bounds_are_refused() {
    if Caller::present() != Caller::Root {
        return eprintln!("SKIPPED: only for root");
    }
    if let Some(why) = missing() {
        return eprintln!("SKIPPED: {why}");
    }
    let refused = |overlay: Overlay, why: &str| {
        let error = within(overlay).command("true").status().expect_err(why);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(why), "{error}");
    };
    let place = Place::new(Caller::Root);
    assert_eq!(sh(&within(place.overlay().size(MiB(2))), "echo >/data/x").0, Ended::Exited(0));
    refused(place.overlay().size(MiB(4)), "these bounds make");
    refused(place.overlay(), "in a file system with bounds");
    let place = Place::new(Caller::Root);
    assert_eq!(sh(&within(place.overlay()), "echo >/data/x").0, Ended::Exited(0));
    refused(place.overlay().size(MiB(4)), "that are not bounded");
}
