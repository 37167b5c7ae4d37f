//! The forecasters there are.
//!
//! Adding one is a file and a line in [`FORECASTERS`]; the conformance tests try every entry.
use super::{
    Error, Forecaster, Setting, ensemble, holt_winters, mstl, persistence, quantile_regression,
    ridge, seasonal_naive, theta,
};

/// An entry in the registry.
pub struct Entry {
    /// Name on the command line and in reports.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Makes one that has seen nothing.
    pub build: fn(&Setting) -> Box<dyn Forecaster>,
    pub(super) restore: Restore,
}

/// Makes the forecaster whose state these bytes are.
type Restore = fn(&[u8]) -> Result<Box<dyn Forecaster>, postcard::Error>;

/// All forecasters; the first is the default.
pub static FORECASTERS: &[Entry] = &[
    ensemble::ENTRY,
    ridge::ENTRY,
    quantile_regression::ENTRY,
    mstl::ENTRY,
    holt_winters::ENTRY,
    theta::ENTRY,
    seasonal_naive::ENTRY,
    persistence::ENTRY,
];

impl Entry {
    /// A forecaster that goes on where the one that was saved stopped, bit for bit.
    ///
    /// # Errors
    /// When `bytes` are not a state that [`Forecaster::save`] of this entry wrote.
    pub fn restore(&self, bytes: &[u8]) -> Result<Box<dyn Forecaster>, Error> {
        (self.restore)(bytes).map_err(|cause| Error::State {
            forecaster: self.name,
            cause,
        })
    }
}

/// The entry of a name.
pub fn forecaster(name: &str) -> Option<&'static Entry> {
    FORECASTERS.iter().find(|entry| entry.name == name)
}
