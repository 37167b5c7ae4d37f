//! Inputs made to exhaust whoever reads them, each with the code that it is refused with.
//!
//! Text only: the tests of the crate and the example `hostile` both read this file.

/// Somebody who wants the reader to hang or to run out of memory.
pub struct Attack {
    pub name: &'static str,
    /// The code of the refusal.
    pub code: &'static str,
    pub input: Input,
}

pub enum Input {
    /// Templates beside the shipped ones; a service in so many regions is made from the last.
    Templates { texts: Vec<String>, regions: usize },
    /// An instance of a shipped template.
    Instance(String),
    /// A live file of GitLab.
    Live(String),
}

pub fn attacks() -> Vec<Attack> {
    let attack = |name, code, input| Attack { name, code, input };
    let template = |text: String| Input::Templates {
        texts: vec![text],
        regions: 2,
    };
    vec![
        attack("alias bomb", "E-YAML-BUDGET", template(alias_bomb())),
        attack(
            "alias bomb, live file",
            "E-LIVE-PARSE",
            Input::Live(alias_bomb()),
        ),
        attack(
            "half a million brackets",
            "E-YAML-DEPTH",
            template("[".repeat(1 << 19)),
        ),
        attack(
            "larger than half a mebibyte",
            "E-SIZE",
            template(format!("name: {}", "x".repeat(1 << 19))),
        ),
        attack(
            "half a mebibyte of list items",
            "E-YAML-BUDGET",
            template(format!("name: [{}x]", "x,".repeat(250_000))),
        ),
        attack(
            "half a mebibyte of comments",
            "E-SHAPE",
            template(format!("description: x\n{}", "# x\n".repeat(131_000))),
        ),
        attack(
            "a name of half a mebibyte",
            "E-NAME",
            template(format!("name: {}", "x".repeat(500_000))),
        ),
        attack(
            "a long key above many nulls",
            "E-YAML-FEATURE",
            template(long_key("~")),
        ),
        attack(
            "a long key above many edits",
            "E-MERGE",
            template(long_key("{$append: []}")),
        ),
        attack(
            "path traversal",
            "E-PATH",
            template("name: x\nextends: ../../etc/passwd\n".to_owned()),
        ),
        attack(
            "a parent's name of half a mebibyte",
            "E-PARENT-UNKNOWN",
            template(format!("name: x\nextends: {}\n", "x".repeat(500_000))),
        ),
        attack(
            "nested list repetition",
            "E-EXPR-FORBIDDEN",
            template(child(&env("{{ [[1]*9999]*9999 }}", 1))),
        ),
        attack(
            "string repetition",
            "E-EXPR-FUEL",
            template(child(&env("{{ 'ab' * 99999999 }}", 1))),
        ),
        attack(
            "thousands of expressions, each just within its fuel",
            "E-EXPR-FUEL",
            template(child(&env("{{ ('x' * 400000)|upper == 'x' }}", 1_900))),
        ),
        attack(
            "one long parameter in thousands of places",
            "E-EXPR-SIZE",
            template(long_parameter(1_900, "{{ params.long }}")),
        ),
        attack(
            "one long parameter hundreds of times in a leaf",
            "E-EXPR-SIZE",
            template(long_parameter(1_000, &"{{params.long}}".repeat(100))),
        ),
        attack(
            "a long stage in each of 80 regions",
            "E-EXPR-SIZE",
            Input::Templates {
                texts: vec![
                    child(&env(&"x".repeat(20_000), 1)).replace("env:", "each_region: true, env:"),
                ],
                regions: 80,
            },
        ),
        attack("needs that multiply", "E-STAGE-FIELD", template_of_needs()),
        attack(
            "stages times regions",
            "E-FANOUT",
            Input::Templates {
                texts: vec!["name: x\nextends: progressive\n".to_owned()],
                regions: 200,
            },
        ),
        attack(
            "stages in one large circle",
            "E-DAG-CYCLE",
            template(circle_of_stages()),
        ),
        attack("twelve long templates in a chain", "E-SIZE", long_chain()),
        attack(
            "thousands of keyed items over as many",
            "E-FANOUT",
            keyed_lists(),
        ),
        attack("thousands of policies", "E-SIZE", template(policies())),
        attack("thousands of parameters", "E-SIZE", template(parameters())),
        attack(
            "a set of characters of half a mebibyte",
            "E-PARAM-SPEC",
            template(format!(
                "name: x\nextends: service\nparameters:\n- {{name: p, type: string, default: {}, \
                 max_length: 9999, allowed_chars: \"{}\"}}\n",
                "x".repeat(9_999),
                "ab".repeat(200_000)
            )),
        ),
        attack(
            "thousands of unknown parameters",
            "E-PARAM-UNKNOWN",
            unknown_parameters(),
        ),
        attack(
            "GitLab: lists of `extends` that multiply",
            "E-LIVE-PARSE",
            Input::Live(extends_bomb()),
        ),
        attack(
            "GitLab: one long job that all others extend",
            "E-LIVE-PARSE",
            Input::Live(long_job()),
        ),
        attack(
            "GitLab: ten thousand jobs",
            "E-LIVE-PARSE",
            Input::Live(many_jobs()),
        ),
        attack(
            "GitLab: larger than half a mebibyte",
            "E-LIVE-PARSE",
            Input::Live("# x\n".repeat(140_000)),
        ),
    ]
}

