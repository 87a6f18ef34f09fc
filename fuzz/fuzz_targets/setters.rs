//! The setters of the C face in any order, with any arguments, NULL included. Nothing is started.
//! The policy is then checked, written and freed.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use seclude_capi as c;
use std::ffi::{CString, c_char, c_int};
use std::ptr;

/// A C string, or NULL.
#[derive(Debug, Arbitrary)]
struct Text(Option<Vec<u8>>);

impl Text {
    fn with<T>(&self, use_it: impl FnOnce(*const c_char) -> T) -> T {
        let text = self.0.as_ref().map(|bytes| {
            CString::new(bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec())
                .expect("without NUL")
        });
        use_it(text.as_ref().map_or(ptr::null(), |text| text.as_ptr()))
    }
}

#[derive(Debug, Arbitrary)]
enum Step {
    Share(c_int),
    Unshare(c_int),
    ClockOffset(c_int, i64),
    Hostname(Text),
    Domainname(Text),
    Ids(u32, u32, u32),
    User(Text),
    Home(Text),
    Root(Text),
    EmptyRoot,
    WritableRoot,
    Terminals,
    NoTerminals,
    Etc(Text),
    Bind(Text, Text, u32),
    Tmpfs(Text, u64),
    TmpfsWith(Text, u64, u64, u32, u32),
    Overlay(Text, Text, u64, u64),
    Dir(Text, u32),
    Symlink(Text, Text),
    File(Text, Option<Vec<u8>>, u32),
    Nested,
    Rlimit(c_int, u64, u64),
    Limits(u64, u64, u64, u32),
    Cpus(f64),
    CpuSet(Vec<u32>),
    Profile(Text),
    Rule(Text, c_int, c_int),
    When(u32, c_int, u64, u64, c_int),
    Otherwise(c_int, c_int),
    Family(u16),
    Seccomp,
    Bpf(Vec<u8>),
    Ports(Vec<u32>, bool),
    NoLandlock,
    Clone,
    Command(Text, Vec<Text>),
}

fuzz_target!(|steps: Vec<Step>| {
    // SAFETY: every pointer is NULL, or a live object of the library, or a string or array that
    // outlives the call.
    unsafe { perform(&steps) }
});

