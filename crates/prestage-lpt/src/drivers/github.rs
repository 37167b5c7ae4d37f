//! GitHub Actions: one workflow per service.
//!
//! The only action used is the checkout that the definition pins to a commit. A staged stage that
//! is not active is skipped unless the workflow is dispatched with its key as input
//! `prestage_activate`. `${{` inside a value is written as an expression that yields `${{`, else
//! GitHub would evaluate it.
//!
//! Cannot express: artifacts and retries without further actions, and manual jobs.
//! Reference: <https://docs.github.com/actions/reference/workflow-syntax-for-github-actions>.

mod analysis;
mod model;

use std::collections::BTreeMap;

use crate::assembly::{Activation, AssembledStage, Assembly};
use crate::definition::{GithubTarget, When};
use crate::driver::{Driver, OutputFile, header};
use crate::error::{Error, Result};
use crate::live::{LivePipeline, TargetFacts};
use crate::mark;
use crate::yaml;

pub use model::{
    Concurrency, Dispatch, Input, Job, Jobs, Push, Step, Strategy, Triggers, Workflow,
};

const NAME: &str = "github";
const ACTIVATE_INPUT: &str = "prestage_activate";
/// What GitHub would evaluate, and an expression that yields just that.
const EXPRESSION: &str = "${{";
const EXPRESSION_QUOTED: &str = "${{ '${{' }}";
/// GitHub's limit on the length of a job id.
const JOB_ID_LENGTH_MAX: usize = 100;

/// The driver.
#[derive(Clone, Copy, Debug)]
pub struct Github;

impl Driver for Github {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "GitHub Actions: one workflow per service, least permissions, pinned checkout"
    }

    fn version(&self) -> u32 {
        2
    }

    fn emit(&self, assembly: &Assembly<'_>) -> Result<Vec<OutputFile>> {
        let stages = assembly.listed()?;
        let target = &assembly.definition.pipeline.github;
        check_pinned(&target.checkout)?;
        check_literal("branch", &assembly.definition.pipeline.branch)?;
        check_literal("runner", &target.runs_on)?;
        Error::collected(
            stages
                .iter()
                .filter_map(|stage| check(stage).err())
                .collect(),
        )?;
        let service = &assembly.definition.service;
        let workflow = Workflow {
            name: service.clone(),
            on: triggers(&assembly.definition.pipeline.branch),
            permissions: BTreeMap::from([("contents".to_owned(), "read".to_owned())]),
            concurrency: one_at_a_time(&format!("prestage-{service}")),
            jobs: Jobs(
                stages
                    .iter()
                    .map(|stage| (stage.stage.name.clone(), job(target, stage)))
                    .collect(),
            ),
        };
        let text = format!("{}{}", header(assembly, &self.id()), yaml::write(&workflow));
        Ok(vec![OutputFile {
            path: format!(".github/workflows/{service}.yml"),
            bytes: text.into_bytes(),
        }])
    }

    fn analyze(&self, files: &[OutputFile]) -> Result<LivePipeline> {
        analysis::analyze(files)
    }

    fn facts(&self, assembly: &Assembly<'_>) -> TargetFacts {
        TargetFacts::Github(Some(assembly.definition.pipeline.github.clone()))
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(Workflow)
    }
}

fn check_pinned(action: &str) -> Result<()> {
    let is_name = |text: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
        text.contains('/') && text.chars().all(plain)
    };
    let is_commit = |text: &str| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
    match action.split_once('@') {
        Some((name, commit)) if is_name(name) && is_commit(commit) => Ok(()),
        _ => Err(Error::NameTarget {
            driver: NAME,
            what: "action",
            found: action.to_owned(),
            expected: "an action is pinned as `owner/name@<40 hexadecimal digits>`".to_owned(),
        }),
    }
}

/// Refuses a value that GitHub would evaluate at a place where it cannot be quoted.
fn check_literal(what: &'static str, value: &str) -> Result<()> {
    if !value.contains("${{") {
        return Ok(());
    }
    Err(Error::NameTarget {
        driver: NAME,
        what,
        found: value.to_owned(),
        expected: "it would be evaluated as an expression".to_owned(),
    })
}

