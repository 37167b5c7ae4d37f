//! The score of the Numenta Anomaly Benchmark, version 1.1.
//!
//! Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms: the Numenta Anomaly
//! Benchmark", ICMLA 2015; details as in the benchmark's own scorer (`sweeper.py`,
//! `runner.py` of numenta/NAB). The first sample of a window at or above the threshold earns
//! a share of the weight of a true positive that falls with the position in the window; a
//! missed window costs the weight of a false negative; each sample at or above the threshold
//! outside of windows costs the weight of a false positive, less of it just behind a window.
//! A detector that never calls is worth 0, one that calls at the first sample of every window
//! and nowhere else 100. Samples of the probation do not count.
use std::cmp::Ordering;

use super::Window;

/// What being right and being wrong is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// Name in reports.
    pub name: &'static str,
    /// Earned by a window found at its first sample.
    pub true_positive: f64,
    /// Cost of a call far from any window.
    pub false_positive: f64,
    /// Cost of a missed window.
    pub false_negative: f64,
}

/// The benchmark's three profiles (`config/profiles.json`).
pub const PROFILES: [Profile; 3] = [
    Profile {
        name: "standard",
        true_positive: 1.0,
        false_positive: 0.11,
        false_negative: 1.0,
    },
    Profile {
        name: "low_fp",
        true_positive: 1.0,
        false_positive: 0.22,
        false_negative: 1.0,
    },
    Profile {
        name: "low_fn",
        true_positive: 1.0,
        false_positive: 0.11,
        false_negative: 2.0,
    },
];

/// A threshold no score reaches.
pub const NEVER: f64 = 1.1;

/// Samples of a file that do not count: 15 %, at most 750.
pub fn probation(rows: usize) -> usize {
    (rows * 3 / 20).min(750)
}

/// The scores of one file and the windows to be found in it, in order and apart.
#[derive(Clone, Copy, Debug)]
pub struct Scored<'a> {
    /// One score a sample, in `[0, 1]`.
    pub scores: &'a [f64],
    /// Windows within the file.
    pub windows: &'a [Window],
}

/// A threshold and what it is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Samples from here are calls.
    pub threshold: f64,
    /// 0 for a detector that never calls, 100 for a perfect one.
    pub score: f64,
    /// Windows with a call in them.
    pub found: usize,
    /// Windows there are.
    pub windows: usize,
    /// Calls outside of windows.
    pub false_calls: usize,
}

/// The threshold that is worth most over all files; the benchmark's own tuning.
///
/// Of equal ones the highest. With no window to be found the score is 0.
pub fn tune(files: &[Scored<'_>], profile: &Profile) -> Outcome {
    let mut rows: Vec<Row> = Vec::new();
    let mut first_window = 0;
    for file in files {
        rows.extend(rows_of(file, profile, first_window));
        first_window += file.windows.len();
    }
    rows.sort_by(|a, b| descending(a.score, b.score));
    let mut tally = Tally::new(first_window, profile);
    let (mut best, mut threshold) = (tally.raw, NEVER);
    for (i, row) in rows.iter().enumerate() {
        tally.call(row);
        let is_last_of_its_score = rows.get(i + 1).is_none_or(|next| next.score != row.score);
        if is_last_of_its_score && tally.raw > best {
            (best, threshold) = (tally.raw, row.score);
        }
    }
    at(files, profile, threshold)
}

/// What a threshold is worth over all files.
pub fn at(files: &[Scored<'_>], profile: &Profile, threshold: f64) -> Outcome {
    let windows = files.iter().map(|file| file.windows.len()).sum();
    let mut tally = Tally::new(windows, profile);
    let mut first_window = 0;
    for file in files {
        let rows = rows_of(file, profile, first_window);
        for row in rows.filter(|row| row.score >= threshold) {
            tally.call(&row);
        }
        first_window += file.windows.len();
    }
    tally.outcome(threshold, profile)
}

/// A sample after the probation: its score and what calling it is worth.
struct Row {
    score: f64,
    worth: f64,
    window: Option<usize>,
}

/// `first_window` numbers the windows of the file among those of the corpus.
fn rows_of<'a>(
    file: &'a Scored<'a>,
    profile: &'a Profile,
    first_window: usize,
) -> impl Iterator<Item = Row> + 'a {
    let windows = file.windows;
    let mut upcoming = 0;
    let score_row = move |(index, &score): (usize, &f64)| {
        while upcoming < windows.len() && windows[upcoming].last < index {
            upcoming += 1;
        }
        match windows.get(upcoming) {
            Some(window) if window.contains(index) => Row {
                score,
                worth: profile.true_positive * earliness(*window, index),
                window: Some(first_window + upcoming),
            },
            _ => Row {
                score,
                worth: profile.false_positive * remoteness(windows[..upcoming].last(), index),
                window: None,
            },
        }
    };
    let scored = file.scores.iter().enumerate().map(score_row);
    scored.skip(probation(file.scores.len()))
}

/// Share of a true positive, 1 at the first sample of the window.
fn earliness(window: Window, index: usize) -> f64 {
    let left = (window.last - index + 1) as f64;
    scaled_sigmoid(-left / window.width() as f64) / scaled_sigmoid(-1.0)
}

/// Share of a false positive, -1 far from the window before.
fn remoteness(before: Option<&Window>, index: usize) -> f64 {
    match before {
        None => -1.0,
        // The benchmark measures from the last sample, in widths less one; a window of
        // one sample has no width then, and everything is far from it.
        Some(window) => scaled_sigmoid((index - window.last) as f64 / (window.width() - 1) as f64),
    }
}

