//! Numbers and names as people read them, and text made safe for HTML.
//!
//! Display only: whatever a program should read goes into the CSV files at full precision.

/// A number with about four significant digits, thousands separated by commas and a true
/// minus sign.
pub fn number(value: f64) -> String {
    let magnitude = value.abs();
    let decimals = match magnitude {
        _ if magnitude >= 999.5 => 0,
        _ if magnitude >= 99.95 => 1,
        _ => 2,
    };
    signed(value, &group_thousands(&format!("{magnitude:.decimals$}")))
}

/// A number with a sign in front also when it is positive.
pub fn difference(value: f64) -> String {
    let shown = number(value);
    if shown.starts_with('\u{2212}') || is_zero(&shown) {
        shown
    } else {
        format!("+{shown}")
    }
}

/// A ratio as a percentage with one decimal.
pub fn percent(ratio: f64) -> String {
    let value = ratio * 100.0;
    format!("{}\u{a0}%", signed(value, &format!("{:.1}", value.abs())))
}

/// A ratio as a percentage with one decimal and a sign.
pub fn percent_difference(ratio: f64) -> String {
    let shown = percent(ratio);
    if shown.starts_with('\u{2212}') || is_zero(&shown) {
        shown
    } else {
        format!("+{shown}")
    }
}

/// A label of an axis whose labels are `step` apart.
#[cfg(any(feature = "plots", test))]
pub fn tick(value: f64, step: f64) -> String {
    let (scale, unit) = match value.abs().max(step) {
        large if large >= 1e6 => (1e6, " M"),
        large if large >= 1e4 => (1e3, " k"),
        _ => (1.0, ""),
    };
    let scaled = value / scale;
    let decimals = (-(step / scale).log10().floor()).clamp(0.0, 6.0) as usize;
    let digits = format!("{:.decimals$}", scaled.abs());
    format!(
        "{}{}",
        signed(scaled, &digits),
        if is_zero(&digits) { "" } else { unit }
    )
}

/// `hit_rate` as `hit rate`.
pub fn words(identifier: &str) -> String {
    identifier.replace('_', " ")
}

/// A count with its noun.
pub fn count(value: usize, one: &str, many: &str) -> String {
    format!("{value} {}", if value == 1 { one } else { many })
}

/// Text for HTML content and quoted attributes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// At most `length` characters, with an ellipsis where some were left out.
#[cfg(any(feature = "plots", test))]
pub fn shorten(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let kept: String = text.chars().take(length.saturating_sub(1)).collect();
    format!("{kept}\u{2026}")
}

fn signed(value: f64, digits: &str) -> String {
    if value < 0.0 && !is_zero(digits) {
        format!("\u{2212}{digits}")
    } else {
        digits.to_owned()
    }
}

fn is_zero(shown: &str) -> bool {
    !shown
        .chars()
        .any(|character| ('1'..='9').contains(&character))
}

fn group_thousands(digits: &str) -> String {
    let whole = digits.find('.').unwrap_or(digits.len());
    let mut grouped = String::with_capacity(digits.len() + whole / 3);
    for (index, character) in digits.chars().enumerate() {
        if index > 0 && index < whole && (whole - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(character);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_about_four_digits() {
        assert_eq!(number(1_234_567.8), "1,234,568");
        assert_eq!(number(-999.7), "\u{2212}1,000");
        assert_eq!(number(123.45), "123.5");
        assert_eq!(number(0.125), "0.12");
        assert_eq!(number(-0.001), "0.00", "no minus zero");
        assert_eq!(difference(3.0), "+3.00");
        assert_eq!(difference(0.0), "0.00");
        assert_eq!(percent(-0.1234), "\u{2212}12.3\u{a0}%");
        assert_eq!(percent_difference(0.05), "+5.0\u{a0}%");
    }

    #[test]
    fn ticks_follow_their_step() {
        assert_eq!(tick(0.25, 0.05), "0.25");
        assert_eq!(tick(1_500_000.0, 500_000.0), "1.5 M");
        assert_eq!(tick(200_000.0, 100_000.0), "200 k");
        assert_eq!(tick(0.0, 100_000.0), "0");
        assert_eq!(tick(-20.0, 10.0), "\u{2212}20");
    }

    #[test]
    fn text_is_escaped_and_shortened() {
        assert_eq!(
            escape("<a href=\"x\">&'"),
            "&lt;a href=&quot;x&quot;&gt;&amp;&#39;"
        );
        assert_eq!(shorten("static-tuned", 8), "static-\u{2026}");
        assert_eq!(shorten("ppo", 8), "ppo");
        assert_eq!(count(1, "seed", "seeds"), "1 seed");
    }
}
