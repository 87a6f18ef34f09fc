//! Policies as text.

use super::Sandbox;
use crate::base::error::Result;
use crate::policy::spec;

impl Sandbox {
    /// Reads a policy in JSON: an object with any of the keys that `docs/policy.md` lists.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Policy`](crate::ErrorKind::Policy) if the text is no JSON, has an unknown key,
    /// or has a value of the wrong kind.
    pub fn from_json(text: &str) -> Result<Sandbox> {
        spec::from_json(text).map(Sandbox::from_policy)
    }

    /// Reads a policy in TOML, with the same keys.
    ///
    /// # Errors
    ///
    /// The same as for [`Sandbox::from_json`].
    pub fn from_toml(text: &str) -> Result<Sandbox> {
        spec::from_toml(text).map(Sandbox::from_policy)
    }

    /// Returns the policy in JSON: every key whose value is not the default.
    ///
    /// # Errors
    ///
    /// If the policy has a value that JSON cannot express.
    pub fn to_json(&self) -> Result<String> {
        spec::to_json(self.policy())
    }

    /// Returns the policy in TOML: every key whose value is not the default.
    ///
    /// # Errors
    ///
    /// If the policy has a value that TOML cannot express.
    pub fn to_toml(&self) -> Result<String> {
        spec::to_toml(self.policy())
    }
}
