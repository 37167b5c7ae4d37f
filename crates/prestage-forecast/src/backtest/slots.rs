//! A recorded series on a regular grid.
use prestage_telemetry::{Span, Timestamp};

/// Means over slots of equal length.
#[derive(Clone, Debug, PartialEq)]
pub struct Slots {
    step: Span,
    start: Timestamp,
    values: Vec<Option<f64>>,
}

impl Slots {
    /// The mean of the samples in each slot of `step`, beginning at whole steps since the epoch;
    /// `None` where there is no finite sample. Times are in order.
    ///
    /// # Panics
    /// When `step` is not positive.
    pub fn from_samples(step: Span, samples: &[(Timestamp, f64)]) -> Self {
        assert!(step > Span::ZERO, "slots of {step}");
        let slot_of = |at: Timestamp| at.micros().div_euclid(step.micros());
        let first = samples.first().map_or(0, |&(at, _)| slot_of(at));
        let mut values: Vec<Option<f64>> = Vec::new();
        let mut counts: Vec<f64> = Vec::new();
        for &(at, value) in samples.iter().filter(|(_, value)| value.is_finite()) {
            let index = (slot_of(at) - first).max(0) as usize;
            if index >= values.len() {
                values.resize(index + 1, None);
                counts.resize(index + 1, 0.0);
            }
            counts[index] += 1.0;
            let mean = values[index].unwrap_or(0.0);
            values[index] = Some(mean + (value - mean) / counts[index]);
        }
        Self {
            step,
            start: Timestamp(first * step.micros()),
            values,
        }
    }

    /// Length of a slot.
    pub const fn step(&self) -> Span {
        self.step
    }

    /// When the slot `index` begins.
    pub fn time(&self, index: usize) -> Timestamp {
        Timestamp(self.start.micros() + index as i64 * self.step.micros())
    }

    /// The values, `None` where nothing was measured.
    pub fn values(&self) -> &[Option<f64>] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_a_slot_are_averaged_and_gaps_stay_gaps() {
        let at = Timestamp::from_seconds;
        let samples = [
            (at(7_300), 1.0),
            (at(7_800), 3.0),
            (at(8_000), f64::NAN),
            (at(14_400), 5.0),
        ];
        let slots = Slots::from_samples(Span::from_hours(1), &samples);
        assert_eq!(slots.values(), [Some(2.0), None, Some(5.0)]);
        assert_eq!(slots.time(2), at(14_400));
    }
}
