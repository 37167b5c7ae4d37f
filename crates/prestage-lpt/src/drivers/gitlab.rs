//! GitLab CI: one `.gitlab-ci.yml`.
//!
//! Jobs are ordered by `needs`; the `stages` list only groups them on the page. A staged stage
//! that is not active carries a rule that is true only when the pipeline is started with
//! `PRESTAGE_ACTIVATE=<key>`, so a person can run it early without another commit. Values with `$`
//! are marked `expand: false`, else the runner would expand them.
//!
//! Reference: <https://docs.gitlab.com/ci/yaml/>.

mod analysis;
mod model;

use std::collections::BTreeMap;

use crate::assembly::{Activation, AssembledStage, Assembly};
use crate::definition::When;
use crate::driver::{Driver, OutputFile, header};
use crate::error::{Error, Result};
use crate::live::{LivePipeline, TargetFacts};
use crate::mark;
use crate::yaml;

pub use model::{Artifacts, Environment, GitlabFile, Job, Rule, Variable, Workflow};

/// The variable that starts an inactive stage by its key.
pub const ACTIVATE_VARIABLE: &str = "PRESTAGE_ACTIVATE";

const NAME: &str = "gitlab";
/// Names the stage that a job is one part of.
const ONE_OF: &str = "PRESTAGE_ONE_OF";
/// GitLab's limit of `needs` per job.
const NEEDS_MAX: usize = 50;
/// Top-level keys of the format and words that it reads as something else.
const RESERVED: &[&str] = &[
    "after_script",
    "before_script",
    "cache",
    "default",
    "false",
    "image",
    "include",
    "nil",
    "null",
    "pages",
    "services",
    "spec",
    "stages",
    "true",
    "types",
    "variables",
    "workflow",
];

/// The driver.
#[derive(Clone, Copy, Debug)]
pub struct Gitlab;

impl Driver for Gitlab {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "GitLab CI: one .gitlab-ci.yml with a needs graph"
    }

    fn version(&self) -> u32 {
        2
    }

    fn emit(&self, assembly: &Assembly<'_>) -> Result<Vec<OutputFile>> {
        let stages = assembly.listed()?;
        Error::collected(
            stages
                .iter()
                .filter_map(|stage| check(&stages, stage).err())
                .collect(),
        )?;
        let lanes = lanes(&assembly.stages()?);
        let jobs = stages
            .iter()
            .flat_map(|stage| one_of(&stage.stage.name, job(assembly, lanes.of(stage), stage)))
            .collect();
        let file = GitlabFile {
            stages: lanes.into_names(),
            workflow: Workflow {
                name: Some(assembly.definition.service.clone()),
                rules: vec![Rule {
                    condition: Some(format!(
                        "$CI_COMMIT_BRANCH == \"{}\"",
                        branch(&assembly.definition.pipeline.branch)?
                    )),
                    when: None,
                }],
            },
            jobs,
        };
        let text = format!("{}{}", header(assembly, &self.id()), yaml::write(&file));
        Ok(vec![OutputFile {
            path: ".gitlab-ci.yml".to_owned(),
            bytes: text.into_bytes(),
        }])
    }

    fn analyze(&self, files: &[OutputFile]) -> Result<LivePipeline> {
        analysis::analyze(files)
    }

    fn facts(&self, assembly: &Assembly<'_>) -> TargetFacts {
        TargetFacts::Gitlab(assembly.definition.pipeline.gitlab.clone())
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(GitlabFile)
    }
}

fn check(stages: &[AssembledStage<'_>], assembled: &AssembledStage<'_>) -> Result<()> {
    let is_several = |name: &String| {
        stages.iter().any(|known| {
            known.stage.name == *name
                && known.stage.when == When::OnFailure
                && known.needs.len() > 1
        })
    };
    if let Some(needed) = assembled.needs.iter().find(|needed| is_several(needed)) {
        return Err(Error::TargetUnsupported {
            driver: NAME,
            path: format!("/stages/[name={}]/needs", assembled.stage.name),
            feature: format!("waiting for `{needed}`, which runs when one of several fails"),
        });
    }
    let name = &assembled.stage.name;
    if RESERVED.contains(&name.as_str()) {
        return Err(Error::NameTarget {
            driver: NAME,
            what: "job name",
            found: name.clone(),
            expected: "it is a keyword of the format".to_owned(),
        });
    }
    if assembled.needs.len() > NEEDS_MAX {
        return Err(Error::TargetUnsupported {
            driver: NAME,
            path: format!("/stages/[name={name}]/needs"),
            feature: format!(
                "{} needs of one job, at most {NEEDS_MAX}",
                assembled.needs.len()
            ),
        });
    }
    Ok(())
}

/// The branch stands inside a condition, so it may not end the string.
fn branch(name: &str) -> Result<&str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    if !name.is_empty() && name.chars().all(is_plain) {
        return Ok(name);
    }
    Err(Error::NameTarget {
        driver: NAME,
        what: "branch",
        found: name.to_owned(),
        expected: "letters, digits, `.`, `_`, `/` and `-`".to_owned(),
    })
}

