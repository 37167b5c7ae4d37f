//! Samples with times become slots of a regular grid, and a model becomes a forecaster.
use prestage_telemetry::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::past::MAGNITUDE_MAX;
use super::{Forecaster, Health, Model, Past, Quantiles, Setting};

/// A model with its past, fed with samples.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Gridded<M> {
    step: Span,
    horizon: usize,
    floor: Option<f64>,
    past: Past,
    model: M,
    health: Health,
}

impl<M: Model> Gridded<M> {
    pub(super) fn new(setting: &Setting, model: M) -> Self {
        Self {
            step: setting.step(),
            horizon: setting.horizon(),
            floor: setting.floor(),
            past: Past::new(setting),
            model,
            health: Health::default(),
        }
    }

    pub(super) fn restore(bytes: &[u8]) -> Result<Box<dyn Forecaster>, postcard::Error> {
        Ok(Box::new(postcard::from_bytes::<Self>(bytes)?))
    }

    fn slot(&self, at: Timestamp) -> i64 {
        let step = self.step.micros();
        at.micros().saturating_add(step / 2).div_euclid(step)
    }

    fn accept(&self, value: f64) -> Option<f64> {
        let is_usable = value.is_finite() && value.abs() <= MAGNITUDE_MAX;
        is_usable.then(|| self.floor.map_or(value, |floor| value.max(floor)))
    }

    fn learn(&mut self, slot: i64, value: Option<f64>) {
        self.health.missing += u64::from(value.is_none());
        self.past.push(slot, value);
        self.model.learn(&self.past);
    }

    /// Walks through the slots nobody measured, up to as many as the past keeps.
    fn pass_gap(&mut self, to: i64) {
        let walked = self.past.capacity() as i64;
        let gap = to - self.past.slot() - 1;
        if gap > walked {
            self.past.skip(gap - walked);
            self.health.missing += (gap - walked) as u64;
        }
        for slot in self.past.slot() + 1..to {
            self.learn(slot, None);
        }
    }
}

impl<M: Model> Forecaster for Gridded<M> {
    fn update(&mut self, at: Timestamp, value: f64) {
        let slot = self.slot(at);
        let value = self.accept(value);
        if self.past.len() == 0 {
            // Nothing can be said of a series before its first value.
            if value.is_some() {
                self.learn(slot, value);
            }
            return;
        }
        if slot <= self.past.slot() {
            self.health.dropped += 1;
            return;
        }
        self.pass_gap(slot);
        self.learn(slot, value);
    }

    fn retrain(&mut self) {
        if self.past.len() > 0 {
            self.model.retrain(&self.past);
        }
    }

    fn fit(&mut self, history: &[(Timestamp, f64)]) {
        let season = self.past.season().max(4);
        let mut next = 2 * season;
        for (i, &(at, value)) in history.iter().enumerate() {
            self.update(at, value);
            if i + 1 == next {
                self.retrain();
                next += (next / 3).max(season);
            }
        }
        self.retrain();
    }

    fn predict(&self, steps: usize) -> Quantiles {
        assert!(
            (1..=self.horizon).contains(&steps),
            "{steps} steps ahead of a horizon of {}",
            self.horizon
        );
        let quantiles = if self.past.len() == 0 {
            Quantiles::certain(0.0)
        } else {
            self.model.quantiles(&self.past, steps)
        };
        self.floor
            .map_or(quantiles, |floor| quantiles.at_least(floor))
    }

    fn health(&self) -> Health {
        Health {
            fallbacks: self.model.fallbacks(),
            drifted: self.model.has_drifted(),
            ..self.health
        }
    }

    fn save(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("a forecaster's state is numbers and vectors of numbers")
    }
}
