//! What is really in force in the fake kernel, whatever the warden reports.

use super::Kernel;
use super::tree::Place;
use crate::wire::plan::protection;

/// The securebits of `seal`: each bit with its lock, but for KEEP_CAPS, which is locked at 0.
const SECUREBITS: usize = 0b1110_1111;

impl Kernel {
    /// The protections that hold. `masked`: what must be covered in proc. `filter`: the program
    /// that the warden must load, and its protections.
    pub fn protections(&self, masked: &[&str], filter: (&[u8], u64)) -> u64 {
        let process = &self.process;
        let when = |holds: bool, bits: u64| if holds { bits } else { 0 };
        let no_capabilities = process.capabilities == [0; 6]
            && process.bounding == 0
            && process.ambient & u64::from(process.capabilities[1]) == 0;
        when(no_capabilities, protection::CAPABILITIES)
            | when(process.securebits == SECUREBITS, protection::SECUREBITS)
            | when(process.no_new_privs == 1, protection::NO_NEW_PRIVS)
            | when(process.dumpable == 0, protection::WARDEN_HIDDEN)
            | when(process.own_keyring, protection::KEYRING)
            | when(process.groups == 0, protection::GROUPS)
            | when(self.user_namespaces == "0", protection::NO_NESTED_USERS)
            | when(self.root_is_apart(), protection::ROOT)
            | when(self.is_read_only("/"), protection::READ_ONLY_ROOT)
            | when(masked.iter().all(|path| self.is_masked(path)), protection::MASKED_PROC)
            | when(process.filters == [filter.0], filter.1)
            | when(process.landlock[1] & 1 != 0, protection::LANDLOCK_SOCKETS)
            | when(process.landlock[1] & 2 != 0, protection::LANDLOCK_SIGNALS)
            // The namespaces are the launch's, and the command applies its own ruleset.
            | protection::KILL_BY_NAMESPACE
            | protection::LANDLOCK_FILES
    }

    /// Whether the root is a file system of the sandbox's own, and no mount in reach shows the
    /// caller's whole root.
    fn root_is_apart(&self) -> bool {
        let host = self.tree.mounts[0].root;
        let shows_host = |mount: usize| self.tree.mounts[mount].root == host;
        !(0..self.tree.mounts.len()).any(|mount| self.tree.is_reachable(mount) && shows_host(mount))
    }

    fn find(&self, path: &str) -> Option<Place> {
        self.tree.find(self.tree.root, path)
    }

    /// Whether the mount at this path is read-only.
    pub fn is_read_only(&self, path: &str) -> bool {
        self.find(path).is_some_and(|at| self.tree.mounts[at.mount].attributes & 1 != 0)
    }

    /// Whether a path of proc shows nothing of proc.
    fn is_masked(&self, path: &str) -> bool {
        self.find(path).is_none_or(|at| !self.is_proc(at))
    }

    /// Whether no mount propagates from or to the caller's.
    pub fn mounts_are_private(&self) -> bool {
        self.private_mounts
    }

    /// The effective user and group.
    pub fn user(&self) -> (u32, u32) {
        (self.process.uids[1], self.process.gids[1])
    }

    /// The filters of the warden.
    pub fn filters(&self) -> &[super::std::vec::Vec<u8>] {
        &self.process.filters
    }

    /// How many descriptors are open, and how many pieces of memory are mapped.
    pub fn held(&self) -> (usize, usize) {
        (self.descriptors.len(), self.mapped.len())
    }
}
