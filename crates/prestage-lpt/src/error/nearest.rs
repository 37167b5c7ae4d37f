//! The name that a typing error most likely meant.

/// A name longer than this gets no hint: nobody mistyped it, and comparing costs the product of the
/// lengths.
const HINT_LENGTH_MAX: usize = 128;

/// The name among `known` that a typing error most likely meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    if name.len() > HINT_LENGTH_MAX {
        return None;
    }
    let limit = name.len().div_ceil(3).max(1);
    known
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= limit)
        .filter_map(|candidate| Some((edit_distance(name, candidate, limit)?, candidate)))
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// Levenshtein distance in characters; none when it is more than `limit`.
fn edit_distance(left: &str, right: &str, limit: usize) -> Option<usize> {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        let mut smallest = row[0];
        for (j, b) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
            smallest = smallest.min(row[j + 1]);
        }
        if smallest > limit {
            return None;
        }
    }
    row.last().copied().filter(|distance| *distance <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_the_typing_error_and_nothing_far_away() {
        let known = ["replicas", "regions", "image"];
        assert_eq!(nearest("replcas", known).as_deref(), Some("replicas"));
        assert_eq!(nearest("timeout", known), None);
        let long = "r".repeat(HINT_LENGTH_MAX + 1);
        assert_eq!(nearest(&long, [long.as_str()]), None);
    }
}
