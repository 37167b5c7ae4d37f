//! The controller's state: one model, one set of knobs and one record of how
//! well it went for every cell.
use prestage_forecast::{NeedModel, NeedModelInput, entry};
use prestage_lpt::NeedType;
use prestage_policy::Layout;
use prestage_telemetry::{Metric, SeriesId, ServiceId, Span, Tail, Timestamp};

use crate::anomaly::Watch;
use crate::arm::Arm;
use crate::cell::{Calendar, CellId, CellSpec, Circumstances};
use crate::health::Health;
use crate::knobs::{KNOBS, Knobs, NEUTRAL};
use crate::observation;
use crate::ports::Outcome;
use crate::prices::PriceBook;
use crate::rule::StagingRule;

/// Time between two settings of the knobs.
pub(crate) const DECISION_EVERY: Span = Span(3_600_000_000);
/// Least time between two times that an alarm has the policy asked.
const INTERRUPT_EVERY: Span = Span(600_000_000);
/// Most levels a knob may move from one turn to the next, interrupts included.
const LEVELS_PER_DECISION: i8 = 2;

/// Everything a controller is told once.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its cells; `cells[i].id` is `i`.
    pub cells: Vec<CellSpec>,
    /// What things cost; thresholds are the critical fractiles of these prices.
    pub prices: PriceBook,
    /// When people work and when nothing is released.
    pub calendar: Calendar,
}

/// Decides for a set of cells. See [`crate::reconcile`].
pub struct Controller {
    pub(crate) cells: Vec<Cell>,
    pub(crate) prices: PriceBook,
    pub(crate) calendar: Calendar,
    pub(crate) layout: Layout,
    pub(crate) next_decision: Option<Timestamp>,
    pub(crate) watch: Watch,
    /// Has an alarm been raised since the policy was asked?
    alarm_pending: bool,
    interrupted_at: Option<Timestamp>,
    interrupts: u64,
    pub(crate) observations: Vec<f32>,
    pub(crate) actions: Vec<u8>,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) runners: RunnerPool,
    /// Decides instead of forecast and threshold.
    pub(crate) rule: Option<Box<dyn StagingRule>>,
}

pub(crate) struct Cell {
    pub spec: CellSpec,
    pub center: crate::knobs::KnobCenter,
    pub levels: [i8; 6],
    /// The levels that the hourly turn found.
    levels_before: [i8; 6],
    pub knobs: Knobs,
    /// exp of the threshold knob; what is written hourly is read every five minutes.
    threshold_odds: f64,
    pub model: Box<dyn NeedModel>,
    pub health: Health,
    pub retrained_at: Option<Timestamp>,
    pub view: CellView,
    /// Is an incident of the service open? As of the latest telemetry.
    pub incident: bool,
    incident_cursor: u64,
}

/// The forecast behind a cell's latest decision.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CellView {
    /// Probability of a need within the horizon.
    pub probability: f64,
    /// The threshold it is compared with.
    pub threshold: f64,
    /// The horizon.
    pub horizon: Span,
}

/// The latest readings of the shared runner pool.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RunnerPool {
    utilization_cursor: u64,
    queue_cursor: u64,
    pub utilization: f64,
    pub queue_length: f64,
}

impl RunnerPool {
    pub(crate) fn read(&mut self, tail: &Tail) {
        let read = |metric, cursor: &mut u64, into: &mut f64| {
            if let Some(&latest) = tail
                .read(SeriesId::new(ServiceId::GLOBAL, metric), cursor)
                .1
                .last()
            {
                *into = latest;
            }
        };
        read(
            Metric::RunnerUtilizationRatio,
            &mut self.utilization_cursor,
            &mut self.utilization,
        );
        read(
            Metric::RunnerQueueLength,
            &mut self.queue_cursor,
            &mut self.queue_length,
        );
    }
}

