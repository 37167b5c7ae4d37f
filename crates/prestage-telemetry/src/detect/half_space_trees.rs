//! Half-space trees: how many samples have been where this one is.
//!
//! Tan, Ting and Liu, "Fast Anomaly Detection for Streaming Data", IJCAI 2011. Each tree
//! halves a random box along random dimensions; the leaves of the last window of samples
//! are counted, and the next window is judged by the counts. The point judged is the sample
//! with the two before it, scaled by the range of the warm-up. Deviations: the mass is
//! turned into a surprise by its own past (`Surprise`), because masses of two series cannot
//! be compared; the random boxes are the same for every series, so that a run is repeatable.
//! Sees joint rarity of value and change; knows no season.
use serde::{Deserialize, Serialize};

use super::registry::Entry;
use super::surprise::Surprise;
use super::{Detector, Setting, encode, squash};
use crate::Timestamp;

/// Dimensions of a point: consecutive samples.
const DIMENSIONS: usize = 3;
/// The paper's 25 trees; less than its depth of 15, as three dimensions need fewer cells.
const TREES: usize = 25;
const DEPTH: usize = 8;
const NODES: usize = (1 << (DEPTH + 1)) - 1;
/// The paper's window, samples.
const WINDOW: u32 = 250;
/// The paper's size limit: descending stops where no more than a tenth of the window was.
const SIZE_LIMIT: u32 = WINDOW / 10;
/// Surprise, nats, that raises an alarm.
const SURPRISE_LEVEL: f64 = 5.0;

pub(super) const ENTRY: Entry = Entry {
    name: "half-space-trees",
    about: "mass of three consecutive samples in random half-space trees (Tan, Ting, Liu 2011)",
    build: |setting| Box::new(HalfSpaceTrees::new(setting)),
    restore: |bytes| Ok(Box::new(postcard::from_bytes::<HalfSpaceTrees>(bytes)?)),
};

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HalfSpaceTrees {
    warm_up: usize,
    seen: usize,
    low: f64,
    high: f64,
    /// Samples of the warm-up; empty after it.
    warming: Vec<f64>,
    point: [f64; DIMENSIONS],
    trees: Vec<Tree>,
    in_window: u32,
    surprise: Surprise,
}

impl HalfSpaceTrees {
    /// Has seen nothing.
    pub fn new(setting: Setting) -> Self {
        Self {
            warm_up: setting.warm_up(),
            seen: 0,
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
            warming: Vec::new(),
            point: [0.5; DIMENSIONS],
            trees: (0..TREES).map(|tree| Tree::grow(tree as u64)).collect(),
            in_window: 0,
            surprise: Surprise::new(0.01),
        }
    }

    fn finish_warm_up(&mut self) {
        for value in std::mem::take(&mut self.warming) {
            self.next(value);
        }
        // A warm-up shorter than a window is all there is to judge by.
        self.swap();
    }

    /// Surprise of the point that ends with this value; then counts it.
    fn next(&mut self, value: f64) -> f64 {
        let range = self.high - self.low;
        let place = if range > 0.0 {
            ((value - self.low) / range).clamp(-10.0, 10.0)
        } else if value == self.low {
            0.5
        } else {
            10.0
        };
        self.point.rotate_left(1);
        self.point[DIMENSIONS - 1] = place;
        let point = self.point;
        let mass: f64 = self.trees.iter_mut().map(|tree| tree.visit(&point)).sum();
        self.in_window += 1;
        if self.in_window == WINDOW {
            self.swap();
        }
        // Mass relative to a window spread evenly; rarity is its reciprocal.
        let relative = mass / (TREES as f64 * f64::from(WINDOW));
        self.surprise.next(1.0 / (relative + 0.01))
    }

    fn swap(&mut self) {
        self.in_window = 0;
        for tree in &mut self.trees {
            tree.swap();
        }
    }
}

