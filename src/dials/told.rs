//! A policy that has levels for each kind of hour and is told which kind it is.
use prestage_controller::{KNOBS, NEUTRAL, action_space, layout};
use prestage_des::SimTime;
use prestage_policy::{Layout, MultiDiscrete, Policy};
use prestage_world::Exogenous;

use super::KindOf;

/// Levels of all knobs.
pub(super) type Levels = [i8; KNOBS.len()];

/// The kind of every hour of every cell in one record; `kinds[hour][cell]`.
pub(super) struct Kinds(Vec<Vec<u8>>);

impl Kinds {
    pub fn new(record: &Exogenous, kind_of: &KindOf) -> Self {
        let mut hours = Vec::new();
        let mut at = record.start;
        while at < record.end {
            hours.push(record.cells.iter().map(|cell| kind_of(cell, at)).collect());
            at += SimTime::from_hours(1);
        }
        Self(hours)
    }

    /// Whether any hour is of the kind.
    pub fn has(&self, kind: u8) -> bool {
        self.0.iter().any(|cells| cells.contains(&kind))
    }
}

/// See the module.
pub(super) struct Told<'a> {
    layout: Layout,
    action: MultiDiscrete,
    kinds: &'a Kinds,
    by_kind: &'a [Levels],
    hour: usize,
}

impl<'a> Told<'a> {
    /// With levels for each kind.
    pub fn new(kinds: &'a Kinds, by_kind: &'a [Levels]) -> Self {
        Self {
            layout: layout(),
            action: action_space(),
            kinds,
            by_kind,
            hour: 0,
        }
    }
}

impl Policy for Told<'_> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn action(&self) -> &MultiDiscrete {
        &self.action
    }

    fn act(&mut self, _observations: &[f32], actions: &mut [u8]) {
        let kinds = &self.kinds.0[self.hour];
        self.hour += 1;
        for (action, &kind) in actions.chunks_exact_mut(KNOBS.len()).zip(kinds) {
            for (action, level) in action.iter_mut().zip(self.by_kind[usize::from(kind)]) {
                *action = (NEUTRAL as i8 + level) as u8;
            }
        }
    }
}
