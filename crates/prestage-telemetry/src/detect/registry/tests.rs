//! What every detector of the registry promises.
use proptest::prelude::*;

use super::*;
use crate::detect::ALARM_LEVEL;
use crate::{Span, Timestamp};

const WARM_UP: usize = 96;

fn setting() -> Setting {
    Setting::new(Span::from_minutes(15), WARM_UP).unwrap()
}

fn at(i: usize) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000 + i as i64 * 900)
}

fn scores(entry: &Entry, values: &[f64]) -> Vec<f64> {
    let mut detector = (entry.build)(setting());
    let score = |(i, &value): (usize, &f64)| detector.score(at(i), value);
    values.iter().enumerate().map(score).collect()
}

/// A day of 96 samples with a rhythm, noise without a generator, and three oddities.
fn series(days: usize) -> Vec<f64> {
    (0..days * 96)
        .map(|i| {
            let phase = (i % 96) as f64 / 96.0 * std::f64::consts::TAU;
            let noise = (i * i * 7919 % 1_009) as f64 / 1_009.0;
            let odd = match i {
                900 => 80.0,
                1_200..1_240 => -30.0,
                1_500.. => 25.0,
                _ => 0.0,
            };
            100.0 + 20.0 * phase.sin() + 4.0 * noise + odd
        })
        .collect()
}

#[test]
fn names_are_unique_and_found() {
    for (i, entry) in DETECTORS.iter().enumerate() {
        assert!(entry.about.len() > 20, "{} is not explained", entry.name);
        assert_eq!(
            detector(entry.name).map(|found| found.about),
            Some(entry.about)
        );
        let earlier = DETECTORS[..i].iter().any(|other| other.name == entry.name);
        assert!(!earlier, "two detectors are called {}", entry.name);
    }
    assert!(detector("no-such").is_none());
}

#[test]
fn scores_are_in_range_repeatable_and_zero_in_the_warm_up() {
    let values = series(20);
    for entry in DETECTORS {
        let first = scores(entry, &values);
        assert!(
            first.iter().all(|score| (0.0..=1.0).contains(score)),
            "{} leaves [0, 1]",
            entry.name
        );
        assert!(
            first[..WARM_UP].iter().all(|&score| score == 0.0),
            "{} judges its warm-up",
            entry.name
        );
        assert_eq!(first, scores(entry, &values), "{}", entry.name);
    }
}

#[test]
fn a_constant_raises_no_alarm() {
    for value in [0.0, 0.1, -7.3e9, 1e-300] {
        for entry in DETECTORS {
            let raised = scores(entry, &vec![value; 2_000])
                .iter()
                .filter(|&&score| score >= ALARM_LEVEL)
                .count();
            assert_eq!(raised, 0, "{} on the constant {value}", entry.name);
        }
    }
}

#[test]
fn a_level_never_seen_raises_an_alarm() {
    let mut values = series(10);
    for (i, value) in values.iter_mut().enumerate().skip(700) {
        *value = 400.0 + i as f64 % 3.0;
    }
    for entry in DETECTORS {
        let scores = scores(entry, &values);
        let best = scores[700..724].iter().copied().fold(0.0, f64::max);
        assert!(best >= ALARM_LEVEL, "{}: {best}", entry.name);
    }
}

#[test]
fn missing_samples_score_zero_and_leave_the_rest_finite() {
    for entry in DETECTORS {
        let mut values = series(20);
        for i in (0..values.len()).step_by(7) {
            values[i] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][i % 3];
        }
        let scores = scores(entry, &values);
        for (value, score) in values.iter().zip(&scores) {
            assert!((0.0..=1.0).contains(score), "{}: {score}", entry.name);
            assert!(value.is_finite() || *score == 0.0, "{}", entry.name);
        }
    }
}

#[test]
fn a_warm_up_without_a_single_sample_is_survived() {
    for entry in DETECTORS {
        let mut values = vec![f64::NAN; WARM_UP];
        values.extend(series(3));
        let scores = scores(entry, &values);
        assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)));
    }
}

#[test]
fn memory_does_not_grow_with_the_series() {
    for entry in DETECTORS {
        let mut detector = (entry.build)(setting());
        let mut sizes = Vec::new();
        for (i, &value) in series(60).iter().enumerate() {
            detector.score(at(i), value);
            if i == 30 * 96 || i == 60 * 96 - 1 {
                sizes.push(detector.save().len());
            }
        }
        // Varying-length integers may take a few more bytes.
        let grown = sizes[1] as f64 / sizes[0] as f64;
        assert!(grown < 1.05, "{} grew from {sizes:?} bytes", entry.name);
    }
}

#[test]
fn a_saved_detector_goes_on_bit_for_bit() {
    let values = series(20);
    for entry in DETECTORS {
        for stop in [10, 500, 1_201] {
            let mut original = (entry.build)(setting());
            for (i, &value) in values[..stop].iter().enumerate() {
                original.score(at(i), value);
            }
            let mut restored = entry.restore(&original.save()).unwrap();
            for (i, &value) in values.iter().enumerate().skip(stop) {
                let (a, b) = (original.score(at(i), value), restored.score(at(i), value));
                assert_eq!(a, b, "{} differs at {i}, saved at {stop}", entry.name);
            }
        }
        let error = entry.restore(&[]).err().unwrap().to_string();
        assert!(error.contains(entry.name), "{error}");
    }
}

#[test]
fn neither_unit_nor_origin_of_a_series_matters() {
    // Powers of two and a dyadic shift, so that rounding does not decide.
    let values: Vec<f64> = series(20).iter().map(|x| (x * 64.0).round()).collect();
    let moved: Vec<f64> = values.iter().map(|x| x * 8.0 + 4096.0).collect();
    for entry in DETECTORS {
        let (a, b) = (scores(entry, &values), scores(entry, &moved));
        for (i, (a, b)) in a.iter().zip(&b).enumerate() {
            assert!((a - b).abs() < 1e-6, "{} at {i}: {a} and {b}", entry.name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_floats_at_all_are_survived(
        values in prop::collection::vec(prop::num::f64::ANY, 200..400),
    ) {
        for entry in DETECTORS {
            for score in scores(entry, &values) {
                prop_assert!((0.0..=1.0).contains(&score), "{}: {score}", entry.name);
            }
        }
    }
}
