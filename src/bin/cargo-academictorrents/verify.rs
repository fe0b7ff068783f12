//! `cargo academictorrents verify`.

use std::ops::Range;
use std::path::PathBuf;

use academictorrents::tools::{self, Asked, Checked, Desk, Fault, Repaired, What, Whose};
use academictorrents::{Error, Infohash};
use serde_json::{Value, json};

use crate::Common;
use crate::interrupt;
use crate::output::{Failure, Output, document, stdout, tell_error};
use crate::table;
use crate::workspace;

/// Hash datasets again, and say what of them is damaged
///
/// All pieces are compared with the torrent's SHA-1s, and files with their pinned SHA-256. What is damaged is named by file
/// and bytes. The files are left as they are, but a damaged dataset no longer counts as complete: the next build that wants it
/// fetches what is damaged, as --repair does at once.
///
/// Exit status: 0 where all is right (or was repaired), 1 where something is damaged or not there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents verify
  cargo academictorrents verify mnist --repair
  cargo academictorrents verify --stored --json
  cargo academictorrents verify 323a0048d87ca79b68f12a6350a57776b6a3b7fb --into data")]
pub(crate) struct Arguments {
    /// Keys in the manifest, infohashes, magnet links or paths of .torrent files; without any, all that is declared here
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Everything in the store, whoever declares it
    #[arg(long, conflicts_with_all = ["names", "into"])]
    stored: bool,
    /// The directory that `get --into` filled, in place of the store
    #[arg(long, value_name = "DIR", requires = "names")]
    into: Option<PathBuf>,
    /// Fetch what is damaged of a dataset, or missing: no more than that, but where `files` selects some, the pieces
    /// that these share with others, too
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    workspace: workspace::Options,
}

/// A dataset that is to be verified, and what came of it.
struct Row {
    packages: Vec<String>,
    name: String,
    infohash: Option<Infohash>,
    asked: Option<Asked>,
    found: Result<Checked, Error>,
    repaired: Option<Repaired>,
}

pub(crate) fn run(arguments: &Arguments, common: &Common, output: &Output) -> Result<(), Failure> {
    let desk = common.desk()?;
    // What is hashed alone is begun anew by the next call, and leaves nothing to be told.
    if arguments.repair {
        interrupt::end_on_signal(desk.stop());
    }
    let mut rows = rows(arguments, common, &desk)?;
    let into = arguments.into.as_deref();
    let asked: Vec<&Asked> = rows.iter().filter_map(|row| row.asked.as_ref()).collect();
    let mut found = desk.verify(&asked, into).into_iter();
    for row in rows.iter_mut().filter(|row| row.asked.is_some()) {
        if let Some(found) = found.next() {
            row.found = found;
        }
    }
    if arguments.repair {
        let wanted: Vec<usize> =
            (0..rows.len()).filter(|at| rows[*at].is_for_repair(into.is_some())).collect();
        let asked: Vec<&Asked> = wanted.iter().filter_map(|at| rows[*at].asked.as_ref()).collect();
        let repaired = desk.repair(&asked, into);
        for (at, repaired) in wanted.into_iter().zip(repaired) {
            rows[at].repaired = Some(repaired);
        }
    }
    if output.json {
        let documents: Vec<_> = rows.iter().map(Row::document).collect();
        output.document(&json!({ "datasets": documents }));
    } else {
        table(&rows, output);
    }
    for row in &rows {
        row.tell(output, arguments.repair);
    }
    if rows.iter().all(Row::is_fine) {
        return Ok(());
    }
    if !arguments.repair && rows.iter().any(|row| row.is_for_repair(true)) {
        output.say("help: to fetch what is damaged, add --repair");
    }
    if rows.iter().any(|row| row.state() == State::Missing) {
        let verb = match (&arguments.into, arguments.names.is_empty()) {
            (Some(directory), _) => format!("get … --into {}", directory.display()),
            (None, true) => "fetch".to_owned(),
            (None, false) => "fetch, or get".to_owned(),
        };
        output.say(format_args!("help: to fetch what is not here: cargo academictorrents {verb}"));
    }
    Err(Failure::Told)
}

fn rows(arguments: &Arguments, common: &Common, desk: &Desk) -> Result<Vec<Row>, Failure> {
    if arguments.stored {
        let stored = desk.stored().into_iter();
        return Ok(stored.map(|(id, asked)| Row::new(Vec::new(), &id, asked)).collect());
    }
    let mut rows: Vec<Row> = Vec::new();
    if !arguments.names.is_empty() {
        for name in &arguments.names {
            let asked = arguments.workspace.dataset(name, common)?;
            rows.push(Row::new(Vec::new(), name, Ok(asked)));
        }
        return Ok(rows);
    }
    let declared = arguments.workspace.declared(common)?;
    for declared in declared.into_iter().filter(|it| it.features_off.is_empty()) {
        let is_same = |row: &&mut Row| {
            row.asked.as_ref().is_some_and(|asked| asked.is_same(&declared.dataset))
        };
        match rows.iter_mut().find(is_same) {
            Some(row) => row.packages.push(declared.package),
            None => {
                let name = declared.dataset.name().to_owned();
                rows.push(Row::new(vec![declared.package], &name, Ok(declared.dataset)));
            }
        }
    }
    Ok(rows)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Right,
    Repaired,
    Damaged,
    Missing,
    /// It could not be told.
    Failed,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Right => "ok",
            State::Repaired => "repaired",
            State::Damaged => "damaged",
            State::Missing => "missing",
            State::Failed => "failed",
        }
    }
}

