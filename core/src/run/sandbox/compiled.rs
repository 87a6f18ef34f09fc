//! What a sandbox keeps for its next start: plans, filters, the warden's image and the template.

use crate::base::error::{Error, Result};
use crate::host::devices::HostDevices;
use crate::host::image::Image;
use crate::plan::{Manner, Part, Plan, unwritable};
use crate::policy::Policy;
use crate::policy::seccomp::{Filters, Tree};
use crate::run::network::Owner;
use crate::run::sandbox::Sandbox;
use crate::run::template::Template;
use crate::run::users::FileOwner;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Made once for a sandbox, and shared by its clones.
#[derive(Default)]
pub struct Compiled {
    /// One plan for each manner in which the sandbox has been started.
    plans: Mutex<Vec<Arc<Plan>>>,
    /// One set of filters for each kind of process tree that its commands can be in.
    filters: [OnceLock<Arc<Filters>>; Tree::NUMBER],
    image: Mutex<Option<Arc<Image>>>,
    /// The devices of the host, once they have been found.
    devices: OnceLock<Arc<HostDevices>>,
    /// Why the host denies namespaces; `None` if it does not. Unset until that is known.
    pub denial: OnceLock<Option<Error>>,
    /// The sandboxes that run in place of this one without namespaces: as the caller's user, and
    /// as another one.
    pub confined: [OnceLock<Sandbox>; 2],
    /// The sandbox that runs in place of this one, with the layers of the images that it names.
    pub with_layers: OnceLock<Sandbox>,
    /// What owns the networks of its sandboxes with a way out, if one has been made.
    network_owner: Mutex<Option<Arc<Owner>>>,
    /// What lets a command own the caller's files, if a bind is idmapped.
    file_owner: Mutex<Option<Arc<FileOwner>>>,
    /// The template that sandboxes of this policy are copied from, if it has been made.
    pub template: Mutex<Option<Arc<Template>>>,
}

impl Compiled {
    /// Returns the plan for this caller on this host.
    pub fn plan(&self, policy: &Policy, manner: Manner) -> Result<Arc<Plan>> {
        let known = || {
            let plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
            plans.iter().find(|plan| plan.manner == manner).cloned()
        };
        if let Some(plan) = known() {
            return Ok(plan);
        }
        policy.check()?;
        let devices = self.devices(policy)?;
        // The check runs once for a plan only, because it looks at each file of a bound tree.
        if matches!(manner.part, Part::Whole | Part::Template) {
            unwritable::check(policy, manner.mapping)?;
            unwritable::check_devices(policy, &devices.entries, manner.mapping)?;
        }
        let policy = &devices.added_to(policy);
        let plan =
            Arc::new(Plan::compile(policy, manner, &*self.filters(policy, manner.tree(policy))?)?);
        self.plans.lock().unwrap_or_else(PoisonError::into_inner).push(plan.clone());
        Ok(plan)
    }

    /// Returns the devices of the host that the policy names.
    pub fn devices(&self, policy: &Policy) -> Result<Arc<HostDevices>> {
        match self.devices.get() {
            Some(devices) => Ok(devices.clone()),
            None => {
                let found = Arc::new(HostDevices::find(policy)?);
                Ok(self.devices.get_or_init(|| found).clone())
            }
        }
    }

    /// Returns the seccomp filters.
    pub fn filters(&self, policy: &Policy, tree: Tree) -> Result<Arc<Filters>> {
        let place = &self.filters[tree as usize];
        match place.get() {
            Some(filters) => Ok(filters.clone()),
            None => Filters::of(policy, tree)
                .map(|filters| place.get_or_init(|| Arc::new(filters)).clone()),
        }
    }

    /// Returns what owns the networks of the sandboxes with a way out.
    pub fn network_owner(&self) -> Result<Arc<Owner>> {
        let mut known = self.network_owner.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(owner) if owner.is_intact() => Ok(owner.clone()),
            _ => Ok(known.insert(Arc::new(Owner::new()?)).clone()),
        }
    }

    /// Returns what lets the command with this user and group outside own the caller's files.
    pub fn file_owner(&self, owner: (u32, u32)) -> Result<Arc<FileOwner>> {
        let mut known = self.file_owner.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(found) if found.is_of(owner) => Ok(found.clone()),
            _ => Ok(known.insert(Arc::new(FileOwner::new(owner)?)).clone()),
        }
    }

    /// Returns the warden's executable.
    pub fn image(&self, policy: &Policy) -> Result<Arc<Image>> {
        let mut image = self.image.lock().unwrap_or_else(PoisonError::into_inner);
        match &*image {
            Some(image) if image.intact() => Ok(image.clone()),
            // Make one: there is none yet, or the caller has closed its descriptor.
            _ => Ok(image.insert(Arc::new(Image::new(policy.warden.as_deref())?)).clone()),
        }
    }
}
