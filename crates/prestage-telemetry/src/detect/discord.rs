//! Discord: a stretch of the series whose shape and level have not been seen before.
//!
//! The left matrix profile (Yeh et al., "Matrix Profile I", ICDM 2016; as a detector: Lu et
//! al., "Matrix Profile XXIV, DAMP", KDD 2022) on a coarse copy of the series: each stretch is
//! as far from normal as it is from its nearest neighbour in the past. Deviations from the
//! paper: means over blocks instead of samples, so that time and memory are bounded and noise
//! is averaged out; no z-normalisation of the stretch, because a shape at an unusual level is
//! unusual; absolute instead of squared differences, of values squashed by `asinh` about the
//! median of the warm-up, so that one spike does not dwarf everything after it.
//!
//! Three lengths are compared at once. A distance means nothing by itself; each is judged by
//! its own past (`Surprise`) and the mean surprise is the statistic: an alarm is three
//! lengths that agree on "less than one in forty-five". What has been seen twice is normal,
//! which makes a change of regime one alarm, and a fault that comes back unchanged none.
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::registry::Entry;
use super::surprise::Surprise;
use super::{Detector, Setting, encode, sorted_quantile, squash};
use crate::Timestamp;

/// Blocks in a warm-up, hence the resolution.
const BLOCKS_IN_WARM_UP: usize = 120;
/// Lengths of the compared stretches, blocks, ascending.
const LENGTHS: [usize; 3] = [6, 12, 24];
const LENGTH_MAX: usize = LENGTHS[LENGTHS.len() - 1];
/// Blocks that are remembered and compared with, ten warm-ups.
const MEMORY_BLOCKS: usize = 1_200;
/// A mean absolute difference that means nothing, in ranges of the warm-up.
const DISTANCE_FLOOR: f64 = 0.003;
/// Mean surprise, nats, that raises an alarm.
const SURPRISE_LEVEL: f64 = 3.8;

pub(super) const ENTRY: Entry = Entry {
    name: "discord",
    about: "distance to the nearest stretch of the past, at three lengths (left matrix profile)",
    build: |setting| Box::new(Discord::new(setting)),
    restore: |bytes| Ok(Box::new(postcard::from_bytes::<Discord>(bytes)?)),
};

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Discord {
    block: usize,
    warm_up: usize,
    /// Samples seen in the warm-up; empty after it.
    warming: Vec<f64>,
    scale: Option<Scale>,
    filling: Filling,
    profile: Profile,
    /// Score of the last full block, held until the next.
    score: f64,
}

impl Discord {
    /// Has seen nothing.
    pub fn new(setting: Setting) -> Self {
        Self {
            block: (setting.warm_up() / BLOCKS_IN_WARM_UP).max(1),
            warm_up: setting.warm_up(),
            warming: Vec::new(),
            scale: None,
            filling: Filling::default(),
            profile: Profile::new(),
            score: 0.0,
        }
    }

    /// Fixes the scale and learns the blocks of the warm-up, which nobody judges.
    fn finish_warm_up(&mut self) {
        let samples = std::mem::take(&mut self.warming);
        let scale = Scale::of(&samples);
        self.scale = Some(scale);
        for value in samples {
            self.push(scale, value);
        }
        self.score = 0.0;
    }

    fn push(&mut self, scale: Scale, value: f64) {
        self.filling.add(scale.apply(value));
        if self.filling.samples < self.block {
            return;
        }
        let filled = std::mem::take(&mut self.filling);
        if let Some(mean) = filled.mean() {
            self.score = squash(self.profile.push(mean), SURPRISE_LEVEL);
        }
    }
}

impl Detector for Discord {
    fn score(&mut self, _at: Timestamp, value: f64) -> f64 {
        match self.scale {
            Some(scale) => {
                self.push(scale, value);
                if value.is_finite() { self.score } else { 0.0 }
            }
            None => {
                self.warming.push(value);
                if self.warming.len() == self.warm_up {
                    self.finish_warm_up();
                }
                0.0
            }
        }
    }

    fn save(&self) -> Vec<u8> {
        encode(self)
    }
}

/// Where the warm-up lies and how wide it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Scale {
    median: f64,
    range: f64,
}

impl Scale {
    fn of(samples: &[f64]) -> Self {
        let mut sorted: Vec<f64> = samples.iter().copied().filter(|x| x.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(&low), Some(&high)) = (sorted.first(), sorted.last()) else {
            return Self {
                median: 0.0,
                range: 1.0,
            };
        };
        let median = sorted_quantile(&sorted, 0.5);
        // A constant tells nothing of what would be a large change: a twentieth is taken.
        let range = match high - low {
            range if range > 0.0 => range,
            _ => (0.05 * median.abs()).max(1e-9),
        };
        Self { median, range }
    }

    fn apply(self, value: f64) -> f64 {
        // Halves, because the range of the largest floats is infinite.
        ((value / 2.0 - self.median / 2.0) / (self.range / 2.0)).asinh()
    }
}

/// The block that is not full yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Filling {
    samples: usize,
    known: usize,
    sum: f64,
}

