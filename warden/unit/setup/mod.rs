//! Tests of set-up against the fake kernel: the order of its calls, what follows when one of them
//! fails, and what is read back.

mod failures;
mod older;
mod order;
mod read_back;

use super::std;
use crate::control::{Control, RequestBuffer};
use crate::setup;
use crate::sys::fake_kernel::{self, Kernel};
use crate::wire::codec::{List, ListBuilder, Sink, Wire};
use crate::wire::message::{Request, VERSION};
use crate::wire::plan::{IdRange, Step, attribute, guard, landlock, namespace, protection};
use core::ffi::CStr;
use std::string::String;
use std::sync::LazyLock;
use std::vec::Vec;

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

const USER: u32 = 1000;
const CALLER: u32 = 5000;
/// What must be covered in proc. The last one does not exist.
const MASKED: [&CStr; 4] = [c"/proc/kcore", c"/proc/acpi", c"/proc/scsi", c"/proc/nothing"];
/// The protections of the warden's filter.
const OF_FILTER: u64 = protection::FILTERED_WARDEN | protection::WARDEN_GUARDED;
/// The protections of the plan below.
const ALL: u64 = protection::KILL_BY_NAMESPACE
    | protection::GROUPS
    | protection::NO_NESTED_USERS
    | protection::MASKED_PROC
    | protection::ROOT
    | protection::READ_ONLY_ROOT
    | protection::LANDLOCK_FILES
    | protection::LANDLOCK_SIGNALS
    | protection::LANDLOCK_SOCKETS
    | protection::KEYRING
    | protection::CAPABILITIES
    | protection::SECUREBITS
    | protection::NO_NEW_PRIVS
    | protection::WARDEN_HIDDEN
    | OF_FILTER;

/// One instruction of a filter, which compares with the process id of the warden: in the plan, and
/// as it must be loaded.
const PROGRAM: [u8; 8] = compares_with(guard::OWN);
const LOADED: [u8; 8] = compares_with(1);

const fn compares_with(pid: u32) -> [u8; 8] {
    let ([a, b], [c, d, e, f]) = (0x15u16.to_ne_bytes(), pid.to_ne_bytes());
    [a, b, 0, 0, c, d, e, f]
}

fn paths(given: &[&'static CStr]) -> ListBuilder<Vec<u8>> {
    let mut list = ListBuilder::new(Vec::new());
    given.iter().for_each(|path| list.push(path));
    list
}

type Paths = LazyLock<ListBuilder<Vec<u8>>>;
static SHOWN: Paths = LazyLock::new(|| paths(&[c"usr", c"bin", c"sbin"]));
static NONE: Paths = LazyLock::new(|| paths(&[]));
static MASKED_LIST: Paths = LazyLock::new(|| paths(&MASKED));
static KNOBS: Paths = LazyLock::new(|| paths(&[c"/proc/sys", c"/proc/irq"]));
static READABLE: Paths = LazyLock::new(|| paths(&[c"/usr", c"/data/input"]));
static WRITABLE: Paths = LazyLock::new(|| paths(&[c"/tmp"]));
static DEVICES: Paths = LazyLock::new(|| paths(&[c"/dev/null"]));

fn list<T>(of: &'static Paths) -> List<'static, T> {
    of.list()
}

/// The lines of an id map, for the rest of the test.
fn lines(of: &[IdRange]) -> List<'static, IdRange> {
    let mut list = ListBuilder::new(Vec::new());
    of.iter().for_each(|line| list.push(line));
    std::boxed::Box::leak(std::boxed::Box::new(list)).list()
}

/// The steps of a sandbox of an unprivileged caller with the default policy, one bind and one
/// tmpfs, in the order of `core/src/plan.rs`.
fn plan() -> Vec<Step<'static>> {
    const DATA: u32 = 1;
    const NULL: u32 = 2;
    let map = lines(&[IdRange { inside: USER, outside: 0, count: 1 }]);
    let fixed = attribute::READ_ONLY | attribute::NO_SUID;
    [
        Step::Attributes {},
        Step::Source { path: c"/", optional: false, follow: true },
        Step::Source { path: c"/srv/data", optional: false, follow: true },
        Step::Device { path: c"/dev/null", major: 1, minor: 3 },
        Step::Await { trees: 0 },
        Step::MapOwnIds { uid: USER, gid: USER },
        Step::CheckMaps { uids: map, gids: map, own: true },
        Step::BecomeUser { uid: USER, gid: USER, groups: list(&NONE), exact: false },
        Step::Readable { source: DATA },
        Step::HostName { name: b"sandbox" },
        Step::Loopback {},
        Step::CgroupNamespace {},
        Step::Watch { own: true, alone: true },
        Step::PrivateMounts {},
        Step::Root { size: 1 << 20, inodes: 0, anywhere: false },
        Step::Populate {
            source: 0,
            at: c"/",
            names: list(&SHOWN),
            except: list(&NONE),
            attributes: fixed | attribute::NO_DEV,
        },
        Step::Directory { at: c"/dev", mode: 0o755 },
        Step::Bind {
            source: NULL,
            at: c"/dev/null",
            attributes: fixed | attribute::NO_EXEC,
            tree: false,
        },
        Step::Symlink { at: c"/dev/stdin", target: c"/proc/self/fd/0" },
        Step::Proc { at: c"/proc", hide: true, subset: false },
        Step::Terminals { at: c"/dev/pts" },
        Step::Tmpfs { at: c"/tmp", size: 1 << 20, inodes: 100, mode: 0o1777, attributes: 6 },
        Step::Bind {
            source: DATA,
            at: c"/data/input",
            attributes: fixed | attribute::NO_DEV,
            tree: false,
        },
        Step::File { at: c"/etc/passwd", mode: 0o644, data: b"user:x:1000:", optional: true },
        Step::NoNestedUsers { given: false },
        Step::ReadOnly { paths: list(&KNOBS) },
        Step::Mask { paths: list(&MASKED_LIST), null: NULL },
        Step::Pivot {},
        Step::ReadOnlyRoot {},
        Step::Landlock {
            rules: landlock::FILES | landlock::MOUNTLESS | landlock::SIGNALS | landlock::SOCKETS,
            readable: list(&READABLE),
            writable: list(&WRITABLE),
            devices: list(&DEVICES),
            bind: list(&NONE),
            connect: list(&NONE),
        },
        Step::Keyring { dispensable: true },
        Step::Seal { capabilities: 0, unprivileged: false },
        Step::Filter { program: &PROGRAM, protections: OF_FILTER, entrant: false },
    ]
    .into()
}

