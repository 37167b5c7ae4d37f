//! `static-tuned`, S in reports: the six knobs as numbers that a search may choose.
//!
//! All other arms that are tuned stand on the knobs that are found here.
use prestage_controller::{KnobCenter, KnobCenters, NeedType, Parameter, QUANTILES, Scale, Values};

const fn logarithmic(name: &'static str, about: &'static str, range: [f64; 3]) -> Parameter {
    let [low, default, high] = range;
    Parameter {
        name,
        about,
        default,
        low,
        high,
        scale: Scale::Logarithmic,
    }
}

/// The knobs, in action order. The defaults are those of event cells; where a search
/// begins is [`values_of`] the default centres.
pub static KNOB_SPACE: [Parameter; 6] = [
    Parameter {
        name: "threshold_log_odds",
        about: "log-odds above the newsvendor threshold",
        default: 0.0,
        low: -7.0,
        high: 7.0,
        scale: Scale::Linear,
    },
    Parameter {
        name: "quantile_rung",
        about: "rung of the quantile that a stage covers; its whole part counts",
        default: 3.5,
        low: 0.0,
        high: QUANTILES.len() as f64,
        scale: Scale::Linear,
    },
    logarithmic(
        "horizon_leads",
        "horizon over the lead time's P90",
        [0.5, 1.5, 4.0],
    ),
    logarithmic(
        "half_life_h",
        "half-life of what a forecaster tracks",
        [0.25, 6.0, 168.0],
    ),
    logarithmic("ttl_h", "time to live of a ready stage", [0.25, 12.0, 72.0]),
    logarithmic("retrain_h", "time between retrainings", [1.0, 24.0, 168.0]),
];

/// Centres at these numbers.
pub fn centers_at(values: &Values) -> KnobCenters {
    let mut centers = KnobCenters::default();
    for (need, numbers) in NeedType::ALL.into_iter().zip(values) {
        let [
            threshold_log_odds,
            rung,
            horizon_leads,
            half_life_h,
            ttl_h,
            retrain_h,
        ] = numbers[..]
        else {
            unreachable!("values were checked against the parameters");
        };
        *centers.of_mut(need) = KnobCenter {
            threshold_log_odds,
            quantile_rung: (rung.floor() as u8).min(QUANTILES.len() as u8 - 1),
            horizon_leads,
            half_life_h,
            ttl_h,
            retrain_h,
        };
    }
    centers
}

/// The numbers of these centres; the middle of a rung.
pub fn values_of(centers: &KnobCenters) -> Values {
    NeedType::ALL.map(|need| {
        let center = centers.of(need);
        vec![
            center.threshold_log_odds,
            f64::from(center.quantile_rung) + 0.5,
            center.horizon_leads,
            center.half_life_h,
            center.ttl_h,
            center.retrain_h,
        ]
    })
}

/// Constants that were good in one family or another: a stage is held for the whole of its
/// time to live while the probability covers the horizon only, so thresholds below the
/// newsvendor's pay where stages live long; long horizons and short lives are the other
/// answers to the same.
pub(super) fn known_good() -> Vec<Values> {
    let at = |log_odds: f64, change: fn(&mut KnobCenter)| {
        let mut centers = KnobCenters::default().with_threshold(log_odds);
        NeedType::ALL
            .into_iter()
            .for_each(|need| change(centers.of_mut(need)));
        values_of(&centers)
    };
    vec![
        at(-2.0, |_| {}),
        at(-1.0, |_| {}),
        at(1.0, |_| {}),
        at(-2.0, |center| center.ttl_h = 48.0),
        at(-1.0, |center| {
            (center.horizon_leads, center.ttl_h) = (3.0, 24.0);
        }),
    ]
}

#[cfg(test)]
mod tests {
    use prestage_controller::problem;

    use super::*;

    #[test]
    fn the_space_holds_the_default_centres() {
        let centers = KnobCenters::default();
        let values = values_of(&centers);
        assert_eq!(problem(&KNOB_SPACE, &values), None);
        assert_eq!(centers_at(&values), centers);
    }

    #[test]
    fn the_corners_are_centres_that_may_be_read_back() {
        for unit in [0.0, 1.0] {
            let corner: Vec<f64> = KNOB_SPACE.iter().map(|knob| knob.at(unit)).collect();
            let centers = centers_at(&std::array::from_fn(|_| corner.clone()));
            let text = serde_json::to_string(&centers).unwrap();
            assert_eq!(serde_json::from_str::<KnobCenters>(&text).unwrap(), centers);
        }
    }
}
