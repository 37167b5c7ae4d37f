//! The detectors there are.
//!
//! Adding one is a file and a line in [`DETECTORS`]; the tests below try every entry.
use super::{
    Detector, Error, Setting, change_point, cusum, discord, ensemble, ewma, half_space_trees,
    holt_winters, record, seasonal_residual,
};

/// An entry in the registry.
pub struct Entry {
    /// Name on the command line and in reports.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Makes one that has seen nothing.
    pub build: fn(Setting) -> Box<dyn Detector>,
    pub(super) restore: Restore,
}

/// Makes the detector whose state these bytes are.
type Restore = fn(&[u8]) -> Result<Box<dyn Detector>, postcard::Error>;

/// All detectors; the first is the default.
pub static DETECTORS: &[Entry] = &[
    ensemble::ENTRY,
    discord::ENTRY,
    record::ENTRY,
    seasonal_residual::ENTRY,
    holt_winters::ENTRY,
    half_space_trees::ENTRY,
    change_point::ENTRY,
    cusum::ENTRY,
    ewma::ENTRY,
];

impl Entry {
    /// A detector that goes on where the one that was saved stopped, bit for bit.
    ///
    /// # Errors
    /// When `bytes` are not a state that [`Detector::save`] of this entry wrote.
    pub fn restore(&self, bytes: &[u8]) -> Result<Box<dyn Detector>, Error> {
        (self.restore)(bytes).map_err(|cause| Error::State {
            detector: self.name,
            cause,
        })
    }
}

/// The entry of a name.
pub fn detector(name: &str) -> Option<&'static Entry> {
    DETECTORS.iter().find(|entry| entry.name == name)
}

#[cfg(test)]
mod tests;
