//! The stage clock's other end: what the warden of the last run has told. For measuring, in builds
//! with the feature `stage-clock`; no part of the API.

use crate::plan::Plan;
use std::sync::{Mutex, PoisonError};

#[path = "../../wire/stages.rs"]
#[allow(dead_code)]
mod stages;
pub(crate) use stages::TAG;

/// The names of the last plan's steps, and what was told: of one run at a time.
static STEPS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static TOLD: Mutex<Vec<(String, u64)>> = Mutex::new(Vec::new());

pub(crate) fn follow(plan: &Plan) {
    *STEPS.lock().unwrap_or_else(PoisonError::into_inner) =
        plan.labels.iter().map(|label| label.action.clone()).collect();
}

pub(crate) fn take_in(message: &[u8]) {
    let steps = STEPS.lock().unwrap_or_else(PoisonError::into_inner);
    let number =
        |bytes: &[u8]| bytes.iter().rev().fold(0u64, |value, &byte| value << 8 | u64::from(byte));
    let name = |stage: u64| match stage.checked_sub(stages::OWN) {
        Some(own) => stages::NAMES.get(own as usize).map(|name| (*name).into()),
        None => steps.get(stage as usize).cloned(),
    };
    let told = message[1..]
        .chunks_exact(16)
        .map(|pair| (name(number(&pair[..8])).unwrap_or_default(), number(&pair[8..])));
    *TOLD.lock().unwrap_or_else(PoisonError::into_inner) = told.collect();
}

/// The stages of the last run and when each was over, in nanoseconds of the monotonic clock.
pub fn taken() -> Vec<(String, u64)> {
    std::mem::take(&mut TOLD.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The same clock.
pub fn now() -> u64 {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
        .expect("there is such a clock");
    u64::try_from(time.tv_sec()).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec()).unwrap_or(0)
}
