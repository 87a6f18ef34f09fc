//! Escapes through the set-up: published faults of similar runtimes. Each test checks a property
//! from outside and has a control that shows that its check can fail. `docs/security-tests.md` maps
//! faults to tests.

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use seclude::{Bind, Ended, ErrorKind, MiB, Namespace, Profile, Sandbox, Stdio};
use seclude_tests::caller::{Caller, as_each};
use seclude_tests::scratch;
use std::fs::{self, File, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// The output of a shell script inside, which must exit with 0.
fn written(sandbox: &Sandbox, script: &str) -> String {
    let output = sandbox.command("sh").args(["-c", script]).output().expect("it starts");
    assert_eq!(
        output.outcome.ended,
        Ended::Exited(0),
        "{script:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether a shell script exits with 0 inside.
fn succeeds(sandbox: &Sandbox, script: &str) -> bool {
    let outcome = sandbox
        .command("sh")
        .args(["-c", script])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .expect("it starts");
    outcome.ended == Ended::Exited(0)
}

#[test]
fn no_descriptor_of_the_host_is_a_way_out() {
    as_each("no_descriptor_of_the_host_is_a_way_out", |_| {
        // Sixty-four descriptors that would survive an exec.
        let held: Vec<File> = (0..64).map(|_| File::open("/").expect("every user may")).collect();
        for file in &held {
            fcntl(file, FcntlArg::F_SETFD(FdFlag::empty())).expect("it is ours");
        }
        // A subshell, because reading the directory takes a descriptor. No pipeline, for which the
        // shell itself opens one for a moment.
        let list = "(for fd in /proc/$$/fd/*; do case ${fd##*/} in [012]|10) ;; *) echo ${fd##*/} ;; esac; done); cd /; /bin/pwd";
        assert_eq!(written(&Sandbox::new(), list), "/\n");
        // A working directory through one of them.
        for file in &held[..3] {
            let place = format!("/proc/self/fd/{}", file.as_raw_fd());
            let error = Sandbox::new()
                .command("pwd")
                .current_dir(place)
                .status()
                .expect_err("there is no such descriptor inside");
            assert_eq!(error.kind(), ErrorKind::Setup, "{error}");
        }
        // Nor through a descriptor of the warden, which has more of them with terminals and limits.
        let sandbox = Sandbox::new().terminals().memory(MiB(256)).tmpfs("/tmp", MiB(1));
        for number in 0..64 {
            let error = sandbox
                .command("pwd")
                .current_dir(format!("/proc/self/fd/{number}"))
                .status()
                .expect_err("it leads nowhere");
            assert_eq!(error.kind(), ErrorKind::Setup, "{error}");
        }
        // The control: a descriptor that is passed on is such a way out, and the check finds it.
        let mut granted = Sandbox::new().no_landlock().command("sh");
        granted
            .args(["-c", "cd /proc/self/fd/3 && ls"])
            .fd(3, File::open("/").expect("every user may"));
        let output = granted.output().expect("it starts");
        assert!(String::from_utf8_lossy(&output.stdout).contains("root\n"), "{output:?}");
    });
}

#[test]
fn no_program_of_ours_is_written_to() {
    as_each("no_program_of_ours_is_written_to", |_| {
        let open = "import os, sys\nfor path in sys.argv[1:]:\n    try: os.open(path, os.O_WRONLY); print(path)\n    except OSError: pass";
        let targets =
            ["/proc/1/exe", "/proc/self/exe", "/proc/1/mem", "/usr/bin/env", "/lib/ld-linux.so.2"];
        let writable = |sandbox: Sandbox| {
            let output = sandbox
                .command("python3")
                .args(["-c", open])
                .args(targets)
                .output()
                .expect("it starts");
            assert_eq!(output.outcome.ended, Ended::Exited(0));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        assert_eq!(writable(Sandbox::new()), "");
        assert_eq!(writable(Sandbox::new().no_landlock().seccomp(Profile::Unconfined)), "");
        // The control: the check finds a file that can be written.
        let own = "cp /bin/true /tmp/t; /bin/sh -c 'exec 3>>/tmp/t && echo open'";
        assert_eq!(written(&Sandbox::new().tmpfs("/tmp", 10_000_000u64), own), "open\n");
    });
}

#[test]
fn the_warden_is_out_of_reach() {
    as_each("the_warden_is_out_of_reach", |_| {
        // As root inside, with every system call and user namespaces allowed.
        let hostile =
            Sandbox::new().uid(0).gid(0).seccomp(Profile::Unconfined).no_landlock().nested();
        let program = r#"
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def tried(name, result): print(name) if result >= 0 else None
def opened(path):
    try: os.open(path, os.O_RDONLY); return 0
    except OSError: return -1
def read(path):
    try: return 0 if open(path, 'rb').read() else -1
    except OSError: return -1
def all_of_it():
    tried('trace', libc.ptrace(0x4206, TARGET, 0, 0))
    tried('memory', opened(f'/proc/{TARGET}/mem'))
    tried('environment', read(f'/proc/{TARGET}/environ'))
    tried('files', opened(f'/proc/{TARGET}/fd/0'))
    tried('root', opened(f'/proc/{TARGET}/root/etc'))
    buffer = ctypes.create_string_buffer(8)
    class Vector(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('length', ctypes.c_size_t)]
    local = Vector(ctypes.cast(buffer, ctypes.c_void_p), 8); remote = Vector(ctypes.c_void_p(ADDRESS), 8)
    tried('process_vm_readv', libc.process_vm_readv(TARGET, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0))
    pidfd = libc.syscall(434, TARGET, 0)
    tried('pidfd_getfd', libc.syscall(438, pidfd, 0, 0))
    tried('kcmp', libc.syscall(312, os.getpid(), TARGET, 0, 0, 0))
TARGET, ADDRESS = 1, 0x400000
all_of_it()
for flags in (0x10000000, 0x10000000 | 0x20000):
    if os.fork() == 0:
        libc.unshare(flags); all_of_it(); os._exit(0)
    os.wait()
print('control:')
child = os.fork()
if child == 0:
    import time; time.sleep(60)
import time; time.sleep(0.1)
TARGET, ADDRESS = child, ctypes.addressof(ctypes.create_string_buffer(8))
all_of_it()
os.kill(child, 9)
"#;
        let output = hostile.command("python3").args(["-c", program]).output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (warden, control) = text
            .split_once("control:\n")
            .unwrap_or_else(|| panic!("{text} {}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(warden, "", "the warden can be reached");
        for way in ["trace", "memory", "environment", "files"] {
            assert!(
                control.contains(way),
                "the control: of a process of its own it finds {control:?}"
            );
        }
    });
}

#[test]
fn a_root_that_lies_about_itself_does_no_harm() {
    as_each("a_root_that_lies_about_itself_does_no_harm", |caller| {
        let place = scratch::directory();
        let (root, canary) = (place.path().join("root"), place.path().join("canary"));
        fs::create_dir(&root).expect("there is room");
        fs::write(&canary, "canary").expect("there is room");
        fs::set_permissions(&canary, Permissions::from_mode(0o666)).expect("it is ours");
        for (directory, outside) in
            [("usr", "/usr"), ("bin", "/bin"), ("lib", "/lib"), ("lib64", "/lib64")]
        {
            let _ = symlink(outside, root.join(directory))
                .and(Ok(()))
                .or_else(|_: std::io::Error| fs::create_dir(root.join(directory)));
        }
        fs::create_dir_all(root.join("dev/pts")).expect("there is room");
        fs::create_dir_all(root.join("proc/self")).expect("there is room");
        for name in ["dev/null", "dev/console", "dev/tty", "dev/pts/0", "dev/zero"] {
            symlink(&canary, root.join(name)).expect("there is room");
        }
        for name in ["attr", "uid_map", "oom_score_adj"] {
            symlink(&canary, root.join("proc/self").join(name)).expect("there is room");
        }
        fs::create_dir(root.join("etc")).expect("there is room");
        symlink(&canary, root.join("etc/passwd")).expect("there is room");
        let before =
            (fs::read(&canary).expect("it is there"), fs::metadata(&canary).expect("it is there"));
        let sandbox = Sandbox::new()
            .root(&root)
            .bind_ro("/usr", "/usr")
            .bind_ro("/bin", "/bin")
            .bind_ro("/lib", "/lib")
            .bind_ro("/lib64", "/lib64");
        // Either masks and devices work as usual, or the error says why not.
        match sandbox
            .command("sh")
            .args(["-c", "echo gone > /dev/null; wc -c < /dev/null; wc -c < /proc/kallsyms; cat /proc/self/oom_score_adj"])
            .output()
        {
            Ok(output) => assert!(output.stdout.starts_with(b"0\n0\n"), "{caller:?}: {output:?}"),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Setup | ErrorKind::SourceMissing | ErrorKind::Invalid), "{error}")
            }
        }
        let after =
            (fs::read(&canary).expect("it is there"), fs::metadata(&canary).expect("it is there"));
        assert_eq!(before.0, after.0);
        let facts =
            |meta: &fs::Metadata| (meta.mode(), meta.uid(), meta.gid(), meta.mtime(), meta.nlink());
        assert_eq!(facts(&before.1), facts(&after.1));
    });
}

#[test]
fn nothing_of_ours_appears_in_the_callers_directories() {
    as_each("nothing_of_ours_appears_in_the_callers_directories", |_| {
        let place = scratch::directory();
        fs::set_permissions(place.path(), Permissions::from_mode(0o777)).expect("it is ours");
        let listed = || fs::read_dir(place.path()).expect("it is there").count();
        // A mount point that does not exist in a directory of the caller is not created there.
        for sandbox in [
            Sandbox::new().bind_rw(place.path(), "/w").tmpfs("/w/new", 4096u64),
            Sandbox::new().bind_rw(place.path(), "/w").file("/w/file", "text"),
            Sandbox::new().bind_rw(place.path(), "/w").bind_ro("/usr", "/w/usr"),
            Sandbox::new().bind_rw(place.path(), "/w").dir("/w/a/b"),
            Sandbox::new().bind_rw(place.path(), "/w").symlink("target", "/w/link"),
        ] {
            assert!(sandbox.command("true").status().is_err());
            assert_eq!(listed(), 0);
        }
        assert!(
            succeeds(&Sandbox::new().bind_rw(place.path(), "/w"), "touch /w/own"),
            "the control: it can be written to"
        );
        assert_eq!(listed(), 1);
    });
}

#[test]
fn a_link_that_an_earlier_run_left_leads_nowhere() {
    as_each("a_link_that_an_earlier_run_left_leads_nowhere", |_| {
        let place = scratch::directory();
        let (work, outside) = (place.path().join("work"), place.path().join("outside"));
        for directory in [&work, &outside] {
            fs::create_dir(directory).expect("there is room");
            fs::set_permissions(directory, Permissions::from_mode(0o777)).expect("it is ours");
        }
        let first = Sandbox::new().bind_rw(&work, "/work");
        let link = format!("ln -s {} /work/out && ln -s / /work/host", outside.display());
        assert!(succeeds(&first, &link));
        // What is mounted below the link appears nowhere outside.
        let _ = first.clone().tmpfs("/work/out/deep", 4096u64).command("true").status();
        let _ = first.clone().dir("/work/host/seclude-escape").command("true").status();
        assert_eq!(fs::read_dir(&outside).expect("it is there").count(), 0);
        assert!(!Path::new("/seclude-escape").exists());
        // A link as the source of a bind is refused with `nofollow`, and otherwise followed.
        let next = |bind: Bind| Sandbox::new().bind(bind).command("touch").arg("/o/f").status();
        let error =
            next(Bind::new(work.join("out"), "/o").writable().nofollow()).expect_err("a link");
        assert_eq!(error.raw_os_error(), Some(libc::ELOOP), "{error}");
        assert_eq!(fs::read_dir(&outside).expect("it is there").count(), 0);
        assert!(
            next(Bind::new(work.join("out"), "/o").writable()).is_ok(),
            "the control: followed, it leads there"
        );
        assert_eq!(fs::read_dir(&outside).expect("it is there").count(), 1);
    });
}

#[test]
fn a_source_below_a_directory_that_can_be_entered_but_not_read_works() {
    as_each("a_source_below_a_directory_that_can_be_entered_but_not_read_works", |_| {
        let place = scratch::directory();
        let (closed, open) = (place.path().join("closed"), place.path().join("closed/open"));
        fs::create_dir_all(&open).expect("there is room");
        fs::write(open.join("file"), "here").expect("there is room");
        fs::set_permissions(&open, Permissions::from_mode(0o755)).expect("it is ours");
        fs::set_permissions(&closed, Permissions::from_mode(0o711)).expect("it is ours");
        let shown = |source: &Path| {
            Sandbox::new().bind_ro(source, "/o").command("cat").arg("/o/file").output()
        };
        assert_eq!(shown(&open).expect("it may be entered").stdout, b"here");
        // The control: a directory that may not be entered is an error.
        if Caller::present() == Caller::User {
            fs::set_permissions(&closed, Permissions::from_mode(0o600)).expect("it is ours");
            assert_eq!(shown(&open).expect_err("it may not").kind(), ErrorKind::SourceUnreadable);
            fs::set_permissions(&closed, Permissions::from_mode(0o711)).expect("it is ours");
        }
    });
}

#[test]
fn no_cgroup_can_be_written_and_none_mounted() {
    as_each("no_cgroup_can_be_written_and_none_mounted", |_| {
        let look = "grep -c cgroup /proc/self/mountinfo; find / -xdev -name release_agent 2>/dev/null | wc -l";
        assert_eq!(written(&Sandbox::new(), &format!("{look}; true")), "0\n0\n");
        let mount = "mkdir -p /tmp/c && mount -t cgroup -o memory none /tmp/c || mount -t cgroup2 none /tmp/c";
        let roomy = Sandbox::new().tmpfs("/tmp", 4096u64);
        assert!(!succeeds(&roomy, mount));
        let unfiltered = roomy.seccomp(Profile::Unconfined).no_landlock();
        assert!(!succeeds(&unfiltered, mount), "without the filter, too: there is no right to it");
        // The control: the check sees a mount that a nested sandbox may make.
        let nested = unfiltered.nested();
        assert!(succeeds(&nested, "unshare -Urm mount -t tmpfs none /tmp"));
    });
}

#[test]
fn groups_are_dropped_by_who_may_and_by_nobody_else() {
    as_each("groups_are_dropped_by_who_may_and_by_nobody_else", |caller| {
        // A file can exclude one group and be open to all others. A process that may not drop that
        // group outside must not be able to drop it inside.
        let outside = fs::read_to_string("/proc/self/setgroups").expect("it is there");
        assert_eq!(outside, "allow\n", "the control: here nothing is decided yet");
        let inside = written(&Sandbox::new(), "cat /proc/self/setgroups; id -G");
        let expected = if caller == Caller::User { "deny\n1000\n" } else { "allow\n1000\n" };
        assert_eq!(inside, expected);
    });
}

#[test]
fn the_mount_interfaces_and_namespaces_are_closed() {
    as_each("the_mount_interfaces_and_namespaces_are_closed", |_| {
        let default = Sandbox::new();
        for kind in ["-U", "-m", "-n", "-p", "-i", "-u", "-C", "-T"] {
            assert!(!succeeds(&default, &format!("unshare {kind} true")), "{kind}");
        }
        let calls = "import ctypes\nl = ctypes.CDLL(None, use_errno=True)\nprint([ctypes.get_errno() for n in (430, 431, 432, 428, 429, 442, 308) if l.syscall(n, 0, 0, 0, 0, 0) == -1])";
        let output = default.command("python3").args(["-c", calls]).output().expect("it starts");
        assert_eq!(output.stdout, b"[1, 1, 1, 1, 1, 1, 1]\n");
        assert!(
            succeeds(&Sandbox::new().nested(), "unshare -Um true"),
            "the control: where it is allowed, it works"
        );
    });
}

#[test]
fn mounts_cross_in_no_direction() {
    let before = fs::read_to_string("/proc/self/mountinfo").expect("it is there");
    as_each("mounts_cross_in_no_direction", |_| {
        let sandbox = Sandbox::new().tmpfs("/tmp", 4096u64).bind_ro("/dev", "/hostdev");
        let inside = written(&sandbox, "cat /proc/self/mountinfo");
        assert!(
            !inside.contains(" shared:")
                && !inside.contains(" master:")
                && !inside.contains("propagate_from"),
            "{inside}"
        );
        let within = Sandbox::new().share(Namespace::Mount);
        assert!(
            written(&within, "cat /proc/self/mountinfo").lines().count() > 3,
            "the control: the caller's mounts, where they are shared"
        );
    });
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").expect("it is there"), before);
}

#[test]
fn the_warden_is_no_process_of_its_users_and_has_no_power_by_its_file() {
    as_each("the_warden_is_no_process_of_its_users_and_has_no_power_by_its_file", |_| {
        let mut child = Sandbox::new().command("sleep").arg("1000").spawn().expect("it starts");
        let warden = child.processes().expect("it runs")[0].pid;
        let owner = |pid: u32| fs::metadata(format!("/proc/{pid}/environ")).expect("it runs").uid();
        let user = |pid: u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("Uid:"))
                .expect("it has one")
                .to_owned();
            line.split_whitespace()
                .next()
                .and_then(|uid| uid.parse::<u32>().ok())
                .expect("a number")
        };
        // The kernel makes root the owner of the `/proc` entries of a process that may not be
        // inspected (proc(5)).
        assert_ne!(owner(warden), user(warden));
        assert_eq!(
            owner(child.id()),
            user(child.id()),
            "the control: the command's are its user's"
        );
        let mode = fs::metadata(format!("/proc/{warden}/exe")).expect("it runs").mode();
        assert_eq!(mode & 0o6000, 0, "it is not set-user-id");
        child.kill().expect("it is killed");
    });
}