fn check(assembled: &AssembledStage<'_>) -> Result<()> {
    let stage = assembled.stage;
    let unsupported = |field: &str, feature: &str| {
        Err(Error::TargetUnsupported {
            driver: NAME,
            path: format!("/stages/[name={}]/{field}", stage.name),
            feature: feature.to_owned(),
        })
    };
    if stage.name.len() > JOB_ID_LENGTH_MAX {
        return Err(Error::NameTarget {
            driver: NAME,
            what: "job id",
            found: stage.name.clone(),
            expected: format!("at most {JOB_ID_LENGTH_MAX} characters"),
        });
    }
    for (what, value) in [
        ("image", &stage.image),
        ("environment", &stage.environment),
        ("concurrency group", &stage.exclusive),
    ] {
        check_literal(what, value.as_deref().unwrap_or_default())?;
    }
    match stage.when {
        When::Manual => return unsupported("when", "a job that a person starts"),
        When::OnFailure if assembled.needs.is_empty() => {
            return unsupported("when", "a job on failure that needs nothing");
        }
        _ => {}
    }
    if !stage.artifacts.is_empty() {
        return unsupported("artifacts", "artifacts without a further action");
    }
    if stage.retry > 0 {
        return unsupported("retry", "automatic retries");
    }
    Ok(())
}

fn triggers(branch: &str) -> Triggers {
    let input = Input {
        description: "key of a staged stage to run although it is not active".to_owned(),
        kind: "string".to_owned(),
        required: false,
        default: String::new(),
    };
    Triggers {
        push: Push {
            branches: vec![branch.to_owned()],
        },
        workflow_dispatch: Dispatch {
            inputs: BTreeMap::from([(ACTIVATE_INPUT.to_owned(), input)]),
        },
    }
}

fn one_at_a_time(group: &str) -> Concurrency {
    Concurrency {
        group: group.to_owned(),
        cancel_in_progress: false,
    }
}

fn job(target: &GithubTarget, assembled: &AssembledStage<'_>) -> Job {
    let stage = assembled.stage;
    Job {
        name: stage.name.clone(),
        needs: assembled.needs.clone(),
        condition: condition(assembled),
        runs_on: target.runs_on.clone(),
        container: stage.image.clone(),
        timeout_minutes: stage.timeout_minutes,
        environment: stage.environment.clone(),
        concurrency: stage.exclusive.as_deref().map(one_at_a_time),
        strategy: stage.shards.map(strategy),
        env: env(assembled),
        steps: steps(target, assembled),
    }
}

/// GitHub adds `success()` to a condition that names no status function.
fn condition(assembled: &AssembledStage<'_>) -> Option<String> {
    // `failure()` alone would also hold when something before the first need failed.
    let on_failure = (assembled.stage.when == When::OnFailure)
        .then(|| "failure() && contains(needs.*.result, 'failure')".to_owned());
    let activated = assembled
        .staged
        .filter(|staged| staged.activation == Activation::Inactive)
        .map(|staged| format!("inputs.{ACTIVATE_INPUT} == '{}'", staged.stage.key.short()));
    let terms: Vec<String> = on_failure.into_iter().chain(activated).collect();
    (!terms.is_empty()).then(|| format!("${{{{ {} }}}}", terms.join(" && ")))
}

fn strategy(shards: u32) -> Strategy {
    Strategy {
        fail_fast: false,
        matrix: BTreeMap::from([("shard".to_owned(), (1..=shards).collect())]),
    }
}

fn env(assembled: &AssembledStage<'_>) -> BTreeMap<String, String> {
    let own = assembled.stage.env.iter().map(|(name, value)| {
        let quoted = value.replace(EXPRESSION, EXPRESSION_QUOTED);
        (name.clone(), quoted)
    });
    own.chain(mark::variables(assembled, "${{ matrix.shard }}"))
        .collect()
}

fn steps(target: &GithubTarget, assembled: &AssembledStage<'_>) -> Vec<Step> {
    let checkout = Step {
        name: "checkout".to_owned(),
        uses: Some(target.checkout.clone()),
        with: BTreeMap::from([("persist-credentials".to_owned(), false)]),
        shell: None,
        run: None,
    };
    let run = Step {
        name: assembled.stage.group.clone(),
        uses: None,
        with: BTreeMap::new(),
        shell: Some("sh".to_owned()),
        run: Some(assembled.stage.script.join("\n")),
    };
    vec![checkout, run]
}
