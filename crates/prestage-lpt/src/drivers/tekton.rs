//! Tekton: one `Pipeline` and one `Task` per stage, each in its own file.
//!
//! Stages share a workspace that the first task fills with a checkout. A stage on failure is a
//! `finally` task that is told the states of what it needs and leaves when none failed; an inactive
//! staged stage has a `when` on the parameter `prestage-activate`.
//!
//! Cannot express: manual stages, stages that wait for one on failure, locks (see
//! [`TektonTarget::serialized`]), and the text `$(` in values, which Tekton replaces.
//! Reference: <https://tekton.dev/docs/pipelines/pipelines/>.

mod analysis;
mod model;

use std::collections::BTreeMap;

use crate::assembly::{Activation, AssembledStage, Assembly};
use crate::definition::{TektonTarget, When};
use crate::driver::{Driver, OutputFile, header};
use crate::drivers::kubernetes::{
    Metadata, NameValue, annotations, check_literal, check_resource, env, script, stage_annotations,
};
use crate::error::{Error, Result};
use crate::live::{LivePipeline, TargetFacts};
use crate::yaml;

pub use model::{
    File, Matrix, MatrixParam, Param, Pipeline, PipelineSpec, PipelineTask, Step, Task, TaskRef,
    TaskSpec, WhenExpression, Workspace, WorkspaceBinding,
};

const NAME: &str = "tekton";
const API_VERSION: &str = "tekton.dev/v1";
const CHECKOUT: &str = "prestage-checkout";
const ACTIVATE: &str = "prestage-activate";
const SHARD: &str = "shard-index";
const NEED_STATUS: &str = "need-status";
const SOURCE: &str = "source";
const SERIALIZED: &str = "prestage/serialized";
const EXCLUSIVE: &str = "prestage/exclusive";
const ARTIFACTS: &str = "prestage/artifacts";
/// First line of a stage on failure.
const GUARD: &str = r#"case " $PRESTAGE_NEED_STATUS " in *" Failed "*) ;; *) echo "nothing failed"; exit 0 ;; esac"#;
const GUARD_VARIABLE: &str = "PRESTAGE_NEED_STATUS";
/// Fills the shared workspace; values arrive as environment variables.
const CHECKOUT_SCRIPT: &str = "git clone \"$REPOSITORY\" .\ngit checkout --quiet \"$REVISION\"";

/// The driver.
#[derive(Clone, Copy, Debug)]
pub struct Tekton;

impl Driver for Tekton {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "Tekton: one Pipeline and one Task per stage"
    }

    fn version(&self) -> u32 {
        1
    }

    fn emit(&self, assembly: &Assembly<'_>) -> Result<Vec<OutputFile>> {
        let stages = assembly.listed()?;
        let target = target(assembly)?;
        let problems = stages
            .iter()
            .filter_map(|stage| check(assembly, target, &stages, stage).err());
        Error::collected(problems.collect())?;
        let service = &assembly.definition.service;
        let header = header(assembly, &self.id());
        let file = |path: String, text: String| OutputFile {
            path: format!("tekton/{service}/{path}.yaml"),
            bytes: format!("{header}{text}").into_bytes(),
        };
        let pipeline = pipeline(assembly, target, &stages);
        let mut files = vec![
            file(
                "pipeline".to_owned(),
                yaml::write(&File::Pipeline(pipeline)),
            ),
            file(
                format!("task-{CHECKOUT}"),
                yaml::write(&File::Task(checkout(service, target))),
            ),
        ];
        for stage in &stages {
            let path = format!("task-{}", stage.stage.name);
            files.push(file(
                path,
                yaml::write(&File::Task(task(service, target, stage))),
            ));
        }
        Ok(files)
    }

    fn analyze(&self, files: &[OutputFile]) -> Result<LivePipeline> {
        analysis::analyze(files)
    }

    fn facts(&self, assembly: &Assembly<'_>) -> TargetFacts {
        let target = assembly.definition.pipeline.tekton.clone();
        TargetFacts::Tekton(target.unwrap_or_default())
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(File)
    }
}

fn target<'a>(assembly: &'a Assembly<'_>) -> Result<&'a TektonTarget> {
    let target = assembly.definition.pipeline.tekton.as_ref();
    target.ok_or_else(|| Error::TargetUnsupported {
        driver: NAME,
        path: "/pipeline/tekton".to_owned(),
        feature: "a pipeline whose template does not say `repository` and `image`".to_owned(),
    })
}

