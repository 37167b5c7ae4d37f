//! What every forecaster of the registry promises.
use prestage_telemetry::{Span, Timestamp};
use proptest::prelude::*;

use super::*;

const HORIZON: usize = 24;
const START: i64 = 1_709_078_400; // 2024-02-28, the day before a leap day.

fn setting() -> Setting {
    Setting::new(Span::from_hours(1), HORIZON).unwrap()
}

fn at(hour: usize) -> Timestamp {
    Timestamp::from_seconds(START + hour as i64 * 3_600)
}

/// A load with a daily and a weekly rhythm and noise without a generator.
fn load(hour: usize) -> f64 {
    let phase = (hour % 24) as f64 / 24.0 * std::f64::consts::TAU;
    let weekend = if hour / 24 % 7 >= 5 { 0.6 } else { 1.0 };
    let noise = (hour * hour * 7_919 % 1_009) as f64 / 1_009.0 - 0.5;
    (100.0 + 40.0 * phase.sin()) * weekend + 8.0 * noise
}

fn fed(entry: &Entry, setting: &Setting, samples: &[(Timestamp, f64)]) -> Box<dyn Forecaster> {
    let mut forecaster = (entry.build)(setting);
    for (i, &(at, value)) in samples.iter().enumerate() {
        forecaster.update(at, value);
        if i % 24 == 23 {
            forecaster.retrain();
        }
    }
    forecaster
}

fn hourly(values: impl IntoIterator<Item = f64>) -> Vec<(Timestamp, f64)> {
    values
        .into_iter()
        .enumerate()
        .map(|(i, value)| (at(i), value))
        .collect()
}

#[track_caller]
fn assert_sound(name: &str, forecaster: &dyn Forecaster) {
    for steps in 1..=HORIZON {
        let quantiles = forecaster.predict(steps);
        let values = quantiles.values();
        assert!(values.iter().all(|v| v.is_finite()), "{name}: {values:?}");
        let ascends = values.windows(2).all(|pair| pair[0] <= pair[1]);
        assert!(ascends, "{name}, {steps} ahead: {values:?}");
    }
}

/// Every entry on every sequence of samples is sound; returns each forecast a step ahead.
#[track_caller]
fn check_sound(samples: &[(Timestamp, f64)]) -> Vec<(&'static str, Quantiles)> {
    FORECASTERS
        .iter()
        .map(|entry| {
            let forecaster = fed(entry, &setting(), samples);
            assert_sound(entry.name, forecaster.as_ref());
            (entry.name, forecaster.predict(1))
        })
        .collect()
}

#[test]
fn names_are_unique_and_found() {
    for (i, entry) in FORECASTERS.iter().enumerate() {
        assert!(entry.about.len() > 20, "{} is not explained", entry.name);
        let found = forecaster(entry.name).map(|found| found.about);
        assert_eq!(found, Some(entry.about));
        let earlier = FORECASTERS[..i]
            .iter()
            .any(|other| other.name == entry.name);
        assert!(!earlier, "two forecasters are called {}", entry.name);
    }
    assert!(forecaster("no-such").is_none());
}

#[test]
fn nothing_seen_and_one_sample() {
    for (name, quantiles) in check_sound(&[]) {
        assert_eq!(quantiles, Quantiles::certain(0.0), "{name}");
    }
    for (name, quantiles) in check_sound(&hourly([42.0])) {
        assert_eq!(quantiles.median(), 42.0, "{name}");
    }
    // Not a single usable sample is as good as none.
    for (name, quantiles) in check_sound(&hourly([f64::NAN, f64::INFINITY, 1e300])) {
        assert_eq!(quantiles, Quantiles::certain(0.0), "{name}");
    }
}

#[test]
fn a_constant_is_continued_and_zeros_stay_zeros() {
    for constant in [0.0, 17.5, -3.0, 1e9] {
        for (name, quantiles) in check_sound(&hourly([constant; 24 * 20])) {
            let off = (quantiles.median() - constant).abs();
            assert!(off <= 1e-6 * constant.abs(), "{name}: {quantiles:?}");
            let width = quantiles.at(0.95) - quantiles.at(0.05);
            assert!(width <= 1e-3 * constant.abs(), "{name}: {quantiles:?}");
        }
    }
}

