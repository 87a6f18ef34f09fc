//! Disk images, which the caller mounts. The images here hold a file `f` for everybody and a file
//! `own` of root's alone, as mksquashfs and mkfs.erofs write them.

use nix::libc;
use seclude::{Ended, Error, ErrorKind, Sandbox};
use seclude_tests::caller::{Caller, as_each};
use seclude_tests::scratch;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The parts of an image that are not zero: offset and bytes.
type Image = &'static [(u64, &'static str)];

/// It also has what a root needs: directories `usr` and `proc`, and links to what is in `/usr`.
const SQUASHFS: Image = &[(
    0,
    "687371730800000000000000000002000100000001001100c002010004000000df000000000000005b010000 \
         000000005301000000000000ffffffffffffffff6700000000000000c1000000000000001d01000000000000 \
         450100000000000068656c6c6f0a78580078da6366f8cfc800058c50cc0ec4a5c545fa4999794c0c4be0d24c \
         0ca8800d889991b433a369cfc94c429666814a7322a4cd4c98181ae00a58d1cc8638e72d23b218cc1d20bb38 \
         d0e4d909c87320392416ea1000f2e6107c480078da636380004628cdccc0c4909499270f14600272d3ec8114 \
         482c2733290ec86066600131cd4cea810c2620cc2fcf9bcfc00a54cdcc5050949fbc9f810dacb3b4b8080078 \
         600bad1080600000000000000007000001000000000b010000000000001e0078da6360800079286d0fa5e3a0 \
         743d949e0fa5f743e9fb501a005338037925010000000000000480000000004d01000000000000",
)];

const EROFS: Image = &[
    (1024, "e2e1f5e0a7168803030000000c00240003"),
    (1060, "01"),
    (1087, "01"),
    (
        1152,
        "04000000ed4102003700000000000000ffffffff000000000000000000000000240000000000000030000200 \
         2400000000000000310002002700000000000000330001002900000000000000340001002e2e2e666f776e00 \
         000000000000000004000000a48101000600000000000000ffffffff01000000000000000000000068656c6c \
         6f0a",
    ),
    (1312, "04000000808101000100000000000000ffffffff02000000000000000000000078"),
];

/// The size of both images, a whole number of pages.
const SIZE: u64 = 4096;

fn write(place: &Path, name: &str, image: Image) -> PathBuf {
    let path = place.join(name);
    let file = fs::File::create(&path).expect("there is room");
    file.set_len(SIZE).expect("there is room");
    for (offset, hex) in image {
        let hex: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let byte = |pair: &[u8]| {
            u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("digits")
        };
        let bytes: Vec<u8> = hex.chunks(2).map(byte).collect();
        file.write_all_at(&bytes, *offset).expect("there is room");
    }
    path
}

/// Why this host cannot mount an image of this kind, if it cannot.
pub fn lack(kind: &str) -> Option<String> {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !known.lines().any(|line| line.trim_start_matches("nodev").trim() == kind) {
        return Some(format!("this kernel has no {kind}"));
    }
    let missing = !Path::new("/dev/loop-control").exists();
    missing.then(|| "there are no loop devices".into())
}

/// The loop devices of this file.
pub fn loops_of(image: &Path) -> usize {
    let devices = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let files = devices
        .filter_map(|device| fs::read_to_string(device.path().join("loop/backing_file")).ok());
    files.filter(|file| Path::new(file.trim()) == image).count()
}

const SCRIPT: &str = "cat /image/f; cat /image/own 2>/dev/null || echo closed; \
                      touch /image/x 2>/dev/null || echo read-only; ls -d /image/f /image/own";
const SAID: &str = "hello\nclosed\nread-only\n/image/f\n/image/own\n";