fn alias_bomb() -> String {
    let mut bomb = "name: x\na: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (name, inner) in ["b", "c", "d", "e", "f", "g", "h", "i"]
        .iter()
        .zip("abcdefgh".chars())
    {
        let items = vec![format!("*{inner}"); 9].join(",");
        bomb.push_str(&format!("{name}: &{name} [{items}]\n"));
    }
    bomb
}

/// Every path below the key is a quarter of a mebibyte long.
fn long_key(last: &str) -> String {
    let items: String = (0..4_000).map(|i| format!("k{i}: 1, ")).collect();
    format!(
        "name: x\nextends: service\npipeline:\n  ? {}\n  : {{{items}z: {last}}}\n",
        "k".repeat(250_000)
    )
}

/// A child of `service` with one stage more.
fn child(fields: &str) -> String {
    format!("name: x\nextends: service\nstages:\n- {{name: extra, script: [x], {fields}}}\n")
}

/// An environment of so many equal values.
fn env(value: &str, count: usize) -> String {
    let items: String = (0..count)
        .map(|i| format!("{{name: V{i}, value: \"{value}\"}},"))
        .collect();
    format!("env: [{items}]")
}

fn long_parameter(count: usize, leaf: &str) -> String {
    let long = "x".repeat(10_000);
    let leaves = (1 << 18) / (leaf.len() + 30);
    let stages = env(leaf, count.min(leaves));
    format!(
        "name: x\nextends: service\nparameters:\n- {{name: long, type: string, default: {long}, \
         max_length: 10000}}\nstages:\n- {{name: extra, script: [x], {stages}}}\n"
    )
}

fn template_of_needs() -> Input {
    let needs = "deploy,".repeat(5_000);
    Input::Templates {
        texts: vec![child(&format!("needs: [{needs}]"))],
        regions: 80,
    }
}

fn circle_of_stages() -> String {
    let stages: String = (0..240)
        .map(|i| {
            format!(
                "- {{name: s{i}, needs: [s{}, s{}], script: [x]}}\n",
                (i + 1) % 240,
                (i + 1) % 240
            )
        })
        .collect();
    format!("name: x\nextends: service\nstages:\n{stages}")
}

fn long_chain() -> Input {
    let texts = (0..12).map(|i| {
        let parent = match i {
            0 => "service".to_owned(),
            _ => format!("t{}", i - 1),
        };
        let values: String = (0..4_900).map(|value| format!("k{value}: {i}, ")).collect();
        format!("name: t{i}\nextends: {parent}\npipeline: {{{values}}}\n")
    });
    Input::Templates {
        texts: texts.collect(),
        regions: 2,
    }
}

fn keyed_lists() -> Input {
    let stages = |field: &str| -> String {
        let stage = |i: usize| format!("- {{name: s{i}, {field}}}\n");
        (0..1_600).map(stage).collect()
    };
    Input::Templates {
        texts: vec![
            format!(
                "name: a\nextends: service\nstages:\n{}",
                stages("script: [x]")
            ),
            format!("name: b\nextends: a\nstages:\n{}", stages("retry: 1")),
        ],
        regions: 2,
    }
}

fn policies() -> String {
    let policies = "- {path: /stages, rule: extend-only}\n".repeat(1_900);
    format!("name: x\nextends: service\npolicy:\n{policies}")
}

fn parameters() -> String {
    let parameters: String = (0..1_200)
        .map(|i| format!("- {{name: p{i}, type: int, default: 1}}\n"))
        .collect();
    format!("name: x\nextends: service\nparameters:\n{parameters}")
}

fn unknown_parameters() -> Input {
    let params: String = (0..4_000)
        .map(|i| format!("  {}{i}: 1\n", "p".repeat(55)))
        .collect();
    Input::Instance(format!(
        "service: a\ntemplate: service\nregions: [eu]\nparams:\n{params}"
    ))
}

fn extends_bomb() -> String {
    let mut file = String::new();
    for i in 0..10 {
        let parents = vec![format!("j{}", i + 1); 10].join(", ");
        file.push_str(&format!("j{i}: {{extends: [{parents}], script: [x]}}\n"));
    }
    file + "j10: {extends: [j0, j0, j0], script: [x]}\n"
}

fn long_job() -> String {
    let jobs: String = (0..900)
        .map(|i| format!("j{i}: {{extends: .long}}\n"))
        .collect();
    format!(".long: {{script: [{}]}}\n{jobs}", "x, ".repeat(15_000))
}

fn many_jobs() -> String {
    (0..10_000)
        .map(|i| {
            format!(
                "j{i}: {{stage: {}, script: [x]}}\n",
                if i < 5_000 { "build" } else { "test" }
            )
        })
        .collect()
}
