//! Whose fault an error is, and the exit code that says so.
use std::io::ErrorKind;
use std::path::PathBuf;

/// Exit codes: 0 done, 1 gate failed, 2 usage or input, 3 outside world, 101 a bug.
pub const GATE_FAILED: u8 = 1;
/// The user's input or command line.
pub const INPUT: u8 = 2;
/// Disk, network, permissions.
pub const OUTSIDE: u8 = 3;

/// A check that ran and said no.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GateFailed(pub String);

/// An output that cannot be made: whatever the system says, it is not the input.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{}`", path.display())]
pub struct Unwritable {
    /// What was tried.
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// The system's answer.
    pub source: std::io::Error,
}

/// The exit code for an error, judged by what stands in its chain.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    error.chain().find_map(code_of).unwrap_or(INPUT)
}

/// The stable code of a problem with templates or pipelines, for example `E-PARAM-MISSING`.
pub fn stable_code(error: &anyhow::Error) -> Option<&'static str> {
    error
        .chain()
        .find_map(lpt_error)
        .map(prestage_lpt::Error::code)
}

fn lpt_error<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a prestage_lpt::Error> {
    let boxed = cause
        .downcast_ref::<Box<prestage_lpt::Error>>()
        .map(AsRef::as_ref);
    cause.downcast_ref::<prestage_lpt::Error>().or(boxed)
}

fn code_of(cause: &(dyn std::error::Error + 'static)) -> Option<u8> {
    if cause.is::<GateFailed>() {
        return Some(GATE_FAILED);
    }
    if cause.is::<Unwritable>() {
        return Some(OUTSIDE);
    }
    if let Some(error) = cause.downcast_ref::<prestage_telemetry::history::Error>() {
        return Some(code(error.is_environment()));
    }
    if let Some(error) = cause.downcast_ref::<prestage_store::Error>() {
        return Some(code(error.is_environment()));
    }
    if let Some(error) = cause.downcast_ref::<prestage_store::import::Error>() {
        return Some(code(error.is_environment()));
    }
    if let Some(error) = lpt_error(cause) {
        return Some(code(error.is_environment()));
    }
    if let Some(prestage_policy::Error::Io {
        attempt, source, ..
    }) = cause.downcast_ref()
    {
        return Some(code(*attempt != "read" || is_refused(source)));
    }
    let io = cause.downcast_ref::<std::io::Error>()?;
    Some(code(is_refused(io)))
}

/// A path to read that is not there, or is of another kind, was mistyped; one that
/// refuses is the world's fault.
fn is_refused(error: &std::io::Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::InvalidData
            | ErrorKind::InvalidInput
            | ErrorKind::IsADirectory
            | ErrorKind::NotADirectory
    )
}

fn code(is_environment: bool) -> u8 {
    if is_environment { OUTSIDE } else { INPUT }
}

/// The whole chain in one line; a hint, after a blank line, goes to the end.
pub fn message(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut hints: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        let (text, hint) = match text.split_once("\n\nhint: ") {
            Some((text, hint)) => (text.to_owned(), Some(hint.to_owned())),
            None => (text, None),
        };
        // Some libraries repeat their source in their own text.
        if !parts.iter().any(|part| part.contains(text.trim())) {
            parts.push(text.trim_end().to_owned());
        }
        hints.extend(hint);
    }
    let mut message = parts.join(": ");
    if let Some(hint) = hints.first() {
        message.push_str("\n\nhint: ");
        message.push_str(hint);
    }
    message
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn hints_come_last_and_codes_follow_the_cause() {
        let inner = anyhow::anyhow!("`a.toml`: no such key\n\nhint: did you mean `days`?");
        let error = inner.context("cannot simulate");
        assert_eq!(
            message(&error),
            "cannot simulate: `a.toml`: no such key\n\nhint: did you mean `days`?"
        );
        assert_eq!(exit_code(&error), INPUT);
        let missing = std::fs::read("/nonexistent/file")
            .context("x")
            .expect_err("is not there");
        assert_eq!(exit_code(&missing), INPUT);
        let unwritable = Unwritable {
            action: "write",
            path: "/x/y".into(),
            source: ErrorKind::NotFound.into(),
        };
        assert_eq!(exit_code(&unwritable.into()), OUTSIDE);
        let refused = std::io::Error::from(ErrorKind::PermissionDenied);
        assert_eq!(exit_code(&anyhow::Error::from(refused)), OUTSIDE);
        assert_eq!(exit_code(&GateFailed("no".to_owned()).into()), GATE_FAILED);
    }

    #[test]
    fn a_problem_with_pipelines_keeps_its_code_under_any_context() {
        let problem = prestage_lpt::Error::Stale { attempts: 8 };
        let error = anyhow::Error::from(problem).context("cannot update");
        assert_eq!(stable_code(&error), Some("E-STALE"));
        assert_eq!(exit_code(&error), OUTSIDE);
        assert_eq!(stable_code(&anyhow::anyhow!("x")), None);
    }
}
