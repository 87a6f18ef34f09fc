//! An installed warden file, for hosts that do not execute files in memory. The policy or the
//! environment names it. It protects like the built-in warden, and a name that leads nowhere is an
//! error.

use seclude::{ErrorKind, Namespace, Sandbox};
use seclude_tests::caller::{as_each, driver};
use seclude_tests::job::{Job, Told, read_told};
use seclude_tests::scratch;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const VARIABLE: &str = "SECLUDE_WARDEN";

/// Installs the library's warden in the directory `place`.
fn install(place: &Path) -> PathBuf {
    let path = place.join("warden");
    fs::write(&path, seclude::warden_program()).expect("a directory of our own");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a file of our own");
    path
}

/// The result of a driver that has `warden` in its environment, or no such variable.
fn told(place: &Path, warden: Option<&Path>) -> Told {
    let (job, result) = (place.join("job"), place.join("result"));
    let lines =
        Job { program: "echo".into(), arguments: vec!["hello".into()], ..Job::default() }.write();
    fs::write(&job, lines).expect("a directory of our own");
    let _ = fs::remove_file(&result);
    let mut command = Command::new(driver());
    command.args([&job, &result]).env_remove(VARIABLE);
    if let Some(path) = warden {
        command.env(VARIABLE, path);
    }
    assert!(command.status().expect("the driver is there").success());
    read_told(&fs::read_to_string(&result).expect("the driver wrote it")).expect("and right")
}

fn text(told: &Told, key: &str) -> String {
    told.get(key).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
}

#[test]
fn an_installed_warden_protects_as_the_one_in_memory() {
    as_each("an_installed_warden_protects_as_the_one_in_memory", |_| {
        let place = scratch::directory();
        let path = install(place.path());
        let policies = [
            Sandbox::new(),
            Sandbox::new().uid(0).gid(0),
            Sandbox::new().nested(),
            Sandbox::new().share(Namespace::Pid),
            Sandbox::new().share(Namespace::Net).share(Namespace::Ipc),
            Sandbox::new().unshare(Namespace::Time).classic_mounts(),
        ];
        for sandbox in policies {
            let run = |sandbox: &Sandbox| {
                sandbox.command("sh").args(["-c", "id -u; exit 3"]).output().expect("it starts")
            };
            let (memory, installed) = (run(&sandbox), run(&sandbox.clone().warden(&path)));
            assert_eq!(installed.outcome.enforced, memory.outcome.enforced, "{sandbox:?}");
            assert_eq!(installed.outcome.ended, memory.outcome.ended, "{sandbox:?}");
            assert_eq!(
                (installed.stdout, installed.stderr),
                (memory.stdout, memory.stderr),
                "{sandbox:?}"
            );
        }
        // That file was executed: without it there is no run.
        let sandbox = Sandbox::new().warden(&path);
        assert!(sandbox.command("true").status().expect("it starts").success());
        fs::remove_file(&path).expect("a file of our own");
        assert!(sandbox.command("true").status().is_err());
    });
}

#[test]
fn the_environment_names_one_too() {
    as_each("the_environment_names_one_too", |_| {
        let place = scratch::directory();
        let path = install(place.path());
        let (memory, installed) = (told(place.path(), None), told(place.path(), Some(&path)));
        assert_eq!(
            (text(&installed, "ended"), text(&installed, "stdout")),
            ("exited 0".into(), "hello\n".into())
        );
        assert_eq!(text(&installed, "enforced"), text(&memory, "enforced"));
        assert!(text(&memory, "enforced").contains("no-capabilities"));

        // An empty name counts as unset. A name that leads nowhere is an error, so the file above
        // was really used.
        assert_eq!(text(&told(place.path(), Some(Path::new(""))), "stdout"), "hello\n");
        let nowhere = place.path().join("nowhere");
        let missing = told(place.path(), Some(&nowhere));
        assert_eq!(text(&missing, "error"), "setup");
        assert_eq!(text(&missing, "path"), nowhere.display().to_string());
        assert!(
            text(&missing, "message").contains(&text(&missing, "path")),
            "{}",
            text(&missing, "message")
        );
    });
}

#[test]
fn a_path_without_a_warden_is_an_error_that_names_it() {
    as_each("a_path_without_a_warden_is_an_error_that_names_it", |_| {
        let place = scratch::directory();
        let path = install(place.path());
        let run = |path: &Path| Sandbox::new().warden(path).command("true").status();
        run(&path).expect("it is there");

        let nowhere = place.path().join("nowhere");
        let error = run(&nowhere).expect_err("there is none");
        assert_eq!(
            (error.kind(), error.raw_os_error(), error.path()),
            (ErrorKind::Setup, Some(2), Some(&*nowhere))
        );
        assert!(error.to_string().contains(&nowhere.display().to_string()), "{error}");
        assert!(error.remedy().is_some(), "{error}");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a file of our own");
        let error = run(&path).expect_err("it may not be executed");
        assert_eq!(
            (error.kind(), error.raw_os_error(), error.path()),
            (ErrorKind::Setup, Some(13), Some(&*path))
        );

        // A program that is no warden exits, or sends nothing that a warden sends.
        let error = run(Path::new("/bin/true")).expect_err("it is no warden");
        assert_eq!(error.kind(), ErrorKind::WardenLost, "{error}");
    });
}
