//! What is read, what is refused and how overrides apply.
use super::*;

const SMALL: &str = "format_version = 1\nname = \"small\"\nfamily = \"test\"\nabout = \"a test\"\n";

fn refused(text: &str, overrides: &[&str], parts: &[&str]) {
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    let error = Scenario::parse("s.toml", text, &overrides)
        .expect_err("must be refused")
        .to_string();
    for part in parts {
        assert!(error.contains(part), "`{part}` is missing in: {error}");
    }
}

#[test]
fn defaults_make_a_whole_scenario() {
    let scenario = Scenario::parse("s.toml", SMALL, &[]).unwrap();
    assert_eq!(scenario.spec().days, 28);
    let again = Scenario::parse("s.toml", &scenario.to_toml(), &[]).unwrap();
    assert_eq!(again.to_toml(), scenario.to_toml());
}

#[test]
fn bad_files_name_path_line_and_key() {
    refused(
        &format!("{SMALL}dayz = 3\n"),
        &[],
        &["s.toml", "line 5", "dayz", "days"],
    );
    refused(
        &format!("{SMALL}days = \"x\"\n"),
        &[],
        &["s.toml", "line 5", "days"],
    );
    refused(
        &format!("{SMALL}days = 0\n"),
        &[],
        &["s.toml", "`days` is 0", "1 to 3660"],
    );
    refused(
        &format!("{SMALL}[traffic]\nbase_rps = nan\n"),
        &[],
        &["traffic.base_rps", "NaN"],
    );
    refused(
        &format!(
            "{SMALL}[[traffic.classes]]\nservices = 1\n[[traffic.classes]]\nservices = 2\nnoise_sigma = 3.0\n"
        ),
        &[],
        &["traffic.classes[1].noise_sigma", "3", "0 to 2"],
    );
    refused(
        &format!("{SMALL}[traffic]\nhourly_profile = [0.0, 1.0]\n"),
        &[],
        &["traffic.hourly_profile", "2 values", "none or 48"],
    );
    refused(
        &format!("{SMALL}[[traffic.classes]]\nservices = 1\nnoise = 3.0\n"),
        &[],
        &["s.toml", "noise", "noise_sigma"],
    );
    refused(
        &format!("{SMALL}price_book = \"cheap\"\n"),
        &[],
        &["price_book", "people-dear"],
    );
    refused(
        &format!("{SMALL}[prices]\nrunner_minute = -2\n"),
        &[],
        &["prices.runner_minute"],
    );
}

#[test]
fn settings_of_the_loop_are_written_only_where_they_differ() {
    let usual = Scenario::parse("s.toml", SMALL, &[]).unwrap();
    assert!(!usual.to_toml().contains("[control]"));
    let set = "control.retrain_on_drift=true".to_owned();
    let changed = Scenario::parse("s.toml", SMALL, &[set]).unwrap();
    let again = Scenario::parse("s.toml", &changed.to_toml(), &[]).unwrap();
    assert!(again.spec().control.retrain_on_drift);
    refused(
        SMALL,
        &["control.wait_probability=0"],
        &["control.wait_probability", "0.001 to 0.999"],
    );
    refused(
        SMALL,
        &["control.staffing=erlang-b"],
        &["erlang-b", "erlang-c"],
    );
}

#[test]
fn overrides_must_name_existing_keys() {
    let set = |text: &str| Scenario::parse("s.toml", SMALL, &[text.to_owned()]);
    assert_eq!(set("services.count=9").unwrap().spec().services.count, 9);
    assert_eq!(
        set("traffic.base_rps=300").unwrap().spec().traffic.base_rps,
        300.0
    );
    assert_eq!(
        set("prices.person_minute=3")
            .unwrap()
            .prices()
            .person_minute,
        3.0
    );
    let both = ["prices.runner_minute=0.01", "price_book=people-dear"].map(str::to_owned);
    let both = Scenario::parse("s.toml", SMALL, &both).unwrap();
    assert_eq!(
        (both.prices().person_minute, both.prices().runner_minute),
        (4.5, 0.01)
    );
    let file = format!("{SMALL}price_book = \"people-dear\"\n[prices]\nrunner_minute = 0.01\n");
    let file = Scenario::parse("s.toml", &file, &[]).unwrap();
    assert_eq!(
        (file.prices().person_minute, file.prices().runner_minute),
        (4.5, 0.01)
    );
    refused(
        &format!("{SMALL}[prices]\nrunner_minit = 1.0\n"),
        &[],
        &["prices", "runner_minit"],
    );
    assert_eq!(
        set("price_book=people-dear")
            .unwrap()
            .prices()
            .person_minute,
        4.5
    );
    refused(
        SMALL,
        &["servces.count=9"],
        &["servces", "did you mean `services`"],
    );
    refused(
        SMALL,
        &["services.cuont=9"],
        &["services.cuont", "services.count"],
    );
    refused(SMALL, &["days"], &["has no `=`"]);
    refused(SMALL, &["days=many"], &["days"]);
    refused(SMALL, &["days.more=1"], &["`days` is a value"]);
}
