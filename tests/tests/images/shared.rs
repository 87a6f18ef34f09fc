//! A store that several processes use at once, that one of them leaves in the middle of the work,
//! or that cannot be written to.

use crate::layout::{Layout, Packing};
use crate::place::{Place, assert_same, beside, timeless};
use crate::tree::{Archive, Node, dir, file, hard};
use rustix::fs::{Mode, OFlags};
use seclude::{ErrorKind, ImageSource, Store};
use seclude_tests::caller::{as_each, in_own_mounts, only};
use seclude_tests::payload::rounds;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};

const STORE: &str = "SECLUDE_TEST_STORE";
const SOURCE: &str = "SECLUDE_TEST_SOURCE";
const ACT: &str = "SECLUDE_TEST_ACT";

/// Another process that does something with the store: this test program again. The test `name`
/// begins with [`is_another`].
fn another(name: &str, act: &str, place: &Place, source: &Path) -> Child {
    let mut command = Command::new(env::current_exe().expect("/proc/self/exe can be read"));
    command.args(only(name)).env(ACT, act).env(STORE, place.path("store")).env(SOURCE, source);
    command.stdout(Stdio::null());
    command.spawn().expect("it starts")
}

/// Whether this process is one that [`another`] has started. Then it has done what it is for.
fn is_another() -> bool {
    let (Some(act), Some(store), Some(source)) =
        (env::var_os(ACT), env::var_os(STORE), env::var_os(SOURCE))
    else {
        return false;
    };
    let store = Store::at(store).expect("it is a store");
    match act.to_str() {
        Some("import") => {
            let source = ImageSource::found_at(source).expect("it is there");
            store.import(&source, Some("it")).expect("it is whole");
        }
        Some("collect") => loop {
            store.collect(Some(Duration::ZERO)).expect("there is nothing wrong");
        },
        _ => panic!("{act:?}"),
    }
    true
}

fn nodes(count: u32) -> Vec<Node> {
    let mut nodes = vec![dir("d"), dir("closed").mode(0o500), file("closed/x", "x").mode(0)];
    for number in 0..count {
        nodes.push(dir(format!("d/{}", number / 50)));
        nodes.push(file(format!("d/{}/{number}", number / 50), vec![b'x'; 3000]));
    }
    nodes.push(hard("d/last", "d/0/0"));
    nodes
}

fn layout(place: &Place) -> PathBuf {
    let directory = place.path("layout");
    let above = [file("d/0/0", "above"), dir("e"), file("e/x", "x")];
    let layers = [Archive::of(&nodes(400)).end(), Archive::of(&above).end()];
    Layout::of(&directory, &layers, Packing::Gzip);
    directory
}

/// Killed at any moment, an import leaves a store in which the next one succeeds.
#[test]
fn a_killed_import_leaves_nothing_that_stays() {
    if is_another() {
        return;
    }
    let name = "a_killed_import_leaves_nothing_that_stays";
    as_each(name, |_| {
        let Some(place) = Place::new(name) else { return };
        let oci = layout(&place);
        let archive = place.path("it.tar.gz");
        let saved = crate::layout::saved(&[Archive::of(&nodes(100)).end()]).end();
        fs::write(&archive, Packing::Gzip.pack(&saved)).expect("there is room");
        for (what, source) in [("a layout", &oci), ("an archive of images", &archive)] {
            let start = Instant::now();
            let mut whole = another(name, "import", &place, source);
            assert!(whole.wait().expect("it is ours").success(), "{what}");
            let length = start.elapsed();
            let image = place.store().image("it").expect("it is there");
            let expected = timeless(&image);
            drop(image);
            let rounds = rounds(20);
            let mut ended = 0;
            for round in 0..rounds {
                place.store().collect(Some(Duration::ZERO)).expect("there is nothing wrong");
                assert_eq!(place.names("layers").len() + place.names("images").len(), 0);
                let mut killed = another(name, "import", &place, source);
                thread::sleep(length * round / rounds);
                killed.kill().expect("it is ours");
                ended += u32::from(killed.wait().expect("it is ours").success());
                // The library's own processes end with it, but not before.
                let store = place.store();
                let source = ImageSource::found_at(source).expect("it is there");
                let image = store.import(&source, Some("it")).unwrap_or_else(|error| {
                    panic!("{what}, killed in round {round} of {rounds}: {error}")
                });
                assert_same(&timeless(&image), &expected, what);
                store.collect(None).expect("there is nothing wrong");
                assert_eq!(place.names("work").len(), 0, "{what}, round {round}");
                assert_eq!(place.names("images").len(), 1, "{what}, round {round}");
            }
            assert!(ended < rounds, "{what}: nothing was killed");
        }
    });
}

