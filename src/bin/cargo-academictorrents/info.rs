//! `cargo academictorrents info`.

use std::collections::BTreeMap;

use academictorrents::tools::{self, Answered, Info, Witness};
use serde_json::{Value, json};

use crate::Common;
use crate::output::{Failure, Output, stdout};
use crate::workspace;

/// Show what a dataset holds, and who has it right now
///
/// Trackers are asked for the number of seeds and leeches, web seeds for the first byte of a file: all at the same time, and none
/// for longer than five seconds. No data is fetched. A torrent that is not at hand is looked up as `get` does.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents info mnist
  cargo academictorrents info 323a0048d87ca79b68f12a6350a57776b6a3b7fb -v
  cargo academictorrents info mnist.torrent --offline --json")]
pub(crate) struct Arguments {
    /// The dataset's key in the manifest, or an infohash, magnet link or path of a .torrent
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    workspace: workspace::Options,
}

/// So many lines of the tree are shown without `-v`.
const MOST_LINES: usize = 20;

/// So many of the comment's.
const MOST_COMMENT_LINES: usize = 6;

pub(crate) fn run(arguments: &Arguments, common: &Common, output: &Output) -> Result<(), Failure> {
    let dataset = arguments.workspace.dataset(&arguments.name, common)?;
    let desk = common.desk()?;
    let info = desk.info(&dataset)?;
    let sources: Vec<&Witness> = info.trackers.iter().chain(&info.web_seeds).collect();
    let answers = desk.ask(&sources)?;
    if output.json {
        output.document(&in_json(&info, answers.as_deref()));
        return Ok(());
    }
    facts(&info, output);
    tree(&info, output);
    let (of_trackers, of_web_seeds) = match &answers {
        Some(answers) => {
            let (trackers, web_seeds) = answers.split_at(info.trackers.len().min(answers.len()));
            (Some(trackers), Some(web_seeds))
        }
        None => (None, None),
    };
    sources_of("Trackers", &info.trackers, of_trackers, output);
    sources_of("Web seeds", &info.web_seeds, of_web_seeds, output);
    if let Some(why) = desk.offline_reason() {
        output.say(format_args!("nobody was asked: {why}"));
    }
    Ok(())
}

fn facts(info: &Info, output: &Output) {
    let fact = |name: &str, text: &str| {
        let mut name = name;
        for line in text.lines() {
            output.result(format_args!("{name:<12}  {line}"));
            name = "";
        }
    };
    output.result(stdout(&info.name).bold());
    fact("infohash", &info.infohash.to_string());
    fact("size", &format!("{} ({} bytes)", tools::size(info.size_bytes), info.size_bytes));
    fact("files", &info.files.len().to_string());
    if let Some((files, bytes)) = info.selected {
        fact("selected", &format!("{files} of them, {}", tools::size(bytes)));
    }
    fact("pieces", &format!("{} of {}", info.pieces, tools::size(info.piece_bytes.into())));
    if info.is_private {
        fact("private", "yes: its peers come from its own trackers alone");
    }
    let created = match (info.about.created, &info.about.created_by) {
        (Some(date), Some(by)) => Some(format!("{} by {by}", day(date))),
        (Some(date), None) => Some(day(date)),
        (None, Some(by)) => Some(format!("by {by}")),
        (None, None) => None,
    };
    fact("created", created.as_deref().unwrap_or_default());
    fact("licence", info.about.licence.as_deref().unwrap_or_default());
    fact("source", info.about.source.as_deref().unwrap_or_default());
    let comment = info.about.comment.as_deref().unwrap_or_default();
    let lines: Vec<&str> = comment.lines().collect();
    if output.verbose || lines.len() <= MOST_COMMENT_LINES {
        fact("comment", comment);
    } else {
        let shown = lines[..MOST_COMMENT_LINES - 1].join("\n");
        fact("comment", &format!("{shown}\n… (-v shows all)"));
    }
    fact("magnet", &info.magnet);
}

/// The day of a time in seconds since 1970, in UTC: `2014-09-22`. By the calendar's own arithmetic, in which years begin in March.
fn day(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400).clamp(-1_000_000_000, 1_000_000_000) + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{of_month:02}")
}

/// A directory: its own by name, and its files.
#[derive(Default)]
struct Directory<'a> {
    directories: BTreeMap<&'a str, Directory<'a>>,
    files: Vec<(&'a str, u64)>,
    bytes: u64,
}

impl<'a> Directory<'a> {
    fn add(&mut self, path: &'a [String], bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        match path {
            [] => {}
            [name] => self.files.push((name, bytes)),
            [name, rest @ ..] => self.directories.entry(name).or_default().add(rest, bytes),
        }
    }

    /// Each line's text, and the size that belongs to it.
    fn lines(&self, depth: usize, lines: &mut Vec<(String, u64)>) {
        let indent = "  ".repeat(depth);
        for (name, directory) in &self.directories {
            lines.push((format!("{indent}{name}/"), directory.bytes));
            directory.lines(depth + 1, lines);
        }
        lines.extend(self.files.iter().map(|(name, bytes)| (format!("{indent}{name}"), *bytes)));
    }
}

