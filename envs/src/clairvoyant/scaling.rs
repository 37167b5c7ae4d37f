//! Loads that outgrow their replicas: the cheapest course of a scaling cell.
//!
//! A dynamic programme over (minute, replicas, does a need wait?), backwards. Replicas
//! fall by the autoscaler's rule alone and rise only when a need is served: at once, to
//! any number that is enough, by a stage that was ready; or, after any wait, by one that
//! was not, to at least a step above what runs. Every minute in which too few run is a
//! violation, the one in which a need arises included; every minute of idle replicas is
//! booked, those of a stage kept warm are not. Every need takes one stage, unless it
//! waits until the end. A world whose stages cannot be ready that soon, are too small
//! or go stale follows one of these courses and pays at least as much for it.
//!
//! Where requests are repeated only ranges are known (`prestage_world::Requirement`);
//! each minute then takes from its range what is cheapest.
//!
//! Time O(minutes x replicas), memory O(replicas).
use prestage_world::{LoadCourse, Requirement, scaled_in, scaled_out};

/// Prices of a scaling cell, US dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ScalingPrices {
    /// A minute with too few replicas.
    pub violation: f64,
    /// The cheapest stage: its review and its runner.
    pub stage: f64,
    /// A minute of an idle replica.
    pub idle: f64,
}

/// The cheapest course from a point on: its cost and what it consists of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Course {
    /// US dollars.
    pub cost: f64,
    pub violations: u32,
    /// Stages, less those that a need waited for until the end.
    pub stages: i32,
}

impl Course {
    const OVER: Course = Course {
        cost: 0.0,
        violations: 0,
        stages: 0,
    };
    const IMPOSSIBLE: Course = Course {
        cost: f64::INFINITY,
        ..Self::OVER
    };

    fn or(self, other: Course) -> Course {
        if other.cost < self.cost { other } else { self }
    }

    fn violation(self, prices: &ScalingPrices) -> Course {
        Course {
            cost: self.cost + prices.violation,
            violations: self.violations + 1,
            ..self
        }
    }

    fn stage(self, prices: &ScalingPrices) -> Course {
        Course {
            cost: self.cost + prices.stage,
            stages: self.stages + 1,
            ..self
        }
    }

    fn without_stage(self, prices: &ScalingPrices) -> Course {
        Course {
            cost: self.cost - prices.stage,
            stages: self.stages - 1,
            ..self
        }
    }
}

/// The cheapest course of a cell.
pub(super) fn cheapest(course: &LoadCourse, share: f64, prices: ScalingPrices) -> Course {
    let mut sweep = Backwards::new(course, share, prices);
    for minute in course.minutes.iter().rev() {
        sweep.minute(minute);
    }
    sweep.met[course.capacity as usize]
}

/// The programme between two minutes; indices are replicas.
struct Backwards {
    share: f64,
    prices: ScalingPrices,
    /// Replicas after a step of scaling out.
    stepped: Vec<usize>,
    /// From here on when no need waits.
    met: Vec<Course>,
    /// From here on while one waits.
    waits: Vec<Course>,
    /// The least of `met` from so many replicas on.
    met_from: Vec<Course>,
}

impl Backwards {
    fn new(course: &LoadCourse, share: f64, prices: ScalingPrices) -> Self {
        // However many more there were, the next minute would scale them in to the same.
        let minutes = course.minutes.iter();
        let most = minutes.map(|minute| minute.peak.most.max(minute.required.most));
        let highest = scaled_out(most.max().unwrap_or(0), share).max(course.capacity) as usize;
        let states = highest + 2;
        let stepped = |replicas| (scaled_out(replicas as u32, share) as usize).min(states - 1);
        Self {
            share,
            prices,
            stepped: (0..states).map(stepped).collect(),
            met: vec![Course::OVER; states],
            waits: vec![Course::OVER.without_stage(&prices); states],
            met_from: vec![Course::OVER; states],
        }
    }

    /// Steps back over a minute. The order is the reverse of the world's: first what may
    /// happen after the minute, then its idle replicas, then its scale-in or its need.
    fn minute(&mut self, minute: &Requirement) {
        self.waiting_may_end(minute);
        self.book_idle(minute);
        let hits = self.cheapest_hits(minute);
        self.scale_in(minute);
        self.meet(minute, &hits);
    }

    /// A stage becomes ready for the need that waits.
    fn waiting_may_end(&mut self, minute: &Requirement) {
        let mut best = Course::IMPOSSIBLE;
        for (from, met) in self.met_from.iter_mut().zip(&self.met).rev() {
            best = best.or(*met);
            *from = best;
        }
        let enough = minute.required.least as usize;
        for (waits, &step) in self.waits.iter_mut().zip(&self.stepped) {
            *waits = waits.or(self.met_from[step.max(enough)]);
        }
    }