#[test]
fn two_imports_at_once_unpack_each_layer_once() {
    if is_another() {
        return;
    }
    let name = "two_imports_at_once_unpack_each_layer_once";
    as_each(name, |_| {
        let Some(place) = Place::new(name) else { return };
        let oci = layout(&place);
        for _ in 0..rounds(5) {
            let mut all: Vec<Child> =
                (0..4).map(|_| another(name, "import", &place, &oci)).collect();
            for child in &mut all {
                assert!(child.wait().expect("it is ours").success());
            }
            // By the time of the inode: another process would have made another one.
            assert_eq!(place.names("layers").len(), 2);
            assert_eq!(place.names("work").len(), 0);
            let image = place.store().image("it").expect("it is there");
            assert!(timeless(&image).contains("d/0/0 file=5"));
            drop(image);
            place.store().collect(Some(Duration::ZERO)).expect("there is nothing wrong");
            assert_eq!(place.names("layers").len(), 0);
        }
    });
}

/// Beside a process that collects all the time, imports succeed, and what is in use has its files.
#[test]
fn what_is_in_use_is_not_collected() {
    if is_another() {
        return;
    }
    let name = "what_is_in_use_is_not_collected";
    as_each(name, |_| {
        let Some(place) = Place::new(name) else { return };
        let oci = layout(&place);
        let source = ImageSource::oci(&oci);
        let store = place.store();
        let image = store.import(&source, Some("it")).expect("it is whole");
        let expected = timeless(&image);
        drop(image);
        let mut collectors = [0; 2].map(|_| another(name, "collect", &place, &oci));
        for round in 0..rounds(10) {
            let image = store.import(&source, Some("it")).unwrap_or_else(|error| {
                panic!("round {round}: {error}");
            });
            assert_same(&timeless(&image), &expected, "held by the image");
            let cell = beside(&image).cell().expect("it starts");
            let sandbox = beside(&image);
            let mut command = sandbox.command("/bin/sh");
            let script = "sleep 0.3; cat /image/d/0/0 /image/d/last";
            command.args(["-c", script]).stdout(seclude::Stdio::piped());
            let child = command.spawn().expect("it starts");
            drop((image, sandbox, command));
            // Held by the running command, and by the cell alone.
            let output = child.wait_with_output().expect("it runs");
            assert!(output.outcome.success(), "round {round}: {:?}", output.outcome);
            assert_eq!(output.stdout.len(), 5 + 3000);
            assert_same(&crate::place::timeless_in(&cell), &expected, "held by the cell");
            assert!(collectors.iter_mut().all(|one| one.try_wait().expect("ours").is_none()));
        }
        for collector in &mut collectors {
            collector.kill().expect("it is ours");
            collector.wait().expect("it is ours");
        }
        store.collect(Some(Duration::ZERO)).expect("there is nothing wrong");
        for folder in ["layers", "images", "work"] {
            assert_eq!(place.names(folder).len(), 0, "{folder}");
        }
    });
}

/// The collection itself, without a race: each kind of use by itself, and none.
#[test]
fn each_use_keeps_an_image() {
    let name = "each_use_keeps_an_image";
    as_each(name, |_| {
        let Some(place) = Place::new(name) else { return };
        let tar = Archive::of(&nodes(10)).write(place.path("it.tar"));
        let store = place.store();
        let import = || store.import(&ImageSource::tar(&tar), Some("it")).expect("it is whole");
        let collect = || {
            let freed = store.collect(Some(Duration::ZERO)).expect("there is nothing wrong");
            (freed.images, freed.layers)
        };
        let image = import();
        assert_eq!(collect(), (0, 0), "the image");
        let cell = beside(&image).cell().expect("it starts");
        drop(image);
        assert_eq!(collect(), (0, 0), "a cell");
        drop(cell);
        let image = store.image("it").expect("it is there");
        let child = beside(&image).command("sleep").arg("60").spawn().expect("it starts");
        drop(image);
        assert_eq!(collect(), (0, 0), "a running command");
        drop(child);
        let image = store.image("it").expect("it is there");
        let sandbox = beside(&image);
        sandbox.command("true").status().expect("it starts");
        drop(image);
        assert_eq!(collect(), (0, 0), "a sandbox that has run");
        drop(sandbox);
        let image = store.image("it").expect("it is there");
        let pool = beside(&image).pool(1).expect("it starts");
        drop(image);
        assert_eq!(collect(), (0, 0), "a pool");
        drop(pool);
        // The name goes, and the files stay for who has them.
        let image = store.image("it").expect("it is there");
        let expected = timeless(&image);
        let cell = beside(&image).cell().expect("it starts");
        store.remove("it").expect("it is there");
        drop(image);
        assert_eq!(collect(), (0, 0), "a cell of an image without a name");
        cell.reset().expect("it can be reset");
        assert_same(&crate::place::timeless_in(&cell), &expected, "after a reset");
        drop(cell);
        assert_eq!(collect(), (0, 1), "nothing");
        assert_eq!(store.image("it").expect_err("it is gone").kind(), ErrorKind::SourceMissing);
    });
}

