//! Checks source files: module docs, forbidden calls, determinism.
//!
//! Input: files with their paths relative to the root. Must not know how they are found.

use crate::files::File;
use crate::lexer::{blank, split};
use crate::problem::Problem;
use crate::table::{DETERMINISTIC, NONDETERMINISTIC, PATH_EXCEPTIONS, WHERE};

/// Calls that panic without saying why, or that belong to an unfinished thought.
const FORBIDDEN_CODE: &[(&str, &str)] = &[
    (
        ".unwrap()",
        "use `expect` with the invariant that makes it impossible, or return an error",
    ),
    ("todo!", "finish it or leave it out"),
    ("dbg!", "remove it"),
];

const CFG_TEST: &str = "#[cfg(test)]";

/// All problems of these Rust files.
pub fn check(files: &[File]) -> Vec<Problem> {
    let test_modules: Vec<String> = files.iter().flat_map(test_modules).collect();
    let mut problems = Vec::new();
    for File { path, text } in files {
        problems.extend(module_doc_problem(path, text));
        if !is_test_file(path, &test_modules) {
            problems.extend(production_problems(path, text));
        }
    }
    problems
}

fn production_problems(path: &str, text: &str) -> Vec<Problem> {
    let split = split(text);
    let (code, comments) = without_tests(&split.code, &split.comments);
    let mut problems = call_problems(path, &code);
    problems.extend(fixme_problems(path, &comments));
    problems.extend(determinism_problems(path, &code));
    problems
}

/// Whether only tests, benchmarks and examples compile this file.
fn is_test_file(path: &str, test_modules: &[String]) -> bool {
    let inside = |folder: &str| path.split('/').any(|part| part == folder);
    let module = path.trim_end_matches(".rs");
    let belongs_to = |test: &String| {
        let rest = module.strip_prefix(test.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    ["tests", "benches", "examples"].into_iter().any(inside) || test_modules.iter().any(belongs_to)
}

/// The modules that this file declares as `#[cfg(test)] mod name;`, as paths without
/// the extension.
fn test_modules(file: &File) -> Vec<String> {
    let module = file.path.trim_end_matches(".rs");
    let (folder, name) = module.rsplit_once('/').unwrap_or(("", module));
    let home = if matches!(name, "lib" | "main" | "mod") {
        folder
    } else {
        module
    };
    let code = split(&file.text).code;
    let items = code.match_indices(CFG_TEST).map(|(at, _)| &code[at..]);
    let declared = items.filter_map(|item| {
        let declaration = item[..item_length(item)].strip_suffix(';')?.trim_end();
        let (before, name) = declaration.rsplit_once(' ')?;
        before.trim_end().ends_with("mod").then_some(name)
    });
    declared.map(|name| format!("{home}/{name}")).collect()
}

fn module_doc_problem(path: &str, text: &str) -> Option<Problem> {
    let first = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    if first.starts_with("//!") {
        return None;
    }
    let message = "opens without a module doc; say in `//!` its duty and what it must not know";
    Some(Problem::at(path, message.to_owned()))
}

fn call_problems(path: &str, code: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        for (call, advice) in FORBIDDEN_CODE
            .iter()
            .filter(|(call, _)| contains_call(line, call))
        {
            problems.push(Problem::at_line(
                path,
                number,
                format!("`{call}` outside tests; {advice}"),
            ));
        }
    }
    problems
}

/// Whether `line` has `call`, and not as the end of a longer word.
fn contains_call(line: &str, call: &str) -> bool {
    line.match_indices(call).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        call.starts_with('.') || !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

fn fixme_problems(path: &str, comments: &str) -> Vec<Problem> {
    let lines = (1..)
        .zip(comments.lines())
        .filter(|(_, line)| line.contains("FIXME"));
    let message = "FIXME outside tests; fix it, or write an issue and say what holds today";
    lines
        .map(|(number, _)| Problem::at_line(path, number, message.to_owned()))
        .collect()
}

fn determinism_problems(path: &str, code: &str) -> Vec<Problem> {
    if !DETERMINISTIC.iter().any(|folder| path.starts_with(folder)) {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for (line, used) in std_paths(code) {
        for forbidden in NONDETERMINISTIC
            .iter()
            .filter(|forbidden| names(&used, forbidden))
        {
            if !is_excepted(path, forbidden) {
                let message = format!(
                    "`{forbidden}` in a deterministic crate; pass the value in, or change {WHERE}"
                );
                problems.push(Problem::at_line(path, line, message));
            }
        }
    }
    problems
}

fn is_excepted(path: &str, forbidden: &str) -> bool {
    PATH_EXCEPTIONS
        .iter()
        .any(|exception| exception.path == forbidden && path.starts_with(exception.folder))
}

/// Whether the path `used` is `forbidden`, lies below it, or imports it whole:
/// `std::env` lets `env::var` in, `std::env::args` does not.
fn names(used: &str, forbidden: &str) -> bool {
    let lies_below = |path: &str, above: &str| {
        path.strip_prefix(above)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    // `var` stands for `var_os` and `vars` too.
    lies_below(used, forbidden)
        || used.starts_with(forbidden) && forbidden.ends_with("::var")
        || lies_below(
            forbidden,
            used.trim_end_matches("::*").trim_end_matches("::self"),
        ) && used != "std"
}

/// Every path that starts with `std::`, groups spelled out, with its line from 1.
fn std_paths(code: &str) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    for (at, start) in code.match_indices("std::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let line = 1 + code[..at].matches('\n').count();
        let tail = &code[at + start.len()..];
        paths.extend(
            spelled_out("std", tail)
                .into_iter()
                .map(|path| (line, path)),
        );
    }
    paths
}

/// The paths that `prefix::tail` names, where `tail` may open with a `{..}` group.
fn spelled_out(prefix: &str, tail: &str) -> Vec<String> {
    let tail = tail.trim_start();
    if let Some(group) = tail.strip_prefix('{') {
        return group_items(group)
            .iter()
            .flat_map(|item| spelled_out(prefix, item))
            .collect();
    }
    let is_segment = |c: char| c.is_alphanumeric() || c == '_' || c == '*';
    let length = tail.find(|c| !is_segment(c)).unwrap_or(tail.len());
    let path = format!("{prefix}::{}", &tail[..length]);
    match tail[length..].trim_start().strip_prefix("::") {
        Some(rest) if !rest.trim_start().starts_with('<') => spelled_out(&path, rest),
        _ => vec![path],
    }
}

/// The items of a group, split at its own commas, up to its closing brace.
fn group_items(group: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' if depth == 0 => {
                items.push(&group[start..at]);
                start = at + 1;
            }
            '}' => {
                items.push(&group[start..at]);
                break;
            }
            _ => {}
        }
    }
    items.retain(|item| !item.trim().is_empty());
    items
}

