//! Splits Rust text into code and comments without parsing it.
//!
//! Enough to look for words where they mean something: `todo!` in a string or in a
//! doc example is no violation. Both results have the shape of the input (same lines;
//! what belongs to the other side is blank), so a line number found in one is right.
//! Must not know what is looked for.

/// The two halves of a source text.
#[derive(Debug, PartialEq, Eq)]
pub struct Split {
    /// Code; strings and character literals are blank too.
    pub code: String,
    /// Comments, doc comments included.
    pub comments: String,
}

/// Splits `text`. Never fails: on text that is not Rust the result is a guess.
pub fn split(text: &str) -> Split {
    let mut split = Split {
        code: String::new(),
        comments: String::new(),
    };
    let mut rest = text;
    while !rest.is_empty() {
        let (side, length) = next_piece(rest, split.code.chars().next_back());
        let (piece, after) = rest.split_at(length);
        split.push(side, piece);
        rest = after;
    }
    split
}

enum Side {
    Code,
    Comment,
    Literal,
}

impl Split {
    fn push(&mut self, side: Side, piece: &str) {
        let blank = blank(piece);
        self.code.push_str(if matches!(side, Side::Code) {
            piece
        } else {
            &blank
        });
        self.comments.push_str(if matches!(side, Side::Comment) {
            piece
        } else {
            &blank
        });
    }
}

/// Spaces of the same length in bytes and the same lines.
pub fn blank(piece: &str) -> String {
    piece
        .bytes()
        .map(|byte| if byte == b'\n' { '\n' } else { ' ' })
        .collect()
}

/// What `rest`, which is not empty, begins with, and how many bytes it takes.
fn next_piece(rest: &str, before: Option<char>) -> (Side, usize) {
    if rest.starts_with("//") {
        return (Side::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Side::Comment, block_comment_length(rest));
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if let Some(length) = string_length(rest, in_word).or_else(|| char_length(rest)) {
        return (Side::Literal, length);
    }
    (
        Side::Code,
        rest.chars().next().map_or(rest.len(), char::len_utf8),
    )
}

/// Block comments nest.
fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The length of a string literal with its prefix, if `rest` begins with one.
fn string_length(rest: &str, in_word: bool) -> Option<usize> {
    if let Some(inner) = rest.strip_prefix('"') {
        return Some(1 + escaped_length(inner, b'"'));
    }
    let prefix = ["br", "cr", "r"]
        .into_iter()
        .find(|prefix| rest.starts_with(prefix))?;
    let hashes = rest[prefix.len()..]
        .bytes()
        .take_while(|&byte| byte == b'#')
        .count();
    let body = prefix.len() + hashes + 1;
    // `r#type` is a raw identifier and the `r` of `for` is no prefix.
    if in_word || rest.as_bytes().get(body - 1) != Some(&b'"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    Some(
        rest[body..]
            .find(&end)
            .map_or(rest.len(), |at| body + at + end.len()),
    )
}

/// `'a'` and `'\n'` are literals, `'a` is a lifetime.
fn char_length(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    let first = inner.chars().next()?;
    if first == '\\' {
        return Some(1 + escaped_length(inner, b'\''));
    }
    let closes = inner[first.len_utf8()..].starts_with('\'');
    closes.then(|| 2 + first.len_utf8())
}

/// Bytes up to and including the first `quote` that is not escaped.
fn escaped_length(inner: &str, quote: u8) -> usize {
    let mut escaped = false;
    for (at, byte) in inner.bytes().enumerate() {
        if escaped {
            escaped = false;
        } else if byte == b'\\' {
            escaped = true;
        } else if byte == quote {
            return at + 1;
        }
    }
    inner.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, code: &str) {
        let split = split(text);
        assert_eq!(split.code.len(), text.len());
        assert_eq!(split.comments.len(), text.len());
        assert_eq!(
            split.code.split_whitespace().collect::<Vec<_>>().join(" "),
            code
        );
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        check("a(); // todo!()\nb();", "a(); b();");
        check("/* x /* y */ z */ a();", "a();");
        check(r#"a("dbg!(\" )"); b();"#, "a( ); b();");
        check("a(r#\"todo!(\"x\")\"#); b();", "a( ); b();");
        check("a(br\"\\\"); b();", "a( ); b();");
        check("a('\"'); b('\\''); c('é');", "a( ); b( ); c( );");
    }

    #[test]
    fn lifetimes_and_raw_identifiers_are_code() {
        check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
        check("r#type(for_r)", "r#type(for_r)");
    }

    #[test]
    fn comments_keep_their_lines() {
        let split = split("a();\n// FIXME\n");
        assert_eq!(split.comments.lines().nth(1), Some("// FIXME"));
    }

    #[test]
    fn unfinished_text_does_not_panic() {
        for text in ["\"abc", "'", "/* x", "r#\"x", "'\\", "é", "b"] {
            split(text);
        }
    }
}