impl Controller {
    /// A controller with the arm's centres and no knowledge.
    ///
    /// Panics when `cells[i].id` is not `i`: such a list is a bug in the host.
    pub fn new(options: Options, arm: &Arm) -> Self {
        let layout = observation::layout();
        let n_cells = options.cells.len();
        let rule = arm.rule.as_ref().map(|rule| rule.build(&options.cells));
        let watch = Watch::new(options.cells.iter());
        let cells = options.cells.into_iter().enumerate().map(|(i, spec)| {
            assert_eq!(spec.id, CellId(i as u32), "cell {i} carries another id");
            Cell::new(spec, arm)
        });
        Self {
            cells: cells.collect(),
            prices: options.prices,
            calendar: options.calendar,
            next_decision: None,
            watch,
            alarm_pending: false,
            interrupted_at: None,
            interrupts: 0,
            observations: vec![0.0; n_cells * layout.len()],
            actions: vec![NEUTRAL; n_cells * KNOBS.len()],
            outcomes: Vec::new(),
            runners: RunnerPool::default(),
            rule,
            layout,
        }
    }

    /// Number of cells, the rows of an observation.
    pub fn n_cells(&self) -> usize {
        self.cells.len()
    }

    /// The layout of one row of its observations.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// `[n_cells * layout.len()]`, as of the last time knobs were due.
    pub fn observations(&self) -> &[f32] {
        &self.observations
    }

    /// The forecast behind the latest decision of a cell.
    pub fn view(&self, cell: CellId) -> CellView {
        self.cells[cell.index()].view
    }

    /// Series whose requests or errors have an alarm that was raised and not lowered.
    pub fn standing_alarms(&self, now: Timestamp) -> impl Iterator<Item = SeriesId> {
        self.watch.standing(now)
    }

    /// How often an alarm had the policy asked between two hourly turns.
    pub fn interrupts(&self) -> u64 {
        self.interrupts
    }

    /// How often the model of a cell was retrained before it was due, its forecasts having got
    /// worse.
    pub fn early_retrainings(&self, cell: CellId) -> u64 {
        self.cells[cell.index()].health.early_retrainings
    }

    /// What a cell is.
    pub fn spec(&self, cell: CellId) -> &CellSpec {
        &self.cells[cell.index()].spec
    }

    /// Feeds history without deciding anything; ends with a first training.
    pub fn warm_up(&mut self, tail: &Tail, now: Timestamp) {
        for cell in &mut self.cells {
            cell.observe(tail, now);
            if let Some(rule) = &mut self.rule {
                rule.observe(&cell.spec, tail, now);
            }
        }
        self.watch(tail, now);
        self.runners.read(tail);
    }

    /// Looks for what is unusual since the last time.
    pub(crate) fn watch(&mut self, tail: &Tail, now: Timestamp) {
        self.alarm_pending |= self.watch.observe(tail, now);
    }

    /// Trains every model on what it has observed, free of charge: the state a
    /// controller is switched on in.
    pub fn train_all(&mut self, now: Timestamp) {
        for cell in &mut self.cells {
            cell.model.retrain(now);
            cell.retrained_at = Some(now);
        }
    }

    /// Whether the policy is asked now, and why.
    pub(crate) fn occasion(&self, now: Timestamp) -> Option<Occasion> {
        if self.next_decision.is_none_or(|due| now >= due) {
            return Some(Occasion::Turn);
        }
        let rested = |last: Timestamp| now.0 - last.0 >= INTERRUPT_EVERY.0;
        let interrupts = self.alarm_pending && self.interrupted_at.is_none_or(rested);
        interrupts.then_some(Occasion::Interrupt)
    }

    /// Turns the levels in `actions` into knobs, at most two levels from one turn to the next.
    pub(crate) fn set_knobs(&mut self, now: Timestamp, occasion: Occasion) {
        self.alarm_pending = false;
        for (cell, action) in self
            .cells
            .iter_mut()
            .zip(self.actions.chunks_exact(KNOBS.len()))
        {
            if occasion == Occasion::Turn {
                cell.levels_before = cell.levels;
            }
            cell.set_levels(action);
        }
        match occasion {
            Occasion::Turn => {
                // On the grid of whole hours since the first decision, however late this call came.
                let first = self.next_decision.unwrap_or(now);
                let missed = (now.0 - first.0).div_euclid(DECISION_EVERY.0);
                self.next_decision = Some(Timestamp(first.0 + (missed + 1) * DECISION_EVERY.0));
            }
            Occasion::Interrupt => {
                self.interrupted_at = Some(now);
                self.interrupts += 1;
            }
        }
    }

