//! From what a command line of bubblewrap asks for to a sandbox.

use super::asked::{Asked, Operation, What, parents};
use super::{Refusal, Result, layout};
use nix::sys::resource::{Resource as Limited, getrlimit};
use nix::unistd::{getegid, geteuid};
use seclude::{
    Bind, Capability, Chmod, Dev, Dir, Entry, File, Mqueue, Namespace, Overlay, Proc, Profile,
    ReadOnly, Resource, Sandbox, Symlink, Tmpfs,
};
use std::collections::BTreeSet;
use std::fs;

/// The limits that the library lowers by default. Here they stay those of the caller.
const LIMITS: [(Resource, Limited); 5] = [
    (Resource::Core, Limited::RLIMIT_CORE),
    (Resource::Nofile, Limited::RLIMIT_NOFILE),
    (Resource::Memlock, Limited::RLIMIT_MEMLOCK),
    (Resource::Stack, Limited::RLIMIT_STACK),
    (Resource::Sigpending, Limited::RLIMIT_SIGPENDING),
];

/// The sandbox. `Asked` has been checked.
pub fn sandbox(asked: &Asked) -> Result<Sandbox> {
    let caller = Caller::read()?;
    let own_user = asked.userns.is_none()
        && (asked.try_user || asked.unshare.contains(&Namespace::User) || !caller.is_privileged());
    let (uid, gid) = (asked.uid.unwrap_or(caller.uid), asked.gid.unwrap_or(caller.gid));
    let named = [("--uid", asked.uid), ("--gid", asked.gid)];
    if let Some((option, _)) = named.iter().find(|(_, id)| id.is_some())
        && !own_user
        && asked.userns.is_none()
    {
        return Err(Refusal::new(format!("{option} requires --unshare-user or --userns")));
    }
    let mut sandbox = Sandbox::new()
        .exact_files()
        .as_caller()
        .uid(uid)
        .gid(gid)
        .no_landlock()
        .seccomp(Profile::Unconfined);
    if !asked.disable_userns {
        sandbox = sandbox.nested();
    }
    for kind in shared(asked, own_user) {
        sandbox = sandbox.share(kind);
    }
    if let Some(name) = &asked.hostname {
        sandbox = sandbox.hostname(name);
    } else if asked.unshare.contains(&Namespace::Uts)
        && let Some(name) = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok())
    {
        sandbox = sandbox.hostname(name);
    }
    for capability in capabilities(asked, &caller, uid)? {
        sandbox = sandbox.capability(capability);
    }
    for (resource, limited) in LIMITS {
        if let Ok((soft, hard)) = getrlimit(limited) {
            sandbox = sandbox.rlimit(resource, soft, hard);
        }
    }
    for program in asked.seccomp.iter().chain(&asked.more_seccomp) {
        sandbox = sandbox.seccomp_bpf(program.clone());
    }
    for operation in &asked.operations {
        sandbox = add(sandbox, operation);
    }
    if asked.as_pid_1 {
        sandbox = sandbox.as_pid_1();
    }
    Ok(sandbox)
}

/// The kinds of namespace that the sandbox shares with the caller.
fn shared(asked: &Asked, own_user: bool) -> Vec<Namespace> {
    let is_shared = |kind: &Namespace| match kind {
        Namespace::Mount => false,
        Namespace::Time => false,
        Namespace::User => !own_user && asked.userns.is_none(),
        // Without a pid namespace, the warden finds the processes inside by /proc.
        Namespace::Pid => {
            !asked.unshare.contains(kind)
                && asked.pidns.is_none()
                && layout::has_proc(&asked.operations)
        }
        Namespace::Ipc | Namespace::Net | Namespace::Uts | Namespace::Cgroup => {
            !asked.unshare.contains(kind)
        }
    };
    Namespace::ALL.iter().copied().filter(is_shared).collect()
}

