//! Each call as a line of text, with its arguments decoded.

use super::std::format;
use super::std::string::{String, ToString};
use super::std::vec::Vec;
use super::{Kernel, Object, memory};
use crate::sys::number as nr;
use crate::sys::process as option;
use crate::sys::{open, resolve};

/// The name of each call, and how to show its arguments: `d` a descriptor, `p` a path, `o` flags of
/// open(2), `h` a `struct open_how`, `a` the first word of a structure, `c` the option of a
/// prctl(2), `b` bytes with their length, `n` a number, `x` a hexadecimal number, `-` nothing.
const CALLS: &[(usize, &str, &str)] = &[
    (nr::READ, "read", "d"),
    (nr::WRITE, "write", "db"),
    (nr::CLOSE, "close", "d"),
    (nr::MMAP, "mmap", ""),
    (nr::MUNMAP, "munmap", ""),
    (nr::RT_SIGACTION, "rt_sigaction", "n"),
    (nr::IOCTL, "ioctl", "dx"),
    (nr::MADVISE, "madvise", ""),
    (nr::GETPID, "getpid", ""),
    (nr::SOCKET, "socket", ""),
    (nr::SENDMSG, "sendmsg", "d"),
    (nr::RECVMSG, "recvmsg", "d"),
    (nr::KILL, "kill", "nn"),
    (nr::CHDIR, "chdir", "p"),
    (nr::FCHDIR, "fchdir", "d"),
    (nr::UMASK, "umask", "n"),
    (nr::GETGROUPS, "getgroups", "n"),
    (nr::SETGROUPS, "setgroups", "n"),
    (nr::SETRESUID, "setresuid", "nnn"),
    (nr::GETRESUID, "getresuid", ""),
    (nr::SETRESGID, "setresgid", "nnn"),
    (nr::GETRESGID, "getresgid", ""),
    (nr::CAPGET, "capget", ""),
    (nr::CAPSET, "capset", "-a"),
    (nr::PERSONALITY, "personality", "n"),
    (nr::FSTATFS, "fstatfs", "d"),
    (nr::PIVOT_ROOT, "pivot_root", "pp"),
    (nr::PRCTL, "prctl", "cx"),
    (nr::MOUNT, "mount", "pppxp"),
    (nr::UMOUNT2, "umount2", "pn"),
    (nr::SETHOSTNAME, "sethostname", "b"),
    (nr::SETDOMAINNAME, "setdomainname", "b"),
    (nr::GETDENTS64, "getdents64", "d"),
    (nr::ADD_KEY, "add_key", ""),
    (nr::REQUEST_KEY, "request_key", ""),
    (nr::KEYCTL, "keyctl", "n"),
    (nr::OPENAT, "openat", "dpo"),
    (nr::MKDIRAT, "mkdirat", "dp"),
    (nr::NEWFSTATAT, "newfstatat", "dp"),
    (nr::UNLINKAT, "unlinkat", "dp"),
    (nr::SYMLINKAT, "symlinkat", "pdp"),
    (nr::READLINKAT, "readlinkat", "dp"),
    (nr::FACCESSAT, "faccessat", "dpn"),
    (nr::FACCESSAT2, "faccessat2", "dpn"),
    (nr::PPOLL, "ppoll", ""),
    (nr::UNSHARE, "unshare", "x"),
    (nr::PRLIMIT64, "prlimit64", "-n"),
    (nr::SECCOMP, "seccomp", "n"),
    (nr::STATX, "statx", "dp"),
    (nr::OPEN_TREE, "open_tree", "dpx"),
    (nr::MOVE_MOUNT, "move_mount", "dpdpx"),
    (nr::FSOPEN, "fsopen", "pn"),
    (nr::FSCONFIG, "fsconfig", "dnpp"),
    (nr::FSMOUNT, "fsmount", "dnx"),
    (nr::OPENAT2, "openat2", "dph"),
    (nr::MOUNT_SETATTR, "mount_setattr", "dpxa"),
    (nr::LANDLOCK_CREATE, "landlock_create_ruleset", "-nx"),
    (nr::LANDLOCK_ADD, "landlock_add_rule", "dnk"),
    (nr::LANDLOCK_SELF, "landlock_restrict_self", "dn"),
];

const OPTIONS: &[(u32, &str)] = &[
    (option::GET_DUMPABLE, "GET_DUMPABLE"),
    (option::SET_DUMPABLE, "SET_DUMPABLE"),
    (option::GET_SECCOMP, "GET_SECCOMP"),
    (option::CAPBSET_READ, "CAPBSET_READ"),
    (option::CAPBSET_DROP, "CAPBSET_DROP"),
    (option::GET_SECUREBITS, "GET_SECUREBITS"),
    (option::SET_SECUREBITS, "SET_SECUREBITS"),
    (option::SET_CHILD_SUBREAPER, "SET_CHILD_SUBREAPER"),
    (option::SET_NO_NEW_PRIVS, "SET_NO_NEW_PRIVS"),
    (option::GET_NO_NEW_PRIVS, "GET_NO_NEW_PRIVS"),
    (option::CAP_AMBIENT, "CAP_AMBIENT"),
    (option::SET_TIMERSLACK, "SET_TIMERSLACK"),
    (option::SET_THP_DISABLE, "SET_THP_DISABLE"),
];

