//! What the commands of a cell change in an image: told, made an image of, written for other
//! programs, and forgotten by a reset.

use crate::layout::Packing;
use crate::place::{Place, assert_same, beside, listing, listing_in, timeless, timeless_in};
use crate::tree::{Archive, Node, dir, fifo, file, hard, link};
use seclude::{Capability, Cell, ChangeKind, ErrorKind, Image, ImageSource};
use seclude_tests::caller::{Caller, as_each};
use seclude_tests::census;
use seclude_tests::payload::rounds;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

fn import(place: &Place, nodes: &[Node]) -> Image {
    let tar = Archive::of(nodes).write(place.path("it.tar"));
    place.store().import(&ImageSource::tar(tar), None).expect("there is nothing wrong with it")
}

/// Runs a script of the shell in the image.
fn run(cell: &Cell, script: &str) {
    let script = format!("set -e; cd /image; {script}");
    let output = cell.command("/bin/sh").args(["-c", &script]).output().expect("it starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.outcome.success(), "{script}: {:?} {errors}", output.outcome);
}

fn changes(cell: &Cell) -> BTreeMap<String, ChangeKind> {
    let changes = cell.changes().expect("they can be read").into_iter();
    changes
        .map(|change| {
            let path = change.path.strip_prefix("/image").expect("it is below").to_owned();
            (path.to_string_lossy().into_owned(), change.kind)
        })
        .collect()
}

fn base() -> Vec<Node> {
    vec![
        dir(""),
        dir("d"),
        file("d/one", "1"),
        file("d/two", "2"),
        dir("e").mode(0o700),
        file("e/x", "x"),
        file("same", "s"),
        hard("other-name", "same"),
        link("l", "d"),
        fifo("p"),
        file("gone", "x"),
    ]
}

const EDITS: &str = "rm gone; echo more >> d/one; mkdir new; echo n > new/file; rm -r e; mkdir e; \
    echo again > e/y; chmod 711 d; rm p; ln -s ../x p; ln new/file new/second; echo > ' a\tb'";

#[test]
fn changes_are_told() {
    as_each("changes_are_told", |_| {
        let Some(place) = Place::new("changes_are_told") else { return };
        let image = import(&place, &base());
        let cell = beside(&image).cell().expect("it starts");
        assert_eq!(changes(&cell), BTreeMap::new());
        run(&cell, EDITS);
        use ChangeKind::{Added, Changed, Deleted};
        let expected = [
            (" a\tb", Added),
            ("d", Changed),
            ("d/one", Changed),
            ("e", Changed),
            ("e/x", Deleted),
            ("e/y", Added),
            ("gone", Deleted),
            ("new", Added),
            ("new/file", Added),
            ("new/second", Added),
            ("p", Changed),
        ];
        assert_eq!(changes(&cell), expected.map(|(path, kind)| (path.into(), kind)).into());
    });
}

#[test]
fn a_directory_with_another_owner_is_changed() {
    if Caller::present() != Caller::Root {
        eprintln!("SKIPPED: all files of an unprivileged caller's image have one owner");
        return;
    }
    let Some(place) = Place::new("a_directory_with_another_owner_is_changed") else { return };
    let image = import(&place, &[dir(""), dir("d").owner(5, 6), dir("e").owner(5, 6)]);
    let sandbox = beside(&image).uid(0).gid(0).capability(Capability::Chown);
    let cell = sandbox.capability(Capability::DacOverride).cell().expect("it starts");
    run(&cell, "chown 5:7 d; echo > e/new");
    use ChangeKind::{Added, Changed};
    let expected = [("d", Changed), ("e/new", Added)];
    assert_eq!(changes(&cell), expected.map(|(path, kind)| (path.into(), kind)).into());
}

/// In a layer, such a name stands for a removed file. A program can make one, too.
#[test]
fn a_file_that_looks_like_a_whiteout_is_a_file() {
    as_each("a_file_that_looks_like_a_whiteout_is_a_file", |_| {
        let name = "a_file_that_looks_like_a_whiteout_is_a_file";
        let Some(place) = Place::new(name) else { return };
        let image = import(&place, &base());
        let cell = beside(&image).cell().expect("it starts");
        run(&cell, "echo > .wh.same; echo > .wh..wh..opq; mkdir d/.wh.two; echo > d/.wh.two/x");
        use ChangeKind::Added;
        let expected = [".wh..wh..opq", ".wh.same", "d/.wh.two", "d/.wh.two/x"];
        assert_eq!(changes(&cell), expected.map(|path| (path.into(), Added)).into());
        let inside = timeless_in(&cell);
        let committed = cell.commit(None).expect("it can be committed");
        assert_same(&timeless(&committed), &inside, "committed");
        // A layout and an archive cannot have them.
        let error = committed.export_oci(place.path("layout"), "it").expect_err("no such name");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        let error = committed.export_tar(place.path("it.tar.out")).expect_err("no such name");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(!place.path("it.tar.out").exists());
        assert_eq!(place.names("work").len(), 0);
    });
}

#[test]
fn many_changes_take_no_square_of_their_time() {
    let Some(place) = Place::new("many_changes_take_no_square_of_their_time") else { return };
    let image = import(&place, &base());
    let cell = beside(&image).cell().expect("it starts");
    let make = |directory: &str, count: u32| {
        let names = format!("seq -f {directory}/%.0f 1 {count} | xargs touch");
        run(&cell, &format!("mkdir {directory}; {names}"));
    };
    let measure = || {
        let start = Instant::now();
        let count = changes(&cell).len();
        (count, start.elapsed())
    };
    make("few", 1000);
    let (few, short) = measure();
    make("many", 9000);
    let (many, long) = measure();
    assert_eq!((few, many), (1001, 10_002));
    // Ten times as many: not a hundred times as long.
    assert!(long < short * 40 + Duration::from_millis(500), "{short:?}, {long:?}");
}

#[test]
fn what_is_committed_is_what_is_inside() {
    as_each("what_is_committed_is_what_is_inside", |_| {
        let Some(place) = Place::new("what_is_committed_is_what_is_inside") else { return };
        let image = import(&place, &base());
        let before = listing(&image);
        let cell = beside(&image).cell().expect("it starts");
        run(&cell, EDITS);
        let inside = listing_in(&cell);
        let first = cell.commit(Some("first")).expect("it can be committed");
        assert_eq!(first.layers(), 2);
        assert_same(&listing(&first), &inside, "the first");
        assert_same(&listing_in(&cell), &inside, "the cell goes on as it is");
        assert_same(&listing(&image), &before, "the image is what it was");

        // On top of that, and back again.
        let second = beside(&first).cell().expect("it starts");
        run(&second, "rm -r new; mkdir -p gone/was; echo 3 > gone/was/file; rm e/y; echo e > e/x");
        let inside = listing_in(&second);
        let second = second.commit(Some("second")).expect("it can be committed");
        assert_same(&listing(&second), &inside, "the second");
        assert_eq!(place.store().images().expect("there").len(), 3);

        // Written for other programs, and read again.
        for (number, image) in [&image, &first, &second].into_iter().enumerate() {
            let expected = listing(image);
            let layout = place.path(&format!("layout-{number}"));
            image.export_oci(&layout, "it").expect("there is room");
            let again = ImageSource::oci(&layout).reference("it");
            let again = place.store().import(&again, None).expect("it is whole");
            assert_same(&listing(&again), &expected, "a layout");
            let tar = place.path(&format!("{number}.tar"));
            image.export_tar(&tar).expect("there is room");
            let again = place.store().import(&ImageSource::tar(&tar), None).expect("it is whole");
            assert_same(&listing(&again), &expected, "an archive");
        }
        assert_eq!(place.names("work").len(), 0);
    });
}

/// Everything that a tree can have goes out and in again.
#[test]
fn an_export_is_exact() {
    as_each("an_export_is_exact", |caller| {
        let Some(place) = Place::new("an_export_is_exact") else { return };
        // An unprivileged caller cannot read what is closed to its owner.
        let is_readable = |node: &Node| caller == Caller::Root || node.mode & 0o400 != 0;
        let mut nodes = crate::one_tree::everything(caller);
        nodes.retain(is_readable);
        nodes.push(link("slashes", "a//b/./c/"));
        nodes.push(link("dots", "./x"));
        nodes.push(link("long-slashes", "./x//".repeat(50)));
        let image = import(&place, &nodes);
        let expected = listing(&image);
        image.export_tar(place.path("out.tar")).expect("there is room");
        let tar = ImageSource::tar(place.path("out.tar"));
        let again = place.store().import(&tar, None).expect("it is whole");
        assert_same(&listing(&again), &expected, "an archive");
        image.export_oci(place.path("out"), "it").expect("there is room");
        let oci = ImageSource::oci(place.path("out"));
        let again = place.store().import(&oci, None).expect("it is whole");
        assert_same(&listing(&again), &expected, "a layout");
        if caller == Caller::Root && Command::new("umoci").arg("--version").output().is_ok() {
            let bundle = place.path("bundle");
            let status = Command::new("umoci")
                .args(["unpack", "--image", &format!("{}:it", place.path("out").display())])
                .arg(&bundle)
                .output()
                .expect("it starts");
            assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
            // It takes an attribute without a value for none.
            let theirs = crate::place::on_host(&bundle.join("rootfs"));
            assert_same(&theirs, &expected.replace(" user.empty=", ""), "umoci");
        }
    });
}

#[test]
fn commits_upon_commits_become_one_layer() {
    as_each("commits_upon_commits_become_one_layer", |_| {
        let Some(place) = Place::new("commits_upon_commits_become_one_layer") else { return };
        // Where things are mounted in an image that is the root, and what the set-up writes there.
        let own = [dir("tmp").mode(0o1777), dir("etc"), file("etc/hosts", "own\n"), dir("proc")];
        let mut image = import(&place, &[&base()[..], &own[..]].concat());
        let mut flat = 0;
        for number in 0..52 {
            let cell = beside(&image).cell().expect("it starts");
            let keep = "mkdir -p k; echo k > k/$(date +%N); rm -f last-*";
            run(&cell, &format!("{keep}; echo {number} > number; echo > last-{number}"));
            let inside = listing_in(&cell);
            image = cell.commit(None).expect("it can be committed");
            if number % 10 == 0 || image.layers() == 1 || number == 51 {
                assert_same(&listing(&image), &inside, &format!("commit {number}"));
            }
            flat += u32::from(image.layers() == 1);
        }
        assert_eq!(flat, 1);
    });
}

/// The same where the image is the root of the cell, in which the set-up makes places to mount on.
#[test]
fn an_image_as_the_root_is_committed_without_what_the_set_up_made() {
    let name = "an_image_as_the_root_is_committed_without_what_the_set_up_made";
    as_each(name, |_| {
        let Some(place) = Place::new(name) else { return };
        let Ok(busybox) = fs::read("/bin/busybox") else {
            return eprintln!("{name}: SKIPPED: busybox is not installed");
        };
        let own = [
            dir(""),
            dir("bin"),
            file("bin/busybox", busybox).mode(0o755),
            link("bin/sh", "busybox"),
            dir("tmp").mode(0o1777),
            dir("etc"),
            file("etc/hosts", "own\n"),
            file("etc/passwd", "root:x:0:0::/:/bin/sh\n"),
        ];
        let mut image = import(&place, &own);
        let first = timeless(&image);
        for number in 0..48 {
            let sandbox = image.sandbox().expect("it has root");
            let cell = sandbox.cell().expect("it starts");
            let script = format!("echo {number} >/number");
            let output = cell.command("/bin/sh").args(["-c", &script]).output().expect("starts");
            assert!(output.outcome.success(), "{output:?}");
            if number == 0 {
                let told = cell.changes().expect("they can be read");
                assert_eq!(told.len(), 1, "{told:?}");
                assert_eq!(
                    (&*told[0].path, told[0].kind),
                    (Path::new("/number"), ChangeKind::Added)
                );
            }
            image = cell.commit(None).expect("it can be committed");
        }
        assert_eq!(image.layers(), 1);
        let found = timeless(&image);
        let without: String = found
            .lines()
            .filter(|line| !line.starts_with("number"))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_same(&without, &first, "all but the number");
        assert!(found.contains("\nnumber file=3,"), "{found}");
    });
}

/// A program can give files modes that close them to their owner. A privileged caller reads them
/// all the same; for any other that is an error, and never an image without them.
#[test]
fn what_is_closed_to_its_owner_is_committed_or_an_error() {
    as_each("what_is_closed_to_its_owner_is_committed_or_an_error", |caller| {
        let name = "what_is_closed_to_its_owner_is_committed_or_an_error";
        let Some(place) = Place::new(name) else { return };
        let image = import(&place, &[dir(""), file("shadow", "x").mode(0)]);
        let expected = listing(&image);
        let cell = beside(&image).cell().expect("it starts");
        run(&cell, "echo new >> shadow; mkdir closed; echo x > closed/x; chmod 0 closed/x closed");
        let inside = listing_in(&cell);
        let (tar, layers) = (place.path("out.tar"), place.names("layers"));
        if caller == Caller::User {
            for error in [
                image.export_tar(&tar).expect_err("it is closed"),
                cell.changes().expect_err("it is closed"),
                cell.commit(None).expect_err("it is closed"),
            ] {
                assert_eq!(error.kind(), ErrorKind::Io, "{error}");
                assert_eq!(error.raw_os_error(), Some(libc::EACCES), "{error}");
            }
            assert!(!tar.exists());
            assert_eq!((place.names("work").len(), place.names("layers")), (0, layers));
            return;
        }
        image.export_tar(&tar).expect("it is the caller's");
        let again = place.store().import(&ImageSource::tar(&tar), None).expect("it is whole");
        assert_same(&listing(&again), &expected, "an archive");
        assert_eq!(changes(&cell).len(), 3);
        let committed = cell.commit(None).expect("it is the caller's");
        assert_same(&listing(&committed), &inside, "committed");
    });
}

#[test]
fn a_sparse_file_fills_no_disk() {
    as_each("a_sparse_file_fills_no_disk", |_| {
        let Some(place) = Place::new("a_sparse_file_fills_no_disk") else { return };
        let image = import(&place, &base());
        let cell = beside(&image).cell().expect("it starts");
        run(&cell, "truncate -s 4E sparse");
        assert_eq!(changes(&cell).len(), 1);
        let error = cell.commit(None).expect_err("it is larger than any disk");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert_eq!(place.names("work").len(), 0);
    });
}

/// A program that goes on meanwhile can change what is read, but neither hold the caller, nor lead
/// it anywhere, nor make it fail.
#[test]
fn what_moves_meanwhile_is_read_all_the_same() {
    as_each("what_moves_meanwhile_is_read_all_the_same", |_| {
        let Some(place) = Place::new("what_moves_meanwhile_is_read_all_the_same") else { return };
        let image = import(&place, &base());
        let cell = beside(&image).cell().expect("it starts");
        let scripts = [
            "while :; do mkdir s; rmdir s; ln -s / s; rm s; mkfifo s; rm s; echo > s; rm s; done",
            "while :; do mkdir -p t/a/b; echo > t/a/b/c; ln t/a/b/c t/d; rm -r t; done",
            "while :; do echo growing >> g; done",
            "i=0; while :; do i=$((i+1)); echo > n.$i; mv n.$i m.$i; rm m.$i; done",
        ];
        let children: Vec<_> = scripts
            .iter()
            .map(|script| {
                let script = format!("cd /image; {script}");
                cell.command("/bin/sh").args(["-c", &script]).spawn().expect("it starts")
            })
            .collect();
        std::thread::sleep(Duration::from_millis(200));
        for round in 0..rounds(20) {
            let told = cell.changes().unwrap_or_else(|error| panic!("{round}: {error}"));
            assert!(told.iter().all(|change| change.path.starts_with("/image")));
            if round % 4 == 0 {
                let name = format!("round-{round}");
                let image =
                    cell.commit(Some(&name)).unwrap_or_else(|error| panic!("{round}: {error}"));
                assert!(timeless(&image).contains("\nd/one file=1"));
            }
        }
        drop(children);
        assert_eq!(place.names("work").len(), 0);
    });
}

#[test]
fn a_hundred_cells_of_one_image() {
    as_each("a_hundred_cells_of_one_image", |_| {
        let Some(place) = Place::new("a_hundred_cells_of_one_image") else { return };
        let image = import(&place, &base());
        let expected = timeless(&image);
        let cells: Vec<Cell> =
            (0..100).map(|_| beside(&image).cell().expect("it starts")).collect();
        for (number, cell) in cells.iter().enumerate() {
            run(cell, &format!("echo {number} > number; rm gone"));
        }
        for (number, cell) in cells.iter().enumerate() {
            run(cell, &format!("test $(cat number) = {number}"));
        }
        drop(cells);
        assert_same(&timeless(&image), &expected, "the image is what it was");
    });
}

#[test]
fn a_reset_forgets_everything_and_grows_nothing() {
    as_each("a_reset_forgets_everything_and_grows_nothing", |_| {
        let Some(place) = Place::new("a_reset_forgets_everything_and_grows_nothing") else {
            return;
        };
        let image = import(&place, &base());
        let cell = beside(&image).cell().expect("it starts");
        let expected = timeless_in(&cell);
        // Also the mounts of the template, and the memory of this process.
        let measure = |cell: &Cell| {
            let status = fs::read_to_string("/proc/self/status").expect("it is ours");
            let memory = status.lines().find(|line| line.starts_with("VmRSS")).expect("there");
            let memory: u64 = memory.split_whitespace().nth(1).expect("kB").parse().expect("kB");
            let mut count = cell.command("/bin/sh");
            count.args(["-c", "wc -l < /proc/self/mountinfo"]);
            let mounts = count.output().expect("it starts").stdout;
            (census::descriptors().len(), census::mounts().len(), mounts, memory)
        };
        let once = |number: u32| {
            run(&cell, &format!("test ! -e number; echo {number} > number; rm -r d gone"));
            cell.reset().expect("it can be reset");
        };
        (0..10).for_each(once);
        let before = measure(&cell);
        (10..10 + rounds(100)).for_each(once);
        let after = measure(&cell);
        if std::env::args().any(|argument| argument == "--exact") {
            assert_eq!((before.0, before.1, &before.2), (after.0, after.1, &after.2));
        }
        assert!(after.3 < before.3 + 4096, "{} kB, then {}", before.3, after.3);
        assert_same(&timeless_in(&cell), &expected, "nothing is left");
        assert_eq!(changes(&cell), BTreeMap::new());
    });
}

/// Another name for a file that the set-up has written is that file.
#[test]
fn a_name_of_what_the_set_up_wrote_is_committed() {
    let name = "a_name_of_what_the_set_up_wrote_is_committed";
    as_each(name, |_| {
        let Some(place) = Place::new(name) else { return };
        let Ok(busybox) = fs::read("/bin/busybox") else {
            return eprintln!("{name}: SKIPPED: busybox is not installed");
        };
        let own = [
            dir("bin"),
            file("bin/busybox", busybox).mode(0o755),
            link("bin/sh", "busybox"),
            dir("etc"),
            file("etc/hosts", "own\n"),
        ];
        let image = import(&place, &own);
        let cell = image.sandbox().expect("it has root").cell().expect("it starts");
        let script = "ln /etc/hosts /zzz || cp /etc/hosts /zzz; wc -c </zzz";
        let output = cell.command("/bin/sh").args(["-c", script]).output().expect("it starts");
        let length = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let committed = cell.commit(None).expect("it can be committed");
        let found = timeless(&committed);
        assert!(found.contains(&format!("\nzzz file={length},")), "{output:?} {found}");
    });
}

/// Layers of an archive may have a table of contents in a frame that is to be skipped, as those do
/// from which single files can be read.
#[test]
fn skippable_frames_are_skipped() {
    let Some(place) = Place::new("skippable_frames_are_skipped") else { return };
    let skipped = [&0x184D_2A50u32.to_le_bytes()[..], &5u32.to_le_bytes(), b"table"].concat();
    let tar = Archive::of(&base()).end();
    let frames = [&skipped[..], &Packing::Zstd.pack(&tar[..1024]), &skipped];
    let frames = [&frames.concat()[..], &Packing::Zstd.pack(&tar[1024..]), &skipped].concat();
    fs::write(place.path("it.tar.zst"), &frames).expect("there is room");
    let tar = ImageSource::tar(place.path("it.tar.zst"));
    let image = place.store().import(&tar, None).expect("it is whole");
    assert_same(&timeless(&image), &timeless(&import(&place, &base())), "skipped");
    // And one that is cut off is an error.
    fs::write(place.path("it.tar.zst"), &frames[..frames.len() - 2]).expect("there is room");
    assert!(place.store().import(&tar, None).is_err());
}
