//! Streams a world's telemetry to a CSV file while it runs: what the controller could
//! see, sample by sample, in memory that does not grow with the length of the run.
//!
//! Columns `time_s, service, metric, value`; a sample of no service has an empty
//! second column. Samples of one series are in time order, and each line was read at
//! most five simulated minutes after it happened. The file takes its place when it is complete.
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use prestage_controller::TelemetrySource;
use prestage_telemetry::{METRICS, SeriesId, ServiceId};
use prestage_world::{Exogenous, World};
use tempfile::NamedTempFile;

/// A file that is being written.
pub struct TelemetryStream {
    writer: BufWriter<NamedTempFile>,
    path: PathBuf,
    names: Vec<String>,
    /// One cursor a series, services first, then what belongs to none.
    cursors: Vec<u64>,
    samples: u64,
}

impl TelemetryStream {
    /// Begins a file for the services of a record.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn create(path: &Path, record: &Exogenous) -> Result<Self> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let file = NamedTempFile::new_in(folder)
            .with_context(|| format!("cannot write telemetry to `{}`", path.display()))?;
        let names: Vec<String> = record
            .services
            .iter()
            .map(|service| service.name.clone())
            .collect();
        let mut stream = Self {
            writer: BufWriter::with_capacity(1 << 20, file),
            path: path.to_owned(),
            cursors: vec![0; (names.len() + 1) * METRICS.len()],
            names,
            samples: 0,
        };
        stream.line("time_s,service,metric,value")?;
        Ok(stream)
    }

    /// Writes what the telemetry has gained since the last call.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn read(&mut self, world: &World) -> Result<()> {
        let tail = world.tail();
        for service in 0..=self.names.len() {
            let owner = if service == self.names.len() {
                ServiceId::GLOBAL
            } else {
                ServiceId(service as u32)
            };
            for (index, metric) in METRICS.iter().enumerate() {
                let cursor = &mut self.cursors[service * METRICS.len() + index];
                let series = SeriesId::new(owner, metric.metric);
                let (times, values) = tail.read(series, cursor);
                for (time, value) in times.iter().zip(values) {
                    let seconds = time.0 as f64 / 1e6;
                    let name = self.names.get(service).map_or("", String::as_str);
                    let line = format!("{seconds},{name},{},{value}", metric.name);
                    self.samples += 1;
                    self.writer
                        .write_all(line.as_bytes())
                        .and_then(|()| self.writer.write_all(b"\n"))
                        .with_context(|| failed(&self.path))?;
                }
            }
        }
        Ok(())
    }

    /// Writes the rest, puts the file in its place and returns the number of samples.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn finish(mut self, world: &World) -> Result<u64> {
        self.read(world)?;
        let path = self.path.clone();
        let file = self.writer.into_inner().map_err(|error| error.into_error());
        let file = file.with_context(|| failed(&path))?;
        file.as_file().sync_all().with_context(|| failed(&path))?;
        file.persist(&path).with_context(|| failed(&path))?;
        Ok(self.samples)
    }

    fn line(&mut self, text: &str) -> Result<()> {
        writeln!(self.writer, "{text}").with_context(|| failed(&self.path))
    }
}

fn failed(path: &Path) -> String {
    format!("cannot write telemetry to `{}`", path.display())
}
