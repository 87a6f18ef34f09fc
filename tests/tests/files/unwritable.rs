//! A writable bind that the command cannot write to is refused before the start, with the user that
//! it needs and a remedy. Only certain cases are refused; every other case here starts. Only a
//! privileged caller's command is another user outside, so an unprivileged caller is never refused.

use nix::libc;
use nix::unistd::{Gid, Uid, chown};
use seclude::{Ended, Error, ErrorKind, Sandbox};
use seclude_tests::caller::{Caller, as_each};
use seclude_tests::scratch;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
}

fn bound(path: &Path) -> Sandbox {
    Sandbox::new().bind_rw(path, "/out")
}

/// Runs a script with this bind.
fn run(path: &Path, script: &str) -> Result<Ended, Error> {
    bound(path).command("sh").args(["-c", script]).output().map(|output| output.outcome.ended)
}

/// A new directory of mode 755 that belongs to the caller.
fn directory(place: &Path, name: &str) -> std::path::PathBuf {
    let path = place.join(name);
    fs::create_dir(&path).expect("there is room");
    mode(&path, 0o755);
    path
}

#[test]
fn a_bind_that_is_writable_to_nobody_inside_is_refused_with_the_user_it_needs() {
    as_each("a_bind_that_is_writable_to_nobody_inside_is_refused_with_the_user_it_needs", |who| {
        let place = scratch::directory();
        let (empty, full) = (directory(place.path(), "empty"), directory(place.path(), "full"));
        fs::write(full.join("file"), "x").expect("there is room");
        fs::write(directory(&full, "deep").join("file"), "x").expect("there is room");
        std::os::unix::fs::symlink("/tmp", full.join("link")).expect("there is room");
        let file = full.join("file");
        for (path, what, bits) in [
            (&empty, "nothing in it", "rwX"),
            (&full, "nothing in it", "rwX"),
            (&file, "nothing to it", "rw"),
        ] {
            let told = run(path, "true");
            if who == Caller::User {
                assert_eq!(told, Ok(Ended::Exited(0)), "its own user's files");
                continue;
            }
            let error = told.expect_err("root's files, and another user inside");
            assert_eq!(
                (error.kind(), error.raw_os_error()),
                (ErrorKind::SourceUnreadable, Some(libc::EACCES))
            );
            assert_eq!(
                (error.path(), error.step()),
                (Some(path.as_path()), &*format!("bind {} on /out", path.display()))
            );
            let (uid, text) = (who.uid_behind(), error.to_string());
            for part in [
                format!("uid {uid} outside and may write {what} (owner 0"),
                format!("chown {uid} {}", path.display()),
                format!("chmod o+{bits} {}", path.display()),
                "start as a user who may".to_owned(),
            ] {
                assert!(text.contains(&part), "{text:?} lacks {part:?}");
            }
        }
        if who == Caller::Root {
            let other = bound(&empty)
                .host_ids(300_000)
                .command("true")
                .output()
                .expect_err("as another user, too");
            assert!(other.to_string().contains("chown 301000 "), "{other}");
            assert_eq!(
                bound(&empty).prepare().expect_err("a template").kind(),
                ErrorKind::SourceUnreadable
            );
            assert_eq!(
                bound(&empty).cell().expect_err("a cell").kind(),
                ErrorKind::SourceUnreadable
            );
            let read_only = Sandbox::new().bind_ro(&empty, "/out").command("true").output();
            assert_eq!(
                read_only.map(|output| output.outcome.ended),
                Ok(Ended::Exited(0)),
                "nothing is to be written"
            );
        }
    });
}

#[test]
fn each_remedy_helps_the_same_sandbox() {
    as_each("each_remedy_helps_the_same_sandbox", |who| {
        let place = scratch::directory();
        let start = |sandbox: &Sandbox| {
            sandbox.command("touch").arg("/out/new").output().map(|output| output.outcome.ended)
        };
        for remedy in ["chown", "chmod"] {
            let path = directory(place.path(), remedy);
            let sandbox = bound(&path);
            assert_eq!(start(&sandbox).is_err(), who == Caller::Root, "the control");
            match remedy {
                "chown" => drop(
                    (who == Caller::Root)
                        .then(|| chown(&path, Some(Uid::from_raw(who.uid_behind())), None)),
                ),
                _ => mode(&path, 0o777),
            }
            assert_eq!(start(&sandbox), Ok(Ended::Exited(0)), "{remedy}");
        }
    });
}

#[test]
fn what_may_be_written_in_part_is_not_refused() {
    as_each("what_may_be_written_in_part_is_not_refused", |who| {
        let place = scratch::directory();
        let make = |name: &str| directory(place.path(), name);
        let ends = |path: &Path, script: &str| {
            assert_eq!(run(path, script), Ok(Ended::Exited(0)), "{}", path.display())
        };

        let file = make("a file of everybody's, deep inside");
        let deep = directory(&directory(&file, "a"), "b").join("file");
        fs::write(&deep, "").expect("there is room");
        mode(&deep, 0o666);
        ends(&file, "echo x > /out/a/b/file");

        let part = make("a directory of everybody's");
        mode(&directory(&part, "part"), 0o777);
        ends(&part, "touch /out/part/new");

        if who == Caller::Root {
            let behind = who.uid_behind();
            let group = make("its group's");
            mode(&group, 0o775);
            chown(&group, None, Some(Gid::from_raw(behind))).expect("root gives files away");
            ends(&group, "touch /out/new");

            // The owner can change the mode.
            let own = make("its own file, which is read-only");
            fs::write(own.join("file"), "").expect("there is room");
            mode(&own.join("file"), 0o444);
            chown(&own.join("file"), Some(Uid::from_raw(behind)), None)
                .expect("root gives files away");
            ends(&own, "chmod u+w /out/file && echo x > /out/file");

            let list = make("an access control list");
            grant(&list, behind);
            ends(&list, "touch /out/new");
        }

        // The check stops at a large tree, so that it stays fast.
        let large = make("a large tree");
        for number in 0..1001 {
            fs::write(large.join(number.to_string()), "").expect("there is room");
        }
        ends(&large, "true");
    });
}

/// Lets this user write to a directory with an access control list (acl(5)), in the kernel's
/// format: version 2, then tag, permissions and id of the owner, the user, the group, the mask and
/// the others.
fn grant(path: &Path, uid: u32) {
    const NOBODYS: u32 = u32::MAX;
    let entries: [(u16, u16, u32); 5] =
        [(1, 7, NOBODYS), (2, 7, uid), (4, 5, NOBODYS), (16, 7, NOBODYS), (32, 5, NOBODYS)];
    let mut list = 2u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        list.extend(tag.to_le_bytes());
        list.extend(permissions.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    let digits: String = list.iter().map(|byte| format!("{byte:02x}")).collect();
    let script = "import os, sys; os.setxattr(sys.argv[1], 'system.posix_acl_access', bytes.fromhex(sys.argv[2]))";
    let done =
        std::process::Command::new("python3").args(["-c", script]).arg(path).arg(digits).status();
    assert!(done.expect("there is a Python").success(), "a file system with access control lists");
    // With a list, the group bits of the mode show its mask. Without it the mode grants nothing
    // here.
    assert_eq!(
        fs::metadata(path).expect("it is ours").permissions().mode() & 0o002,
        0,
        "the control"
    );
}
