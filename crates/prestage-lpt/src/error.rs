//! Everything that can go wrong between a template file and a commit, each with a stable code.
//!
//! A code (`E-PARAM-MISSING`) is part of the interface: scripts match on it, `docs` list it.
//! User faults and faults of the outside world are told apart by [`Error::is_environment`], so
//! that the command line can exit with 2 or with 3.

mod nearest;
mod words;

pub(crate) use nearest::nearest;
use words::{Arrows, Commas, Hint, Listed};

/// The result of every fallible call of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// At most this many problems are reported at once.
pub const PROBLEMS_MAX: usize = 50;

/// A problem found in a template, an instance, a need, an emitted file or the pipelines repository.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "the message of each variant says what its fields are"
)]
pub enum Error {
    /// Several independent problems, in the order in which they were found.
    #[error("{}", Listed(.0))]
    Many(Vec<Error>),

    // Documents.
    /// The document is not YAML.
    #[error("`{file}`: not a YAML document: {message}")]
    YamlSyntax { file: String, message: String },
    /// A mapping names a key twice; YAML readers disagree on which one counts.
    #[error("`{file}`: a key stands twice in one mapping: {message}")]
    YamlDuplicateKey { file: String, message: String },
    /// More nodes, aliases or bytes than a template can need.
    #[error("`{file}`: the document exceeds the reading budget: {message}")]
    YamlBudget { file: String, message: String },
    /// Nested deeper than a template can need.
    #[error("`{file}`: nested deeper than {limit} levels")]
    YamlDepth { file: String, limit: usize },
    /// A YAML feature that has no meaning here (tags, merge keys, several documents, null).
    #[error("`{file}`: a YAML feature that templates may not use: {message}")]
    YamlFeature { file: String, message: String },
    /// The document is too large.
    #[error("`{file}`: {bytes} bytes, at most {limit} are read")]
    Size {
        file: String,
        bytes: usize,
        limit: usize,
    },
    /// More of something than a document may hold, because work grows with it.
    #[error("`{owner}`: {found} {what}, at most {limit} are allowed")]
    TooMany {
        owner: String,
        what: &'static str,
        found: usize,
        limit: usize,
    },
    /// The document has the wrong shape.
    #[error("`{file}`: {message}")]
    Shape { file: String, message: String },

    // Inheritance.
    /// A template extends itself, directly or not.
    #[error("templates extend each other in a circle: {}", Arrows(.chain))]
    CycleInherit { chain: Vec<String> },
    /// The `extends` chain is too long.
    #[error("template `{template}` has more than {limit} ancestors")]
    Depth { template: String, limit: usize },
    /// The named parent does not exist.
    #[error("template `{template}` extends unknown template `{parent}`{}", Hint(.nearest))]
    ParentUnknown {
        template: String,
        parent: String,
        nearest: Option<String>,
    },
    /// The named template does not exist.
    #[error("unknown template `{template}` (known: {}){}", Commas(.known), Hint(.nearest))]
    TemplateUnknown {
        template: String,
        known: Vec<String>,
        nearest: Option<String>,
    },
    /// Two templates have one name.
    #[error("template `{template}` is defined twice")]
    TemplateDuplicate { template: String },
    /// Parent and child disagree on the kind of a node.
    #[error("template `{template}`: `{path}` cannot be merged: {message}")]
    Merge {
        template: String,
        path: String,
        message: String,
    },
    /// A sealed parameter is changed below the template that sealed it.
    #[error("`{by}` sets parameter `{parameter}`, which template `{sealed_in}` sealed")]
    Sealed {
        parameter: String,
        sealed_in: String,
        by: String,
    },

    /// A path is changed below the template that closed it.
    #[error("`{by}` changes `{path}`, which template `{sealed_in}` made {rule}")]
    SealedPath {
        path: String,
        rule: &'static str,
        sealed_in: String,
        by: String,
    },
    /// A reference that could reach outside the set of templates.
    #[error("`{file}`: `{found}` is a path; templates are named, never opened by path")]
    Path { file: String, found: String },
    /// A reference to another machine.
    #[error("`{file}`: `{found}` is remote; nothing is fetched, vendor the template instead")]
    Remote { file: String, found: String },

