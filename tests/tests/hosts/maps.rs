//! Callers that are root in a user namespace with few ids, as in a container. The command is
//! another user if there is one, never the host's root, and the outcome says which. The host's root
//! makes such namespaces. For another user these tests are skipped with a message.

use nix::unistd::geteuid;
use seclude::{Ended, Error, ErrorKind, Join, Namespace, Output, Protection, Sandbox};
use seclude_tests::caller::{Holder, NOBODY, once_more, place};
use seclude_tests::scratch;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Runs `inside` as root of a user namespace with this map, then `outside` as the host's root. The
/// directory is writable for everybody and has a file `secret` that only the namespace's root can
/// read.
fn in_container(
    name: &str,
    map: (u32, u32, u32),
    inside: impl FnOnce(&Path),
    outside: impl FnOnce(&Path),
) {
    if let Some(place) = place() {
        return inside(&place);
    }
    if !geteuid().is_root() {
        eprintln!("{name}: SKIPPED: only root may map such ids");
        return;
    }
    let place = scratch::directory();
    fs::set_permissions(place.path(), Permissions::from_mode(0o777)).expect("it is ours");
    let secret = place.path().join("secret");
    fs::write(&secret, "secret").expect("it is ours");
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).expect("it is ours");
    nix::unistd::chown(&secret, Some(map.1.into()), Some(map.1.into()))
        .expect("root gives files away");
    let holder = Holder::start(0, &[map]);
    once_more(name, place.path(), |test| holder.as_root(test));
    outside(place.path());
}

/// Runs a command that tries to read the secret, creates the file `name`, and prints its id map.
fn attempt(sandbox: &Sandbox, place: &Path, name: &str) -> Result<Output, Error> {
    let sandbox = sandbox.clone().bind_rw(place, "/place");
    sandbox.check().and_then(|()| sandbox.command("sh").args(["-c", &script(name)]).output())
}

fn script(name: &str) -> String {
    format!("cat /place/secret 2>/dev/null; cat /proc/self/uid_map; touch /place/{name}")
}

