//! The labels of steps, which name them in errors.

use crate::base::step;
use crate::wire::plan::Step;
use std::path::PathBuf;

/// The label of one step.
pub struct Label {
    pub step: step::Step,
    /// The action with its object: `bind /opt/tool on /opt/tool`.
    pub action: String,
    /// The path outside that the step needs, if any.
    pub source: Option<PathBuf>,
    /// The path inside that the step creates, if any.
    pub at: Option<PathBuf>,
}

impl Label {
    pub fn new(step: &Step<'_>, action: String) -> Label {
        Label { step: step::Step::of(step), action, source: None, at: None }
    }
}
