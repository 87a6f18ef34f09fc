//! Copies out of and into directories that an attacker has filled. No link is followed, no FIFO
//! blocks the copy, and no bound is exceeded.

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use seclude::{ErrorKind, Transfer};
use seclude_tests::caller::as_each;
use seclude_tests::scratch;
use std::fs::{self, File, Permissions};
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
