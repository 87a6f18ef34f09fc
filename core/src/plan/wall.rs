//! The step that makes the second wall ready: what the mounts say, once more, by paths.

use super::{Builder, c_string};
use crate::base::error::Result;
use crate::policy::profile;
use crate::policy::{Entry, Namespace, Policy};
use crate::wire::codec::ListBuilder;
use crate::wire::plan::{Step, wall};
use std::collections::BTreeSet;
use std::path::Path;

impl Builder {
    /// `entered`: who comes into a cell from outside is to reach what is there, which would be
    /// outside a wall of its own.
    pub(super) fn wall(&mut self, policy: &Policy, entered: bool) -> Result<()> {
        if !policy.landlock {
            return Ok(());
        }
        let when = |condition: bool, rule: u32| if condition { rule } else { 0 };
        // Who is held to files may make no mounts, and so no sandboxes, and 16 rulesets are the
        // most, one within the other. Whose files are the caller's own is not held to any;
        // message queues are files, too, but those of the caller's cannot be named.
        let within = !policy.nested;
        let files = within && policy.private(Namespace::Mount) && policy.private(Namespace::Ipc);
        let rules = when(files, wall::FILES)
            | when(within, wall::MOUNTLESS)
            | when(within && !entered, wall::SIGNALS)
            | when(within && !entered && policy.private(Namespace::Net), wall::SOCKETS)
            | when(policy.tcp_bind.is_some(), wall::BIND)
            | when(policy.tcp_connect.is_some(), wall::CONNECT);
        let (mut readable, mut writable, mut devices) = (Vec::new(), Vec::new(), Vec::new());
        if files {
            if policy.writable_root { &mut writable } else { &mut readable }.push(Path::new("/"));
            devices.extend(profile::WRITABLE.iter().map(|path| super::path_of(path)));
            if policy.has_terminals() {
                devices.extend([profile::TERMINAL.1, profile::TERMINALS].map(super::path_of));
            }
            for entry in &policy.files {
                match entry {
                    Entry::Bind(bind) => match (bind.writable, bind.devices) {
                        (true, _) => writable.push(&bind.at),
                        (false, true) => devices.push(&bind.at),
                        (false, false) => {}
                    },
                    Entry::Tmpfs(tmpfs) => writable.push(&tmpfs.at),
                    // They stand in the root, which is writable or not as a whole.
                    Entry::Dir { .. } | Entry::Symlink { .. } | Entry::File { .. } => {}
                }
            }
        }
        if rules & !wall::MOUNTLESS == 0 {
            return Ok(());
        }
        let list = |paths: &[&Path]| -> Result<ListBuilder<Vec<u8>>> {
            let mut list = ListBuilder::new(Vec::new());
            for path in paths {
                list.push(&&*c_string(path)?);
            }
            Ok(list)
        };
        let ports = |ports: &Option<BTreeSet<u16>>| {
            let mut list = ListBuilder::new(Vec::new());
            ports.iter().flatten().for_each(|port| list.push(port));
            list
        };
        let (readable, writable, devices) = (list(&readable)?, list(&writable)?, list(&devices)?);
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
