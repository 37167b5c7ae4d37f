//! Which versions of which packages a repository uses: Cargo.lock, go.mod, package-lock.json and
//! requirements files, and what changed between two states.
use std::collections::{BTreeMap, BTreeSet};

use prestage_telemetry::history::{DependencyChange, DependencyUpdate};
use serde_json::Value;

use super::paths::is_requirements;

/// How a file lists dependencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `Cargo.lock`.
    Cargo,
    /// `go.mod`.
    Go,
    /// `package-lock.json`.
    Npm,
    /// `requirements*.txt`.
    Requirements,
}

/// A package's versions in one file, and whether the repository names it itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Used {
    versions: BTreeSet<String>,
    direct: Option<bool>,
}

type Packages = BTreeMap<String, Used>;

/// The last state of every file of dependencies.
#[derive(Default)]
pub struct Lockfiles {
    states: BTreeMap<String, Packages>,
    /// Versions of files that could not be read.
    pub unreadable: usize,
}

/// A package that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    package: String,
    old: BTreeSet<String>,
    new: BTreeSet<String>,
    direct: Option<bool>,
}

/// The format of a file, by its name.
pub fn format(path: &str) -> Option<Format> {
    match path.rsplit('/').next()? {
        "Cargo.lock" => Some(Format::Cargo),
        "go.mod" => Some(Format::Go),
        "package-lock.json" => Some(Format::Npm),
        name if is_requirements(name) => Some(Format::Requirements),
        _ => None,
    }
}

impl Lockfiles {
    /// What a new content of a file changes; `None` when it was deleted. A content that cannot be read
    /// changes nothing.
    pub fn change(&mut self, path: &str, format: Format, content: Option<&[u8]>) -> Vec<Change> {
        let new = match content {
            None => Packages::new(),
            Some(bytes) => match read(format, &String::from_utf8_lossy(bytes)) {
                Some(packages) => packages,
                None => {
                    self.unreadable += 1;
                    return Vec::new();
                }
            },
        };
        let old = self.states.insert(path.to_owned(), new).unwrap_or_default();
        changes(&old, &self.states[path])
    }
}

impl Change {
    /// The row of `deps.csv`.
    pub fn into_row(self, epoch: i64, commit: String) -> DependencyUpdate {
        let joined = |versions: BTreeSet<String>| {
            let versions: Vec<String> = versions.into_iter().collect();
            (!versions.is_empty()).then(|| versions.join("|"))
        };
        let change = match (self.old.is_empty(), self.new.is_empty()) {
            (true, _) => DependencyChange::Add,
            (false, true) => DependencyChange::Remove,
            (false, false) => DependencyChange::Update,
        };
        DependencyUpdate {
            epoch,
            commit,
            package: self.package,
            old_version: joined(self.old),
            new_version: joined(self.new),
            change,
            direct: self.direct,
        }
    }
}

fn changes(old: &Packages, new: &Packages) -> Vec<Change> {
    let none = Used::default();
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let change = |name: &String| {
        let (before, after) = (
            old.get(name).unwrap_or(&none),
            new.get(name).unwrap_or(&none),
        );
        (before.versions != after.versions).then(|| Change {
            package: name.clone(),
            old: before.versions.clone(),
            new: after.versions.clone(),
            direct: after.direct.or(before.direct),
        })
    };
    names.into_iter().filter_map(change).collect()
}

/// The packages of a file; `None` when it is not of its format.
fn read(format: Format, text: &str) -> Option<Packages> {
    // A conflict that was committed would be read as two lists in one.
    if text.lines().any(|line| line.starts_with("<<<<<<< ")) {
        return None;
    }
    match format {
        Format::Cargo => cargo(text),
        Format::Go => Some(go(text)),
        Format::Npm => npm(&serde_json::from_str(text).ok()?),
        Format::Requirements => Some(requirements(text)),
    }
}

fn add(packages: &mut Packages, name: &str, version: &str, direct: Option<bool>) {
    let used = packages.entry(name.to_owned()).or_default();
    used.versions.insert(version.to_owned());
    used.direct = match (used.direct, direct) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (known, new) => new.or(known),
    };
}