impl Filling {
    fn add(&mut self, value: f64) {
        self.samples += 1;
        if value.is_finite() {
            self.known += 1;
            self.sum += value;
        }
    }

    /// `None` when every sample is missing.
    fn mean(&self) -> Option<f64> {
        (self.known > 0).then(|| self.sum / self.known as f64)
    }
}

/// The remembered blocks and what is known of the distances between their stretches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Profile {
    blocks: VecDeque<f64>,
    surprises: Vec<Surprise>,
}

impl Profile {
    fn new() -> Self {
        Self {
            blocks: VecDeque::new(),
            surprises: vec![Surprise::new(DISTANCE_FLOOR); LENGTHS.len()],
        }
    }

    /// Mean surprise of the stretches that end with this block, in nats.
    fn push(&mut self, block: f64) -> f64 {
        if self.blocks.len() == MEMORY_BLOCKS {
            self.blocks.pop_front();
        }
        self.blocks.push_back(block);
        let distances = nearest(self.blocks.make_contiguous());
        let mut sum = 0.0;
        for (surprise, distance) in self.surprises.iter_mut().zip(distances) {
            if let Some(distance) = distance {
                sum += surprise.next(distance);
            }
        }
        sum / LENGTHS.len() as f64
    }
}

/// Mean absolute difference between the last stretch of each length and the nearest earlier
/// one that does not touch it.
fn nearest(blocks: &[f64]) -> [Option<f64>; LENGTHS.len()] {
    let mut smallest = [f64::INFINITY; LENGTHS.len()];
    let newest = blocks.len() - 1;
    let recent = &blocks[blocks.len().saturating_sub(LENGTH_MAX)..];
    for end in (LENGTHS[0] - 1)..newest.saturating_sub(LENGTHS[0]) {
        let past = &blocks[(end + 1).saturating_sub(LENGTH_MAX)..=end];
        compare(recent, past, newest - end, &mut smallest);
    }
    let mut distances = [None; LENGTHS.len()];
    for (k, &sum) in smallest.iter().enumerate() {
        distances[k] = sum.is_finite().then(|| sum / LENGTHS[k] as f64);
    }
    distances
}

/// Sums the differences from the newest block backwards: the shorter lengths are on the way.
fn compare(recent: &[f64], past: &[f64], apart: usize, smallest: &mut [f64; LENGTHS.len()]) {
    let mut sum = 0.0;
    let mut done = 0;
    for (k, &length) in LENGTHS.iter().enumerate() {
        if past.len() < length || apart <= length {
            return;
        }
        let new = &recent[recent.len() - length..recent.len() - done];
        let old = &past[past.len() - length..past.len() - done];
        sum += new.iter().zip(old).map(|(a, b)| (a - b).abs()).sum::<f64>();
        smallest[k] = smallest[k].min(sum);
        done = length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    /// The definition, one length at a time.
    fn nearest_by_definition(blocks: &[f64], length: usize) -> Option<f64> {
        let newest = blocks.get(blocks.len().checked_sub(length)?..)?;
        (0..blocks.len())
            .map(|start| start + length - 1)
            .filter(|end| end + length < blocks.len() - 1)
            .map(|end| {
                let old = &blocks[end + 1 - length..=end];
                let sum: f64 = newest.iter().zip(old).map(|(a, b)| (a - b).abs()).sum();
                sum / length as f64
            })
            .min_by(f64::total_cmp)
    }

    #[test]
    fn the_three_lengths_are_what_each_would_be_alone() {
        let mut blocks: Vec<f64> = Vec::new();
        for i in 0..120_u64 {
            blocks.push((i * i * 37 % 101) as f64);
            let fast = nearest(&blocks);
            for (k, &length) in LENGTHS.iter().enumerate() {
                let slow = nearest_by_definition(&blocks, length);
                match (fast[k], slow) {
                    (Some(a), Some(b)) => assert!((a - b).abs() < 1e-9, "{length}: {a} {b}"),
                    (a, b) => assert_eq!(a, b, "length {length} at {i}"),
                }
            }
        }
    }

    #[test]
    fn a_strange_day_is_found_in_a_daily_pattern_and_its_repetition_is_not() {
        let setting = Setting::new(Span::from_hours(1), 240).unwrap();
        let mut detector = Discord::new(setting);
        let mut days = Vec::new();
        for hour in 0..(40 * 24_u32) {
            let day = hour / 24;
            let strange = day == 20 || day == 30;
            let phase = f64::from(hour % 24) / 24.0 * std::f64::consts::TAU;
            // The level stays within the daily range: only the shape is new.
            let value = if strange {
                10.0
            } else {
                10.0 + 5.0 * phase.sin()
            };
            let wobble = f64::from(hour * 7919 % 13) * 0.02;
            let score = detector.score(Timestamp::from_seconds(0), value + wobble);
            if score >= super::super::ALARM_LEVEL {
                days.push(day);
            }
        }
        days.dedup();
        assert!(days.contains(&20), "alarms on days {days:?}");
        assert!(!days.contains(&30), "alarms on days {days:?}");
        assert!(days.iter().all(|day| (20..22).contains(day)), "{days:?}");
    }
}