fn add(mut sandbox: Sandbox, Operation { at, what, parents: mode }: &Operation) -> Sandbox {
    if *mode != 0o755 {
        for parent in parents(at) {
            sandbox = sandbox.entry(Dir::new(parent).mode(*mode));
        }
    }
    let entry: Entry = match what {
        What::Bind { source, writable, devices } => {
            let bind = Bind::new(source, at);
            let bind = if *writable { bind.writable() } else { bind };
            if *devices { bind.devices().into() } else { bind.into() }
        }
        What::Proc => Proc::new(at).into(),
        What::Dev => Dev::new(at).into(),
        What::Tmpfs { mode, size: Some(size) } => Tmpfs::new(at).mode(*mode).size(*size).into(),
        What::Tmpfs { mode, size: None } => Tmpfs::new(at).mode(*mode).into(),
        What::Overlay { layers, writable } => {
            // bubblewrap has no bound.
            const MOST: u64 = 1 << 50;
            let overlay = Overlay::new(layers, at).size(MOST).inodes(MOST).into();
            if *writable {
                overlay
            } else {
                sandbox = sandbox.entry(overlay);
                ReadOnly::new(at).into()
            }
        }
        What::Mqueue => Mqueue::new(at).into(),
        What::Dir { mode } => Dir::new(at).mode(*mode).into(),
        What::Symlink { target } => Symlink::new(target, at).into(),
        What::File { data, mode } => File::new(at, data.clone()).mode(*mode).into(),
        What::BoundFile { data, mode, writable } => {
            let file = File::new(at, data.clone()).mode(*mode).bound();
            if *writable { file.writable().into() } else { file.into() }
        }
        What::Chmod { mode } => Chmod::new(at).mode(*mode).into(),
        What::RemountReadOnly => ReadOnly::new(at).into(),
    };
    sandbox.entry(entry)
}

/// The capabilities that the program keeps.
///
/// Those of root are kept by default, as far as the program is root inside. For another user they
/// would be no use without `--cap-add`.
fn capabilities(asked: &Asked, caller: &Caller, uid: u32) -> Result<BTreeSet<Capability>> {
    let all = || {
        let bounded = |one: &Capability| caller.bounding >> one.number() & 1 != 0;
        Capability::ALL.iter().copied().filter(bounded)
    };
    let mut kept = BTreeSet::new();
    if caller.uid == 0 && uid == 0 {
        kept.extend(all());
    }
    for (add, which) in &asked.capabilities {
        match (add, which) {
            (true, Some(one)) => drop(kept.insert(*one)),
            (true, None) => kept.extend(all()),
            (false, Some(one)) => drop(kept.remove(one)),
            (false, None) => kept.clear(),
        }
    }
    let named =
        |change: &(bool, Option<Capability>)| *change == (true, Some(Capability::SysResource));
    // With it, a program could allow user namespaces again.
    if asked.disable_userns
        && kept.remove(&Capability::SysResource)
        && asked.capabilities.iter().any(named)
    {
        return Err(Refusal::new(
            "--cap-add CAP_SYS_RESOURCE is refused: it undoes --disable-userns",
        ));
    }
    Ok(kept)
}

/// What this process is.
struct Caller {
    uid: u32,
    gid: u32,
    effective: u64,
    bounding: u64,
}

impl Caller {
    fn read() -> Result<Caller> {
        let text = fs::read_to_string("/proc/self/status")
            .map_err(|error| Refusal::new(format!("read /proc/self/status: {error}")))?;
        let set = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0)
        };
        Ok(Caller {
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
            effective: set("CapEff:"),
            bounding: set("CapBnd:"),
        })
    }

    /// Whether it can make the other namespaces without a user namespace.
    fn is_privileged(&self) -> bool {
        [Capability::SysAdmin, Capability::Setuid, Capability::Setgid, Capability::Setpcap]
            .iter()
            .all(|one| self.effective >> one.number() & 1 != 0)
    }
}
