//! What a simulated series says: where the warm-up ends, how sure its mean is.
//!
//! [`mser5`] (White 1997) finds the truncation point, [`BatchMeans`] a confidence
//! interval that autocorrelation does not fool, [`index_of_dispersion`] how bursty
//! counts are. Must not know where a series comes from.

use crate::statistics::Tally;

/// Observations averaged into one before MSER looks at them.
const MSER_BATCH: usize = 5;

/// Where the warm-up of `series` ends, as an index into it: a multiple of 5, 0 when no
/// truncation helps, `None` when the series is too short or not yet stationary.
///
/// MSER-5: of all truncation points d of the means of 5 observations, the one that
/// minimises s^2(d) / (n - d)^2, the squared standard error of what remains but for a
/// constant, with s^2 the sum of squares about the mean. White, "An effective truncation
/// heuristic for bias reduction in simulation output", Simulation 69(6), 1997; White,
/// Cobb, Spratt, WSC 2000. A minimum in the second half means that the run is too
/// short, as those authors advise; fewer than 10 batches are too short as well.
///
/// ```
/// use prestage_des::output_analysis::mser5;
///
/// // A queue that fills for 20 observations, then swings about 10.
/// let series: Vec<f64> = (0..200)
///     .map(|step| if step < 20 { step as f64 / 2.0 } else { 10.0 + (step % 5) as f64 })
///     .collect();
/// assert_eq!(mser5(&series), Some(20));
/// ```
pub fn mser5(series: &[f64]) -> Option<usize> {
    let means: Vec<f64> = series
        .chunks_exact(MSER_BATCH)
        .map(|batch| batch.iter().sum::<f64>() / MSER_BATCH as f64)
        .collect();
    if means.len() < 10 {
        return None;
    }
    // From the back, because what remains after d is a suffix; ties go to the
    // earlier point, which keeps more.
    let mut remaining = Tally::new();
    let mut best = (f64::INFINITY, 0);
    for (index, &mean) in means.iter().enumerate().rev() {
        remaining.add(mean);
        // With fewer than five batches left the statistic is noise near zero.
        let count = remaining.count() as f64;
        let statistic = remaining.squares() / (count * count);
        if remaining.count() >= 5 && statistic <= best.0 {
            best = (statistic, index);
        }
    }
    let (_, truncation) = best;
    (truncation <= means.len() / 2).then_some(truncation * MSER_BATCH)
}

/// A mean with a confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// The interval is mean +- this.
    pub half_width: f64,
}

impl Interval {
    /// Whether the interval covers `value`.
    pub fn contains(&self, value: f64) -> bool {
        (value - self.mean).abs() <= self.half_width
    }
}

/// The method of batch means for one long stationary run: the means of long batches
/// are nearly independent where neighbouring observations are not.
///
/// Law and Kelton, "Simulation Modeling and Analysis", 9.5.3; 20 to 30 batches are
/// advised (Schmeiser 1982). Observations beyond the last full batch are left out.
///
/// ```
/// use prestage_des::output_analysis::BatchMeans;
///
/// let series = [1.0, 3.0, 2.0, 4.0, 3.0, 5.0];
/// let batches = BatchMeans::new(&series, 3).expect("two observations a batch");
/// let interval = batches.interval(0.95);
/// assert_eq!(interval.mean, 3.0);
/// // t(0.975; 2) s / sqrt(3) with s = 1.
/// assert!((interval.half_width - 4.302_653 / 3.0_f64.sqrt()).abs() < 1e-5);
/// ```
#[derive(Clone, Debug)]
pub struct BatchMeans {
    means: Vec<f64>,
}

impl BatchMeans {
    /// Cuts `series` into `batches` of equal length; `None` with fewer than two batches
    /// or fewer observations than batches.
    pub fn new(series: &[f64], batches: usize) -> Option<Self> {
        if batches < 2 || series.len() < batches {
            return None;
        }
        let length = series.len() / batches;
        let mean = |batch: &[f64]| batch.iter().sum::<f64>() / length as f64;
        let means = series.chunks_exact(length).take(batches).map(mean);
        Some(Self {
            means: means.collect(),
        })
    }

    /// The means of the batches, in order.
    pub fn means(&self) -> &[f64] {
        &self.means
    }

    /// The interval that covers the mean with probability `confidence`, in (0, 1), if
    /// the batches are long enough to be independent.
    pub fn interval(&self, confidence: f64) -> Interval {
        assert!(
            confidence > 0.0 && confidence < 1.0,
            "{confidence} is not a level of confidence"
        );
        let tally: Tally = self.means.iter().copied().collect();
        let degrees = tally.count() - 1;
        let quantile = student_t_quantile(0.5 + confidence / 2.0, degrees as u32);
        Interval {
            mean: tally.mean(),
            half_width: quantile * tally.standard_error(),
        }
    }

    /// The correlation of neighbouring batch means: well above 0 (2 / sqrt(batches) is
    /// significant) means that batches are too short and the interval too narrow.
    /// 0 when all means are equal.
    pub fn lag_one_correlation(&self) -> f64 {
        let tally: Tally = self.means.iter().copied().collect();
        if tally.squares() == 0.0 {
            return 0.0;
        }
        let deviations = self.means.windows(2);
        let products = deviations.map(|pair| (pair[0] - tally.mean()) * (pair[1] - tally.mean()));
        products.sum::<f64>() / tally.squares()
    }
}

