//! Alarms against labelled incidents: precision, recall, F1, delay.
//!
//! An incident is one run of anomalous labels, however long, and an alarm is one sample.
//! Nothing is point-adjusted: a long incident that is found counts once, not once for each
//! of its samples, which is what makes point-adjusted F1 of random scores look good (Kim et
//! al., "Towards a Rigorous Evaluation of Time-Series Anomaly Detection", AAAI 2022).
use super::Window;

/// How alarms and incidents met.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Events {
    /// Alarms raised.
    pub alarms: usize,
    /// Alarms within an incident or its grace.
    pub true_alarms: usize,
    /// Incidents there are.
    pub incidents: usize,
    /// Incidents with an alarm.
    pub found: usize,
    /// Samples from the beginning of the found incidents to their first alarms, in all.
    pub delay_samples: usize,
}

impl Events {
    /// Of no series at all; what sums begin with.
    pub const NONE: Self = Self {
        alarms: 0,
        true_alarms: 0,
        incidents: 0,
        found: 0,
        delay_samples: 0,
    };

    /// Matches alarms, which are in order, with incidents. An alarm may come up to `grace`
    /// samples after the last of an incident and still be true.
    pub fn matching(alarms: &[usize], incidents: &[Window], grace: usize) -> Self {
        let mut events = Self {
            alarms: alarms.len(),
            incidents: incidents.len(),
            ..Self::NONE
        };
        let mut hit = vec![false; incidents.len()];
        for &alarm in alarms {
            // The latest incident that has begun: it claims the alarm before an older one's grace.
            let begun = incidents.partition_point(|incident| incident.first <= alarm);
            let Some(k) = begun.checked_sub(1) else {
                continue;
            };
            if alarm > incidents[k].last + grace {
                continue;
            }
            events.true_alarms += 1;
            if !hit[k] {
                hit[k] = true;
                events.found += 1;
                events.delay_samples += alarm - incidents[k].first;
            }
        }
        events
    }

    /// The events of two series together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            alarms: self.alarms + other.alarms,
            true_alarms: self.true_alarms + other.true_alarms,
            incidents: self.incidents + other.incidents,
            found: self.found + other.found,
            delay_samples: self.delay_samples + other.delay_samples,
        }
    }

    /// Share of true alarms; `None` without an alarm.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.true_alarms, self.alarms)
    }

    /// Share of incidents found; `None` without an incident.
    pub fn recall(&self) -> Option<f64> {
        ratio(self.found, self.incidents)
    }

    /// Harmonic mean of precision and recall, 0 when nothing was found; `None` without an
    /// incident.
    pub fn f1(&self) -> Option<f64> {
        let recall = self.recall()?;
        let precision = self.precision().unwrap_or(0.0);
        let sum = precision + recall;
        Some(if sum > 0.0 {
            2.0 * precision * recall / sum
        } else {
            0.0
        })
    }

    /// Mean samples from the beginning of an incident to its first alarm; `None` when
    /// nothing was found.
    pub fn mean_delay_samples(&self) -> Option<f64> {
        ratio(self.delay_samples, self.found)
    }

    /// Alarms that are not true.
    pub fn false_alarms(&self) -> usize {
        self.alarms - self.true_alarms
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INCIDENTS: [Window; 2] = [
        Window {
            first: 10,
            last: 19,
        },
        Window {
            first: 40,
            last: 40,
        },
    ];

    #[test]
    fn a_long_incident_counts_once_and_each_alarm_is_judged() {
        let events = Events::matching(&[5, 12, 15, 43], &INCIDENTS, 3);
        assert_eq!(events.true_alarms, 3);
        assert_eq!((events.found, events.incidents), (2, 2));
        assert_eq!(events.mean_delay_samples(), Some(2.5));
        assert_eq!(events.precision(), Some(0.75));
        assert_eq!(events.recall(), Some(1.0));
        assert!((events.f1().unwrap() - 1.5 / 1.75).abs() < 1e-12);
        assert_eq!(events.false_alarms(), 1);
    }

    #[test]
    fn without_grace_a_late_alarm_is_false() {
        let events = Events::matching(&[41], &INCIDENTS, 0);
        assert_eq!((events.true_alarms, events.found), (0, 0));
        assert_eq!(events.f1(), Some(0.0));
        assert_eq!(events.mean_delay_samples(), None);
    }

    #[test]
    fn what_cannot_be_known_is_none() {
        let silent = Events::matching(&[], &[], 1);
        assert_eq!(
            (silent.precision(), silent.recall(), silent.f1()),
            (None, None, None)
        );
        assert_eq!(Events::matching(&[1], &[], 1).precision(), Some(0.0));
    }
}
