//! `cargo academictorrents search`.

use std::time::Duration;

use academictorrents::engine::Document;
use academictorrents::engine::error::printable;
use academictorrents::engine::size::display as size;
use serde_json::json;

use crate::Common;
use crate::catalogue::{self, CatalogueEntry, Query, SearchResults};
use crate::output::{Failure, Output, Result, stdout};
use crate::words;

/// Search the catalog
///
/// Finds entries that contain all WORDS in title, description, category or infohash, ignoring case; quote a phrase. Matches in
/// titles come first. The catalog's database is downloaded once a day and kept in the store; --offline searches that copy.
///
/// The exit status is 1 if nothing is found.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents search mnist
  cargo academictorrents search 'chest x-ray' pneumonia --category dataset --limit 5
  cargo academictorrents search wikipedia --json")]
pub(crate) struct SearchArguments {
    /// Words to search for
    #[arg(value_name = "WORDS", required_unless_present = "category")]
    words: Vec<String>,
    /// Only entries of this category: `dataset`, `paper`, `course`, …
    #[arg(long, value_name = "NAME")]
    category: Option<String>,
    /// Number of results; 0 for all
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Download the database even if the copy is from today
    #[arg(long)]
    refresh: bool,
}

pub(crate) fn run(arguments: &SearchArguments, common: &Common, output: &Output) -> Result {
    let app = common.app()?;
    let database = app.database(arguments.refresh)?;
    for note in &database.notes {
        output.warn(note);
    }
    if database.age >= NEW && (app.settings.offline || !database.notes.is_empty()) {
        output.say(format_args!(
            "searching a copy of the catalog's database that is {} old",
            age(database.age)
        ));
    }
    // A word of only spaces matches everything.
    let words = arguments.words.iter().map(|word| word.trim().to_owned());
    let query = Query {
        words: words.filter(|word| !word.is_empty()).collect(),
        category: arguments.category.clone(),
        limit: (arguments.limit > 0).then_some(arguments.limit),
    };
    let found = query.run(&catalogue::text(&database.body));
    if output.json {
        output.document(&document(&query, &database, &found));
    } else {
        let width = console::Term::stdout().size_checked().map(|(_, width)| usize::from(width));
        for line in lines(&found.entries, width) {
            output.result(line);
        }
    }
    let left_out = found.matching - found.entries.len();
    if left_out > 0 {
        output.say(format_args!("{left_out} more: add words, or --limit {}", found.matching));
    }
    if found.matching > 0 {
        return Ok(());
    }
    if !output.json {
        output.say(nothing(&query, &found));
    }
    Err(Failure::Told)
}

/// The age of a younger copy is not mentioned.
const NEW: Duration = Duration::from_secs(60);

fn nothing(query: &Query, found: &SearchResults) -> String {
    let words: Vec<String> =
        query.words.iter().map(|word| format!("`{}`", printable(word))).collect();
    let mut text = format!("nothing found: {} entries searched", found.searched);
    if !words.is_empty() {
        text += &format!(" for {}", words.join(" and "));
    }
    if let Some(category) = &query.category {
        text += &format!(" in the category `{}`", printable(category));
        let is_known =
            found.categories.iter().any(|it| it.to_lowercase() == category.to_lowercase());
        if !is_known && !found.categories.is_empty() {
            let known: Vec<String> = found.categories.iter().map(|it| printable(it)).collect();
            text += &format!("\n  categories: {}", known.join(", "));
        }
    }
    text
}

/// `3 days`: the largest unit that occurs at least twice, or else seconds.
fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    words::count(count, unit)
}

/// If fewer columns remain for the title, it is printed on a separate line.
const TITLE: usize = 30;

/// Formats entries as columns: infohash, size, title. Cuts lines to the terminal's `width`, if
/// there is one.
fn lines(entries: &[CatalogueEntry], width: Option<usize>) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in entries {
        let size = entry.size_bytes.map_or_else(|| "?".to_owned(), self::size);
        let words: Vec<&str> = entry.title.split_whitespace().collect();
        let title = match words.is_empty() {
            true => "(without a title)".to_owned(),
            false => printable(&words.join(" ")),
        };
        let fitted = |room: usize| fitted(&title, room);
        let before = format!("{}  {size:>10}  ", entry.infohash);
        match width {
            None => lines.push(before + &title),
            Some(width) if width >= before.len() + TITLE => {
                let room = width - before.len();
                lines.push(stdout(before).dim().to_string() + &fitted(room));
            }
            Some(width) => {
                lines.push(fitted(width));
                lines.push(stdout(format!("  {}  {size}", entry.infohash)).dim().to_string());
            }
        }
    }
    lines
}

