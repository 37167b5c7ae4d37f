//! How fast hostile input is refused: the table of `docs/templates.md`.
//!
//! `cargo run --release -p prestage-lpt --example hostile` prints each input with its code and the
//! median of five refusals. Of several documents the time of the slowest call counts, whether it
//! reads one or resolves all: each is what somebody waits for before the next is looked at.

mod inputs;

use std::collections::BTreeMap;
use std::time::Instant;

use prestage_lpt::{Error, Instance, OutputFile, Template, TemplateSet, driver, resolve};

use inputs::Input;

const RUNS: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("| input | code | ms |\n|---|---|---|");
    let mut late = 0;
    for attack in inputs::attacks() {
        let mut times = Vec::new();
        for _ in 0..RUNS {
            let mut slowest = Slowest::default();
            match refusal(&attack.input, &mut slowest) {
                Some(error) if error.code() == attack.code => {}
                Some(error) => return Err(format!("{}: {}", attack.name, error.code()).into()),
                None => return Err(format!("{}: not refused", attack.name).into()),
            }
            times.push(slowest.ms);
        }
        times.sort_by(f64::total_cmp);
        let median = times[RUNS / 2];
        late += usize::from(median > 50.0);
        println!("| {} | `{}` | {median:.1} |", attack.name, attack.code);
    }
    println!("\n{late} took longer than 50 ms");
    Ok(())
}

/// The longest of several calls, milliseconds.
#[derive(Default)]
struct Slowest {
    ms: f64,
}

impl Slowest {
    #[expect(clippy::disallowed_methods, reason = "this example is a stopwatch")]
    fn timed<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = call();
        self.ms = self.ms.max(start.elapsed().as_secs_f64() * 1_000.0);
        result
    }
}

fn refusal(input: &Input, slowest: &mut Slowest) -> Option<Error> {
    match input {
        Input::Templates { texts, regions } => resolve_last(texts, *regions, slowest).err(),
        Input::Instance(text) => slowest
            .timed(|| {
                Instance::parse("instance.yaml", text)
                    .and_then(|instance| resolve(&TemplateSet::builtin(), &instance))
            })
            .err(),
        Input::Live(text) => {
            let file = OutputFile {
                path: ".gitlab-ci.yml".to_owned(),
                bytes: text.clone().into_bytes(),
            };
            let analyze = |name| driver(name)?.analyze(std::slice::from_ref(&file));
            slowest.timed(|| analyze("gitlab")).err()
        }
    }
}

fn resolve_last(texts: &[String], regions: usize, slowest: &mut Slowest) -> Result<(), Error> {
    let mut templates = TemplateSet::builtin();
    let mut last = String::new();
    for text in texts {
        let template = slowest.timed(|| Template::parse("template.yaml", text))?;
        last = template.name().to_owned();
        templates.insert(template)?;
    }
    let instance = Instance {
        service: "checkout".to_owned(),
        template: last,
        params: BTreeMap::new(),
        regions: (0..regions).map(|i| format!("region-{i}")).collect(),
        overrides: Default::default(),
    };
    slowest.timed(|| resolve(&templates, &instance)).map(drop)
}
