//! A directory of a test's own with a store, and what a program in a sandbox finds in an image.

use seclude::{Capability, Cell, Command, Image, ImageSource, Sandbox, Store};
use seclude_tests::alone::alone;
use seclude_tests::caller::program;
use seclude_tests::census;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::MutexGuard;
use tempfile::TempDir;

/// The path of the image in the sandbox that looks at it.
const AT: &str = "/image";

/// One at a time: the tests count the descriptors and the children of their process.
pub struct Place {
    directory: TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Place {
    /// A directory on a file system that overlays can write to. `None`, with a message, if there is
    /// none on this machine.
    pub fn new(test: &str) -> Option<Place> {
        for above in ["/var/tmp", "/tmp"] {
            let made = tempfile::Builder::new().prefix("seclude-test-").tempdir_in(above);
            let Ok(directory) = made else { continue };
            fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))
                .expect("it is ours");
            let place = Place { directory, _alone: alone() };
            fs::create_dir(place.path("probe")).expect("there is room");
            match place.store().import(&ImageSource::directory(place.path("probe")), None) {
                Ok(_) => {
                    fs::remove_dir_all(place.path("store")).expect("it is ours");
                    fs::remove_dir(place.path("probe")).expect("it is ours");
                    place.store();
                    return Some(place);
                }
                Err(error) => eprintln!("{test}: no store in {above}: {error}"),
            }
        }
        eprintln!("{test}: SKIPPED: overlays can write to neither /var/tmp nor /tmp");
        None
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn store(&self) -> Store {
        Store::at(self.path("store")).expect("it can be made")
    }

    /// A new directory.
    pub fn make(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).expect("it is new");
        path
    }

    /// What is in a folder of the store.
    pub fn names(&self, folder: &str) -> BTreeSet<String> {
        let entries = fs::read_dir(self.path("store/v1").join(folder)).expect("it is a store");
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// Everything beside the store, by name.
    pub fn beside(&self) -> BTreeSet<PathBuf> {
        let entries = fs::read_dir(self.directory.path()).expect("it is ours");
        entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| !path.ends_with("store"))
            .collect()
    }
}

impl Drop for Place {
    /// Unmounts what a test has mounted here before anything is removed: what is below a mount is
    /// not the test's own.
    fn drop(&mut self) {
        let path = self.directory.path();
        let quietly = |program: &str, arguments: &[&str], at: &Path| {
            let mut command = std::process::Command::new(program);
            let command = command.arg(at).args(arguments).stderr(std::process::Stdio::null());
            let _ = command.status();
        };
        for mount in mounts_below(path).iter().rev() {
            quietly("umount", &["--lazy"], mount);
        }
        if !mounts_below(path).is_empty() {
            eprintln!("{} stays: something is mounted there", path.display());
            return self.directory.disable_cleanup(true);
        }
        // Images have directories that are closed to their owner.
        let open_up = ["-xdev", "-type", "d", "!", "-perm", "-u=rwx", "-exec", "chmod", "u+rwx"];
        quietly("find", &[&open_up[..], &["{}", ";"]].concat(), path);
    }
}

/// The mount points below a directory, in the order in which they were mounted.
fn mounts_below(directory: &Path) -> Vec<PathBuf> {
    let points = census::mounts();
    let points = points.iter().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    points.filter(|point| point.starts_with(directory)).collect()
}

/// A sandbox that shows an image beside the programs that look at it.
pub fn beside(image: &Image) -> Sandbox {
    Sandbox::new()
        .uid(0)
        .gid(0)
        .capability(Capability::DacOverride)
        .entry(image.overlay(AT))
        .bind_ro(program("lister"), "/lister")
}

/// What a program finds in the image. The root has no time: each sandbox makes it anew.
pub fn listing(image: &Image) -> String {
    let mut command = beside(image).command("/lister");
    without_time_of_root(&listed(&mut command))
}

/// The same in a cell.
pub fn listing_in(cell: &Cell) -> String {
    without_time_of_root(&listed(&mut cell.command("/lister")))
}

fn without_time_of_root(listing: &str) -> String {
    let (root, rest) = listing.split_once('\n').expect("the root is there");
    let words: Vec<&str> = root.split(' ').take(4).collect();
    format!("{}\n{rest}", words.join(" "))
}

/// Fails if two listings differ, and shows the lines that do.
pub fn assert_same(found: &str, expected: &str, what: &str) {
    let only = |these: &str, others: &str| {
        let others: BTreeSet<&str> = others.lines().collect();
        these.lines().filter(|line| !others.contains(line)).collect::<Vec<_>>().join("\n  ")
    };
    assert!(
        found == expected,
        "{what}\nfound alone:\n  {}\nexpected alone:\n  {}",
        only(found, expected),
        only(expected, found)
    );
}

fn listed(command: &mut Command) -> String {
    let output = command.arg(AT).output().expect("it can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.outcome.success(), "{:?}: {}", output.outcome, text(&output.stderr));
    text(&output.stdout)
}

/// What a program finds in the image, without the times.
pub fn timeless(image: &Image) -> String {
    without_times(&listing(image))
}

/// The same in a cell.
pub fn timeless_in(cell: &Cell) -> String {
    without_times(&listing_in(cell))
}

fn without_times(listing: &str) -> String {
    // The time is what has a point and no colon.
    let is_time = |word: &&str| word.contains('.') && word.ends_with(|c: char| c.is_ascii_digit());
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let time = words.iter().rposition(|word| is_time(word) && word.len() >= 11);
        let words = words.iter().enumerate().filter(|(place, _)| Some(*place) != time);
        words.map(|(_, word)| *word).collect::<Vec<_>>().join(" ") + "\n"
    };
    listing.lines().map(line).collect()
}

/// The lister on the host.
pub fn on_host(directory: &Path) -> String {
    let output =
        std::process::Command::new(program("lister")).arg(directory).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    without_time_of_root(&String::from_utf8_lossy(&output.stdout))
}