/// Cuts a text to this many columns of a terminal.
fn fitted(text: &str, room: usize) -> String {
    if text.chars().map(columns).sum::<usize>() <= room {
        return text.to_owned();
    }
    let mut left = room.saturating_sub(1);
    let fits = |c: &char| match left.checked_sub(columns(*c)) {
        Some(less) => {
            left = less;
            true
        }
        None => false,
    };
    let cut: String = text.chars().take_while(fits).collect();
    cut + "…"
}

/// Returns the width of a character on a terminal: East Asian characters and emoji take two columns
/// (approximately Unicode's annex 11, by blocks).
fn columns(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

fn document(query: &Query, database: &Document, found: &SearchResults) -> serde_json::Value {
    let entry = |entry: &CatalogueEntry| {
        json!({
            "infohash": entry.infohash.to_string(),
            "title": entry.title,
            "category": entry.category,
            "description": entry.description,
            "size_bytes": entry.size_bytes,
            "link": entry.link,
            "guid": entry.guid,
        })
    };
    json!({
        "words": query.words,
        "category": query.category,
        "results": found.entries.iter().map(entry).collect::<Vec<_>>(),
        "matching": found.matching,
        "searched": found.searched,
        "skipped": found.odd,
        "url": database.url.to_string(),
        "age_seconds": database.age.as_secs(),
        "notes": database.notes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(title: &str, size_bytes: Option<u64>) -> CatalogueEntry {
        CatalogueEntry {
            infohash: "323a0048d87ca79b68f12a6350a57776b6a3b7fb".parse().unwrap(),
            title: title.to_owned(),
            category: String::new(),
            description: String::new(),
            size_bytes,
            link: String::new(),
            guid: String::new(),
        }
    }

    #[track_caller]
    fn check(title: &str, size: Option<u64>, width: Option<usize>, expected: &[&str]) {
        assert_eq!(lines(&[entry(title, size)], width), expected);
    }

    #[test]
    fn lines_fit_the_terminal_and_are_whole_in_a_pipe() {
        console::set_colors_enabled(false);
        let hash = "323a0048d87ca79b68f12a6350a57776b6a3b7fb";
        let long = "x".repeat(200);
        check(&long, Some(11_594_722), None, &[&format!("{hash}    11.1 MiB  {long}")]);
        let cut = |count: usize| format!("{}…", "x".repeat(count));
        check(&long, None, Some(200), &[&format!("{hash}           ?  {}", cut(145))]);
        check(&long, Some(1), Some(60), &[&*cut(59), &format!("  {hash}  1 B")]);
        for width in [1, 60, 83, 84, 200] {
            for line in lines(&[entry(&long, Some(u64::MAX))], Some(width)) {
                let is_id = line.starts_with("  3");
                assert!(is_id || console::measure_text_width(&line) <= width, "{width}: {line}");
            }
        }
        check(
            "a\n b\u{1b}[31m\u{202e}",
            Some(0),
            None,
            &[&format!("{hash}         0 B  a b\\u{{1b}}[31m\\u{{202e}}")],
        );
        check(" ", Some(0), None, &[&format!("{hash}         0 B  (without a title)")]);
    }

    #[test]
    fn what_is_two_columns_wide_is_counted_so() {
        for (text, room, expected) in [
            ("手書き数字", 10, "手書き数字"),
            ("手書き数字", 9, "手書き数…"),
            ("手書き数字", 8, "手書き…"),
            ("a手", 2, "a…"),
            ("ab", 1, "…"),
            ("e\u{301}e\u{301}", 2, "e\u{301}e\u{301}"),
            ("", 0, ""),
        ] {
            assert_eq!(fitted(text, room), expected);
        }
    }

    #[test]
    fn an_age_is_said_in_the_largest_unit() {
        for (seconds, text) in [
            (1, "1 second"),
            (119, "119 seconds"),
            (7199, "119 minutes"),
            (90_000, "25 hours"),
            (260_000, "3 days"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), text);
        }
    }
}
