//! The caller's own decisions about destinations that no rule is about.

use crate::policy::outcome::Attempt;
use std::fmt;
use std::sync::Arc;

/// A function of the caller's.
#[derive(Clone)]
pub struct Decider(Arc<dyn Fn(&Attempt) -> bool + Send + Sync>);

impl Decider {
    pub fn new(decide: impl Fn(&Attempt) -> bool + Send + Sync + 'static) -> Decider {
        Decider(Arc::new(decide))
    }

    /// Whether the caller allows an attempt. If its function panics, it does not.
    pub async fn allows(&self, attempt: Attempt) -> bool {
        let decide = self.0.clone();
        tokio::task::spawn_blocking(move || decide(&attempt)).await.unwrap_or(false)
    }
}

impl PartialEq for Decider {
    fn eq(&self, other: &Decider) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decider")
    }
}
