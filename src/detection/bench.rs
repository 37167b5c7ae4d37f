//! Detectors compared on the Numenta benchmark and on labelled series.
use prestage_telemetry::detect::evaluate::Window;
use prestage_telemetry::detect::evaluate::events::Events;
use prestage_telemetry::detect::evaluate::nab::{self, Outcome, PROFILES, Profile, Scored};
use prestage_telemetry::detect::evaluate::volume::vus_pr;
use prestage_telemetry::detect::{ALARM_LEVEL, Entry};
use rayon::prelude::*;

use super::run::{events, mean_delay_s, raised, scores};
use super::{Corpus, Error, Series};

/// Buffers of VUS-PR end at this many samples, or a twentieth of a short series.
const BUFFER_MAX: usize = 100;

/// The compared detectors, in the order given.
#[derive(Clone, Debug, PartialEq)]
pub struct Bench {
    /// One entry for each detector.
    pub detectors: Vec<DetectorBench>,
}

/// One detector.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorBench {
    /// Its name in the registry.
    pub name: &'static str,
    /// On the Numenta corpus, one entry for each profile; empty without a corpus.
    pub nab: Vec<ProfileScore>,
    /// On the labelled series; `None` without any.
    pub labelled: Option<LabelledScore>,
}

/// What a detector is worth on one profile of the Numenta benchmark.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileScore {
    /// The profile.
    pub profile: &'static str,
    /// With the threshold that is best for this profile, known afterwards.
    pub tuned: Outcome,
    /// With the detector's own alarm level, fixed beforehand.
    pub fixed: Outcome,
    /// The fixed one on the half of the corpus that settings were chosen on ...
    pub tuning_half: Outcome,
    /// ... and on the other.
    pub held_out_half: Outcome,
}

/// What a detector is worth on labelled series, at its own alarm level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelledScore {
    /// Series that were scored.
    pub series: usize,
    /// Alarms and incidents of all of them.
    pub events: Events,
    /// Mean delay of found incidents, seconds.
    pub delay_s: Option<f64>,
    /// False alarms for each week of each series.
    pub false_alarms_per_week: f64,
    /// Mean VUS-PR over the series where it is defined.
    pub vus_pr: Option<f64>,
}

/// Scores detectors on a corpus, if any, and on labelled series, if any.
///
/// # Errors
/// The first series that is too short.
pub fn bench(
    entries: &[&'static Entry],
    corpus: Option<&Corpus>,
    labelled: &[Series],
) -> Result<Bench, Error> {
    let detectors = entries
        .iter()
        .map(|entry| bench_one(entry, corpus, labelled))
        .collect::<Result<_, Error>>()?;
    Ok(Bench { detectors })
}

fn bench_one(
    entry: &'static Entry,
    corpus: Option<&Corpus>,
    labelled: &[Series],
) -> Result<DetectorBench, Error> {
    Ok(DetectorBench {
        name: entry.name,
        nab: match corpus {
            Some(corpus) => on_corpus(entry, corpus)?,
            None => Vec::new(),
        },
        labelled: on_labelled(entry, labelled)?,
    })
}

/// A file of the corpus with its scores, as the alarm lets them through.
struct File<'a> {
    scores: Vec<f64>,
    windows: &'a [Window],
    is_tuning_half: bool,
}

impl File<'_> {
    fn scored(&self) -> Scored<'_> {
        Scored {
            scores: &self.scores,
            windows: self.windows,
        }
    }
}

fn on_corpus(entry: &Entry, corpus: &Corpus) -> Result<Vec<ProfileScore>, Error> {
    let files: Vec<File> = corpus
        .series
        .par_iter()
        .map(|series| {
            let setting = series.setting(None)?;
            let mut alarm = setting.alarm();
            let scores = scores(entry, series, setting);
            Ok(File {
                scores: scores.iter().map(|&score| alarm.filter(score)).collect(),
                windows: series.incidents.as_deref().unwrap_or_default(),
                is_tuning_half: is_tuning_half(&series.name),
            })
        })
        .collect::<Result<_, Error>>()?;
    Ok(PROFILES
        .par_iter()
        .map(|profile| on_profile(&files, profile))
        .collect())
}

fn on_profile(files: &[File<'_>], profile: &Profile) -> ProfileScore {
    let all: Vec<Scored> = files.iter().map(File::scored).collect();
    let half = |wanted: bool| -> Vec<Scored> {
        let files = files.iter().filter(|file| file.is_tuning_half == wanted);
        files.map(File::scored).collect()
    };
    ProfileScore {
        profile: profile.name,
        tuned: nab::tune(&all, profile),
        fixed: nab::at(&all, profile, ALARM_LEVEL),
        tuning_half: nab::at(&half(true), profile, ALARM_LEVEL),
        held_out_half: nab::at(&half(false), profile, ALARM_LEVEL),
    }
}

/// The half of the corpus that settings are chosen on: bit 32 of the FNV-1a hash of the
/// file's name is 0.
fn is_tuning_half(name: &str) -> bool {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash >> 32) & 1 == 0
}

/// One labelled series, scored.
struct One {
    events: Events,
    step_s: f64,
    weeks: f64,
    vus_pr: Option<f64>,
}

fn on_labelled(entry: &Entry, series: &[Series]) -> Result<Option<LabelledScore>, Error> {
    let ones: Vec<One> = series
        .par_iter()
        .filter(|series| series.incidents.is_some())
        .map(|series| one_labelled(entry, series))
        .collect::<Result<_, Error>>()?;
    if ones.is_empty() {
        return Ok(None);
    }
    let events = ones
        .iter()
        .map(|one| one.events)
        .fold(Events::NONE, Events::plus);
    let volumes: Vec<f64> = ones.iter().filter_map(|one| one.vus_pr).collect();
    Ok(Some(LabelledScore {
        series: ones.len(),
        events,
        delay_s: mean_delay_s(ones.iter().map(|one| (Some(one.events), one.step_s))),
        false_alarms_per_week: events.false_alarms() as f64
            / ones.iter().map(|one| one.weeks).sum::<f64>(),
        vus_pr: (!volumes.is_empty()).then(|| volumes.iter().sum::<f64>() / volumes.len() as f64),
    }))
}

fn one_labelled(entry: &Entry, series: &Series) -> Result<One, Error> {
    let setting = series.setting(None)?;
    let warm_up = setting.warm_up();
    let scores = scores(entry, series, setting);
    let raised = raised(&scores, setting.alarm());
    // Judged samples only, with the incidents moved to where they are then.
    let judged = &scores[warm_up..];
    let incidents: Vec<Window> = series
        .incidents
        .iter()
        .flatten()
        .filter(|incident| incident.first >= warm_up)
        .map(|incident| Window {
            first: incident.first - warm_up,
            last: incident.last - warm_up,
        })
        .collect();
    Ok(One {
        events: events(&raised, series, setting),
        step_s: setting.step().as_seconds(),
        weeks: series.span().as_days() / 7.0,
        vus_pr: vus_pr(judged, &incidents, BUFFER_MAX.min(judged.len() / 20)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_about_evenly() {
        let names: Vec<String> = (0..1_000).map(|i| format!("data/series-{i}.csv")).collect();
        let tuning = names.iter().filter(|name| is_tuning_half(name)).count();
        assert!((400..600).contains(&tuning), "{tuning} of 1000");
    }
}
