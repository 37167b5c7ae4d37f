//! The noise of a load, from its variogram: how far it moves in five minutes, in an
//! hour, in a day.
//!
//! The forecaster judges its own errors by such squares, so a scenario whose variogram
//! is wrong asks for other stages than the history does. Parameters are those on a grid
//! whose curve comes nearest in the logs; the level follows in closed form.
use prestage_world::{TrafficSpec, noise_variogram};

/// Lags of the variogram, minutes.
const LAGS_MINUTES: [f64; 11] = [
    5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 720.0, 1440.0, 2880.0,
];
/// Fewest differences behind a point of it.
const PAIRS_MIN: usize = 50;
const HALF_LIVES_MINUTES: [f64; 14] = [
    2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 240.0, 480.0, 1440.0, 4320.0,
];
const SMOOTHINGS_MINUTES: [f64; 7] = [0.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0];
const WHITE_SHARES: [f64; 9] = [0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0];

/// Noise as a scenario describes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Standard deviation of the log.
    pub sigma: f64,
    /// Half-life of the smooth part's correlation, minutes.
    pub half_life_minutes: f64,
    /// Half-life of the filter behind it, minutes.
    pub smoothing_minutes: f64,
    /// Share of the variance that is drawn afresh.
    pub white_share: f64,
}

/// Mean square changes of a series with NaN where nothing is known, by lag in minutes.
fn variogram(values: &[f64], step_minutes: f64) -> Vec<(f64, f64)> {
    let squares = |lag: usize| {
        let pairs = values.iter().zip(values.get(lag..).unwrap_or_default());
        let changes: Vec<f64> = pairs
            .map(|(before, after)| (after - before) * (after - before))
            .filter(|square| square.is_finite())
            .collect();
        (changes.len() >= PAIRS_MIN)
            .then(|| changes.iter().sum::<f64>() / changes.len() as f64)
            .filter(|&square| square > 0.0)
    };
    LAGS_MINUTES
        .iter()
        .filter(|&&minutes| minutes >= step_minutes)
        .filter_map(|&minutes| {
            let lag = (minutes / step_minutes).round() as usize;
            Some((lag as f64 * step_minutes, squares(lag)?))
        })
        .collect()
}

/// Fits the noise of a series of log residuals; `None` when it hardly ever changes.
pub fn fit(residuals: &[f64], step_minutes: f64) -> Option<Noise> {
    let points = variogram(residuals, step_minutes);
    if points.len() < 3 {
        return None;
    }
    let mut best: Option<(f64, Noise)> = None;
    for half_life_minutes in HALF_LIVES_MINUTES {
        // The two half-lives are interchangeable; the longer one is the correlation's.
        let shorter = SMOOTHINGS_MINUTES
            .into_iter()
            .filter(|&smoothing| smoothing <= half_life_minutes);
        for smoothing_minutes in shorter {
            for white_share in WHITE_SHARES {
                let mut noise = Noise {
                    sigma: 1.0,
                    half_life_minutes,
                    smoothing_minutes,
                    white_share,
                };
                let (level, distance) = noise.compare(&points);
                if best.is_none_or(|(least, _)| distance < least) {
                    noise.sigma = (0.5 * level.exp()).sqrt();
                    best = Some((distance, noise));
                }
            }
        }
    }
    best.map(|(_, noise)| noise)
}

impl Noise {
    /// Log of the factor that brings the curve to the points, and the mean square
    /// distance in the logs that is left.
    fn compare(&self, points: &[(f64, f64)]) -> (f64, f64) {
        let traffic = TrafficSpec {
            noise_half_life_minutes: self.half_life_minutes,
            noise_smoothing_minutes: self.smoothing_minutes,
            noise_white_share: self.white_share,
            ..TrafficSpec::default()
        };
        let ratios: Vec<f64> = points
            .iter()
            .map(|&(minutes, square)| {
                let model = noise_variogram(&traffic, minutes);
                square.ln() - model.max(1e-12).ln()
            })
            .collect();
        let count = ratios.len() as f64;
        let level = ratios.iter().sum::<f64>() / count;
        let squares = ratios.iter().map(|ratio| (ratio - level) * (ratio - level));
        (level, squares.sum::<f64>() / count)
    }
}

#[cfg(test)]
mod tests {
    use prestage_world::{Exogenous, Scenario};

    use super::*;

    /// Log load of a generated service without daily or weekly shape, five-minute values.
    fn generated(half_life: f64, smoothing: f64, white: f64) -> Vec<f64> {
        let text = format!(
            "format_version = 1\nname = \"t\"\nfamily = \"t\"\nabout = \"t\"\ndays = 60\n\
             [services]\ncount = 1\n[traffic]\ndaily_amplitude = 0.0\nweekend_factor = 1.0\n\
             bursts_per_week = 0.0\nnoise_sigma = 0.2\nnoise_half_life_minutes = {half_life}\n\
             noise_smoothing_minutes = {smoothing}\nnoise_white_share = {white}\n"
        );
        let scenario = Scenario::parse("t.toml", &text, &[]).unwrap();
        let record = Exogenous::generate(&scenario, 1);
        let values = record.demands[0].values.chunks(5);
        values
            .map(|five| (five.iter().map(|&x| f64::from(x)).sum::<f64>() / 5.0).ln())
            .collect()
    }

    #[test]
    fn what_was_generated_is_found_again() {
        for (half_life, smoothing, white) in [
            (60.0, 0.0, 0.0),
            (120.0, 20.0, 0.0),
            (240.0, 0.0, 0.2),
            (60.0, 20.0, 0.1),
        ] {
            let noise = fit(&generated(half_life, smoothing, white), 5.0).unwrap();
            let of = format!("{half_life}, {smoothing}, {white}: {noise:?}");
            assert!((noise.sigma / 0.2 - 1.0).abs() < 0.15, "{of}");
            assert!(
                (noise.half_life_minutes / half_life).ln().abs() < 0.8,
                "{of}"
            );
            assert!((noise.white_share - white).abs() <= 0.1, "{of}");
            assert!((noise.smoothing_minutes - smoothing).abs() <= 20.0, "{of}");
        }
    }

    #[test]
    fn a_series_that_stands_still_has_no_noise() {
        assert_eq!(fit(&[0.5; 1000], 5.0), None);
    }
}
