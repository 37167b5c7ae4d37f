//! The store of production and replay: a bare git repository, through libgit2.
//!
//! Layout: `services/<service>/...` and `state/...` on the branch `main`. Trees are built directly, without index
//! or work tree. All objects are written before the branch moves, and the branch moves by
//! compare-and-swap: a process killed at any moment leaves the old state or the new one, and at
//! worst unreachable objects and a lock that the next writer clears. Reads no user configuration: author and times are given.

mod branch_lock;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use git2::{ErrorCode, ObjectType, Oid, Repository, RepositoryInitOptions, Signature, Time, Tree};

use crate::error::{Error, Result};
use crate::store::{Change, CommitId, CommitRecord, Content, Files, FolderChange, Record, Store};

use branch_lock::BranchLock;

const BRANCH: &str = "refs/heads/main";
const ROOT: &str = "services";
const RECORDS: &str = "state";
/// git's own setting; git itself honours it too.
const FSYNC: &str = "core.fsyncObjectFiles";
const FILE_MODE: i32 = 0o100_644;
const TREE_MODE: i32 = 0o040_000;

/// A history in a bare git repository.
pub struct GitStore {
    repository: Repository,
    path: String,
}

impl std::fmt::Debug for GitStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitStore")
            .field("path", &self.path)
            .finish()
    }
}

