//! The callers of the library: root and an unprivileged user. A test that root runs is executed a
//! second time as `nobody`. A test that a user runs is executed once.

use crate::scratch;
use nix::unistd::{Uid, geteuid};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::{env, fs, thread};

/// The user id of `nobody`, as which root runs tests a second time. Every Linux has it.
pub const NOBODY: u32 = 65534;

const AGAIN: &str = "SECLUDE_TEST_AS_USER";
const PROGRAMS: &str = "SECLUDE_TEST_PROGRAMS";
const PRIVATE: &str = "SECLUDE_TEST_OWN_MOUNTS";
const OWN_CELLS: &str = "SECLUDE_TEST_OWN_CELLS";
const PLACE: &str = "SECLUDE_TEST_PLACE";

/// A kind of caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    /// Root of the host.
    Root,
    /// An unprivileged user.
    User,
}

impl Caller {
    /// The caller that this process is.
    pub fn present() -> Caller {
        if geteuid().is_root() { Caller::Root } else { Caller::User }
    }

    /// The callers that this process is or can start.
    pub fn reachable() -> &'static [Caller] {
        match Caller::present() {
            Caller::Root => &[Caller::Root, Caller::User],
            Caller::User => &[Caller::User],
        }
    }

    /// Its name in the behaviour table.
    pub fn name(self) -> &'static str {
        match self {
            Caller::Root => "root",
            Caller::User => "user",
        }
    }

    /// Its user id on the host.
    pub fn uid(self) -> u32 {
        match (self, Caller::present()) {
            (Caller::User, Caller::Root) => NOBODY,
            _ => geteuid().as_raw(),
        }
    }

    /// The host's user id that user 1000 of the default sandbox is mapped to.
    pub fn uid_behind(self) -> u32 {
        match self {
            Caller::Root => 0x7000_0000 + 1000,
            Caller::User => self.uid(),
        }
    }

    /// A command that runs `program` as this caller.
    pub fn command(self, program: impl AsRef<Path>) -> Command {
        if self == Caller::present() {
            return Command::new(program.as_ref());
        }
        let mut command = Command::new("setpriv");
        let id = NOBODY.to_string();
        command
            .args(["--reuid", &id, "--regid", &id, "--clear-groups", "--inh-caps=-all", "--"])
            .arg(program.as_ref());
        command
    }

    /// Makes this caller the owner of a file.
    pub fn own(self, path: &Path) {
        if self != Caller::present() {
            nix::unistd::chown(
                path,
                Some(Uid::from_raw(NOBODY)),
                Some(nix::unistd::Gid::from_raw(NOBODY)),
            )
            .expect("root gives files away");
        }
    }
}

/// The programs of this crate that tests start.
const OF_THIS_CRATE: [&str; 11] = [
    "adversary",
    "container",
    "driver",
    "keeper",
    "lister",
    "named",
    "payload",
    "networker",
    "pooler",
    "starter",
    "worker",
];

/// Runs the body of the test `name` as the present caller. If that is root, then runs it again as
/// an unprivileged user, in a new process that runs this test alone.
pub fn as_each(name: &str, body: impl FnOnce(Caller)) {
    as_each_with(name, &OF_THIS_CRATE, body);
}

/// Like [`as_each`], for a test of the command `seclude`, which [`seclude`] finds.
pub fn as_each_at_the_command_line(name: &str, body: impl FnOnce(Caller)) {
    seclude();
    as_each_with(name, &["seclude"], body);
}

fn as_each_with(name: &str, programs: &[&str], body: impl FnOnce(Caller)) {
    if env::var_os(AGAIN).is_some() {
        assert_eq!(Caller::present(), Caller::User);
        return body(Caller::User);
    }
    body(Caller::present());
    if Caller::present() == Caller::User {
        eprintln!("{name}: SKIPPED as root: the caller is not root");
        return;
    }
    // The user may not be able to read the directory that cargo builds in.
    let place = scratch::directory();
    let test = copy(&env::current_exe().expect("/proc/self/exe can be read"), place.path(), "test");
    for name in programs {
        copy(&program(name), place.path(), name);
    }
    let status = Caller::User
        .command(test)
        .args(only(name))
        .env(AGAIN, "1")
        .env(PROGRAMS, place.path())
        .current_dir("/")
        .status();
    assert!(
        status.expect("setpriv (util-linux) is there").success(),
        "{name}, as an unprivileged user, failed"
    );
}

