//! Queries against a plain computation over the same samples.
use prestage_telemetry::{Span, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::{Batch, Error, Store, StoreOptions};

/// A sample: service, epoch second, value.
type Sample = (usize, i64, f64);

const AGGREGATIONS: [&str; 7] = ["count", "sum", "mean", "min", "max", "p50", "p95"];

fn store(folder: &std::path::Path, samples: &[Sample], sealed: usize) -> Store {
    let mut store = Store::open_or_create(folder, &StoreOptions::default()).unwrap();
    for (place, &(service, seconds, value)) in samples.iter().enumerate() {
        let series = store.series("cpu", &format!("s{service}")).unwrap();
        let mut batch = Batch::new();
        batch.push(series, Timestamp::from_seconds(seconds), value);
        store.append(&batch).unwrap();
        if place + 1 == sealed {
            store.seal().unwrap();
        }
    }
    store
}

fn query(aggregations: &[&str]) -> Query {
    Query {
        aggregations: aggregations
            .iter()
            .map(|name| name.parse().unwrap())
            .collect(),
        ..Query::new("cpu")
    }
}

/// The answer by sorting everything: (bucket start, service or 0, values).
fn plain(samples: &[Sample], query: &Query, every: i64) -> Vec<(i64, usize, Vec<f64>)> {
    let mut groups: std::collections::BTreeMap<(i64, usize), Vec<f64>> = Default::default();
    for &(service, seconds, value) in samples {
        let wanted = query.services.is_empty() || query.services.contains(&format!("s{service}"));
        let (from, to) = (query.from.seconds(), query.to.seconds());
        if wanted && (from..to).contains(&seconds) {
            let group = if query.by_service { service } else { 0 };
            groups
                .entry((seconds / every * every, group))
                .or_default()
                .push(value);
        }
    }
    let answer = |((time, group), mut values): ((i64, usize), Vec<f64>)| {
        values.sort_by(f64::total_cmp);
        let sum: f64 = values.iter().sum();
        let count = values.len() as f64;
        let percentile = |q: f64| {
            let place = q * (count - 1.0);
            let below = values[place as usize];
            let above = values[(place as usize + 1).min(values.len() - 1)];
            below + place.fract() * (above - below)
        };
        let (min, max) = (values[0], values[values.len() - 1]);
        let row = vec![
            count,
            sum,
            sum / count,
            min,
            max,
            percentile(0.5),
            percentile(0.95),
        ];
        (time, group, row)
    };
    groups.into_iter().map(answer).collect()
}

fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn answers_are_those_of_a_plain_computation(
        slots in prop::collection::btree_map((0_usize..4, 0_i64..800), -50_i32..50, 1..120),
        every_minutes in prop::sample::select(vec![1_i64, 5, 60, 1440, 10_080]),
        (from, length) in (0_i64..900, 1_i64..900),
        sealed_share in 0.0_f64..=1.0,
        by_service in any::<bool>(),
        one_service in any::<bool>(),
    ) {
        let samples: Vec<Sample> = slots
            .into_iter()
            .map(|((service, slot), value)| (service, slot * 300, f64::from(value) / 4.0))
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let sealed = (sealed_share * samples.len() as f64) as usize;
        let store = store(folder.path(), &samples, sealed);
        let query = Query {
            from: Timestamp::from_seconds(from * 300),
            to: Timestamp::from_seconds((from + length) * 300),
            every: Some(Span::from_minutes(every_minutes)),
            services: if one_service { vec!["s1".to_owned()] } else { Vec::new() },
            by_service,
            ..query(&AGGREGATIONS)
        };
        let found = store.snapshot().query(&query).unwrap();
        let expected = plain(&samples, &query, every_minutes * 60);
        prop_assert_eq!(found.len(), expected.len());
        for (row, (time, group, values)) in found.rows().zip(&expected) {
            prop_assert_eq!(row.time.seconds(), *time);
            if by_service {
                let name = format!("s{group}");
                prop_assert_eq!(row.service, Some(name.as_str()));
            }
            for (a, b) in row.values.iter().zip(values) {
                prop_assert!(is_near(*a, *b), "{:?} for {values:?}", row.values);
            }
        }
        // Another process sees the same once the log is synced.
        let mut store = store;
        store.sync().unwrap();
        let other = Snapshot::open(folder.path()).unwrap().query(&query).unwrap();
        prop_assert_eq!(other.columns, found.columns);
    }
}

