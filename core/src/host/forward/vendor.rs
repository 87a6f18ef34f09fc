//! Makes sockets in the network of a sandbox, for the caller.

use crate::base::error::{Error, Result};
use crate::base::kept::Kept;
use crate::host::launch::visit::{Stop, visit};
use crate::host::namespace;
use crate::policy::Namespace;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

const COPY: &str = "copy the descriptor of a namespace";

/// A network namespace, and the user namespace that owns it.
#[derive(Debug)]
pub struct Vendor {
    /// `None`: the caller's own, which needs no entering.
    owner: Option<Kept>,
    network: Kept,
}

impl Vendor {
    pub fn new(owner: BorrowedFd<'_>, network: BorrowedFd<'_>) -> Result<Vendor> {
        let copy = |fd: BorrowedFd<'_>| {
            let copied = fd.try_clone_to_owned().map_err(|error| Error::io(COPY, error));
            copied.map(Kept::from)
        };
        let is_callers = namespace::is_callers(Namespace::User, owner)?;
        let owner = (!is_callers).then(|| copy(owner)).transpose()?;
        Ok(Vendor { owner, network: copy(network)? })
    }

    /// Makes a socket, close-on-exec and non-blocking.
    pub fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Result<OwnedFd> {
        let owner = self.owner.as_ref().map(Kept::get).transpose()?;
        let enter = |namespace, kind: Namespace| Stop::Enter(namespace, kind.flag());
        let stops: Vec<Stop<'_>> = owner
            .map(|owner| enter(owner, Namespace::User))
            .into_iter()
            .chain([enter(self.network.get()?, Namespace::Net)])
            .chain([Stop::Socket(domain, kind, protocol)])
            .collect();
        const ACTION: &str = "make a socket in the network of the sandbox";
        let opened = visit(&stops).map_err(|(_, error)| Error::io(ACTION, error))?;
        let missing = || Error::io(ACTION, io::Error::from_raw_os_error(libc::EBADF));
        opened.into_iter().next().ok_or_else(missing)
    }
}
