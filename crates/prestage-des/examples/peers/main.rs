//! The three models by which event engines are compared, one JSON line a run.
//!
//! ```text
//! cargo run --release -p prestage-des --example peers -- mmc N [H] [SEED]
//! cargo run --release -p prestage-des --example peers -- hold N [H] [SEED]
//! cargo run --release -p prestage-des --example peers -- pipe N [H] [SEED]
//! ```
//!
//! `mmc`: M/M/16 at 90 %, N customers. `hold`: N pending events, H re-insertions, then
//! the set drains. `pipe`: 200 services commit for N days; each commit is built, tested
//! and deployed on 32 runners. Only `hold` reads H. `cpu_s` is the CPU time of the
//! process from start to end of the model, `check` a figure that theory knows.
//!
//! Must not know another engine.

mod hold;
mod mmc;
mod pipe;

use std::fmt::Write as _;
use std::process::ExitCode;

use rustix::time::{ClockId, clock_gettime};

/// What a model reports: events of the model, and a figure that theory knows.
struct Outcome {
    events: u64,
    check: f64,
}

/// What was asked for on the command line.
struct Request {
    model: Model,
    n: u64,
    h: u64,
    seed: u64,
}

#[derive(Clone, Copy)]
enum Model {
    Mmc,
    Hold,
    Pipe,
}

const USAGE: &str = "usage: peers mmc|hold|pipe N [H] [SEED]
  mmc   M/M/16 at 90 %, N customers; H is ignored
  hold  N pending events, H re-insertions (default 0), then the set drains
  pipe  200 services, 32 runners, N days; H is ignored
N must be positive, SEED defaults to 1";

/// Pending events and slots are addressed by 24 bits.
const PENDING_MAX: u64 = 1 << 24;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match parse(&arguments) {
        Ok(request) => {
            println!("{}", run(&request));
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("error: {problem}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn parse(arguments: &[String]) -> Result<Request, String> {
    if arguments.len() > 4 {
        return Err(format!("{} arguments, at most 4", arguments.len()));
    }
    let model = match arguments.first().map(String::as_str) {
        Some("mmc") => Model::Mmc,
        Some("hold") => Model::Hold,
        Some("pipe") => Model::Pipe,
        Some(other) => return Err(format!("unknown model `{other}`")),
        None => return Err("no model".to_owned()),
    };
    let n = number(arguments, 1, "N")?.ok_or("no N")?;
    if n == 0 {
        return Err("N is 0".to_owned());
    }
    if matches!(model, Model::Hold) && n > PENDING_MAX {
        return Err(format!(
            "N is {n}, at most {PENDING_MAX} events can be pending"
        ));
    }
    let h = number(arguments, 2, "H")?.unwrap_or(0);
    let seed = number(arguments, 3, "SEED")?.unwrap_or(1);
    Ok(Request { model, n, h, seed })
}

fn number(arguments: &[String], place: usize, name: &str) -> Result<Option<u64>, String> {
    let Some(text) = arguments.get(place) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(value) => Ok(Some(value)),
        Err(_) => Err(format!("{name} is `{text}`, not a whole number")),
    }
}

fn run(request: &Request) -> String {
    let start_s = cpu_s();
    let (model, outcome) = match request.model {
        Model::Mmc => ("mmc", mmc::run(request.n, request.seed)),
        Model::Hold => ("hold", hold::run(request.n, request.h, request.seed)),
        Model::Pipe => ("pipe", pipe::run(request.n, request.seed)),
    };
    let cpu_s = cpu_s() - start_s;
    let ns_per_event = cpu_s * 1e9 / outcome.events as f64;
    let mut line = String::new();
    let _ = write!(
        line,
        r#"{{"model":"{model}","n":{},"events":{},"cpu_s":{cpu_s:.4},"#,
        request.n, outcome.events
    );
    let _ = write!(
        line,
        r#""ns_per_event":{ns_per_event:.1},"check":{:.5}}}"#,
        outcome.check
    );
    line
}

/// CPU seconds that this process has used, comparable on a shared machine.
fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
