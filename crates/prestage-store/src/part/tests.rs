//! Partitions: what is written is read, whichever rows are asked for, and damage is named.
use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::write::Target;
use super::*;
use crate::summary::Summary;
use crate::{Error, PartMeta, Sketch, Tier};

fn target(root: &Path) -> Target<'_> {
    Target {
        root,
        file: "raw/part.parquet".to_owned(),
        day: 0,
        metric: "cpu",
    }
}

fn write(root: &Path, runs: &[(String, Vec<(i64, f64)>)]) -> PartMeta {
    let columns: Vec<(Vec<i64>, Vec<f64>)> = runs
        .iter()
        .map(|(_, samples)| samples.iter().copied().unzip())
        .collect();
    let runs: Vec<RawRun<'_>> = runs
        .iter()
        .zip(&columns)
        .map(|((service, _), (times, values))| RawRun {
            service,
            times,
            values,
        })
        .collect();
    write_raw(target(root), &runs).unwrap()
}

/// Rows enough for three row groups.
fn large(root: &Path) -> PartMeta {
    let rows = 2 * ROW_GROUP_ROWS as i64 + 1_000;
    let samples = |from: i64| {
        (from..from + rows / 2)
            .map(|row| (row, (row as f64).sin()))
            .collect()
    };
    write(
        root,
        &[("a".to_owned(), samples(0)), ("b".to_owned(), samples(7))],
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_range_of_rows_is_read_exactly(
        lengths in prop::collection::vec(1_usize..400, 1..5),
        repeats in any::<bool>(),
        from in 0.0_f64..1.0,
        share in 0.0_f64..=1.0,
    ) {
        let root = tempfile::tempdir().unwrap();
        let value = |row: usize| if repeats { (row % 3) as f64 } else { (row as f64).sqrt() };
        let runs: Vec<(String, Vec<(i64, f64)>)> = lengths
            .iter()
            .enumerate()
            .map(|(service, &length)| {
                let samples = (0..length).map(|row| (row as i64 * 60_000_000, value(row)));
                (format!("s{service}"), samples.collect())
            })
            .collect();
        let meta = write(root.path(), &runs);
        let all: Vec<(i64, f64)> = runs.iter().flat_map(|(_, samples)| samples.clone()).collect();
        let start = (from * all.len() as f64) as usize;
        let end = start + (share * (all.len() - start) as f64) as usize;
        let file = PartFile::open(root.path(), &meta).unwrap();
        let (mut times, mut values) = (Vec::new(), Vec::new());
        file.read_raw(start..end, &mut times, &mut values).unwrap();
        let read: Vec<(i64, f64)> = times.into_iter().zip(values).collect();
        prop_assert_eq!(read, all[start..end].to_vec());
    }
}

#[test]
fn row_groups_and_pages_are_crossed() {
    let root = tempfile::tempdir().unwrap();
    let meta = large(root.path());
    assert_eq!(meta.chunk_crcs.len(), 3 * 3);
    let file = PartFile::open(root.path(), &meta).unwrap();
    let rows = ROW_GROUP_ROWS - 3..2 * ROW_GROUP_ROWS + 3;
    let (mut times, mut values) = (Vec::new(), Vec::new());
    file.read_raw(rows.clone(), &mut times, &mut values)
        .unwrap();
    assert_eq!(times.len(), rows.len());
    for (time, value) in times.iter().zip(&values) {
        assert_eq!(*value, (*time as f64).sin());
    }
}

#[test]
fn the_footer_knows_each_service() {
    let root = tempfile::tempdir().unwrap();
    let samples = vec![(5, 1.0), (9, 3.0), (12, -4.0)];
    let meta = write(
        root.path(),
        &[(String::new(), samples), ("é".to_owned(), vec![(1, 2.0)])],
    );
    assert_eq!((meta.first, meta.last, meta.rows), (1, 12, 4));
    let file = PartFile::open(root.path(), &meta).unwrap();
    let run = &file.index.runs[0];
    assert_eq!((run.count, run.sum, run.min, run.max), (3, 0.0, -4.0, 3.0));
    assert_eq!((run.first, run.last, run.service.as_str()), (5, 12, ""));
    assert_eq!(file.index.runs[1].service, "é");
    let max = run.sketch().unwrap().quantile(1.0).unwrap();
    assert!((max - 3.0).abs() <= 0.03, "{max}");
}

#[test]
fn buckets_survive_with_their_sketches() {
    let root = tempfile::tempdir().unwrap();
    let buckets: Vec<(i64, Summary, Sketch)> = (1_i64..200)
        .map(|hour| {
            let values: Vec<f64> = (0..hour).map(|value| value as f64).collect();
            (
                hour * 3_600_000_000,
                Summary::of(&values),
                Sketch::of(&values),
            )
        })
        .collect();
    let run = RollupRun {
        service: "web",
        buckets: &buckets,
    };
    let meta = write_rollup(target(root.path()), Tier::Hour, &[run]).unwrap();
    let file = PartFile::open(root.path(), &meta).unwrap();
    let read = file.read_rollup(0..199).unwrap();
    for (written, read) in buckets.iter().zip(&read) {
        assert_eq!((written.0, written.1), (read.0, read.1));
        assert_eq!(written.2.quantile(0.9), read.2.quantile(0.9));
    }
    assert_eq!(file.index.runs[0].count, 199 * 200 / 2);
}

/// Every byte is covered by a checksum that `check` compares; every byte that a query reads, by one it
/// compares itself.
#[test]
fn every_flipped_bit_and_every_cut_is_noticed_or_harmless() {
    let root = tempfile::tempdir().unwrap();
    let samples: Vec<(i64, f64)> = (0..3_000)
        .map(|row| (row * 7, (row as f64).cos()))
        .collect();
    let meta = write(root.path(), &[("a".to_owned(), samples.clone())]);
    let path = meta.path(root.path());
    let whole = fs::read(&path).unwrap();
    let read = || {
        let file = PartFile::open(root.path(), &meta)?;
        let (mut times, mut values) = (Vec::new(), Vec::new());
        file.read_raw(0..3_000, &mut times, &mut values)?;
        Ok::<_, Error>(times.into_iter().zip(values).collect::<Vec<(i64, f64)>>())
    };
    let mut noticed = 0;
    for place in (0..whole.len()).step_by(11) {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        fs::write(&path, &bytes).unwrap();
        match read() {
            Ok(rows) => assert_eq!(rows, samples, "byte {place}"),
            Err(Error::Damaged { path, .. }) => {
                assert!(path.ends_with("part.parquet"));
                noticed += 1;
            }
            Err(error) => panic!("byte {place}: {error}"),
        }
        assert_ne!(crc32fast::hash(&bytes), meta.crc);
    }
    assert!(
        noticed * 11 > whole.len() * 9 / 10,
        "{noticed} of {}",
        whole.len() / 11
    );
    for cut in [1, 8, 100, whole.len() / 2, whole.len()] {
        fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        assert!(matches!(read(), Err(Error::Damaged { .. })), "cut {cut}");
    }
    fs::remove_file(&path).unwrap();
    assert!(read().unwrap_err().to_string().ends_with("it is missing"));
}
