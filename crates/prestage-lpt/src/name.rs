//! Names of services, regions, stages and environment variables.
//!
//! Service and stage names become paths, branch content and job ids, so the check here is also
//! what keeps `..`, `/`, NUL and newlines out of the repository. Knows no target's own rules.

use std::borrow::Cow;

use crate::error::{Error, Result};

/// The longest name that every target takes (a DNS label).
pub const NAME_LENGTH_MAX: usize = 63;

const LABEL: &str =
    "1 to 63 of `a-z`, `0-9` and `-`, starting with a letter and not ending with `-`";

/// Checks a service, region, template or stage name.
pub(crate) fn check_label(what: &'static str, name: &str) -> Result<()> {
    if is_label(name) {
        return Ok(());
    }
    Err(Error::Name {
        what,
        found: name.to_owned(),
        expected: LABEL,
    })
}

/// Whether `name` is a lower-case DNS label that starts with a letter.
pub(crate) fn is_label(name: &str) -> bool {
    name.len() <= NAME_LENGTH_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Parameter names are identifiers, because expressions name them.
pub(crate) fn is_identifier(name: &str) -> bool {
    name.len() <= NAME_LENGTH_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Environment variables in upper case; the targets' own variables and the drivers' are theirs.
pub(crate) fn is_env_name(name: &str) -> bool {
    let prefixes = [
        "CI_",
        "GITHUB_",
        "GITLAB_",
        "RUNNER_",
        "ACTIONS_",
        crate::mark::PREFIX,
    ];
    let words = [crate::mark::SHARD_INDEX, crate::mark::SHARD_COUNT];
    name.len() <= NAME_LENGTH_MAX
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && !prefixes.iter().any(|prefix| name.starts_with(prefix))
        && !words.contains(&name)
}

/// Folds the differences that a target may not see: case, `_` and `-`.
pub(crate) fn fold(name: &str) -> Cow<'_, str> {
    let is_folded = |b: u8| b.is_ascii_uppercase() || b"_. ".contains(&b);
    if !name.bytes().any(is_folded) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.to_ascii_lowercase().replace(['_', '.', ' '], "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_keep_paths_out() {
        for good in ["checkout", "a", "web-2"] {
            assert!(is_label(good), "{good}");
        }
        let long = "a".repeat(64);
        for bad in [
            "", "..", "a/b", "a\\b", "A", "-a", "a-", "2a", "a\0", "a\n", ".git", &long,
        ] {
            assert!(!is_label(bad), "{bad:?}");
        }
    }

    #[test]
    fn env_names_leave_the_targets_variables_alone() {
        assert!(is_env_name("REPLICAS"));
        assert!(!is_env_name("GITHUB_TOKEN"));
        assert!(!is_env_name("Path"));
        assert!(!is_env_name("PRESTAGE_GROUP"));
        assert!(!is_env_name("SHARD_COUNT"));
    }
}