#[test]
fn whole_days_are_answered_from_footers() {
    let folder = tempfile::tempdir().unwrap();
    let samples: Vec<Sample> = (0..2_880)
        .map(|minute| (0, minute * 60, minute as f64))
        .collect();
    let mut store = store(folder.path(), &samples, samples.len());
    let daily = Query {
        every: Some(Span::from_days(1)),
        ..query(&["mean", "max", "count"])
    };
    let rollup = store.snapshot().query(&daily).unwrap();
    assert_eq!((rollup.parts_from_footer, rollup.rows_scanned), (2, 0));
    assert_eq!(rollup.columns[0], [719.5, 2159.5]);
    let with_percentile = Query {
        aggregations: vec!["p95".parse().unwrap()],
        ..daily.clone()
    };
    let exact = store.snapshot().query(&with_percentile).unwrap();
    assert_eq!((exact.rows_scanned, exact.is_approximate), (2_880, false));
    let sketched = Query {
        approximate: true,
        ..with_percentile
    };
    let sketched = store.snapshot().query(&sketched).unwrap();
    assert_eq!((sketched.rows_scanned, sketched.is_approximate), (0, true));
    for (a, b) in sketched.columns[0].iter().zip(&exact.columns[0]) {
        assert!((a - b).abs() <= 0.011 * b, "{a} for {b}");
    }
    // A sample that is not sealed counts at once.
    let series = store.series("cpu", "s0").unwrap();
    let mut batch = Batch::new();
    batch.push(series, Timestamp::from_seconds(30), 1e6);
    store.append(&batch).unwrap();
    let rollup = store.snapshot().query(&daily).unwrap();
    assert_eq!(rollup.columns[1], [1e6, 2879.0]);
}

#[test]
fn a_range_without_buckets_is_one_row() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(
        folder.path(),
        &[(0, 60, 1.0), (0, 200_000, 3.0), (1, 60, 9.0)],
        2,
    );
    let whole = Query {
        from: Timestamp::from_seconds(60),
        services: vec!["s0".to_owned()],
        ..query(&["mean", "rate"])
    };
    let whole = Query {
        to: Timestamp::from_seconds(200_060),
        ..whole
    };
    let rollup = store.snapshot().query(&whole).unwrap();
    assert_eq!(rollup.times, [Timestamp::from_seconds(60)]);
    assert_eq!(rollup.columns, [[2.0], [2.0 / 200_000.0]]);
}

#[test]
fn questions_without_meaning_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = store(folder.path(), &[(0, 60, 1.0)], 0).snapshot();
    let refused = |query: Query| snapshot.query(&query).unwrap_err().to_string();
    let backwards = Query {
        from: Timestamp::from_seconds(9),
        to: Timestamp::from_seconds(9),
        ..query(&["mean"])
    };
    assert!(refused(backwards).contains("(allowed: an end after the beginning)"));
    assert!(refused(query(&[])).starts_with("no aggregation"));
    let unknown = "p101".parse::<Aggregation>().unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "there is no aggregation `p101` (known: count, sum, mean, min, max, rate, p0 to p100)"
    );
    assert!(matches!(
        Snapshot::open(&folder.path().join("x")),
        Err(Error::NotAStore { .. })
    ));
    assert!(snapshot.query(&Query::new("absent")).unwrap().is_empty());
}

#[test]
fn an_answer_becomes_a_parquet_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder.path().join("s"), &[(0, 60, 1.0), (1, 60, 2.0)], 1);
    let query = Query {
        every: Some(Span::from_minutes(1)),
        by_service: true,
        ..query(&["mean", "p95"])
    };
    let file = folder.path().join("answer.parquet");
    store
        .snapshot()
        .query(&query)
        .unwrap()
        .write_parquet(&query, &file)
        .unwrap();
    let bytes = bytes::Bytes::from(std::fs::read(file).unwrap());
    let reader = parquet::file::serialized_reader::SerializedFileReader::new(bytes).unwrap();
    use parquet::file::reader::FileReader;
    let metadata = reader.metadata().file_metadata();
    assert_eq!(metadata.num_rows(), 2);
    let columns = metadata.schema_descr().columns();
    let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
    assert_eq!(names, ["time", "service", "mean", "p95"]);
}