/// The headings: groups and staged stages. GitLab wants the heading of what a job needs above its
/// own, so where edges between groups run both ways each job gets a heading of its own.
fn lanes(ordered: &[AssembledStage<'_>]) -> Lanes {
    let mut names: Vec<String> = Vec::new();
    for stage in ordered {
        if !names.iter().any(|lane| lane == stage.lane()) {
            names.push(stage.lane().to_owned());
        }
    }
    let place = |name: &str| {
        let stage = ordered.iter().find(|stage| stage.stage.name == name)?;
        names.iter().position(|lane| lane == stage.lane())
    };
    let is_layered = ordered.iter().all(|stage| {
        stage
            .needs
            .iter()
            .all(|needed| place(needed) <= place(&stage.stage.name))
    });
    if is_layered {
        return Lanes::Grouped(names);
    }
    Lanes::Single(
        ordered
            .iter()
            .map(|stage| stage.stage.name.clone())
            .collect(),
    )
}

enum Lanes {
    Grouped(Vec<String>),
    Single(Vec<String>),
}

impl Lanes {
    fn of<'a>(&self, assembled: &'a AssembledStage<'_>) -> &'a str {
        match self {
            Self::Grouped(_) => assembled.lane(),
            Self::Single(_) => &assembled.stage.name,
        }
    }

    fn into_names(self) -> Vec<String> {
        match self {
            Self::Grouped(names) | Self::Single(names) => names,
        }
    }
}

fn job(assembly: &Assembly<'_>, lane: &str, assembled: &AssembledStage<'_>) -> Job {
    let stage = assembled.stage;
    let shards = stage.shards.filter(|shards| *shards > 1);
    Job {
        stage: lane.to_owned(),
        image: stage.image.clone(),
        tags: assembly.definition.pipeline.gitlab.tags.clone(),
        needs: assembled.needs.clone(),
        rules: vec![rule(assembled)],
        parallel: shards,
        timeout: format!("{} minutes", stage.timeout_minutes),
        retry: (stage.retry > 0).then_some(stage.retry),
        resource_group: stage.exclusive.clone(),
        environment: stage.environment.clone().map(|name| Environment { name }),
        variables: variables(assembled, shards),
        script: vec![stage.script.join("\n")],
        artifacts: (!stage.artifacts.is_empty()).then(|| Artifacts {
            paths: stage.artifacts.clone(),
        }),
    }
}

/// The jobs of a stage: one, but for a stage on failure one for each of its needs. GitLab skips a
/// job as soon as one of its needs was skipped, and whatever fails first skips what comes after it,
/// so a single job on failure would run only when the last of its needs fails.
fn one_of(name: &str, job: Job) -> Vec<(String, Job)> {
    if !is_split(&job) {
        return vec![(name.to_owned(), job)];
    }
    let of_need = |need: &String| {
        let mut part = job.clone();
        part.needs = vec![need.clone()];
        part.variables
            .insert(ONE_OF.to_owned(), Variable::Plain(name.to_owned()));
        (format!("{name}:{need}"), part)
    };
    job.needs.iter().map(of_need).collect()
}

fn is_split(job: &Job) -> bool {
    let on_failure = Some("on_failure");
    job.needs.len() > 1
        && job
            .rules
            .iter()
            .all(|rule| rule.when.as_deref() == on_failure)
}

fn rule(assembled: &AssembledStage<'_>) -> Rule {
    let condition = assembled
        .staged
        .filter(|staged| staged.activation == Activation::Inactive)
        .map(|staged| format!("${ACTIVATE_VARIABLE} == \"{}\"", staged.stage.key.short()));
    let when = match assembled.stage.when {
        When::OnSuccess => "on_success",
        When::OnFailure => "on_failure",
        When::Manual => "manual",
    };
    Rule {
        condition,
        when: Some(when.to_owned()),
    }
}

fn variables(assembled: &AssembledStage<'_>, shards: Option<u32>) -> BTreeMap<String, Variable> {
    // GitLab sets its own index only for jobs that run in parallel.
    let index = match shards {
        Some(_) => "$CI_NODE_INDEX",
        None => "1",
    };
    let own = assembled
        .stage
        .env
        .iter()
        .map(|(name, value)| (name.clone(), Variable::literal(value)));
    let marks = mark::variables(assembled, index)
        .into_iter()
        .map(|(name, value)| (name, Variable::Plain(value)));
    own.chain(marks).collect()
}
