//! One test for each way a history can be wrong, the round trip, and the real worlds.
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const WORLD: &str = r#"{
 "world": "small",
 "replay_start": 1000,
 "replay_end": 2000,
 "services": [
  {"service": "web", "metric": "requests", "unit": "req/min", "step_s": 60, "rows": 3},
  {"service": "api", "metric": "cpu", "unit": "percent", "step_s": 60}
 ],
 "commits": {"rows": 2}
}"#;

const TRAFFIC: &str = "epoch,orig_epoch,service,metric,value,anomaly\n\
    1000,10,api,cpu,0.1,\n1000,10,web,requests,5,0\n1060,70,web,requests,6.5,1\n\
    1240,250,web,requests,1e-3,\n";

const COMMITS: &str = "commit_epoch,author_epoch,commit,mainline,author,bot,kind,files,\
    lines_added,lines_deleted,touches_tests,touches_deps,touches_ci,touches_docs_only\n\
    900,901,c1,1,a1,0,,2,26,,0,0,0,0\n950,940,c2,0,a1,1,fix,1,,3,1,0,0,0\n";

const RELEASES: &str = "tag_epoch,commit_epoch,tag,kind,component,ref_type,commit\n\
    960,950,v1.0.0,major,,tag,c2\n970,950,api/v1,minor,api,commit,c2\n";

const DEPS: &str = "epoch,commit,package,old_version,new_version,change,direct\n\
    950,c2,serde,,1.0.1,add,1\n950,c2,rand,0.8|0.9,0.10,update,\n";

const ADVISORIES: &str = "id,aliases,ecosystem,package,published,modified,db_commit_epoch,cvss,\
    severity,kind,affected,patched,publish_epoch,used_version_at_publish,direct,\
    exposed_at_publish,ever_vulnerable,fix_epoch,fix_lag_s,censored,bulk_day\n\
    R-1,,rust,hyper,,,,4.8,medium,vulnerability,,\">= 0.10.2 || < 0.10.0, >= 0.9\",1100,0.9,1,1,1,\
    1000,-100,0,0\n";

const CI_RUNS: &str = "epoch,orig_epoch,suite,duration_s,failed,tests_run,tests_failed,\
    test_p50_s,test_max_s\n1000,1000,unit,12.5,,103,,4.4,41\n1000,1000,lint,1,0,,,,\n";

const CONTENTS: [&str; 7] = [WORLD, TRAFFIC, COMMITS, RELEASES, DEPS, ADVISORIES, CI_RUNS];

fn small() -> TempDir {
    let directory = TempDir::new().unwrap();
    for (file, content) in FILES.iter().zip(CONTENTS) {
        fs::write(directory.path().join(file), content).unwrap();
    }
    directory
}

fn read_small() -> History {
    History::read(small().path()).unwrap()
}

/// Reads the small history with one edit and returns the message, its directory as `H`.
#[track_caller]
fn message(file: &str, edit: impl FnOnce(&str) -> Vec<u8>) -> String {
    let directory = small();
    let index = FILES.iter().position(|name| *name == file).unwrap();
    fs::write(directory.path().join(file), edit(CONTENTS[index])).unwrap();
    let error = History::read(directory.path()).unwrap_err();
    assert!(!error.is_environment(), "{error:?} is the user's to mend");
    error
        .to_string()
        .replace(&directory.path().display().to_string(), "H")
}

#[track_caller]
fn check_refused(file: &str, from: &str, to: &str, expected: &str) {
    let message = message(file, |content| {
        assert!(content.contains(from), "`{from}` is not in {file}");
        content.replacen(from, to, 1).into_bytes()
    });
    assert_eq!(message, expected);
}

#[test]
fn reads_every_column_and_keeps_unknown_unknown() {
    let history = read_small();
    assert_eq!(history.world.format_version, 1);
    let web = &history.traffic[0];
    assert_eq!(
        (web.service.as_str(), web.unit.as_str(), web.step_s),
        ("web", "req/min", 60)
    );
    assert_eq!(web.times, [1000, 1060, 1240]);
    assert_eq!(web.orig_times, [10, 70, 250]);
    assert_eq!(web.values, [5.0, 6.5, 0.001]);
    assert_eq!(web.anomaly, [Some(false), Some(true), None]);
    assert_eq!(history.commits[0].lines_deleted, None);
    assert_eq!(history.commits[0].kind, None);
    assert_eq!(history.commits[1].lines_added, None);
    assert_eq!(history.releases[1].component.as_deref(), Some("api"));
    assert_eq!(history.deps[1].direct, None);
    assert_eq!(history.deps[1].old_version.as_deref(), Some("0.8|0.9"));
    assert_eq!(
        history.advisories[0].patched.as_deref(),
        Some(">= 0.10.2 || < 0.10.0, >= 0.9")
    );
    assert_eq!(history.advisories[0].fix_lag_s, Some(-100));
    assert_eq!(history.ci_runs[0].failed, None);
    assert_eq!(history.ci_runs[1].tests_run, None);
}

