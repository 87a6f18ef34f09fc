//! The request to systemd: chooses the manager and its bus, sends the request, and checks the
//! result.

use super::SystemdRefusal;
use super::bus::{Address, Bus, Fault};
use super::message::{Kind, Message, Target};
use crate::base::error::Shortage;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zvariant::{OwnedObjectPath, Value};

/// The time limit for the whole exchange. systemd usually replies within about ten milliseconds. A
/// spawn must not wait for a manager that does not reply.
pub const LIMIT: Duration = Duration::from_secs(2);

const MANAGER: Target = Target {
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
};

/// See [`super::scope`].
pub fn scope(pid: u32, name: &str) -> Result<PathBuf, SystemdRefusal> {
    // sd_booted(3).
    if !Path::new("/run/systemd/system").is_dir() {
        return Err(SystemdRefusal::new(
            "systemd does not run this system: there is no /run/systemd/system",
        ));
    }
    let uid = nix::unistd::geteuid().as_raw();
    let addresses = addresses(uid, |name| std::env::var(name).ok());
    let unit = format!("{name}.scope");
    ask(&addresses, pid, &unit, LIMIT)?;
    let membership = fs::read_to_string(format!("/proc/{pid}/cgroup")).map_err(|error| {
        let action = format!("read /proc/{pid}/cgroup");
        match error.raw_os_error().filter(|errno| Shortage::of(*errno).is_some()) {
            Some(errno) => SystemdRefusal::short(&action, errno),
            None => SystemdRefusal::new(format!("{action}: {error}")),
        }
    })?;
    cgroup_of(&membership, &unit)
}

