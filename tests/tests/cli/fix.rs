//! `doctor --fix`, in a directory that stands for a system. The host's own files are never touched.

use crate::ground::{Person, code, each, ended, run, seclude};
use seclude_tests::scratch;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

const WARDEN: &str = "usr/local/libexec/seclude/warden";
const PROFILE: &str = "etc/apparmor.d/seclude-warden";

fn root_of(system: &Path) -> &str {
    system.to_str().expect("it is text")
}

/// Everything below a directory.
fn found(system: &Path) -> Vec<String> {
    let mut paths = vec![system.to_owned()];
    let mut found = Vec::new();
    while let Some(path) = paths.pop() {
        for entry in fs::read_dir(path).expect("it is ours").flatten() {
            found.push(entry.path().strip_prefix(system).expect("below").display().to_string());
            if entry.file_type().expect("it is listed").is_dir() {
                paths.push(entry.path());
            }
        }
    }
    found
}

#[test]
fn without_a_terminal_it_only_shows_what_it_would_do() {
    each("without_a_terminal_it_only_shows_what_it_would_do", |_| {
        let system = scratch::directory();
        let ran = run(["doctor", "--fix", "--root", root_of(system.path())]);
        assert_eq!(ran.code, 1, "{} {}", ran.out, ran.err);
        for part in [
            &format!("write the warden to {}/{WARDEN}, mode 755", root_of(system.path())),
            &format!("{}/{PROFILE}, mode 644", root_of(system.path())),
            "Nothing was changed",
        ] {
            assert!(ran.out.contains(part), "{part}: {}", ran.out);
        }
        assert_eq!(found(system.path()), [] as [String; 0]);
    });
}

#[test]
fn at_a_terminal_it_asks_and_does_what_it_said() {
    each("at_a_terminal_it_asks_and_does_what_it_said", |_| {
        let system = scratch::directory();
        let fix = seclude(["doctor", "--fix", "--root", root_of(system.path())]);
        for no in ["n\r", "\r", "perhaps\r"] {
            let (mut person, mut child) = Person::at(&fix, 24, 200);
            person.sees("Do this now? [y/N] ");
            person.types(no);
            person.sees("Nothing was changed.");
            assert_eq!(code(ended(&mut child)), 1);
            assert_eq!(found(system.path()), [] as [String; 0]);
        }
        let (mut person, mut child) = Person::at(&fix, 24, 200);
        person.sees("Do this now? [y/N] ");
        person.types("y\r");
        person.sees("SECLUDE_WARDEN=/usr/local/libexec/seclude/warden");
        assert_eq!(code(ended(&mut child)), 0);
        let (warden, profile) = (system.path().join(WARDEN), system.path().join(PROFILE));
        assert_eq!(fs::read(&warden).expect("it is there"), seclude::warden_program());
        assert_eq!(
            fs::metadata(&warden).expect("it is there").permissions().mode() & 0o7777,
            0o755
        );
        assert_eq!(fs::metadata(&profile).expect("it is there").mode() & 0o7777, 0o644);
        let text = fs::read_to_string(&profile).expect("it is there");
        assert!(
            text.contains(&format!("profile seclude-warden /{WARDEN} flags=(unconfined)")),
            "{text}"
        );
        let files = found(system.path());
        assert!(files.iter().all(|file| !file.ends_with(".new")), "{files:?}");
        // The next time there is nothing to do, and nothing to ask.
        let again = run(["doctor", "--fix", "--root", root_of(system.path())]);
        assert_eq!(again.code, 0, "{}", again.out);
        assert!(again.out.contains("are installed"), "{}", again.out);
        // What differs is written anew.
        fs::write(&profile, "old").expect("it is ours");
        let again = run(["doctor", "--fix", "--root", root_of(system.path())]);
        assert!(again.out.contains(PROFILE) && !again.out.contains(WARDEN), "{}", again.out);
    });
}

#[test]
fn no_link_leads_out_of_the_system() {
    each("no_link_leads_out_of_the_system", |_| {
        let (system, elsewhere) = (scratch::directory(), scratch::directory());
        symlink(elsewhere.path(), system.path().join("etc")).expect("it is ours");
        let ran = run(["doctor", "--fix", "--root", root_of(system.path())]);
        assert_eq!(ran.code, 125, "{} {}", ran.out, ran.err);
        assert!(ran.err.contains("open /etc: it is a symbolic link"), "{}", ran.err);
        assert_eq!(found(elsewhere.path()), [] as [String; 0]);
    });
}

/// On a host whose AppArmor restricts nothing, there is nothing to fix. On one that does, nothing
/// is done without a terminal.
#[test]
fn the_host_itself_is_left_alone_without_a_terminal() {
    each("the_host_itself_is_left_alone_without_a_terminal", |_| {
        let setting = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
        let restricted = fs::read_to_string(setting).is_ok_and(|value| value.trim() == "1");
        let there = Path::new("/").join(PROFILE).exists();
        let ran = run(["doctor", "--fix"]);
        if restricted && !there {
            assert_eq!(ran.code, 1, "{}", ran.out);
            assert!(ran.out.contains("run apparmor_parser -r /etc/apparmor.d/"), "{}", ran.out);
        } else {
            assert_eq!(ran.code, 0, "{}", ran.out);
        }
        assert_eq!(Path::new("/").join(PROFILE).exists(), there);
    });
}

#[test]
fn the_profile_for_containers_is_the_one_that_is_installed() {
    each("the_profile_for_containers_is_the_one_that_is_installed", |_| {
        let ran = run(["doctor", "--seccomp-profile"]);
        assert_eq!((ran.code, &*ran.err), (0, ""));
        assert_eq!(ran.out, include_str!("../../../capi/seccomp/seclude.json"));
    });
}