/// Packages with a source; those that a package without one (of the repository itself) asks for are
/// direct.
fn cargo(text: &str) -> Option<Packages> {
    let lock: toml::Table = text.parse().ok()?;
    let Some(listed) = lock.get("package") else {
        return Some(Packages::new());
    };
    let listed = listed.as_array()?;
    let field = |package: &toml::Value, key: &str| {
        package
            .get(key)
            .and_then(|value| value.as_str())
            .map(str::to_owned)
    };
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    for package in listed
        .iter()
        .filter(|package| package.get("source").is_none())
    {
        let dependencies = package
            .get("dependencies")
            .and_then(|value| value.as_array());
        let names = dependencies
            .into_iter()
            .flatten()
            .filter_map(|value| value.as_str());
        wanted.extend(
            names
                .filter_map(|name| name.split(' ').next())
                .map(str::to_owned),
        );
    }
    let mut packages = Packages::new();
    for package in listed
        .iter()
        .filter(|package| package.get("source").is_some())
    {
        let (name, version) = (field(package, "name")?, field(package, "version")?);
        add(&mut packages, &name, &version, Some(wanted.contains(&name)));
    }
    Some(packages)
}

fn go(text: &str) -> Packages {
    let mut packages = Packages::new();
    let mut in_block = false;
    for line in text.lines() {
        let (code, comment) = line.split_once("//").unwrap_or((line, ""));
        let mut words = code.split_whitespace();
        let entry = match (in_block, words.next()) {
            (_, Some(")")) => {
                in_block = false;
                None
            }
            (false, Some("require")) => match words.next() {
                Some("(") => {
                    in_block = true;
                    None
                }
                name => name.zip(words.next()),
            },
            (true, name) => name.zip(words.next()),
            (false, _) => None,
        };
        if let Some((name, version)) = entry {
            add(
                &mut packages,
                name,
                version,
                Some(comment.trim() != "indirect"),
            );
        }
    }
    packages
}

/// Versions 2 and 3 list `packages` by path, version 1 `dependencies` by name, nested.
fn npm(lock: &Value) -> Option<Packages> {
    let mut packages = Packages::new();
    if let Some(listed) = lock.get("packages").and_then(Value::as_object) {
        let root = listed.get("");
        let is_named = |name: &str| {
            ["dependencies", "devDependencies", "optionalDependencies"]
                .iter()
                .any(|kind| root.and_then(|root| root.get(kind)?.get(name)).is_some())
        };
        for (path, package) in listed {
            let name = path.rsplit_once("node_modules/").map(|(_, name)| name);
            let version = package.get("version").and_then(Value::as_str);
            if let (Some(name), Some(version)) = (name, version) {
                add(&mut packages, name, version, Some(is_named(name)));
            }
        }
        return Some(packages);
    }
    if let Some(listed) = lock.get("dependencies") {
        npm_nested(listed, &mut packages);
    }
    lock.is_object().then_some(packages)
}

fn npm_nested(listed: &Value, packages: &mut Packages) {
    for (name, package) in listed.as_object().into_iter().flatten() {
        if let Some(version) = package.get("version").and_then(Value::as_str) {
            add(packages, name, version, None);
        }
        if let Some(nested) = package.get("dependencies") {
            npm_nested(nested, packages);
        }
    }
}

