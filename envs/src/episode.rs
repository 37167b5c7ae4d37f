//! One arm from the first decision to the last, on one exogenous record.
use std::sync::Arc;

use prestage_controller::{
    Arm, CellId, CellSpec, Controller, CostTerms, HostError, Options, Ports, PriceBook,
    RECONCILE_EVERY, reconcile,
};
use prestage_des::SimTime;
use prestage_policy::Policy;
use prestage_world::{CellTally, Exogenous, World, WorldOptions};

/// A host of a whole run: the ports, and a world behind them that can be run on.
pub trait EpisodeHost: Ports {
    /// The world behind the ports.
    fn world(&mut self) -> &mut World;

    /// The three ports, as the controller sees them.
    fn ports(&mut self) -> &mut dyn Ports;

    /// Runs until `to` and passes on what happened.
    fn advance(&mut self, to: SimTime) -> Result<(), HostError>;

    /// Ends the run and passes on what that brought.
    fn close(&mut self) -> Result<(), HostError>;
}

impl EpisodeHost for World {
    fn world(&mut self) -> &mut World {
        self
    }

    fn ports(&mut self) -> &mut dyn Ports {
        self
    }

    fn advance(&mut self, to: SimTime) -> Result<(), HostError> {
        World::advance(self, to);
        Ok(())
    }

    fn close(&mut self) -> Result<(), HostError> {
        World::close(self);
        Ok(())
    }
}

/// What all arms of a comparison share.
#[derive(Clone, Debug)]
pub struct Setting {
    /// What evolves by itself.
    pub record: Arc<Exogenous>,
    /// How what responds responds; `on_demand` is replaced by the arm's.
    pub world: WorldOptions,
    /// What it costs.
    pub prices: PriceBook,
}

/// A glance at a run: after a day of its history, or after a turn of the control loop.
pub struct Moment<'a> {
    /// The world.
    pub world: &'a World,
    /// The controller, after it has decided; `None` in the history.
    pub controller: Option<&'a Controller>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// The arm.
    pub arm: String,
    /// Cells, by id.
    pub cells: Vec<CellResult>,
    /// Digest of the event log.
    pub log_digest: u64,
    /// Records in the event log.
    pub log_len: u64,
    /// Mean wait of a build for a runner, seconds.
    pub build_wait_s: f64,
    /// Cost of each day in US dollars, the last of which may be a part of one.
    pub daily_usd: Vec<f64>,
}

/// How a cell ended.
#[derive(Clone, Debug, PartialEq)]
pub struct CellResult {
    /// What the cell is.
    pub spec: CellSpec,
    /// Its books.
    pub tally: CellTally,
    /// Its costs in US dollars.
    pub cost: CostTerms,
}

impl Episode {
    /// All costs in US dollars, summed in cell order.
    pub fn cost_usd(&self) -> f64 {
        self.cells.iter().map(|cell| cell.cost.total()).sum()
    }
}

impl Setting {
    /// A fresh world for an arm.
    pub fn world(&self, arm: &Arm) -> World {
        let options = WorldOptions {
            on_demand: arm.on_demand,
            ..self.world.clone()
        };
        World::new(Arc::clone(&self.record), options)
    }

    /// A fresh controller for an arm.
    pub fn controller(&self, arm: &Arm) -> Controller {
        let options = Options {
            cells: self.record.cells.clone(),
            prices: self.prices.clone(),
            calendar: self.record.calendar(),
        };
        Controller::new(options, arm)
    }
}

/// Runs an arm in a simulated world.
pub fn run_arm(setting: &Setting, arm: &Arm, policy: &mut dyn Policy) -> Episode {
    let mut world = setting.world(arm);
    run_episode(setting, arm, policy, &mut world, &mut |_| {})
        .expect("a simulated world refuses nothing that a controller asks")
}

/// Runs an arm on any host; `watch` sees every day of the history and every turn of
/// the control loop.
pub fn run_episode(
    setting: &Setting,
    arm: &Arm,
    policy: &mut dyn Policy,
    host: &mut dyn EpisodeHost,
    watch: &mut dyn FnMut(Moment),
) -> Result<Episode, HostError> {
    let mut controller = setting.controller(arm);
    host.world().warm_up_watched(&mut controller, &mut |world| {
        watch(Moment {
            world,
            controller: None,
        });
    });
    let end = setting.record.end;
    let mut days = Days::new(setting);
    while host.world().now() < end {
        days.read(host.world(), &setting.prices);
        reconcile(&mut controller, host.ports(), policy)?;
        watch(Moment {
            world: host.world(),
            controller: Some(&controller),
        });
        let next = host.world().now() + SimTime::from_micros(RECONCILE_EVERY.0);
        host.advance(next)?;
    }
    host.close()?;
    days.finish(host.world(), &setting.prices);
    let world = host.world();
    let cell = |spec: &CellSpec| {
        let tally = world.tally(spec.id);
        CellResult {
            spec: spec.clone(),
            tally,
            cost: setting.prices.cost(&tally.usage, spec.tier),
        }
    };
    Ok(Episode {
        arm: arm.name.clone(),
        cells: setting.record.cells.iter().map(cell).collect(),
        log_digest: world.log().digest(),
        log_len: world.log().len(),
        build_wait_s: world.build_wait_s(),
        daily_usd: days.costs,
    })
}

/// Gathers the cost of each day.
struct Days {
    meter: CostMeter,
    cells: Vec<f64>,
    next: SimTime,
    costs: Vec<f64>,
}

impl Days {
    fn new(setting: &Setting) -> Self {
        let n_cells = setting.record.cells.len();
        Self {
            meter: CostMeter::new(n_cells),
            cells: vec![0.0; n_cells],
            next: setting.record.start + SimTime::from_days(1),
            costs: Vec::new(),
        }
    }

    fn read(&mut self, world: &World, prices: &PriceBook) {
        if world.now() >= self.next {
            self.finish(world, prices);
            self.next += SimTime::from_days(1);
        }
    }

    fn finish(&mut self, world: &World, prices: &PriceBook) {
        self.meter.read(world, prices, &mut self.cells);
        self.costs.push(self.cells.iter().sum());
    }
}

/// Costs of every cell since the last call, US dollars.
#[derive(Clone, Debug)]
pub(crate) struct CostMeter {
    before: Vec<f64>,
}

impl CostMeter {
    pub(crate) fn new(cells: usize) -> Self {
        Self {
            before: vec![0.0; cells],
        }
    }

    /// Writes the cost of each cell since the last call.
    pub(crate) fn read(&mut self, world: &World, prices: &PriceBook, into: &mut [f64]) {
        let cells = &world.record().cells;
        for ((before, cost), spec) in self.before.iter_mut().zip(into).zip(cells) {
            let total = prices
                .cost(&world.usage(CellId(spec.id.0)), spec.tier)
                .total();
            *cost = total - *before;
            *before = total;
        }
    }
}
