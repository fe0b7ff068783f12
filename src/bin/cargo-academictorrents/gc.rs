//! `cargo academictorrents gc`.

use std::time::Duration;

use academictorrents::tools::{Collected, Gc, GcOptions, Removal, parse_bytes, parse_time, size};
use serde_json::{Value, json};

use crate::Common;
use crate::list::{kind, stocked_json, used};
use crate::output::{Failure, Output, document, tell_error};
use crate::table::{id, lines, width};

/// Remove from the store what no project uses any more
///
/// Each build, and `fetch`, notes in the store which Cargo.toml uses which datasets. What such projects used goes when all of
/// their Cargo.toml are gone, or declare it no more: fetched in part or whole. A dataset of which no project is known stays:
/// `get`, `import` of what no crate declares, and programs note none.
///
/// What was removed by mistake is fetched again by the next build. A project on a disk that is not mounted now, or on another
/// machine that shares the store, looks as if it were gone: --dry-run shows what would go.
///
/// What a process fetches or checks stays, and is told. The last use is known to a day.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents gc --dry-run
  cargo academictorrents gc --older-than 30d
  cargo academictorrents gc --all --max-size 50GiB")]
pub(crate) struct Arguments {
    /// Also what no project is known to have used
    #[arg(long)]
    unknown: bool,
    /// Also what projects use: their next builds fetch it again
    #[arg(long)]
    all: bool,
    /// Only what was not used for this time: `30d`, `12h`, `90s`
    #[arg(long, value_name = "TIME", value_parser = time)]
    older_than: Option<Duration>,
    /// Only until the store holds no more than this: `50GiB`, `500MB`; what was not used for longest goes first
    #[arg(long, value_name = "SIZE", value_parser = max_size)]
    max_size: Option<u64>,
    /// Remove nothing, and say what would go
    #[arg(long, short = 'n')]
    dry_run: bool,
}

pub(crate) fn run(arguments: &Arguments, common: &Common, output: &Output) -> Result<(), Failure> {
    let desk = common.desk()?;
    let gc = desk.gc(&GcOptions {
        unknown: arguments.unknown,
        all: arguments.all,
        older_than: arguments.older_than,
        max_bytes: arguments.max_size,
        dry_run: arguments.dry_run,
    });
    if output.json {
        output.document(&json_of(&gc, arguments, &desk.store_dir().display().to_string()));
    } else {
        show(&gc, arguments, output);
    }
    let outcomes = gc.datasets.iter().map(|it| &it.outcome);
    let mut failed = false;
    for outcome in outcomes.chain(gc.leftovers.iter().map(|(_, outcome)| outcome)) {
        if let Removal::Failed(error) = outcome {
            failed = true;
            tell_error(error);
        }
    }
    if let Some(max) = arguments.max_size.filter(|max| gc.held_bytes > *max) {
        output.warn(format_args!(
            "the store holds {} still, more than {}",
            size(gc.held_bytes),
            size(max)
        ));
    }
    if failed { Err(Failure::Told) } else { Ok(()) }
}

fn show(gc: &Gc, arguments: &Arguments, output: &Output) {
    let width = width();
    let removed = if arguments.dry_run { "would remove" } else { "removed" };
    let mut rows = Vec::new();
    for Collected { dataset, outcome } in &gc.datasets {
        let name = dataset.torrent_name.clone().unwrap_or_else(|| "unknown".to_owned());
        match outcome {
            Removal::Removed { freed_bytes } => rows.push(vec![
                removed.to_owned(),
                size(*freed_bytes),
                kind(dataset).to_owned(),
                name,
                id(&dataset.id, width),
                used(dataset),
            ]),
            Removal::Locked { process } => {
                let by =
                    process.map_or_else(String::new, |process| format!(" by process {process}"));
                output.warn(format_args!("{name} ({}) stays: it is in use{by}", dataset.id));
            }
            Removal::Failed(_) => {}
        }
    }
    for (leftover, outcome) in &gc.leftovers {
        if let Removal::Removed { freed_bytes } = outcome {
            let path = leftover.path.display().to_string();
            rows.push(vec![removed.to_owned(), size(*freed_bytes), "leftover".to_owned(), path]);
        }
    }
    lines(&rows, width)
        .iter()
        .for_each(|line| output.result(line.strip_prefix("  ").unwrap_or(line)));
    let (freed, holds) = match arguments.dry_run {
        true => ("would free", "would hold"),
        false => ("freed", "holds"),
    };
    let (freed_bytes, held) = (size(gc.freed_bytes), size(gc.held_bytes));
    output.result(format_args!("{freed} {freed_bytes}; the store {holds} {held}"));
    for (count, why) in [
        (gc.used, "that projects use; `list` shows them, --all removes them too"),
        (gc.unknown, "of which no project is known; --unknown removes them too"),
        (gc.recent, "used since the time that was given"),
        (gc.enough, "since the store is small enough"),
    ] {
        if count > 0 {
            output.say(format_args!("kept {count} {why}"));
        }
    }
}

fn json_of(gc: &Gc, arguments: &Arguments, store: &str) -> Value {
    let dataset = |Collected { dataset, outcome }: &Collected| {
        let mut value = stocked_json(dataset);
        let more = outcome_json(outcome, arguments.dry_run);
        if let (Value::Object(fields), Value::Object(more)) = (&mut value, more) {
            fields.extend(more);
        }
        value
    };
    let leftovers = gc.leftovers.iter().map(|(leftover, outcome)| {
        let mut value = outcome_json(outcome, arguments.dry_run);
        if let Value::Object(fields) = &mut value {
            fields.insert("path".to_owned(), leftover.path.display().to_string().into());
        }
        value
    });
    json!({
        "store": store,
        "dry_run": arguments.dry_run,
        "datasets": gc.datasets.iter().map(dataset).collect::<Vec<_>>(),
        "leftovers": leftovers.collect::<Vec<_>>(),
        "freed_bytes": gc.freed_bytes,
        "held_bytes": gc.held_bytes,
        "kept": {
            "used": gc.used,
            "unknown": gc.unknown,
            "recent": gc.recent,
            "small_enough": gc.enough,
        },
    })
}

fn outcome_json(outcome: &Removal, is_dry: bool) -> Value {
    let removed = if is_dry { "would-remove" } else { "removed" };
    let (word, freed_bytes, process, error) = match outcome {
        Removal::Removed { freed_bytes } => (removed, *freed_bytes, None, Value::Null),
        Removal::Locked { process } => ("in-use", 0, *process, Value::Null),
        Removal::Failed(error) => ("failed", 0, None, document(error)),
    };
    json!({ "outcome": word, "freed_bytes": freed_bytes, "process": process, "error": error })
}

fn max_size(text: &str) -> Result<u64, String> {
    parse_bytes(text).ok_or_else(|| "write a size, such as `50GiB`, `500MB`, `0`".to_owned())
}

fn time(text: &str) -> Result<Duration, String> {
    parse_time(text).ok_or_else(|| "write a time, such as `30d`, `12h`, `90s`".to_owned())
}