impl Row {
    fn new(packages: Vec<String>, name: &str, asked: Result<Asked, Error>) -> Row {
        let nothing = Checked::nothing();
        let (asked, found) = match asked {
            Ok(asked) => (Some(asked), Ok(nothing)),
            Err(error) => (None, Err(error)),
        };
        let infohash = asked.as_ref().and_then(|asked| asked.infohash().ok().flatten());
        let name = match &asked {
            // An id, or a path: a torrent's own name is not what was asked for.
            Some(asked) if name.len() >= 40 && !name.contains(['/', '\\']) => asked.name(),
            _ => name,
        };
        Row { packages, name: tools::printable(name), infohash, asked, found, repaired: None }
    }

    fn state(&self) -> State {
        match (&self.repaired, &self.found) {
            (Some(repaired), Ok(found)) => match (&repaired.result, found.faults.is_empty()) {
                (Ok(_), false) => State::Repaired,
                (Ok(_), true) => State::Right,
                (Err(_), true) => State::Failed,
                (Err(_), false) => State::Damaged,
            },
            (_, Err(_)) => State::Failed,
            (_, Ok(found)) if found.path.is_none() => State::Missing,
            (_, Ok(found)) if found.faults.is_empty() => State::Right,
            _ => State::Damaged,
        }
    }

    fn is_fine(&self) -> bool {
        let is_optional = self.asked.as_ref().is_some_and(Asked::is_optional);
        match self.state() {
            State::Right | State::Repaired => true,
            State::Missing => is_optional,
            State::Damaged | State::Failed => false,
        }
    }

    /// Whether fetching helps. What is right, and has no stamp, gets one: builds would hash it otherwise.
    fn is_for_repair(&self, in_directory: bool) -> bool {
        let Ok(found) = &self.found else { return false };
        let is_ours = found.path.is_some() && found.whose != Whose::Named;
        let is_broken = found.faults.iter().any(|fault| fault.what != What::Pin);
        is_ours && (is_broken || (!in_directory && found.faults.is_empty() && !found.is_stamped))
    }

    /// What a table has no room for.
    fn tell(&self, output: &Output, repair: bool) {
        if let Err(error) = &self.found {
            tell_error(error);
        }
        if let Some(Repaired { result: Err(error), .. }) = &self.repaired {
            tell_error(error);
        }
        let Ok(found) = &self.found else { return };
        if let Some(why) = &found.still_stamped {
            output.warn(format_args!("`{}`: builds will go on using it: {why}", self.name));
        }
        if self.state() != State::Damaged {
            return;
        }
        let place =
            found.path.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
        match found.whose {
            Whose::Named => output.say(format_args!(
                "`{}`: {place} is a copy that a variable of the environment names\n  help: mend it, or unset the variable",
                self.name
            )),
            Whose::LoadPath if found.is_stamped => output.warn(format_args!(
                "`{}`: {place} is another store's, whose stamp still says that it is complete\n  help: --repair puts a copy into yours, which is used before it",
                self.name
            )),
            _ => {}
        }
        if found.faults.iter().all(|fault| fault.what == What::Pin) {
            output.say(format_args!(
                "`{}`: the torrent's own SHA-1s hold, so that fetching it again changes nothing\n  help: correct the pin in `sha256`, or ask where it came from",
                self.name
            ));
        } else if !repair && !found.unstamped.is_empty() {
            let others = found.unstamped.len() - 1;
            let others = match others {
                0 => String::new(),
                1 => ", nor does 1 other selection that shares its files".to_owned(),
                _ => format!(", nor do {others} other selections that share its files"),
            };
            output.say(format_args!("`{}` no longer counts as complete{others}", self.name));
        }
    }