#[test]
fn what_a_crash_left_is_collected() {
    let name = "what_a_crash_left_is_collected";
    as_each(name, |_| {
        let Some(place) = Place::new(name) else { return };
        let store = place.store();
        let work = place.path("store/v1/work");
        fs::write(work.join("file-0123"), "a draft").expect("there is room");
        // Deeper than the kernel takes in one path, and closed.
        fs::create_dir(work.join("new-0123")).expect("there is room");
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |at: &OwnedFd, name: &str| {
            rustix::fs::openat(at, name, flags, Mode::empty()).expect("it is there")
        };
        let mut at = rustix::fs::open(work.join("new-0123"), flags, Mode::empty()).expect("there");
        let long = "n".repeat(200);
        for _ in 0..30 {
            rustix::fs::mkdirat(&at, &*long, Mode::RWXU).expect("there is room");
            at = open(&at, &long);
        }
        rustix::fs::mkdirat(&at, "closed", Mode::empty()).expect("there is room");
        rustix::fs::fchmod(&at, Mode::RUSR).expect("it is ours");
        store.collect(None).expect("there is nothing wrong");
        assert_eq!(place.names("work").len(), 0);
        for name in [".", "..", "", "a b", "%", "~x", "a\0b"] {
            let probe = ImageSource::directory("/nothing");
            let error = store.import(&probe, Some(name)).expect_err("no name");
            assert_eq!(error.kind(), ErrorKind::Invalid, "{name:?}: {error}");
            assert_eq!(
                store.remove(name).expect_err("none").kind(),
                ErrorKind::Invalid,
                "{name:?}"
            );
            assert_eq!(store.image(name).expect_err("none").kind(), ErrorKind::Invalid, "{name:?}");
        }
    });
}

fn mount(arguments: &[&str], at: &Path) {
    let status = Command::new("mount").args(arguments).arg(at).status();
    assert!(status.expect("mount (util-linux) is there").success(), "{arguments:?}");
}

#[test]
fn a_store_without_room_or_on_another_file_system_is_a_typed_error() {
    let name = "a_store_without_room_or_on_another_file_system_is_a_typed_error";
    in_own_mounts(name, || {
        let Some(place) = Place::new(name) else { return };
        let oci = layout(&place);
        let source = ImageSource::oci(&oci);

        // Too little room, and then enough.
        let small = place.make("small");
        mount(&["-t", "tmpfs", "-o", "size=1m,mode=0700", "small"], &small);
        let store = Store::at(&small).expect("there is room for a store");
        match store.import(&source, Some("it")) {
            Err(error) if error.kind() == ErrorKind::Io => {
                assert!(error.to_string().contains("room"), "{error}");
                let left = fs::read_dir(small.join("v1/work")).expect("there").count();
                assert_eq!(left, 0, "{error}");
                mount(&["-o", "remount,size=64m", "small"], &small);
                let image = store.import(&source, Some("it")).expect("there is room");
                assert!(timeless(&image).contains("d/0/0 file=5"));
            }
            // Before Linux 6.6, overlays cannot write to a tmpfs.
            result => eprintln!("{name}: SKIPPED: no store on a tmpfs: {result:?}"),
        }

        // Not to be written to: what is there can be used.
        let store = place.store();
        store.import(&source, Some("it")).expect("it is whole");
        let at = place.path("store");
        mount(&["--bind", &at.display().to_string()], &at);
        mount(&["-o", "remount,bind,ro"], &at);
        let store = Store::at(&at).expect("it is there");
        let image = store.image("it").expect("it can be read");
        assert!(timeless(&image).contains("d/0/0 file=5"));
        let tar = Archive::of(&nodes(1)).write(place.path("it.tar"));
        let error = store.import(&ImageSource::tar(&tar), None).expect_err("read-only");
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        let error = store.remove("it").expect_err("read-only");
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        drop(image);
        assert!(store.collect(None).is_ok_and(|freed| freed.layers == 0));

        // On an overlay, which no overlay can write to.
        let [lower, upper, work, merged] =
            ["lower", "upper", "work", "merged"].map(|name| place.make(name));
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.display(),
            upper.display(),
            work.display()
        );
        mount(&["-t", "overlay", "-o", &options, "overlay"], &merged);
        let store = Store::at(merged.join("store")).expect("it can be made");
        let error = store.import(&ImageSource::tar(&tar), None).expect_err("no upper directory");
        eprintln!("{error}");
        assert_ne!(error.kind(), ErrorKind::Invalid, "the image is not to blame: {error}");
        assert_eq!(fs::read_dir(merged.join("store/v1/work")).expect("there").count(), 0);
    });
}