fn check(
    assembly: &Assembly<'_>,
    target: &TektonTarget,
    stages: &[AssembledStage<'_>],
    assembled: &AssembledStage<'_>,
) -> Result<()> {
    let stage = assembled.stage;
    let unsupported = |field: &str, feature: &str| {
        Err(Error::TargetUnsupported {
            driver: NAME,
            path: format!("/stages/[name={}]/{field}", stage.name),
            feature: feature.to_owned(),
        })
    };
    check_resource(NAME, &resource(&assembly.definition.service, &stage.name))?;
    check_literal(
        NAME,
        &[
            "$(params",
            "$(tasks",
            "$(context",
            "$(workspaces",
            "$(results",
            "$(steps",
            "$(inputs",
            "$(outputs",
        ],
        stage,
    )?;
    if stage.name == CHECKOUT {
        return Err(Error::NameTarget {
            driver: NAME,
            what: "task name",
            found: stage.name.clone(),
            expected: "the driver needs it for itself".to_owned(),
        });
    }
    let is_last = |name: &String| {
        let mut all = stages.iter().map(|known| known.stage);
        all.any(|known| known.name == *name && known.when == When::OnFailure)
    };
    if let Some(needed) = assembled.needs.iter().find(|needed| is_last(needed)) {
        return unsupported(
            "needs",
            &format!("waiting for `{needed}`, which runs on failure"),
        );
    }
    match stage.when {
        When::Manual => return unsupported("when", "a stage that a person starts"),
        When::OnFailure if assembled.needs.is_empty() => {
            return unsupported("when", "a stage on failure that needs nothing");
        }
        _ => {}
    }
    if stage.exclusive.is_some() && !target.serialized {
        return unsupported(
            "exclusive",
            "a lock; `serialized: true` says that something outside keeps the stages apart",
        );
    }
    Ok(())
}

/// Tasks of all services share a namespace.
fn resource(service: &str, stage: &str) -> String {
    format!("{service}-{stage}")
}

fn pipeline(
    assembly: &Assembly<'_>,
    target: &TektonTarget,
    stages: &[AssembledStage<'_>],
) -> Pipeline {
    let service = &assembly.definition.service;
    let of = |wanted: bool| {
        stages
            .iter()
            .filter(move |stage| (stage.stage.when == When::OnFailure) == wanted)
            .map(|stage| pipeline_task(service, stage))
    };
    let first = PipelineTask {
        params: ["repository", "revision"]
            .map(|name| NameValue::new(name, format!("$(params.{name})")))
            .to_vec(),
        ..bare_task(service, CHECKOUT)
    };
    let mut pipeline_annotations = annotations(assembly, &target.image);
    if target.serialized {
        pipeline_annotations.insert(SERIALIZED.to_owned(), "true".to_owned());
    }
    Pipeline {
        api_version: API_VERSION.to_owned(),
        metadata: Metadata {
            name: service.clone(),
            annotations: pipeline_annotations,
        },
        spec: PipelineSpec {
            params: parameters(assembly, target),
            workspaces: vec![Workspace {
                name: SOURCE.to_owned(),
            }],
            tasks: [first].into_iter().chain(of(false)).collect(),
            finally: of(true).collect(),
        },
    }
}

/// A run's parameters; the one that starts an inactive stage only where there is one.
fn parameters(assembly: &Assembly<'_>, target: &TektonTarget) -> Vec<Param> {
    let has_inactive = assembly
        .staged
        .iter()
        .any(|staged| staged.activation == Activation::Inactive);
    let activate = has_inactive.then(|| Param::with_default(ACTIVATE, ""));
    [
        Param::with_default("repository", &target.repository),
        Param::with_default("revision", &assembly.definition.pipeline.branch),
    ]
    .into_iter()
    .chain(activate)
    .collect()
}

fn bare_task(service: &str, name: &str) -> PipelineTask {
    PipelineTask {
        name: name.to_owned(),
        task_ref: TaskRef {
            name: resource(service, name),
        },
        run_after: Vec::new(),
        timeout: None,
        retries: None,
        when: Vec::new(),
        matrix: None,
        params: Vec::new(),
        workspaces: vec![WorkspaceBinding {
            name: SOURCE.to_owned(),
            workspace: SOURCE.to_owned(),
        }],
    }
}

fn pipeline_task(service: &str, assembled: &AssembledStage<'_>) -> PipelineTask {
    let stage = assembled.stage;
    let is_last = stage.when == When::OnFailure;
    let statuses: Vec<String> = assembled
        .needs
        .iter()
        .map(|need| format!("$(tasks.{need}.status)"))
        .collect();
    let run_after = match (is_last, assembled.needs.is_empty()) {
        (true, _) => Vec::new(),
        (false, true) => vec![CHECKOUT.to_owned()],
        (false, false) => assembled.needs.clone(),
    };
    let inactive = assembled
        .staged
        .filter(|staged| staged.activation == Activation::Inactive);
    PipelineTask {
        run_after,
        timeout: Some(format!("{}m0s", stage.timeout_minutes)),
        retries: (stage.retry > 0).then_some(stage.retry),
        when: inactive
            .map(|staged| WhenExpression {
                input: format!("$(params.{ACTIVATE})"),
                operator: "in".to_owned(),
                values: vec![staged.stage.key.short().to_owned()],
            })
            .into_iter()
            .collect(),
        matrix: stage.shards.map(|shards| Matrix {
            params: vec![MatrixParam {
                name: SHARD.to_owned(),
                value: (1..=shards).map(|shard| shard.to_string()).collect(),
            }],
        }),
        params: is_last
            .then(|| NameValue::new(NEED_STATUS, statuses.join(" ")))
            .into_iter()
            .collect(),
        ..bare_task(service, &stage.name)
    }
}

fn checkout(service: &str, target: &TektonTarget) -> Task {
    let parameters = ["repository", "revision"];
    Task {
        api_version: API_VERSION.to_owned(),
        metadata: Metadata {
            name: resource(service, CHECKOUT),
            annotations: BTreeMap::new(),
        },
        spec: TaskSpec {
            params: parameters.map(Param::new).to_vec(),
            workspaces: vec![Workspace {
                name: SOURCE.to_owned(),
            }],
            steps: vec![Step {
                name: "checkout".to_owned(),
                image: target.image.clone(),
                working_dir: format!("$(workspaces.{SOURCE}.path)"),
                env: parameters
                    .map(|name| {
                        NameValue::new(&name.to_ascii_uppercase(), format!("$(params.{name})"))
                    })
                    .to_vec(),
                script: script(&[CHECKOUT_SCRIPT.to_owned()]),
            }],
        },
    }
}

fn task(service: &str, target: &TektonTarget, assembled: &AssembledStage<'_>) -> Task {
    let stage = assembled.stage;
    let is_last = stage.when == When::OnFailure;
    let shard = stage.shards.map(|_| Param::new(SHARD));
    let status = is_last.then(|| Param::new(NEED_STATUS));
    let mut variables = env(assembled, &format!("$(params.{SHARD})"));
    let mut lines = stage.script.clone();
    if is_last {
        variables.push(NameValue::new(
            GUARD_VARIABLE,
            format!("$(params.{NEED_STATUS})"),
        ));
        lines.insert(0, GUARD.to_owned());
    }
    let mut annotations = stage_annotations(stage);
    if let Some(exclusive) = &stage.exclusive {
        annotations.insert(EXCLUSIVE.to_owned(), exclusive.clone());
    }
    // The workspace outlives the task, so a path in it is kept by itself.
    if !stage.artifacts.is_empty() {
        annotations.insert(ARTIFACTS.to_owned(), stage.artifacts.join("\n"));
    }
    Task {
        api_version: API_VERSION.to_owned(),
        metadata: Metadata {
            name: resource(service, &stage.name),
            annotations,
        },
        spec: TaskSpec {
            params: shard.into_iter().chain(status).collect(),
            workspaces: vec![Workspace {
                name: SOURCE.to_owned(),
            }],
            steps: vec![Step {
                name: "run".to_owned(),
                image: stage.image.clone().unwrap_or_else(|| target.image.clone()),
                working_dir: format!("$(workspaces.{SOURCE}.path)"),
                env: variables,
                script: script(&lines),
            }],
        },
    }
}
