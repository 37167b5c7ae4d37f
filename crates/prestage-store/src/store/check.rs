//! Verifying every file of a store, and putting what is damaged out of the way.
use std::fs;

use crate::manifest::{Manifest, PartMeta, Quarantined};
use crate::part::PartFile;
use crate::{Error, disk};

use super::{QUARANTINE, Store};

/// What [`Store::check`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckReport {
    /// Files that say what was written to them.
    pub sound: u64,
    /// Rows in those.
    pub rows: u64,
    /// Files that do not, with the reason; they are in `quarantine` now.
    pub damaged: Vec<(String, String)>,
    /// Files that were in quarantine before.
    pub quarantined_before: u64,
}

impl Store {
    /// Reads every file and compares checksums; damaged ones go into quarantine, and queries do
    /// without them.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn check(&mut self) -> Result<CheckReport, Error> {
        let mut report = CheckReport {
            quarantined_before: self.manifest.quarantined.len() as u64,
            ..CheckReport::default()
        };
        let mut manifest = self.manifest.clone();
        let mut gone: Vec<PartMeta> = Vec::new();
        for meta in &self.manifest.parts {
            match self.verify(meta) {
                Ok(()) => {
                    report.sound += 1;
                    report.rows += meta.rows;
                }
                Err(Error::Damaged { problem, .. }) => {
                    report.damaged.push((meta.file.clone(), problem.clone()));
                    self.quarantine(meta, problem, &mut manifest)?;
                    gone.push(meta.clone());
                }
                Err(error) => return Err(error),
            }
        }
        if !gone.is_empty() {
            self.commit(manifest, &gone)?;
        }
        Ok(report)
    }

    fn verify(&self, meta: &PartMeta) -> Result<(), Error> {
        PartFile::open(&self.root, meta)?;
        let path = meta.path(&self.root);
        let bytes = fs::read(&path).map_err(|cause| disk::failed(&path, "read", cause))?;
        if crc32fast::hash(&bytes) != meta.crc {
            return Err(disk::damaged(&path, "the checksum of the file differs"));
        }
        Ok(())
    }

    /// Keeps a damaged file in quarantine and takes it out of `manifest`. The file itself is removed
    /// once that manifest holds.
    pub(super) fn quarantine(
        &self,
        part: &PartMeta,
        problem: String,
        manifest: &mut Manifest,
    ) -> Result<(), Error> {
        let folder = self.root.join(QUARANTINE);
        disk::make_directory(&folder)?;
        let kept = folder.join(part.file.replace('/', "_"));
        match fs::copy(part.path(&self.root), &kept) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(disk::failed(&kept, "write", cause));
            }
            _ => {}
        }
        manifest.swap(std::slice::from_ref(part), []);
        manifest.quarantined.push(Quarantined {
            part: part.clone(),
            problem,
        });
        Ok(())
    }
}
