//! The `prestage` program: parse, run, say what went wrong, exit.
use std::process::ExitCode;

use clap::Parser;
use prestage::commands::CommandLine;
use prestage::fault;

fn main() -> ExitCode {
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(error) => {
            // Help and version are answers, not errors; nothing is left to do if the
            // terminal is gone.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { fault::INPUT } else { 0 });
        }
    };
    match command_line.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = fault::stable_code(&error).map_or(String::new(), |code| format!("[{code}]"));
            eprintln!("error{code}: {}", fault::message(&error));
            ExitCode::from(fault::exit_code(&error))
        }
    }
}