fn open_flags(flags: usize) -> String {
    let names = [
        (open::WRITE, "write"),
        (open::CREATE, "create"),
        (open::EXCLUSIVE, "exclusive"),
        (open::PATH, "path"),
        (open::DIRECTORY, "directory"),
        (open::NO_FOLLOW, "no_follow"),
    ];
    let names: Vec<&str> = names
        .into_iter()
        .filter(|(bit, _)| flags as u64 & bit != 0)
        .map(|(_, name)| name)
        .collect();
    if names.is_empty() { "read".into() } else { names.join("|") }
}

fn how(at: usize) -> String {
    let (Ok(flags), Ok(bits)) = (memory::word(at), memory::word(at.wrapping_add(16))) else {
        return "null".into();
    };
    let names = [
        (resolve::NO_MAGICLINKS, "no_magiclinks"),
        (resolve::NO_SYMLINKS, "no_symlinks"),
        (resolve::IN_ROOT, "in_root"),
    ];
    let names: Vec<&str> =
        names.into_iter().filter(|(bit, _)| bits as u64 & bit != 0).map(|(_, name)| name).collect();
    format!("{} {}", open_flags(flags), names.join("|"))
}

/// The name of a call.
pub fn name(number: usize) -> &'static str {
    CALLS
        .iter()
        .find(|(of, ..)| *of == number)
        .map(|(_, name, _)| *name)
        .unwrap_or_else(|| panic!("the fake kernel has no call {number}"))
}

impl Kernel {
    /// The line of one call.
    pub fn line(&self, number: usize, a: [usize; 6]) -> String {
        let (_, name, shown) = CALLS
            .iter()
            .find(|(of, ..)| *of == number)
            .unwrap_or_else(|| panic!("the fake kernel has no call {number}"));
        let mut line = name.to_string();
        for (kind, value) in shown.chars().zip(a) {
            let text = match kind {
                'd' => self.descriptor_name(value as i32),
                'p' => memory::text(value).map_or("null".into(), |text| self.path_name(&text)),
                'o' => open_flags(value),
                'h' => how(value),
                'a' => memory::word(value).map_or("null".into(), |word| format!("{word:#x}")),
                'k' if a[1] == 1 => self.rule(value),
                'k' => memory::word(value + 8).map_or("null".into(), |port| port.to_string()),
                'b' => memory::read(value, if *name == "write" { a[2] } else { a[1] })
                    .map_or("null".into(), |bytes| {
                        format!("{:?}", String::from_utf8_lossy(&bytes))
                    }),
                'n' => format!("{}", value as i32),
                'x' => format!("{value:#x}"),
                'c' => OPTIONS
                    .iter()
                    .find(|(number, _)| *number == value as u32)
                    .map_or(value.to_string(), |(_, name)| name.to_string()),
                _ => continue,
            };
            line.push(' ');
            line += &text;
        }
        line
    }

    /// A path, with the place instead of the number where it leads to a descriptor of the warden.
    fn path_name(&self, path: &str) -> String {
        const DESCRIPTORS: &str = "/proc/self/fd/";
        let number = path.strip_prefix(DESCRIPTORS).and_then(|number| number.parse().ok());
        match number.filter(|number| self.descriptors.contains_key(number)) {
            Some(number) => format!("{DESCRIPTORS}({})", self.descriptor_name(number)),
            None => format!("{path:?}"),
        }
    }

    /// A rule of Landlock about a path: the place and the rights.
    fn rule(&self, at: usize) -> String {
        let (Ok(rights), Ok(fd)) = (memory::word(at), memory::read(at + 8, 4)) else {
            return "null".into();
        };
        let fd = i32::from_ne_bytes([fd[0], fd[1], fd[2], fd[3]]);
        format!("{} {rights:#x}", self.descriptor_name(fd))
    }

    fn descriptor_name(&self, fd: i32) -> String {
        match self.descriptors.get(&fd) {
            _ if fd == crate::sys::CWD => "cwd".into(),
            Some(Object::Place { at, .. }) => self.tree.name(*at),
            Some(Object::Config { kind, .. }) => format!("({kind})"),
            Some(Object::Ruleset(_)) => "(ruleset)".into(),
            Some(Object::Socket) => "(socket)".into(),
            Some(Object::Text { .. }) => "(text)".into(),
            None => fd.to_string(),
        }
    }
}
