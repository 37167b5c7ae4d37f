//! What a stage is for, judged by its name, its commands and its environment.
//!
//! Used where nobody declared it: rules and matching look at pipelines that people wrote. The words
//! come from the names that the documentation of the targets and common build tools use; a name
//! says more than a command, and the first role in [`WORDS`] that either mentions wins.

use crate::definition::{Stage, When};

/// What a stage is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Undoes a deployment.
    Restore,
    /// Exposes a new version to a part of the traffic.
    Canary,
    /// Watches what was deployed.
    Verify,
    /// Hands a package to others.
    Publish,
    /// Brings a version to an environment.
    Deploy,
    /// Looks for known weaknesses.
    Audit,
    /// Checks behaviour or form before deployment.
    Test,
    /// Makes what is deployed or published.
    Build,
    /// Anything else.
    Other,
}

/// Words of names, and words of commands, per role.
const WORDS: &[(Role, &[&str], &[&str])] = &[
    (
        Role::Restore,
        &["rollback", "abort", "restore", "undo", "revert"],
        &["rollout undo", "helm rollback"],
    ),
    (
        Role::Canary,
        &["canary", "promote", "bluegreen"],
        &["--canary", "canary"],
    ),
    (
        Role::Verify,
        &[
            "verify",
            "smoke",
            "bake",
            "health",
            "watch",
            "monitor",
            "soak",
            "observe",
            "postdeploy",
        ],
        &["healthz", "/health", "rollout status", "smoke"],
    ),
    (
        Role::Publish,
        &[
            "publish",
            "push-package",
            "release-package",
            "upload",
            "package-release",
        ],
        &[
            "npm publish",
            "cargo publish",
            "twine upload",
            "mvn deploy",
            "gem push",
            "nuget push",
            "poetry publish",
        ],
    ),
    (
        Role::Deploy,
        &[
            "deploy",
            "rollout",
            "ship",
            "release",
            "production",
            "prod",
            "staging",
            "apply",
        ],
        &[
            "kubectl apply",
            "helm upgrade",
            "terraform apply",
            "kubectl set image",
            "ansible-playbook",
            "serverless deploy",
            "rsync ",
            "kustomize",
        ],
    ),
    (
        Role::Audit,
        &["audit", "scan", "security", "sast"],
        &["npm audit", "cargo audit", "trivy", "snyk"],
    ),
    (
        Role::Test,
        &[
            "test",
            "tests",
            "lint",
            "check",
            "spec",
            "unit",
            "integration",
            "e2e",
            "rspec",
            "pytest",
            "quality",
            "qa",
            "coverage",
            "regression",
            "typecheck",
            "style",
        ],
        &[
            "pytest",
            "npm test",
            "cargo test",
            "go test",
            "mvn test",
            "gradle test",
            "rspec",
            "jest",
            "tox",
            "phpunit",
            "make test",
            "dotnet test",
            "ctest",
        ],
    ),
    (
        Role::Build,
        &[
            "build", "compile", "package", "image", "assemble", "docker", "bundle", "dist",
            "prepare", "install",
        ],
        &[
            "docker build",
            "npm run build",
            "cargo build",
            "go build",
            "mvn package",
            "gradle build",
            "make all",
            "buildah",
            "kaniko",
        ],
    ),
];

/// The role of a stage.
pub(crate) fn role_of(stage: &Stage) -> Role {
    let name = stage.group.to_ascii_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let by_name = WORDS.iter().find(|(_, names, _)| {
        names
            .iter()
            .any(|known| words.contains(known) || (known.contains('-') && name.contains(known)))
    });
    let by_command = || {
        let script = stage.script.join("\n").to_ascii_lowercase();
        WORDS
            .iter()
            .find(|(_, _, commands)| commands.iter().any(|command| script.contains(command)))
    };
    let role = by_name.or_else(by_command).map(|(role, _, _)| *role);
    match (role, stage.when) {
        (Some(Role::Deploy | Role::Other) | None, When::OnFailure) => Role::Restore,
        (None, _) if stage.environment.is_some() => Role::Deploy,
        (Some(role), _) => role,
        (None, _) => Role::Other,
    }
}