impl Detector for HalfSpaceTrees {
    fn score(&mut self, _at: Timestamp, value: f64) -> f64 {
        let warm = self.seen == self.warm_up;
        if !warm {
            self.seen += 1;
        }
        let finite = value.is_finite();
        if warm {
            return if finite {
                squash(self.next(value), SURPRISE_LEVEL)
            } else {
                0.0
            };
        }
        if finite {
            self.low = self.low.min(value);
            self.high = self.high.max(value);
            self.warming.push(value);
        }
        if self.seen == self.warm_up {
            self.finish_warm_up();
        }
        0.0
    }

    fn save(&self) -> Vec<u8> {
        encode(self)
    }
}

/// A complete binary tree in breadth-first order: the children of `i` are `2i + 1`, `2i + 2`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Tree {
    /// Dimension and place of each inner node's split.
    splits: Vec<(u8, f64)>,
    /// Visits in the last full window, and in the one under way.
    reference: Vec<u32>,
    latest: Vec<u32>,
}

impl Tree {
    fn grow(seed: u64) -> Self {
        let mut random = SplitMix(seed);
        let mut boxes = [(0.0, 0.0); DIMENSIONS];
        for side in &mut boxes {
            // The paper's work range: the data lie in [0, 1] and off its middle.
            let middle = random.unit();
            let half = 2.0 * middle.max(1.0 - middle);
            *side = (middle - half, middle + half);
        }
        let mut splits = vec![(0, 0.0); NODES / 2];
        split(0, boxes, &mut splits, &mut random);
        Self {
            splits,
            reference: vec![0; NODES],
            latest: vec![0; NODES],
        }
    }

    /// Counts the point and returns its mass in the reference window, scaled by depth.
    fn visit(&mut self, point: &[f64; DIMENSIONS]) -> f64 {
        let (mut node, mut mass) = (0, None);
        for depth in 0..=DEPTH {
            self.latest[node] += 1;
            let visits = self.reference[node];
            if mass.is_none() && (visits <= SIZE_LIMIT || depth == DEPTH) {
                mass = Some(f64::from(visits) * f64::from(1_u32 << depth));
            }
            if depth < DEPTH {
                let (dimension, place) = self.splits[node];
                let right = point[usize::from(dimension)] >= place;
                node = 2 * node + 1 + usize::from(right);
            }
        }
        mass.expect("the last depth sets a mass")
    }

    fn swap(&mut self) {
        std::mem::swap(&mut self.reference, &mut self.latest);
        self.latest.fill(0);
    }
}

fn split(
    node: usize,
    boxes: [(f64, f64); DIMENSIONS],
    splits: &mut [(u8, f64)],
    random: &mut SplitMix,
) {
    if node >= splits.len() {
        return;
    }
    let dimension = (random.next() % DIMENSIONS as u64) as usize;
    let (from, to) = boxes[dimension];
    let middle = (from + to) / 2.0;
    splits[node] = (dimension as u8, middle);
    for (child, side) in [(2 * node + 1, (from, middle)), (2 * node + 2, (middle, to))] {
        let mut halved = boxes;
        halved[dimension] = side;
        split(child, halved, splits, random);
    }
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): enough for boxes, and no dependency.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        // First output for the seed 0 of the reference implementation.
        assert_eq!(SplitMix(0).next(), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn each_level_of_a_tree_holds_the_whole_window() {
        let mut tree = Tree::grow(3);
        for i in 0..100 {
            let place = f64::from(i) / 100.0;
            tree.visit(&[place, 1.0 - place, 0.5]);
        }
        for depth in 0..=DEPTH {
            let level = (1 << depth) - 1..(1 << (depth + 1)) - 1;
            assert_eq!(tree.latest[level].iter().sum::<u32>(), 100);
        }
    }

    #[test]
    fn mass_is_high_where_the_window_was_and_none_elsewhere() {
        let mut tree = Tree::grow(1);
        for _ in 0..WINDOW {
            tree.visit(&[0.2, 0.2, 0.2]);
        }
        tree.swap();
        let full = f64::from(WINDOW) * f64::from(1_u32 << DEPTH);
        assert_eq!(tree.visit(&[0.2, 0.2, 0.2]), full);
        assert_eq!(tree.visit(&[0.9, 0.9, 0.9]), 0.0);
    }
}
