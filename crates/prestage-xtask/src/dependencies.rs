//! Checks the dependency table against what cargo says.
//!
//! Input: the output of `cargo metadata --all-features`. Must not know which crates
//! exist: that is `table`.

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;

use crate::problem::Problem;
use crate::table::{
    DEV_EXCEPTIONS, Packages, ROWS, Row, UNREACHABLE, Unreachable, WALLS, WHERE, Wall,
};

/// The part of `cargo metadata` that the rules read.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    /// The folder of the root manifest.
    pub workspace_root: String,
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Option<Resolve>,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `None` is a normal dependency.
    kind: Option<Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Dev,
    Build,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Debug, Deserialize)]
struct EdgeKind {
    kind: Option<Kind>,
}

impl Metadata {
    fn members(&self) -> impl Iterator<Item = &Package> {
        let members = &self.workspace_members;
        self.packages
            .iter()
            .filter(|package| members.contains(&package.id))
    }

    /// How many packages the workspace has.
    pub fn member_count(&self) -> usize {
        self.workspace_members.len()
    }
}

/// All problems with direct and transitive dependencies.
pub fn check(metadata: &Metadata) -> Vec<Problem> {
    let ours: Vec<&str> = metadata
        .members()
        .map(|package| package.name.as_str())
        .collect();
    let mut problems = Vec::new();
    for package in metadata.members() {
        problems.extend(row_problems(package, &ours));
        problems.extend(wall_problems(package));
    }
    for rule in UNREACHABLE {
        problems.extend(reach_problem(metadata, rule));
    }
    problems
}

fn row_problems(package: &Package, ours: &[&str]) -> Vec<Problem> {
    let Some(row) = ROWS.iter().find(|row| row.package == package.name) else {
        let message = format!("no row in the dependency table; add one in {WHERE}");
        return vec![Problem::at(&package.name, message)];
    };
    let internal = package
        .dependencies
        .iter()
        .filter(|dependency| ours.contains(&dependency.name.as_str()));
    internal
        .filter(|dependency| !row.may_use.contains(&dependency.name.as_str()))
        .filter(|dependency| !is_excepted(package, dependency))
        .map(|dependency| Problem::at(&package.name, row_message(row, dependency)))
        .collect()
}

fn row_message(row: &Row, dependency: &Dependency) -> String {
    let allowed = if row.may_use.is_empty() {
        "nothing".to_owned()
    } else {
        row.may_use.join(", ")
    };
    format!(
        "{} on `{}`, but its row allows {allowed}; drop it, or change {WHERE}",
        describe(dependency.kind),
        dependency.name,
    )
}

fn wall_problems(package: &Package) -> Vec<Problem> {
    let mut problems = Vec::new();
    for wall in WALLS {
        for dependency in &package.dependencies {
            if matches(wall.dependency, &dependency.name)
                && !wall.admits(&package.name)
                && !is_excepted(package, dependency)
            {
                problems.push(Problem::at(&package.name, wall_message(wall, dependency)));
            }
        }
    }
    problems
}

fn wall_message(wall: &Wall, dependency: &Dependency) -> String {
    let side = match wall.packages {
        Packages::Only(names) => format!("only {} may", names.join(", ")),
        Packages::Never(names) => format!("{} must not", names.join(", ")),
    };
    format!(
        "{} on `{}`, which {side} use ({}); drop it, or change {WHERE}",
        describe(dependency.kind),
        dependency.name,
        wall.reason,
    )
}

impl Wall {
    fn admits(&self, package: &str) -> bool {
        match self.packages {
            Packages::Only(names) => names.contains(&package),
            Packages::Never(names) => !names.contains(&package),
        }
    }
}

fn is_excepted(package: &Package, dependency: &Dependency) -> bool {
    dependency.kind == Some(Kind::Dev)
        && DEV_EXCEPTIONS.iter().any(|exception| {
            exception.package == package.name && exception.dependency == dependency.name
        })
}

fn describe(kind: Option<Kind>) -> &'static str {
    match kind {
        None => "depends",
        Some(Kind::Dev) => "dev-depends",
        Some(Kind::Build) => "build-depends",
    }
}

/// `pattern` is a name, or the start of one followed by `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

fn reach_problem(metadata: &Metadata, rule: &Unreachable) -> Option<Problem> {
    let chain = shortest_chain(metadata, rule)?;
    let message = format!(
        "reaches `{}`: {}; see {WHERE}",
        rule.dependency,
        chain.join(" -> ")
    );
    Some(Problem::at(rule.package, message))
}

/// Breadth first over normal and build dependencies, so that the chain named is short.
fn shortest_chain(metadata: &Metadata, rule: &Unreachable) -> Option<Vec<String>> {
    let nodes: BTreeMap<&str, &Node> = metadata
        .resolve
        .iter()
        .flat_map(|resolve| &resolve.nodes)
        .map(|n| (n.id.as_str(), n))
        .collect();
    let names: BTreeMap<&str, &str> = metadata
        .packages
        .iter()
        .map(|p| (p.id.as_str(), p.name.as_str()))
        .collect();
    let start = metadata
        .members()
        .find(|package| package.name == rule.package)?;

    let mut came_from: BTreeMap<&str, Option<&str>> = BTreeMap::from([(start.id.as_str(), None)]);
    let mut frontier = VecDeque::from([start.id.as_str()]);
    while let Some(id) = frontier.pop_front() {
        if id != start.id && matches(rule.dependency, names.get(id).copied().unwrap_or(id)) {
            return Some(chain_to(id, &came_from, &names));
        }
        for edge in nodes
            .get(id)
            .into_iter()
            .flat_map(|node| &node.deps)
            .filter(|e| e.is_built())
        {
            if !came_from.contains_key(edge.pkg.as_str()) {
                came_from.insert(&edge.pkg, Some(id));
                frontier.push_back(&edge.pkg);
            }
        }
    }
    None
}

