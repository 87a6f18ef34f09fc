//! The mounts of an imitated container. Call these in a mount namespace of its own.
#![allow(unsafe_code)]

use super::Container;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where the new root is built. Every Linux has this directory.
const ROOT: &str = "/mnt";
/// What the container does not have of the host's root. The host may be made of a container's
/// image, and then has its marker.
const NOT_SHOWN: [&str; 6] = ["proc", "sys", "run", "mnt", "lost+found", ".dockerenv"];
/// What engines hide of `/proc`, and what they leave readable only.
const MASKED: [&str; 9] = [
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
];
const READ_ONLY: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];

/// Makes the root of this mount namespace that of the container.
pub fn build(container: &Container) {
    let root = Path::new(ROOT);
    mount("tmpfs", root, "tmpfs", 0, "mode=755").expect("a new root");
    for entry in fs::read_dir("/").expect("the root").flatten() {
        let name = entry.file_name();
        if NOT_SHOWN.iter().any(|known| name == *known) {
            continue;
        }
        show(&entry.path(), &root.join(name));
    }
    for directory in ["proc", "sys", "run", "mnt"] {
        fs::create_dir(root.join(directory)).expect("it is new");
    }
    mount("tmpfs", &root.join("run"), "tmpfs", 0, "mode=755").expect("a new /run");
    mount("proc", &root.join("proc"), "proc", 0, "").expect("a new /proc");
    bind(Path::new("/sys"), &root.join("sys"));
    own_cgroups(root);
    restrict_sys(container, root);
    if let Some(marker) = &container.marker {
        fs::write(root.join(marker.trim_start_matches('/')), "").expect("it is new");
    }
    if container.masked_proc {
        mask(&root.join("proc"));
    }
    enter(root);
}

/// Shows a directory, a file or a link of the host's root.
fn show(from: &Path, to: &Path) {
    let kind = fs::symlink_metadata(from).expect("it is listed").file_type();
    if kind.is_symlink() {
        let target = fs::read_link(from).expect("it is a link");
        std::os::unix::fs::symlink(target, to).expect("it is new");
        return;
    }
    if kind.is_dir() {
        fs::create_dir(to).expect("it is new");
    } else {
        fs::write(to, "").expect("it is new");
    }
    bind(from, to);
}

/// Mounts the cgroup hierarchies anew, so that their root is that of the container's namespace. The
/// kernel mounts none upon itself, so there is a tmpfs in between.
fn own_cgroups(root: &Path) {
    let directory = root.join("sys/fs/cgroup");
    let text = fs::read_to_string("/proc/self/mountinfo").expect("this namespace's mounts");
    let mut hierarchies = Vec::new();
    for line in text.lines() {
        // 36 35 0:50 / /mnt/sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
        let words: Vec<&str> = line.split(' ').collect();
        let separator = words.iter().position(|word| *word == "-").expect("it has one");
        let (place, kind) = (Path::new(words[4]), words[separator + 1]);
        if !place.starts_with(&directory) || !kind.starts_with("cgroup") {
            continue;
        }
        let mut options = String::new();
        if kind == "cgroup" {
            let own = ["rw", "ro", "xattr", "clone_children"];
            let named = words[separator + 3].split(',');
            let named = named.filter(|word| !own.contains(word) && !word.starts_with("release"));
            options = named.collect::<Vec<_>>().join(",");
            if options.starts_with("name=") {
                options.insert_str(0, "none,");
            }
        }
        hierarchies.push((place.to_owned(), kind, options));
    }
    if hierarchies.is_empty() {
        return;
    }
    mount("tmpfs", &directory, "tmpfs", 0, "mode=755").expect("a place for them");
    for (place, kind, options) in hierarchies {
        fs::create_dir_all(&place).expect("it is new");
        mount(kind, &place, kind, 0, &options)
            .unwrap_or_else(|error| panic!("mount {kind} with {options}: {error}"));
    }
}

fn restrict_sys(container: &Container, root: &Path) {
    for place in below(&root.join("sys")) {
        let cgroups = place.starts_with(root.join("sys/fs/cgroup"));
        let closed = if cgroups { container.read_only_cgroups } else { container.read_only_sys };
        if closed {
            read_only(&place);
        }
    }
}

/// The mounts at and below a directory.
fn below(directory: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").expect("this namespace's mounts");
    let places = text.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    places.filter(|place| place.starts_with(directory)).collect()
}

fn mask(proc: &Path) {
    for name in MASKED {
        let place = proc.join(name);
        match fs::metadata(&place) {
            Ok(found) if found.is_dir() => {
                mount("tmpfs", &place, "tmpfs", libc::MS_RDONLY, "").expect("a mask");
            }
            Ok(_) => bind(Path::new("/dev/null"), &place),
            // Which of these files there are depends on the kernel.
            Err(_) => {}
        }
    }
    for place in READ_ONLY.map(|name| proc.join(name)).into_iter().filter(|place| place.exists()) {
        bind(&place, &place);
        read_only(&place);
    }
}

/// Makes the container's root this process's, and takes the host's away.
fn enter(root: &Path) {
    std::env::set_current_dir(root).expect("the new root");
    // SAFETY: the paths are C strings.
    let done = unsafe {
        libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) == 0
            && libc::umount2(c".".as_ptr(), libc::MNT_DETACH) == 0
    };
    assert!(done, "{}", io::Error::last_os_error());
    std::env::set_current_dir("/").expect("the root");
}

fn bind(from: &Path, to: &Path) {
    let from = from.to_str().expect("it is text");
    mount(from, to, "none", libc::MS_BIND | libc::MS_REC, "")
        .unwrap_or_else(|error| panic!("bind {from}: {error}"));
}

fn read_only(place: &Path) {
    // The flags that a mount has already must stay, or a user namespace may not change it.
    let found = flags_of(place);
    // musl's headers lack the last of the bits that statvfs(3) tells.
    let kept = [
        (libc::ST_NOSUID, libc::MS_NOSUID),
        (libc::ST_NODEV, libc::MS_NODEV),
        (libc::ST_NOEXEC, libc::MS_NOEXEC),
        (0x1000, libc::MS_RELATIME),
    ];
    let kept = kept.iter().filter(|(flag, _)| found & flag != 0).map(|(_, flag)| flag);
    let flags =
        kept.fold(libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY, |all, flag| all | flag);
    mount("none", place, "none", flags, "")
        .unwrap_or_else(|error| panic!("make {} read-only: {error}", place.display()));
}

/// The flags of the mount at this place, as statvfs(3) tells them.
fn flags_of(place: &Path) -> libc::c_ulong {
    let place = CString::new(place.as_os_str().as_bytes()).expect("no NUL");
    let mut status = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path is a C string, and the call writes the whole structure if it succeeds.
    unsafe {
        assert_eq!(libc::statvfs(place.as_ptr(), status.as_mut_ptr()), 0, "it is mounted");
        status.assume_init().f_flag
    }
}

fn mount(
    source: &str,
    place: &Path,
    kind: &str,
    flags: libc::c_ulong,
    options: &str,
) -> io::Result<()> {
    let text = |text: &[u8]| CString::new(text).expect("no NUL");
    let (source, kind) = (text(source.as_bytes()), text(kind.as_bytes()));
    let (place, options) = (text(place.as_os_str().as_bytes()), text(options.as_bytes()));
    // SAFETY: all are C strings that outlive the call.
    match unsafe {
        libc::mount(source.as_ptr(), place.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast())
    } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
