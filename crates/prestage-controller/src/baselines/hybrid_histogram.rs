//! `hybrid-histogram`: the times between needs, as serverless platforms keep them.
//!
//! After a need nothing is staged until the 5th percentile of the times between needs
//! (the prewarm window, 10 % early, and earlier by the lead time); then a stage is held
//! until the 99th (the keep-alive, 10 % late). Our needs are days apart, so bins grow
//! geometrically, and a cell that has seen few borrows those of all cells of its need
//! type, which stands in for the original's fixed keep-alive and its ARIMA for
//! histograms that say little.
//!
//! Reference: Shahrad et al., Serverless in the Wild (ATC 2020), section 4.
use prestage_lpt::NeedType;
use prestage_telemetry::{Metric, SeriesId, Tail, Timestamp};

use super::Baseline;
use crate::arm::OnDemand;
use crate::cell::{CellSpec, need_index};
use crate::knobs::KnobCenters;
use crate::parameter::{Parameter, Scale};
use crate::rule::{RuleEntry, Sight, StagingRule, Verdict};

pub(super) const ENTRY: Baseline = Baseline {
    name: "hybrid-histogram",
    about: "stages between the 5th and the 99th percentile of the times between needs",
    centers: |_| centers(),
    on_demand: OnDemand::Template,
    rule: Some(&RULE),
};

static RULE: RuleEntry = RuleEntry {
    name: "hybrid-histogram",
    parameters: &[
        Parameter {
            name: "head_ratio",
            about: "share of the times between needs that are shorter than the prewarm window",
            default: 0.05,
            low: 0.0,
            high: 0.5,
            scale: Scale::Linear,
        },
        Parameter {
            name: "tail_ratio",
            about: "share of the times between needs that end within the keep-alive",
            default: 0.99,
            low: 0.5,
            high: 1.0,
            scale: Scale::Linear,
        },
    ],
    build: |cells, values| {
        Box::new(HybridHistogram {
            ratios: std::array::from_fn(|need| [values[need][0], values[need][1]]),
            pooled: [[0.0; BINS]; 4],
            cells: vec![Gaps::default(); cells.len()],
        })
    },
};

/// Bins of half an octave from a quarter of an hour: up to 170 days.
const BINS: usize = 28;
const FIRST_BIN_H: f64 = 0.25;
/// The original's margin on both windows.
const MARGIN: f64 = 0.1;
/// Gaps that the cells of a need type count for in each of them.
const POOL_WEIGHT: f64 = 5.0;

type Histogram = [f64; BINS];

fn centers() -> KnobCenters {
    let mut centers = KnobCenters::default();
    for need in NeedType::ALL {
        // The rule itself says when a stage has waited long enough.
        centers.of_mut(need).ttl_h = 72.0;
    }
    centers
}

struct HybridHistogram {
    /// Of head and tail, by need type.
    ratios: [[f64; 2]; 4],
    /// By need type.
    pooled: [Histogram; 4],
    /// By cell.
    cells: Vec<Gaps>,
}

#[derive(Clone, Debug, Default)]
struct Gaps {
    cursor: u64,
    last: Option<Timestamp>,
    histogram: Histogram,
}

fn bin_of(gap_h: f64) -> usize {
    let octaves = (gap_h.max(FIRST_BIN_H) / FIRST_BIN_H).log2();
    ((2.0 * octaves) as usize).min(BINS - 1)
}

/// Lower edge of a bin, hours; the upper one is that of the next.
fn edge_h(bin: usize) -> f64 {
    FIRST_BIN_H * 2f64.powf(bin as f64 / 2.0)
}

/// First bin up to which `ratio` of the histogram lies.
fn bin_at(histogram: &Histogram, ratio: f64) -> usize {
    let wanted = ratio * histogram.iter().sum::<f64>();
    let mut below = 0.0;
    for (bin, count) in histogram.iter().enumerate() {
        below += count;
        if *count > 0.0 && below >= wanted - 1e-9 {
            return bin;
        }
    }
    BINS - 1
}

