//! Traffic out of OpenMetrics text whose samples have times.
use std::fs;
use std::path::Path;

use super::csv_traffic::{Samples, series};
use super::{Error, Streams};
use crate::export::openmetrics;

/// What the text does not say.
#[derive(Clone, Debug)]
pub struct OpenMetricsOptions {
    /// Service of samples without the label `service`.
    pub service: String,
    /// Unit of the values.
    pub unit: String,
}

/// Reads a file of OpenMetrics text. The label `service` is the service. A history has whole seconds: of two
/// samples of one series and second the later in the file stays. NaN and infinities are left out.
///
/// # Errors
/// When the file cannot be read, a line is no sample with a time, or the text is cut.
pub fn import(path: &Path, options: &OpenMetricsOptions) -> Result<Streams, Error> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|cause| Error::Io {
        path: name.clone(),
        cause,
    })?;
    let read = openmetrics::read(&text).map_err(|cause| Error::Text {
        path: name.clone(),
        cause,
    })?;
    let mut samples = Samples::new();
    let (mut replaced, mut not_finite) = (0, 0);
    for sample in read {
        if !sample.value.is_finite() {
            not_finite += 1;
            continue;
        }
        let service = match sample.series.service {
            service if service.is_empty() => options.service.clone(),
            service => service,
        };
        let rows = samples.entry((service, sample.series.metric)).or_default();
        let second = sample.time.div_euclid(1_000_000);
        replaced += u64::from(rows.insert(second, (sample.value, None)).is_some());
    }
    let mut streams = series(samples, &options.unit, &name);
    let mut note = |count: u64, what: &str| {
        if count > 0 {
            streams.notes.push(format!("{count} samples {what}"));
        }
    };
    note(replaced, "were replaced by a later one of the same second");
    note(not_finite, "that are no finite number are left out");
    Ok(streams)
}