/// The files of an overlay have the file system numbers of its layers, and are no mounts.
#[test]
fn a_directory_in_an_overlay_is_imported_whole_and_mounts_are_left_out() {
    let name = "a_directory_in_an_overlay_is_imported_whole_and_mounts_are_left_out";
    in_own_mounts(name, || {
        let Some(place) = Place::new(name) else { return };
        let [lower, tmpfs, merged] = ["lower", "tmpfs", "merged"].map(|name| place.make(name));
        mount(&["-t", "tmpfs", "tmpfs"], &tmpfs);
        for directory in ["upper", "work"] {
            fs::create_dir(tmpfs.join(directory)).expect("there is room");
        }
        fs::write(lower.join("below"), "below").expect("there is room");
        fs::write(lower.join("mounted"), "hidden").expect("there is room");
        let options = format!(
            "lowerdir={},upperdir={tmpfs}/upper,workdir={tmpfs}/work",
            lower.display(),
            tmpfs = tmpfs.display()
        );
        mount(&["-t", "overlay", "-o", &options, "overlay"], &merged);
        fs::write(merged.join("above"), "above").expect("there is room");
        fs::create_dir(merged.join("d")).expect("there is room");
        fs::write(merged.join("d/below-a-mount"), "x").expect("there is room");
        // Directories of the test's own: a mistake must not reach the host's.
        let other = place.make("other");
        fs::write(other.join("f"), "not a part of it").expect("there is room");
        fs::set_permissions(other.join("f"), fs::Permissions::from_mode(0o440)).expect("ours");
        mount(&["--bind", &other.display().to_string()], &merged.join("d"));
        mount(&["--bind", &other.join("f").display().to_string()], &merged.join("mounted"));
        let image = place.store().import(&ImageSource::directory(&merged), None).expect("whole");
        let found = timeless(&image);
        let names: Vec<&str> =
            found.lines().skip(1).map(|line| line.split(' ').next().expect("a path")).collect();
        assert_eq!(names, ["above", "below", "d"], "{found}");
        assert_eq!(image.left_out(), 1);
        // The end of the place unmounts, and neither changes nor removes what was mounted.
        let outside = tempfile::tempdir().expect("there is room");
        let kept = outside.path().join("kept");
        fs::write(&kept, "x").expect("there is room");
        fs::set_permissions(&kept, fs::Permissions::from_mode(0o400)).expect("ours");
        mount(&["--bind", &outside.path().display().to_string()], &lower);
        let own = place.path("");
        drop((image, place));
        assert!(!own.exists(), "nothing is left of the place");
        assert_eq!(fs::metadata(&kept).expect("it is there").permissions().mode() & 0o777, 0o400);
    });
}

/// Names that mean something in the options of an overlay.
#[test]
fn a_store_can_have_any_path() {
    let name = "a_store_can_have_any_path";
    as_each(name, |_| {
        let Some(place) = Place::new(name) else { return };
        let tar = Archive::of(&nodes(1)).write(place.path("it.tar"));
        let long = ["n".repeat(200), "m".repeat(200), "l".repeat(200)].join("/");
        for name in ["a:b", "a,b", "a\\b", "a b", "a'b\"c", "ünï", "a=b", "a\nb", &long] {
            let store =
                Store::at(place.path(name)).unwrap_or_else(|error| panic!("{name:?}: {error}"));
            let image = store.import(&ImageSource::tar(&tar), Some("it"));
            let mut image = image.unwrap_or_else(|error| panic!("{name:?}: {error}"));
            assert!(timeless(&image).contains("d/0/0 file=3000"), "{name:?}");
            for _ in 0..2 {
                let cell = beside(&image).cell().expect("it starts");
                image = cell.commit(Some("it")).expect("it can be committed");
            }
            assert!(timeless(&image).contains("d/0/0 file=3000"), "{name:?}");
        }
    });
}

#[test]
fn a_store_that_others_can_enter_is_refused() {
    use std::os::unix::fs::symlink;
    let Some(place) = Place::new("a_store_that_others_can_enter_is_refused") else { return };
    let form = place.path("store/v1");
    fs::set_permissions(&form, fs::Permissions::from_mode(0o750)).expect("it is ours");
    let error = Store::at(place.path("store")).expect_err("a group can enter it");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    fs::set_permissions(&form, fs::Permissions::from_mode(0o700)).expect("it is ours");
    Store::at(place.path("store")).expect("it is closed again");
    place.make("other");
    symlink(&form, place.path("other/v1")).expect("there is room");
    let error = Store::at(place.path("other")).expect_err("it is a link");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}