    fn book_idle(&mut self, minute: &Requirement) {
        let most = minute.required.most as usize;
        let idle = self.prices.idle;
        let states = self.met.iter_mut().zip(&mut self.waits);
        for (beyond, (met, waits)) in states.skip(most).enumerate() {
            met.cost += idle * beyond as f64;
            waits.cost += idle * beyond as f64;
        }
    }

    /// The best that a stage which was ready can bring: for a need that is certain, and
    /// then for one with each number of replicas from `required.least` on.
    fn cheapest_hits(&mut self, minute: &Requirement) -> Vec<Course> {
        let (least, most) = (
            minute.required.least as usize,
            minute.required.most as usize,
        );
        let above = self.met[most..].iter();
        let mut best = above.fold(Course::IMPOSSIBLE, |best, &met| best.or(met));
        let mut hits = vec![best; most - least + 1];
        for replicas in (least..most).rev() {
            hits[replicas + 1 - least] = best;
            best = best.or(self.met[replicas]);
        }
        hits[0] = best;
        hits
    }

    fn scale_in(&mut self, minute: &Requirement) {
        let threshold = scaled_out(minute.peak.least, self.share);
        let kept = scaled_in(threshold, minute.peak.least, self.share) as usize;
        let is_known = minute.peak.least == minute.peak.most;
        for states in [&mut self.met, &mut self.waits] {
            let mut best = states[kept];
            for (replicas, state) in states.iter_mut().enumerate().skip(kept) {
                if !is_known {
                    best = best.or(*state);
                }
                if replicas >= threshold as usize {
                    *state = best;
                }
            }
        }
    }

    /// A need is certain below `required.least` and possible below `required.most`.
    fn meet(&mut self, minute: &Requirement, hits: &[Course]) {
        let (least, most) = (
            minute.required.least as usize,
            minute.required.most as usize,
        );
        for replicas in 0..most {
            let certain = replicas < least;
            let hit = hits[(replicas + 1).saturating_sub(least)];
            let waited = self.waits[replicas].violation(&self.prices);
            let need = hit.or(self.waits[replicas]);
            let need = need.stage(&self.prices).violation(&self.prices);
            let (met, waits) = (&mut self.met[replicas], &mut self.waits[replicas]);
            *met = if certain { need } else { met.or(need) };
            *waits = if certain { waited } else { waits.or(waited) };
        }
    }
}

#[cfg(test)]
mod tests {
    use prestage_des::{Stream, Streams};
    use prestage_world::Between;
    use proptest::prelude::*;

    use super::*;

    const SHARE: f64 = 0.25;
    const PRICES: ScalingPrices = ScalingPrices {
        violation: 4.0,
        stage: 9.0,
        idle: 0.5,
    };