    // Parameters.
    /// The declaration of a parameter contradicts itself.
    #[error("template `{template}`: parameter `{parameter}`: {message}")]
    ParamSpec {
        template: String,
        parameter: String,
        message: String,
    },
    /// A required parameter has no value.
    #[error("`{owner}`: required parameter `{parameter}` has no value (expected: {expected})")]
    ParamMissing {
        owner: String,
        parameter: String,
        expected: String,
    },
    /// A value for a parameter that no template declares.
    #[error("`{owner}`: unknown parameter `{parameter}`{}", Hint(.nearest))]
    ParamUnknown {
        owner: String,
        parameter: String,
        nearest: Option<String>,
    },
    /// A value of the wrong type, out of range or with characters that are not allowed.
    #[error("`{owner}`: parameter `{parameter}` is {found}, expected {expected}")]
    ParamType {
        owner: String,
        parameter: String,
        expected: String,
        found: String,
    },
    /// A value that looks like a credential; the value is deliberately not shown.
    #[error(
        "`{owner}`: parameter `{parameter}` looks like a secret ({looks_like}); pass a reference, never the value"
    )]
    Secret {
        owner: String,
        parameter: String,
        looks_like: String,
    },

    // Expressions.
    /// An expression names something that does not exist.
    #[error("`{path}`: expression `{expression}` names an unknown value{}", Hint(.nearest))]
    ExprUndefined {
        path: String,
        expression: String,
        nearest: Option<String>,
    },
    /// An expression ran longer than a template may.
    #[error("`{path}`: expression ran out of fuel")]
    ExprFuel { path: String },
    /// An expression or its result is too long.
    #[error("`{path}`: {what} is {found} characters long, at most {limit} are allowed")]
    ExprSize {
        path: String,
        what: &'static str,
        found: usize,
        limit: usize,
    },
    /// A construct outside the allowed expression language.
    #[error("`{path}`: {message}")]
    ExprForbidden { path: String, message: String },
    /// An expression that cannot be evaluated.
    #[error("`{path}`: expression `{expression}`: {message}")]
    ExprInvalid {
        path: String,
        expression: String,
        message: String,
    },
    /// A script line contains an expression: parameters reach scripts only as environment variables.
    #[error(
        "`{path}`: script line `{line}` contains an expression; pass the value through `env` and use the variable"
    )]
    ScriptSplice { path: String, line: String },

    // Stages.
    /// Two stages have one name after folding case, `_` and `-`.
    #[error("`{owner}`: stages `{first}` and `{second}` have the same name `{slug}`")]
    StageDup {
        owner: String,
        first: String,
        second: String,
        slug: String,
    },
    /// The stages wait for each other.
    #[error("`{owner}`: stages need each other in a circle: {}", Arrows(.cycle))]
    DagCycle { owner: String, cycle: Vec<String> },
    /// A stage needs a stage that does not exist.
    #[error("`{owner}`: stage `{stage}` needs unknown stage `{needs}`{}", Hint(.nearest))]
    DagUnknown {
        owner: String,
        stage: String,
        needs: String,
        nearest: Option<String>,
    },
    /// Regions times stages is more than a pipeline can carry.
    #[error(
        "`{owner}`: {stages} stages after expanding {regions} regions, at most {limit} are allowed"
    )]
    Fanout {
        owner: String,
        stages: usize,
        regions: usize,
        limit: usize,
    },
    /// A field of a stage has a value that no target accepts.
    #[error("`{owner}`: stage `{stage}`: `{field}` is `{found}`, expected {expected}")]
    StageField {
        owner: String,
        stage: String,
        field: &'static str,
        found: String,
        expected: String,
    },
    /// A name that is not usable as service, region or stage name (and so never as a path).
    #[error("{what} `{found}` is not allowed: expected {expected}")]
    Name {
        what: &'static str,
        found: String,
        expected: &'static str,
    },
    /// A name that one target refuses.
    #[error("driver `{driver}`: {what} `{found}` is not allowed: {expected}")]
    NameTarget {
        driver: &'static str,
        what: &'static str,
        found: String,
        expected: String,
    },
    /// A feature that the target cannot express; it is never dropped silently.
    #[error("driver `{driver}`: `{path}`: the target cannot express {feature}")]
    TargetUnsupported {
        driver: &'static str,
        path: String,
        feature: String,
    },
    /// A document that does not match a JSON Schema.
    #[error("`{file}`: `{path}`: {message}")]
    Schema {
        file: String,
        path: String,
        message: String,
    },
    /// An adopted pipeline would not do what it does now.
    #[error(
        "`{service}`: as an instance of `{template}` stage `{stage}` would differ from what is live"
    )]
    AdoptDiffers {
        service: String,
        template: String,
        stage: String,
    },
    /// Live files that are not a pipeline of their target.
    #[error("driver `{driver}`: `{file}` is not a pipeline: {message}")]
    LiveParse {
        driver: &'static str,
        file: String,
        message: String,
    },
    /// No driver of that name.
    #[error("unknown driver `{driver}` (known: {}){}", Commas(.known), Hint(.nearest))]
    DriverUnknown {
        driver: String,
        known: Vec<String>,
        nearest: Option<String>,
    },

    // Needs.
    /// A need that no stage can be made for.
    #[error("need for `{service}`: `{field}` is {found}, expected {expected}")]
    NeedInvalid {
        service: String,
        field: &'static str,
        found: String,
        expected: String,
    },
    /// The service's template has no stage template for this need type.
    #[error("service `{service}` has no stage template for need `{need}` (it has: {})", Commas(.known))]
    NeedUnserved {
        service: String,
        need: String,
        known: Vec<String>,
    },

    // The pipelines repository, faults of the caller.
    /// The service has no definition in the repository.
    #[error("unknown service `{service}`{}", Hint(.nearest))]
    ServiceUnknown {
        service: String,
        nearest: Option<String>,
    },
    /// No staged stage has this key.
    #[error("no staged stage has key `{key}`; it was never proposed or is already retired")]
    StageUnknown { key: String },
    /// The commit is not part of the branch's history.
    #[error("commit `{commit}` is not in the history of the pipelines repository")]
    CommitUnknown { commit: String },
    /// There is no earlier state to go back to.
    #[error("service `{service}` has no state at {at_commit} to roll back to")]
    RollbackNothing { service: String, at_commit: String },

    // Live update and integration.
    /// The service has no pending conflict.
    #[error("service `{service}` has no pending conflict; `lpt update` records them")]
    ConflictNone { service: String },
    /// No pending conflict has this path.
    #[error("service `{service}` has no pending conflict at `{path}`{}", Hint(.nearest))]
    ConflictUnknown {
        service: String,
        path: String,
        nearest: Option<String>,
    },
    /// A path that the document has no place for.
    #[error("`{path}` is not there; paths look like `/stages/[name=build]/timeout_minutes`")]
    PathUnknown { path: String },
    /// There is no edit to promote.
    #[error(
        "service `{service}` has what its template gives at `{path}`; `lpt drift` lists its edits"
    )]
    PromoteNothing { service: String, path: String },
    /// A place that no template document has.
    #[error(
        "`{path}` cannot be promoted: a template has fields and variables of stages, whole stages without a \
         region, and facts of the pipeline"
    )]
    PromotePlace { path: String },
    /// The template is none of those that the instance is made from.
    #[error("template `{template}` is none of those that `{service}` is made from ({})", Commas(.chain))]
    PromoteChain {
        template: String,
        service: String,
        chain: Vec<String>,
    },
    /// Several edits of the template give the instance what it has, and mean different things.
    #[error("`{path}` can be promoted in several ways: {}", Commas(.candidates))]
    PromoteAmbiguous {
        path: String,
        candidates: Vec<String>,
    },
    /// No edit of the template gives the instance what it has.
    #[error(
        "nothing that template `{template}` could say gives the instance what it has at `{path}`"
    )]
    PromoteNoEffect { path: String, template: String },
    /// A rollback removed the stage a short while ago.
    #[error("stage `{key}` was rolled back and may not come back before unix second {until}")]
    CoolDown { key: String, until: i64 },
    /// No run in flight has this name.
    #[error("service `{service}` has no run `{run}` in flight")]
    RunUnknown { service: String, run: String },
    /// Somebody else changed the same place of a definition meanwhile.
    #[error("`{path}` of service `{service}` was changed by somebody else meanwhile")]
    EditConflict { service: String, path: String },
    /// An emitted file was edited by hand, and no edit may be overwritten.
    #[error(
        "`{path}` of service `{service}` was edited by hand and cannot be taken over: {reason}"
    )]
    LiveDrift {
        service: String,
        path: String,
        reason: String,
    },

    // The pipelines repository, faults of the outside world.
    /// The path holds something that is not a git repository.
    #[error("`{path}` is not a git repository and not an empty directory")]
    StoreNotRepository { path: String },
    /// The repository has a work tree, which prestage would make stale.
    #[error("`{path}` is not a bare repository; create one with `git init --bare`")]
    StoreNotBare { path: String },
    /// Reading or writing the repository failed.
    #[error("`{path}`: {operation}: {message}")]
    StoreIo {
        path: String,
        operation: &'static str,
        message: String,
    },
    /// Another writer moved the branch; the repository retries this by itself.
    #[error("the branch moved from `{expected}` while a commit was made")]
    RefMoved { expected: String },
    /// Other writers moved the branch during every attempt.
    #[error("the branch moved during each of {attempts} attempts to commit")]
    Stale { attempts: u32 },
    /// A stored file cannot be read back.
    #[error("`{path}` in the pipelines repository cannot be read back: {message}")]
    StoreCorrupt { path: String, message: String },
}

