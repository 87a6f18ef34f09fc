//! The system calls that a command may make, as decided by the kernel, by the warden, and by the
//! caller.

mod rules;

use seclude::{Ended, Profile, Protection, Sandbox, Seccomp, Syscall};
use seclude_tests::caller::as_each;
use seclude_tests::payload;

/// The output of the payload's `call`: the error number of a raw system call, or 0.
fn call(sandbox: &Sandbox, words: &[&str]) -> String {
    let output =
        sandbox.command(payload::PLACE).arg("call").args(words).output().expect("it starts");
    assert_eq!(
        output.outcome.ended,
        Ended::Exited(0),
        "{words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn number(name: &str) -> String {
    Syscall::from_name(name)
        .unwrap_or_else(|| panic!("{name} is a call of this architecture"))
        .number()
        .to_string()
}

const EPERM: &str = "1";
const ENOSYS: &str = "38";
const EAFNOSUPPORT: &str = "97";

#[test]
fn the_default_refuses_what_it_is_there_to_refuse() {
    as_each("the_default_refuses_what_it_is_there_to_refuse", |_| {
        let default = payload::sandbox();
        let open = payload::sandbox().seccomp(Profile::Unconfined);
        let refused = [
            "mount",
            "umount2",
            "pivot_root",
            "chroot",
            "unshare",
            "setns",
            "process_vm_readv",
            "process_vm_writev",
            "kcmp",
            "pidfd_getfd",
            "bpf",
            "perf_event_open",
            "userfaultfd",
            "io_uring_setup",
            "keyctl",
            "add_key",
            "request_key",
            "init_module",
            "finit_module",
            "kexec_load",
            "open_by_handle_at",
            "name_to_handle_at",
            "vmsplice",
            "fsopen",
            "fsmount",
            "open_tree",
            "move_mount",
            "mount_setattr",
            "swapon",
            "reboot",
            "acct",
            "quotactl",
            "syslog",
            "settimeofday",
            "fanotify_init",
        ];
        for name in refused {
            assert_eq!(call(&default, &[&number(name)]), EPERM, "{name}");
        }
        for name in ["clone3", "memfd_secret", "statmount", "listmount"] {
            assert_eq!(call(&default, &[&number(name)]), ENOSYS, "{name}");
        }
        assert_eq!(call(&default, &["4000"]), ENOSYS);
        // The control: without the filter the kernel itself gives other answers.
        for (name, answer) in
            [("process_vm_readv", "0"), ("clone3", "22"), ("add_key", "14"), ("unshare", "0")]
        {
            assert_eq!(call(&open, &[&number(name), "0", "0"]), answer, "{name}");
        }
    });
}

#[test]
fn a_new_namespace_by_clone_is_refused_and_a_process_is_not() {
    let default = payload::sandbox();
    // CLONE_NEWUSER, CLONE_NEWNET and CLONE_NEWCGROUP, each with SIGCHLD. The call must not even
    // begin.
    for flags in ["0x10000011", "0x40000011", "0x02000011"] {
        assert_eq!(call(&default, &[&number("clone"), flags]), EPERM);
    }
    let output =
        default.command("sh").args(["-c", "(exit 3); echo $?"]).output().expect("it starts");
    assert_eq!(output.stdout, b"3\n");
}

#[test]
fn sockets_of_three_families_and_others_by_a_word() {
    let default = payload::sandbox();
    let netlink = payload::sandbox().seccomp(Seccomp::profile(Profile::Default).socket_family(16));
    let socket = number("socket");
    for family in ["1", "2", "10"] {
        assert_eq!(call(&default, &[&socket, family, "2"]), "0", "{family}");
    }
    for family in ["17", "38", "40", "0x100000011"] {
        assert_eq!(call(&default, &[&socket, family, "2"]), EAFNOSUPPORT, "{family}");
    }
    // AF_NETLINK is allowed for routes (0) and only in a network namespace of its own. Other
    // protocols include NETLINK_SOCK_DIAG.
    let shared = payload::sandbox().share(seclude::Namespace::Net);
    assert_eq!(call(&default, &[&socket, "16", "2", "0"]), "0");
    assert_eq!(call(&shared, &[&socket, "16", "2", "0"]), EAFNOSUPPORT);
    for protocol in ["1", "4", "9", "15", "0x10"] {
        assert_eq!(call(&default, &[&socket, "16", "2", protocol]), EAFNOSUPPORT, "{protocol}");
    }
    assert_eq!(call(&netlink, &[&socket, "16", "2"]), "0");
}

#[test]
fn a_terminal_is_not_typed_into_whatever_the_high_bits() {
    let default = payload::sandbox();
    let open = payload::sandbox().seccomp(Profile::Unconfined);
    let ioctl = number("ioctl");
    for request in ["0x5412", "0x100005412", "0x541c", "0xffffffff0000541c"] {
        assert_eq!(call(&default, &[&ioctl, "0", request]), EPERM, "{request}");
        // ENOTTY: the filter let the request pass, and the kernel found no terminal.
        assert_eq!(call(&open, &[&ioctl, "0", request]), "25", "{request}");
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn other_ways_into_the_kernel_are_closed() {
    let default = payload::sandbox();
    let open = payload::sandbox().seccomp(Profile::Unconfined);
    // getpid(2) by the x32 entry and by the 32-bit entry.
    assert_eq!(call(&default, &["0x40000027"]), ENOSYS);
    assert_eq!(call(&default, &["gate"]), ENOSYS);
    // The control: the 32-bit entry works without the filter, if this kernel has it.
    let answer = call(&open, &["gate"]);
    assert!(answer == "0" || answer == ENOSYS, "{answer}");
    if answer == ENOSYS {
        eprintln!(
            "other_ways_into_the_kernel_are_closed: SKIPPED the control: this kernel has no 32-bit calls"
        );
    }
}

/// A program for 32-bit arm: an ELF header, one segment, and exit(42). Where the kernel refuses the
/// call, an undefined instruction follows.
#[cfg(target_arch = "aarch64")]
fn program_for_arm() -> Vec<u8> {
    const BASE: u32 = 0x1_0000;
    const HEADERS: u32 = 52 + 32;
    // mov r0, #42; mov r7, #1 (exit); svc 0; udf #0
    const CODE: [u32; 4] = [0xe3a0_002a, 0xe3a0_7001, 0xef00_0000, 0xe7f0_00f0];
    let size = HEADERS + 4 * CODE.len() as u32;
    let mut program = b"\x7fELF\x01\x01\x01".to_vec();
    program.resize(16, 0);
    // ET_EXEC for EM_ARM; the ABI's version 5; the sizes of this header and of one segment's.
    program.extend([2u16, 40].map(u16::to_le_bytes).concat());
    program.extend([1, BASE + HEADERS, 52, 0, 0x500_0000].map(u32::to_le_bytes).concat());
    program.extend([52u16, 32, 1, 40, 0, 0].map(u16::to_le_bytes).concat());
    // PT_LOAD of the whole file, readable and executable.
    program.extend([1, 0, BASE, BASE, size, size, 5, 0x1_0000].map(u32::to_le_bytes).concat());
    program.extend(CODE.map(u32::to_le_bytes).concat());
    program
}

#[test]
#[cfg(target_arch = "aarch64")]
fn programs_for_32_bits_can_make_no_call() {
    let run = |sandbox: Sandbox| {
        let program = seclude::File::new("/arm", program_for_arm()).mode(0o755);
        let sandbox = sandbox.entry(program);
        sandbox.command("/arm").output().map(|output| output.outcome.ended)
    };
    // The control: the program works without the filter, if this kernel has 32-bit programs at all.
    match run(payload::sandbox().seccomp(Profile::Unconfined)) {
        Ok(ended) => {
            assert_eq!(ended, Ended::Exited(42));
            assert_eq!(run(payload::sandbox()).expect("it starts"), Ended::Signaled(libc::SIGILL));
        }
        Err(error) => eprintln!("programs_for_32_bits_can_make_no_call: SKIPPED: {error}"),
    }
}

#[test]
fn a_call_that_kills_is_the_end_and_has_a_name() {
    as_each("a_call_that_kills_is_the_end_and_has_a_name", |_| {
        let sandbox = payload::sandbox().seccomp(Seccomp::profile(Profile::Default).kill("chroot"));
        let output = sandbox
            .command(payload::PLACE)
            .args(["call", &number("chroot")])
            .output()
            .expect("it starts");
        assert_eq!(
            output.outcome.ended,
            Ended::Syscall(Syscall::from_name("chroot").expect("Linux has it"))
        );
        assert_eq!(output.outcome.to_string(), "stopped at the forbidden system call chroot");
        assert_eq!(output.outcome.status, Some(-9));
        assert!(output.outcome.enforced.contains(Protection::SeccompFilter));
        // Anywhere inside, even in a background child that the shell does not wait for.
        let script = format!("{} call {} & sleep 10; exit 0", payload::PLACE, number("chroot"));
        let output = sandbox.command("sh").args(["-c", &script]).output().expect("it starts");
        assert_eq!(output.outcome.ended.name(), "syscall");
        // The control: the same without the call.
        let output = sandbox
            .command(payload::PLACE)
            .args(["call", &number("getpid")])
            .output()
            .expect("it starts");
        assert_eq!(output.outcome.ended, Ended::Exited(0));
    });
}

#[test]
fn the_strict_profile_computes_and_nothing_else() {
    let strict = payload::sandbox().seccomp(Profile::Strict);
    let python = strict
        .command("python3")
        .args(["-c", "print(sum(range(10)))"])
        .output()
        .expect("it starts");
    assert_eq!((python.outcome.ended, python.stdout), (Ended::Exited(0), b"45\n".to_vec()));
    let threads = "import threading; t = threading.Thread(target=print, args=('thread',)); t.start(); t.join()";
    let python = strict.command("python3").args(["-c", threads]).output().expect("it starts");
    assert_eq!((python.outcome.ended, python.stdout), (Ended::Exited(0), b"thread\n".to_vec()));
    let traces = format!("import ctypes; ctypes.CDLL(None).syscall({}, 0)", number("ptrace"));
    for (program, name) in [
        ("import socket; socket.socket()", "socket"),
        ("import os; os.execv('/bin/true', ['true'])", "execve"),
        (&*traces, "ptrace"),
    ] {
        let python = strict.command("python3").args(["-c", program]).output().expect("it starts");
        assert_eq!(
            python.outcome.to_string(),
            format!("stopped at the forbidden system call {name}"),
            "{program}"
        );
    }
    let forks = strict.command("sh").args(["-c", "/bin/true; exit 0"]).output().expect("it starts");
    assert_eq!(forks.outcome.ended.name(), "syscall");
}

#[test]
fn a_debugger_works_where_it_is_let() {
    // PTRACE_TRACEME, and calls that only the debugging profile allows.
    let traceme = [&*number("ptrace"), "0"];
    assert_eq!(call(&payload::sandbox(), &traceme), "0");
    assert_eq!(call(&payload::sandbox().seccomp(Profile::Debug), &traceme), "0");
    assert_eq!(
        call(
            &payload::sandbox().seccomp(Seccomp::profile(Profile::Default).deny("ptrace", 1)),
            &traceme
        ),
        EPERM
    );
    let peek = [&*number("process_vm_readv"), "0", "0"];
    assert_eq!(call(&payload::sandbox(), &peek), EPERM);
    assert_eq!(call(&payload::sandbox().seccomp(Profile::Debug), &peek), "0");
}

#[test]
fn the_warden_is_held_too() {
    as_each("the_warden_is_held_too", |_| {
        let lines = |sandbox: &Sandbox| {
            let mut child = sandbox.command("sleep").arg("1000").spawn().expect("it starts");
            let warden = child.processes().expect("it runs")[0].pid;
            let status =
                std::fs::read_to_string(format!("/proc/{warden}/status")).expect("it runs");
            let held = child.enforced().contains(Protection::FilteredWarden);
            child.kill().expect("it is killed");
            let line = |name: &str| {
                status
                    .lines()
                    .find_map(|line| line.strip_prefix(name))
                    .map(|value| value.trim().to_owned())
            };
            (held, line("Seccomp:"), line("NoNewPrivs:"), line("CapPrm:"))
        };
        let told = |filtered: bool| {
            // The guard filter is always loaded, so `Seccomp:` is 2. It is not the filter of the
            // warden's own calls.
            (
                filtered,
                Some("2".to_owned()),
                Some("1".to_owned()),
                Some("0000000000000000".to_owned()),
            )
        };
        assert_eq!(lines(&Sandbox::new()), told(true));
        assert_eq!(
            lines(&Sandbox::new().seccomp(Seccomp::profile(Profile::Default).kill("ptrace"))),
            told(true)
        );
        assert_eq!(lines(&Sandbox::new().seccomp(Profile::Unconfined)), told(false), "the control");
    });
}

#[test]
fn a_sandbox_inside_a_sandbox_has_the_nested_profile_and_filters_of_its_own() {
    let nested = payload::sandbox().nested();
    // The nested profile allows only the namespaces that `nested` is for. The default's other
    // refusals remain.
    assert_eq!(call(&nested, &[&number("process_vm_readv")]), EPERM);
    assert_eq!(call(&nested, &[&number("bpf")]), EPERM);
    assert_eq!(call(&payload::sandbox(), &[&number("unshare"), "0x10000000"]), EPERM);
    assert_eq!(call(&nested, &[&number("unshare"), "0x10000000"]), "0");
}
