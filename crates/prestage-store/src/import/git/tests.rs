//! Repositories made on the spot: merges, empty commits, any alphabet, tags, lock files, shallow clones.
use std::path::Path;
use std::process::Command;

use git2::{IndexEntry, IndexTime, Signature, Time};
use prestage_telemetry::history::{DependencyChange, RefType, ReleaseKind};
use tempfile::TempDir;

use super::*;

/// A repository that is written to without a working tree.
struct Fixture {
    folder: TempDir,
    repository: Repository,
    epoch: i64,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path().join("r.git")).unwrap();
        Self {
            folder,
            repository,
            epoch: 1_700_000_000,
        }
    }

    /// Commits `files` on top of the parents' first tree; `None` deletes one.
    fn commit(&mut self, parents: &[Oid], message: &str, files: &[(&str, Option<&str>)]) -> Oid {
        self.commit_as(parents, message, files, ("Ada", "ada@example.org"))
    }

    fn commit_as(
        &mut self,
        parents: &[Oid],
        message: &str,
        files: &[(&str, Option<&str>)],
        (name, email): (&str, &str),
    ) -> Oid {
        self.epoch += 60;
        let mut index = git2::Index::new().unwrap();
        let parents: Vec<git2::Commit<'_>> = parents
            .iter()
            .map(|&id| self.repository.find_commit(id).unwrap())
            .collect();
        if let Some(first) = parents.first() {
            index.read_tree(&first.tree().unwrap()).unwrap();
        }
        for &(path, content) in files {
            match content {
                Some(text) => {
                    let id = self.repository.blob(text.as_bytes()).unwrap();
                    index.add(&entry(path, id)).unwrap();
                }
                None => index.remove(Path::new(path), 0).unwrap(),
            }
        }
        let tree = index.write_tree_to(&self.repository).unwrap();
        let tree = self.repository.find_tree(tree).unwrap();
        let who = Signature::new(name, email, &Time::new(self.epoch, 330)).unwrap();
        let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
        let id = self
            .repository
            .commit(None, &who, &who, message, &tree, &parents)
            .unwrap();
        self.repository
            .reference("refs/heads/main", id, true, "")
            .unwrap();
        self.repository.set_head("refs/heads/main").unwrap();
        id
    }

    fn import(&self) -> Streams {
        import(&self.folder.path().join("r.git"), &GitOptions::default()).unwrap()
    }
}

fn entry(path: &str, id: Oid) -> IndexEntry {
    IndexEntry {
        ctime: IndexTime::new(0, 0),
        mtime: IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode: 0o100_644,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_bytes().to_vec(),
    }
}

#[test]
fn merges_empty_commits_and_any_alphabet() {
    let mut fixture = Fixture::new();
    let root = fixture.commit(
        &[],
        "feat: begin",
        &[("src/ä.rs", Some("1")), ("README.md", Some("x"))],
    );
    let side = fixture.commit_as(
        &[root],
        "修复: 中文",
        &[("tests/täst.rs", Some("1"))],
        ("dependabot[bot]", "bot@example.org"),
    );
    let empty = fixture.commit(&[root], "chore(ci)!: nothing", &[]);
    fixture.commit(&[empty, side], "Merge", &[("tests/täst.rs", Some("1"))]);
    let streams = fixture.import();
    let commits = streams.commits.unwrap();
    assert_eq!(streams.repo.as_deref(), Some("r"));
    assert_eq!(commits.len(), 4);
    let find = |id: Oid| {
        commits
            .iter()
            .find(|row| row.commit == abbreviated(id))
            .unwrap()
    };
    let (first, second, third) = (find(root), find(side), find(empty));
    assert_eq!(
        (first.files, first.mainline, first.kind.as_deref()),
        (2, true, Some("feat"))
    );
    assert_eq!(
        (second.files, second.mainline, second.bot),
        (1, false, true)
    );
    assert_eq!((second.touches_tests, second.kind.as_deref()), (true, None));
    assert_eq!((third.files, third.kind.as_deref()), (0, Some("chore")));
    assert_eq!(third.author, first.author);
    assert_ne!(second.author, first.author);
    assert!(!format!("{commits:?}").contains("example.org"));
    assert_eq!(first.lines_added, None);
    // The history format takes it.
    let out = fixture.folder.path().join("history");
    let history = fixture.import().write_into(&out).unwrap();
    assert_eq!(
        (history.world.replay_start, history.commits.len()),
        (1_700_000_060, 4)
    );
    let other = GitOptions {
        salt: "secret".to_owned(),
        count_lines: true,
    };
    let salted = import(&fixture.folder.path().join("r.git"), &other)
        .unwrap()
        .commits
        .unwrap();
    assert_ne!(salted[0].author, commits[0].author);
    assert_eq!(
        (salted[0].lines_added, salted[0].lines_deleted),
        (Some(2), Some(0))
    );
}

