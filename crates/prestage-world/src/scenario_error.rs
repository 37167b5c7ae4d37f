//! What can be wrong with a scenario, and how it is said.

/// Why a scenario was refused.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// Not TOML, an unknown key or a value of another type; the source has line and column.
    #[error("`{path}`: {source}")]
    Syntax {
        /// The file.
        path: String,
        /// Line, column, what was found and what was expected.
        source: Box<toml::de::Error>,
    },
    /// A price with an unknown name or of another type.
    #[error("`{path}`: in `[prices]`: {source}")]
    Prices {
        /// The file.
        path: String,
        /// What was found and what is known.
        source: Box<toml::de::Error>,
    },
    /// A value that cannot be.
    #[error("`{path}`: {}`{key}` is {found} (allowed: {allowed})", place(line))]
    Value {
        /// The file.
        path: String,
        /// Line of the key, where it stands in the file and was not overridden.
        line: Option<usize>,
        /// Dotted key.
        key: String,
        /// Its value.
        found: String,
        /// What would do.
        allowed: String,
    },
    /// A `--set` that does not fit.
    #[error("--set `{text}`: {problem}\n\nhint: {hint}")]
    Override {
        /// As given.
        text: String,
        /// What is wrong.
        problem: String,
        /// What to write.
        hint: String,
    },
}

fn place(line: &Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!("line {line}: "))
}

/// The candidate within edit distance 3 that is nearest to `word`.
pub fn nearest<'a>(word: &str, candidates: &'a [String]) -> Option<&'a str> {
    candidates
        .iter()
        .map(|candidate| (edit_distance(word, candidate), candidate.as_str()))
        .filter(|&(distance, candidate)| distance <= 3 && distance < candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance in bytes.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substitute = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
