//! What happens to the frames that one member sends to another.

use crate::base::declared::named;
use crate::base::error::{Error, Result};
use std::time::Duration;

named! {
    /// The part that carries out the faults of a [`Link`].
    Backend {
        /// The kernel where it can, else the relay.
        Auto = "auto",
        /// The kernel's filters. They can do nothing but lose frames, and not by a seed.
        Kernel = "kernel",
        /// A thread of the caller's process, which receives the frames, and sends them on.
        Relay = "relay",
    }
}

/// The faults of a link, in one direction: [`Network::set_link`](crate::Network::set_link).
///
/// ```
/// use std::time::Duration;
/// let slow = seclude::Link::new().delay(Duration::from_millis(20)).loss(0.01).seed(7);
/// ```
///
/// The faults are those of whole frames. A frame holds up to 64 KiB of a TCP stream. Frames of ARP
/// and neighbour discovery are delayed, and never lost, duplicated or reordered, so that a seed
/// always meets the same frames.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    pub(super) loss: f64,
    pub(super) duplicate: f64,
    pub(super) reorder: f64,
    pub(super) rate: Option<u64>,
    pub(super) seed: Option<u64>,
    pub(super) backend: Backend,
}

impl Default for Link {
    fn default() -> Link {
        Link {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            rate: None,
            seed: None,
            backend: Backend::Auto,
        }
    }
}

impl Link {
    /// A link without faults.
    pub fn new() -> Link {
        Link::default()
    }

    /// Delivers each frame later, by up to an hour.
    pub fn delay(mut self, delay: Duration) -> Link {
        self.delay = delay;
        self
    }

    /// Varies the delay of each frame by up to this time, in both directions, evenly. At most as
    /// long as the delay. The order of the frames stays.
    pub fn jitter(mut self, jitter: Duration) -> Link {
        self.jitter = jitter;
        self
    }

    /// Loses each frame with this probability, from 0 to 1.
    pub fn loss(mut self, probability: f64) -> Link {
        self.loss = probability;
        self
    }

    /// Delivers each frame twice with this probability, from 0 to 1.
    pub fn duplicate(mut self, probability: f64) -> Link {
        self.duplicate = probability;
        self
    }

    /// Delivers each frame at once with this probability, from 0 to 1, so that it overtakes those
    /// that are delayed.
    pub fn reorder(mut self, probability: f64) -> Link {
        self.reorder = probability;
        self
    }

    /// Delivers no more than this many bits in a second: 1000 or more. Frames wait for it, at most
    /// 10,000 of 16 MiB together; what is more is lost.
    pub fn rate(mut self, bits_per_second: u64) -> Link {
        self.rate = Some(bits_per_second);
        self
    }

    /// Draws the random numbers of the faults from this seed. With the same frames, the same ones
    /// are then lost, duplicated and reordered. By default the seed is another one each time.
    pub fn seed(mut self, seed: u64) -> Link {
        self.seed = Some(seed);
        self
    }

    /// Chooses the part that carries out the faults.
    pub fn backend(mut self, backend: Backend) -> Link {
        self.backend = backend;
        self
    }

    /// Whether every frame is delivered at once.
    pub(super) fn is_plain(&self) -> bool {
        *self == Link { seed: self.seed, backend: self.backend, ..Link::default() }
    }

    /// Whether the relay carries it out.
    pub(super) fn is_relayed(&self) -> bool {
        let kernels = Link { loss: self.loss, backend: self.backend, ..Link::default() };
        !self.is_plain() && (self.backend == Backend::Relay || *self != kernels)
    }

    /// # Errors
    ///
    /// `Invalid` if a value is out of its range, or has no effect.
    pub(super) fn check(&self) -> Result<()> {
        const LONGEST: Duration = Duration::from_secs(3600);
        let wrong = |what: String, why: &str| Err(Error::invalid(what, why));
        for (what, probability) in
            [("loss", self.loss), ("duplicate", self.duplicate), ("reorder", self.reorder)]
        {
            if !(0.0..=1.0).contains(&probability) {
                return wrong(format!("{what} {probability}"), "it must be from 0 to 1");
            }
        }
        if self.delay > LONGEST {
            return wrong(format!("delay {:?}", self.delay), "it must be at most an hour");
        }
        if self.jitter > self.delay {
            let what = format!("jitter {:?}", self.jitter);
            return wrong(what, "it must be at most as long as the delay");
        }
        if self.reorder > 0.0 && self.delay.is_zero() {
            let what = format!("reorder {}", self.reorder);
            return wrong(what, "without a delay there is nothing to overtake");
        }
        if self.rate.is_some_and(|rate| rate < 1000) {
            return wrong("rate".into(), "it must be 1000 bits per second or more");
        }
        let kernels = Link { loss: self.loss, backend: self.backend, ..Link::default() };
        if self.backend == Backend::Kernel && *self != kernels {
            return Err(Error::invalid(
                "backend kernel",
                "the kernel's filters can only lose frames, and not by a seed",
            )
            .hint("leave the backend out, or choose the relay"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_kernel_cannot_do_is_relayed() {
        let ms = Duration::from_millis;
        assert!(!Link::new().is_relayed() && Link::new().is_plain());
        assert!(!Link::new().loss(0.5).is_relayed() && !Link::new().loss(0.5).is_plain());
        assert!(!Link::new().seed(1).is_relayed() && Link::new().seed(1).loss(0.5).is_relayed());
        assert!(Link::new().loss(0.5).backend(Backend::Relay).is_relayed());
        assert!(!Link::new().backend(Backend::Relay).is_relayed());
        for link in [
            Link::new().delay(ms(1)),
            Link::new().duplicate(0.1),
            Link::new().rate(1000),
            Link::new().delay(ms(1)).reorder(0.1),
        ] {
            assert!(link.is_relayed() && link.check().is_ok());
            assert!(link.backend(Backend::Kernel).check().is_err());
        }
        assert!(Link::new().loss(0.5).backend(Backend::Kernel).check().is_ok());
    }

    #[test]
    fn values_out_of_range_are_mistakes() {
        let ms = Duration::from_millis;
        for link in [
            Link::new().loss(1.1),
            Link::new().loss(f64::NAN),
            Link::new().duplicate(-0.1),
            Link::new().delay(ms(1)).reorder(2.0),
            Link::new().reorder(0.1),
            Link::new().delay(Duration::from_secs(3601)),
            Link::new().delay(ms(1)).jitter(ms(2)),
            Link::new().rate(999),
        ] {
            assert!(link.check().is_err(), "{link:?}");
        }
    }
}
