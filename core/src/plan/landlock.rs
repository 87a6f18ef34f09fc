//! The step that creates the Landlock ruleset. It repeats the restrictions of the mounts and
//! namespaces as a second line of defence.

use super::{Builder, c_string};
use crate::base::error::Result;
use crate::policy::profile;
use crate::policy::{Access, Namespace, Policy};
use crate::wire::codec::ListBuilder;
use crate::wire::plan::{Step, landlock};
use std::collections::BTreeSet;
use std::path::Path;

impl Builder {
    /// Pushes the step, unless there is nothing to restrict.
    ///
    /// `entered`: the command enters a cell from outside. It gets no rules on signals and sockets,
    /// because the processes of the cell are outside of its own Landlock domain.
    pub(super) fn landlock(&mut self, policy: &Policy, entered: bool) -> Result<()> {
        if !policy.landlock {
            return Ok(());
        }
        let when = |condition: bool, rule: u32| if condition { rule } else { 0 };
        // With nested sandboxes there are few rules: a ruleset on files forbids mounts, which
        // sandboxes need, and the kernel allows at most 16 nested rulesets. There are no rules on
        // files if the mount namespace is shared, because then all files are the caller's. Nor are
        // there if the ipc namespace is shared: POSIX message queues are files, too, and those of
        // the caller have no path that a rule could allow.
        let unnested = !policy.nested;
        let files = unnested && policy.private(Namespace::Mount) && policy.private(Namespace::Ipc);
        let rules = when(files, landlock::FILES)
            | when(unnested, landlock::MOUNTLESS)
            | when(unnested && !entered, landlock::SIGNALS)
            | when(unnested && !entered && policy.has_own_network(), landlock::SOCKETS)
            | when(policy.tcp_bind.is_some(), landlock::BIND)
            | when(policy.tcp_connect.is_some(), landlock::CONNECT);
        let (mut readable, mut writable, mut devices) = (Vec::new(), Vec::new(), Vec::new());
        if files {
            let root_may_be = policy.writable_root || policy.exact_files;
            if root_may_be { &mut writable } else { &mut readable }.push(Path::new("/"));
            devices.extend(profile::WRITABLE.iter().map(|path| super::path_of(path)));
            if policy.has_terminals() {
                devices.extend([profile::TERMINAL.1, profile::TERMINALS].map(super::path_of));
            }
            for entry in &policy.files {
                match entry.access() {
                    Access::Write => writable.push(entry.at()),
                    Access::Devices => devices.push(entry.at()),
                    Access::AsRoot => {}
                }
            }
        }
        if rules & !landlock::MOUNTLESS == 0 {
            return Ok(());
        }
        self.ruleset(policy, rules, [&readable, &writable, &devices])
    }

    /// Pushes the step. The paths are those that may be read, written, and written as devices.
    pub(super) fn ruleset(
        &mut self,
        policy: &Policy,
        rules: u32,
        [readable, writable, devices]: [&[impl AsRef<Path>]; 3],
    ) -> Result<()> {
        let (readable, writable, devices) = (list(readable)?, list(writable)?, list(devices)?);
        let (bind, connect) = (ports(&policy.tcp_bind), ports(&policy.tcp_connect));
        let step = Step::Landlock {
            rules,
            readable: readable.list(),
            writable: writable.list(),
            devices: devices.list(),
            bind: bind.list(),
            connect: connect.list(),
        };
        self.push(step, "make a Landlock ruleset");
        Ok(())
    }
}

fn list(paths: &[impl AsRef<Path>]) -> Result<ListBuilder<Vec<u8>>> {
    let mut list = ListBuilder::new(Vec::new());
    for path in paths {
        list.push(&&*c_string(path.as_ref())?);
    }
    Ok(list)
}

fn ports(ports: &Option<BTreeSet<u16>>) -> ListBuilder<Vec<u8>> {
    let mut list = ListBuilder::new(Vec::new());
    ports.iter().flatten().for_each(|port| list.push(port));
    list
}
