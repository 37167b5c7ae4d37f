//! Base score of CVSS 3.0 and 3.1 (FIRST, "Common Vulnerability Scoring System v3.1: Specification Document",
//! sections 7.1, 7.4 and appendix A).

/// The base score of a vector such as `CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H`.
pub fn base_score(vector: &str) -> Option<f64> {
    let metrics = vector
        .strip_prefix("CVSS:3.0/")
        .or_else(|| vector.strip_prefix("CVSS:3.1/"))?;
    let value = |name: &str| {
        metrics
            .split('/')
            .find_map(|metric| metric.strip_prefix(name)?.strip_prefix(':'))
    };
    let pick = |name: &str, weights: &[(&str, f64)]| {
        let word = value(name)?;
        weights
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, weight)| *weight)
    };
    let changed = match value("S")? {
        "U" => false,
        "C" => true,
        _ => return None,
    };
    let attack = pick("AV", &[("N", 0.85), ("A", 0.62), ("L", 0.55), ("P", 0.2)])?;
    let complexity = pick("AC", &[("L", 0.77), ("H", 0.44)])?;
    let (low, high) = if changed { (0.68, 0.5) } else { (0.62, 0.27) };
    let privileges = pick("PR", &[("N", 0.85), ("L", low), ("H", high)])?;
    let interaction = pick("UI", &[("N", 0.85), ("R", 0.62)])?;
    let impact = [("H", 0.56), ("L", 0.22), ("N", 0.0)];
    let (c, i, a) = (
        pick("C", &impact)?,
        pick("I", &impact)?,
        pick("A", &impact)?,
    );
    let subscore = 1.0 - (1.0 - c) * (1.0 - i) * (1.0 - a);
    let impact = if changed {
        7.52 * (subscore - 0.029) - 3.25 * f64::powi(subscore - 0.02, 15)
    } else {
        6.42 * subscore
    };
    let exploitability = 8.22 * attack * complexity * privileges * interaction;
    if impact <= 0.0 {
        return Some(0.0);
    }
    let scope = if changed { 1.08 } else { 1.0 };
    Some(round_up((scope * (impact + exploitability)).min(10.0)))
}

/// `Roundup` of appendix A, which works on whole hundred-thousandths.
fn round_up(score: f64) -> f64 {
    let whole = (score * 100_000.0).round() as i64;
    if whole % 10_000 == 0 {
        whole as f64 / 100_000.0
    } else {
        (whole / 10_000 + 1) as f64 / 10.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores that the national database and FIRST's examples give.
    #[test]
    fn published_examples() {
        for (vector, score) in [
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
            ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
            ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", 9.9),
            ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 7.8),
            ("CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 3.1),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0),
        ] {
            assert_eq!(base_score(vector), Some(score), "{vector}");
        }
        assert_eq!(base_score("CVSS:3.1/AV:N/AC:L"), None);
        assert_eq!(base_score("AV:N/AC:L/Au:N/C:P/I:P/A:P"), None);
    }
}
