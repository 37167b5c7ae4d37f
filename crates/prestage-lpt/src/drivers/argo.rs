//! Argo Workflows: one `WorkflowTemplate` with a DAG.
//!
//! Each stage is a script template that checks the repository out as an artifact; the DAG of the
//! entry point holds the edges. A manual stage waits for a suspended task before it; `exclusive` is
//! a mutex; an inactive staged stage has a `when` on the parameter `prestage-activate`.
//!
//! Cannot express: the text `{{`, which Argo replaces everywhere and cannot quote.
//! Reference: <https://argo-workflows.readthedocs.io/en/latest/fields/>.

mod analysis;
mod model;

use crate::assembly::{Activation, AssembledStage, Assembly};
use crate::definition::{ArgoTarget, When};
use crate::driver::{Driver, OutputFile, header};
use crate::drivers::kubernetes::{
    Metadata, NameValue, annotations, check_literal, check_resource, env, script, stage_annotations,
};
use crate::error::{Error, Result};
use crate::live::{LivePipeline, TargetFacts};
use crate::yaml;

pub use model::{
    Arguments, Artifact, Dag, GitSource, Inputs, Mutex, Outputs, RetryStrategy, ScriptTemplate,
    Sequence, Suspend, Synchronization, Task, Template, WorkflowSpec, WorkflowTemplate,
};

const NAME: &str = "argo";
const ENTRYPOINT: &str = "pipeline";
const APPROVE: &str = "approve";
/// Suffix of the suspended task before a manual stage.
const APPROVAL_SUFFIX: &str = "-approval";
const WORKSPACE: &str = "/workspace/source";
const ACTIVATE: &str = "prestage-activate";
const SHARD: &str = "shard";

/// The driver.
#[derive(Clone, Copy, Debug)]
pub struct Argo;

impl Driver for Argo {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "Argo Workflows: one WorkflowTemplate with a DAG"
    }

    fn version(&self) -> u32 {
        1
    }

    fn emit(&self, assembly: &Assembly<'_>) -> Result<Vec<OutputFile>> {
        let stages = assembly.listed()?;
        let target = target(assembly)?;
        let names: Vec<&str> = stages
            .iter()
            .map(|stage| stage.stage.name.as_str())
            .collect();
        let problems = stages.iter().filter_map(|stage| check(stage, &names).err());
        Error::collected(problems.collect())?;
        let file = workflow(assembly, target, &stages);
        let text = format!("{}{}", header(assembly, &self.id()), yaml::write(&file));
        Ok(vec![OutputFile {
            path: format!("argo/{}.yaml", assembly.definition.service),
            bytes: text.into_bytes(),
        }])
    }

    fn analyze(&self, files: &[OutputFile]) -> Result<LivePipeline> {
        analysis::analyze(files)
    }

    fn facts(&self, assembly: &Assembly<'_>) -> TargetFacts {
        let target = assembly.definition.pipeline.argo.clone();
        TargetFacts::Argo(target.unwrap_or_default())
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(WorkflowTemplate)
    }
}

fn target<'a>(assembly: &'a Assembly<'_>) -> Result<&'a ArgoTarget> {
    let target = assembly.definition.pipeline.argo.as_ref();
    target.ok_or_else(|| Error::TargetUnsupported {
        driver: NAME,
        path: "/pipeline/argo".to_owned(),
        feature: "a pipeline whose template does not say `repository` and `image`".to_owned(),
    })
}

fn check(assembled: &AssembledStage<'_>, names: &[&str]) -> Result<()> {
    let stage = assembled.stage;
    check_resource(NAME, &stage.name)?;
    check_literal(NAME, &["{{"], stage)?;
    let is_taken = [ENTRYPOINT, APPROVE].contains(&stage.name.as_str());
    let approval = format!("{}{APPROVAL_SUFFIX}", stage.name);
    if is_taken || (stage.when == When::Manual && names.contains(&approval.as_str())) {
        return Err(Error::NameTarget {
            driver: NAME,
            what: "template name",
            found: stage.name.clone(),
            expected: "the driver needs it for itself".to_owned(),
        });
    }
    if stage.when == When::OnFailure && assembled.needs.is_empty() {
        return Err(Error::TargetUnsupported {
            driver: NAME,
            path: format!("/stages/[name={}]/when", stage.name),
            feature: "a stage on failure that needs nothing".to_owned(),
        });
    }
    Ok(())
}

