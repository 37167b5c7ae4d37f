//! Best practice of pipelines as rules with a proposed repair.
//!
//! A rule looks at the stages of one pipeline, written by prestage or by hand, and finds for each
//! stage concerned: pass, fail, or that it does not apply. A failure carries an edit of exactly one
//! field; applying it makes the rule pass there and changes nothing else. Knows no target.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::canonical::to_value;
use crate::definition::{Stage, When, ordered};
use crate::error::{Error, Result};
use crate::role::{Role, role_of};
use crate::yaml;

/// Longer than any step of a pipeline should run unwatched: targets' own limits are hours.
const TIMEOUT_MINUTES_MAX: u32 = 300;
const TIMEOUT_MINUTES_REPAIRED: u32 = 60;

/// One rule.
pub struct Rule {
    /// Stable name.
    pub id: &'static str,
    /// What it asks for and why.
    pub about: &'static str,
    check: fn(&[Stage], &Stage) -> Verdict,
}

/// What a rule found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not.
    Fail {
        /// Why.
        reason: String,
        /// What would make it hold.
        repair: Repair,
    },
    /// It has nothing to say here.
    NotApplicable {
        /// Why.
        reason: String,
    },
}

/// An edit of one field of one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repair {
    /// The stage.
    pub stage: String,
    /// The field.
    pub field: String,
    /// Its new value.
    pub value: Value,
}

/// What one rule found at one place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The rule.
    pub rule: String,
    /// `/stages/[name=...]`.
    pub path: String,
    /// What it found.
    pub verdict: Verdict,
}

/// All rules, in the order of reports.
pub static RULES: &[Rule] = &[
    Rule {
        id: "timeout-bounded",
        about: "no stage runs for hours unwatched: a hung job holds a runner",
        check: timeout_bounded,
    },
    Rule {
        id: "deployment-named",
        about: "a stage that deploys names its environment, so that the target shows what runs where",
        check: deployment_named,
    },
    Rule {
        id: "deployment-exclusive",
        about: "one deployment per environment at a time: two at once leave an unknown version",
        check: deployment_exclusive,
    },
    Rule {
        id: "deployment-tested",
        about: "a deployment waits for the tests, directly or not",
        check: deployment_tested,
    },
    Rule {
        id: "deployment-not-retried",
        about: "a failed deployment is looked at, not repeated: half of it may have happened",
        check: deployment_not_retried,
    },
    Rule {
        id: "image-pinned",
        about: "an image has a tag or digest other than `latest`, so that a run can be repeated",
        check: image_pinned,
    },
    Rule {
        id: "no-secret-literal",
        about: "no environment variable holds a credential",
        check: no_secret_literal,
    },
    Rule {
        id: "reachable",
        about: "a stage is connected with the rest of the pipeline",
        check: reachable,
    },
];

/// What every rule finds for every stage.
pub fn check_rules(stages: &[Stage]) -> Vec<Finding> {
    RULES
        .iter()
        .flat_map(|rule| {
            stages.iter().map(|stage| Finding {
                rule: rule.id.to_owned(),
                path: format!("/stages/[name={}]", stage.name),
                verdict: (rule.check)(stages, stage),
            })
        })
        .collect()
}

/// The stages with every failure repaired as its rule proposes, each after what it needs. One
/// repair may bring a rule into play that did not apply before; what is left after as many repairs
/// as there are findings stays as it is.
pub fn repaired(service: &str, stages: &[Stage]) -> Result<Vec<Stage>> {
    let mut stages = stages.to_vec();
    for _ in 0..RULES.len() * stages.len() {
        let failed = check_rules(&stages)
            .into_iter()
            .find_map(|finding| match finding.verdict {
                Verdict::Fail { repair, .. } => Some(repair),
                _ => None,
            });
        match failed {
            Some(repair) => stages = repair.apply(&stages)?,
            None => break,
        }
    }
    ordered(service, stages)
}

impl Repair {
    /// The stages with this edit made.
    pub fn apply(&self, stages: &[Stage]) -> Result<Vec<Stage>> {
        let path = format!("/stages/[name={}]/{}", self.stage, self.field);
        let mut found = false;
        let repaired: Vec<Stage> = stages
            .iter()
            .map(|stage| {
                if stage.name != self.stage {
                    return Ok(stage.clone());
                }
                found = true;
                let mut document = to_value(stage);
                document[&self.field] = self.value.clone();
                yaml::typed(&path, document)
            })
            .collect::<Result<_>>()?;
        match found {
            true => Ok(repaired),
            false => Err(Error::StageUnknown {
                key: self.stage.clone(),
            }),
        }
    }
}