/// `2 / (1 + e^5x) - 1`, and -1 from 3 on.
fn scaled_sigmoid(x: f64) -> f64 {
    if x > 3.0 {
        return -1.0;
    }
    2.0 / (1.0 + (5.0 * x).exp()) - 1.0
}

/// The raw score of the calls made so far.
struct Tally {
    raw: f64,
    /// What each window is worth: its miss, or its best call.
    worth: Vec<f64>,
    found: Vec<bool>,
    false_calls: usize,
}

impl Tally {
    fn new(windows: usize, profile: &Profile) -> Self {
        Self {
            raw: -profile.false_negative * windows as f64,
            worth: vec![-profile.false_negative; windows],
            found: vec![false; windows],
            false_calls: 0,
        }
    }

    fn call(&mut self, row: &Row) {
        let Some(window) = row.window else {
            self.false_calls += 1;
            self.raw += row.worth;
            return;
        };
        self.found[window] = true;
        let gain = (row.worth - self.worth[window]).max(0.0);
        self.worth[window] += gain;
        self.raw += gain;
    }

    fn outcome(&self, threshold: f64, profile: &Profile) -> Outcome {
        let windows = self.worth.len();
        let perfect = profile.true_positive * windows as f64;
        let null = -profile.false_negative * windows as f64;
        Outcome {
            threshold,
            score: if windows == 0 {
                0.0
            } else {
                100.0 * (self.raw - null) / (perfect - null)
            },
            found: self.found.iter().filter(|found| **found).count(),
            windows,
            false_calls: self.false_calls,
        }
    }
}

fn descending(a: f64, b: f64) -> Ordering {
    b.total_cmp(&a)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD: Profile = PROFILES[0];

    fn window(first: usize, last: usize) -> Window {
        Window { first, last }
    }

    fn calls(rows: usize, at: &[usize]) -> Vec<f64> {
        let mut scores = vec![0.0; rows];
        for &index in at {
            scores[index] = 1.0;
        }
        scores
    }

    #[track_caller]
    fn check(calls: &[f64], windows: &[Window], profile: &Profile, expected: f64) {
        let files = [Scored {
            scores: calls,
            windows,
        }];
        let outcome = at(&files, profile, 0.5);
        assert!(
            (outcome.score - expected).abs() < 1e-9,
            "score {} instead of {expected}",
            outcome.score
        );
    }

    #[test]
    fn the_sigmoid_is_that_of_the_paper() {
        assert!((scaled_sigmoid(-1.0) - 0.986_614_298_151_430_3).abs() < 1e-15);
        assert!((scaled_sigmoid(-0.5) - 0.848_283_639_957_513).abs() < 1e-12);
        assert_eq!(scaled_sigmoid(0.0), 0.0);
        assert_eq!(scaled_sigmoid(3.1), -1.0);
    }

    #[test]
    fn null_is_0_and_perfect_is_100_on_every_profile() {
        let windows = [window(300, 349), window(600, 699)];
        for profile in &PROFILES {
            check(&calls(1_000, &[]), &windows, profile, 0.0);
            check(&calls(1_000, &[300, 600]), &windows, profile, 100.0);
        }
    }

    #[test]
    fn a_call_half_way_into_a_window_earns_less() {
        // Ten samples, the sixth: 5 are left of 10, so the position is -0.5.
        let share = scaled_sigmoid(-0.5) / scaled_sigmoid(-1.0);
        check(
            &calls(200, &[105]),
            &[window(100, 109)],
            &STANDARD,
            100.0 * (share + 1.0) / 2.0,
        );
        // Later calls of the same window change nothing.
        check(
            &calls(200, &[105, 107, 108]),
            &[window(100, 109)],
            &STANDARD,
            100.0 * (share + 1.0) / 2.0,
        );
    }

    #[test]
    fn a_false_call_costs_its_weight_far_away_and_less_behind_a_window() {
        let windows = [window(100, 110)];
        check(&calls(400, &[80]), &windows, &STANDARD, 100.0 * -0.11 / 2.0);
        check(
            &calls(400, &[399]),
            &windows,
            &STANDARD,
            100.0 * -0.11 / 2.0,
        );
        // Five samples behind the last, in a width less one of ten.
        let share = scaled_sigmoid(0.5);
        check(
            &calls(400, &[115]),
            &windows,
            &STANDARD,
            100.0 * 0.11 * share / 2.0,
        );
    }

    #[test]
    fn nothing_counts_in_the_probation() {
        assert_eq!(probation(4_032), 604);
        assert_eq!(probation(22_695), 750);
        check(
            &calls(400, &[10, 20, 59]),
            &[window(100, 110)],
            &STANDARD,
            0.0,
        );
    }

    #[test]
    fn tuning_finds_the_threshold_by_trying_each() {
        let scores: Vec<f64> = (0..800)
            .map(|i| f64::from(i * 7919 % 997) / 997.0)
            .collect();
        let windows = [window(200, 260), window(500, 520)];
        let files = [Scored {
            scores: &scores,
            windows: &windows,
        }];
        for profile in &PROFILES {
            let tuned = tune(&files, profile);
            let tried = scores.iter().map(|&score| at(&files, profile, score).score);
            let best = tried.fold(at(&files, profile, NEVER).score, f64::max);
            assert!((tuned.score - best).abs() < 1e-9);
        }
    }

    #[test]
    fn an_empty_corpus_is_worth_nothing() {
        assert_eq!(tune(&[], &STANDARD).score, 0.0);
        assert_eq!(tune(&[], &STANDARD).threshold, NEVER);
    }
}
