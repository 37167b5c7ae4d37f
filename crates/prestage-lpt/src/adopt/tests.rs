//! Matching and adoption on pipelines that people could have written.
//!
//! `fixtures/tuned` may be looked at while the words of [`crate::role`] are chosen;
//! `fixtures/held-out` was written after they were chosen, and they are not changed for it: only it
//! counts for the rate. The first line of each file names the template that should own it.

use std::path::Path;

use crate::assembly::Assembly;
use crate::driver::{Driver, Github, Gitlab, OutputFile, driver};

use super::*;

struct Fixture {
    name: String,
    expected: String,
    driver: &'static dyn Driver,
    live: LivePipeline,
}

fn fixtures(folder: &str) -> Vec<Fixture> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| fixture(path)).collect()
}

fn fixture(path: &Path) -> Fixture {
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let text = std::fs::read_to_string(path).unwrap();
    let expected = text
        .lines()
        .next()
        .unwrap()
        .strip_prefix("# template: ")
        .unwrap();
    let driver: &'static dyn Driver = match name.starts_with("gitlab") {
        true => &Gitlab,
        false => &Github,
    };
    let file = OutputFile {
        path: name.clone(),
        bytes: text.clone().into_bytes(),
    };
    let live = driver
        .analyze(&[file])
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    Fixture {
        expected: expected.to_owned(),
        name,
        driver,
        live,
    }
}

fn top_1(folder: &str) -> (usize, usize) {
    let templates = TemplateSet::builtin();
    let fixtures = fixtures(folder);
    let mut right = 0;
    for fixture in &fixtures {
        let best = &rank(&templates, &fixture.live).unwrap()[0];
        if best.template == fixture.expected {
            right += 1;
        } else {
            eprintln!("{}: {best:?}, expected {}", fixture.name, fixture.expected);
        }
    }
    (right, fixtures.len())
}

#[test]
fn l14_the_first_template_is_right_on_held_out_pipelines() {
    let (right, all) = top_1("held-out");
    assert!(all >= 10, "{all} held-out pipelines");
    assert!(10 * right >= 9 * all, "{right} of {all}");
}

#[test]
fn the_first_template_is_right_on_tuned_pipelines() {
    let (right, all) = top_1("tuned");
    assert!(all >= 10 && right == all, "{right} of {all}");
}

#[test]
fn l15_adopted_pipelines_emit_what_is_live() {
    let templates = TemplateSet::builtin();
    for fixture in fixtures("tuned").iter().chain(&fixtures("held-out")) {
        let adopted = adopt(&templates, &fixture.expected, "adopted", &fixture.live)
            .unwrap_or_else(|error| panic!("{}: {error}", fixture.name));
        assert_eq!(adopted.unmodelled, fixture.live.unmodelled);
        let definition = resolve(&templates, &adopted.instance).unwrap();
        let revision = definition.revision();
        let assembly = Assembly {
            definition: &definition,
            revision: &revision,
            staged: Vec::new(),
        };
        let files = fixture.driver.emit(&assembly);
        let files = files.unwrap_or_else(|error| panic!("{}: {error}", fixture.name));
        let again = fixture.driver.analyze(&files).unwrap();
        let wanted: BTreeMap<String, Stage> = fixture
            .live
            .own_stages()
            .iter()
            .map(|stage| {
                let mut names: BTreeMap<String, String> = adopted.renamed.clone();
                names
                    .entry(stage.name.clone())
                    .or_insert(stage.name.clone());
                let renamed = rename(stage, &names);
                (renamed.name.clone(), renamed)
            })
            .collect();
        let got: BTreeMap<String, Stage> = again
            .own_stages()
            .into_iter()
            .map(|stage| (stage.name.clone(), stage))
            .collect();
        assert_eq!(got, wanted, "{}", fixture.name);
    }
}

#[test]
fn a_pipeline_that_prestage_wrote_is_adopted_without_overrides_of_scripts() {
    let definition = crate::fixture::definition();
    let revision = definition.revision();
    let assembly = Assembly {
        definition: &definition,
        revision: &revision,
        staged: Vec::new(),
    };
    let gitlab = driver("gitlab").unwrap();
    let live = gitlab.analyze(&gitlab.emit(&assembly).unwrap()).unwrap();
    let templates = TemplateSet::builtin();
    assert_eq!(rank(&templates, &live).unwrap()[0].template, "service");
    let adopted = adopt(&templates, "service", "checkout", &live).unwrap();
    let build = adopted
        .instance
        .overrides
        .stages
        .iter()
        .find(|stage| stage["name"] == "build");
    assert_eq!(build, None);
}
