//! The ground of a command: what gives it a sandbox that is alive.

use crate::base::error::Result;
use crate::base::kept::Kept;
use crate::host::enforce::EnteredCell;
use crate::host::socket::Socket;
use crate::policy::Namespace;
use crate::run::alive::{Alive, Purpose};
use crate::run::sandbox::Sandbox;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

/// Where a command runs.
#[derive(Debug, Clone)]
pub enum Ground {
    /// In a sandbox of its own, which starts and ends with it.
    Own,
    /// In namespaces that exist.
    Joined(Arc<Existing>),
    /// In a sandbox that something else keeps alive.
    Kept(Arc<dyn Keeper>),
}

/// Namespaces to enter, held by descriptors.
#[derive(Debug)]
pub struct Existing {
    pub namespaces: Vec<(Namespace, Kept)>,
    /// They are those of a cell of ours.
    pub cell: Option<EnteredCell>,
}

/// Keeps sandboxes alive for commands: a cell, or a pool.
pub trait Keeper: Debug + Send + Sync {
    /// The sandboxes for `number` commands that start together; `None` if it has too few by the
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

/// A sandbox for one command, and the lease of it if its keeper wants it back.
#[derive(Debug)]
pub struct Place {
    pub alive: Arc<Alive>,
    pub lease: Option<Box<dyn Lease>>,
}

/// The use of a keeper's sandbox by one command. Dropping it gives the sandbox back.
pub trait Lease: Debug + Send + Sync {
    /// A command is about to start. Its end will be reported over this socket, or over the
    /// warden's command socket.
    fn watch(&mut self, socket: Option<&Arc<Socket>>) -> Result<()>;

    /// The command runs: the next report is its end.
    fn started(&self) -> Result<()>;

    /// Everything inside has ended, and the warden is about to end.
    fn leave(&mut self);
}

impl Ground {
    /// A sandbox for one command; `None` if its keeper has none by the deadline.
    pub fn place(
        &self,
        sandbox: &Sandbox,
        refused_since: Option<Instant>,
        deadline: Option<Instant>,
    ) -> Result<Option<Place>> {
        let joined = match self {
            Ground::Kept(keeper) => {
                let places = keeper.take(1, refused_since, deadline)?;
                return Ok(places.and_then(|mut places| places.pop()));
            }
            Ground::Joined(existing) => Some(&**existing),
            Ground::Own => None,
        };
        let alive = Alive::start_in(sandbox, Purpose::Run, joined)?;
        Ok(Some(Place { alive: Arc::new(alive), lease: None }))
    }
}
