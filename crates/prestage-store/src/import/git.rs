//! Commits, releases and dependency changes out of a git repository.
//!
//! Every commit that the head reaches is a row; it is compared with its first parent, as
//! `git log --first-parent -m` does. Dependency changes are read along the first-parent line, where each
//! happens once. Names of people do not leave this file: an author is a keyed hash of the e-mail.
//! Lines are counted only on request, since that reads every file that ever changed.
mod lockfile;
mod paths;
mod tags;

use std::collections::BTreeSet;
use std::path::Path;

use git2::{Delta, Diff, DiffOptions, Oid, Repository, Sort, Tree};
use prestage_telemetry::history::{Commit, DependencyUpdate};

use self::lockfile::Lockfiles;
use super::{Error, Streams};

/// Digits of an abbreviated hash.
const ABBREVIATED: usize = 12;

/// Times that a history can carry: 1970 to 9999.
const EPOCHS: std::ops::RangeInclusive<i64> = 0..=253_402_300_799;

/// Types of conventional commits, of which other words before a colon are none.
const KINDS: [&str; 11] = [
    "build", "chore", "ci", "docs", "feat", "fix", "perf", "refactor", "revert", "style", "test",
];

/// How a repository is imported.
#[derive(Clone, Debug, Default)]
pub struct GitOptions {
    /// Key of the hashes that stand for authors. With an empty one, who knows an e-mail finds its
    /// hash; the same key gives the same hashes.
    pub salt: String,
    /// Count the lines that each commit adds and deletes.
    pub count_lines: bool,
}

/// Reads the history of the head of the repository at `path`.
///
/// # Errors
/// When there is no repository or no commit, or an object cannot be read.
pub fn import(path: &Path, options: &GitOptions) -> Result<Streams, Error> {
    read(path, options).map_err(|problem| Error::Git {
        path: path.display().to_string(),
        problem: problem.message().to_owned(),
    })
}

fn read(path: &Path, options: &GitOptions) -> Result<Streams, git2::Error> {
    let repository = Repository::open(path)?;
    let head = repository.head()?.peel_to_commit()?.id();
    let (mainline, is_cut) = mainline(&repository, head)?;
    let on_mainline: BTreeSet<Oid> = mainline.iter().copied().collect();
    let mut commits = Vec::new();
    let mut boundary = 0;
    let mut timeless = 0;
    let mut walk = repository.revwalk()?;
    walk.push(head)?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
    for id in walk {
        let commit = repository.find_commit(id?)?;
        let is_boundary = is_cut && commit.parent_count() == 0;
        if is_boundary {
            // What it changed is not known: its parent is not in a shallow clone.
            boundary += 1;
        } else if !EPOCHS.contains(&commit.time().seconds()) {
            timeless += 1;
        } else {
            let is_main = on_mainline.contains(&commit.id());
            commits.push(row(&repository, &commit, is_main, options)?);
        }
    }
    let name = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = name.file_name().unwrap_or_default().to_string_lossy();
    let mut notes = Vec::new();
    if is_cut {
        notes.push(format!(
            "a shallow clone: {boundary} commits at its edge are left out, since what they changed \
             is not there"
        ));
    }
    if timeless > 0 {
        notes.push(format!(
            "{timeless} commits outside 1970 to 9999 are left out"
        ));
    }
    let (releases, skipped) = tags::releases(&repository)?;
    if skipped > 0 {
        notes.push(format!(
            "{skipped} tags that point to no commit are left out"
        ));
    }
    Ok(Streams {
        repo: Some(name.trim_end_matches(".git").to_owned()),
        commits: Some(commits),
        releases: Some(releases),
        deps: Some(dependencies(&repository, &mainline, is_cut, &mut notes)?),
        notes,
        ..Streams::default()
    })
}

/// The first-parent line, oldest first; whether the clone is shallow.
fn mainline(repository: &Repository, head: Oid) -> Result<(Vec<Oid>, bool), git2::Error> {
    let mut walk = repository.revwalk()?;
    walk.push(head)?;
    walk.simplify_first_parent()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
    let mainline: Result<Vec<Oid>, git2::Error> = walk.collect();
    Ok((mainline?, repository.is_shallow()))
}

