//! A sandbox as text.

use super::Sandbox;
use crate::base::error::Result;
use crate::policy::spec;

impl Sandbox {
    /// Reads a policy in JSON: an object with any of the keys that `docs/policy.md` lists. An
    /// unknown key is an error.
    pub fn from_json(text: &str) -> Result<Sandbox> {
        spec::from_json(text).map(Sandbox::from_policy)
    }

    /// Reads a policy in TOML, with the same keys.
    pub fn from_toml(text: &str) -> Result<Sandbox> {
        spec::from_toml(text).map(Sandbox::from_policy)
    }

    /// The policy in JSON: every key whose value is not the default.
    pub fn to_json(&self) -> Result<String> {
        spec::to_json(self.policy())
    }

    /// The policy in TOML.
    pub fn to_toml(&self) -> Result<String> {
        spec::to_toml(self.policy())
    }
}
