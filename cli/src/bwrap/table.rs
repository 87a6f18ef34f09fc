//! The options, each declared once: its name, its values, what it does or why it is refused.

use super::asked::{Asked, Change, What};
use super::descriptors::{contents, path_of, take};
use super::reading::read_list;
use super::{Refusal, Result, display};
use seclude::{Capability, Namespace};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// An option.
pub struct Declared {
    pub name: &'static str,
    /// The names of its values.
    pub values: &'static [&'static str],
    pub help: &'static str,
    pub effect: Effect,
}

pub enum Effect {
    /// Does exactly what it says.
    Exact(fn(&mut Asked, &[OsString]) -> Result<()>),
    /// Is an error, for this reason.
    Refused(&'static str),
}
use Effect::{Exact, Refused};

const KEPT: &str = "an overlay keeps its changes in a directory of another form";
const LABELS: &str = "this program sets no SELinux labels";

macro_rules! options {
    ($($name:literal [$($value:literal)*] $help:literal => $effect:expr;)*) => {
        /// Every option of bubblewrap.
        pub const OPTIONS: &[Declared] =
            &[$(Declared { name: $name, values: &[$($value),*], help: $help, effect: $effect },)*];
    };
}

options! {
    "--help" [] "Print this text" => Exact(|asked, _| { asked.help = true; Ok(()) });
    "--version" [] "Print the version" => Exact(|asked, _| { asked.version = true; Ok(()) });
    "--args" ["FD"] "Read more options from FD, each ended by a NUL" => Exact(|asked, values| {
        read_list(asked, &contents("--args", &values[0])?)
    });
    "--argv0" ["NAME"] "Give the program this name as its argument 0" => Exact(|asked, values| {
        asked.argv0 = Some(values[0].clone());
        Ok(())
    });
    "--level-prefix" [] "Begin each message with its severity, as <4>" => Exact(|asked, _| {
        asked.level_prefix = true;
        Ok(())
    });

    "--unshare-all" [] "Make a namespace of every kind" => Exact(|asked, _| {
        asked.try_user = true;
        asked.unshare.extend(ALL);
        Ok(())
    });
    "--share-net" [] "Keep the network after --unshare-all" => Exact(|asked, _| {
        asked.unshare.remove(&Namespace::Net);
        Ok(())
    });
    "--unshare-user" [] "Make a user namespace" => Exact(|asked, _| {
        unshare(asked, Namespace::User)
    });
    "--unshare-user-try" [] "Make a user namespace if that is possible" => Exact(|asked, _| {
        asked.try_user = true;
        Ok(())
    });
    "--unshare-ipc" [] "Make an ipc namespace" => Exact(|asked, _| unshare(asked, Namespace::Ipc));
    "--unshare-pid" [] "Make a pid namespace" => Exact(|asked, _| unshare(asked, Namespace::Pid));
    "--unshare-net" [] "Make a network, with loopback only" => Exact(|asked, _| {
        unshare(asked, Namespace::Net)
    });
    "--unshare-uts" [] "Make a uts namespace" => Exact(|asked, _| unshare(asked, Namespace::Uts));
    "--unshare-cgroup" [] "Make a cgroup namespace" => Exact(|asked, _| {
        unshare(asked, Namespace::Cgroup)
    });
    // Every kernel that this program runs on has them.
    "--unshare-cgroup-try" [] "Make a cgroup namespace if that is possible" => Exact(|asked, _| {
        unshare(asked, Namespace::Cgroup)
    });
    "--userns" ["FD"] "Enter this user namespace" => Exact(|asked, values| {
        asked.userns = Some(take("--userns", &values[0])?);
        Ok(())
    });
    "--userns2" ["FD"] "Enter this user namespace after the set-up" => Refused(
        "no second user namespace is entered: the one of --userns is the program's");
    "--disable-userns" [] "Let nobody inside make user namespaces" => Exact(|asked, _| {
        asked.disable_userns = true;
        Ok(())
    });
    "--assert-userns-disabled" [] "Fail if somebody inside could make them" => Exact(|asked, _| {
        asked.assert_userns_disabled = true;
        Ok(())
    });
    "--pidns" ["FD"] "Enter this pid namespace" => Exact(|asked, values| {
        asked.pidns = Some(take("--pidns", &values[0])?);
        Ok(())
    });
    "--uid" ["UID"] "Be this user inside" => Exact(|asked, values| {
        asked.uid = Some(id("--uid", &values[0])?);
        Ok(())
    });
    "--gid" ["GID"] "Be this group inside" => Exact(|asked, values| {
        asked.gid = Some(id("--gid", &values[0])?);
        Ok(())
    });
    "--hostname" ["NAME"] "Set the host name" => Exact(|asked, values| {
        let name = values[0].to_str();
        asked.hostname =
            Some(name.ok_or_else(|| Refusal::new("--hostname: not UTF-8"))?.to_owned());
        Ok(())
    });

    "--chdir" ["DIR"] "Start in this directory" => Exact(|asked, values| {
        if asked.chdir.replace(PathBuf::from(&values[0])).is_some() {
            asked.warnings.push("Only the last --chdir option will take effect".into());
        }
        Ok(())
    });
    "--setenv" ["VAR" "VALUE"] "Set a variable" => Exact(|asked, values| {
        if values[0].is_empty() || values[0].as_bytes().contains(&b'=') {
            let name = values[0].to_string_lossy();
            return Err(Refusal::new(format!("--setenv {name}: not the name of a variable")));
        }
        asked.environment.push(Change::Set(values[0].clone(), values[1].clone()));
        Ok(())
    });
    "--unsetenv" ["VAR"] "Remove a variable" => Exact(|asked, values| {
        asked.environment.push(Change::Unset(values[0].clone()));
        Ok(())
    });
    "--clearenv" [] "Remove all variables but PWD" => Exact(|asked, _| {
        asked.environment.push(Change::Clear);
        Ok(())
    });

    "--lock-file" ["DEST"] "Lock this file inside until the end" => Exact(|asked, values| {
        asked.locks.push(super::asked::inside(&values[0]));
        Ok(())
    });
    "--sync-fd" ["FD"] "Keep FD open until the end" => Exact(|asked, values| {
        asked.kept.push(take("--sync-fd", &values[0])?);
        Ok(())
    });

    "--perms" ["OCTAL"] "Set the mode of what the next operation makes" => Exact(|asked, values| {
        if asked.mode.replace(octal("--perms", &values[0])?).is_some() {
            return Err(Refusal::new("--perms is given twice for one operation"));
        }
        Ok(())
    });
    "--size" ["BYTES"] "Set the size of the next --tmpfs" => Exact(|asked, values| {
        if asked.size.replace(size(&values[0])?).is_some() {
            return Err(Refusal::new("--size is given twice for one operation"));
        }
        Ok(())
    });
    "--bind" ["SRC" "DEST"] "Show SRC at DEST, writable" => Exact(|asked, values| {
        bind(asked, values, Kind::Writable, false)
    });
    "--bind-try" ["SRC" "DEST"] "The same, if SRC exists" => Exact(|asked, values| {
        bind(asked, values, Kind::Writable, true)
    });
    "--dev-bind" ["SRC" "DEST"] "Show SRC at DEST, writable, with devices" => Exact(|asked, values| {
        bind(asked, values, Kind::Devices, false)
    });
    "--dev-bind-try" ["SRC" "DEST"] "The same, if SRC exists" => Exact(|asked, values| {
        bind(asked, values, Kind::Devices, true)
    });
    "--ro-bind" ["SRC" "DEST"] "Show SRC at DEST, read-only" => Exact(|asked, values| {
        bind(asked, values, Kind::ReadOnly, false)
    });
    "--ro-bind-try" ["SRC" "DEST"] "The same, if SRC exists" => Exact(|asked, values| {
        bind(asked, values, Kind::ReadOnly, true)
    });
    "--bind-fd" ["FD" "DEST"] "Show what FD has open at DEST, writable" => Exact(|asked, values| {
        bind_descriptor(asked, "--bind-fd", values, true)
    });
    "--ro-bind-fd" ["FD" "DEST"] "Show what FD has open at DEST, read-only" => Exact(|asked, values| {
        bind_descriptor(asked, "--ro-bind-fd", values, false)
    });
    "--remount-ro" ["DEST"] "Make the mount at DEST read-only" => Exact(|asked, values| {
        asked.operate(&values[0], What::RemountReadOnly)
    });
    "--overlay-src" ["SRC"] "A lower directory of the next overlay" => Exact(|asked, values| {
        asked.layers.push(source_of(&values[0])?);
        Ok(())
    });
    "--overlay" ["RWSRC" "WORKDIR" "DEST"] "Mount an overlay that is written" => Refused(KEPT);
    "--tmp-overlay" ["DEST"] "Mount an overlay whose changes are lost" => Exact(|asked, values| {
        overlay(asked, "--tmp-overlay requires at least one --overlay-src", 1, &values[0], true)
    });
    "--ro-overlay" ["DEST"] "Mount a read-only overlay" => Exact(|asked, values| {
        overlay(asked, "--ro-overlay requires at least two --overlay-src", 2, &values[0], false)
    });
    "--proc" ["DEST"] "Mount a proc" => Exact(|asked, values| asked.operate(&values[0], What::Proc));
    "--dev" ["DEST"] "Mount a directory of devices" => Exact(|asked, values| {
        asked.operate(&values[0], What::Dev)
    });
    "--tmpfs" ["DEST"] "Mount a tmpfs" => Exact(|asked, values| {
        let what = What::Tmpfs { mode: asked.mode_or(0o755), size: asked.size };
        asked.operate(&values[0], what)
    });
    "--mqueue" ["DEST"] "Mount the message queues" => Exact(|asked, values| {
        asked.operate(&values[0], What::Mqueue)
    });
    "--dir" ["DEST"] "Make a directory" => Exact(|asked, values| {
        let what = What::Dir { mode: asked.mode_or(0o755) };
        asked.operate(&values[0], what)
    });
    "--file" ["FD" "DEST"] "Make a file with what FD has" => Exact(|asked, values| {
        let data = contents("--file", &values[0])?;
        let what = What::File { data, mode: asked.mode_or(0o666) };
        asked.operate(&values[1], what)
    });
    "--bind-data" ["FD" "DEST"] "Mount a file with what FD has" => Exact(|asked, values| {
        bind_data(asked, "--bind-data", values, true)
    });
    "--ro-bind-data" ["FD" "DEST"] "Mount a read-only file with what FD has" => Exact(|asked, values| {
        bind_data(asked, "--ro-bind-data", values, false)
    });
    "--symlink" ["TARGET" "DEST"] "Make a symbolic link" => Exact(|asked, values| {
        asked.operate(&values[1], What::Symlink { target: PathBuf::from(&values[0]) })
    });
    "--chmod" ["OCTAL" "PATH"] "Set the mode of a file that exists" => Exact(|asked, values| {
        let mode = octal("--chmod", &values[0])?;
        asked.operate(&values[1], What::Chmod { mode })
    });

    "--seccomp" ["FD"] "Load the filter in FD; the last one counts" => Exact(|asked, values| {
        asked.seccomp = Some(contents("--seccomp", &values[0])?);
        Ok(())
    });
    "--add-seccomp-fd" ["FD"] "Load the filter in FD, too" => Exact(|asked, values| {
        asked.more_seccomp.push(contents("--add-seccomp-fd", &values[0])?);
        Ok(())
    });
    "--exec-label" ["LABEL"] "Set the SELinux label of the program" => Refused(LABELS);
    "--file-label" ["LABEL"] "Set the SELinux label of new files" => Refused(LABELS);
    "--block-fd" ["FD"] "Start the program when FD can be read" => Exact(|asked, values| {
        asked.block = Some(take("--block-fd", &values[0])?);
        Ok(())
    });
    "--userns-block-fd" ["FD"] "Wait for FD before the id maps are used" => Refused(
        "the id maps are written by this program, and not by another one meanwhile");
    "--info-fd" ["FD"] "Write the ids of process and namespaces to FD" => Exact(|asked, values| {
        asked.info = Some(take("--info-fd", &values[0])?);
        Ok(())
    });
    "--json-status-fd" ["FD"] "Write start and end to FD, a line each" => Exact(|asked, values| {
        asked.status = Some(take("--json-status-fd", &values[0])?);
        Ok(())
    });
    "--new-session" [] "Start a session without a terminal" => Exact(|asked, _| {
        asked.new_session = true;
        Ok(())
    });
    "--die-with-parent" [] "End when the parent of this program ends" => Exact(|asked, _| {
        asked.die_with_parent = true;
        Ok(())
    });
    "--as-pid-1" [] "Run the program as process 1" => Exact(|asked, _| {
        asked.as_pid_1 = true;
        Ok(())
    });
    "--cap-add" ["CAP"] "Keep a capability, or ALL" => Exact(|asked, values| {
        asked.capabilities.push((true, capability(&values[0])?));
        Ok(())
    });
    "--cap-drop" ["CAP"] "Drop a capability, or ALL" => Exact(|asked, values| {
        asked.capabilities.push((false, capability(&values[0])?));
        Ok(())
    });
}

/// The kinds of `--unshare-all`, besides `user`.
const ALL: [Namespace; 5] =
    [Namespace::Ipc, Namespace::Pid, Namespace::Net, Namespace::Uts, Namespace::Cgroup];

fn unshare(asked: &mut Asked, kind: Namespace) -> Result<()> {
    asked.unshare.insert(kind);
    Ok(())
}

/// The kinds of bind.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    ReadOnly,
    Writable,
    Devices,
}

