//! From a `WorkflowTemplate` back to stages.
//!
//! Reads the typed model only: a file with fields that prestage does not write is refused and names
//! the first of them, because on this target a field that is overlooked changes what runs.

use super::{APPROVAL_SUFFIX, ENTRYPOINT, NAME, Task, Template, WORKSPACE, WorkflowTemplate};
use crate::definition::{ArgoTarget, Stage, When};
use crate::driver::{OutputFile, only_file};
use crate::drivers::kubernetes::{
    BRANCH, DEFAULT_IMAGE, ENVIRONMENT, env_back, own_image, script_back,
};
use crate::error::{Error, Result};
use crate::live::{FoundJob, LivePipeline, TargetFacts};
use crate::mark;
use crate::yaml;

pub(super) fn analyze(files: &[OutputFile]) -> Result<LivePipeline> {
    let (path, text) = only_file(NAME, files)?;
    let wrong = |message: String| Error::LiveParse {
        driver: NAME,
        file: path.to_owned(),
        message,
    };
    let file: WorkflowTemplate =
        yaml::read_foreign(path, text).map_err(|error| wrong(error.to_string()))?;
    let template = |name: &str| file.spec.templates.iter().find(|known| known.name == name);
    let tasks = template(ENTRYPOINT)
        .and_then(|entry| entry.dag.as_ref())
        .map(|dag| dag.tasks.as_slice())
        .ok_or_else(|| wrong(format!("no template `{ENTRYPOINT}` with a `dag`")))?;
    let mut jobs = Vec::new();
    for task in tasks {
        let found = template(&task.template)
            .ok_or_else(|| wrong(format!("task `{}` has no template", task.name)))?;
        if found.suspend.is_none() {
            jobs.push(job_of(task, tasks, found).map_err(wrong)?);
        }
    }
    let parameter = |name: &str| {
        let mut parameters = file.spec.arguments.parameters.iter();
        let found = parameters.find(|parameter| parameter.name == name);
        found
            .and_then(|parameter| parameter.value.clone())
            .unwrap_or_default()
    };
    let annotation = |name: &str| {
        file.metadata
            .annotations
            .get(name)
            .cloned()
            .unwrap_or_default()
    };
    let target = ArgoTarget {
        repository: parameter("repository"),
        image: annotation(DEFAULT_IMAGE),
        service_account: file.spec.service_account_name.clone().unwrap_or_default(),
    };
    LivePipeline::found(
        file.metadata.name.clone(),
        annotation(BRANCH),
        TargetFacts::Argo(target),
        jobs,
        Vec::new(),
    )
}

fn job_of(
    task: &Task,
    tasks: &[Task],
    template: &Template,
) -> std::result::Result<FoundJob, String> {
    let Some(script) = &template.script else {
        return Err(format!("template `{}` has no `script`", template.name));
    };
    let annotations = template
        .metadata
        .as_ref()
        .map(|metadata| metadata.annotations.clone())
        .unwrap_or_default();
    let approval = format!("{}{APPROVAL_SUFFIX}", task.name);
    let approval = tasks
        .iter()
        .find(|known| known.name == approval && task.depends.as_deref() == Some(approval.as_str()));
    let depends = approval.map_or(&task.depends, |approval| &approval.depends);
    let (mut when, needs) = needs(depends.as_deref().unwrap_or_default())?;
    if approval.is_some() {
        when = When::Manual;
    }
    let mut env = env_back(&script.env);
    let marks = mark::take(&mut env);
    let kept = template
        .outputs
        .iter()
        .flat_map(|outputs| &outputs.artifacts);
    let mutex = template
        .synchronization
        .as_ref()
        .and_then(|locks| locks.mutexes.first());
    let retry = template
        .retry_strategy
        .as_ref()
        .map(|retry| retry.limit.parse());
    let stage = Stage {
        name: task.name.clone(),
        group: task.name.clone(),
        region: None,
        needs,
        gates: Vec::new(),
        when,
        image: own_image(&script.image, &annotations),
        script: script_back(&script.source),
        env,
        shards: None,
        timeout_minutes: template.active_deadline_seconds.unwrap_or_default() / 60,
        environment: annotations.get(ENVIRONMENT).cloned(),
        exclusive: mutex.map(|mutex| mutex.name.clone()),
        artifacts: kept
            .map(|artifact| {
                let inside = artifact.path.strip_prefix(WORKSPACE);
                inside.map_or(artifact.path.clone(), |path| {
                    path.trim_start_matches('/').to_owned()
                })
            })
            .collect(),
        retry: match retry {
            None => 0,
            Some(Ok(limit)) => limit,
            Some(Err(_)) => {
                return Err(format!(
                    "template `{}`: `retryStrategy.limit`",
                    template.name
                ));
            }
        },
    };
    Ok(FoundJob {
        stage,
        marks,
        is_inactive: task.when.is_some(),
    })
}

/// When and after what, from `a.Succeeded && b.Succeeded` or `a.Failed || a.Errored`.
fn needs(depends: &str) -> std::result::Result<(When, Vec<String>), String> {
    let mut needs: Vec<String> = Vec::new();
    let on_failure = depends.contains(".Failed");
    let separator = if on_failure { "||" } else { "&&" };
    for term in depends
        .split(separator)
        .map(str::trim)
        .filter(|term| !term.is_empty())
    {
        let name = match (term.split_once('.'), on_failure) {
            (Some((name, "Succeeded")), false) | (Some((name, "Failed" | "Errored")), true) => name,
            (None, false) if !term.contains(' ') => term,
            _ => {
                return Err(format!(
                    "`depends: {depends}` is more than one kind of state"
                ));
            }
        };
        if !needs.iter().any(|known| known == name) {
            needs.push(name.to_owned());
        }
    }
    let when = if on_failure {
        When::OnFailure
    } else {
        When::OnSuccess
    };
    Ok((when, needs))
}
