//! Progress on standard error: a bar on a terminal, plain lines elsewhere.
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Progress of one job with a known number of steps.
pub struct Progress {
    bar: Option<ProgressBar>,
    what: String,
    total: u64,
    done: std::sync::atomic::AtomicU64,
}

impl Progress {
    /// Starts reporting on `what`.
    pub fn new(what: &str, total: u64) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{msg:24} {bar:30} {pos}/{len} {elapsed}")
                .expect("the template is a constant that parses");
            bar.set_style(style);
            bar.set_message(what.to_owned());
            bar
        });
        Self {
            bar,
            what: what.to_owned(),
            total,
            done: 0.into(),
        }
    }

    /// One more step is done.
    pub fn step(&self) {
        self.step_with("");
    }

    /// One more step is done, with something to say about it.
    pub fn step_with(&self, note: &str) {
        let done = 1 + self.done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match &self.bar {
            Some(bar) => {
                bar.inc(1);
                if !note.is_empty() {
                    bar.set_message(format!("{} {note}", self.what));
                }
            }
            // Elsewhere at most five lines a job: logs are read by people too.
            None if done == self.total || done.is_multiple_of((self.total / 4).max(1)) => {
                let note = if note.is_empty() {
                    String::new()
                } else {
                    format!(", {note}")
                };
                eprintln!("{}: {done}/{}{note}", self.what, self.total);
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
