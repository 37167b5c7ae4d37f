//! The house rules as data: who may use whom, and the exceptions with their reasons.
//!
//! A change here is a change of the architecture: ARCHITECTURE.md says the same in
//! words and changes in the same commit. Must not know how the rules are checked.

/// Where a reader of a failing check finds the rules.
pub const WHERE: &str = "ARCHITECTURE.md and crates/prestage-xtask/src/table.rs";

/// What one crate of the workspace may depend on among our own.
pub struct Row {
    /// Package name.
    pub package: &'static str,
    /// Packages of this workspace, dev-dependencies included.
    pub may_use: &'static [&'static str],
}

/// One row per package; a package without a row fails the check.
pub const ROWS: &[Row] = &[
    Row {
        package: "prestage-des",
        may_use: &[],
    },
    Row {
        package: "prestage-telemetry",
        may_use: &[],
    },
    Row {
        package: "prestage-store",
        may_use: &["prestage-telemetry"],
    },
    Row {
        package: "prestage-forecast",
        may_use: &["prestage-telemetry"],
    },
    Row {
        package: "prestage-lpt",
        may_use: &[],
    },
    Row {
        package: "prestage-policy",
        may_use: &[],
    },
    Row {
        package: "prestage-controller",
        may_use: &[
            "prestage-telemetry",
            "prestage-forecast",
            "prestage-lpt",
            "prestage-policy",
        ],
    },
    Row {
        package: "prestage-world",
        may_use: &[
            "prestage-des",
            "prestage-telemetry",
            "prestage-lpt",
            "prestage-controller",
        ],
    },
    Row {
        package: "prestage-envs",
        may_use: &[
            "prestage-des",
            "prestage-world",
            "prestage-controller",
            "prestage-policy",
            "prestage-telemetry",
            "prestage-lpt",
        ],
    },
    Row {
        package: "prestage-rl",
        may_use: &["prestage-policy"],
    },
    Row {
        package: "prestage",
        may_use: &[
            "prestage-des",
            "prestage-telemetry",
            "prestage-store",
            "prestage-forecast",
            "prestage-lpt",
            "prestage-policy",
            "prestage-controller",
            "prestage-world",
            "prestage-envs",
            "prestage-rl",
        ],
    },
    Row {
        package: "prestage-xtask",
        may_use: &[],
    },
];

/// Where a third-party crate may appear as a direct dependency.
pub struct Wall {
    /// Crate name; a final `*` stands for any ending.
    pub dependency: &'static str,
    /// Which packages may or may not name it.
    pub packages: Packages,
    /// What the wall protects.
    pub reason: &'static str,
}

/// The side of a wall that is named.
pub enum Packages {
    /// Nobody else.
    Only(&'static [&'static str]),
    /// Anybody else.
    Never(&'static [&'static str]),
}

/// Crates that decide: they draw nothing, so that a decision is a function of its input.
const DECIDERS: &[&str] = &[
    "prestage-controller",
    "prestage-telemetry",
    "prestage-lpt",
    "prestage-policy",
    "prestage-forecast",
];

/// The third-party walls.
pub const WALLS: &[Wall] = &[
    Wall {
        dependency: "burn*",
        packages: Packages::Only(&["prestage-rl"]),
        reason: "policies must run, and the rest must build, without the training framework",
    },
    Wall {
        dependency: "plotters*",
        packages: Packages::Only(&["prestage"]),
        reason: "libraries hand out numbers, the report draws them",
    },
    Wall {
        dependency: "clap*",
        packages: Packages::Only(&["prestage"]),
        reason: "the command line belongs to the binary",
    },
    Wall {
        dependency: "anyhow",
        packages: Packages::Only(&["prestage"]),
        reason: "libraries have typed errors",
    },
    Wall {
        dependency: "indicatif",
        packages: Packages::Only(&["prestage"]),
        reason: "libraries do not write to the terminal",
    },
    Wall {
        dependency: "git2",
        packages: Packages::Only(&["prestage-lpt", "prestage-store"]),
        reason: "one crate writes pipelines to git, one imports histories from it; nobody else knows git",
    },
    Wall {
        dependency: "parquet",
        packages: Packages::Only(&["prestage-store"]),
        reason: "what simulates must build without a database",
    },
    Wall {
        dependency: "ureq",
        packages: Packages::Only(&["prestage-store"]),
        reason: "importers and exporters are the only ones that speak to a network",
    },
    Wall {
        dependency: "rayon",
        packages: Packages::Only(&["prestage", "prestage-envs"]),
        reason: "parallelism runs whole simulations side by side",
    },
    Wall {
        dependency: "rand*",
        packages: Packages::Never(DECIDERS),
        reason: "a decision is a function of its input",
    },
];

/// A dev-dependency that a wall or a row would refuse.
pub struct DevException {
    /// Who.
    pub package: &'static str,
    /// On whom.
    pub dependency: &'static str,
    /// Why its tests need it.
    #[expect(dead_code, reason = "an exception without a reason must not compile")]
    pub reason: &'static str,
}

/// Allowed although a rule says otherwise; for tests only.
pub const DEV_EXCEPTIONS: &[DevException] = &[DevException {
    package: "prestage-rl",
    dependency: "rayon",
    reason: "a test trains inside a thread pool to show that the weights do not depend on it",
}];

/// Packages that must not reach `dependency` over any chain of normal dependencies.
pub struct Unreachable {
    /// From here.
    pub package: &'static str,
    /// A crate name; a final `*` stands for any ending.
    pub dependency: &'static str,
}

/// Checked on the resolved graph with all features on.
pub const UNREACHABLE: &[Unreachable] = &[
    Unreachable {
        package: "prestage-policy",
        dependency: "burn*",
    },
    Unreachable {
        package: "prestage-controller",
        dependency: "burn*",
    },
];

/// Folders of the crates in which a seed must reproduce everything.
pub const DETERMINISTIC: &[&str] = &[
    "crates/prestage-des/",
    "crates/prestage-world/",
    "crates/prestage-controller/",
    "crates/prestage-policy/",
    "envs/",
];

/// Paths that the deterministic crates do not name outside tests.
pub const NONDETERMINISTIC: &[&str] = &["std::time", "std::thread", "std::env::var", "std::fs"];

/// A deterministic crate that may name one of these paths.
pub struct PathException {
    /// Start of the file's path.
    pub folder: &'static str,
    /// One of [`NONDETERMINISTIC`].
    pub path: &'static str,
    /// Why it does no harm.
    #[expect(dead_code, reason = "an exception without a reason must not compile")]
    pub reason: &'static str,
}

/// Allowed although the rule says otherwise.
pub const PATH_EXCEPTIONS: &[PathException] = &[PathException {
    folder: "crates/prestage-policy/",
    path: "std::fs",
    reason: "reads and writes artifact directories; inference itself touches no file",
}];