#[test]
fn missing_file() {
    let directory = small();
    fs::remove_file(directory.path().join("deps.csv")).unwrap();
    let error = History::read(directory.path()).unwrap_err();
    assert!(!error.is_environment());
    assert_eq!(
        error
            .to_string()
            .replace(&directory.path().display().to_string(), "H"),
        "`H` has no `deps.csv` (a history has: world.json, traffic.csv, commits.csv, \
         releases.csv, deps.csv, advisories.csv, ci_runs.csv)\n\nhint: a stream without rows is \
         a file that holds the header alone"
    );
}

#[test]
fn missing_directory_and_file_as_directory() {
    let directory = small();
    for path in ["absent", "deps.csv"] {
        let error = History::read(&directory.path().join(path)).unwrap_err();
        assert!(
            matches!(
                error,
                Error::MissingDirectory {
                    interrupted: None,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(!error.is_environment());
    }
}

#[test]
fn interrupted_replacement_is_explained() {
    let directory = small();
    let parent = TempDir::new().unwrap();
    fs::rename(directory.path(), parent.path().join(".world.replaced")).unwrap();
    let error = History::read(&parent.path().join("world")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(".world.replaced`, rename it back"),
        "{error}"
    );
}

#[test]
fn unreadable_file_is_the_environment() {
    let error = Error::Io {
        path: "H/deps.csv".to_owned(),
        action: "read",
        cause: io::Error::from(io::ErrorKind::PermissionDenied),
    };
    assert!(error.is_environment());
    assert_eq!(
        error.to_string(),
        "cannot read `H/deps.csv`: permission denied"
    );
}

#[test]
fn directory_in_place_of_a_file_is_not_the_environment() {
    let directory = small();
    fs::remove_file(directory.path().join("deps.csv")).unwrap();
    fs::create_dir(directory.path().join("deps.csv")).unwrap();
    let error = History::read(directory.path()).unwrap_err();
    assert!(!error.is_environment(), "{error:?}");
}

#[test]
fn truncated_file() {
    let expected = "`H/traffic.csv`: line 5: the file ends in the middle of a row\n\nhint: the \
                    copy is incomplete; fetch the file again (a complete file ends with a newline)";
    for cut in [1, 5, 8, 20] {
        let message = message("traffic.csv", |content| {
            content.as_bytes()[..content.len() - cut].to_vec()
        });
        assert_eq!(message, expected);
    }
}

#[test]
fn empty_file_has_no_header() {
    let message = message("deps.csv", |_| Vec::new());
    assert!(
        message.contains("found the end of the header, expected `epoch`"),
        "{message}"
    );
}

#[test]
fn wrong_header() {
    check_refused(
        "deps.csv",
        "new_version",
        "new_verison",
        "`H/deps.csv`: line 1, column 5: found `new_verison`, expected `new_version`\n\nhint: did \
         you mean `new_version`? the columns are \
         `epoch,commit,package,old_version,new_version,change,direct`",
    );
    check_refused(
        "deps.csv",
        "change,direct",
        "change,direct,more",
        "`H/deps.csv`: line 1, column 8: found `more`, expected the end of the header\n\nhint: \
         the columns are, in this order, \
         `epoch,commit,package,old_version,new_version,change,direct`",
    );
}

#[test]
fn wrong_field_count() {
    check_refused(
        "releases.csv",
        "api/v1,minor",
        "api/v1,x,minor",
        "`H/releases.csv`: line 3: found 8 fields, expected 7\n\nhint: a comma or a quote inside \
         a field needs double quotes around the field",
    );
}

#[test]
fn bad_number() {
    check_refused(
        "ci_runs.csv",
        "12.5",
        "12,5",
        "`H/ci_runs.csv`: line 2: found 10 fields, expected 9\n\nhint: a comma or a quote inside \
         a field needs double quotes around the field",
    );
    check_refused(
        "ci_runs.csv",
        "12.5",
        "-12.5",
        "`H/ci_runs.csv`: line 2, column `duration_s`: found `-12.5` (allowed: a finite number, 0 \
         or more)",
    );
    check_refused(
        "commits.csv",
        ",26,",
        ",26.0,",
        "`H/commits.csv`: line 2, column `lines_added`: found `26.0` (allowed: a whole number, 0 \
         or more)",
    );
    check_refused(
        "commits.csv",
        "900,",
        "9223372036854775807,",
        "`H/commits.csv`: line 2, column `commit_epoch`: found `9223372036854775807` (allowed: \
         epoch seconds, 0 to 253402300799)",
    );
}

#[test]
fn bad_flag() {
    check_refused(
        "commits.csv",
        "c1,1",
        "c1,true",
        "`H/commits.csv`: line 2, column `mainline`: found `true` (allowed: 0, 1)",
    );
    check_refused(
        "deps.csv",
        "add,1",
        "add,2",
        "`H/deps.csv`: line 2, column `direct`: found `2` (allowed: 0, 1, or empty for unknown)",
    );
}

#[test]
fn bad_kind() {
    check_refused(
        "releases.csv",
        "minor",
        "minro",
        "`H/releases.csv`: line 3, column `kind`: found `minro` (allowed: major, minor, patch, \
         pre, other)\n\nhint: did you mean `minor`?",
    );
}

#[test]
fn empty_name() {
    check_refused(
        "deps.csv",
        "c2,serde",
        "c2,",
        "`H/deps.csv`: line 2, column `package`: found `` (allowed: any text but none)",
    );
}

#[test]
fn not_utf8() {
    for file in ["deps.csv", "traffic.csv", "world.json"] {
        let message = message(file, |content| {
            let mut bytes = content.as_bytes().to_vec();
            let second_line = content.find('\n').unwrap() + 9;
            bytes[second_line] = 0xff;
            bytes
        });
        let index = FILES.iter().position(|name| *name == file).unwrap();
        let byte = CONTENTS[index].find('\n').unwrap() + 9;
        let expected = format!("`H/{file}`: line 2, byte {byte} of the file: not UTF-8 text");
        assert!(message.starts_with(&expected), "{message}");
    }
}

#[test]
fn out_of_order() {
    check_refused(
        "traffic.csv",
        "1060,70",
        "940,70",
        "`H/traffic.csv`: line 4, column `epoch`: time 940 is before 1000 in the row before\n\n\
         hint: rows are in time order; sort the file by `epoch`",
    );
    check_refused(
        "releases.csv",
        "970,",
        "959,",
        "`H/releases.csv`: line 3, column `tag_epoch`: time 959 is before 960 in the row \
         before\n\nhint: rows are in time order; sort the file by `tag_epoch`",
    );
}

#[test]
fn duplicate_traffic_row() {
    check_refused(
        "traffic.csv",
        "1060,70",
        "1000,70",
        "`H/traffic.csv`: line 4: second row for service `web`, metric `requests` at epoch \
         1000\n\nhint: keep one row for each service and epoch",
    );
}

#[test]
fn value_that_is_not_finite() {
    for value in ["NaN", "inf", "-infinity", "1e999", ""] {
        check_refused(
            "traffic.csv",
            "6.5",
            value,
            &format!(
                "`H/traffic.csv`: line 4, column `value`: found `{value}` (allowed: a finite \
                 number)"
            ),
        );
    }
}

#[test]
fn unknown_service() {
    check_refused(
        "traffic.csv",
        "70,web",
        "70,wbe",
        "`H/traffic.csv`: line 4: service `wbe` with metric `requests` is not in `world.json` \
         (known: web requests, api cpu)",
    );
}

#[test]
fn wrong_row_count() {
    check_refused(
        "traffic.csv",
        "1060,70,web,requests,6.5,1\n",
        "",
        "`H/traffic.csv`: found 2 rows of service `web`, `world.json` says 3\n\nhint: a file was \
         cut, or edited without its row count",
    );
    check_refused(
        "world.json",
        "\"commits\": {\"rows\": 2}",
        "\"commits\": {\"rows\": 1}",
        "`H/commits.csv`: found 2 rows, `world.json` says 1\n\nhint: a file was cut, or edited \
         without its row count",
    );
}

#[test]
fn senseless_world() {
    check_refused(
        "world.json",
        "2000",
        "1000",
        "`H/world.json`: `replay_end` is 1000 (allowed: greater than `replay_start` = 1000)",
    );
    check_refused(
        "world.json",
        "\"step_s\": 60, \"rows\"",
        "\"step_s\": 0, \"rows\"",
        "`H/world.json`: `services[0].step_s` is 0 (allowed: at least 1)",
    );
    check_refused(
        "world.json",
        "\"world\"",
        "\"format_version\": 2, \"world\"",
        "`H/world.json`: `format_version` is 2 (allowed: 1)",
    );
    check_refused(
        "world.json",
        "\"api\", \"metric\": \"cpu\"",
        "\"web\", \"metric\": \"requests\"",
        "`H/world.json`: `services[1]` is a second `web` with metric `requests` (allowed: one \
         entry for each service and metric)",
    );
}

#[test]
fn unknown_key_in_world() {
    let message = message("world.json", |content| {
        content
            .replacen("replay_start", "reply_start", 1)
            .into_bytes()
    });
    let expected =
        "`H/world.json`: unknown field `reply_start`, expected one of `format_version`, ";
    assert!(message.starts_with(expected), "{message}");
    assert!(message.ends_with(" at line 3 column 14"), "{message}");
}

#[test]
fn round_trip_is_exact_and_replaces_an_older_history() {
    let mut history = read_small();
    let target = TempDir::new().unwrap();
    let world = target.path().join("world");
    history.write(&world).unwrap();
    assert_eq!(History::read(&world).unwrap(), history);
    history.commits.pop();
    history.world.services[1].rows = Some(1);
    history.world.commits = Some(RowCount { rows: 1 });
    history.write(&world).unwrap();
    assert_eq!(History::read(&world).unwrap(), history);
    assert_eq!(
        fs::read_dir(target.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn count_rows_makes_an_edited_history_writable() {
    let mut history = read_small();
    history.commits.pop();
    let target = TempDir::new().unwrap();
    assert!(matches!(
        history.write(target.path()),
        Err(Error::RowCount { expected: 2, .. })
    ));
    assert!(
        target.path().is_dir(),
        "a refused write leaves the directory"
    );
    history.count_rows();
    history.write(target.path()).unwrap();
    assert_eq!(History::read(target.path()).unwrap(), history);
}

#[test]
fn refuses_to_replace_anything_but_a_history() {
    let history = read_small();
    let target = TempDir::new().unwrap();
    fs::write(target.path().join("notes.txt"), "mine").unwrap();
    let error = history.write(target.path()).unwrap_err();
    assert!(matches!(error, Error::Occupied { .. }), "{error:?}");
    let error = history.write(&target.path().join("notes.txt")).unwrap_err();
    assert!(matches!(error, Error::Occupied { .. }), "{error:?}");
    let with_more = small();
    fs::write(with_more.path().join("notes.txt"), "mine").unwrap();
    assert!(matches!(
        history.write(with_more.path()),
        Err(Error::Occupied { .. })
    ));
    assert!(with_more.path().join("notes.txt").exists());
}

#[test]
fn refuses_to_write_what_it_could_not_read() {
    let target = TempDir::new().unwrap();
    let world = target.path().join("world");
    let mut not_finite = read_small();
    not_finite.traffic[0].values[0] = f64::NAN;
    assert!(matches!(
        not_finite.write(&world),
        Err(Error::BadValue {
            column: "value",
            ..
        })
    ));
    let mut uneven = read_small();
    uneven.traffic[0].values.pop();
    assert!(matches!(
        uneven.write(&world),
        Err(Error::NotRepresentable { .. })
    ));
    let mut empty_text = read_small();
    empty_text.commits[0].kind = Some(String::new());
    let error = empty_text.write(&world).unwrap_err();
    assert!(
        matches!(
            error,
            Error::NotRepresentable {
                stream: "commits",
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(
        fs::read_dir(target.path()).unwrap().count(),
        0,
        "nothing is left behind"
    );
}

#[test]
fn check_lists_gaps_and_duplicates() {
    let mut history = read_small();
    history.commits.push(Commit {
        commit_epoch: 999,
        ..history.commits[1].clone()
    });
    let report = check(&history);
    let web = &report.streams[0];
    assert_eq!((web.name.as_str(), web.rows), ("traffic web requests", 3));
    assert_eq!((web.first, web.last), (Some(1000), Some(1240)));
    assert_eq!((web.gaps, web.gap_longest_s, web.duplicates), (1, 180, 0));
    let commits = report
        .streams
        .iter()
        .find(|stream| stream.name == "commits")
        .unwrap();
    assert_eq!((commits.rows, commits.duplicates), (3, 1));
    assert_eq!(report.streams.len(), 7);
}

#[test]
fn real_worlds_load_and_round_trip() {
    let worlds = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/worlds");
    let Ok(entries) = fs::read_dir(&worlds) else {
        eprintln!("skipped: {} is not here", worlds.display());
        return;
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert_eq!(paths.len(), 5);
    for path in paths {
        let history = History::read(&path).unwrap_or_else(|error| panic!("{error}"));
        for (series, stream) in history.traffic.iter().zip(check(&history).streams) {
            assert_eq!(stream.duplicates, 0, "{}", series.service);
        }
        let target = TempDir::new().unwrap();
        history.write(target.path()).unwrap();
        assert_eq!(History::read(target.path()).unwrap(), history);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_corrupt_byte_never_panics(file in 0_usize..7, place in any::<prop::sample::Index>(), byte: u8) {
        let directory = small();
        let mut bytes = CONTENTS[file].as_bytes().to_vec();
        let index = place.index(bytes.len());
        bytes[index] = byte;
        fs::write(directory.path().join(FILES[file]), bytes).unwrap();
        if let Err(error) = History::read(directory.path()) {
            prop_assert!(!error.is_environment(), "{error:?}");
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