fn run(sandbox: &Sandbox) -> Result<String, Error> {
    let output = sandbox.command("sh").args(["-c", SCRIPT]).output()?;
    assert_eq!(output.outcome.ended, Ended::Exited(0));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn an_image_is_shown_read_only_and_leaves_no_loop_device() {
    const TEST: &str = "an_image_is_shown_read_only_and_leaves_no_loop_device";
    as_each(TEST, |who| {
        let place = scratch::directory();
        for (kind, image) in [("squashfs", SQUASHFS), ("erofs", EROFS)] {
            if let Some(why) = lack(kind) {
                eprintln!("SKIPPED: {why}");
                continue;
            }
            let path = write(place.path(), kind, image);
            let sandbox = Sandbox::new().disk_image(&path, "/image");
            if who == Caller::User {
                let error = run(&sandbox).expect_err("the kernel mounts it for root alone");
                let kind = (error.kind(), error.raw_os_error(), error.path());
                assert_eq!(
                    kind,
                    (ErrorKind::Unsupported, Some(libc::EPERM), Some(path.as_path())),
                    "{error}"
                );
                assert!(error.to_string().contains("unpack it (unsquashfs"), "{error}");
                continue;
            }
            assert_eq!(run(&sandbox).as_deref(), Ok(SAID), "{kind}");
            // Its own root's files, where the command is root outside too.
            let own = sandbox.clone().as_caller();
            assert!(run(&own).expect("it starts").starts_with("hello\nxread-only\n"), "{kind}");
            let among =
                Sandbox::new().tmpfs("/below", 1u64 << 20).disk_image(&path, "/below/image");
            let output = among.command("cat").arg("/below/image/f").output().expect("it starts");
            assert_eq!(output.stdout, b"hello\n", "{kind}");
            drop((own, among, sandbox));
            assert_eq!(loops_of(&path), 0, "{kind}");
        }
    });
}

#[test]
fn an_image_can_be_the_root() {
    as_each("an_image_can_be_the_root", |who| {
        if who != Caller::Root {
            return;
        }
        if let Some(why) = lack("squashfs") {
            return eprintln!("SKIPPED: {why}");
        }
        let place = scratch::directory();
        let image = write(place.path(), "squashfs", SQUASHFS);
        let sandbox = Sandbox::new().exact_files().disk_image(&image, "/");
        let sandbox = sandbox.bind_ro("/usr", "/usr").proc("/proc");
        let script = "ls / | tr '\\n' ' '; cat /f; touch /x 2>/dev/null || echo read-only";
        let output = sandbox.command("sh").args(["-c", script]).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said, "bin f lib lib64 own proc usr hello\nread-only\n");
        drop(sandbox);
        assert_eq!(loops_of(&image), 0);
    });
}

#[test]
fn commands_of_a_cell_and_of_a_pool_see_the_same_image() {
    const TEST: &str = "commands_of_a_cell_and_of_a_pool_see_the_same_image";
    as_each(TEST, |who| {
        if who != Caller::Root {
            return;
        }
        if let Some(why) = lack("squashfs") {
            return eprintln!("SKIPPED: {why}");
        }
        let place = scratch::directory();
        let path = write(place.path(), "squashfs", SQUASHFS);
        let sandbox = Sandbox::new().disk_image(&path, "/image");
        let said = |command: &mut seclude::Command| {
            let output = command.args(["-c", SCRIPT]).output().expect("it starts");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let cell = sandbox.cell().expect("it starts");
        for _ in 0..3 {
            assert_eq!(said(&mut cell.command("sh")), SAID);
        }
        let pool = sandbox.pool(2).expect("it starts");
        for _ in 0..3 {
            assert_eq!(said(&mut pool.command("sh")), SAID);
        }
        drop((pool, cell, sandbox));
        assert_eq!(loops_of(&path), 0);
    });
}

#[test]
fn what_is_no_image_is_an_error_and_leaves_nothing() {
    as_each("what_is_no_image_is_an_error_and_leaves_nothing", |who| {
        let place = scratch::directory();
        let other = place.path().join("other");
        fs::write(&other, "no image").expect("there is room");
        let error = |path: &Path| {
            run(&Sandbox::new().disk_image(path, "/image")).expect_err("it is no image")
        };
        let told = error(&other);
        assert_eq!((told.kind(), told.path()), (ErrorKind::Invalid, Some(other.as_path())));
        assert_eq!(error(Path::new("/dev/zero")).kind(), ErrorKind::Invalid);
        assert_eq!(error(&place.path().join("absent")).kind(), ErrorKind::SourceMissing);
        if who != Caller::Root || lack("squashfs").is_some() {
            return;
        }
        // The superblock says that more follows than there is.
        let damaged = write(place.path(), "damaged", SQUASHFS);
        let file = fs::File::options().write(true).open(&damaged).expect("it is ours");
        file.write_all_at(&u64::MAX.to_le_bytes(), 40).expect("there is room");
        let told = error(&damaged);
        assert_eq!(told.kind(), ErrorKind::Setup, "{told}");
        assert!(told.to_string().contains("the image is damaged"), "{told}");
        assert_eq!(loops_of(&damaged), 0);
    });
}