impl GitStore {
    /// Opens the bare repository at `path`, or makes one where nothing is or an empty directory.
    pub fn open(path: &Path) -> Result<Self> {
        // Every object that a tree here names was written or read just before. libgit2 would open
        // each once more to see that it is there: a fifth of the files that a commit opens.
        git2::opts::strict_object_creation(false);
        let shown = path.display().to_string();
        let failed = |operation: &'static str, message: String| Error::StoreIo {
            path: shown.clone(),
            operation,
            message,
        };
        let is_vacant = match std::fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
                return Err(Error::StoreNotRepository { path: shown });
            }
            Err(error) => return Err(failed("reading the directory", error.to_string())),
        };
        let repository = if is_vacant {
            let mut options = RepositoryInitOptions::new();
            options
                .bare(true)
                .initial_head("main")
                .external_template(false);
            Repository::init_opts(path, &options)
                .map_err(|error| failed("creating the repository", error.message().to_owned()))?
        } else {
            Repository::open(path).map_err(|error| match error.code() {
                ErrorCode::NotFound => Error::StoreNotRepository {
                    path: shown.clone(),
                },
                _ => failed("opening the repository", error.message().to_owned()),
            })?
        };
        if !repository.is_bare() {
            return Err(Error::StoreNotBare { path: shown });
        }
        Ok(Self {
            repository,
            path: shown,
        })
    }

    /// The same store, flushing every object and the branch to the disk before a commit is
    /// reported: what a power cut needs and a killed process does not. The repository remembers it,
    /// so every later writer flushes as well.
    pub fn durable(self) -> Result<Self> {
        let failed = self.failed("setting `core.fsyncObjectFiles`");
        let mut config = self.repository.config().map_err(&failed)?;
        config.set_bool(FSYNC, true).map_err(&failed)?;
        // libgit2 reads the setting when it opens a repository.
        let repository = Repository::open(&self.path).map_err(&failed)?;
        Ok(Self {
            repository,
            path: self.path.clone(),
        })
    }

    /// Whether commits are flushed to the disk before they are reported.
    pub fn is_durable(&self) -> Result<bool> {
        let failed = self.failed("reading `core.fsyncObjectFiles`");
        let config = self.repository.config().map_err(&failed)?;
        match config.get_bool(FSYNC) {
            Ok(is_durable) => Ok(is_durable),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    fn failed(&self, operation: &'static str) -> impl Fn(git2::Error) -> Error + '_ {
        move |error| Error::StoreIo {
            path: self.path.clone(),
            operation,
            message: error.message().to_owned(),
        }
    }

    fn find_commit(&self, commit: &CommitId) -> Result<git2::Commit<'_>> {
        let unknown = |_| Error::CommitUnknown {
            commit: commit.to_string(),
        };
        let oid = Oid::from_str(commit.as_str()).map_err(unknown)?;
        self.repository.find_commit(oid).map_err(unknown)
    }

    fn subtree<'a>(&'a self, tree: &Tree<'a>, name: &str) -> Result<Option<Tree<'a>>> {
        match tree.get_name(name) {
            Some(entry) if entry.kind() == Some(ObjectType::Tree) => self
                .repository
                .find_tree(entry.id())
                .map(Some)
                .map_err(self.failed("reading a tree")),
            _ => Ok(None),
        }
    }

    fn services_tree(&self, commit: &CommitId) -> Result<Option<Tree<'_>>> {
        let root = self
            .find_commit(commit)?
            .tree()
            .map_err(self.failed("reading a commit"))?;
        self.subtree(&root, ROOT)
    }

    fn service_tree(&self, commit: &CommitId, service: &str) -> Result<Option<Tree<'_>>> {
        match self.services_tree(commit)? {
            Some(services) => self.subtree(&services, service),
            None => Ok(None),
        }
    }

    /// The id of the changed service folder; none when it became empty.
    fn changed(&self, base: Option<&Tree<'_>>, change: &FolderChange<'_>) -> Result<Option<Oid>> {
        match &change.content {
            Content::RestoredFrom(commit) => match self.service_tree(commit, change.service)? {
                Some(tree) => Ok(Some(tree.id())),
                None => Err(Error::RollbackNothing {
                    service: change.service.to_owned(),
                    at_commit: commit.to_string(),
                }),
            },
            Content::Edit { write, remove } => {
                let mut edits: BTreeMap<&str, Option<Oid>> =
                    remove.iter().map(|path| (path.as_str(), None)).collect();
                for (path, bytes) in write {
                    edits.insert(path, Some(self.blob(bytes)?));
                }
                let edits: Vec<(&str, Option<Oid>)> = edits.into_iter().collect();
                self.edited(base, &edits)
            }
        }
    }

    fn blob(&self, bytes: &[u8]) -> Result<Oid> {
        self.repository
            .blob(bytes)
            .map_err(self.failed("writing a file"))
    }

    /// Writes `base` with the edits; paths are sorted, so those of one folder stand together.
    fn edited(
        &self,
        base: Option<&Tree<'_>>,
        edits: &[(&str, Option<Oid>)],
    ) -> Result<Option<Oid>> {
        let failed = self.failed("writing a tree");
        let mut builder = self.repository.treebuilder(base).map_err(&failed)?;
        let mut rest = edits;
        while let Some((path, blob)) = rest.first() {
            let Some((folder, _)) = path.split_once('/') else {
                match blob {
                    Some(oid) => {
                        builder.insert(*path, *oid, FILE_MODE).map_err(&failed)?;
                    }
                    None if builder.get(*path).map_err(&failed)?.is_some() => {
                        builder.remove(*path).map_err(&failed)?;
                    }
                    None => {}
                }
                rest = &rest[1..];
                continue;
            };
            let below = |path: &str| -> bool {
                path.strip_prefix(folder)
                    .is_some_and(|tail| tail.starts_with('/'))
            };
            let count = rest.iter().take_while(|(path, _)| below(path)).count();
            let inner: Vec<(&str, Option<Oid>)> = rest[..count]
                .iter()
                .map(|(path, blob)| (&path[folder.len() + 1..], *blob))
                .collect();
            rest = &rest[count..];
            let inner_base = match base {
                Some(tree) => self.subtree(tree, folder)?,
                None => None,
            };
            match self.edited(inner_base.as_ref(), &inner)? {
                Some(oid) => {
                    builder.insert(folder, oid, TREE_MODE).map_err(&failed)?;
                }
                None if builder.get(folder).map_err(&failed)?.is_some() => {
                    builder.remove(folder).map_err(&failed)?;
                }
                None => {}
            }
        }
        if builder.is_empty() {
            return Ok(None);
        }
        builder.write().map(Some).map_err(&failed)
    }

    /// The root tree with the changed folder and records in it.
    fn root_tree(&self, base: Option<&Tree<'_>>, change: &Change<'_>) -> Result<Oid> {
        let services = match &change.folder {
            Some(folder) => Some(self.services_with(base, folder)?),
            None => None,
        };
        let records = match change.records.as_slice() {
            [] => None,
            records => Some(self.records_with(base, records)?),
        };
        let failed = self.failed("writing a tree");
        let mut builder = self.repository.treebuilder(base).map_err(&failed)?;
        if let Some(services) = services {
            builder.insert(ROOT, services, TREE_MODE).map_err(&failed)?;
        }
        match records {
            Some(Some(tree)) => {
                builder.insert(RECORDS, tree, TREE_MODE).map_err(&failed)?;
            }
            Some(None) if builder.get(RECORDS).map_err(&failed)?.is_some() => {
                builder.remove(RECORDS).map_err(&failed)?;
            }
            _ => {}
        }
        builder.write().map_err(&failed)
    }

    fn below_root<'a>(&'a self, root: Option<&Tree<'a>>, name: &str) -> Result<Option<Tree<'a>>> {
        match root {
            Some(root) => self.subtree(root, name),
            None => Ok(None),
        }
    }

    fn services_with(&self, root: Option<&Tree<'_>>, change: &FolderChange<'_>) -> Result<Oid> {
        let services = self.below_root(root, ROOT)?;
        let folder = self.below_root(services.as_ref(), change.service)?;
        let changed = self.changed(folder.as_ref(), change)?;
        self.with_entry(services.as_ref(), change.service, changed)
    }

    /// The tree of records; none when no record is left.
    fn records_with(&self, root: Option<&Tree<'_>>, records: &[Record]) -> Result<Option<Oid>> {
        let tree = self.below_root(root, RECORDS)?;
        let mut edits: BTreeMap<&str, Option<Oid>> = BTreeMap::new();
        for record in records {
            let blob = match &record.bytes {
                Some(bytes) => Some(self.blob(bytes)?),
                None => None,
            };
            edits.insert(&record.path, blob);
        }
        let edits: Vec<(&str, Option<Oid>)> = edits.into_iter().collect();
        self.edited(tree.as_ref(), &edits)
    }

    fn with_entry(&self, base: Option<&Tree<'_>>, name: &str, tree: Option<Oid>) -> Result<Oid> {
        let failed = self.failed("writing a tree");
        let mut builder = self.repository.treebuilder(base).map_err(&failed)?;
        match tree {
            Some(oid) => {
                builder.insert(name, oid, TREE_MODE).map_err(&failed)?;
            }
            None if builder.get(name).map_err(&failed)?.is_some() => {
                builder.remove(name).map_err(&failed)?;
            }
            None => {}
        }
        builder.write().map_err(&failed)
    }

    /// Compare-and-swap of the branch: the only step that changes what readers see.
    fn move_branch(&self, expected: Option<&git2::Commit<'_>>, new: Oid) -> Result<()> {
        let io_failed = |error: std::io::Error| Error::StoreIo {
            path: self.path.clone(),
            operation: "locking the branch",
            message: error.to_string(),
        };
        let lock = BranchLock::take(self.repository.path()).map_err(io_failed)?;
        let moved = match expected {
            Some(commit) => {
                self.repository
                    .reference_matching(BRANCH, new, true, commit.id(), "prestage")
            }
            None => self.repository.reference(BRANCH, new, false, "prestage"),
        };
        lock.release().map_err(io_failed)?;
        moved.map(drop).map_err(|error| match error.code() {
            ErrorCode::Modified | ErrorCode::Exists | ErrorCode::NotFound | ErrorCode::Locked => {
                Error::RefMoved {
                    expected: expected.map_or_else(String::new, |commit| commit.id().to_string()),
                }
            }
            _ => self.failed("moving the branch")(error),
        })
    }

    fn read_files(&self, tree: &Tree<'_>, prefix: &str, files: &mut Files) -> Result<()> {
        for entry in tree {
            let name = entry.name().map_err(self.failed("reading a file name"))?;
            let path = format!("{prefix}{name}");
            match entry.kind() {
                Some(ObjectType::Blob) => {
                    let blob = self
                        .repository
                        .find_blob(entry.id())
                        .map_err(self.failed("reading a file"))?;
                    files.insert(path, Arc::from(blob.content()));
                }
                Some(ObjectType::Tree) => {
                    if let Some(inner) = self.subtree(tree, name)? {
                        self.read_files(&inner, &format!("{path}/"), files)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Store for GitStore {
    fn head(&self) -> Result<Option<CommitId>> {
        match self.repository.refname_to_id(BRANCH) {
            Ok(oid) => Ok(Some(CommitId::from_hex(&oid.to_string()))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(self.failed("reading the branch")(error)),
        }
    }

    fn commit(&mut self, expected: Option<&CommitId>, change: &Change<'_>) -> Result<CommitId> {
        let parent = expected
            .map(|commit| self.find_commit(commit))
            .transpose()?;
        let base = parent
            .as_ref()
            .map(git2::Commit::tree)
            .transpose()
            .map_err(self.failed("reading a commit"))?;
        let root = self.root_tree(base.as_ref(), change)?;
        let failed = self.failed("writing a commit");
        let tree = self.repository.find_tree(root).map_err(&failed)?;
        let author = Signature::new("prestage", "prestage@localhost", &Time::new(change.at, 0))
            .map_err(&failed)?;
        let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
        let new = self
            .repository
            .commit(None, &author, &author, &change.message, &tree, &parents)
            .map_err(&failed)?;
        self.move_branch(parent.as_ref(), new)?;
        Ok(CommitId::from_hex(&new.to_string()))
    }

    fn services(&self, commit: &CommitId) -> Result<Vec<String>> {
        let Some(services) = self.services_tree(commit)? else {
            return Ok(Vec::new());
        };
        services
            .iter()
            .filter(|entry| entry.kind() == Some(ObjectType::Tree))
            .map(|entry| {
                entry
                    .name()
                    .map(str::to_owned)
                    .map_err(self.failed("reading a tree"))
            })
            .collect()
    }

    fn files(&self, commit: &CommitId, service: &str) -> Result<Files> {
        let mut files = Files::new();
        if let Some(tree) = self.service_tree(commit, service)? {
            self.read_files(&tree, "", &mut files)?;
        }
        Ok(files)
    }

    fn folder_hash(&self, commit: &CommitId, service: &str) -> Result<Option<String>> {
        let tree = self.service_tree(commit, service)?;
        Ok(tree.map(|tree| tree.id().to_string()))
    }

    fn record(&self, commit: &CommitId, path: &str) -> Result<Option<Arc<[u8]>>> {
        let root = self
            .find_commit(commit)?
            .tree()
            .map_err(self.failed("reading a commit"))?;
        let full = format!("{RECORDS}/{path}");
        let entry = match root.get_path(Path::new(&full)) {
            Ok(entry) => entry,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(self.failed("reading a record")(error)),
        };
        let blob = self
            .repository
            .find_blob(entry.id())
            .map_err(self.failed("reading a record"))?;
        Ok(Some(Arc::from(blob.content())))
    }

    fn parent(&self, commit: &CommitId) -> Result<Option<CommitId>> {
        let commit = self.find_commit(commit)?;
        Ok(commit
            .parent_ids()
            .next()
            .map(|oid| CommitId::from_hex(&oid.to_string())))
    }

    fn walk(&self, visit: &mut dyn FnMut(CommitRecord) -> Result<ControlFlow<()>>) -> Result<()> {
        let mut next = self.head()?;
        while let Some(id) = next {
            let commit = self.find_commit(&id)?;
            next = commit
                .parent_ids()
                .next()
                .map(|oid| CommitId::from_hex(&oid.to_string()));
            let record = CommitRecord {
                id,
                at: commit.time().seconds(),
                message: String::from_utf8_lossy(commit.message_bytes()).into_owned(),
            };
            if visit(record)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}