    /// Every course, forwards, as the world's rules have it.
    struct BruteForce<'a> {
        minutes: &'a [Requirement],
        prices: ScalingPrices,
        highest: u32,
    }

    impl BruteForce<'_> {
        fn met(&self, at: usize, replicas: u32) -> f64 {
            let Some(minute) = self.minutes.get(at) else {
                return 0.0;
            };
            let needs = |required: u32| {
                let hits = (required..=self.highest)
                    .map(|size| self.idle(size, required) + self.met(at + 1, size));
                let missed = self.served_later(at, replicas, required);
                let served = hits.fold(missed, f64::min);
                self.prices.violation + self.prices.stage + served
            };
            self.cheapest(minute, replicas, &needs, &|kept| self.met(at + 1, kept))
        }

        fn waits(&self, at: usize, replicas: u32) -> f64 {
            let Some(minute) = self.minutes.get(at) else {
                return -self.prices.stage;
            };
            let needs =
                |required| self.prices.violation + self.served_later(at, replicas, required);
            let least = minute.required.least;
            self.cheapest(minute, replicas, &needs, &|kept| {
                self.served_later(at, kept, least)
            })
        }

        /// A need waits after minute `at`.
        fn served_later(&self, at: usize, replicas: u32, required: u32) -> f64 {
            let enough = required.max(scaled_out(replicas, SHARE));
            let served = (enough..=self.highest).map(|size| self.met(at + 1, size));
            served.fold(self.waits(at + 1, replicas), f64::min)
        }

        fn cheapest(
            &self,
            minute: &Requirement,
            replicas: u32,
            needs: &dyn Fn(u32) -> f64,
            kept: &dyn Fn(u32) -> f64,
        ) -> f64 {
            let mut best = f64::INFINITY;
            for required in minute.required.least..=minute.required.most {
                if required > replicas {
                    best = best.min(needs(required));
                    continue;
                }
                for peak in minute.peak.least..=minute.peak.most {
                    let left = scaled_in(replicas, peak, SHARE);
                    best = best.min(self.idle(left, required) + kept(left));
                }
            }
            best
        }

        fn idle(&self, replicas: u32, required: u32) -> f64 {
            f64::from(replicas.saturating_sub(required)) * self.prices.idle
        }
    }

    /// A short course with requirements that are known exactly.
    fn course(draw: &mut Stream, minutes: usize) -> LoadCourse {
        let mut drawn = |low: f64, high: f64| draw.uniform(low, high) as u32;
        let exactly = |value| Between {
            least: value,
            most: value,
        };
        let mut recent: Vec<u32> = Vec::new();
        let minutes = (0..minutes).map(|_| {
            recent.push(drawn(1.0, 7.0));
            let window = recent.iter().rev().take(3).copied();
            Requirement {
                required: exactly(*recent.last().unwrap()),
                peak: exactly(window.max().unwrap()),
            }
        });
        let minutes = minutes.collect();
        LoadCourse {
            capacity: drawn(1.0, 9.0),
            minutes,
        }
    }

    fn brute_force(course: &LoadCourse, prices: ScalingPrices) -> f64 {
        let all = BruteForce {
            minutes: &course.minutes,
            prices,
            highest: 13,
        };
        all.met(0, course.capacity)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn the_sweep_agrees_with_all_courses(seed in any::<u64>()) {
            let mut draw = Streams::new(seed).open("course", 0);
            let course = course(&mut draw, 4);
            let prices = ScalingPrices {
                violation: draw.uniform(0.0, 5.0),
                stage: draw.uniform(0.0, 12.0),
                idle: draw.uniform(0.0, 2.0),
            };
            let (found, expected) = (cheapest(&course, SHARE, prices).cost, brute_force(&course, prices));
            prop_assert!((found - expected).abs() < 1e-9, "{found} instead of {expected} in {course:?}");
        }

        #[test]
        fn what_is_known_less_exactly_never_costs_more(seed in any::<u64>()) {
            let mut draw = Streams::new(seed).open("course", 0);
            let known = course(&mut draw, 5);
            let mut unsure = known.clone();
            for minute in &mut unsure.minutes {
                let more = draw.uniform(0.0, 4.0) as u32;
                minute.required.most += more;
                minute.peak.most += more;
            }
            let part = LoadCourse { minutes: unsure.minutes[..3].to_vec(), ..unsure };
            let all = brute_force(&part, PRICES);
            prop_assert!(cheapest(&part, SHARE, PRICES).cost <= all + 1e-9);
            prop_assert!(cheapest(&unsure, SHARE, PRICES).cost <= cheapest(&known, SHARE, PRICES).cost + 1e-9);
        }
    }

    #[test]
    fn one_step_of_load_takes_one_stage_and_one_minute_of_violation() {
        let exactly = |value| Between {
            least: value,
            most: value,
        };
        let at = |required| Requirement {
            required: exactly(required),
            peak: exactly(required),
        };
        let course = LoadCourse {
            capacity: 2,
            minutes: [at(2), at(2), at(6), at(6), at(6), at(6)].to_vec(),
        };
        let cheapest = cheapest(&course, SHARE, PRICES);
        assert_eq!((cheapest.violations, cheapest.stages), (1, 1));
        assert_eq!(cheapest.cost, PRICES.violation + PRICES.stage);
    }

    #[test]
    fn idle_replicas_are_kept_only_where_that_is_cheaper_than_another_need() {
        let exactly = |value| Between {
            least: value,
            most: value,
        };
        let at = |required| Requirement {
            required: exactly(required),
            peak: exactly(7),
        };
        let course = LoadCourse {
            capacity: 4,
            minutes: [at(5), at(5), at(5), at(7), at(7)].to_vec(),
        };
        // Seven after the first minute: two idle replicas for two minutes, one need.
        let dear = super::cheapest(&course, SHARE, PRICES);
        assert_eq!((dear.stages, dear.cost), (1, 4.0 + 9.0 + 4.0 * 0.5));
        let cheap = ScalingPrices {
            violation: 0.2,
            stage: 0.1,
            ..PRICES
        };
        assert_eq!(super::cheapest(&course, SHARE, cheap).stages, 2);
    }
}