#[test]
fn a_rhythm_is_followed_better_than_by_its_mean() {
    let samples = hourly((0..24 * 59).map(load));
    for entry in FORECASTERS
        .iter()
        .filter(|entry| entry.name != "persistence")
    {
        let forecaster = fed(entry, &setting(), &samples);
        let error = |steps: usize| {
            let value = load(samples.len() - 1 + steps);
            (forecaster.predict(steps).median() - value).abs()
        };
        let mean = (1..=HORIZON).map(error).sum::<f64>() / HORIZON as f64;
        // From the third working day to the fourth nothing changes but the noise, of +-4.
        assert!(mean < 8.0, "{}: {mean}", entry.name);
        assert_eq!(forecaster.health().fallbacks, 0, "{}", entry.name);
    }
}

#[test]
fn gaps_are_missing_and_long_ones_are_not_walked_through() {
    let mut samples = hourly((0..24 * 20).map(load));
    samples.retain(|&(at, _)| at.seconds() % 7 != 0 && !(200..230).contains(&hour_of(at)));
    samples
        .iter_mut()
        .step_by(11)
        .for_each(|sample| sample.1 = f64::NAN);
    check_sound(&samples);
    // A hundred thousand years later.
    let far = Timestamp::from_seconds(START + 100_000 * 31_557_600);
    samples.push((far, 50.0));
    for entry in FORECASTERS {
        let forecaster = fed(entry, &setting(), &samples);
        assert_sound(entry.name, forecaster.as_ref());
        assert!(forecaster.health().missing > 800_000_000, "{}", entry.name);
    }
}

fn hour_of(at: Timestamp) -> i64 {
    (at.seconds() - START) / 3_600
}

#[test]
fn samples_out_of_order_and_second_ones_of_a_slot_are_dropped() {
    for entry in FORECASTERS {
        let samples = hourly((0..24 * 5).map(load));
        let clean = fed(entry, &setting(), &samples);
        let mut disturbed = fed(entry, &setting(), &samples);
        let (last, _) = samples[samples.len() - 1];
        disturbed.update(last, 1e9);
        disturbed.update(last - Span::from_hours(30), 1e9);
        disturbed.update(last + Span::from_minutes(29), 1e9);
        assert_eq!(disturbed.health().dropped, 3, "{}", entry.name);
        assert_eq!(disturbed.predict(5), clean.predict(5), "{}", entry.name);
    }
}

#[test]
fn jittered_times_belong_to_the_nearest_slot() {
    for entry in FORECASTERS {
        let samples = hourly((0..24 * 9).map(load));
        let jittered: Vec<(Timestamp, f64)> = samples
            .iter()
            .enumerate()
            .map(|(i, &(at, value))| (at + Span::from_minutes((i as i64 * 17 % 59) - 29), value))
            .collect();
        let expected = fed(entry, &setting(), &samples).predict(3);
        let found = fed(entry, &setting(), &jittered).predict(3);
        assert_eq!(found, expected, "{}", entry.name);
    }
}

#[test]
fn a_level_shift_is_believed_within_weeks() {
    for shift in [1e-9, 0.05, 1e3, 1e12] {
        let values = (0..24 * 60).map(|hour| load(hour) * if hour < 24 * 25 { 1.0 } else { shift });
        for (name, quantiles) in check_sound(&hourly(values)) {
            if !(0.01..1e6).contains(&shift) {
                // Sound is all that is promised: profiles still remember the other scale.
                continue;
            }
            let expected = load(24 * 60) * shift;
            let ratio = quantiles.median() / expected;
            assert!((0.4..2.5).contains(&ratio), "{name}, x {shift}: {ratio}");
        }
    }
}

#[test]
fn nothing_is_forecast_below_the_floor() {
    let floored = setting().with_floor(0.0);
    // Mostly zero, sometimes large, and some impossible negatives.
    let value = |hour: usize| match hour * 7_919 % 101 {
        0..8 => 500.0,
        8..12 => -40.0,
        _ => 0.0,
    };
    for entry in FORECASTERS {
        let forecaster = fed(entry, &floored, &hourly((0..24 * 30).map(value)));
        assert_sound(entry.name, forecaster.as_ref());
        for steps in 1..=HORIZON {
            let least = forecaster.predict(steps).values()[0];
            assert!(least >= 0.0, "{}: {least}", entry.name);
        }
    }
}