fn chain_to<'a>(
    id: &'a str,
    came_from: &BTreeMap<&'a str, Option<&'a str>>,
    names: &BTreeMap<&str, &str>,
) -> Vec<String> {
    let parent = |id: &&'a str| came_from.get(id).copied().flatten();
    let mut chain: Vec<String> = std::iter::successors(Some(id), parent)
        .map(|id| names.get(id).copied().unwrap_or(id).to_owned())
        .collect();
    chain.reverse();
    chain
}

impl Edge {
    fn is_built(&self) -> bool {
        self.dep_kinds
            .iter()
            .any(|edge| edge.kind != Some(Kind::Dev))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace in which `package` depends on `dependency`.
    fn metadata(package: &str, dependency: &str, kind: &str) -> Metadata {
        let text = format!(
            r#"{{
            "workspace_root": "/w",
            "workspace_members": ["{package} 0.1", "prestage-telemetry 0.1"],
            "packages": [
                {{"id": "{package} 0.1", "name": "{package}",
                  "dependencies": [{{"name": "{dependency}", "kind": {kind}}}]}},
                {{"id": "prestage-telemetry 0.1", "name": "prestage-telemetry", "dependencies": []}}
            ],
            "resolve": null
        }}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[track_caller]
    fn check_refused(package: &str, dependency: &str, kind: &str, fragment: &str) {
        let problems = check(&metadata(package, dependency, kind));
        assert_eq!(problems.len(), 1, "{problems:?}");
        let text = problems[0].to_string();
        assert!(text.contains(fragment), "{text}");
        assert!(
            text.contains(package) && text.contains("ARCHITECTURE.md"),
            "{text}"
        );
    }

    #[track_caller]
    fn check_allowed(package: &str, dependency: &str, kind: &str) {
        assert_eq!(check(&metadata(package, dependency, kind)), []);
    }

    #[test]
    fn a_dependency_outside_the_row_is_named() {
        check_refused(
            "prestage-des",
            "prestage-telemetry",
            "null",
            "depends on `prestage-telemetry`, but its row allows nothing",
        );
        check_refused(
            "prestage-rl",
            "prestage-telemetry",
            "\"dev\"",
            "dev-depends",
        );
        check_allowed("prestage-forecast", "prestage-telemetry", "null");
    }

    #[test]
    fn a_package_without_a_row_is_named() {
        check_refused(
            "prestage-misc",
            "serde",
            "null",
            "no row in the dependency table",
        );
    }

    #[test]
    fn every_wall_refuses_and_admits() {
        check_refused(
            "prestage-policy",
            "burn",
            "null",
            "only prestage-rl may use",
        );
        check_refused(
            "prestage",
            "burn-ndarray",
            "null",
            "only prestage-rl may use",
        );
        check_allowed("prestage-rl", "burn", "null");
        for dependency in ["plotters", "clap", "clap_complete", "anyhow", "indicatif"] {
            check_refused(
                "prestage-world",
                dependency,
                "null",
                "only prestage may use",
            );
            check_allowed("prestage", dependency, "null");
        }
        check_refused("prestage", "git2", "\"build\"", "build-depends on `git2`");
        check_allowed("prestage-lpt", "git2", "null");
        check_refused(
            "prestage-world",
            "rayon",
            "null",
            "only prestage, prestage-envs may use",
        );
        check_allowed("prestage-envs", "rayon", "null");
        for package in ["prestage-controller", "prestage-lpt", "prestage-forecast"] {
            check_refused(package, "rand_distr", "null", "must not use");
        }
        check_allowed("prestage-des", "rand", "null");
    }

    #[test]
    fn an_exception_covers_tests_only() {
        check_allowed("prestage-rl", "rayon", "\"dev\"");
        check_refused("prestage-rl", "rayon", "null", "rayon");
    }

    #[test]
    fn every_name_in_a_row_has_a_row() {
        for name in ROWS.iter().flat_map(|row| row.may_use) {
            assert!(ROWS.iter().any(|row| row.package == *name), "{name}");
        }
    }

    /// policy -> middle -> burn-core, where the edge to burn has the given kind.
    fn resolved(kind: &str) -> Metadata {
        let text = format!(
            r#"{{
            "workspace_root": "/w",
            "workspace_members": ["p"],
            "packages": [
                {{"id": "p", "name": "prestage-policy", "dependencies": []}},
                {{"id": "m", "name": "middle", "dependencies": []}},
                {{"id": "b", "name": "burn-core", "dependencies": []}}
            ],
            "resolve": {{"nodes": [
                {{"id": "p", "deps": [{{"pkg": "m", "dep_kinds": [{{"kind": null}}]}}]}},
                {{"id": "m", "deps": [{{"pkg": "b", "dep_kinds": [{{"kind": {kind}}}]}}]}},
                {{"id": "b", "deps": []}}
            ]}}
        }}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_transitive_path_to_burn_is_named_link_by_link() {
        let problems = check(&resolved("null"));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0]
                .message
                .contains("prestage-policy -> middle -> burn-core")
        );
        assert_eq!(check(&resolved("\"dev\"")), []);
    }
}