fn fail(stage: &Stage, field: &str, value: Value, reason: impl Into<String>) -> Verdict {
    Verdict::Fail {
        reason: reason.into(),
        repair: Repair {
            stage: stage.name.clone(),
            field: field.to_owned(),
            value,
        },
    }
}

fn not_applicable(reason: &str) -> Verdict {
    Verdict::NotApplicable {
        reason: reason.to_owned(),
    }
}

fn timeout_bounded(_: &[Stage], stage: &Stage) -> Verdict {
    if stage.timeout_minutes <= TIMEOUT_MINUTES_MAX {
        return Verdict::Pass;
    }
    let reason = format!("it may run for {} minutes", stage.timeout_minutes);
    fail(
        stage,
        "timeout_minutes",
        json!(TIMEOUT_MINUTES_REPAIRED),
        reason,
    )
}

fn deployment_named(_: &[Stage], stage: &Stage) -> Verdict {
    if role_of(stage) != Role::Deploy {
        return not_applicable("it does not deploy");
    }
    match (&stage.environment, &stage.region) {
        (Some(_), _) => Verdict::Pass,
        (None, Some(region)) => {
            let name = json!(format!("production-{region}"));
            fail(
                stage,
                "environment",
                name,
                "it deploys to no named environment",
            )
        }
        (None, None) => fail(
            stage,
            "environment",
            json!("production"),
            "it deploys to no named environment",
        ),
    }
}

fn deployment_exclusive(_: &[Stage], stage: &Stage) -> Verdict {
    match (&stage.environment, &stage.exclusive) {
        (None, _) => not_applicable("it names no environment"),
        (Some(_), Some(_)) => Verdict::Pass,
        (Some(environment), None) => {
            let word = json!(format!("deploy-{environment}"));
            fail(stage, "exclusive", word, "two runs may deploy at once")
        }
    }
}

fn deployment_tested(stages: &[Stage], stage: &Stage) -> Verdict {
    if stage.environment.is_none() || stage.when == When::OnFailure {
        return not_applicable("it does not deploy a new version");
    }
    let before = ancestors(stages, stage);
    let is_test = |known: &&Stage| role_of(known) == Role::Test;
    let Some(test) = stages.iter().find(is_test) else {
        return not_applicable("the pipeline has no test");
    };
    let is_tested = stages
        .iter()
        .filter(is_test)
        .any(|test| before.contains(test.name.as_str()));
    if is_tested || ancestors(stages, test).contains(stage.name.as_str()) {
        return Verdict::Pass;
    }
    let needs: Vec<&String> = stage.needs.iter().chain([&test.name]).collect();
    fail(
        stage,
        "needs",
        json!(needs),
        "it does not wait for any test",
    )
}

fn deployment_not_retried(_: &[Stage], stage: &Stage) -> Verdict {
    match (stage.environment.is_some(), stage.retry) {
        (false, _) => not_applicable("it names no environment"),
        (true, 0) => Verdict::Pass,
        (true, retry) => fail(
            stage,
            "retry",
            json!(0),
            format!("it is repeated {retry} times"),
        ),
    }
}

fn image_pinned(_: &[Stage], stage: &Stage) -> Verdict {
    let Some(image) = &stage.image else {
        return not_applicable("it runs without an image");
    };
    let name = image.rsplit('/').next().unwrap_or(image);
    let is_pinned =
        image.contains('@') || name.split_once(':').is_some_and(|(_, tag)| tag != "latest");
    if is_pinned || image.contains('$') {
        return Verdict::Pass;
    }
    let base = image.strip_suffix(":latest").unwrap_or(image);
    let pinned = json!(format!("{base}:stable"));
    fail(
        stage,
        "image",
        pinned,
        format!("`{image}` is another image every day"),
    )
}

fn no_secret_literal(_: &[Stage], stage: &Stage) -> Verdict {
    let secret = stage
        .env
        .iter()
        .find(|(_, value)| crate::parameter::looks_like_secret(value));
    let Some((name, _)) = secret else {
        return Verdict::Pass;
    };
    let mut env = stage.env.clone();
    env.retain(|_, value| !crate::parameter::looks_like_secret(value));
    let reason = format!("`{name}` holds a credential; set it in the target's secret store");
    fail(stage, "env", json!(env), reason)
}

fn reachable(stages: &[Stage], stage: &Stage) -> Verdict {
    let is_needed = stages.iter().any(|other| other.needs.contains(&stage.name));
    let first = stages.iter().find(|other| other.name != stage.name);
    match (is_needed || !stage.needs.is_empty(), first) {
        (_, None) => not_applicable("it is the only stage"),
        (true, _) => Verdict::Pass,
        (false, Some(first)) => {
            let other = stages.iter().find(|other| role_of(other) == Role::Build);
            let anchor = other
                .filter(|other| other.name != stage.name)
                .unwrap_or(first);
            fail(
                stage,
                "needs",
                json!([anchor.name]),
                "nothing waits for it and it waits for nothing",
            )
        }
    }
}

