//! What one arm cost in each cell, day by day, and on which days that counts.
use std::ops::{AddAssign, Range, Sub};

use prestage_controller::{Arm, CellId, NeedType, action_space, layout};
use prestage_des::SimTime;
use prestage_envs::{Setting, run_episode};
use prestage_policy::NeutralPolicy;
use prestage_world::{Exogenous, World};

/// What one cell did, in a day or altogether.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Entry {
    /// US dollars.
    pub cost_usd: f64,
    /// Needs that arose.
    pub needs: f64,
    /// Of these, found a ready stage.
    pub hits: f64,
    /// Stages proposed ahead of a need.
    pub stages: f64,
}

impl Entry {
    /// All of it times `share`.
    pub fn scaled(self, share: f64) -> Self {
        Self {
            cost_usd: self.cost_usd * share,
            needs: self.needs * share,
            hits: self.hits * share,
            stages: self.stages * share,
        }
    }
}

impl Sub for Entry {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            cost_usd: self.cost_usd - other.cost_usd,
            needs: self.needs - other.needs,
            hits: self.hits - other.hits,
            stages: self.stages - other.stages,
        }
    }
}

impl AddAssign for Entry {
    fn add_assign(&mut self, other: Self) {
        self.cost_usd += other.cost_usd;
        self.needs += other.needs;
        self.hits += other.hits;
        self.stages += other.stages;
    }
}

/// Whole days of a run since the start of its record: `[cell][day]`.
pub type Days = Vec<Vec<Entry>>;

/// Runs an arm with its knobs at rest and keeps its books by the day.
pub fn keep(setting: &Setting, arm: &Arm) -> Days {
    let mut world = setting.world(arm);
    let mut books = Books::new(setting.record.cells.len(), setting.record.start);
    let mut still = NeutralPolicy::new(layout(), action_space());
    run_episode(setting, arm, &mut still, &mut world, &mut |moment| {
        books.read(moment.world, setting);
    })
    .expect("a simulated world refuses nothing that a controller asks");
    books.read(&world, setting);
    books.days
}

struct Books {
    before: Vec<Entry>,
    day_ends: SimTime,
    days: Days,
}

impl Books {
    fn new(cells: usize, start: SimTime) -> Self {
        Self {
            before: vec![Entry::default(); cells],
            day_ends: start + SimTime::from_days(1),
            days: vec![Vec::new(); cells],
        }
    }

    /// Closes a day once it is over.
    fn read(&mut self, world: &World, setting: &Setting) {
        if world.now() < self.day_ends {
            return;
        }
        for (index, spec) in setting.record.cells.iter().enumerate() {
            let tally = world.tally(CellId(index as u32));
            let now = Entry {
                cost_usd: setting.prices.cost(&tally.usage, spec.tier).total(),
                needs: tally.needs as f64,
                hits: tally.hits as f64,
                stages: tally.predicted as f64,
            };
            self.days[index].push(now - self.before[index]);
            self.before[index] = now;
        }
        self.day_ends += SimTime::from_days(1);
    }
}

/// Whole days of each cell that lie in the part of its trace that was not fitted: the
/// part that `calibrate` tests the streams on. Empty for a cell whose trace ends
/// before it has a whole day of it.
pub fn unseen_days(record: &Exogenous, fit_share: f64) -> Vec<Range<usize>> {
    let cells = record.cells.iter();
    cells
        .map(|cell| {
            let service = cell.service.0;
            let fitted_until = match cell.need {
                NeedType::FeatureRelease | NeedType::DependencyUpdate => {
                    let days = (record.end - record.start).as_days_f64();
                    Some(record.start + SimTime::from_secs_f64(days * fit_share * 86_400.0))
                }
                NeedType::Scaling => demand_cut(record, service, fit_share),
                NeedType::TestSuite => suite_cut(record, service, fit_share),
            };
            let opens = SimTime::from_micros(cell.opens_at.0);
            let closes = SimTime::from_micros(cell.closes_at.0);
            let since_start = |at: SimTime| (at - record.start).as_days_f64();
            let from = fitted_until.map_or(opens, |cut| cut.max(opens));
            let first = since_start(from).ceil().max(0.0) as usize;
            let end = since_start(closes).floor().max(0.0) as usize;
            first..end.max(first)
        })
        .collect()
}

fn demand_cut(record: &Exogenous, service: u32, fit_share: f64) -> Option<SimTime> {
    let demand = record.demands.iter().find(|each| each.service == service)?;
    let steps = (demand.values.len() as f64 * fit_share).round() as i64;
    Some(demand.first + SimTime::from_micros(demand.step.as_micros() * steps))
}

fn suite_cut(record: &Exogenous, service: u32, fit_share: f64) -> Option<SimTime> {
    let runs = record.suite_runs.iter();
    let times: Vec<SimTime> = runs
        .filter(|run| run.service == service)
        .map(|run| run.at)
        .collect();
    let cut = (times.len() as f64 * fit_share).round() as usize;
    times.get(cut).or(times.last()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{compare, scenarios};
    use prestage_controller::KnobCenters;
    use prestage_controller::baseline;
    use prestage_envs::run_arm;

    fn setting() -> Setting {
        let overrides = ["days=3", "history_days=2", "services.count=1"].map(str::to_owned);
        compare::setting(&scenarios::load("demo", &overrides).unwrap(), 3)
    }

    /// Nothing is lost between the days: they sum to what the episode says.
    #[test]
    fn days_sum_to_the_episode() {
        let setting = setting();
        let arm = baseline("newsvendor").unwrap().arm(&KnobCenters::default());
        let days = keep(&setting, &arm);
        let mut still = NeutralPolicy::new(layout(), action_space());
        let episode = run_arm(&setting, &arm, &mut still);
        assert_eq!(days.len(), episode.cells.len());
        let mut needs = 0.0;
        for (days, cell) in days.iter().zip(&episode.cells) {
            assert_eq!(days.len(), 3);
            let mut sum = Entry::default();
            days.iter().for_each(|&day| sum += day);
            assert!((sum.cost_usd - cell.cost.total()).abs() < 1e-6);
            assert_eq!(sum.needs, cell.tally.needs as f64);
            assert_eq!(sum.hits, cell.tally.hits as f64);
            assert_eq!(sum.stages, cell.tally.predicted as f64);
            needs += sum.needs;
        }
        assert!(needs > 0.0, "a world without needs tests nothing");
    }

    /// Days before the cut were fitted and do not count; every trace has its own cut.
    #[test]
    fn only_whole_days_after_the_cut_count() {
        let record = &setting().record;
        for (cell, days) in record.cells.iter().zip(unseen_days(record, 0.5)) {
            let first = match cell.need {
                // Half of three days after the start.
                NeedType::FeatureRelease | NeedType::DependencyUpdate => 2..=2,
                // Half of five days, two of them before the start.
                NeedType::Scaling => 1..=1,
                NeedType::TestSuite => 0..=2,
            };
            assert!(
                first.contains(&days.start),
                "{} from {}",
                cell.need,
                days.start
            );
            assert_eq!(days.end, 3);
        }
        let none = unseen_days(record, 1.0);
        assert!(
            none.iter()
                .zip(&record.cells)
                .all(|(days, cell)| { cell.need == NeedType::TestSuite || days.is_empty() })
        );
    }
}
