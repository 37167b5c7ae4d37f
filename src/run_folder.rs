//! `runs/NAME/`: what an experiment leaves behind, as typed rows.
//!
//! One description of the files for both sides: the experiment runner writes them, the
//! report reads them. Files are replaced whole by a rename; `progress.jsonl` grows line
//! by line, and a line that a kill cut short is ignored. Messages name file, line and
//! column. Must not know how a number came about or how it will look.
mod costs;
mod files;
mod manifest;
mod progress;
mod results;
mod timeline;

#[cfg(test)]
mod tests;

pub use costs::{COSTS, CostRow, OWN_PRICES, read_costs, write_costs};
pub use files::{create_folder, csv_bytes, write_file};
pub use manifest::{FORMAT_VERSION, MANIFEST, Manifest, read_manifest, write_manifest};
pub use progress::{PROGRESS, Progress, append_progress, read_progress, write_progress};
pub use results::{PARQUET, RESULTS, ResultRow, read_results, read_rows, write_results};
pub use timeline::{Outcome, TIMELINE, TimelineRow, read_timeline, write_timeline};