#[test]
fn a_rhythm_shifted_by_an_hour_is_relearnt() {
    // Daylight saving as UTC sees it, over a leap day.
    let shifted = |hour: usize| load(if hour < 24 * 28 { hour } else { hour + 1 });
    for (name, quantiles) in check_sound(&hourly((0..24 * 59).map(shifted))) {
        let off = (quantiles.median() - shifted(24 * 59)).abs();
        assert!(off < 20.0, "{name}: off by {off}");
    }
}

#[test]
fn a_saved_state_goes_on_bit_for_bit() {
    let samples = hourly((0..24 * 30).map(load));
    for entry in FORECASTERS {
        let mut whole = fed(entry, &setting(), &samples[..400]);
        let mut restored = entry.restore(&whole.save()).unwrap();
        for &(at, value) in &samples[400..] {
            for forecaster in [&mut whole, &mut restored] {
                forecaster.update(at, value);
                if at.hour_of_day() == 7 {
                    forecaster.retrain();
                }
            }
            assert_eq!(whole.predict(13), restored.predict(13), "{}", entry.name);
        }
        assert_eq!(whole.save(), restored.save(), "{}", entry.name);
    }
}

#[test]
fn foreign_bytes_are_refused() {
    for entry in FORECASTERS {
        let refused = entry.restore(&[1, 2, 3]).err().map(|e| e.to_string());
        let message = refused.unwrap_or_default();
        assert!(message.contains(entry.name), "{}: {message}", entry.name);
    }
}

#[test]
fn a_forecast_never_changes_when_the_future_is_altered() {
    let samples = hourly((0..24 * 12).map(load));
    for entry in FORECASTERS {
        let before = fed(entry, &setting(), &samples[..200]).predict(9);
        // What is fed later cannot reach back: the same forecaster, cloned through its state.
        let mut forecaster = fed(entry, &setting(), &samples[..200]);
        let saved = forecaster.save();
        for (i, &(at, _)) in samples[200..].iter().enumerate() {
            forecaster.update(at, 1e6 * i as f64);
        }
        let again = entry.restore(&saved).unwrap().predict(9);
        assert_eq!(before, again, "{}", entry.name);
    }
}

#[test]
fn intervals_cover_what_they_promise() {
    let samples = hourly((0..24 * 100).map(load));
    for entry in FORECASTERS {
        let mut forecaster = (entry.build)(&setting());
        let (mut inside, mut all) = (0, 0);
        let mut promised: Vec<Option<Quantiles>> = vec![None; samples.len() + 6];
        for (i, &(at, value)) in samples.iter().enumerate() {
            if let (Some(quantiles), true) = (promised[i], i > 24 * 40) {
                all += 1;
                inside += usize::from(quantiles.at(0.05) <= value && value <= quantiles.at(0.95));
            }
            forecaster.update(at, value);
            if i % 24 == 0 {
                forecaster.retrain();
            }
            promised[i + 6] = Some(forecaster.predict(6));
        }
        let covered = f64::from(inside as u32) / f64::from(all);
        // Normal intervals of seasonal naive are as wide as its weekends are wrong.
        let is_conformal = entry.name != "seasonal-naive";
        let allowed = if is_conformal { 0.86..0.94 } else { 0.7..1.0 };
        assert!(allowed.contains(&covered), "{}: {covered}", entry.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn anything_goes_in_and_sound_quantiles_come_out(
        samples in proptest::collection::vec((0_i64..7_200 * 40, any::<f64>()), 0..120),
        scale in -30_i32..30,
    ) {
        let mut seconds = START;
        for entry in FORECASTERS {
            let mut forecaster = (entry.build)(&setting());
            for &(gap, value) in &samples {
                seconds += gap / 20;
                let value = value * 10_f64.powi(scale);
                forecaster.update(Timestamp::from_seconds(seconds), value);
                if gap % 13 == 0 {
                    forecaster.retrain();
                }
            }
            assert_sound(entry.name, forecaster.as_ref());
        }
    }
}
