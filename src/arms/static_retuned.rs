//! `static-retuned`: constant knobs again, searched on from where S ended.
//!
//! An adaptive arm stands on S and is tuned for as long again; part of what it gains over S
//! may be that second search. This arm has had both and still does not adapt: what an
//! adaptive arm gains over it is adaptation.
use prestage_controller::{KnobCenters, Parameter, Scale, Values};

use super::static_tuned::{KNOB_SPACE, centers_at, values_of};

const fn offset(name: &'static str, about: &'static str, most: f64) -> Parameter {
    Parameter {
        name,
        about,
        default: 0.0,
        low: -most,
        high: most,
        scale: Scale::Linear,
    }
}

/// Offsets from S, in the order of the knobs.
pub(super) static PARAMETERS: &[Parameter] = &[
    offset("threshold_log_odds", "log-odds added to S's threshold", 2.0),
    offset("quantile_rung", "rungs added to S's quantile", 2.0),
    offset("horizon_leads", "doublings of S's horizon", 1.0),
    offset("half_life_h", "doublings of S's half-life", 2.0),
    offset("ttl_h", "doublings of S's time to live", 2.0),
    offset(
        "retrain_h",
        "doublings of S's time between retrainings",
        2.0,
    ),
];

/// S's centres with the offsets, inside the ranges of the knobs. Without offsets S itself.
pub(super) fn centers(tuned: &KnobCenters, offsets: &Values) -> KnobCenters {
    let mut values = values_of(tuned);
    for (numbers, offsets) in values.iter_mut().zip(offsets) {
        let knobs = KNOB_SPACE.iter().zip(offsets);
        for (number, (knob, offset)) in numbers.iter_mut().zip(knobs) {
            let moved = match knob.scale {
                Scale::Linear => *number + offset,
                Scale::Logarithmic => *number * offset.exp2(),
            };
            *number = moved.clamp(knob.low, knob.high);
        }
    }
    centers_at(&values)
}

#[cfg(test)]
mod tests {
    use prestage_controller::{KnobCenter, NeedType};

    use super::*;

    #[test]
    fn offsets_move_each_knob_in_its_own_scale_and_stay_inside() {
        let tuned = KnobCenters::default();
        let none: Values = std::array::from_fn(|_| vec![0.0; 6]);
        assert_eq!(centers(&tuned, &none), tuned);
        let offsets: Values = std::array::from_fn(|_| vec![1.5, -1.0, 1.0, -1.0, 2.0, 9.0]);
        let found = *centers(&tuned, &offsets).of(NeedType::FeatureRelease);
        let expected = KnobCenter {
            threshold_log_odds: 1.5,
            quantile_rung: 2,
            horizon_leads: 3.0,
            half_life_h: 3.0,
            ttl_h: 48.0,
            retrain_h: 168.0,
        };
        assert_eq!(found, expected);
    }
}
