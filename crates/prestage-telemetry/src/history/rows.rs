//! The rows of the event streams: exactly the columns of the format.
//!
//! An empty field is `None`. Each type states its columns, how a row is read and how it
//! is written, side by side, so that a change touches one place.
use super::Error;
use super::table::{Fields, Record, Row, word};

/// A row of `commits.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// When it was committed, epoch seconds.
    pub commit_epoch: i64,
    /// When it was written, epoch seconds.
    pub author_epoch: i64,
    /// Abbreviated hash.
    pub commit: String,
    /// Whether it is on the first-parent line.
    pub mainline: bool,
    /// Salted hash of the author.
    pub author: String,
    /// Whether a bot wrote it.
    pub bot: bool,
    /// Conventional-commit type, where the subject has one.
    pub kind: Option<String>,
    /// Files changed.
    pub files: u64,
    /// Lines added, where known.
    pub lines_added: Option<u64>,
    /// Lines deleted, where known.
    pub lines_deleted: Option<u64>,
    /// Whether it changes a test.
    pub touches_tests: bool,
    /// Whether it changes a dependency file.
    pub touches_deps: bool,
    /// Whether it changes the CI configuration.
    pub touches_ci: bool,
    /// Whether it changes nothing but documentation.
    pub touches_docs_only: bool,
}

impl Record for Commit {
    const FILE: &'static str = "commits.csv";
    const COLUMNS: &'static [&'static str] = &[
        "commit_epoch",
        "author_epoch",
        "commit",
        "mainline",
        "author",
        "bot",
        "kind",
        "files",
        "lines_added",
        "lines_deleted",
        "touches_tests",
        "touches_deps",
        "touches_ci",
        "touches_docs_only",
    ];

    fn parse(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            commit_epoch: row.epoch(0)?,
            author_epoch: row.epoch(1)?,
            commit: row.name(2)?,
            mainline: row.flag(3)?,
            author: row.name(4)?,
            bot: row.flag(5)?,
            kind: row.name_optional(6)?,
            files: row.count(7)?,
            lines_added: row.count_optional(8)?,
            lines_deleted: row.count_optional(9)?,
            touches_tests: row.flag(10)?,
            touches_deps: row.flag(11)?,
            touches_ci: row.flag(12)?,
            touches_docs_only: row.flag(13)?,
        })
    }

    fn emit(&self, fields: &mut Fields<'_>) {
        fields
            .show(self.commit_epoch)
            .show(self.author_epoch)
            .text(&self.commit)
            .flag(self.mainline)
            .text(&self.author)
            .flag(self.bot)
            .optional(self.kind.as_ref())
            .show(self.files)
            .optional(self.lines_added)
            .optional(self.lines_deleted)
            .flag(self.touches_tests)
            .flag(self.touches_deps)
            .flag(self.touches_ci)
            .flag(self.touches_docs_only);
    }

    fn epoch(&self) -> i64 {
        self.commit_epoch
    }
}

/// A row of `releases.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// When the tag was made, epoch seconds.
    pub tag_epoch: i64,
    /// When the tagged commit was made, epoch seconds.
    pub commit_epoch: i64,
    /// The tag.
    pub tag: String,
    /// What the version says.
    pub kind: ReleaseKind,
    /// The part of the repository the tag is for, if it is not the whole.
    pub component: Option<String>,
    /// Whether the tag is annotated (`tag`) or lightweight (`commit`).
    pub ref_type: RefType,
    /// Abbreviated hash of the tagged commit.
    pub commit: String,
}

/// What kind of release a tag is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReleaseKind {
    /// First number of the version changed.
    Major,
    /// Second number of the version changed.
    Minor,
    /// Third number of the version changed.
    Patch,
    /// Release candidate, alpha or beta.
    Pre,
    /// Not a version.
    Other,
}

/// What a tag points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefType {
    /// A tag object, which has a time of its own.
    Tag,
    /// The commit itself.
    Commit,
}

const RELEASE_KINDS: [(&str, ReleaseKind); 5] = [
    ("major", ReleaseKind::Major),
    ("minor", ReleaseKind::Minor),
    ("patch", ReleaseKind::Patch),
    ("pre", ReleaseKind::Pre),
    ("other", ReleaseKind::Other),
];

const REF_TYPES: [(&str, RefType); 2] = [("tag", RefType::Tag), ("commit", RefType::Commit)];

impl Record for Release {
    const FILE: &'static str = "releases.csv";
    const COLUMNS: &'static [&'static str] = &[
        "tag_epoch",
        "commit_epoch",
        "tag",
        "kind",
        "component",
        "ref_type",
        "commit",
    ];

    fn parse(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            tag_epoch: row.epoch(0)?,
            commit_epoch: row.epoch(1)?,
            tag: row.name(2)?,
            kind: row.choice(3, &RELEASE_KINDS)?,
            component: row.name_optional(4)?,
            ref_type: row.choice(5, &REF_TYPES)?,
            commit: row.name(6)?,
        })
    }

    fn emit(&self, fields: &mut Fields<'_>) {
        fields
            .show(self.tag_epoch)
            .show(self.commit_epoch)
            .text(&self.tag)
            .text(word(self.kind, &RELEASE_KINDS))
            .optional(self.component.as_ref())
            .text(word(self.ref_type, &REF_TYPES))
            .text(&self.commit);
    }

    fn epoch(&self) -> i64 {
        self.tag_epoch
    }
}

