//! How fast hostile input is refused: the table of `docs/templates.md`.
//!
//! `cargo run --release -p prestage-lpt --example hostile` prints each input with its code and the
//! median of five refusals.

mod inputs;

use std::collections::BTreeMap;
use std::time::Instant;

use prestage_lpt::{Error, Instance, OutputFile, Template, TemplateSet, driver, resolve};

use inputs::Input;

#[expect(clippy::disallowed_methods, reason = "this example is a stopwatch")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("| input | code | ms |\n|---|---|---|");
    let mut late = 0;
    for attack in inputs::attacks() {
        let mut times = Vec::new();
        for _ in 0..5 {
            let start = Instant::now();
            let refusal = refusal(&attack.input);
            times.push(start.elapsed().as_secs_f64() * 1_000.0);
            match refusal {
                Some(error) if error.code() == attack.code => {}
                Some(error) => return Err(format!("{}: {}", attack.name, error.code()).into()),
                None => return Err(format!("{}: not refused", attack.name).into()),
            }
        }
        times.sort_by(f64::total_cmp);
        late += usize::from(times[2] > 50.0);
        println!("| {} | `{}` | {:.1} |", attack.name, attack.code, times[2]);
    }
    println!("\n{late} took longer than 50 ms");
    Ok(())
}

fn refusal(input: &Input) -> Option<Error> {
    match input {
        Input::Templates { texts, regions } => resolve_last(texts, *regions).err(),
        Input::Instance(text) => Instance::parse("instance.yaml", text)
            .and_then(|instance| resolve(&TemplateSet::builtin(), &instance))
            .err(),
        Input::Live(text) => {
            let file = OutputFile {
                path: ".gitlab-ci.yml".to_owned(),
                bytes: text.clone().into_bytes(),
            };
            let analyze = |name| driver(name)?.analyze(std::slice::from_ref(&file));
            analyze("gitlab").err()
        }
    }
}

fn resolve_last(texts: &[String], regions: usize) -> Result<(), Error> {
    let mut templates = TemplateSet::builtin();
    let mut last = String::new();
    for text in texts {
        let template = Template::parse("template.yaml", text)?;
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
    resolve(&templates, &instance).map(drop)
}
