//! How lists and hints stand in messages.

use std::fmt;

use super::Error;

pub(super) struct Listed<'a>(pub(super) &'a [Error]);
pub(super) struct Arrows<'a>(pub(super) &'a [String]);
pub(super) struct Commas<'a>(pub(super) &'a [String]);
pub(super) struct Hint<'a>(pub(super) &'a Option<String>);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} problems", self.0.len())?;
        for problem in self.0 {
            write!(f, "\n  {}: {problem}", problem.code())?;
        }
        Ok(())
    }
}

impl fmt::Display for Arrows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted: Vec<String> = self.0.iter().map(|name| format!("`{name}`")).collect();
        f.write_str(&quoted.join(" -> "))
    }
}

impl fmt::Display for Commas<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        f.write_str(&self.0.join(", "))
    }
}

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, "\n\nhint: did you mean `{name}`?"),
            None => Ok(()),
        }
    }
}
