//! The host's devices that a policy names, as entries of its file system and variables of its
//! commands.

mod cdi;
mod edits;

use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::devices::{Class, Device};
use crate::policy::{Bind, Entry, Policy};
use edits::Edits;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// What the devices of a policy bring with them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HostDevices {
    pub entries: Vec<Entry>,
    /// Names and values.
    pub environment: Vec<(String, String)>,
}

impl HostDevices {
    /// Finds the devices on this host.
    ///
    /// # Errors
    ///
    /// `SourceMissing` if the host has none of a class, or if no specification has a device.
    /// `Policy` if a specification is wrong, or asks for something that is not given.
    pub fn find(policy: &Policy) -> Result<HostDevices> {
        let mut devices = HostDevices::default();
        if policy.devices.is_empty() {
            return Ok(devices);
        }
        let mut named = Vec::new();
        for text in &policy.devices {
            match Device::read(text)? {
                Device::Class(class) => nodes_of(class)?
                    .into_iter()
                    .for_each(|node| devices.push(bind_node(&node, &node))),
                Device::Specified { kind, name } => named.push((text.as_str(), kind, name)),
            }
        }
        if !named.is_empty() {
            let edits = cdi::find(&named, &policy.cdi_spec_dirs)?;
            devices.apply(policy, edits)?;
        }
        Ok(devices)
    }

    /// The policy with the entries of its devices.
    pub fn added_to(&self, policy: &Policy) -> Policy {
        let mut policy = policy.clone();
        policy.files.extend(self.entries.iter().cloned());
        policy
    }

    /// Adds an entry, unless another device brings the same one.
    fn push(&mut self, entry: Entry) {
        if !self.entries.contains(&entry) {
            self.entries.push(entry);
        }
    }

    fn apply(&mut self, policy: &Policy, edits: Edits) -> Result<()> {
        for (node, at) in &edits.nodes {
            self.push(bind_node(node, at));
        }
        for mount in &edits.mounts {
            let bind = Bind::new(&mount.source, &mount.at);
            self.push(if mount.noexec { bind.noexec() } else { bind }.into());
        }
        edits::links(policy, &edits)?.into_iter().for_each(|link| self.push(link));
        self.environment = edits::environment(policy, edits);
        Ok(())
    }
}

/// Reads a specification, and asserts what holds for whatever it says.
#[cfg(fuzzing)]
pub fn assert_harmless(text: &str) {
    if let Ok(edits) = cdi::edits_of(text) {
        edits.assert_harmless();
    }
}

/// The node of a device. The mount is read-only, which does not keep a program from writing to the
/// device.
fn bind_node(node: &Path, at: &Path) -> Entry {
    Bind::new(node, at).devices().noexec().into()
}

/// The nodes of a class that this host has.
fn nodes_of(class: &Class) -> Result<Vec<PathBuf>> {
    let pattern = Path::new(class.nodes);
    let is_node = |path: &PathBuf| {
        fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_char_device())
    };
    let nodes: Vec<PathBuf> = match class.nodes.strip_suffix('*') {
        None => Some(pattern.to_owned()).into_iter().filter(is_node).collect(),
        Some(start) => {
            let directory = pattern.parent().unwrap_or(pattern);
            let found = fs::read_dir(directory).into_iter().flatten().flatten();
            let found = found.map(|entry| entry.path());
            let fits = |path: &PathBuf| path.to_str().is_some_and(|path| path.starts_with(start));
            let mut nodes: Vec<PathBuf> = found.filter(fits).filter(is_node).collect();
            nodes.sort();
            nodes
        }
    };
    if nodes.is_empty() {
        let action = format!("find the devices of the class {}", class.name);
        return Err(Error::new(ErrorKind::SourceMissing, action)
            .because(format!("there is no character device {}", class.nodes))
            .errno(libc::ENOENT)
            .at(pattern)
            .hint(
                "the host has no such device, its driver is not loaded, or a container around \
                the caller lacks it",
            ));
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nodes_of_a_class_are_the_character_devices_that_fit() {
        let found = |nodes| nodes_of(&Class { name: "toy", nodes });
        assert_eq!(found("/dev/null").unwrap(), [PathBuf::from("/dev/null")]);
        let several = found("/dev/ran*").unwrap();
        assert_eq!(several, [PathBuf::from("/dev/random")]);
        assert!(found("/dev/*").unwrap().contains(&"/dev/zero".into()));
        for nodes in
            ["/dev/no-such-node", "/dev/no-such-node*", "/no/such/*", "/dev", "/dev/fd", "/etc/*"]
        {
            let error = found(nodes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SourceMissing, "{nodes}");
            assert!(error.to_string().contains("find the devices of the class toy"), "{error}");
        }
    }
}