/// A row of `deps.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependencyUpdate {
    /// When the change was committed, epoch seconds.
    pub epoch: i64,
    /// Abbreviated hash of the commit.
    pub commit: String,
    /// The dependency.
    pub package: String,
    /// Versions before, joined by `|` when several; none for an addition.
    pub old_version: Option<String>,
    /// Versions after, joined by `|` when several; none for a removal.
    pub new_version: Option<String>,
    /// What happened.
    pub change: DependencyChange,
    /// Whether the repository names the dependency itself, where known.
    pub direct: Option<bool>,
}

/// What happened to a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DependencyChange {
    /// It was not there before.
    Add,
    /// Its version changed.
    Update,
    /// It is not there any more.
    Remove,
}

const DEPENDENCY_CHANGES: [(&str, DependencyChange); 3] = [
    ("add", DependencyChange::Add),
    ("update", DependencyChange::Update),
    ("remove", DependencyChange::Remove),
];

impl Record for DependencyUpdate {
    const FILE: &'static str = "deps.csv";
    const COLUMNS: &'static [&'static str] = &[
        "epoch",
        "commit",
        "package",
        "old_version",
        "new_version",
        "change",
        "direct",
    ];

    fn parse(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            epoch: row.epoch(0)?,
            commit: row.name(1)?,
            package: row.name(2)?,
            old_version: row.name_optional(3)?,
            new_version: row.name_optional(4)?,
            change: row.choice(5, &DEPENDENCY_CHANGES)?,
            direct: row.flag_optional(6)?,
        })
    }

    fn emit(&self, fields: &mut Fields<'_>) {
        fields
            .show(self.epoch)
            .text(&self.commit)
            .text(&self.package)
            .optional(self.old_version.as_ref())
            .optional(self.new_version.as_ref())
            .text(word(self.change, &DEPENDENCY_CHANGES))
            .flag_optional(self.direct);
    }

    fn epoch(&self) -> i64 {
        self.epoch
    }
}

/// A row of `advisories.csv`.
#[derive(Clone, Debug, PartialEq)]
pub struct Advisory {
    /// Identifier in its database.
    pub id: String,
    /// Other identifiers, separated by spaces.
    pub aliases: Option<String>,
    /// Package ecosystem, such as `go`.
    pub ecosystem: String,
    /// The package it is about.
    pub package: String,
    /// Publication time as the database wrote it.
    pub published: Option<String>,
    /// Modification time as the database wrote it.
    pub modified: Option<String>,
    /// When the entry was committed to the database, epoch seconds.
    pub db_commit_epoch: Option<i64>,
    /// CVSS base score, where one was given.
    pub cvss: Option<f64>,
    /// Severity, where one was given.
    pub severity: Option<Severity>,
    /// What the advisory reports.
    pub kind: AdvisoryKind,
    /// Affected versions, as the database wrote them.
    pub affected: Option<String>,
    /// Patched versions, as the database wrote them.
    pub patched: Option<String>,
    /// When it was published, epoch seconds.
    pub publish_epoch: i64,
    /// The version the repository used then, where known.
    pub used_version_at_publish: Option<String>,
    /// Whether the repository names the package itself, where known.
    pub direct: Option<bool>,
    /// Whether the repository used an affected version then.
    pub exposed_at_publish: bool,
    /// Whether the repository ever used an affected version.
    pub ever_vulnerable: bool,
    /// When the repository left the affected versions, epoch seconds.
    pub fix_epoch: Option<i64>,
    /// Seconds from publication to fix; negative when the fix came first.
    pub fix_lag_s: Option<i64>,
    /// Whether the data ends before the fix.
    pub censored: bool,
    /// Whether the database imported many at once on that day.
    pub bulk_day: bool,
}

/// What an advisory reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdvisoryKind {
    /// A vulnerability.
    Vulnerability,
    /// Nobody maintains the package.
    Unmaintained,
    /// Undefined behavior is possible from safe code.
    Unsound,
    /// For information.
    Notice,
}

/// Severity class of an advisory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// CVSS 0.1 to 3.9.
    Low,
    /// CVSS 4.0 to 6.9.
    Medium,
    /// CVSS 7.0 to 8.9.
    High,
    /// CVSS 9.0 to 10.
    Critical,
}

const ADVISORY_KINDS: [(&str, AdvisoryKind); 4] = [
    ("vulnerability", AdvisoryKind::Vulnerability),
    ("unmaintained", AdvisoryKind::Unmaintained),
    ("unsound", AdvisoryKind::Unsound),
    ("notice", AdvisoryKind::Notice),
];

