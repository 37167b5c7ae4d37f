//! The ladder: what every arm costs on held-out scenarios, family by family, and what each
//! step up is worth.
//!
//! An experiment is a folder of run folders, one a family: each is tuned, validated and
//! evaluated by itself, goes on where a kill left it, and can be read alone. What is said of
//! all of them is computed from their results and nothing else. Steps are compared in pairs
//! on the same scenarios, as shares of the static policy's cost.
mod all_families;
mod climb;
mod experiment;
mod histories;
mod openings;
mod overall;
mod prices;
mod rungs;
mod shipping;
mod tables;
mod verdict;

pub use all_families::for_all_families;
pub use climb::{CLAIRVOYANT, Climbed, climb};
pub use experiment::{EXPERIMENT, Experiment, Variant, World, read as read_experiment};
pub use histories::{OnHistory, ReplaySpec, on_histories};
pub use overall::{Overall, PROFILE_AT, overall};
pub use prices::Repriced;
pub use rungs::{Ladder, Rung, Totals, correct_for_many};
pub use shipping::{Decision, Shipment, best_static, shipment, static_first};
pub use tables::{headroom_csv, headroom_table, ladder_csv, overall_csv, prices_csv};
pub use tables::{histories_csv, histories_table, hit_rates_csv, orders_csv};
pub use verdict::{Headroom, SIGNIFICANT, WORTHWHILE};