/// Only pinned requirements (`name==1.2`) say which version is used. Names are compared as PEP 503 does.
fn requirements(text: &str) -> Packages {
    let mut packages = Packages::new();
    for line in text.lines() {
        let code = line.split(['#', ';']).next().unwrap_or_default();
        let Some((name, version)) = code.split_once("==") else {
            continue;
        };
        let name = name
            .split('[')
            .next()
            .unwrap_or_default()
            .trim()
            .to_lowercase();
        let words: Vec<&str> = name
            .split(['-', '_', '.'])
            .filter(|word| !word.is_empty())
            .collect();
        let version = version.trim_start_matches('=').split_whitespace().next();
        if let Some(version) = version.filter(|_| !words.is_empty() && !name.contains(' ')) {
            add(&mut packages, &words.join("-"), version, Some(true));
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(format: Format, text: &str, expected: &[(&str, &str, Option<bool>)]) {
        let packages = read(format, text).unwrap();
        let found: Vec<(&str, String, Option<bool>)> = packages
            .iter()
            .map(|(name, used)| {
                let versions: Vec<&str> = used.versions.iter().map(String::as_str).collect();
                (name.as_str(), versions.join("|"), used.direct)
            })
            .collect();
        let expected: Vec<(&str, String, Option<bool>)> = expected
            .iter()
            .map(|&(name, version, direct)| (name, version.to_owned(), direct))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_format_is_read() {
        check(
            Format::Cargo,
            "version = 4\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\ndependencies = [\n \
             \"rand 0.8.5\",\n \"serde\",\n]\n[[package]]\nname = \"rand\"\nversion = \"0.8.5\"\n\
             source = \"registry+x\"\n[[package]]\nname = \"rand\"\nversion = \"0.9.0\"\n\
             source = \"registry+x\"\n[[package]]\nname = \"libc\"\nversion = \"0.2.1\"\n\
             source = \"registry+x\"\n",
            &[
                ("libc", "0.2.1", Some(false)),
                ("rand", "0.8.5|0.9.0", Some(true)),
            ],
        );
        check(
            Format::Go,
            "module m\n\ngo 1.22\n\nrequire golang.org/x/net v0.1.0\n\nrequire (\n\tgithub.com/a/b v1.2.3\n\
             \tgithub.com/c/d v0.0.1 // indirect\n)\n\nreplace (\n\tx/y => ../y\n)\n",
            &[
                ("github.com/a/b", "v1.2.3", Some(true)),
                ("github.com/c/d", "v0.0.1", Some(false)),
                ("golang.org/x/net", "v0.1.0", Some(true)),
            ],
        );
        check(
            Format::Npm,
            r#"{"lockfileVersion": 3, "packages": {"": {"devDependencies": {"@a/b": "^1"}},
              "node_modules/@a/b": {"version": "1.0.2"},
              "node_modules/@a/b/node_modules/c": {"version": "3.0.0"}}}"#,
            &[("@a/b", "1.0.2", Some(true)), ("c", "3.0.0", Some(false))],
        );
        check(
            Format::Npm,
            r#"{"lockfileVersion": 1, "dependencies": {"a": {"version": "1.0.0",
              "dependencies": {"b": {"version": "2.0.0"}}}}}"#,
            &[("a", "1.0.0", None), ("b", "2.0.0", None)],
        );
        check(
            Format::Requirements,
            "# c\nDjango==4.2 ; python_version > '3'\nruamel.yaml[jinja2] == 0.18\nflask>=2\n-r x.txt\n",
            &[
                ("django", "4.2", Some(true)),
                ("ruamel-yaml", "0.18", Some(true)),
            ],
        );
    }

    #[test]
    fn changes_are_additions_updates_and_removals() {
        let mut lockfiles = Lockfiles::default();
        let mut rows = |content: Option<&str>| {
            let content = content.map(str::as_bytes);
            let changes = lockfiles.change("go.mod", Format::Go, content);
            let row = |change: Change| {
                let row = change.into_row(5, "c".to_owned());
                (row.package, row.old_version, row.new_version, row.change)
            };
            changes.into_iter().map(row).collect::<Vec<_>>()
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            rows(Some("require a v1\n")),
            [("a".to_owned(), None, text("v1"), DependencyChange::Add)]
        );
        assert_eq!(rows(Some("<<<<<<< x\nrequire a v2\n")), []);
        assert_eq!(
            rows(Some("require a v2 // indirect\n")),
            [(
                "a".to_owned(),
                text("v1"),
                text("v2"),
                DependencyChange::Update
            )]
        );
        assert_eq!(
            rows(None),
            [("a".to_owned(), text("v2"), None, DependencyChange::Remove)]
        );
    }
}