#[test]
fn tags_and_lock_files_along_the_main_line() {
    let mut fixture = Fixture::new();
    let go = |version: &str| format!("module m\nrequire x.org/y {version}\n");
    let root = fixture.commit(&[], "a", &[("go.mod", Some(&go("v1.0.0")))]);
    let side = fixture.commit(&[root], "b", &[("go.mod", Some(&go("v1.1.0")))]);
    let merged = fixture.commit(&[root, side], "Merge", &[("go.mod", Some(&go("v1.1.0")))]);
    let last = fixture.commit(&[merged], "c", &[("go.mod", None)]);
    let object = |id| fixture.repository.find_object(id, None).unwrap();
    fixture
        .repository
        .tag_lightweight("v1.0.0", &object(root), false)
        .unwrap();
    let tagger = Signature::new("T", "t@x", &Time::new(1_800_000_000, 0)).unwrap();
    fixture
        .repository
        .tag("api/v1.2.3", &object(last), &tagger, "m", false)
        .unwrap();
    let tree = fixture.repository.find_commit(root).unwrap().tree_id();
    fixture
        .repository
        .tag_lightweight("a-tree", &object(tree), false)
        .unwrap();
    let streams = fixture.import();
    let releases = streams.releases.unwrap();
    assert_eq!(releases.len(), 2);
    assert_eq!(
        (releases[0].kind, releases[0].ref_type),
        (ReleaseKind::Major, RefType::Commit)
    );
    assert_eq!(
        (releases[1].tag_epoch, releases[1].ref_type),
        (1_800_000_000, RefType::Tag)
    );
    assert_eq!(releases[1].component.as_deref(), Some("api"));
    assert_eq!(
        streams.notes,
        ["1 tags that point to no commit are left out"]
    );
    let deps = streams.deps.unwrap();
    let seen: Vec<(String, DependencyChange)> = deps
        .into_iter()
        .map(|row| (row.commit, row.change))
        .collect();
    // The side branch's change happens once, when it is merged.
    let expected = [
        (abbreviated(root), DependencyChange::Add),
        (abbreviated(merged), DependencyChange::Update),
        (abbreviated(last), DependencyChange::Remove),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_shallow_clone_says_so_and_leaves_its_edge_out() {
    let mut fixture = Fixture::new();
    let mut last = fixture.commit(&[], "0", &[("a", Some("0"))]);
    for number in 1..6 {
        let text = number.to_string();
        last = fixture.commit(&[last], &text, &[("a", Some(&text))]);
    }
    let (from, to) = (
        fixture.folder.path().join("r.git"),
        fixture.folder.path().join("shallow"),
    );
    let url = format!("file://{}", from.display());
    let cloned = Command::new("git")
        .args(["clone", "-q", "--depth", "3", &url])
        .arg(&to)
        .status();
    match cloned {
        Ok(status) => assert!(status.success()),
        Err(error) => return eprintln!("skipped: no `git` to make a shallow clone with: {error}"),
    }
    let streams = import(&to, &GitOptions::default()).unwrap();
    assert_eq!(streams.commits.unwrap().len(), 2);
    assert!(
        streams.notes[0].starts_with("a shallow clone: 1 commits"),
        "{:?}",
        streams.notes
    );
}

#[test]
fn what_is_no_repository_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = import(folder.path(), &GitOptions::default()).unwrap_err();
    assert!(!error.is_environment());
    assert!(
        error
            .to_string()
            .contains("cannot be read as a git repository"),
        "{error}"
    );
    let empty = Repository::init_bare(folder.path().join("e")).unwrap();
    assert!(import(empty.path(), &GitOptions::default()).is_err());
}

#[test]
fn subjects_of_conventional_commits() {
    for (subject, expected) in [
        ("feat: x", Some("feat")),
        ("Fix(api): x", Some("fix")),
        ("perf(a,b)!: x", Some("perf")),
        ("note: x", None),
        ("feat x", None),
        ("", None),
    ] {
        assert_eq!(kind(subject.as_bytes()).as_deref(), expected, "{subject}");
    }
    assert_eq!(kind(b"fe\xff: x"), None);
}
