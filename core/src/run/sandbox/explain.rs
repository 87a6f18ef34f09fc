//! The plan of a sandbox as text.

use super::Sandbox;
use crate::base::error::Result;
use crate::host::enforce::Enforcement;
use crate::plan::idmap::Mapping;
use crate::plan::{Label, Manner, Part};

impl Sandbox {
    /// Returns the steps that set up the sandbox for one command, in order, each as one line.
    /// Nothing is started.
    ///
    /// The steps are those for this caller on this host: ids are mapped as they would be, and
    /// optional sources are not looked up. Limits that cgroups or the warden enforce are no steps.
    ///
    /// ```
    /// # fn main() -> seclude::Result<()> {
    /// let steps = seclude::Sandbox::new().tmpfs("/work", 4096u64).explain()?;
    /// assert!(steps.iter().any(|step| step.starts_with("mount a tmpfs on /work")));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The first mistake in the policy, or an error if the caller's id maps do not allow it.
    pub fn explain(&self) -> Result<Vec<String>> {
        self.policy().check()?;
        let sandbox = self.with_layers()?;
        let policy = sandbox.policy();
        let mapping = Mapping::choose(policy)?;
        let watches = Enforcement::default().watches(&policy.limits);
        let manner = Manner {
            part: Part::Whole,
            mapping,
            admits: false,
            watches,
            in_cell: false,
            cgroups: Default::default(),
        };
        let plan = sandbox.compiled().plan(policy, manner)?;
        Ok(plan.labels.iter().map(line).collect())
    }
}

fn line(label: &Label) -> String {
    // The host's path matters where the action names only the place inside.
    match &label.source {
        Some(source) if !label.action.contains(&*source.to_string_lossy()) => {
            format!("{} (from {})", label.action, source.display())
        }
        _ => label.action.clone(),
    }
}
