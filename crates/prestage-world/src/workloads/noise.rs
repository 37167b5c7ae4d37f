//! Noise of a log load: smooth wandering and a fresh part.
//!
//! The smooth part is a first-order autoregression passed through an exponential
//! filter, which is a second-order autoregression with real roots: without the filter
//! neighbouring changes are independent, with it the load goes on for a while in the
//! direction it took. The fresh part is redrawn every five minutes, as what is counted
//! over five minutes is. Both together have the standard deviation that was asked for.
//!
//! Reference: Box, Jenkins and Reinsel, Time Series Analysis, section 3.2.4 (AR(2)).
use prestage_des::Stream;

use crate::scenario::TrafficSpec;

/// The fresh part is redrawn this often.
const FRESH_MINUTES: u32 = 5;

/// A source of noise, a value a minute.
pub(super) struct Noise {
    kept: f64,
    innovation: f64,
    smoothed: f64,
    gain: f64,
    white_sigma: f64,
    autoregression: f64,
    smooth: f64,
    white: f64,
    minute: u32,
}

impl Noise {
    /// Begins at a draw from `stream`.
    pub fn new(traffic: &TrafficSpec, stream: &mut Stream) -> Self {
        let kept = 0.5f64.powf(1.0 / traffic.noise_half_life_minutes);
        let smoothed = if traffic.noise_smoothing_minutes > 0.0 {
            0.5f64.powf(1.0 / traffic.noise_smoothing_minutes)
        } else {
            0.0
        };
        let sigma = traffic.noise_sigma * (1.0 - traffic.noise_white_share).sqrt();
        let start = stream.normal(0.0, sigma);
        Self {
            kept,
            innovation: sigma * (1.0 - kept * kept).sqrt(),
            smoothed,
            // Variance that the filter leaves of an autoregression's.
            gain: ((1.0 + smoothed) * (1.0 - smoothed * kept)
                / ((1.0 - smoothed) * (1.0 + smoothed * kept)))
                .sqrt(),
            white_sigma: traffic.noise_sigma * traffic.noise_white_share.sqrt(),
            autoregression: start,
            smooth: start,
            white: 0.0,
            minute: 0,
        }
    }

    /// The next minute. `fresh` is touched only where there is a fresh part.
    pub fn minute(&mut self, stream: &mut Stream, fresh: &mut Stream) -> f64 {
        self.autoregression =
            self.kept * self.autoregression + self.innovation * stream.normal(0.0, 1.0);
        self.smooth = self.smoothed * self.smooth + (1.0 - self.smoothed) * self.autoregression;
        if self.white_sigma > 0.0 {
            if self.minute.is_multiple_of(FRESH_MINUTES) {
                self.white = fresh.normal(0.0, self.white_sigma);
            }
            self.minute += 1;
        }
        self.gain * self.smooth + self.white
    }
}

/// Mean square change of the noise over `minutes`, over twice its variance: 0 at once,
/// 1 in the long run.
///
/// In continuous time and for a fresh part that is new by then.
pub fn noise_variogram(traffic: &TrafficSpec, minutes: f64) -> f64 {
    let white = traffic.noise_white_share;
    let decay = |half_life: f64| 0.5f64.powf(minutes / half_life);
    let (long, short) = (
        traffic.noise_half_life_minutes,
        traffic.noise_smoothing_minutes,
    );
    let correlation = if short <= 0.0 {
        decay(long)
    } else if (long - short).abs() < 1e-6 * long {
        let rate = std::f64::consts::LN_2 / long;
        (1.0 + rate * minutes) * decay(long)
    } else {
        (long * decay(long) - short * decay(short)) / (long - short)
    };
    white + (1.0 - white) * (1.0 - correlation)
}

#[cfg(test)]
mod tests {
    use prestage_des::Streams;

    use super::*;

    fn spec(smoothing: f64, white: f64) -> TrafficSpec {
        TrafficSpec {
            noise_sigma: 0.3,
            noise_half_life_minutes: 60.0,
            noise_smoothing_minutes: smoothing,
            noise_white_share: white,
            ..TrafficSpec::default()
        }
    }

    #[test]
    fn variance_and_variogram_are_those_of_the_formula() {
        for (smoothing, white) in [
            (0.0, 0.0),
            (20.0, 0.0),
            (60.0, 0.0),
            (20.0, 0.4),
            (0.0, 1.0),
        ] {
            let traffic = spec(smoothing, white);
            let streams = Streams::new(5);
            let (mut stream, mut fresh) = (streams.open("noise", 0), streams.open("fresh", 0));
            let mut noise = Noise::new(&traffic, &mut stream);
            let values: Vec<f64> = (0..400_000)
                .map(|_| noise.minute(&mut stream, &mut fresh))
                .collect();
            let count = values.len() as f64;
            let variance = values.iter().map(|x| x * x).sum::<f64>() / count;
            assert!(
                (variance / 0.09 - 1.0).abs() < 0.06,
                "smoothing {smoothing}, white {white}: variance {variance}"
            );
            for lag in [5_usize, 15, 60, 240] {
                let pairs = values.iter().zip(&values[lag..]);
                let squares: f64 = pairs.map(|(x, y)| (x - y) * (x - y)).sum();
                let found = squares / (count - lag as f64) / (2.0 * variance);
                let expected = noise_variogram(&traffic, lag as f64);
                assert!(
                    (found - expected).abs() < 0.04,
                    "smoothing {smoothing}, white {white}, lag {lag}: {found}, not {expected}"
                );
            }
        }
    }
}
