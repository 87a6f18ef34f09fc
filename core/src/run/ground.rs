//! Where a command gets its sandbox from.

use crate::base::error::Result;
use crate::base::kept::Kept;
use crate::host::enforce::EnteredCell;
use crate::host::socket::Socket;
use crate::policy::Namespace;
use crate::run::alive::{Alive, Purpose};
use crate::run::command::Command;
use std::fmt::Debug;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Instant;

/// Where a command runs.
#[derive(Debug, Clone)]
pub enum Ground {
    /// In a sandbox of its own, which starts and ends with it.
    Own,
    /// In namespaces that exist already.
    Joined(Arc<Existing>),
    /// In a sandbox that a cell or a pool keeps alive.
    Kept(Arc<dyn Keeper>),
}

/// Namespaces to enter, held open by descriptors.
#[derive(Debug)]
pub struct Existing {
    pub namespaces: Vec<(Namespace, Kept)>,
    /// Set if the namespaces are those of a cell of this library.
    pub cell: Option<EnteredCell>,
}

impl Existing {
    /// The namespaces, to be entered.
    ///
    /// # Errors
    ///
    /// The caller has closed one of the descriptors.
    pub fn descriptors(&self) -> Result<Vec<(Namespace, BorrowedFd<'_>)>> {
        self.namespaces.iter().map(|(kind, namespace)| Ok((*kind, namespace.get()?))).collect()
    }
}

/// Keeps sandboxes alive for commands: a cell or a pool.
pub trait Keeper: Debug + Send + Sync {
    /// Returns sandboxes for `number` commands that start together. `None` if it has too few by the
    /// deadline.
    ///
    /// `refused_since`: when the same command was first refused, if it was.
    fn take(
        &self,
        number: usize,
        refused_since: Option<Instant>,
        deadline: Option<Instant>,
    ) -> Result<Option<Vec<Place>>>;
}

/// A sandbox for one command. A lease comes with it if the keeper wants the sandbox back.
#[derive(Debug)]
pub struct Place {
    pub alive: Arc<Alive>,
    pub lease: Option<Box<dyn Lease>>,
}

/// The use of a keeper's sandbox by one command. Dropping it gives the sandbox back.
pub trait Lease: Debug + Send + Sync {
    /// The files of the command are wanted after its end. If the sandbox is to be used again, its
    /// place stays taken until the lease is dropped. To be called before [`Lease::watch`].
    fn keep(&mut self);

    /// Whether the place stays taken when the command has ended.
    fn is_kept(&self) -> bool;

    /// A command is about to start. The warden will report its end over `socket`, or without one
    /// over the sandbox's command socket.
    fn watch(&mut self, socket: Option<&Arc<Socket>>) -> Result<()>;

    /// The command runs. The next report is its end.
    fn started(&self) -> Result<()>;

    /// Everything inside has ended, and the warden is about to end.
    fn leave(&mut self);
}

impl Ground {
    /// Returns a sandbox for one command. `None` if its keeper has none by the deadline.
    pub fn place(&self, command: &Command, deadline: Option<Instant>) -> Result<Option<Place>> {
        let joined = match self {
            Ground::Kept(keeper) => {
                let places = keeper.take(1, command.refused_since, deadline)?;
                return Ok(places.and_then(|mut places| places.pop()));
            }
            Ground::Joined(existing) => Some(&**existing),
            Ground::Own => None,
        };
        // The files can be held, and the names of a network shown, only once the sandbox is set up.
        let waits = command.collect.is_wanted() || command.sandbox.policy().network.is_some();
        let purpose = if waits { Purpose::Wait } else { Purpose::Run };
        let alive = Alive::start_in(&command.sandbox, purpose, joined)?;
        Ok(Some(Place { alive: Arc::new(alive), lease: None }))
    }
}
