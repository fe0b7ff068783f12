//! Runs the trials, with libtest's output and options. libtest itself cannot report a test as
//! ignored that finds out at run time that it cannot run: the test would count as passed.

#![allow(clippy::print_stdout, reason = "this is what `cargo test` shows")]

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::program::Tool;

/// A test against one counterpart, or several together, in one direction.
#[derive(Clone)]
pub struct Trial {
    pub name: String,
    pub needs: Vec<&'static Tool>,
    pub run: std::sync::Arc<dyn Fn() + Send + Sync>,
}

impl Trial {
    /// A trial that needs these programs.
    pub fn new(
        name: impl Into<String>,
        needs: &[&'static Tool],
        run: impl Fn() + Send + Sync + 'static,
    ) -> Trial {
        Trial { name: name.into(), needs: needs.to_vec(), run: std::sync::Arc::new(run) }
    }
}

enum Outcome {
    Passed,
    Failed,
    Ignored,
}

/// The arguments of the command line.
#[derive(Default)]
struct Asked {
    names: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    list: bool,
    only_ignored: bool,
    threads: Option<usize>,
}

/// Runs the trials that the command line selects. On failure, returns libtest's exit status 101.
pub fn run(trials: &[Trial]) -> ExitCode {
    let asked = Asked::of(std::env::args().skip(1));
    let required = std::env::var("INTEROP").is_ok_and(|it| it == "required");
    let chosen: Vec<_> = trials.iter().filter(|trial| asked.has(trial)).collect();
    if asked.list {
        for trial in chosen.iter().filter(|it| !asked.only_ignored || missing(it).is_some()) {
            println!("{}: test", trial.name);
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let began = Instant::now();
    let outcomes = run_all(&chosen, &asked, required);
    let count = |which: fn(&Outcome) -> bool| outcomes.iter().filter(|it| which(it)).count();
    let failed = count(|it| matches!(it, Outcome::Failed));
    let absent: BTreeSet<_> = chosen
        .iter()
        .flat_map(|trial| &trial.needs)
        .filter(|tool| tool.found().is_none())
        .map(|tool| format!("not there: {} ({})", tool.name, tool.origin))
        .collect();
    for line in absent {
        println!("{line}");
    }
    println!(
        "\ntest result: {}. {} passed; {failed} failed; {} ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        if failed == 0 { "ok" } else { "FAILED" },
        count(|it| matches!(it, Outcome::Passed)),
        count(|it| matches!(it, Outcome::Ignored)),
        trials.len() - chosen.len(),
        began.elapsed().as_secs_f32(),
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

fn run_all(chosen: &[&Trial], asked: &Asked, required: bool) -> Vec<Outcome> {
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    // Trials mostly wait for programs, so there may be more threads than cores.
    let threads = asked.threads.unwrap_or(4).max(1);
    let work = || {
        while let Some(trial) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = run_one(trial, asked, required);
            outcomes.lock().unwrap().push(outcome);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    outcomes.into_inner().unwrap()
}

fn run_one(trial: &Trial, asked: &Asked, required: bool) -> Outcome {
    let name = &trial.name;
    let (outcome, word) = match missing(trial) {
        Some(tool) if required && tool.required => {
            (Outcome::Failed, format!("FAILED, no {}, and INTEROP=required", tool.name))
        }
        Some(tool) => (Outcome::Ignored, format!("ignored, no {}", tool.name)),
        None if asked.only_ignored => return Outcome::Ignored,
        None if passes(trial) => (Outcome::Passed, "ok".into()),
        // The panic's message was printed above.
        None => (Outcome::Failed, "FAILED".into()),
    };
    println!("test {name} ... {word}");
    outcome
}

/// Runs the trial in its own thread, whose name appears in a panic's message.
fn passes(trial: &Trial) -> bool {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(trial.name.clone());
        thread.spawn_scoped(scope, || (trial.run)()).unwrap().join().is_ok()
    })
}

/// A program that the trial needs and this machine does not have.
fn missing(trial: &Trial) -> Option<&'static Tool> {
    trial.needs.iter().find(|tool| tool.found().is_none()).copied()
}

impl Asked {
    fn of(mut arguments: impl Iterator<Item = String>) -> Asked {
        let mut asked = Asked::default();
        while let Some(argument) = arguments.next() {
            let (option, given) = match argument.split_once('=') {
                Some((option, value)) => (option, Some(value.to_owned())),
                None => (&argument[..], None),
            };
            // `cargo test -- …` passes the same options to all test binaries: options of libtest
            // that this harness lacks are ignored.
            match option {
                "--list" => asked.list = true,
                "--exact" => asked.exact = true,
                "--ignored" => asked.only_ignored = true,
                "--skip" => asked.skipped.extend(given.or_else(|| arguments.next())),
                "--test-threads" => {
                    let value = given.or_else(|| arguments.next());
                    asked.threads = value.and_then(|value| value.parse().ok());
                }
                "--format" | "--color" | "--logfile" | "--shuffle-seed" | "-Z"
                    if given.is_none() =>
                {
                    arguments.next();
                }
                _ if option.starts_with('-') => {}
                _ => asked.names.push(argument),
            }
        }
        asked
    }

    fn has(&self, trial: &Trial) -> bool {
        let is = |name: &String| {
            if self.exact { trial.name == *name } else { trial.name.contains(name.as_str()) }
        };
        (self.names.is_empty() || self.names.iter().any(is)) && !self.skipped.iter().any(is)
    }
}
