//! What becomes of each frame of a link.

use super::super::link::Link;
use std::time::{Duration, Instant};

/// The state of a link: its random numbers, and when it is free again.
#[derive(Debug)]
pub struct Course {
    link: Link,
    random: SplitMix64,
    /// When the last frame has been sent at the link's rate.
    free_at: Option<Instant>,
    /// The latest delivery of a frame that kept its place.
    last: Option<Instant>,
}

/// When a frame is delivered, once for each time.
pub type Fate = [Option<Instant>; 2];

impl Course {
    pub fn new(link: Link) -> Course {
        let seed = link.seed.unwrap_or_else(unforeseeable);
        Course { link, random: SplitMix64(seed), free_at: None, last: None }
    }

    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Decides about a frame of `length` bytes that has come now. `spared`: it is never lost.
    pub fn decide(&mut self, now: Instant, length: usize, spared: bool) -> Fate {
        let Link { delay, jitter, loss, duplicate, reorder, rate, .. } = self.link;
        if spared {
            return [Some(self.in_order(now + delay)), None];
        }
        // Each frame takes as many numbers, whatever becomes of it.
        let [is_lost, is_twice, overtakes, varied] = std::array::from_fn(|_| self.random.unit());
        if is_lost < loss {
            return [None, None];
        }
        let mut sent = now;
        if let Some(rate) = rate {
            let takes = Duration::from_secs_f64(length as f64 * 8.0 / rate as f64);
            sent = self.free_at.map_or(now, |free| free.max(now)) + takes;
            self.free_at = Some(sent);
        }
        let deliver = match overtakes < reorder {
            true => sent,
            false => {
                let delay = (delay - jitter) + (jitter * 2).mul_f64(varied);
                self.in_order(sent + delay)
            }
        };
        [Some(deliver), (is_twice < duplicate).then_some(deliver)]
    }

    fn in_order(&mut self, wanted: Instant) -> Instant {
        let deliver = self.last.map_or(wanted, |last| last.max(wanted));
        self.last = Some(deliver);
        deliver
    }
}

fn unforeseeable() -> u64 {
    getrandom::u64().unwrap_or_else(|_| {
        // No secret depends on it.
        std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos() as u64)
    })
}

/// The generator of Steele, Lea and Flood (2014). Its numbers are the same in every version of this
/// library, which those of a crate need not be.
#[derive(Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number from 0 to 1, without 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn fates(link: Link, frames: usize) -> Vec<Fate> {
        let (mut course, start) = (Course::new(link), Instant::now());
        let times = (0..frames).map(|number| start + MS * number as u32);
        times.map(|time| course.decide(time, 1250, false)).collect()
    }

    #[test]
    fn the_generator_is_the_published_one() {
        let mut random = SplitMix64(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn a_seed_gives_the_same_fates_and_another_one_others() {
        let link = Link::new().loss(0.3).duplicate(0.2).delay(MS * 5).jitter(MS * 3).reorder(0.1);
        let shape = |seed| -> Vec<(bool, bool)> {
            let all = fates(link.seed(seed), 200);
            all.iter().map(|fate| (fate[0].is_some(), fate[1].is_some())).collect()
        };
        assert_eq!(shape(7), shape(7));
        assert_ne!(shape(7), shape(8));
        let (lost, twice) = (
            shape(7).iter().filter(|fate| !fate.0).count(),
            shape(7).iter().filter(|fate| fate.1).count(),
        );
        assert!((35..=85).contains(&lost) && (10..=50).contains(&twice), "{lost} {twice}");
    }

    #[test]
    fn jitter_keeps_the_order_and_the_bounds() {
        let start = Instant::now();
        let mut course = Course::new(Link::new().delay(MS * 10).jitter(MS * 4).seed(1));
        let mut last = start;
        for number in 0..100 {
            let now = start + MS * number;
            let [Some(deliver), None] = course.decide(now, 100, false) else {
                panic!("it is lost")
            };
            assert!(deliver >= last && deliver >= now + MS * 6 && deliver <= now + MS * 15);
            last = deliver;
        }
    }

    #[test]
    fn a_rate_spaces_the_frames() {
        // 1250 bytes are 10,000 bits: at a rate of 1 Mbit/s, 10 ms.
        let all = fates(Link::new().rate(1_000_000), 20);
        let times: Vec<Instant> = all.iter().filter_map(|fate| fate[0]).collect();
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] == MS * 10));
    }

    #[test]
    fn what_overtakes_is_not_delayed_and_what_is_spared_is_not_lost() {
        let start = Instant::now();
        let mut course = Course::new(Link::new().delay(MS * 10).reorder(1.0));
        assert_eq!(course.decide(start, 100, false), [Some(start), None]);
        let mut course = Course::new(Link::new().delay(MS * 10).loss(1.0));
        assert_eq!(course.decide(start, 100, false), [None, None]);
        assert_eq!(course.decide(start, 100, true), [Some(start + MS * 10), None]);
    }
}
