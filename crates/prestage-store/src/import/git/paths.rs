//! What a path says about a change: tests, dependencies, continuous integration, documentation.

/// What the files of a commit are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// A test.
    pub tests: bool,
    /// A list of dependencies.
    pub deps: bool,
    /// The configuration of continuous integration.
    pub ci: bool,
    docs: bool,
    other: bool,
}

const DEPENDENCY_FILES: [&str; 18] = [
    "Cargo.toml",
    "Cargo.lock",
    "go.mod",
    "go.sum",
    "package.json",
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "pyproject.toml",
    "poetry.lock",
    "Pipfile.lock",
    "uv.lock",
    "pom.xml",
    "build.gradle",
    "Gemfile",
    "Gemfile.lock",
    "composer.lock",
    "setup.py",
];

const CI_FILES: [&str; 7] = [
    ".gitlab-ci.yml",
    ".travis.yml",
    "Jenkinsfile",
    "azure-pipelines.yml",
    "appveyor.yml",
    ".drone.yml",
    "bitbucket-pipelines.yml",
];

const CI_FOLDERS: [&str; 5] = [
    ".github/workflows/",
    ".circleci/",
    ".buildkite/",
    ".ci/",
    ".tekton/",
];

const TEST_FOLDERS: [&str; 6] = ["test", "tests", "testdata", "__tests__", "spec", "e2e"];

const DOCS_ENDINGS: [&str; 5] = [".md", ".rst", ".adoc", ".txt", ".mdx"];

impl Touched {
    /// Adds a path of the repository.
    pub fn add(&mut self, path: &str) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let deps = DEPENDENCY_FILES.contains(&name) || is_requirements(name);
        let ci =
            CI_FILES.contains(&name) || CI_FOLDERS.iter().any(|folder| path.starts_with(folder));
        self.tests |= is_test(path, name);
        self.deps |= deps;
        self.ci |= ci;
        let docs = !deps && is_docs(path, name);
        self.docs |= docs;
        self.other |= !docs;
    }

    /// Whether there was something, and nothing but documentation.
    pub fn docs_only(&self) -> bool {
        self.docs && !self.other
    }
}

/// Whether a file is a list of Python requirements.
pub fn is_requirements(name: &str) -> bool {
    name.starts_with("requirements") && name.ends_with(".txt")
}

fn is_test(path: &str, name: &str) -> bool {
    let folders = path.strip_suffix(name).unwrap_or_default().split('/');
    let stem = name.split('.').next().unwrap_or_default();
    folders
        .into_iter()
        .any(|folder| TEST_FOLDERS.contains(&folder))
        || stem.ends_with("_test")
        || stem.starts_with("test_")
        || stem == "tests"
        || name.contains(".test.")
        || name.contains(".spec.")
}

fn is_docs(path: &str, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let folder = path.starts_with("docs/") || path.starts_with("doc/") || path.contains("/docs/");
    folder || name.starts_with("license") || DOCS_ENDINGS.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(paths: &[&str], tests: bool, deps: bool, ci: bool, docs_only: bool) {
        let mut touched = Touched::default();
        paths.iter().for_each(|path| touched.add(path));
        let found = (touched.tests, touched.deps, touched.ci, touched.docs_only());
        assert_eq!(found, (tests, deps, ci, docs_only), "{paths:?}");
    }

    #[test]
    fn paths_say_what_they_are_for() {
        check(&[], false, false, false, false);
        check(&["README.md", "docs/a.png"], false, false, false, true);
        check(&["README.md", "src/a.rs"], false, false, false, false);
        check(&["pkg/a_test.go"], true, false, false, false);
        check(
            &["crates/x/src/tests.rs", "web/a.spec.ts"],
            true,
            false,
            false,
            false,
        );
        check(&["requirements-dev.txt"], false, true, false, false);
        check(
            &["a/Cargo.lock", ".github/workflows/ci.yml"],
            false,
            true,
            true,
            false,
        );
        check(
            &["src/contest.rs", "latest/x.rs"],
            false,
            false,
            false,
            false,
        );
    }
}
