//! Symbolic links where the set-up works: in a root directory and in a writable bind that an
//! attacker has filled, before a run, and swapped during the set-up. Whatever the run does, a tree
//! outside that the links lead to must stay unchanged, to the last time stamp, and so must the
//! host's mounts.

use seclude::{Bind, Ended, Sandbox};
use seclude_tests::caller::as_each;
use seclude_tests::payload::rounds;
use seclude_tests::scratch;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tempfile::TempDir;

/// Names that the set-up uses by itself or that policies often name.
const NAMES: &[&str] = &["dev", "proc", "sys", "tmp", "etc", "run"];

/// A kind of link.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Absolute,
    Relative,
    Upward,
    Looping,
    Dangling,
}

const KINDS: &[Kind] =
    &[Kind::Absolute, Kind::Relative, Kind::Upward, Kind::Looping, Kind::Dangling];

/// A directory with a hostile tree, and beside it a tree that must not change.
struct Ground {
    place: TempDir,
}

impl Ground {
    fn new() -> Ground {
        let place = scratch::directory();
        let ground = Ground { place };
        for directory in ["tree", "outside", "outside/sub"] {
            let path = ground.place.path().join(directory);
            fs::create_dir(&path).expect("there is room");
            fs::set_permissions(&path, Permissions::from_mode(0o777)).expect("it is ours");
        }
        fs::write(ground.outside().join("canary"), "canary").expect("there is room");
        fs::set_permissions(ground.outside().join("canary"), Permissions::from_mode(0o666))
            .expect("it is ours");
        ground
    }

    fn tree(&self) -> PathBuf {
        self.place.path().join("tree")
    }

    fn outside(&self) -> PathBuf {
        self.place.path().join("outside")
    }

    /// Makes `name` in the hostile tree a link of this kind.
    fn link(&self, name: &str, kind: Kind) {
        let at = self.tree().join(name);
        let _ = fs::remove_file(&at);
        let _ = fs::remove_dir_all(&at);
        let depth = "../".repeat(name.matches('/').count() + 1);
        let target = match kind {
            Kind::Absolute => self.outside(),
            Kind::Relative => format!("{depth}outside").into(),
            Kind::Upward => "..".into(),
            Kind::Looping => at.file_name().expect("it has a name").into(),
            Kind::Dangling => self.place.path().join("missing"),
        };
        symlink(target, at).expect("there is room");
    }

    /// All metadata and content of the tree outside and of the files beside it.
    fn facts(&self) -> BTreeMap<PathBuf, String> {
        let mut facts = BTreeMap::new();
        look(&self.outside(), &mut facts);
        let beside: Vec<_> = fs::read_dir(self.place.path())
            .expect("it is there")
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        facts.insert("beside".into(), format!("{:?}", beside.len()));
        facts
    }
}

fn look(path: &Path, facts: &mut BTreeMap<PathBuf, String>) {
    let meta = fs::symlink_metadata(path).expect("it is there");
    let times = (meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec());
    let content = if meta.is_file() { fs::read(path).expect("it may be read") } else { Vec::new() };
    facts.insert(
        path.into(),
        format!(
            "{:o} {} {} {} {times:?} {content:?}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.nlink()
        ),
    );
    if meta.is_dir() {
        fs::read_dir(path)
            .expect("it may be read")
            .flatten()
            .for_each(|entry| look(&entry.path(), facts));
    }
}

/// Policies that place something at or below `name` in the tree, which is the root or bound at
/// `/w`.
fn policies(tree: &Path, name: &str) -> Vec<Sandbox> {
    let host = |sandbox: Sandbox| {
        ["/usr", "/bin", "/lib", "/lib64"]
            .iter()
            .fold(sandbox, |sandbox, path| sandbox.bind(Bind::new(path, path).optional()))
    };
    let root = || host(Sandbox::new().root(tree));
    let bound = || Sandbox::new().bind_rw(tree, "/w");
    let mut all = vec![root(), root().writable_root()];
    for (from_root, prefix) in [(true, ""), (false, "/w")] {
        let base = || if from_root { root() } else { bound() };
        let at = format!("{prefix}/{name}");
        all.push(base().tmpfs(&at, 65536u64));
        all.push(base().tmpfs(format!("{at}/sub"), 65536u64));
        all.push(base().dir(format!("{at}/made")));
        all.push(base().file(format!("{at}/made"), "made"));
        all.push(base().symlink("target", format!("{at}/made")));
        all.push(base().bind_ro("/usr", format!("{at}/made")));
        all.push(base().bind_rw(tree, format!("{at}/sub/deep")));
    }
    all
}