impl Error {
    /// The stable code, for example `E-PARAM-MISSING`; of several problems, the first one's.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Many(problems) => problems.first().map_or("E-MANY", Self::code),
            Self::YamlSyntax { .. } => "E-YAML-SYNTAX",
            Self::YamlDuplicateKey { .. } => "E-YAML-DUPKEY",
            Self::YamlBudget { .. } => "E-YAML-BUDGET",
            Self::YamlDepth { .. } => "E-YAML-DEPTH",
            Self::YamlFeature { .. } => "E-YAML-FEATURE",
            Self::Size { .. } | Self::TooMany { .. } => "E-SIZE",
            Self::Shape { .. } => "E-SHAPE",
            Self::CycleInherit { .. } => "E-CYCLE-INHERIT",
            Self::Depth { .. } => "E-DEPTH",
            Self::ParentUnknown { .. } => "E-PARENT-UNKNOWN",
            Self::TemplateUnknown { .. } => "E-TEMPLATE-UNKNOWN",
            Self::TemplateDuplicate { .. } => "E-TEMPLATE-DUP",
            Self::Merge { .. } => "E-MERGE",
            Self::Sealed { .. } => "E-SEALED",
            Self::SealedPath { .. } => "E-SEALED",
            Self::Path { .. } => "E-PATH",
            Self::Remote { .. } => "E-REMOTE",
            Self::ParamSpec { .. } => "E-PARAM-SPEC",
            Self::ParamMissing { .. } => "E-PARAM-MISSING",
            Self::ParamUnknown { .. } => "E-PARAM-UNKNOWN",
            Self::ParamType { .. } => "E-PARAM-TYPE",
            Self::Secret { .. } => "E-SECRET",
            Self::ExprUndefined { .. } => "E-EXPR-UNDEFINED",
            Self::ExprFuel { .. } => "E-EXPR-FUEL",
            Self::ExprSize { .. } => "E-EXPR-SIZE",
            Self::ExprForbidden { .. } => "E-EXPR-FORBIDDEN",
            Self::ExprInvalid { .. } => "E-EXPR-INVALID",
            Self::ScriptSplice { .. } => "E-SCRIPT-SPLICE",
            Self::StageDup { .. } => "E-STAGE-DUP",
            Self::DagCycle { .. } => "E-DAG-CYCLE",
            Self::DagUnknown { .. } => "E-DAG-UNKNOWN",
            Self::Fanout { .. } => "E-FANOUT",
            Self::StageField { .. } => "E-STAGE-FIELD",
            Self::Name { .. } => "E-NAME",
            Self::NameTarget { .. } => "E-NAME-TARGET",
            Self::TargetUnsupported { .. } => "E-TARGET-UNSUPPORTED",
            Self::Schema { .. } => "E-SCHEMA",
            Self::AdoptDiffers { .. } => "E-ADOPT-DIFFERS",
            Self::LiveParse { .. } => "E-LIVE-PARSE",
            Self::DriverUnknown { .. } => "E-DRIVER-UNKNOWN",
            Self::NeedInvalid { .. } => "E-NEED-INVALID",
            Self::NeedUnserved { .. } => "E-NEED-UNSERVED",
            Self::ServiceUnknown { .. } => "E-SERVICE-UNKNOWN",
            Self::StageUnknown { .. } => "E-STAGE-UNKNOWN",
            Self::CommitUnknown { .. } => "E-COMMIT-UNKNOWN",
            Self::RollbackNothing { .. } => "E-ROLLBACK-NOTHING",
            Self::ConflictNone { .. } => "E-CONFLICT-NONE",
            Self::ConflictUnknown { .. } => "E-CONFLICT-UNKNOWN",
            Self::PathUnknown { .. } => "E-PATH-UNKNOWN",
            Self::PromoteNothing { .. } => "E-PROMOTE-NOTHING",
            Self::PromotePlace { .. } => "E-PROMOTE-PLACE",
            Self::PromoteChain { .. } => "E-PROMOTE-CHAIN",
            Self::PromoteAmbiguous { .. } => "E-PROMOTE-AMBIGUOUS",
            Self::PromoteNoEffect { .. } => "E-PROMOTE-NO-EFFECT",
            Self::CoolDown { .. } => "E-COOL-DOWN",
            Self::RunUnknown { .. } => "E-RUN-UNKNOWN",
            Self::EditConflict { .. } => "E-EDIT-CONFLICT",
            Self::LiveDrift { .. } => "E-LIVE-DRIFT",
            Self::StoreNotRepository { .. } => "E-STORE-NOT-REPOSITORY",
            Self::StoreNotBare { .. } => "E-STORE-NOT-BARE",
            Self::StoreIo { .. } => "E-STORE-IO",
            Self::RefMoved { .. } => "E-REF-MOVED",
            Self::Stale { .. } => "E-STALE",
            Self::StoreCorrupt { .. } => "E-STORE-CORRUPT",
        }
    }

    /// Whether the outside world is at fault (disk, repository, another writer), not the input.
    pub fn is_environment(&self) -> bool {
        match self {
            Self::Many(problems) => problems.iter().any(Self::is_environment),
            Self::StoreNotRepository { .. }
            | Self::StoreNotBare { .. }
            | Self::StoreIo { .. }
            | Self::RefMoved { .. }
            | Self::Stale { .. }
            | Self::StoreCorrupt { .. } => true,
            _ => false,
        }
    }

    /// The single problems, in the order in which they were found.
    pub fn problems(&self) -> Vec<&Error> {
        match self {
            Self::Many(problems) => problems.iter().flat_map(Self::problems).collect(),
            single => vec![single],
        }
    }

    /// `Ok` when nothing was found, else the problems as one error.
    pub(crate) fn collected(mut problems: Vec<Error>) -> Result<()> {
        problems.truncate(PROBLEMS_MAX);
        match problems.len() {
            0 => Ok(()),
            1 => Err(problems.remove(0)),
            _ => Err(Self::Many(problems)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_faults_are_told_from_input_faults() {
        assert!(Error::Stale { attempts: 5 }.is_environment());
        assert!(
            !Error::StageUnknown {
                key: "00".to_owned()
            }
            .is_environment()
        );
    }

    #[test]
    fn several_problems_are_listed_with_their_codes() {
        let problems = vec![
            Error::Stale { attempts: 5 },
            Error::YamlDepth {
                file: "a.yaml".to_owned(),
                limit: 64,
            },
        ];
        let error = Error::collected(problems).unwrap_err();
        assert_eq!(error.problems().len(), 2);
        assert!(error.to_string().contains("E-YAML-DEPTH"));
    }
}