    fn document(&self) -> Value {
        let nothing = Checked::nothing();
        let found = self.found.as_ref().unwrap_or(&nothing);
        let path = |path: &PathBuf| path.display().to_string();
        let repaired = self.repaired.as_ref().map(|repaired| {
            json!({
                "fetched_bytes": repaired.fetched_bytes,
                "path": repaired.result.as_ref().ok().map(path),
                "error": repaired.result.as_ref().err().map(document),
            })
        });
        json!({
            "packages": self.packages,
            "name": self.name,
            "infohash": self.infohash.map(|it| it.to_string()),
            "state": self.state().word(),
            "path": found.path.as_ref().map(path),
            "file_count": found.files,
            "size_bytes": found.size_bytes,
            "faults": found.faults.iter().map(fault_document).collect::<Vec<_>>(),
            "extra": found.extra.iter().map(path).collect::<Vec<_>>(),
            "unstamped": found.unstamped,
            "repaired": repaired,
            "error": self.found.as_ref().err().map(document),
        })
    }
}

fn table(rows: &[Row], output: &Output) {
    let name_width = rows.iter().map(|row| console::measure_text_width(&row.name)).max();
    let name_width = name_width.unwrap_or_default();
    for row in rows {
        let state = row.state();
        let pad = " ".repeat(name_width - console::measure_text_width(&row.name));
        let word = stdout(format!("{:8}", state.word()));
        let word = match state {
            State::Right | State::Repaired => word.green(),
            State::Missing => word.yellow(),
            State::Damaged | State::Failed => word.red(),
        };
        let Ok(found) = &row.found else {
            output.result(format_args!("{}{pad}  {}", row.name, word.to_string().trim_end()));
            continue;
        };
        let Some(path) = &found.path else {
            output.result(format_args!("{}{pad}  {}", row.name, word.to_string().trim_end()));
            continue;
        };
        let size = tools::size(found.size_bytes);
        let begin = format!("{}{pad}  {word}  {size:>10}", row.name);
        let line = format!("{begin}  {}", path.display());
        // A path that does not fit stands by itself, so that it can be copied whole.
        if table::width().is_some_and(|width| console::measure_text_width(&line) > width) {
            output.result(begin);
            output.result(format_args!("  {}", path.display()));
        } else {
            output.result(line);
        }
        faults(found, output);
        if let Some(Repaired { result: Ok(now), fetched_bytes }) = &row.repaired
            && state == State::Repaired
        {
            output.result(format_args!("  {} fetched", tools::size(*fetched_bytes)));
            if now != path {
                output.result(format_args!("  now at {}", now.display()));
            }
        }
    }
}

/// Lines on what is wrong; without `-v` no more than a screen has.
fn faults(found: &Checked, output: &Output) {
    const MOST: usize = 20;
    let mut lines = Vec::new();
    for fault in &found.faults {
        lines.extend(told(fault).into_iter().map(|what| format!("  {}: {what}", fault.file)));
    }
    let extra = found.extra.iter().map(|path| tools::printable(&path.display().to_string()));
    lines.extend(extra.map(|path| format!("  {path}: not one of the dataset's files")));
    let shown = if output.verbose || lines.len() <= MOST { lines.len() } else { MOST - 1 };
    for line in &lines[..shown] {
        output.result(line);
    }
    if shown < lines.len() {
        output.result(format_args!("  and {} more: -v shows all", lines.len() - shown));
    }
}

fn told(fault: &Fault) -> Vec<String> {
    let bytes = |part: &Range<u64>| {
        let size = tools::size(part.end - part.start);
        format!("bytes {} to {} ({size})", part.start, part.end - 1)
    };
    match &fault.what {
        What::Missing => vec!["missing".to_owned()],
        What::NotAFile => vec!["not a file".to_owned()],
        What::Unreadable(why) => vec![format!("cannot be read: {why}")],
        What::Length(found) => {
            let kind = if *found < fault.length_bytes { "cut short" } else { "too long" };
            vec![format!("{kind}: {found} bytes of {}", fault.length_bytes)]
        }
        What::Damaged(parts) => {
            parts.iter().map(|part| format!("damaged: {}", bytes(part))).collect()
        }
        What::Unchecked(parts) => {
            let why = "cannot be checked without the file beside it";
            parts.iter().map(|part| format!("{} {why}", bytes(part))).collect()
        }
        What::Pin => vec!["not the pinned SHA-256".to_owned()],
    }
}

fn fault_document(fault: &Fault) -> Value {
    let (kind, ranges, found, why) = match &fault.what {
        What::Missing => ("missing", &[][..], None, None),
        What::NotAFile => ("not-a-file", &[][..], None, None),
        What::Unreadable(why) => ("unreadable", &[][..], None, Some(why)),
        What::Length(found) => ("length", &[][..], Some(*found), None),
        What::Damaged(parts) => ("damaged", &parts[..], None, None),
        What::Unchecked(parts) => ("unchecked", &parts[..], None, None),
        What::Pin => ("sha256", &[][..], None, None),
    };
    let range = |part: &Range<u64>| json!({ "start_bytes": part.start, "end_bytes": part.end });
    json!({
        "file": fault.file,
        "kind": kind,
        "length_bytes": fault.length_bytes,
        "found_bytes": found,
        "ranges": ranges.iter().map(range).collect::<Vec<_>>(),
        "why": why,
    })
}
