//! The check of ids, host ids and the user's name.

use super::{HOST_IDS, Namespace, Policy, check_inside};
use crate::base::error::{Error, Result};
use crate::wire::plan::GROUPS_MAX;
use std::os::unix::ffi::OsStrExt;

impl Policy {
    pub(super) fn check_identity(&self) -> Result<()> {
        let groups = self.groups.as_deref().unwrap_or_default();
        if groups.len() > GROUPS_MAX {
            return Err(Error::invalid(
                format!("{} supplementary groups", groups.len()),
                format!("at most {GROUPS_MAX}"),
            ));
        }
        let ids = [("uid", self.uid), ("gid", self.gid)].into_iter();
        for (what, id) in ids.chain(groups.iter().map(|group| ("group", *group))) {
            if id == u32::MAX {
                return Err(Error::invalid(
                    format!("{what} {id}"),
                    "this number means no id at all",
                ));
            }
        }
        if let Some(first) =
            self.host_ids.filter(|first| *first == 0 || first.checked_add(HOST_IDS).is_none())
        {
            return Err(Error::invalid(
                format!("host ids from {first}"),
                format!("the range of {HOST_IDS} must lie between 1 and {}", u32::MAX - 1),
            ));
        }
        if self.as_caller && self.host_ids.is_some() {
            return Err(Error::invalid("host ids", "the command is the caller's own user")
                .hint("leave out either host_ids or as_caller"));
        }
        if self.ids.is_some() && !self.private(Namespace::User) {
            let why =
                format!("the user namespace is {}, with its ids", self.origin(Namespace::User));
            return Err(Error::invalid("ids", why).hint("leave it out"));
        }
        let plain = |text: &[u8]| {
            !text.is_empty() && !text.iter().any(|byte| matches!(byte, b':' | b'\n' | 0))
        };
        if !plain(self.user.as_bytes()) || self.user.contains('/') {
            return Err(Error::invalid(
                format!("user {:?}", self.user),
                "a user's name is not empty and has no colon, slash, newline or NUL",
            ));
        }
        check_inside("home", &self.home)?;
        if !plain(self.home.as_os_str().as_bytes()) {
            return Err(Error::invalid(
                format!("home {:?}", self.home),
                "a home directory's name has no colon and no newline",
            ));
        }
        Ok(())
    }
}
