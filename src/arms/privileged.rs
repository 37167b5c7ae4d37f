//! `privileged`: constants for each circumstance, the hidden ones among them.
//!
//! It is told what no deployed rule can see and has, for each circumstance that holds, an
//! offset of the threshold and of the time to live; offsets of circumstances that hold
//! together add up. All zeros is the static policy, and one offset for all of a
//! circumstance's hours is the best constant of that regime, so its search holds both. The
//! weights of the linear rule come on top. It moves in whole levels, two an hour, as a
//! learnt policy does.
use prestage_controller::{KNOBS, Knob, NEUTRAL, NeedType, Parameter, Scale, Values, layout};
use prestage_envs::{Latent, PrivilegedPolicy};

use super::Given;
use super::linear::{Linear, PARAMETERS as WEIGHTS};
use super::sensors::{field, need_fields, need_of};
use super::steered::LEVEL_MAX;

const fn level(name: &'static str, about: &'static str) -> Parameter {
    Parameter {
        name,
        about,
        default: 0.0,
        low: -LEVEL_MAX,
        high: LEVEL_MAX,
        scale: Scale::Linear,
    }
}

/// Knobs that a circumstance moves.
const MOVED: [Knob; 2] = [Knob::Threshold, Knob::Ttl];
/// Circumstances; see [`Seen`].
const CIRCUMSTANCES: usize = 7;
/// Offsets of circumstances, before the weights.
const OFFSETS: usize = CIRCUMSTANCES * MOVED.len();

/// A threshold and a time to live for each circumstance, then the weights of the linear rule.
static PARAMETERS: [Parameter; OFFSETS + WEIGHTS.len()] = {
    let mut all = [WEIGHTS[0]; OFFSETS + WEIGHTS.len()];
    let offsets = [
        level("quiet_threshold", "log-odds in the hidden quiet regime"),
        level("quiet_ttl", "doublings in the hidden quiet regime"),
        level("busy_threshold", "log-odds in the hidden busy regime"),
        level("busy_ttl", "doublings in the hidden busy regime"),
        level("outage_threshold", "log-odds while runners are away"),
        level("outage_ttl", "doublings while runners are away"),
        level("off_threshold", "log-odds outside working hours"),
        level("off_ttl", "doublings outside working hours"),
        level("dawn_threshold", "log-odds in the hours before work begins"),
        level("dawn_ttl", "doublings in the hours before work begins"),
        level("queue_threshold", "log-odds while jobs wait for a runner"),
        level("queue_ttl", "doublings while jobs wait for a runner"),
        level("incident_threshold", "log-odds while an incident is open"),
        level("incident_ttl", "doublings while an incident is open"),
    ];
    let mut index = 0;
    while index < OFFSETS {
        all[index] = offsets[index];
        index += 1;
    }
    while index < all.len() {
        all[index] = WEIGHTS[index - OFFSETS];
        index += 1;
    }
    all
};

/// Those of the arm.
pub(super) fn parameters() -> &'static [Parameter] {
    &PARAMETERS
}

/// Constants of regimes that are good where they move the hazard: lower thresholds and longer
/// lives in busy times, the opposite in quiet ones, and either outside working hours.
pub(super) fn known_good() -> Vec<Values> {
    let at = |offsets: &[(&str, f64)]| -> Values {
        let numbers: Vec<f64> = PARAMETERS
            .iter()
            .map(|parameter| {
                let given = offsets.iter().find(|(name, _)| *name == parameter.name);
                given.map_or(0.0, |&(_, level)| level)
            })
            .collect();
        NeedType::ALL.map(|_| numbers.clone())
    };
    vec![
        at(&[("busy_threshold", -1.0), ("quiet_threshold", 1.0)]),
        at(&[("busy_threshold", -1.0), ("quiet_threshold", 3.0)]),
        at(&[("quiet_threshold", 3.0), ("quiet_ttl", -2.0)]),
        at(&[("off_threshold", 2.0), ("off_ttl", -1.0)]),
        at(&[("off_threshold", -1.0), ("off_ttl", 1.0)]),
        at(&[("off_threshold", 2.0), ("dawn_threshold", -2.0)]),
    ]
}

/// Makes the arm of the ladder.
pub(super) fn build(given: &Given) -> Box<dyn PrivilegedPolicy> {
    let of_need = |need: usize, range: std::ops::Range<usize>| given.values[need][range].to_vec();
    let weights = std::array::from_fn(|need| of_need(need, OFFSETS..PARAMETERS.len()));
    let layout = layout();
    Box::new(PerCircumstance {
        linear: Linear::new(weights),
        need: need_fields(&layout),
        at: Positions {
            is_working: field(&layout, "is_working"),
            hour: [field(&layout, "hour_sine"), field(&layout, "hour_cosine")],
            queue: field(&layout, "runner_queue"),
            incident: field(&layout, "incident_open"),
        },
        width: layout.len(),
        offsets: std::array::from_fn(|need| of_need(need, 0..OFFSETS)),
    })
}

