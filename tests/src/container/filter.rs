//! Seccomp filters as container engines load them, compiled from the format that engines read.
//!
//! The meaning is libseccomp's: a rule without arguments decides every call of that name, a rule
//! with arguments those whose arguments fit, and the default decides the rest. Calls of another
//! architecture kill.
#![allow(unsafe_code)]

use seclude::Syscall;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// A filter in the format of Docker, Podman and the runtimes of Kubernetes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    default_action: String,
    #[serde(default = "eperm")]
    default_errno_ret: u32,
    syscalls: Vec<Rule>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    names: Vec<String>,
    action: String,
    #[serde(default = "eperm")]
    errno_ret: u32,
    #[serde(default)]
    args: Vec<Argument>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u8,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

const fn eperm() -> u32 {
    libc::EPERM as u32
}

impl Filter {
    /// The filter in a file.
    pub fn read(path: &Path) -> Filter {
        let text =
            std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{error}: {path:?}"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {path:?}"))
    }

    /// The profile that seclude ships.
    pub fn of_seclude() -> Filter {
        const SHIPPED: &str = include_str!("../../../capi/seccomp/seclude.json");
        serde_json::from_str(SHIPPED).expect("it is in the format of engines")
    }

    /// A filter that answers with `errno` to every call but these.
    pub fn allowing<'a>(names: impl IntoIterator<Item = &'a str>, errno: i32) -> Filter {
        Filter {
            default_action: "SCMP_ACT_ERRNO".into(),
            default_errno_ret: errno.unsigned_abs(),
            syscalls: Vec::new(),
        }
        .allow(names)
    }

    /// The same filter, which allows these calls as well.
    #[must_use]
    pub fn allow<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Filter {
        self.with(names, "SCMP_ACT_ALLOW", 0, Vec::new())
    }

    /// The same filter, which answers with `errno` to these calls.
    #[must_use]
    pub fn refuse<'a>(self, names: impl IntoIterator<Item = &'a str>, errno: i32) -> Filter {
        self.with(names, "SCMP_ACT_ERRNO", errno.unsigned_abs(), Vec::new())
    }

    /// The same filter, which allows a call if what `mask` leaves of its argument is `value`.
    #[must_use]
    pub fn allow_when(self, name: &str, index: u8, mask: u64, value: u64) -> Filter {
        let op = "SCMP_CMP_MASKED_EQ".into();
        let argument = Argument { index, value: mask, value_two: value, op };
        self.with([name], "SCMP_ACT_ALLOW", 0, vec![argument])
    }

    fn with<'a>(
        mut self,
        names: impl IntoIterator<Item = &'a str>,
        action: &str,
        errno_ret: u32,
        args: Vec<Argument>,
    ) -> Filter {
        let names = names.into_iter().map(str::to_owned).collect();
        self.syscalls.push(Rule { names, action: action.into(), errno_ret, args });
        self
    }

    /// The same filter without a call: the default decides it.
    #[must_use]
    pub fn without(mut self, name: &str) -> Filter {
        let rules = self.syscalls.iter_mut().map(|rule| &mut rule.names);
        let removed: usize = rules
            .map(|names| {
                let before = names.len();
                names.retain(|known| known != name);
                before - names.len()
            })
            .sum();
        assert!(removed > 0, "the filter does not name {name}");
        self
    }

    /// The program that the kernel runs.
    fn program(&self) -> Vec<libc::sock_filter> {
        const NUMBER: u32 = 0;
        const ARCHITECTURE: u32 = 4;
        const X32: u32 = 0x4000_0000;
        let native = if cfg!(target_arch = "aarch64") { 0xc000_00b7 } else { 0xc000_003e };
        let mut program = vec![
            load(ARCHITECTURE),
            jump(EQUAL, native, 1, 0),
            give(libc::SECCOMP_RET_KILL_THREAD),
            load(NUMBER),
            jump(AT_LEAST, X32, 0, 1),
            give(libc::SECCOMP_RET_KILL_THREAD),
        ];
        for rule in &self.syscalls {
            let result = result(&rule.action, rule.errno_ret);
            // Engines skip the names that their architecture lacks.
            for call in rule.names.iter().filter_map(|name| Syscall::from_name(name)) {
                let number = call.number().unsigned_abs();
                if rule.args.is_empty() {
                    program.extend([jump(EQUAL, number, 0, 1), give(result)]);
                } else {
                    let tests: Vec<_> = rule.args.iter().flat_map(Argument::test).collect();
                    // Each test skips to the load of the number at the end if it fails.
                    let rest = tests.len() + 2;
                    program.push(jump(EQUAL, number, 0, rest as u8));
                    let last = program.len() + tests.len() + 1;
                    for test in tests {
                        let left = (last - program.len() - 1) as u8;
                        program.push(if test.code == EQUAL {
                            jump(EQUAL, test.k, 0, left)
                        } else {
                            test
                        });
                    }
                    program.extend([give(result), load(NUMBER)]);
                }
            }
        }
        program.push(give(result(&self.default_action, self.default_errno_ret)));
        program
    }

    /// Loads the filter for this thread. It needs CAP_SYS_ADMIN or no_new_privs.
    pub fn load(&self) -> io::Result<()> {
        let program = self.program();
        let filter =
            libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
        // SAFETY: the program outlives the call and has the given length.
        let result = unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const filter)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Argument {
    /// The instructions that test both halves of the argument.
    fn test(&self) -> Vec<libc::sock_filter> {
        const ARGUMENTS: u32 = 16;
        let (mask, wanted) = match self.op.as_str() {
            "SCMP_CMP_EQ" => (u64::MAX, self.value),
            "SCMP_CMP_MASKED_EQ" => (self.value, self.value_two),
            other => panic!("no test of this kind: {other}"),
        };
        let half = |offset: u32, mask: u32, wanted: u32| {
            let place = ARGUMENTS + 8 * u32::from(self.index) + offset;
            [load(place), one(AND, mask, 0, 0), jump(EQUAL, wanted, 0, 0)]
        };
        let low = half(0, mask as u32, wanted as u32);
        low.into_iter().chain(half(4, (mask >> 32) as u32, (wanted >> 32) as u32)).collect()
    }
}

fn result(action: &str, errno: u32) -> u32 {
    match action {
        "SCMP_ACT_ALLOW" => libc::SECCOMP_RET_ALLOW,
        "SCMP_ACT_ERRNO" => libc::SECCOMP_RET_ERRNO | errno,
        other => panic!("no action of this kind: {other}"),
    }
}

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const EQUAL: u16 = 0x15;
const AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

const fn one(code: u16, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

const fn load(offset: u32) -> libc::sock_filter {
    one(LOAD, offset, 0, 0)
}

const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    one(code, k, jt, jf)
}

const fn give(result: u32) -> libc::sock_filter {
    one(RETURN, result, 0, 0)
}