const SEVERITIES: [(&str, Severity); 4] = [
    ("low", Severity::Low),
    ("medium", Severity::Medium),
    ("high", Severity::High),
    ("critical", Severity::Critical),
];

impl Record for Advisory {
    const FILE: &'static str = "advisories.csv";
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "aliases",
        "ecosystem",
        "package",
        "published",
        "modified",
        "db_commit_epoch",
        "cvss",
        "severity",
        "kind",
        "affected",
        "patched",
        "publish_epoch",
        "used_version_at_publish",
        "direct",
        "exposed_at_publish",
        "ever_vulnerable",
        "fix_epoch",
        "fix_lag_s",
        "censored",
        "bulk_day",
    ];
    const TIME_COLUMN: usize = 12;

    fn parse(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            id: row.name(0)?,
            aliases: row.name_optional(1)?,
            ecosystem: row.name(2)?,
            package: row.name(3)?,
            published: row.name_optional(4)?,
            modified: row.name_optional(5)?,
            db_commit_epoch: row.epoch_optional(6)?,
            cvss: row.amount_optional(7)?,
            severity: row.choice_optional(8, &SEVERITIES)?,
            kind: row.choice(9, &ADVISORY_KINDS)?,
            affected: row.name_optional(10)?,
            patched: row.name_optional(11)?,
            publish_epoch: row.epoch(12)?,
            used_version_at_publish: row.name_optional(13)?,
            direct: row.flag_optional(14)?,
            exposed_at_publish: row.flag(15)?,
            ever_vulnerable: row.flag(16)?,
            fix_epoch: row.epoch_optional(17)?,
            fix_lag_s: row.integer_optional(18)?,
            censored: row.flag(19)?,
            bulk_day: row.flag(20)?,
        })
    }

    fn emit(&self, fields: &mut Fields<'_>) {
        fields
            .text(&self.id)
            .optional(self.aliases.as_ref())
            .text(&self.ecosystem)
            .text(&self.package)
            .optional(self.published.as_ref())
            .optional(self.modified.as_ref())
            .optional(self.db_commit_epoch)
            .optional(self.cvss)
            .optional(self.severity.map(|severity| word(severity, &SEVERITIES)))
            .text(word(self.kind, &ADVISORY_KINDS))
            .optional(self.affected.as_ref())
            .optional(self.patched.as_ref())
            .show(self.publish_epoch)
            .optional(self.used_version_at_publish.as_ref())
            .flag_optional(self.direct)
            .flag(self.exposed_at_publish)
            .flag(self.ever_vulnerable)
            .optional(self.fix_epoch)
            .optional(self.fix_lag_s)
            .flag(self.censored)
            .flag(self.bulk_day);
    }

    fn epoch(&self) -> i64 {
        self.publish_epoch
    }
}

/// A row of `ci_runs.csv`.
#[derive(Clone, Debug, PartialEq)]
pub struct CiRun {
    /// When the run started, epoch seconds.
    pub epoch: i64,
    /// The same before the trace was moved.
    pub orig_epoch: i64,
    /// The test suite.
    pub suite: String,
    /// How long it ran, seconds.
    pub duration_s: f64,
    /// Whether it failed, where known.
    pub failed: Option<bool>,
    /// Tests run, where known.
    pub tests_run: Option<u64>,
    /// Tests failed, where known.
    pub tests_failed: Option<u64>,
    /// Median duration of a test, seconds, where known.
    pub test_p50_s: Option<f64>,
    /// Longest duration of a test, seconds, where known.
    pub test_max_s: Option<f64>,
}

impl Record for CiRun {
    const FILE: &'static str = "ci_runs.csv";
    const COLUMNS: &'static [&'static str] = &[
        "epoch",
        "orig_epoch",
        "suite",
        "duration_s",
        "failed",
        "tests_run",
        "tests_failed",
        "test_p50_s",
        "test_max_s",
    ];

    fn parse(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            epoch: row.epoch(0)?,
            orig_epoch: row.epoch(1)?,
            suite: row.name(2)?,
            duration_s: row.amount(3)?,
            failed: row.flag_optional(4)?,
            tests_run: row.count_optional(5)?,
            tests_failed: row.count_optional(6)?,
            test_p50_s: row.amount_optional(7)?,
            test_max_s: row.amount_optional(8)?,
        })
    }

    fn emit(&self, fields: &mut Fields<'_>) {
        fields
            .show(self.epoch)
            .show(self.orig_epoch)
            .text(&self.suite)
            .show(self.duration_s)
            .flag_optional(self.failed)
            .optional(self.tests_run)
            .optional(self.tests_failed)
            .optional(self.test_p50_s)
            .optional(self.test_max_s);
    }

    fn epoch(&self) -> i64 {
        self.epoch
    }
}
