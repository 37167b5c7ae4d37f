//! What happened before decisions begin: telemetry without consequences.
use prestage_controller::Controller;
use prestage_des::SimTime;
use prestage_telemetry::Span;

use crate::pool;
use crate::workloads::timestamp;
use crate::world::{LISTS, MINUTE, World};

const DAY: SimTime = SimTime::from_days(1);
/// Telemetry of the history older than this may be dropped: it comes a day at a time.
pub(crate) const TAIL_KEEPS: Span = Span(24 * 3_600_000_000);
/// The same afterwards; readers must come at least so often.
const OPEN_TAIL_KEEPS: Span = Span(3_600_000_000);

impl World {
    /// Shows the controller the history, a day at a time, retraining its models
    /// every night, and stops where decisions begin.
    pub fn warm_up(&mut self, controller: &mut Controller) {
        self.warm_up_watched(controller, &mut |_| {});
    }

    /// The same; `watch` sees every day of the history before its telemetry is dropped.
    pub fn warm_up_watched(&mut self, controller: &mut Controller, watch: &mut dyn FnMut(&Self)) {
        assert_eq!(
            self.now, self.record.history_start,
            "a world is warmed up once, before it runs"
        );
        loop {
            let until = (self.now + DAY).min(self.record.start);
            self.replay_history(until);
            controller.warm_up(&self.tail, timestamp(until));
            controller.train_all(timestamp(until));
            watch(self);
            if self.now >= self.record.start {
                break;
            }
        }
        self.open();
    }

    /// Lets the history up to `until` appear in the telemetry, without consequences.
    fn replay_history(&mut self, until: SimTime) {
        for list in LISTS {
            while let Some(at) = self.next_at(list).filter(|&at| at < until) {
                self.now = at.max(self.record.history_start);
                self.observe(list, self.cursors.lists[list as usize], at);
                self.cursors.lists[list as usize] += 1;
            }
        }
        // Nothing in the history depends on another service: a service at a time is
        // several times faster than a minute at a time once there are hundreds.
        for index in 0..self.loads.len() {
            let mut at = self.cursors.history;
            while at < until {
                self.sweep_service(index, at);
                at += MINUTE;
            }
        }
        self.now = until;
        self.cursors.history = until;
    }

    /// The first minute of the accounted time.
    fn open(&mut self) {
        self.tail.set_retention(OPEN_TAIL_KEEPS);
        self.queue.advance_to(self.now);
        self.runners = pool::runners(&self.options, self.now);
        for index in 0..self.services.len() {
            self.fit_shards(index as u32);
        }
        for cell in &mut self.cells {
            cell.accrued_at = self.now;
        }
        self.enter_circumstances();
        for list in LISTS {
            self.schedule_next(list);
        }
    }
}