    /// Books what happened in the cells.
    pub(crate) fn book_outcomes(&mut self) {
        for outcome in self.outcomes.drain(..) {
            match outcome {
                Outcome::Need { cell, at, hit } => {
                    let cell = &mut self.cells[cell.index()];
                    cell.health.need(at, hit);
                    if let Some(rule) = &mut self.rule {
                        rule.need(&cell.spec, at);
                    }
                }
                Outcome::Ready { cell, lead, .. } => self.cells[cell.index()].health.ready(lead),
                Outcome::Ended {
                    cell,
                    at,
                    end,
                    idle,
                } => self.cells[cell.index()].health.ended(at, end, idle),
            }
        }
    }
}

impl Cell {
    fn new(spec: CellSpec, arm: &Arm) -> Self {
        let input = NeedModelInput {
            service: spec.service,
            rated_load_per_replica: spec.rated_load_per_replica,
            suite_budget_s: spec.suite_budget_s,
        };
        let entry = entry(&spec.need.to_string()).expect("every need type has a model");
        let center = *arm.centers.of(spec.need);
        let knobs = center.at([0; 6]);
        let mut model = (entry.build)(input);
        model.set_half_life(knobs.half_life);
        model.set_staffing(spec.staffing);
        let mut health = Health::new(spec.lead_prior);
        if spec.retrain_on_drift {
            health.watch_drift();
        }
        Self {
            health,
            spec,
            center,
            levels: [0; 6],
            levels_before: [0; 6],
            knobs,
            threshold_odds: knobs.threshold_log_odds.exp(),
            model,
            retrained_at: None,
            view: CellView::default(),
            incident: false,
            incident_cursor: 0,
        }
    }

    /// Takes in what the telemetry has to say since the last time.
    pub(crate) fn observe(&mut self, tail: &Tail, now: Timestamp) {
        self.model.observe(tail, now);
        self.health.advance(now);
        let series = SeriesId::new(self.spec.service, Metric::IncidentOpen);
        if let Some(&open) = tail.read(series, &mut self.incident_cursor).1.last() {
            self.incident = open > 0.0;
        }
    }

    /// Is this a cell that retrains early, and have its forecasts got worse since it last did?
    pub(crate) fn has_drifted(&self) -> bool {
        self.spec.retrain_on_drift
            && (self.model.has_drifted()).unwrap_or_else(|| self.health.has_drifted())
    }

    /// Follows an action as far as it may.
    fn set_levels(&mut self, action: &[u8]) {
        let from = self.levels;
        let levels = self.levels.iter_mut().zip(self.levels_before);
        for ((level, before), &wanted) in levels.zip(action) {
            let wanted = wanted as i8 - NEUTRAL as i8;
            *level = wanted.clamp(before - LEVELS_PER_DECISION, before + LEVELS_PER_DECISION);
        }
        if self.levels != from {
            self.knobs = self.center.at(self.levels);
            self.threshold_odds = self.knobs.threshold_log_odds.exp();
            self.model.set_half_life(self.knobs.half_life);
        }
    }

    /// How far this cell looks ahead.
    pub(crate) fn horizon(&self) -> Span {
        Span((self.health.lead_p90().0 as f64 * self.knobs.horizon_leads) as i64)
    }

    /// Cost in US dollars of a need that finds no stage now.
    pub(crate) fn miss_usd(&self, prices: &PriceBook, hours: Hours) -> f64 {
        let circumstances = Circumstances {
            working: hours == Hours::Working,
            incident: self.incident,
        };
        let per_minute = match self.spec.need {
            NeedType::Scaling => prices.slo_violation_minute[self.spec.tier.index()],
            _ => self.spec.people_waiting(circumstances) * prices.person_minute,
        };
        self.health.lead_minutes() * per_minute
    }

    /// Cost in US dollars of a stage that is never used.
    pub(crate) fn waste_usd(&self, prices: &PriceBook) -> f64 {
        let hold = match self.spec.need {
            // One extra replica for the time to live is the least a stage holds.
            NeedType::Scaling => self.knobs.ttl.0 as f64 / 3.6e9 * prices.instance_hour,
            _ => 0.0,
        };
        prices.review_minutes * prices.person_minute
            + self.spec.runner_minutes_prior * prices.runner_minute
            + hold
    }

