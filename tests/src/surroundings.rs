//! The surroundings of a caller in a container: a filter that refuses system calls, a Landlock
//! domain, a full quota of keys, a restricted `/proc`. Filters and domains apply to one thread and
//! end with it.
#![allow(unsafe_code)]

use crate::container::filter::Filter;
use std::ffi::CString;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::thread;

/// Runs `body` in a thread behind a filter of a container engine.
pub fn behind<T: Send>(filter: &Filter, body: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let surrounded = scope.spawn(|| {
            no_new_privileges();
            filter.load().expect("the filter is one");
            body()
        });
        surrounded.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Runs `body` in a thread for which these system calls, given by number, fail with `errno`.
pub fn without<T: Send>(calls: &[i64], errno: i32, body: impl FnOnce() -> T + Send) -> T {
    behind_program(&program(calls, errno), 0, body)
}

/// Runs `body` in a thread behind a filter that has a listener, as a container manager sets one. It
/// is told of nothing.
pub fn listened_to<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    const NEW_LISTENER: libc::c_ulong = 1 << 3;
    behind_program(&program(&[], 0), NEW_LISTENER, body)
}

fn behind_program<T: Send>(
    program: &[libc::sock_filter],
    flags: libc::c_ulong,
    body: impl FnOnce() -> T + Send,
) -> T {
    thread::scope(|scope| {
        let surrounded = scope.spawn(|| {
            no_new_privileges();
            let filter =
                libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
            // SAFETY: the program outlives the call and has the given length.
            let result = unsafe {
                libc::syscall(
                    libc::SYS_seccomp,
                    libc::SECCOMP_SET_MODE_FILTER,
                    flags,
                    &raw const filter,
                )
            };
            // A listener stays open as long as this process.
            assert!(result >= 0, "the filter is one");
            body()
        });
        surrounded.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn program(calls: &[i64], errno: i32) -> Vec<libc::sock_filter> {
    const LOAD: u16 = 0x20;
    const JUMP_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let one = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let mut program = vec![one(LOAD, 0, 0, 0)];
    for call in calls {
        program.push(one(JUMP_EQUAL, *call as u32, 0, 1));
        program.push(one(RETURN, libc::SECCOMP_RET_ERRNO | errno as u32, 0, 0));
    }
    program.push(one(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0));
    program
}

/// Runs `body` in a thread in a Landlock domain that allows writing to all files. Returns `false`
/// if the kernel has no Landlock.
pub fn in_landlock(body: impl FnOnce() + Send) -> bool {
    const WRITE_FILE: u64 = 1 << 1;
    #[repr(C, packed)]
    struct Beneath {
        rights: u64,
        fd: i32,
    }
    thread::scope(|scope| {
        let held = scope.spawn(|| {
            no_new_privileges();
            let attributes = [WRITE_FILE];
            // SAFETY: the kernel reads 8 bytes, the size of `attributes`.
            let ruleset = unsafe {
                libc::syscall(libc::SYS_landlock_create_ruleset, attributes.as_ptr(), 8, 0)
            };
            if ruleset < 0 {
                return false;
            }
            // SAFETY: the path is a C string.
            let root = unsafe { libc::open(c"/".as_ptr(), libc::O_PATH | libc::O_CLOEXEC) };
            let beneath = Beneath { rights: WRITE_FILE, fd: root };
            // SAFETY: the rule has the kernel's layout and outlives the call.
            let held = unsafe {
                libc::syscall(libc::SYS_landlock_add_rule, ruleset, 1, &raw const beneath, 0) == 0
                    && libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0) == 0
                    && libc::close(root) == 0
                    && libc::close(ruleset as i32) == 0
            };
            assert!(held);
            body();
            true
        });
        held.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn no_new_privileges() {
    // SAFETY: the call takes only numbers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
}

/// Gives this thread its own session keyring and adds keys until the quota of its user is full.
/// Returns the number of keys. They are released when the thread ends.
pub fn use_up_the_quota_of_keys() -> usize {
    const JOIN_SESSION_KEYRING: u32 = 1;
    const SESSION_KEYRING: i32 = -3;
    const MOST: usize = 100_000;
    // SAFETY: the call takes only numbers.
    assert!(
        unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, 0) } > 0,
        "a first keyring"
    );
    for number in 0..MOST {
        let name = CString::new(format!("seclude-test-{number}")).expect("no NUL");
        // SAFETY: both texts are C strings, and the payload is empty.
        let key = unsafe {
            libc::syscall(
                libc::SYS_add_key,
                c"keyring".as_ptr(),
                name.as_ptr(),
                0,
                0,
                SESSION_KEYRING,
            )
        };
        if key < 0 {
            let error = std::io::Error::last_os_error();
            assert_eq!(error.raw_os_error(), Some(libc::EDQUOT), "{error}");
            return number;
        }
    }
    panic!("a quota of more than {MOST} keys");
}

/// Creates an automount point that this process serves. On first access a file system is mounted
/// there that has a file `hello`. Only root can do this. Call it in a mount namespace of its own,
/// which takes the mount point with it when it ends.
///
/// Processes of this process's group never trigger the mount (autofs(5)).
pub fn automount(place: &Path) {
    const PACKET: usize = 4096;
    const READY: libc::c_ulong = 0x9360;
    let (read, write) = nix::unistd::pipe().expect("a pipe");
    // SAFETY: the call takes no arguments.
    let group = unsafe { libc::getpgrp() };
    let options = format!("fd={},pgrp={group},minproto=5,maxproto=5,direct", write.as_raw_fd());
    mount("autofs", place, 0, &options).expect("only root may");
    drop(write);
    let trap = std::fs::File::open(place).expect("it is not triggered by this process");
    let place = place.to_owned();
    thread::spawn(move || {
        let mut pipe = std::fs::File::from(read);
        let mut packet = [0; PACKET];
        while let Ok(1..) = pipe.read(&mut packet) {
            mount("tmpfs", &place, 0, "mode=755").expect("only root may");
            std::fs::write(place.join("hello"), "mounted").expect("it is ours");
            // struct autofs_v5_packet starts with version, type and the token to answer with.
            let token = u32::from_ne_bytes(packet[8..12].try_into().expect("four bytes"));
            // SAFETY: the call takes only numbers.
            unsafe { libc::ioctl(trap.as_raw_fd(), READY as _, libc::c_ulong::from(token)) };
        }
    });
}

/// Unmounts everything that is mounted at `place`.
pub fn unmount(place: &Path) {
    let text = CString::new(place.to_str().expect("it is text")).expect("no NUL");
    // SAFETY: the path is a C string.
    while unsafe { libc::umount2(text.as_ptr(), libc::MNT_DETACH) } == 0 {}
}

/// Makes `/proc` look as in a container: `/proc/sys` read-only, `/proc/bus` masked. Call it in a
/// mount namespace of its own.
pub fn close_proc() {
    let knobs = Path::new("/proc/sys");
    bind(knobs, knobs);
    mount("none", knobs, libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY, "")
        .expect("only root may");
    mount("tmpfs", Path::new("/proc/bus"), libc::MS_RDONLY, "").expect("only root may");
}

fn bind(from: &Path, to: &Path) {
    let text = |path: &Path| CString::new(path.to_str().expect("it is text")).expect("no NUL");
    let (from, to) = (text(from), text(to));
    // SAFETY: both are C strings that outlive the call, and the other pointers may be NULL.
    let result = unsafe {
        libc::mount(from.as_ptr(), to.as_ptr(), std::ptr::null(), libc::MS_BIND, std::ptr::null())
    };
    assert_eq!(result, 0, "only root may");
}

/// Makes mounts below `place` propagate to other mount namespaces, or stops that.
pub fn propagate(place: &Path, on: bool) {
    let how = libc::MS_REC | if on { libc::MS_SHARED } else { libc::MS_PRIVATE };
    mount("none", place, how, "").expect("only root may");
}

fn mount(kind: &str, place: &Path, flags: libc::c_ulong, options: &str) -> std::io::Result<()> {
    let text = |text: &str| CString::new(text).expect("no NUL");
    let (kind, options) = (text(kind), text(options));
    let place = text(place.to_str().expect("it is text"));
    // SAFETY: all are C strings that outlive the call.
    match unsafe {
        libc::mount(kind.as_ptr(), place.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast())
    } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}
