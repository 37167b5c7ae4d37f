//! What is usual at each minute of a day: a wave, or an hourly profile.
use prestage_des::SimTime;

use super::timestamp;
use crate::scenario::TrafficSpec;

/// Minutes of a day.
pub(super) const MINUTES_A_DAY: usize = 1440;
const HOURS: usize = 24;

/// Log of the usual load over the base, by minute of the day.
pub(super) struct DayShape {
    usual: Usual,
    phase_hours: f64,
    /// The table is of a day of this kind and phase; `None` before the first day.
    made_for: Option<(Kind, f64)>,
    /// Log by minute of the present day.
    pub table: Vec<f64>,
}

enum Usual {
    /// `amplitude` sin(day), less `norm_log`: its exponential has a mean of one.
    Wave { amplitude: f64, norm_log: f64 },
    /// Logs in the middle of each hour of weekdays, then of weekends.
    Profile(Vec<f64>),
}

/// Which days border on a day's own kind decides its first and last half hour.
#[derive(Clone, Copy, PartialEq)]
struct Kind {
    weekend: bool,
    weekend_before: bool,
    weekend_after: bool,
}

impl DayShape {
    /// A wave has its peak `phase_hours` after four in the afternoon; a profile has its
    /// own, and moves only with the days.
    pub fn new(traffic: &TrafficSpec, phase_hours: f64) -> Self {
        let (usual, phase_hours) = if traffic.hourly_profile.is_empty() {
            let amplitude = traffic.daily_amplitude;
            // Mean of exp(a sin x) over a period, by the midpoint rule on 96 points.
            let angle = |i: u32| std::f64::consts::TAU * (f64::from(i) + 0.5) / 96.0;
            let mean = (0..96)
                .map(|i| (amplitude * angle(i).sin()).exp())
                .sum::<f64>()
                / 96.0;
            let norm_log = mean.ln();
            (
                Usual::Wave {
                    amplitude,
                    norm_log,
                },
                phase_hours,
            )
        } else {
            (Usual::Profile(traffic.hourly_profile.clone()), 0.0)
        };
        Self {
            usual,
            phase_hours,
            made_for: None,
            table: vec![0.0; MINUTES_A_DAY],
        }
    }

    /// The day that begins at `at`, its peak moved by some hours.
    pub fn day_begins(&mut self, at: SimTime, move_hours: f64) {
        self.phase_hours += move_hours;
        let weekend = |day: i64| timestamp(at + SimTime::from_days(day)).day_of_week() >= 5;
        let kind = Kind {
            weekend: weekend(0),
            weekend_before: weekend(-1),
            weekend_after: weekend(1),
        };
        let wanted = (kind, self.phase_hours);
        let same_wave = matches!(self.usual, Usual::Wave { .. })
            && self.made_for.is_some_and(|(_, phase)| phase == wanted.1);
        if self.made_for == Some(wanted) || same_wave {
            return;
        }
        self.made_for = Some(wanted);
        for (minute, value) in self.table.iter_mut().enumerate() {
            *value = self.usual.at(minute as f64 / 60.0, self.phase_hours, kind);
        }
    }
}

impl Usual {
    /// At an hour of the day, with the peak moved.
    fn at(&self, hour: f64, phase_hours: f64, kind: Kind) -> f64 {
        match self {
            // Lowest around four in the morning, highest around four in the afternoon.
            Self::Wave {
                amplitude,
                norm_log,
            } => {
                let hour = hour - 10.0 - phase_hours;
                amplitude * (std::f64::consts::TAU * hour / 24.0).sin() - norm_log
            }
            Self::Profile(logs) => {
                let slot = |hour: i64| {
                    let weekend = match hour.div_euclid(HOURS as i64) {
                        0 => kind.weekend,
                        day if day < 0 => kind.weekend_before,
                        _ => kind.weekend_after,
                    };
                    let of_day = hour.rem_euclid(HOURS as i64) as usize;
                    logs[of_day + if weekend { HOURS } else { 0 }]
                };
                // Linear between the middles of the hours; may begin the day before.
                let since_half_past = hour - phase_hours - 0.5;
                let from = since_half_past.floor();
                let share = since_half_past - from;
                let from = from as i64;
                slot(from) * (1.0 - share) + slot(from + 1) * share
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-01-05 was a Friday.
    const FRIDAY: SimTime = SimTime::from_secs(1_704_412_800);

    #[test]
    fn a_profile_is_met_in_the_middle_of_its_hours_and_has_no_steps() {
        let profile: Vec<f64> = (0..48).map(|slot| f64::from(slot * slot % 17)).collect();
        let traffic = TrafficSpec {
            hourly_profile: profile.clone(),
            ..TrafficSpec::default()
        };
        let mut shape = DayShape::new(&traffic, 1.0);
        let mut last = None;
        for day in 0..4 {
            shape.day_begins(FRIDAY + SimTime::from_days(day), 0.0);
            let weekend = if day == 1 || day == 2 { 24 } else { 0 };
            for hour in 0..24 {
                assert_eq!(shape.table[hour * 60 + 30], profile[hour + weekend]);
            }
            for &value in &shape.table {
                // No two slots differ by more than 16, an hour apart.
                assert!(last.is_none_or(|last: f64| (value - last).abs() <= 16.0 / 60.0 + 1e-9));
                last = Some(value);
            }
        }
    }

    #[test]
    fn a_wave_has_a_mean_of_one_and_peaks_in_the_afternoon() {
        let traffic = TrafficSpec {
            daily_amplitude: 1.2,
            ..TrafficSpec::default()
        };
        let mut shape = DayShape::new(&traffic, 0.0);
        shape.day_begins(FRIDAY, 0.0);
        let mean = shape.table.iter().map(|log| log.exp()).sum::<f64>() / 1440.0;
        assert!((mean - 1.0).abs() < 1e-9, "{mean}");
        let peak = shape
            .table
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1))
            .map(|(minute, _)| minute);
        assert_eq!(peak, Some(16 * 60));
    }
}