fn row(
    repository: &Repository,
    commit: &git2::Commit<'_>,
    mainline: bool,
    options: &GitOptions,
) -> Result<Commit, git2::Error> {
    let diff = diff(repository, commit)?;
    let mut touched = paths::Touched::default();
    let changed: Vec<String> = diff
        .deltas()
        .filter_map(|delta| delta.new_file().path_bytes().map(lossy))
        .collect();
    for path in &changed {
        touched.add(path);
    }
    let (lines_added, lines_deleted) = if options.count_lines {
        let stats = diff.stats()?;
        (
            Some(stats.insertions() as u64),
            Some(stats.deletions() as u64),
        )
    } else {
        (None, None)
    };
    let author = commit.author();
    // A clock before 1970 says nothing; the committer's was checked.
    let written = author.when().seconds();
    let written = if EPOCHS.contains(&written) {
        written
    } else {
        commit.time().seconds()
    };
    Ok(Commit {
        commit_epoch: commit.time().seconds(),
        author_epoch: written,
        commit: abbreviated(commit.id()),
        mainline,
        author: pseudonym(author.email_bytes(), &options.salt),
        bot: is_bot(author.name_bytes(), author.email_bytes()),
        kind: kind(commit.summary_bytes().unwrap_or_default()),
        files: changed.len() as u64,
        lines_added,
        lines_deleted,
        touches_tests: touched.tests,
        touches_deps: touched.deps,
        touches_ci: touched.ci,
        touches_docs_only: touched.docs_only(),
    })
}

/// What a commit changed of its first parent; of a root, everything.
fn diff<'r>(
    repository: &'r Repository,
    commit: &git2::Commit<'_>,
) -> Result<Diff<'r>, git2::Error> {
    let before: Option<Tree<'_>> = match commit.parent_count() {
        0 => None,
        _ => Some(commit.parent(0)?.tree()?),
    };
    let mut options = DiffOptions::new();
    options
        .include_typechange(true)
        .ignore_submodules(false)
        .skip_binary_check(true);
    repository.diff_tree_to_tree(before.as_ref(), Some(&commit.tree()?), Some(&mut options))
}

fn dependencies(
    repository: &Repository,
    mainline: &[Oid],
    is_cut: bool,
    notes: &mut Vec<String>,
) -> Result<Vec<DependencyUpdate>, git2::Error> {
    let mut rows: Vec<DependencyUpdate> = Vec::new();
    let mut lockfiles = Lockfiles::default();
    for &id in mainline {
        let commit = repository.find_commit(id)?;
        let is_boundary = is_cut && commit.parent_count() == 0;
        for delta in diff(repository, &commit)?.deltas() {
            let path = delta.new_file().path_bytes().map(lossy).unwrap_or_default();
            let Some(format) = lockfile::format(&path) else {
                continue;
            };
            let blob = match delta.status() {
                Delta::Deleted => None,
                _ => repository.find_blob(delta.new_file().id()).ok(),
            };
            let content = blob.as_ref().map(|blob| blob.content());
            let changes = lockfiles.change(&path, format, content);
            let epoch = commit.time().seconds();
            // The first state of a shallow clone is where it begins, not something that happened.
            if !is_boundary && EPOCHS.contains(&epoch) {
                let row = |change: lockfile::Change| change.into_row(epoch, abbreviated(id));
                rows.extend(changes.into_iter().map(row));
            }
        }
    }
    if lockfiles.unreadable > 0 {
        notes.push(format!(
            "{} versions of lock files could not be read (a merge left half done?) and count as \
             unchanged",
            lockfiles.unreadable
        ));
    }
    Ok(rows)
}

fn abbreviated(id: Oid) -> String {
    id.to_string()[..ABBREVIATED].to_owned()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A name that says nothing but "the same person": 8 digits of a keyed hash.
fn pseudonym(email: &[u8], salt: &str) -> String {
    let key = blake3::derive_key("prestage 2025 author of a history", salt.as_bytes());
    let hash = blake3::keyed_hash(&key, &email.to_ascii_lowercase());
    hash.to_hex()[..8].to_owned()
}

fn is_bot(name: &[u8], email: &[u8]) -> bool {
    let is_one = |text: &[u8]| {
        let text = lossy(text).to_lowercase();
        let words = [
            "dependabot",
            "renovate",
            "github-actions",
            "greenkeeper",
            "mergify",
        ];
        text.contains("[bot]")
            || text.ends_with("-bot")
            || words.iter().any(|word| text.contains(word))
    };
    is_one(name) || is_one(email)
}

/// The type of a conventional commit: `feat(api)!: subject`.
fn kind(subject: &[u8]) -> Option<String> {
    let subject = std::str::from_utf8(subject).ok()?;
    let (head, _) = subject.split_once(": ")?;
    let head = head.strip_suffix('!').unwrap_or(head);
    let word = match head.split_once('(') {
        Some((word, scope)) if scope.ends_with(')') => word,
        Some(_) => return None,
        None => head,
    };
    let word = word.to_ascii_lowercase();
    KINDS.contains(&word.as_str()).then_some(word)
}

#[cfg(test)]
mod tests;