/// Blanks every item behind `#[cfg(test)]` in both halves.
fn without_tests(code: &str, comments: &str) -> (String, String) {
    let (mut code, mut comments) = (code.to_owned(), comments.to_owned());
    let mut from = 0;
    while let Some(found) = code[from..].find(CFG_TEST) {
        let start = from + found;
        let end = start + item_length(&code[start..]);
        for half in [&mut code, &mut comments] {
            let blanks = blank(&half[start..end]);
            half.replace_range(start..end, &blanks);
        }
        from = end;
    }
    (code, comments)
}

/// An item ends at its first `;` or `}` outside of all brackets.
fn item_length(item: &str) -> usize {
    let mut depth = 0;
    for (at, byte) in item.bytes().enumerate() {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(byte, b';' | b'}') {
            return at + 1;
        }
    }
    item.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "crates/prestage-lpt/src/a.rs";
    const DES: &str = "crates/prestage-des/src/a.rs";

    fn file(path: &str, text: &str) -> File {
        File {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[track_caller]
    fn check_places(path: &str, body: &str, places: &[&str]) {
        let text = format!("//! Doc.\n{body}");
        let problems = check(&[file(path, &text)]);
        let found: Vec<&str> = problems
            .iter()
            .map(|problem| problem.place.strip_prefix(path).expect("it is this file"))
            .collect();
        assert_eq!(found, places, "{problems:?}");
    }

    #[test]
    fn a_file_without_module_doc_is_named() {
        assert_eq!(check(&[file(PLAIN, "fn f() {}\n")]).len(), 1);
        assert_eq!(check(&[file(PLAIN, "/// Item doc.\nfn f() {}\n")]).len(), 1);
        assert_eq!(check(&[file("tests/it/main.rs", "")]).len(), 1);
        assert_eq!(check(&[file(PLAIN, "\n//! Doc.\n")]).len(), 0);
    }

    #[test]
    fn forbidden_calls_are_named_with_their_line() {
        check_places(PLAIN, "fn f() {\n    x.unwrap();\n}\n", &[":3"]);
        check_places(
            PLAIN,
            "fn f() { todo!() }\nfn g() { dbg!(1); }",
            &[":2", ":3"],
        );
        check_places(PLAIN, "// FIXME: later\n", &[":2"]);
    }

    #[test]
    fn similar_words_are_allowed() {
        check_places(PLAIN, "fn f() { x.unwrap_or(1); my_dbg!(2); }", &[]);
        check_places(
            PLAIN,
            "/// let x = y.unwrap();\nconst A: &str = \"todo! FIXME\";",
            &[],
        );
    }

    #[test]
    fn tests_benches_and_examples_may() {
        for path in [
            "tests/it/a.rs",
            "crates/a/benches/b.rs",
            "crates/a/examples/c.rs",
        ] {
            check_places(path, "fn f() { x.unwrap(); }", &[]);
        }
        let module = "#[cfg(test)]\nmod tests {\n fn f() { x.unwrap(); } // FIXME\n}\n";
        check_places(PLAIN, module, &[]);
        check_places(
            PLAIN,
            &format!("{module}fn g() {{ x.unwrap(); }}\n"),
            &[":6"],
        );
        check_places(
            PLAIN,
            "#[cfg(test)]\nmod tests;\nfn g() { x.unwrap(); }\n",
            &[":4"],
        );
        check_places(
            PLAIN,
            "#[cfg(test)]\nfn f(a: [u8; 2]) { x.unwrap(); }\n",
            &[],
        );
    }

    #[test]
    fn a_file_that_is_a_test_module_may() {
        let parent = "//! Doc.\n#[cfg(test)]\npub(crate) mod worlds;\nmod other;\n";
        let child = "//! Doc.\nfn f() { x.unwrap(); }\n";
        let places = |parent_path: &str, child_path: &str| {
            check(&[file(parent_path, parent), file(child_path, child)]).len()
        };
        assert_eq!(places("crates/a/src/lib.rs", "crates/a/src/worlds.rs"), 0);
        assert_eq!(
            places("crates/a/src/lib.rs", "crates/a/src/worlds/small.rs"),
            0
        );
        assert_eq!(places("crates/a/src/b.rs", "crates/a/src/b/worlds.rs"), 0);
        assert_eq!(places("crates/a/src/b.rs", "crates/a/src/worlds.rs"), 1);
        assert_eq!(places("crates/a/src/lib.rs", "crates/a/src/other.rs"), 1);
        assert_eq!(
            places("crates/a/src/lib.rs", "crates/a/src/worldsize.rs"),
            1
        );
    }

    #[test]
    fn deterministic_crates_do_not_reach_the_outside() {
        check_places(DES, "use std::time::Instant;\n", &[":2"]);
        check_places(DES, "use std::{fmt, fs};\n", &[":2"]);
        check_places(
            DES,
            "use std::{\n    fmt::{self, Debug},\n    thread::spawn,\n};\n",
            &[":2"],
        );
        check_places(DES, "fn f() { ::std::env::var_os(\"A\"); }\n", &[":2"]);
        check_places(DES, "use std::env;\n", &[":2"]);
        check_places(DES, "use std::fs::{self, File};\n", &[":2", ":2"]);
        check_places("envs/src/a.rs", "use std::thread;\n", &[":2"]);
    }

    #[test]
    fn what_is_harmless_or_elsewhere_is_allowed() {
        check_places(
            DES,
            "use std::env::consts;\nuse std::{fmt, collections::BTreeMap};\n",
            &[],
        );
        check_places(
            DES,
            "use mystd::fs;\n#[cfg(test)]\nmod tests { use std::fs; }\n",
            &[],
        );
        check_places(DES, "fn f(x: Vec<std::ops::Range<u8>>) {}\n", &[]);
        check_places(PLAIN, "use std::fs;\n", &[]);
        check_places(
            "crates/prestage-policy/src/artifact.rs",
            "use std::fs;\n",
            &[],
        );
        check_places(
            "crates/prestage-policy/src/artifact.rs",
            "use std::time::Instant;\n",
            &[":2"],
        );
    }
}