/// Where the fields stand that tell of circumstances.
struct Positions {
    is_working: usize,
    hour: [usize; 2],
    queue: usize,
    incident: usize,
}

struct PerCircumstance {
    linear: Linear,
    need: [usize; 4],
    at: Positions,
    width: usize,
    /// By need type; circumstance by circumstance, knob by knob.
    offsets: [Vec<f64>; 4],
}

/// Hours of the morning in which work has not begun and soon will.
const DAWN: std::ops::Range<f64> = 5.0..8.0;

impl PerCircumstance {
    /// How much of each circumstance holds, in the order of [`PARAMETERS`].
    fn seen(&self, latent: &Latent, row: &[f32]) -> [f64; CIRCUMSTANCES] {
        let is = |held: bool| f64::from(u8::from(held));
        let [sine, cosine] = self.at.hour.map(|index| f64::from(row[index]));
        let hour = (sine.atan2(cosine) / std::f64::consts::TAU).rem_euclid(1.0) * 24.0;
        let is_off = row[self.at.is_working] < 0.5;
        [
            latent.quiet,
            latent.busy,
            latent.outage,
            is(is_off),
            is(is_off && DAWN.contains(&hour)),
            is(row[self.at.queue] > 0.0),
            is(row[self.at.incident] > 0.5),
        ]
    }

    /// Levels of the moved knobs in a cell.
    fn levels(&self, latent: &Latent, row: &[f32]) -> [f64; MOVED.len()] {
        let Some(need) = need_of(row, &self.need) else {
            return [0.0; MOVED.len()];
        };
        let mut levels = [self.linear.level(row), 0.0];
        let offsets = self.offsets[need].chunks_exact(MOVED.len());
        for (held, offsets) in self.seen(latent, row).into_iter().zip(offsets) {
            for (level, offset) in levels.iter_mut().zip(offsets) {
                *level += held * offset;
            }
        }
        levels
    }
}

impl PrivilegedPolicy for PerCircumstance {
    fn act(&mut self, latent: &Latent, observations: &[f32], actions: &mut [u8]) {
        actions.fill(NEUTRAL);
        let rows = observations.chunks_exact(self.width);
        for (row, action) in rows.zip(actions.chunks_exact_mut(KNOBS.len())) {
            let levels = self.levels(latent, row);
            for (knob, level) in MOVED.iter().zip(levels) {
                let level = level.round().clamp(-LEVEL_MAX, LEVEL_MAX) as i8;
                action[*knob as usize] = (NEUTRAL as i8 + level) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prestage_controller::KnobCenters;

    use super::*;

    /// The numbers of a test-suite cell, others untuned.
    fn with(numbers: &[(&str, f64)]) -> Values {
        let mut values: Values = std::array::from_fn(|_| vec![0.0; PARAMETERS.len()]);
        for (name, value) in numbers {
            let index = PARAMETERS.iter().position(|one| one.name == *name).unwrap();
            values[3][index] = *value;
        }
        values
    }

    #[track_caller]
    fn check(numbers: &[(&str, f64)], latent: Latent, seen: &[(&str, f32)], expected: [u8; 6]) {
        let (centers, values) = (KnobCenters::default(), with(numbers));
        let layout = layout();
        let mut row = vec![0.0; layout.len()];
        for (name, value) in [("is_test_suite", 1.0), ("is_working", 1.0)]
            .iter()
            .chain(seen)
        {
            row[field(&layout, name)] = *value;
        }
        let mut actions = [9; 6];
        build(&Given {
            centers: &centers,
            values: &values,
        })
        .act(&latent, &row, &mut actions);
        assert_eq!(actions, expected);
    }

    #[test]
    fn each_circumstance_moves_its_knobs_and_they_add_up() {
        let busy = Latent {
            busy: 1.0,
            ..Latent::default()
        };
        let numbers = [
            ("busy_threshold", -2.0),
            ("busy_ttl", 1.4),
            ("off_threshold", 1.0),
            ("dawn_ttl", 1.0),
            ("queue_ttl", 3.0),
            ("calibration_day", 2.0),
        ];
        let usual = Latent::default();
        check(&numbers, usual, &[], [3; 6]);
        check(&numbers, busy, &[], [1, 3, 3, 3, 4, 3]);
        check(&numbers, busy, &[("is_working", 0.0)], [2, 3, 3, 3, 4, 3]);
        // Six in the morning, and nobody works yet.
        let dawn = [("is_working", 0.0), ("hour_sine", 1.0)];
        check(&numbers, usual, &dawn, [4, 3, 3, 3, 4, 3]);
        check(
            &numbers,
            usual,
            &[("runner_queue", 0.3)],
            [3, 3, 3, 3, 6, 3],
        );
        check(
            &numbers,
            usual,
            &[("calibration_day", 1.0)],
            [5, 3, 3, 3, 3, 3],
        );
        check(&numbers, busy, &[("is_test_suite", 0.0)], [3; 6]);
    }
}
