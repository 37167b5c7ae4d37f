//! Verifying a wave: what was committed is read back and must be what was meant.

use crate::error::Result;
use crate::repository::PipelineRepository;

/// Looks at a service after it was updated. An error says that looking failed; a problem rolls the
/// wave back.
pub trait Verifier {
    /// What is wrong with the service, if anything.
    fn verify(
        &mut self,
        repository: &PipelineRepository,
        service: &str,
    ) -> Result<std::result::Result<(), String>>;
}

/// The bytes in the store are what the live definition emits, for every target.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoredFiles;

impl Verifier for StoredFiles {
    fn verify(
        &mut self,
        repository: &PipelineRepository,
        service: &str,
    ) -> Result<std::result::Result<(), String>> {
        let drift = repository.drift(service)?;
        Ok(match drift.files.first() {
            Some(file) => Err(format!("`{}` is not what was emitted", file.path)),
            None => Ok(()),
        })
    }
}
