//! Checks that the shipped configuration files are TOML.
//!
//! What the keys mean is checked where the files are loaded for real, in the
//! integration tests of the root. Must not know any key.

use crate::problem::Problem;

/// The problem of one file, if its text is not TOML.
pub fn check(path: &str, text: &str) -> Option<Problem> {
    let error = text.parse::<toml::Table>().err()?;
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = 1 + text.as_bytes()[..start]
        .iter()
        .filter(|&&byte| byte == b'\n')
        .count();
    Some(Problem::at_line(
        path,
        line,
        format!("not TOML: {}", error.message()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_toml_is_named_with_its_line() {
        let problem = check("scenarios/a.toml", "a = 1\nb = \n").unwrap();
        assert_eq!(problem.place, "scenarios/a.toml:2");
        assert_eq!(check("scenarios/a.toml", "a = 1\n[b]\nc = \"x\"\n"), None);
    }

    #[test]
    fn a_repeated_key_is_not_toml() {
        assert!(check("scenarios/a.toml", "a = 1\na = 2\n").is_some());
    }
}