    /// Odds of the newsvendor's critical fractile, times those of the threshold
    /// knob: stage when the probability of a need is at least waste / (waste + miss)
    /// (Arrow, Harris and Marschak 1951). Infinite or 0 for the rules that never or
    /// always stage, whatever a forecast says. In odds and not in their logs: this
    /// is asked for every cell every five minutes.
    pub(crate) fn threshold_odds(&self, prices: &PriceBook, hours: Hours) -> f64 {
        let waste = self.waste_usd(prices).max(1e-6);
        waste / self.miss_usd(prices, hours).max(1e-6) * self.threshold_odds
    }
}

/// Why the policy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// An hour has passed.
    Turn,
    /// An alarm was raised.
    Interrupt,
}

/// Does anybody work now?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hours {
    Working,
    Off,
}

impl Hours {
    pub(crate) fn of(calendar: &Calendar, now: Timestamp) -> Self {
        if calendar.is_working(now) {
            Self::Working
        } else {
            Self::Off
        }
    }
}

/// The odds of a probability, bounded to what a float can tell apart.
pub(crate) fn odds(p: f64) -> f64 {
    let p = p.clamp(1e-9, 1.0 - 1e-9);
    p / (1.0 - p)
}

/// The probability with these odds, which may be infinite.
pub(crate) fn probability_of(odds: f64) -> f64 {
    1.0 - 1.0 / (1.0 + odds)
}

/// The log of [`odds`].
pub(crate) fn log_odds(p: f64) -> f64 {
    odds(p).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KnobCenters, Staffing, Tier, baseline};

    const OPEN: (Timestamp, Timestamp) = (Timestamp::EPOCH, Timestamp::MAX);

    fn controller() -> Controller {
        let cell = CellSpec {
            id: CellId(0),
            service: ServiceId(0),
            service_name: "service-00".to_owned(),
            need: NeedType::Scaling,
            tier: Tier::Two,
            people_working: 4.0,
            people_off: 1.0,
            people_incident_factor: 2.0,
            rated_load_per_replica: 100.0,
            suite_budget_s: 600.0,
            opens_at: OPEN.0,
            closes_at: OPEN.1,
            lead_prior: Span::from_minutes(20),
            runner_minutes_prior: 10.0,
            staffing: Staffing::default(),
            retrain_on_drift: false,
        };
        let options = Options {
            cells: vec![cell],
            prices: PriceBook::default(),
            calendar: Calendar::default(),
        };
        let arm = baseline("newsvendor").unwrap().arm(&KnobCenters::default());
        Controller::new(options, &arm)
    }

    /// Asks for the highest or lowest level of every knob; returns the levels that are set.
    #[track_caller]
    fn ask(controller: &mut Controller, minute: i64, wanted: u8, occasion: Occasion) -> [i8; 6] {
        let now = Timestamp::from_seconds(minute * 60);
        assert_eq!(controller.occasion(now), Some(occasion));
        controller.actions.fill(wanted);
        controller.set_knobs(now, occasion);
        assert_eq!(controller.occasion(now), None, "asked twice");
        controller.cells[0].levels
    }

    #[test]
    fn an_alarm_interrupts_once_in_ten_minutes_and_knobs_move_two_levels_from_turn_to_turn() {
        let mut controller = controller();
        let minute = |minute: i64| Timestamp::from_seconds(minute * 60);
        assert_eq!(ask(&mut controller, 0, 6, Occasion::Turn), [2; 6]);
        assert_eq!(controller.occasion(minute(5)), None);
        controller.alarm_pending = true;
        assert_eq!(ask(&mut controller, 5, 6, Occasion::Interrupt), [2; 6]);
        controller.alarm_pending = true;
        assert_eq!(
            controller.occasion(minute(10)),
            None,
            "ten minutes have not passed"
        );
        assert_eq!(ask(&mut controller, 15, 0, Occasion::Interrupt), [-2; 6]);
        assert_eq!(controller.occasion(minute(55)), None);
        // The grid of hours stands, and the next turn starts from the levels of the interrupt.
        assert_eq!(ask(&mut controller, 60, 6, Occasion::Turn), [0; 6]);
        assert_eq!(controller.interrupts(), 2);
    }
}