fn tree(info: &Info, output: &Output) {
    let mut root = Directory::default();
    for (path, bytes) in &info.files {
        root.add(path, *bytes);
    }
    let mut lines = Vec::new();
    if info.is_folder {
        lines.push((format!("{}/", info.name), root.bytes));
        root.lines(1, &mut lines);
    } else {
        root.lines(0, &mut lines);
    }
    let shown = if output.verbose || lines.len() <= MOST_LINES { lines.len() } else { MOST_LINES };
    output.result(format_args!("\n{}", stdout("Files").bold()));
    for (name, bytes) in &lines[..shown] {
        output.result(format_args!("{:>12}  {name}", tools::size(*bytes)));
    }
    if shown < lines.len() {
        let more = lines.len() - shown;
        output.result(format_args!("{:>12}  and {more} more: -v shows all", "…"));
    }
}

/// First what is short, so that it lines up: a URL may be of any length.
fn sources_of(title: &str, sources: &[Witness], answers: Option<&[Answered]>, output: &Output) {
    output.result(format_args!("\n{}", stdout(title).bold()));
    if sources.is_empty() {
        output.result("  none");
    }
    let told: Vec<(String, String)> = match answers {
        Some(answers) => answers.iter().map(told).collect(),
        None => sources.iter().map(|_| (String::new(), String::new())).collect(),
    };
    let width = told.iter().map(|(short, _)| short.len()).max().unwrap_or_default();
    let tiers = sources.iter().any(|source| source.tier > 1);
    for (source, (short, why)) in sources.iter().zip(&told) {
        let tier = match (tiers, source.tier) {
            (false, _) => String::new(),
            (true, 0) => "  named ".to_owned(),
            (true, tier) => format!("  tier {tier}"),
        };
        let padded = format!("{short:<width$}");
        let padded = match answers.is_some() {
            true if why.is_empty() => format!("{}  ", stdout(padded).green()),
            true => format!("{}  ", stdout(padded).yellow()),
            false => String::new(),
        };
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        let tier = if tier.is_empty() { String::new() } else { format!("{}  ", tier.trim_start()) };
        output.result(format_args!("  {tier}{padded}{}{why}", source.url));
    }
}

/// In few words, and why not.
pub(crate) fn told(answer: &Answered) -> (String, String) {
    let count = |count: Option<u64>, one: &str, more: &str| {
        count.map(|count| format!("{count} {}", if count == 1 { one } else { more }))
    };
    match answer {
        Answered::Counts { seeds, leeches } => {
            let counts = [count(*seeds, "seed", "seeds"), count(*leeches, "leech", "leeches")];
            let counts: Vec<_> = counts.into_iter().flatten().collect();
            let counts = if counts.is_empty() { "answers".to_owned() } else { counts.join(", ") };
            (counts, String::new())
        }
        Answered::Alive => ("has it".to_owned(), String::new()),
        Answered::LeftOut => ("not asked".to_owned(), "left out by `sources`".to_owned()),
        Answered::Failed(why) => ("no".to_owned(), why.clone()),
    }
}

fn in_json(info: &Info, answers: Option<&[Answered]>) -> Value {
    let files: Vec<_> = info
        .files
        .iter()
        .map(|(path, bytes)| json!({ "path": path.join("/"), "size_bytes": bytes }))
        .collect();
    let answer = |at: usize| answers.and_then(|answers| answers.get(at));
    let trackers = info.trackers.iter().enumerate().map(|(at, source)| {
        let (seeds, leeches) = match answer(at) {
            Some(Answered::Counts { seeds, leeches }) => (*seeds, *leeches),
            _ => (None, None),
        };
        json!({
            "url": source.url,
            "tier": (source.tier > 0).then_some(source.tier),
            "answers": answer(at).map(|it| matches!(it, Answered::Counts { .. })),
            "seeds": seeds,
            "leeches": leeches,
            "why": answer(at).map(|it| told(it).1).filter(|why| !why.is_empty()),
        })
    });
    let web_seeds = info.web_seeds.iter().enumerate().map(|(at, source)| {
        let answer = answer(info.trackers.len() + at);
        json!({
            "url": source.url,
            "answers": answer.map(|it| *it == Answered::Alive),
            "why": answer.map(|it| told(it).1).filter(|why| !why.is_empty()),
        })
    });
    json!({
        "infohash": info.infohash.to_string(),
        "torrent_name": info.name,
        "size_bytes": info.size_bytes,
        "file_count": info.files.len(),
        "files": files,
        "selected": info.selected.map(|(files, bytes)| json!({ "file_count": files, "size_bytes": bytes })),
        "piece_count": info.pieces,
        "piece_bytes": info.piece_bytes,
        "private": info.is_private,
        "created_unix_seconds": info.about.created,
        "created_by": info.about.created_by,
        "licence": info.about.licence,
        "source": info.about.source,
        "comment": info.about.comment,
        "magnet": info.magnet,
        "trackers": trackers.collect::<Vec<_>>(),
        "web_seeds": web_seeds.collect::<Vec<_>>(),
        "asked": answers.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::day;

    #[test]
    fn a_time_is_shown_as_its_day() {
        assert_eq!(day(1_411_423_377), "2014-09-22");
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(day(-1), "1969-12-31");
        assert_eq!(day(951_782_400), "2000-02-29");
        assert_eq!(day(4_107_542_400), "2100-03-01");
        // Anyone may write a number there.
        assert!(day(i64::MIN).contains('-') && day(i64::MAX).contains('-'));
    }
}