impl HybridHistogram {
    fn record(&mut self, cell: &CellSpec, at: Timestamp) {
        let gaps = &mut self.cells[cell.id.index()];
        if let Some(last) = gaps.last.replace(at) {
            let bin = bin_of((at.0 - last.0) as f64 / 3.6e9);
            gaps.histogram[bin] += 1.0;
            self.pooled[need_index(cell.need)][bin] += 1.0;
        }
    }

    /// Head and tail of the times to the next need, hours; `None` while too few are known.
    fn window_h(&self, cell: &CellSpec) -> Option<(f64, f64)> {
        let pooled = &self.pooled[need_index(cell.need)];
        let total: f64 = pooled.iter().sum();
        if total < POOL_WEIGHT {
            return None;
        }
        let own = &self.cells[cell.id.index()].histogram;
        let mixed: Histogram =
            std::array::from_fn(|bin| own[bin] + POOL_WEIGHT * pooled[bin] / total);
        let [head, tail] = self.ratios[need_index(cell.need)];
        let head = edge_h(bin_at(&mixed, head)) * (1.0 - MARGIN);
        let tail = edge_h(bin_at(&mixed, tail) + 1) * (1.0 + MARGIN);
        Some((head, tail))
    }
}

/// Where the needs of an event cell are told; the others are told as outcomes.
fn series(cell: &CellSpec) -> Option<SeriesId> {
    let metric = match cell.need {
        NeedType::FeatureRelease => Metric::ReleasesTotal,
        NeedType::DependencyUpdate => Metric::DependencyUpdatesTotal,
        NeedType::Scaling | NeedType::TestSuite => return None,
    };
    Some(SeriesId::new(cell.service, metric))
}

impl StagingRule for HybridHistogram {
    fn observe(&mut self, cell: &CellSpec, tail: &Tail, _now: Timestamp) {
        if let Some(series) = series(cell) {
            let (times, _) = tail.read(series, &mut self.cells[cell.id.index()].cursor);
            for &at in times {
                self.record(cell, at);
            }
        }
    }

    fn need(&mut self, cell: &CellSpec, at: Timestamp) {
        if series(cell).is_none() {
            self.record(cell, at);
        }
    }

    fn verdict(&mut self, cell: &CellSpec, sight: &Sight) -> Verdict {
        let last = self.cells[cell.id.index()].last;
        let (Some(last), Some((head, tail))) = (last, self.window_h(cell)) else {
            return Verdict::Withdraw;
        };
        let since_h = (sight.now.0 - last.0) as f64 / 3.6e9;
        let lead_h = sight.lead.0 as f64 / 3.6e9;
        if since_h + lead_h >= head && since_h <= tail {
            Verdict::Stage
        } else {
            Verdict::Withdraw
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::stand::Stand;

    #[test]
    fn a_daily_need_is_staged_for_around_its_hour() {
        let mut stand = Stand::new(&ENTRY, NeedType::FeatureRelease);
        stand.releases(12, 24);
        // Gaps of 24 h lie between 22.6 and 32 h; the lead time is half an hour.
        for (hours, expected) in [
            (1, Verdict::Withdraw),
            (19, Verdict::Withdraw),
            (20, Verdict::Stage),
            (35, Verdict::Stage),
            (36, Verdict::Withdraw),
        ] {
            stand.hours_after_last_release(hours);
            assert_eq!(stand.verdict(), expected, "{hours} h after the last");
        }
    }

    #[test]
    fn nothing_is_staged_before_five_gaps_are_known() {
        let mut stand = Stand::new(&ENTRY, NeedType::FeatureRelease);
        stand.releases(5, 24);
        stand.hours_after_last_release(23);
        assert_eq!(stand.verdict(), Verdict::Withdraw);
    }

    #[test]
    fn percentiles_are_those_of_the_bins() {
        let mut histogram = [0.0; BINS];
        histogram[3] = 1.0;
        histogram[10] = 98.0;
        histogram[20] = 1.0;
        assert_eq!(
            [0.0, 0.01, 0.05, 0.99, 1.0].map(|ratio| bin_at(&histogram, ratio)),
            [3, 3, 10, 10, 20]
        );
        assert_eq!((bin_of(0.1), bin_of(0.25), bin_of(1.0)), (0, 0, 4));
        assert_eq!(edge_h(4), 1.0);
    }
}