/// The arguments with which this test program runs the test `name` alone.
///
/// `name` is the name of the test function. `--exact` takes its whole path, with the modules of the
/// binary before it, and with a wrong path the harness runs no test and succeeds.
pub fn only(name: &str) -> [String; 4] {
    let [exact, nocapture, threads] =
        ["--exact", "--nocapture", "--test-threads=1"].map(str::to_owned);
    [exact, path_of(name), nocapture, threads]
}

/// The path of the test function `name` in this test program, as `cargo test` prints it.
///
/// The harness names the thread of a test after its path. With one test thread it runs the tests in
/// the main thread, so there the path is looked up in the arguments or in the list of all tests.
///
/// # Panics
///
/// If this program has no such test, or several and no way to tell which of them is running.
fn path_of(name: &str) -> String {
    let is_it = |path: &str| {
        path.strip_suffix(name).is_some_and(|module| module.is_empty() || module.ends_with("::"))
    };
    if let Some(path) = thread::current().name().filter(|path| is_it(path)) {
        return path.to_owned();
    }
    let mut arguments = env::args().skip_while(|argument| argument != "--exact").skip(1);
    if let Some(path) = arguments.next().filter(|path| is_it(path)) {
        return path;
    }
    let list = Command::new(env::current_exe().expect("/proc/self/exe can be read"))
        .args(["--list", "--format=terse"])
        .output()
        .expect("this program starts");
    let list = String::from_utf8(list.stdout).expect("names of functions are text");
    let mut paths =
        list.lines().filter_map(|line| line.strip_suffix(": test")).filter(|path| is_it(path));
    match (paths.next(), paths.next()) {
        (Some(path), None) => path.to_owned(),
        (first, second) => panic!("one test named {name} expected, found {first:?}, {second:?}"),
    }
}

/// Like [`as_each`], but each caller runs the body in a process that has its own directory for
/// published cells (SECLUDE_CELLS).
pub fn as_each_with_cells(name: &str, body: impl FnOnce(Caller)) {
    const CELLS: &str = "SECLUDE_CELLS";
    if env::var_os(OWN_CELLS).is_some() {
        return body(Caller::present());
    }
    as_each(name, |_| {
        let place = scratch::directory();
        let status = Command::new(env::current_exe().expect("/proc/self/exe can be read"))
            .args(only(name))
            .env(OWN_CELLS, "1")
            .env(CELLS, place.path().join("cells"))
            .status();
        assert!(
            status.expect("it is there").success(),
            "{name}, as {}, failed",
            Caller::present().name()
        );
    });
}

/// Runs the body of the test `name` as root in a new mount namespace, in a new process that runs
/// this test alone. There the body may mount and unmount anything. For any other user the test is
/// skipped with a message.
pub fn in_own_mounts(name: &str, body: impl FnOnce()) {
    if env::var_os(PRIVATE).is_some() {
        return body();
    }
    if Caller::present() == Caller::User {
        eprintln!("{name}: SKIPPED: only root may change its mounts");
        return;
    }
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "--"])
        .arg(env::current_exe().expect("/proc/self/exe can be read"))
        .args(only(name))
        .env(PRIVATE, "1")
        .status();
    assert!(
        status.expect("unshare (util-linux) is there").success(),
        "{name}, in a mount namespace of its own, failed"
    );
}

/// A process in a new user namespace with the given id maps. Each entry of a map is (inside,
/// outside, count) and applies to user and group ids alike. Only root can write such maps.
#[derive(Debug)]
pub struct Holder(Child);