fn bind(asked: &mut Asked, values: &[OsString], kind: Kind, optional: bool) -> Result<()> {
    let given = Path::new(&values[0]);
    let source = match given.canonicalize() {
        Ok(source) => source,
        Err(error) if optional && error.kind() == std::io::ErrorKind::NotFound => {
            // The mode and size of the next operation are for it all the same.
            (asked.mode, asked.size) = (None, None);
            return Ok(());
        }
        Err(error) => return Err(missing(given, &error)),
    };
    let (writable, devices) = (kind != Kind::ReadOnly, kind == Kind::Devices);
    asked.operate(&values[1], What::Bind { source, writable, devices })
}

/// The path of a source without links.
fn source_of(given: &OsStr) -> Result<PathBuf> {
    let given = Path::new(given);
    given.canonicalize().map_err(|error| missing(given, &error))
}

fn missing(given: &Path, error: &std::io::Error) -> Refusal {
    let why = error.to_string();
    let why = why.split(" (os error").next().unwrap_or_default();
    Refusal::new(format!("Can't find source path {}: {why}", display(given)))
}

/// An overlay of the layers that have been given, at least this number of them.
fn overlay(asked: &mut Asked, needs: &str, least: usize, at: &OsStr, writable: bool) -> Result<()> {
    let layers = std::mem::take(&mut asked.layers);
    if layers.len() < least {
        return Err(Refusal::new(needs));
    }
    asked.operate(at, What::Overlay { layers, writable })
}