/// Runs a command to any end. An error is acceptable as long as nothing outside changes.
fn attempt(sandbox: &Sandbox) -> bool {
    let script = "for d in /dev /proc /sys /tmp /etc /run; do echo > $d/canary; echo > $d/made; mkdir $d/sub/made; done; exit 0";
    let mut command = sandbox.command("/bin/sh");
    command.args(["-c", script]).stderr(seclude::Stdio::null());
    matches!(command.status().map(|outcome| outcome.ended), Ok(Ended::Exited(0)))
}

#[test]
fn whatever_the_links_the_host_stays_as_it_was() {
    as_each("whatever_the_links_the_host_stays_as_it_was", |caller| {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("it is there");
        let (mut ran, mut refused) = (0, 0);
        for name in NAMES {
            for parent in ["", "deep/"] {
                for kind in KINDS {
                    let ground = Ground::new();
                    fs::create_dir(ground.tree().join("deep")).expect("there is room");
                    let place = format!("{parent}{name}");
                    ground.link(&place, *kind);
                    if !parent.is_empty() {
                        // Also makes the parent itself a link.
                        ground.link(&format!("{parent}up"), *kind);
                    }
                    let before = ground.facts();
                    for (index, sandbox) in policies(&ground.tree(), &place).iter().enumerate() {
                        *if attempt(sandbox) { &mut ran } else { &mut refused } += 1;
                        assert_eq!(ground.facts(), before, "{place} {kind:?}, policy {index}");
                    }
                }
            }
        }
        assert_eq!(fs::read_to_string("/proc/self/mountinfo").expect("it is there"), mounts);
        assert!(ran > 100, "{caller:?}: only {ran} ran, {refused} were refused");

        // The control: a program that follows the link changes the tree outside, and the test
        // notices.
        let ground = Ground::new();
        ground.link("tmp", Kind::Absolute);
        let before = ground.facts();
        fs::write(ground.tree().join("tmp/made"), "made").expect("there is room");
        assert_ne!(ground.facts(), before);
    });
}

/// Another thread swaps a directory and a link to the outside as fast as it can while sandboxes are
/// set up on that name. SECLUDE_ROUNDS sets the number of sandboxes.
#[test]
fn a_race_is_not_won() {
    as_each("a_race_is_not_won", |_| {
        let ground = Ground::new();
        for name in NAMES {
            for kind in ["dir", "link"] {
                let path = ground.tree().join(format!("{name}.{kind}"));
                if kind == "dir" {
                    fs::create_dir_all(path.join("sub"))
                } else {
                    symlink(ground.outside(), path)
                }
                .expect("there is room");
            }
            fs::rename(ground.tree().join(format!("{name}.dir")), ground.tree().join(name))
                .expect("it is ours");
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("it is there");
        let before = ground.facts();
        let (over, swaps) = (AtomicBool::new(false), AtomicU32::new(0));
        let (mut ran, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let at = |name: &str, kind: &str| ground.tree().join(format!("{name}{kind}"));
                while !over.load(Ordering::Relaxed) {
                    for name in NAMES {
                        for (from, to) in [("", ".dir"), (".link", ""), ("", ".link"), (".dir", "")]
                        {
                            fs::rename(at(name, from), at(name, to)).expect("it is ours");
                        }
                        swaps.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
            let all: Vec<Sandbox> =
                NAMES.iter().flat_map(|name| policies(&ground.tree(), name)).collect();
            for sandbox in all.iter().cycle().take(rounds(500) as usize) {
                *if attempt(sandbox) { &mut ran } else { &mut refused } += 1;
            }
            over.store(true, Ordering::Relaxed);
        });
        assert_eq!(ground.facts(), before);
        assert_eq!(fs::read_to_string("/proc/self/mountinfo").expect("it is there"), mounts);
        let swaps = swaps.load(Ordering::Relaxed);
        println!("{ran} ran, {refused} were refused, {swaps} swaps");
        assert!(swaps > 100 && ran > 0, "{ran} ran, {refused} were refused, {swaps} swaps");
    });
}