/// The names of all stages that `stage` waits for, directly or not.
fn ancestors<'a>(stages: &'a [Stage], stage: &'a Stage) -> BTreeSet<&'a str> {
    let mut found: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&str> = stage.needs.iter().map(String::as_str).collect();
    while let Some(name) = open.pop() {
        if found.insert(name) {
            let next = stages.iter().find(|known| known.name == name);
            open.extend(
                next.iter()
                    .flat_map(|known| known.needs.iter().map(String::as_str)),
            );
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    use super::*;

    fn spoil(rule: &str) -> Vec<Stage> {
        let mut stages = fixture::definition().stages;
        match rule {
            "timeout-bounded" => stages[0].timeout_minutes = 600,
            "deployment-named" => stages[2].environment = None,
            "deployment-exclusive" => stages[2].exclusive = None,
            "deployment-tested" => stages[2].needs = vec!["build".to_owned()],
            "deployment-not-retried" => stages[2].retry = 2,
            "image-pinned" => {
                stages[0].image = Some("registry.example.com:5000/tools:latest".to_owned())
            }
            "no-secret-literal" => {
                stages[0]
                    .env
                    .insert("TOKEN".to_owned(), "ghp_0123456789abcdef".to_owned());
            }
            "reachable" => {
                let mut lonely = stages[0].clone();
                lonely.name = "lonely".to_owned();
                stages.push(lonely);
            }
            other => panic!("rule {other} has no spoilt pipeline"),
        }
        stages
    }

    fn failures(stages: &[Stage], rule: &str) -> Vec<Finding> {
        check_rules(stages)
            .into_iter()
            .filter(|finding| finding.rule == rule)
            .filter(|finding| matches!(finding.verdict, Verdict::Fail { .. }))
            .collect()
    }

    #[test]
    fn l12_every_rule_says_pass_fail_or_why_it_does_not_apply_with_a_path() {
        let stages = fixture::definition().stages;
        let findings = check_rules(&stages);
        assert_eq!(findings.len(), RULES.len() * stages.len());
        for finding in &findings {
            assert!(finding.path.starts_with("/stages/[name="));
            assert!(
                !matches!(finding.verdict, Verdict::Fail { .. }),
                "{finding:?}"
            );
        }
        for rule in RULES {
            assert!(!rule.about.is_empty());
        }
    }

    #[test]
    fn l13_a_repair_makes_its_rule_pass_and_changes_one_field() {
        for rule in RULES {
            let spoilt = spoil(rule.id);
            let found = failures(&spoilt, rule.id);
            assert_eq!(found.len(), 1, "{}", rule.id);
            let Verdict::Fail { repair, .. } = &found[0].verdict else {
                panic!("{} does not fail", rule.id);
            };
            let repaired = repair.apply(&spoilt).unwrap();
            assert_eq!(failures(&repaired, rule.id), [], "{}", rule.id);
            for (before, after) in spoilt.iter().zip(&repaired) {
                let (mut before_value, mut after_value) = (to_value(before), to_value(after));
                if before.name == repair.stage {
                    before_value[&repair.field] = Value::Bool(true);
                    after_value[&repair.field] = Value::Bool(true);
                }
                assert_eq!(before_value, after_value, "{}", rule.id);
            }
        }
    }

    #[test]
    fn l13_repairs_are_made_until_every_rule_passes() {
        let mut stages = fixture::definition().stages;
        stages[0].timeout_minutes = 600;
        // Naming the environment brings two further rules into play.
        stages[2].environment = None;
        stages[2].exclusive = None;
        stages[2].retry = 2;
        stages[2].needs = vec!["build".to_owned()];
        let repaired = repaired("checkout", &stages).unwrap();
        let failing = check_rules(&repaired)
            .into_iter()
            .find(|finding| matches!(finding.verdict, Verdict::Fail { .. }));
        assert_eq!(failing, None);
        let names = |stages: &[Stage]| -> Vec<String> {
            stages.iter().map(|stage| stage.name.clone()).collect()
        };
        assert_eq!(names(&repaired), names(&fixture::definition().stages));
    }

    #[test]
    fn a_repair_of_a_stage_that_is_not_there_is_refused() {
        let repair = Repair {
            stage: "nowhere".to_owned(),
            field: "retry".to_owned(),
            value: json!(0),
        };
        assert!(repair.apply(&fixture::definition().stages).is_err());
    }
}