impl Holder {
    /// Starts one as the host's user `user`, in a user namespace that maps only these ids.
    pub fn start(user: u32, map: &[(u32, u32, u32)]) -> Holder {
        let id = user.to_string();
        let holder = Command::new("setpriv")
            .args([
                "--reuid",
                &id,
                "--regid",
                &id,
                "--clear-groups",
                "--",
                "unshare",
                "--user",
                "--",
                "sleep",
                "1000",
            ])
            .current_dir("/")
            .spawn();
        let holder = Holder(holder.expect("setpriv and unshare (util-linux) are there"));
        let link =
            |process: &str| fs::read_link(format!("/proc/{process}/ns/user")).expect("it is ours");
        while link(&holder.id().to_string()) == link("self") {
            std::thread::yield_now();
        }
        let lines: String = map
            .iter()
            .map(|(inside, outside, count)| format!("{inside} {outside} {count}\n"))
            .collect();
        for kind in ["gid", "uid"] {
            fs::write(format!("/proc/{}/{kind}_map", holder.id()), &lines)
                .expect("root may map all");
        }
        holder
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// A command that runs `program` as root of this user namespace, with all capabilities in it.
    pub fn as_root(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command.args([
            "--user",
            "--setuid",
            "0",
            "--setgid",
            "0",
            "--target",
            &self.id().to_string(),
            "--",
        ]);
        command.arg(program.as_ref()).current_dir("/");
        command
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the test `name` again, alone, with a command that `start` makes from a copy of this
/// program. In that process [`place`] returns `at`.
pub fn once_more(name: &str, at: &Path, start: impl FnOnce(&Path) -> Command) {
    let programs = scratch::directory();
    let test =
        copy(&env::current_exe().expect("/proc/self/exe can be read"), programs.path(), "test");
    let status =
        start(&test).args(only(name)).env(PLACE, at).env("HOME", "/tmp").current_dir("/").status();
    assert!(status.expect("it is there").success(), "{name}, in a process of its own, failed");
}

/// The directory that [`once_more`] was given, or `None` in the process that called it.
pub fn place() -> Option<PathBuf> {
    env::var_os(PLACE).map(PathBuf::from)
}

/// The Rust driver. Cargo builds it beside the tests, which also use it as an example of a program
/// that uses the library.
pub fn driver() -> PathBuf {
    program("driver")
}

/// The command `seclude`. It belongs to another crate, so cargo does not build it with the tests.
/// The first call builds it beside them. On a machine without cargo it must be there.
pub fn seclude() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    if env::var_os(PROGRAMS).is_none() {
        BUILT.get_or_init(build_seclude);
    }
    program("seclude")
}

fn build_seclude() {
    let driver = driver();
    let mut places = driver.ancestors().skip(1);
    let (Some(profile), Some(target)) = (places.next(), places.next()) else {
        panic!("{} is not in a target directory", driver.display())
    };
    // Cargo calls the directory of the profile `dev` `debug`.
    let name = profile.file_name().unwrap_or_default();
    let name = if name == "debug" { OsStr::new("dev") } else { name };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--package", "seclude-cli", "--profile"])
        .arg(name)
        .arg("--target-dir")
        .arg(target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status();
    match status {
        Ok(status) => assert!(status.success(), "build seclude-cli"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "start cargo: {error}"),
    }
}

/// The path of a program that tests start. Cargo builds it in the profile's directory and the tests
/// in a directory below that. How far below depends on the version of cargo.
pub fn program(name: &str) -> PathBuf {
    let found = match env::var_os(PROGRAMS) {
        Some(directory) => Some(Path::new(&directory).join(name)).filter(|place| place.is_file()),
        None => {
            let test = env::current_exe().expect("/proc/self/exe can be read");
            let mut places = test.ancestors().skip(1).map(|directory| directory.join(name));
            places.find(|place| place.is_file())
        }
    };
    found.unwrap_or_else(|| panic!("no {name} beside or above this test"))
}

/// Copies `program` into `directory`, with permission for everybody to execute it, and returns the
/// path.
///
/// install(1) does the copying, not this process. A descriptor open for writing here could be
/// inherited by a child that another thread forks, and the kernel does not execute a file that is
/// open for writing (ETXTBSY).
pub fn copy(program: &Path, directory: &Path, name: &str) -> PathBuf {
    let place = directory.join(name);
    let status = Command::new("install").args(["-m", "755"]).arg(program).arg(&place).status();
    assert!(status.expect("install (coreutils) is there").success(), "copy {}", program.display());
    place
}