/// The addresses where the manager's bus may be, the likeliest first: sd_bus_default(3). An address
/// without a manager is skipped: the environment may be another user's (su) or name a private bus
/// (dbus-run-session).
pub fn addresses(uid: u32, variable: impl Fn(&str) -> Option<String>) -> Vec<Address> {
    let (named, sockets) = match uid {
        0 => (variable("DBUS_SYSTEM_BUS_ADDRESS"), vec!["/run/dbus/system_bus_socket".to_owned()]),
        uid => {
            let own = variable("XDG_RUNTIME_DIR").filter(|directory| directory.starts_with('/'));
            let own = own.map(|directory| format!("{}/bus", directory.trim_end_matches('/')));
            (
                variable("DBUS_SESSION_BUS_ADDRESS"),
                own.into_iter().chain([format!("/run/user/{uid}/bus")]).collect(),
            )
        }
    };
    let mut addresses = Address::parse(&named.unwrap_or_default());
    for address in sockets.iter().filter_map(|path| Address::path(path)) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// Asks the manager on the first bus that has one to create `unit` around `pid`. `limit` is the
/// time for the whole exchange.
pub fn ask(
    addresses: &[Address],
    pid: u32,
    unit: &str,
    limit: Duration,
) -> Result<(), SystemdRefusal> {
    let until = Instant::now() + limit;
    let mut refusal = SystemdRefusal::new("there is no bus to ask systemd on");
    for address in addresses {
        match converse(address, pid, unit, until) {
            Ok(()) => return Ok(()),
            Err(JobEnd::NoManager(cause)) => refusal = SystemdRefusal::new(cause),
            Err(JobEnd::Refused(refusal)) => return Err(refusal),
            Err(JobEnd::Faulty(fault, what)) => return Err(refused(fault, &what, limit)),
        }
    }
    Err(refusal.hint(remedy()))
}

/// Why this bus provided no scope.
enum JobEnd {
    /// No manager received a request. Another bus may have one.
    NoManager(String),
    Refused(SystemdRefusal),
    /// The bus failed at this.
    Faulty(Fault, String),
}

fn converse(address: &Address, pid: u32, unit: &str, until: Instant) -> Result<(), JobEnd> {
    let (mut bus, name) = Bus::open(address, until).map_err(|fault| before(fault, address))?;
    // systemd interprets the process id in its own pid namespace. In another one it would move an
    // unrelated process.
    let known_as = bus.process_of(&name).map_err(|fault| before(fault, address))?;
    if known_as != std::process::id() {
        return Err(JobEnd::Refused(SystemdRefusal::new(format!(
            "the bus at {address} is in another pid namespace"
        ))));
    }
    // Subscribe before the request: the signal may be sent right after its reply.
    bus.add_match(concat!(
        "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',",
        "interface='org.freedesktop.systemd1.Manager',member='JobRemoved'"
    ))
    .map_err(|fault| before(fault, address))?;
    let job = start(&mut bus, pid, unit).map_err(|fault| match fault {
        Fault::Answer { name, .. } if is_absence(&name) => {
            JobEnd::NoManager(format!("no systemd manager is on the bus at {address}"))
        }
        fault => JobEnd::Faulty(fault, format!("systemd does not start {unit}")),
    })?;
    let result = finished(&mut bus, &job)
        .map_err(|fault| JobEnd::Faulty(fault, format!("systemd does not finish {unit}")))?;
    match result.as_str() {
        "done" => Ok(()),
        result => Err(JobEnd::Refused(SystemdRefusal::new(format!(
            "systemd's job for {unit} ended as {result:?}"
        )))),
    }
}

/// Calls StartTransientUnit of org.freedesktop.systemd1(5). Returns the job.
fn start(bus: &mut Bus, pid: u32, unit: &str) -> Result<OwnedObjectPath, Fault> {
    let properties: Vec<(&str, Value<'_>)> = vec![
        ("Description", Value::from(format!("sandbox of process {}", std::process::id()))),
        ("Delegate", Value::from(true)),
        // Has systemd unload the scope even if it failed: nobody asks for its state later.
        ("CollectMode", Value::from("inactive-or-failed")),
        ("PIDs", Value::from(vec![pid])),
    ];
    let others: Vec<(&str, Vec<(&str, Value<'_>)>)> = Vec::new();
    // Mode "fail": an existing unit of this name is not ours.
    bus.ask::<_, (OwnedObjectPath,)>(
        &MANAGER,
        "StartTransientUnit",
        &(unit, "fail", properties, others),
    )
    .map(|(job,)| job)
}

/// Waits until the job is done and returns its result.
fn finished(bus: &mut Bus, job: &OwnedObjectPath) -> Result<String, Fault> {
    loop {
        let message = bus.receive()?;
        if let Some(result) = removed(&message, job) {
            return Ok(result);
        }
    }
}

fn removed(message: &Message, job: &OwnedObjectPath) -> Option<String> {
    let Kind::Signal { path, interface, member } = &message.kind else { return None };
    let is_ours = path == MANAGER.path && interface == MANAGER.interface && member == "JobRemoved";
    let (_, of, _, result) =
        message.arguments::<(u32, OwnedObjectPath, String, String)>().filter(|_| is_ours)?;
    (of == *job).then_some(result)
}

/// Converts a fault that came before the request to systemd.
fn before(fault: Fault, address: &Address) -> JobEnd {
    match fault {
        Fault::Broken(cause) => JobEnd::NoManager(cause),
        fault => JobEnd::Faulty(fault, format!("the bus at {address} does not let us in")),
    }
}

fn refused(fault: Fault, what: &str, limit: Duration) -> SystemdRefusal {
    match fault {
        Fault::Broken(cause) => SystemdRefusal::new(format!("{what}: {cause}")),
        Fault::Short(errno) => SystemdRefusal::short(what, errno as i32),
        Fault::Late => {
            SystemdRefusal::new(format!("{what}: no answer within {} s", limit.as_secs_f64()))
        }
        Fault::Answer { name, text } => {
            let refusal =
                SystemdRefusal::new(format!("{what}: {} ({name})", text.trim_end_matches('.')));
            let denied = name.ends_with(".AccessDenied")
                || name.ends_with(".InteractiveAuthorizationRequired");
            if denied { refusal.hint(remedy()) } else { refusal }
        }
    }
}

/// Whether an error name means that there is no such service on the bus.
fn is_absence(name: &str) -> bool {
    let name = name.strip_prefix("org.freedesktop.DBus.Error.").unwrap_or_default();
    matches!(name, "ServiceUnknown" | "NameHasNoOwner" | "UnknownMethod" | "UnknownObject")
        || name.starts_with("Spawn.")
}

/// How the caller can get a cgroup of its own without this request.
fn remedy() -> String {
    match nix::unistd::geteuid().as_raw() {
        0 => "start the caller in a service or scope with Delegate=yes".to_owned(),
        uid => format!(
            "start the caller in a service with Delegate=yes, or have the user's manager \
            started: `loginctl enable-linger {uid}`"
        ),
    }
}

/// The v2 cgroup in `membership`, the text of a `/proc/PID/cgroup` file. It must be the unit's own.
pub fn cgroup_of(membership: &str, unit: &str) -> Result<PathBuf, SystemdRefusal> {
    let Some(path) =
        membership.lines().find_map(|line| line.strip_prefix("0::")).map(PathBuf::from)
    else {
        return Err(SystemdRefusal::new("the process is in no cgroup of the v2 hierarchy"));
    };
    match path.file_name().is_some_and(|name| name == unit) {
        true => Ok(path),
        false => Err(SystemdRefusal::new(format!(
            "systemd reports {unit} as started, but the process is in {}",
            path.display()
        ))),
    }
}
