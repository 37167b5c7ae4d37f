//! From a `Pipeline` and its `Task`s back to stages.
//!
//! Reads the typed model only: a file with fields that prestage does not write is refused and names
//! the first of them, because on this target a field that is overlooked changes what runs.

use super::{
    ARTIFACTS, CHECKOUT, EXCLUSIVE, File, GUARD, GUARD_VARIABLE, NAME, NEED_STATUS, Pipeline,
    PipelineTask, Task,
};
use crate::definition::{Stage, TektonTarget, When};
use crate::driver::{OutputFile, text_of};
use crate::drivers::kubernetes::{
    BRANCH, DEFAULT_IMAGE, ENVIRONMENT, env_back, own_image, script_back,
};
use crate::error::{Error, Result};
use crate::live::{FoundJob, LivePipeline, TargetFacts};
use crate::mark;
use crate::yaml;

pub(super) fn analyze(files: &[OutputFile]) -> Result<LivePipeline> {
    let mut pipelines: Vec<(&str, Pipeline)> = Vec::new();
    let mut tasks: Vec<Task> = Vec::new();
    for file in files {
        match yaml::read_foreign(&file.path, text_of(NAME, file)?)
            .map_err(|error| wrong(&file.path, error.to_string()))?
        {
            File::Pipeline(pipeline) => pipelines.push((&file.path, pipeline)),
            File::Task(task) => tasks.push(task),
        }
    }
    let (path, pipeline) = match pipelines.as_slice() {
        [(path, pipeline)] => (*path, pipeline),
        several => {
            return Err(wrong(
                "",
                format!("{} pipelines, expected one", several.len()),
            ));
        }
    };
    let mut jobs = Vec::new();
    let spec = &pipeline.spec;
    let nodes = spec.tasks.iter().chain(&spec.finally);
    for node in nodes.filter(|node| node.name != CHECKOUT) {
        let task = tasks
            .iter()
            .find(|task| task.metadata.name == node.task_ref.name)
            .ok_or_else(|| wrong(path, format!("no task `{}`", node.task_ref.name)))?;
        jobs.push(job_of(node, task).map_err(|message| wrong(path, message))?);
    }
    // The order of the files is the order of the stages; `finally` tears it apart.
    jobs.sort_by_key(|job| {
        let suffix = format!("-{}", job.stage.name);
        let mut names = tasks.iter().map(|task| &task.metadata.name);
        names.position(|name| name.strip_suffix(&suffix) == Some(&pipeline.metadata.name))
    });
    let annotation = |name: &str| {
        pipeline
            .metadata
            .annotations
            .get(name)
            .cloned()
            .unwrap_or_default()
    };
    let repository = spec.params.iter().find(|param| param.name == "repository");
    let target = TektonTarget {
        repository: repository
            .and_then(|param| param.default.clone())
            .unwrap_or_default(),
        image: annotation(DEFAULT_IMAGE),
        serialized: annotation(super::SERIALIZED) == "true",
    };
    LivePipeline::found(
        pipeline.metadata.name.clone(),
        annotation(BRANCH),
        TargetFacts::Tekton(target),
        jobs,
        Vec::new(),
    )
}

fn wrong(file: &str, message: String) -> Error {
    Error::LiveParse {
        driver: NAME,
        file: file.to_owned(),
        message,
    }
}

fn job_of(node: &PipelineTask, task: &Task) -> std::result::Result<FoundJob, String> {
    let [step] = task.spec.steps.as_slice() else {
        return Err(format!("task `{}` has not one step", task.metadata.name));
    };
    let annotations = &task.metadata.annotations;
    let mut env = env_back(&step.env);
    let is_last = env.remove(GUARD_VARIABLE).is_some();
    let marks = mark::take(&mut env);
    let mut script = script_back(&step.script);
    if is_last && script.first().map(String::as_str) == Some(GUARD) {
        script.remove(0);
    }
    let needs = match is_last {
        true => statuses(node),
        false => node
            .run_after
            .iter()
            .filter(|need| *need != CHECKOUT)
            .cloned()
            .collect(),
    };
    let minutes = node
        .timeout
        .as_deref()
        .and_then(|text| text.strip_suffix("m0s")?.parse().ok());
    let stage = Stage {
        name: node.name.clone(),
        group: node.name.clone(),
        region: None,
        needs,
        gates: Vec::new(),
        when: if is_last {
            When::OnFailure
        } else {
            When::OnSuccess
        },
        image: own_image(&step.image, annotations),
        script,
        env,
        shards: None,
        timeout_minutes: minutes
            .ok_or_else(|| format!("task `{}`: `timeout` is not whole minutes", node.name))?,
        environment: annotations.get(ENVIRONMENT).cloned(),
        exclusive: annotations.get(EXCLUSIVE).cloned(),
        artifacts: annotations
            .get(ARTIFACTS)
            .map(|paths| paths.split('\n').map(str::to_owned).collect())
            .unwrap_or_default(),
        retry: node.retries.unwrap_or(0),
    };
    Ok(FoundJob {
        stage,
        marks,
        is_inactive: !node.when.is_empty(),
    })
}

/// The needs of a `finally` task, from the states that it is told.
fn statuses(node: &PipelineTask) -> Vec<String> {
    let told = node.params.iter().find(|param| param.name == NEED_STATUS);
    let told = told
        .and_then(|param| param.value.as_deref())
        .unwrap_or_default();
    told.split(' ')
        .filter_map(|term| term.strip_prefix("$(tasks.")?.strip_suffix(".status)"))
        .map(str::to_owned)
        .collect()
}