fn bind_descriptor(
    asked: &mut Asked,
    option: &str,
    values: &[OsString],
    writable: bool,
) -> Result<()> {
    let (open, source) = path_of(option, &values[0])?;
    asked.kept.push(open);
    asked.operate(&values[1], What::Bind { source, writable, devices: false })
}

fn bind_data(asked: &mut Asked, option: &str, values: &[OsString], writable: bool) -> Result<()> {
    let data = contents(option, &values[0])?;
    let what = What::BoundFile { data, mode: asked.mode_or(0o600), writable };
    asked.operate(&values[1], what)
}

fn octal(option: &str, text: &OsStr) -> Result<u32> {
    let mode = text.to_str().filter(|text| text.bytes().all(|digit| digit.is_ascii_digit()));
    mode.and_then(|text| u32::from_str_radix(text, 8).ok())
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| Refusal::new(format!("{option} takes an octal number up to 07777")))
}

fn size(text: &OsStr) -> Result<u64> {
    let digits = text.to_str().filter(|text| text.bytes().all(|digit| digit.is_ascii_digit()));
    digits
        .and_then(|text| text.parse().ok())
        .filter(|size| (1..=i64::MAX as u64).contains(size))
        .ok_or_else(|| Refusal::new("--size takes a number of bytes above 0"))
}

fn id(option: &str, text: &OsStr) -> Result<u32> {
    text.to_str()
        .and_then(|text| text.parse().ok())
        .filter(|id| *id != u32::MAX)
        .ok_or_else(|| Refusal::new(format!("{option} takes an id, not {}", text.display())))
}

/// A capability by its name, such as `CAP_NET_ADMIN`. `None` stands for `ALL`.
fn capability(text: &OsStr) -> Result<Option<Capability>> {
    let name = text.to_string_lossy().to_lowercase();
    if name == "all" {
        return Ok(None);
    }
    match Capability::from_name(name.strip_prefix("cap_").unwrap_or(&name)) {
        Some(capability) => Ok(Some(capability)),
        None => Err(Refusal::new(format!("unknown capability {}", text.display()))),
    }
}