/// The words of the output: the secret, if it could be read, and the map.
fn words(output: &Output) -> Vec<String> {
    assert_eq!(
        output.outcome.ended,
        Ended::Exited(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
}

/// Checks that the command is another user, has this map, and is `uid` in the caller's user
/// namespace.
fn is_other(output: Result<Output, Error>, map: [&str; 3], place: &Path, name: &str, uid: u32) {
    let output = output.expect("it starts");
    assert_eq!(words(&output), map, "{name}");
    assert!(
        output.outcome.enforced.contains(Protection::OtherUser),
        "{name}: {:?}",
        output.outcome.enforced
    );
    let status = fs::metadata(place.join(name)).expect("it was made");
    assert_eq!((status.uid(), status.gid()), (uid, uid), "{name}");
}

#[test]
fn the_root_of_a_container_gets_a_command_that_is_another_user() {
    const NAME: &str = "the_root_of_a_container_gets_a_command_that_is_another_user";
    let inside = |place: &Path| {
        let usual = Sandbox::new();
        is_other(attempt(&usual, place, "usual"), ["0", "64533", "1001"], place, "usual", 65533);
        is_other(
            attempt(&usual.clone().uid(0).gid(0), place, "root"),
            ["0", "65533", "1"],
            place,
            "root",
            65533,
        );
        // From a template, and in a cell.
        let prepared = usual.clone().bind_rw(place, "/place");
        prepared.prepare().expect("it can have a template");
        let copied = prepared.command("sh").args(["-c", &script("copied")]).output();
        is_other(copied, ["0", "0", "1001"], place, "copied", 65533);
        let cell = prepared.cell().expect("a cell starts");
        is_other(
            cell.command("sh").args(["-c", &script("cell")]).output(),
            ["0", "0", "1001"],
            place,
            "cell",
            65533,
        );
        // Joined to the cell's user namespace.
        let mut sleeper = cell.command("sleep").arg("1000").spawn().expect("it starts");
        let join = Join::new().process(sleeper.id()).only([Namespace::User, Namespace::Net]);
        let joined = usual.clone().bind_rw(place, "/place").join(&join).expect("they are found");
        is_other(
            joined.command("sh").args(["-c", &script("joined")]).output(),
            ["0", "0", "1001"],
            place,
            "joined",
            65533,
        );
        sleeper.kill().expect("it is killed");
        // In the caller's own user namespace.
        let shared = usual.clone().share(Namespace::User).nested();
        is_other(
            attempt(&shared, place, "shared"),
            ["0", "100000", "65536"],
            place,
            "shared",
            65533,
        );
        // With the ids that were requested, or not at all.
        is_other(
            attempt(&usual.clone().host_ids(1000), place, "asked"),
            ["0", "1000", "64536"],
            place,
            "asked",
            2000,
        );
        for (first, kind, step) in [
            (65000, ErrorKind::Invalid, "uid 1000"),
            (65536, ErrorKind::NamespacesDenied, "map the host ids from 65536"),
            (0x7000_0000, ErrorKind::NamespacesDenied, "map the host ids from 1879048192"),
        ] {
            for sandbox in [usual.clone(), usual.clone().share(Namespace::User).nested()] {
                let error = attempt(&sandbox.host_ids(first), place, "never")
                    .expect_err("there are no such ids");
                assert_eq!((error.kind(), error.step()), (kind, step), "{error}");
                assert!(error.remedy().is_some(), "{error}");
            }
        }
        let error =
            attempt(&usual.uid(65535), place, "never").expect_err("there are not so many ids");
        assert_eq!((error.kind(), error.step()), (ErrorKind::Invalid, "uid 65535"), "{error}");
        assert!(!place.join("never").exists());
    };
    in_container(NAME, (0, 100_000, 65536), inside, |place| {
        for (name, uid) in [
            ("usual", 65533),
            ("root", 65533),
            ("copied", 65533),
            ("cell", 65533),
            ("joined", 65533),
            ("shared", 65533),
            ("asked", 2000),
        ] {
            assert_eq!(
                fs::metadata(place.join(name)).expect("it was made").uid(),
                100_000 + uid,
                "{name}"
            );
        }
    });
}

#[test]
fn a_small_range_is_used_as_far_as_it_goes() {
    const NAME: &str = "a_small_range_is_used_as_far_as_it_goes";
    let inside = |place: &Path| {
        is_other(
            attempt(&Sandbox::new(), place, "usual"),
            ["0", "999", "1001"],
            place,
            "usual",
            1999,
        );
        let error = attempt(&Sandbox::new().gid(1999), place, "never")
            .expect_err("one of the ids is the caller's");
        assert_eq!((error.kind(), error.step()), (ErrorKind::Invalid, "gid 1999"), "{error}");
        is_other(
            attempt(&Sandbox::new().uid(1998).gid(1998), place, "all"),
            ["0", "1", "1999"],
            place,
            "all",
            1999,
        );
    };
    in_container(NAME, (0, 100_000, 2000), inside, |place| {
        assert_eq!(fs::metadata(place.join("usual")).expect("it was made").uid(), 101_999);
    });
}

#[test]
fn a_caller_with_one_id_gets_a_command_that_is_itself_and_is_told() {
    const NAME: &str = "a_caller_with_one_id_gets_a_command_that_is_itself_and_is_told";
    let inside = |place: &Path| {
        let output = attempt(&Sandbox::new(), place, "own").expect("it starts");
        assert_eq!(words(&output), ["secret", "1000", "0", "1"]);
        assert!(
            !output.outcome.enforced.contains(Protection::OtherUser),
            "{:?}",
            output.outcome.enforced
        );
        let asked = attempt(&Sandbox::new().host_ids(1000), place, "never")
            .expect_err("there are no other ids");
        assert_eq!(asked.kind(), ErrorKind::NamespacesDenied, "{asked}");
        let shared = attempt(&Sandbox::new().share(Namespace::User).nested(), place, "never")
            .expect_err("it would be the caller");
        assert_eq!(
            (shared.kind(), shared.step()),
            (ErrorKind::NamespacesDenied, "share the user namespace"),
            "{shared}"
        );
    };
    in_container(NAME, (0, 1000, 1), inside, |place| {
        assert_eq!(fs::metadata(place.join("own")).expect("it was made").uid(), 1000);
    });
}

#[test]
fn a_caller_whose_only_id_is_the_hosts_root_gets_no_command() {
    const NAME: &str = "a_caller_whose_only_id_is_the_hosts_root_gets_no_command";
    let inside = |place: &Path| {
        let error = attempt(&Sandbox::new(), place, "never").expect_err("it would be root");
        assert_eq!(
            (error.kind(), error.step()),
            (ErrorKind::NamespacesDenied, "map the caller's own id"),
            "{error}"
        );
    };
    in_container(NAME, (0, 0, 1), inside, |place| assert!(!place.join("never").exists()));
}

#[test]
fn what_a_joined_user_namespace_makes_of_an_ordinary_user_is_told() {
    const NAME: &str = "what_a_joined_user_namespace_makes_of_an_ordinary_user_is_told";
    const VARIABLE: &str = "SECLUDE_TEST_HOLDER";
    if let Some(place) = place() {
        let holder = std::env::var(VARIABLE).expect("it was said").parse().expect("a number");
        let join = Join::new().process(holder).only([Namespace::User]);
        let show = |sandbox: Sandbox, name| {
            sandbox
                .bind_ro(place.join(name), "/shown")
                .join(&join)?
                .command("cat")
                .arg("/shown")
                .output()
        };
        let run = |sandbox| show(sandbox, "private");
        // Id 0 there is the caller itself.
        let own = run(Sandbox::new().uid(0).gid(0)).expect("the caller may read it");
        assert_eq!(own.stdout, b"private", "{}", String::from_utf8_lossy(&own.stderr));
        assert!(
            !own.outcome.enforced.contains(Protection::OtherUser),
            "{:?}",
            own.outcome.enforced
        );
        // Another id is another user, although the caller has no privileges.
        let other = run(Sandbox::new().uid(5).gid(5)).expect("it starts");
        assert!(
            other.outcome.enforced.contains(Protection::OtherUser) && !other.outcome.success(),
            "{other:?}"
        );
        let error =
            show(Sandbox::new().uid(5).gid(5), "closed").expect_err("only root may read it");
        assert_eq!(error.kind(), ErrorKind::SourceUnreadable, "{error}");
        let remedy = error.remedy().expect("there is one");
        assert!(
            remedy.contains("the joined user namespace") && !remedy.contains("privileged"),
            "{error}"
        );
        // The message is the same whether the warden or the caller first notices that the id does
        // not exist.
        for _ in 0..50 {
            let error = run(Sandbox::new()).expect_err("there is no such id");
            assert_eq!(error.kind(), ErrorKind::Setup, "{error}");
            assert!(
                error.remedy().is_some_and(|remedy| remedy.contains("Sandbox::uid")),
                "{error}"
            );
        }
        // A user namespace that another process made.
        let join = Join::new().path(place.join("roots"));
        let error = Sandbox::new()
            .join(&join)
            .expect("it is found")
            .command("true")
            .output()
            .expect_err("it is root's");
        assert_eq!(
            (error.kind(), error.step()),
            (ErrorKind::NamespacesDenied, "enter the user namespace"),
            "{error}"
        );
        assert!(error.remedy().is_some_and(|remedy| remedy.contains("setns(2)")), "{error}");
        return;
    }
    if !geteuid().is_root() {
        eprintln!("{NAME}: SKIPPED: only root may map such ids");
        return;
    }
    seclude_tests::caller::in_own_mounts(NAME, || {
        let place = scratch::directory();
        let private = place.path().join("private");
        fs::write(&private, "private").expect("it is ours");
        fs::set_permissions(&private, Permissions::from_mode(0o600)).expect("it is ours");
        nix::unistd::chown(&private, Some(NOBODY.into()), Some(NOBODY.into()))
            .expect("root gives files away");
        fs::write(place.path().join("closed"), "closed").expect("it is ours");
        fs::set_permissions(place.path().join("closed"), Permissions::from_mode(0o600))
            .expect("it is ours");
        let (holder, roots) = (
            Holder::start(NOBODY, &[(0, NOBODY, 1), (1, 100_000, 100)]),
            Holder::start(0, &[(0, 100_000, 100)]),
        );
        let kept = place.path().join("roots");
        Join::new().process(roots.id()).persist(Namespace::User, &kept).expect("root may keep it");
        once_more(NAME, place.path(), |test| {
            let mut command = seclude_tests::caller::Caller::User.command(test);
            command.env(VARIABLE, holder.id().to_string());
            command
        });
        seclude::release(&kept).expect("it is kept there");
    });
}
