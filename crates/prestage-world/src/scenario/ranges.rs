//! Collects the values of a spec that lie outside their ranges.

/// A value that cannot be.
pub(super) struct Problem {
    pub key: String,
    pub found: String,
    pub allowed: String,
}

/// What is wrong with a section so far; keys are written with the section's name.
pub(super) struct Ranges {
    section: String,
    pub problems: Vec<Problem>,
}

impl Ranges {
    pub fn new() -> Self {
        Self {
            section: String::new(),
            problems: Vec::new(),
        }
    }

    /// The keys that follow belong to this section.
    pub fn section(&mut self, name: &str) -> &mut Self {
        name.clone_into(&mut self.section);
        self
    }

    /// `value` must lie in `[low, high]`; NaN never does.
    pub fn number(&mut self, key: &str, value: f64, low: f64, high: f64) {
        if !(value >= low && value <= high) {
            self.refuse(key, value.to_string(), format!("{low} to {high}"));
        }
    }

    /// As [`Ranges::number`], for counts.
    pub fn count(&mut self, key: &str, value: u32, low: u32, high: u32) {
        if !(low..=high).contains(&value) {
            self.refuse(key, value.to_string(), format!("{low} to {high}"));
        }
    }

    /// A probability, or a share.
    pub fn share(&mut self, key: &str, value: f64) {
        self.number(key, value, 0.0, 1.0);
    }

    /// Refuses a value for a reason of its own.
    pub fn refuse(&mut self, key: &str, found: String, allowed: String) {
        let key = if self.section.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.section)
        };
        self.problems.push(Problem {
            key,
            found,
            allowed,
        });
    }
}
