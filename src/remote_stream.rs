//! Streams a world's telemetry to a server that speaks Prometheus remote write, while the world runs.
use anyhow::Result;
use prestage_controller::TelemetrySource;
use prestage_store::Patience;
use prestage_store::export::remote_write::{RemoteWriter, Sent};
use prestage_telemetry::{METRICS, SeriesId, ServiceId};
use prestage_world::{Exogenous, World};

/// All series are sent up to here before any goes on, microseconds.
const SLICE_US: i64 = 30 * 60 * 1_000_000;

/// A server that is being written to.
pub struct RemoteStream {
    writer: RemoteWriter,
    names: Vec<String>,
    /// One cursor a series, services first, then what belongs to none.
    cursors: Vec<u64>,
}

impl RemoteStream {
    /// Begins for the services of a record.
    ///
    /// # Errors
    /// When the address is not plain `http`.
    pub fn new(url: &str, record: &Exogenous) -> Result<Self> {
        let names: Vec<String> = record
            .services
            .iter()
            .map(|service| service.name.clone())
            .collect();
        Ok(Self {
            writer: RemoteWriter::new(url, Patience::default())?,
            cursors: vec![0; (names.len() + 1) * METRICS.len()],
            names,
        })
    }

    /// Sends what the telemetry has gained since the last call, all series half an hour
    /// at a time: a Prometheus refuses what is an hour older than its newest sample, of
    /// whatever series, and the history comes in days.
    ///
    /// # Errors
    /// When the server does not answer usefully, however often it is asked.
    pub fn read(&mut self, world: &World) -> Result<()> {
        let tail = world.tail();
        let mut gained = Vec::new();
        for service in 0..=self.names.len() {
            let (owner, name) = match self.names.get(service) {
                Some(name) => (ServiceId(service as u32), name.as_str()),
                None => (ServiceId::GLOBAL, ""),
            };
            for (index, metric) in METRICS.iter().enumerate() {
                let cursor = &mut self.cursors[service * METRICS.len() + index];
                let (times, values) = tail.read(SeriesId::new(owner, metric.metric), cursor);
                let micros: Vec<i64> = times.iter().map(|time| time.0).collect();
                gained.push((metric.name, name, micros, values, 0));
            }
        }
        while let Some(oldest) = gained
            .iter()
            .filter_map(|(.., micros, _, sent)| micros.get(*sent))
            .min()
        {
            let until = oldest + SLICE_US;
            for (metric, name, micros, values, sent) in &mut gained {
                let end = micros.partition_point(|&time| time < until);
                if *sent < end {
                    self.writer
                        .push(metric, name, &micros[*sent..end], &values[*sent..end])?;
                    *sent = end;
                }
            }
        }
        Ok(())
    }

    /// Sends the rest and says what became of everything.
    ///
    /// # Errors
    /// As [`RemoteStream::read`].
    pub fn finish(mut self, world: &World) -> Result<Sent> {
        self.read(world)?;
        Ok(self.writer.finish()?)
    }
}
