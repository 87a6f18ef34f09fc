//! What a sandbox has ready for its next start: plans, filters, the warden's image, the template.

use crate::base::error::Result;
use crate::host::image::Image;
use crate::plan::{Manner, Part, Plan, unwritable};
use crate::policy::Policy;
use crate::policy::seccomp::{Filters, Tree};
use crate::run::template::Template;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What is made once for a sandbox and shared by its clones.
#[derive(Default)]
pub struct Compiled {
    /// One for each manner in which it has been started.
    plans: Mutex<Vec<Arc<Plan>>>,
    /// One for each process tree that its commands can be in.
    filters: [OnceLock<Arc<Filters>>; Tree::NUMBER],
    image: Mutex<Option<Arc<Image>>>,
    /// The template that sandboxes of this policy are copied from, once there is one.
    pub template: Mutex<Option<Arc<Template>>>,
}

impl Compiled {
    /// The plan for this caller on this host.
    pub fn plan(&self, policy: &Policy, manner: Manner) -> Result<Arc<Plan>> {
        let known = || {
            let plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
            plans.iter().find(|plan| plan.manner == manner).cloned()
        };
        if let Some(plan) = known() {
            return Ok(plan);
        }
        // Once for a plan: what is certain of a tree costs a look at each of its files.
        if matches!(manner.part, Part::Whole | Part::Template) {
            unwritable::check(policy, manner.mapping)?;
        }
        let plan =
            Arc::new(Plan::compile(policy, manner, &*self.filters(policy, manner.tree(policy))?)?);
        self.plans.lock().unwrap_or_else(PoisonError::into_inner).push(plan.clone());
        Ok(plan)
    }

    /// The seccomp filters.
    pub fn filters(&self, policy: &Policy, tree: Tree) -> Result<Arc<Filters>> {
        let place = &self.filters[tree as usize];
        match place.get() {
            Some(filters) => Ok(filters.clone()),
            None => Filters::of(policy, tree)
                .map(|filters| place.get_or_init(|| Arc::new(filters)).clone()),
        }
    }

    /// The warden to execute.
    pub fn image(&self, policy: &Policy) -> Result<Arc<Image>> {
        let mut image = self.image.lock().unwrap_or_else(PoisonError::into_inner);
        match &*image {
            Some(image) if image.intact() => Ok(image.clone()),
            // There is none yet, or the caller has closed it: another is made.
            _ => Ok(image.insert(Arc::new(Image::new(policy.warden.as_deref())?)).clone()),
        }
    }
}