unsafe fn perform(steps: &[Step]) {
    unsafe {
        let mut sandbox = c::sandbox::seclude_sandbox_new();
        let mut filter = c::seccomp::seclude_seccomp_new(c"default".as_ptr());
        for step in steps {
            match step {
                Step::Share(kind) => c::sandbox::seclude_sandbox_share(sandbox, *kind),
                Step::Unshare(kind) => c::sandbox::seclude_sandbox_unshare(sandbox, *kind),
                Step::ClockOffset(clock, seconds) => {
                    c::sandbox::seclude_sandbox_clock_offset(sandbox, *clock, *seconds)
                }
                Step::Hostname(name) => {
                    name.with(|name| c::sandbox::seclude_sandbox_hostname(sandbox, name))
                }
                Step::Domainname(name) => {
                    name.with(|name| c::sandbox::seclude_sandbox_domainname(sandbox, name))
                }
                Step::Ids(uid, gid, host) => {
                    c::sandbox::seclude_sandbox_uid(sandbox, *uid);
                    c::sandbox::seclude_sandbox_gid(sandbox, *gid);
                    c::sandbox::seclude_sandbox_host_ids(sandbox, *host);
                }
                Step::User(name) => {
                    name.with(|name| c::sandbox::seclude_sandbox_user(sandbox, name))
                }
                Step::Home(path) => {
                    path.with(|path| c::sandbox::seclude_sandbox_home(sandbox, path))
                }
                Step::Root(path) => path.with(|path| c::files::seclude_sandbox_root(sandbox, path)),
                Step::EmptyRoot => c::files::seclude_sandbox_empty_root(sandbox),
                Step::WritableRoot => c::sandbox::seclude_sandbox_writable_root(sandbox),
                Step::Terminals => c::files::seclude_sandbox_terminals(sandbox),
                Step::NoTerminals => c::files::seclude_sandbox_no_terminals(sandbox),
                Step::Etc(name) => name.with(|name| {
                    c::files::seclude_sandbox_etc(sandbox, [name, std::ptr::null()].as_ptr())
                }),
                Step::Bind(source, at, flags) => {
                    source.with(|source| {
                        at.with(|at| c::files::seclude_sandbox_bind(sandbox, source, at, *flags))
                    });
                }
                Step::Tmpfs(at, size) => {
                    at.with(|at| c::files::seclude_sandbox_tmpfs(sandbox, at, *size))
                }
                Step::TmpfsWith(at, size, inodes, mode, flags) => {
                    at.with(|at| {
                        c::files::seclude_sandbox_tmpfs_with(
                            sandbox, at, *size, *inodes, *mode, *flags,
                        )
                    });
                }
                Step::Overlay(layer, at, size, inodes) => {
                    layer.with(|layer| {
                        let layers = [layer, std::ptr::null()];
                        at.with(|at| {
                            c::files::seclude_sandbox_overlay(
                                sandbox, layers.as_ptr(), at, layer, *size, *inodes,
                            )
                        });
                    });
                }
                Step::Dir(at, mode) => {
                    at.with(|at| c::files::seclude_sandbox_dir(sandbox, at, *mode))
                }
                Step::Symlink(target, at) => {
                    target.with(|target| {
                        at.with(|at| c::files::seclude_sandbox_symlink(sandbox, target, at))
                    });
                }
                Step::File(at, data, mode) => {
                    let (start, size) = data
                        .as_ref()
                        .map_or((ptr::null(), 3), |data| (data.as_ptr().cast(), data.len()));
                    at.with(|at| c::files::seclude_sandbox_file(sandbox, at, start, size, *mode));
                }
                Step::Nested => c::sandbox::seclude_sandbox_nested(sandbox),
                Step::Rlimit(resource, soft, hard) => {
                    c::limits::seclude_sandbox_rlimit(sandbox, *resource, *soft, *hard)
                }
                Step::Limits(memory, swap, pids, weight) => {
                    c::limits::seclude_sandbox_memory(sandbox, *memory);
                    c::limits::seclude_sandbox_swap(sandbox, *swap);
                    c::limits::seclude_sandbox_pids(sandbox, *pids);
                    c::limits::seclude_sandbox_cpu_weight(sandbox, *weight);
                }
                Step::Cpus(number) => c::limits::seclude_sandbox_cpus(sandbox, *number),
                Step::CpuSet(numbers) => {
                    c::limits::seclude_sandbox_cpu_set(sandbox, numbers.as_ptr(), numbers.len())
                }
                Step::Profile(name) => {
                    c::seccomp::seclude_seccomp_free(filter);
                    filter = name.with(|name| c::seccomp::seclude_seccomp_new(name));
                }
                Step::Rule(call, action, errnum) => call
                    .with(|call| c::seccomp::seclude_seccomp_rule(filter, call, *action, *errnum)),
                Step::When(argument, compare, value, mask, wide) => {
                    c::seccomp::seclude_seccomp_when(
                        filter, *argument, *compare, *value, *mask, *wide,
                    );
                }
                Step::Otherwise(action, errnum) => {
                    c::seccomp::seclude_seccomp_otherwise(filter, *action, *errnum)
                }
                Step::Family(family) => c::seccomp::seclude_seccomp_socket_family(filter, *family),
                Step::Seccomp => c::seccomp::seclude_sandbox_seccomp(sandbox, filter),
                Step::Bpf(program) => c::seccomp::seclude_sandbox_seccomp_bpf(
                    sandbox,
                    program.as_ptr().cast(),
                    program.len(),
                ),
                Step::Ports(ports, bind) => {
                    let set = if *bind {
                        c::landlock::seclude_sandbox_tcp_bind
                    } else {
                        c::landlock::seclude_sandbox_tcp_connect
                    };
                    set(sandbox, ports.as_ptr(), ports.len());
                }
                Step::NoLandlock => c::landlock::seclude_sandbox_no_landlock(sandbox),
                Step::Clone => {
                    let copy = c::sandbox::seclude_sandbox_clone(sandbox);
                    c::sandbox::seclude_sandbox_free(std::mem::replace(&mut sandbox, copy));
                }
                Step::Command(program, arguments) => {
                    let command = program
                        .with(|program| c::command::seclude_sandbox_command(sandbox, program));
                    for argument in arguments {
                        argument
                            .with(|argument| c::command::seclude_command_arg(command, argument));
                    }
                    c::command::seclude_command_free(command);
                }
            }
        }
        let mut err = ptr::null_mut();
        if c::sandbox::seclude_sandbox_check(sandbox, &mut err) < 0 {
            assert!(!c::error::seclude_error_message(err).is_null());
            c::error::seclude_error_free(err);
        }
        let mut text = ptr::null_mut();
        if c::policy::seclude_sandbox_to_json(sandbox, &mut text, ptr::null_mut()) == 0 {
            let mut again = ptr::null_mut();
            assert_eq!(
                c::policy::seclude_sandbox_from_json(
                    c::text::seclude_text_string(text),
                    &mut again,
                    ptr::null_mut()
                ),
                0
            );
            c::sandbox::seclude_sandbox_free(again);
        }
        c::text::seclude_text_free(text);
        c::seccomp::seclude_seccomp_free(filter);
        c::sandbox::seclude_sandbox_free(sandbox);
    }
}