/// The index of dispersion of counts, variance over mean: 1 for a Poisson process,
/// above when events cluster, below when they are regular. `None` with fewer than two
/// counts or a mean of 0.
pub fn index_of_dispersion(counts: &[f64]) -> Option<f64> {
    let tally: Tally = counts.iter().copied().collect();
    (tally.count() > 1 && tally.mean() > 0.0).then(|| tally.variance() / tally.mean())
}

/// The `probability` quantile of Student's t with `degrees` of freedom.
///
/// By bisection of the distribution function, which is a finite sum for whole degrees
/// of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4). Absolute error below 1e-9 of
/// the larger of 1 and the quantile. Panics unless 0 < `probability` < 1 and
/// `degrees` > 0.
pub fn student_t_quantile(probability: f64, degrees: u32) -> f64 {
    assert!(
        probability > 0.0 && probability < 1.0,
        "{probability} is not a probability inside (0, 1)"
    );
    assert!(degrees > 0, "Student's t needs a degree of freedom");
    if probability < 0.5 {
        return -student_t_quantile(1.0 - probability, degrees);
    }
    let central = 2.0 * probability - 1.0;
    let mut high = 1.0;
    while student_t_central(high, degrees) < central && high < 1e12 {
        high *= 2.0;
    }
    let mut low = 0.0;
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if student_t_central(middle, degrees) < central {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

/// P(|T| <= t) for t >= 0.
fn student_t_central(t: f64, degrees: u32) -> f64 {
    let theta = (t / f64::from(degrees).sqrt()).atan();
    let (sine, cosine) = theta.sin_cos();
    let square = cosine * cosine;
    let odd = degrees % 2 == 1;
    // Odd: cos + 2/3 cos^3 + ... up to cos^(degrees - 2). Even: 1 + 1/2 cos^2 + ...
    let (mut term, mut divisor) = if odd { (cosine, 3.0) } else { (1.0, 2.0) };
    let terms = if odd { (degrees - 1) / 2 } else { degrees / 2 };
    let mut sum = 0.0;
    for _ in 0..terms {
        sum += term;
        term *= square * (divisor - 1.0) / divisor;
        divisor += 2.0;
    }
    if odd {
        (theta + sine * sum) * std::f64::consts::FRAC_2_PI
    } else {
        sine * sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: batch means 9, 1, then 0 and 2 in turn. Keeping all 12 gives a mean of
    /// 20/12 and a sum of squares of 81 + 1 + 5 x 4 - 12 (20/12)^2 = 68.67, over 144:
    /// 0.477. Dropping the first: mean 1, sum of squares 10, over 121: 0.0826. Dropping
    /// two: 10 over 100: 0.1.
    #[test]
    fn mser5_matches_the_hand_computed_truncation() {
        let means = [9.0, 1.0, 0.0, 2.0, 0.0, 2.0, 0.0, 2.0, 0.0, 2.0, 0.0, 2.0];
        // Within a batch values differ, but only their mean may count.
        let series: Vec<f64> = means
            .iter()
            .flat_map(|mean| [mean - 2.0, mean + 2.0, mean - 1.0, mean + 1.0, *mean])
            .collect();
        assert_eq!(mser5(&series), Some(5));
        assert_eq!(mser5(&series[5..]), Some(0), "nothing is left to drop");
        assert_eq!(mser5(&series[..49]), None, "nine batches are too few");
    }

    #[test]
    fn mser5_says_when_a_run_is_still_warming_up() {
        let ramp: Vec<f64> = (0..500).map(|step| f64::from(step * step)).collect();
        assert_eq!(mser5(&ramp), None);
    }

    /// Tables of the t distribution (Abramowitz and Stegun, table 26.10).
    #[test]
    fn t_quantiles_match_the_tables() {
        for (probability, degrees, expected) in [
            (0.975, 1, 12.706),
            (0.975, 2, 4.303),
            (0.95, 3, 2.353),
            (0.975, 10, 2.228),
            (0.995, 19, 2.861),
            (0.975, 29, 2.045),
            (0.975, 120, 1.980),
            (0.9995, 1, 636.619),
        ] {
            let quantile = student_t_quantile(probability, degrees);
            assert!((quantile - expected).abs() < 6e-4, "{degrees}: {quantile}");
            let mirrored = student_t_quantile(1.0 - probability, degrees);
            assert!((quantile + mirrored).abs() < 1e-6 * quantile);
        }
        assert!(student_t_quantile(0.5, 7).abs() < 1e-9);
    }

    #[test]
    fn batches_of_correlated_observations_show_it() {
        let saw: Vec<f64> = (0..1_000).map(|step| f64::from(step % 500)).collect();
        let batches = BatchMeans::new(&saw, 20).unwrap();
        assert_eq!(batches.means().len(), 20);
        assert!(batches.lag_one_correlation() > 0.5);
        assert!(BatchMeans::new(&saw, 1).is_none());
        assert!(BatchMeans::new(&saw[..3], 4).is_none());
    }

    #[test]
    fn dispersion_of_counts_by_hand() {
        assert_eq!(index_of_dispersion(&[2.0, 2.0, 2.0]), Some(0.0));
        assert_eq!(index_of_dispersion(&[0.0, 6.0, 0.0]), Some(6.0));
        assert_eq!(index_of_dispersion(&[0.0, 0.0]), None);
        assert_eq!(index_of_dispersion(&[4.0]), None);
    }
}