fn workflow(
    assembly: &Assembly<'_>,
    target: &ArgoTarget,
    stages: &[AssembledStage<'_>],
) -> WorkflowTemplate {
    let dag = Template {
        name: ENTRYPOINT.to_owned(),
        dag: Some(Dag {
            // One region's failure does not stop the others; edges say what it does stop.
            fail_fast: false,
            tasks: stages.iter().flat_map(tasks).collect(),
        }),
        ..Template::default()
    };
    let has_manual = stages.iter().any(|stage| stage.stage.when == When::Manual);
    let approve = has_manual.then(|| Template {
        name: APPROVE.to_owned(),
        suspend: Some(Suspend {}),
        ..Template::default()
    });
    let templates = [dag]
        .into_iter()
        .chain(approve)
        .chain(stages.iter().map(|stage| template(target, stage)));
    WorkflowTemplate {
        api_version: "argoproj.io/v1alpha1".to_owned(),
        kind: "WorkflowTemplate".to_owned(),
        metadata: Metadata {
            name: assembly.definition.service.clone(),
            annotations: annotations(assembly, &target.image),
        },
        spec: WorkflowSpec {
            entrypoint: ENTRYPOINT.to_owned(),
            service_account_name: Some(target.service_account.clone())
                .filter(|name| !name.is_empty()),
            arguments: Arguments {
                parameters: vec![
                    NameValue::new("repository", &target.repository),
                    NameValue::new("revision", &assembly.definition.pipeline.branch),
                    NameValue::new(ACTIVATE, ""),
                ],
            },
            templates: templates.collect(),
        },
    }
}

/// The stage's task, and for a manual one the task that waits for a person.
fn tasks(assembled: &AssembledStage<'_>) -> Vec<Task> {
    let stage = assembled.stage;
    let depends = depends(assembled);
    let inactive = assembled
        .staged
        .filter(|staged| staged.activation == Activation::Inactive)
        .map(|staged| {
            let key = staged.stage.key.short();
            format!("'{{{{workflow.parameters.{ACTIVATE}}}}}' == '{key}'")
        });
    let mut task = Task {
        name: stage.name.clone(),
        template: stage.name.clone(),
        depends,
        when: inactive,
        with_sequence: stage.shards.map(|shards| Sequence {
            start: "1".to_owned(),
            end: shards.to_string(),
        }),
        arguments: stage.shards.map(|_| Arguments {
            parameters: vec![NameValue::new(SHARD, "{{item}}")],
        }),
    };
    if stage.when != When::Manual {
        return vec![task];
    }
    let approval = Task {
        name: format!("{}{APPROVAL_SUFFIX}", stage.name),
        template: APPROVE.to_owned(),
        depends: task.depends.take(),
        when: task.when.clone(),
        with_sequence: None,
        arguments: None,
    };
    task.depends = Some(approval.name.clone());
    vec![approval, task]
}

fn depends(assembled: &AssembledStage<'_>) -> Option<String> {
    let needs = &assembled.needs;
    let text = match assembled.stage.when {
        When::OnFailure => {
            let failed = needs
                .iter()
                .map(|need| format!("{need}.Failed || {need}.Errored"));
            failed.collect::<Vec<String>>().join(" || ")
        }
        _ => needs
            .iter()
            .map(|need| format!("{need}.Succeeded"))
            .collect::<Vec<String>>()
            .join(" && "),
    };
    (!needs.is_empty()).then_some(text)
}

fn template(target: &ArgoTarget, assembled: &AssembledStage<'_>) -> Template {
    let stage = assembled.stage;
    let source = Artifact {
        name: "source".to_owned(),
        path: WORKSPACE.to_owned(),
        git: Some(GitSource {
            repo: "{{workflow.parameters.repository}}".to_owned(),
            revision: "{{workflow.parameters.revision}}".to_owned(),
        }),
    };
    let kept = stage
        .artifacts
        .iter()
        .enumerate()
        .map(|(index, path)| Artifact {
            name: format!("artifact-{index}"),
            path: format!("{WORKSPACE}/{path}"),
            git: None,
        });
    let kept: Vec<Artifact> = kept.collect();
    Template {
        name: stage.name.clone(),
        metadata: Some(Metadata {
            name: String::new(),
            annotations: stage_annotations(stage),
        })
        .filter(|metadata| !metadata.annotations.is_empty()),
        inputs: Some(Inputs {
            parameters: stage
                .shards
                .map(|_| NameValue::without_value(SHARD))
                .into_iter()
                .collect(),
            artifacts: vec![source],
        }),
        outputs: (!kept.is_empty()).then_some(Outputs { artifacts: kept }),
        active_deadline_seconds: Some(stage.timeout_minutes * 60),
        retry_strategy: (stage.retry > 0).then(|| RetryStrategy {
            limit: stage.retry.to_string(),
        }),
        synchronization: stage.exclusive.clone().map(|name| Synchronization {
            mutexes: vec![Mutex { name }],
        }),
        script: Some(ScriptTemplate {
            name: "main".to_owned(),
            image: stage.image.clone().unwrap_or_else(|| target.image.clone()),
            command: vec!["sh".to_owned()],
            working_dir: WORKSPACE.to_owned(),
            env: env(assembled, &format!("{{{{inputs.parameters.{SHARD}}}}}")),
            source: script(&stage.script),
        }),
        ..Template::default()
    }
}
