//! Whether a sandbox runs in namespaces, or without them because the host denies them.

use super::Sandbox;
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::sys;
use crate::plan::idmap::{self, Mapping};
use crate::run::alive::{Alive, Purpose};
use crate::run::failure;
use crate::wire::plan::protection;

impl Sandbox {
    /// The sandbox that runs in place of this one: the same, unless its policy may do without
    /// namespaces and the host denies them. The first call finds out by a start of this sandbox,
    /// because some hosts only deny what namespaces are for.
    ///
    /// # Errors
    ///
    /// `NamespacesDenied` if the policy needs namespaces all the same. The error of that start if
    /// it has another cause.
    pub(crate) fn on_this_host(&self) -> Result<Sandbox> {
        if !self.policy.may_be_confined() {
            return Ok(self.clone());
        }
        let denial = match self.compiled.denial.get() {
            Some(known) => known,
            None => {
                let found = match self.try_namespaces() {
                    Ok(()) => None,
                    Err(denial) if failure::is_denial(&denial) => Some(denial),
                    Err(error) => return Err(error),
                };
                self.compiled.denial.get_or_init(|| found)
            }
        };
        denial.as_ref().map_or_else(|| Ok(self.clone()), |denial| self.without_namespaces(denial))
    }

    /// The sandbox that runs in place of this one where the host denies namespaces, even if this
    /// host does not.
    pub(crate) fn as_where_namespaces_are_denied(&self) -> Result<Sandbox> {
        let untried = Error::new(ErrorKind::NamespacesDenied, "make namespaces");
        self.without_namespaces(&untried.because("none is tried"))
    }

    fn try_namespaces(&self) -> Result<()> {
        Alive::start_as_is(self, Purpose::Wait, None)?.ready().map(drop)
    }

    fn without_namespaces(&self, denial: &Error) -> Result<Sandbox> {
        let mut policy = self.policy.confined(denial, sys::landlock_abi())?;
        // Not kept: the caller may have given up rights since the last start.
        let owner = Mapping::choose(&policy)?.known_owner(&policy);
        let other_user = idmap::protections(owner) & protection::OTHER_USER != 0;
        if let Some(held) = &mut policy.confined {
            held.other_user = other_user;
        }
        let place = &self.compiled.confined[usize::from(other_user)];
        Ok(place.get_or_init(|| Sandbox::from_policy(policy)).clone())
    }
}