/// The index of the first step of this kind in the plan.
fn index_of(plan: &[Step<'_>], kind: impl Fn(&Step<'_>) -> bool) -> usize {
    plan.iter().position(kind).expect("the plan has such a step")
}

/// The protections that hold in this kernel.
fn in_force(kernel: &Kernel) -> u64 {
    let masked: Vec<&str> = MASKED.iter().filter_map(|path| path.to_str().ok()).collect();
    kernel.protections(&masked, (&LOADED, OF_FILTER))
}

/// The result of set-up in plain values.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Finished { protections: u64, landlock: u32 },
    Refused { step: u32, errno: i32, reason: u32, call: i32, path: String },
}

/// A kernel before the request of set-up, which is on its way.
fn kernel(plan: &[Step<'_>], classic_mounts: bool) -> Kernel {
    let mut steps = ListBuilder::new(Vec::new());
    plan.iter().for_each(|step| steps.push(step));
    let mut message = Vec::new();
    Request::Setup {
        version: VERSION,
        namespaces: namespace::MOUNT | namespace::PID | namespace::USER,
        outside_uid: CALLER,
        outside_gid: CALLER,
        classic_mounts,
        report_ready: true,
        plan: steps.list(),
    }
    .encode(&mut message);
    let mut admitted = Vec::new();
    Request::Admitted {}.encode(&mut admitted);
    Kernel::new(message).then(admitted)
}

/// Receives the request and applies its plan. The calls of the kernel are those of `setup::apply`
/// and what drops its result.
fn apply(kernel: Kernel) -> (Outcome, Kernel) {
    fake_kernel::run(kernel, || {
        let control = Control::new();
        let mut incoming = RequestBuffer::new();
        control.receive(&mut incoming).unwrap_or_else(|errno| panic!("no request: {}", errno.0));
        fake_kernel::begin();
        match setup::apply(&control, &incoming) {
            Ok(finished) => {
                Outcome::Finished { protections: finished.protections, landlock: finished.landlock }
            }
            Err(refusal) => Outcome::Refused {
                step: refusal.step,
                errno: refusal.errno.0,
                reason: refusal.reason,
                call: refusal.call,
                path: String::from_utf8_lossy(refusal.path.as_bytes()).into_owned(),
            },
        }
    })
}

/// The calls of each step: first those before the plan, then one part for each step, then what
/// closes the rest.
fn parts(plan: &[Step<'_>], classic: bool) -> Vec<Vec<String>> {
    let (_, whole) = apply(kernel(plan, classic).with_lines());
    let lines: Vec<String> = whole.calls().map(|(_, _, line)| line.into()).collect();
    // A shorter plan makes the same calls up to its end, and then only gives back what it holds. No
    // step begins with such a call.
    let ends = (0..plan.len()).map(|count| {
        let (_, shorter) = apply(kernel(&plan[..count], classic));
        whole.calls().zip(shorter.calls()).take_while(|(a, b)| a.0 == b.0).count()
    });
    let gives_back =
        |line: &&String| ["close", "munmap", "madvise"].iter().any(|name| line.starts_with(name));
    let closing = lines.iter().rev().take_while(gives_back).count();
    let mut start = 0;
    ends.chain([lines.len() - closing, lines.len()])
        .map(|end| {
            let part = lines[start..end].to_vec();
            start = end;
            part
        })
        .collect()
}
