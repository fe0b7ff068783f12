//! `cargo academictorrents info`.

mod listing;

use std::sync::Arc;

use academictorrents::Error;
use academictorrents::engine::counters::{Counters, Phase};
use academictorrents::engine::error::printable;
use academictorrents::engine::plan::Selection;
use academictorrents::engine::size::display as size;
use academictorrents::engine::torrent::{About, Metainfo};
use academictorrents::engine::url::Passkey;
use academictorrents::engine::{self, ProbeAnswer};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde_json::{Value, json};

use crate::app::App;
use crate::dataset_spec::DatasetSpec;
use crate::output::{Output, Result, stdout};
use crate::probes::{Answered, ProbeTarget};
use crate::{Common, torrent, words, workspace};
use listing::Listed;

/// Show what a dataset contains and which sources have it
///
/// Asks trackers for the number of seeds and leechers, and web seeds for the last byte of a file, in parallel and for at most
/// five seconds. No data is downloaded. A torrent that is not on this machine is looked up as by `get`.
///
/// If there are many files, directories are shown with the number of files in each; -v lists all files.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo academictorrents info mnist
  cargo academictorrents info 323a0048d87ca79b68f12a6350a57776b6a3b7fb -v
  cargo academictorrents info mnist.torrent --offline --json")]
pub(crate) struct InfoArguments {
    /// The dataset's key in the manifest, or an infohash, magnet link or path of a .torrent
    #[arg(value_name = "NAME|ID")]
    name: String,
    #[command(flatten)]
    workspace: workspace::WorkspaceFlags,
}

/// How many lines of the tree are shown without `-v`; a longer tree is shown by directory.
const MOST_LINES: usize = 20;

/// How many files beside the directories are shown at least.
const LEAST_FILES: usize = 3;

/// How many lines of the comment are shown without `-v`.
const MOST_COMMENT_LINES: usize = 6;

pub(crate) fn run(arguments: &InfoArguments, common: &Common, output: &Output) -> Result {
    let dataset = arguments.workspace.dataset(&arguments.name, common)?;
    let app = common.app()?;
    let info = Info::of(&app, &dataset).map_err(|error| dataset.named(error))?;
    let answers = app.ask(info.trackers.iter().chain(&info.web_seeds))?;
    if output.json {
        let files = listing::files(&info.metainfo).map(|file| match &file.link {
            None => json!({ "path": file.name, "size_bytes": file.bytes }),
            Some(link) => json!({ "path": file.name, "size_bytes": 0, "link_target": link }),
        });
        output.document_with(&in_json(&info, answers.as_deref()), "files", files);
        return Ok(());
    }
    for warning in &info.unsupported {
        output.warn(warning);
    }
    facts(&info, output);
    tree(&info, output);
    let answers = answers.as_ref();
    let (of_trackers, of_web_seeds) =
        answers.map(|answers| answers.split_at(info.trackers.len().min(answers.len()))).unzip();
    sources_of("Trackers", &info.trackers, of_trackers, output);
    sources_of("Web seeds", &info.web_seeds, of_web_seeds, output);
    if app.settings.offline {
        output.say(format_args!("no source was contacted: {}", app.settings.offline_reason()));
    }
    Ok(())
}

/// The contents of a torrent, and its sources.
struct Info {
    metainfo: Arc<Metainfo>,
    /// Printable; only the comment may have several lines.
    about: About,
    trackers: Vec<ProbeTarget>,
    web_seeds: Vec<ProbeTarget>,
    /// What a build of the package selects: number of files, and bytes.
    selected: Option<(usize, u64)>,
    /// What is downloaded for the selection, if that is more.
    size_note: Option<String>,
    /// Platforms that cannot store the files, and why.
    unsupported: Vec<String>,
}

impl Info {
    /// Looks the metainfo up like a download: vendored file, store, mirrors, catalog, peers. Does
    /// not keep it.
    ///
    /// # Errors
    /// Those of [`academictorrents::get()`] before any data is fetched, including a `files` that
    /// does not match.
    fn of(app: &App, dataset: &DatasetSpec) -> Result<Info, Error> {
        let counters = Arc::new(Counters::default());
        let request = &dataset.request;
        let row = counters.add(dataset.name());
        row.set_phase(Phase::Metainfo);
        let drawing = app.draw(&counters, false);
        let found = engine::locate(&app.session(&counters), request, None);
        row.set_phase(Phase::Done);
        drop(drawing);
        let located = found?;
        let mut about = Metainfo::about(&located.bytes);
        let comment = about.comment.iter().flat_map(|text| text.lines());
        let comment: Vec<_> = comment.map(|line| printable(line.trim_end())).collect();
        about.comment = about.comment.as_ref().map(|_| comment.join("\n"));
        for text in [&mut about.created_by, &mut about.license, &mut about.source] {
            *text = text.as_deref().map(printable);
        }
        let mut size_note = None;
        let (selected, metainfo, unsupported) = match request.is_whole() {
            true => {
                let selection = Selection::all(&located.metainfo);
                let unsupported = torrent::unsupported(&located.metainfo, &selection);
                (None, Arc::new(located.metainfo), unsupported)
            }
            false => {
                let resolved = located.select(request)?;
                let selected = (resolved.selection.files().len(), resolved.size_bytes());
                size_note = torrent::size_note(&resolved);
                let unsupported = torrent::unsupported(&resolved.metainfo, &resolved.selection);
                (Some(selected), resolved.metainfo, unsupported)
            }
        };
        let (trackers, web_seeds) = app.probe_targets(dataset, &metainfo)?;
        Ok(Info { metainfo, about, trackers, web_seeds, selected, size_note, unsupported })
    }
}

/// Keeps characters that are valid in a query (RFC 3986), so that URLs in it stay readable.
const IN_QUERY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'/');

/// Returns a magnet link with all trackers and web seeds whose URLs contain no secret.
fn magnet(metainfo: &Metainfo) -> String {
    let encoded = |bytes: &[u8]| percent_encode(bytes, IN_QUERY).to_string();
    let mut link = format!(
        "magnet:?xt=urn:btih:{}&dn={}&xl={}",
        metainfo.infohash,
        encoded(&metainfo.name),
        metainfo.geometry.total_bytes()
    );
    let trackers = metainfo.trackers.iter().flatten().map(|url| ("tr", url));
    let web_seeds = metainfo.web_seeds.iter().map(|url| ("ws", url));
    for (key, url) in trackers.chain(web_seeds) {
        let url = match url.passkey() {
            Passkey::InQuery(url) => url,
            _ => url.clone(),
        };
        // A remaining secret would be shared with the link.
        if !url.has_secrets() {
            link += &format!("&{key}={}", encoded(url.exposed().as_bytes()));
        }
    }
    link
}

fn facts(info: &Info, output: &Output) {
    let fact = |name: &str, text: &str| {
        let mut name = name;
        for line in text.lines() {
            output.result(format_args!("{name:<12}  {line}"));
            name = "";
        }
    };
    let metainfo = &info.metainfo;
    let bytes = torrent::size_bytes(metainfo);
    output.result(stdout(metainfo.shown_name()).bold());
    fact("infohash", &metainfo.infohash.to_string());
    fact("size", &format!("{} ({bytes} bytes)", size(bytes)));
    fact("files", &torrent::files(metainfo).count().to_string());
    if let Some((files, bytes)) = info.selected {
        let note = info.size_note.as_deref().map(|note| format!("\n{note}")).unwrap_or_default();
        fact("selected", &format!("{files} of them, {}{note}", size(bytes)));
    }
    let (pieces, piece) = (metainfo.geometry.piece_count(), metainfo.geometry.piece_bytes());
    fact("pieces", &format!("{pieces} of {}", size(piece.into())));
    if metainfo.private {
        fact("private", "yes: peers come only from its own trackers");
    }
    let created = match (info.about.created, &info.about.created_by) {
        (Some(date), Some(by)) => Some(format!("{} by {by}", day(date))),
        (Some(date), None) => Some(day(date)),
        (None, Some(by)) => Some(format!("by {by}")),
        (None, None) => None,
    };
    fact("created", created.as_deref().unwrap_or_default());
    fact("license", info.about.license.as_deref().unwrap_or_default());
    fact("source", info.about.source.as_deref().unwrap_or_default());
    let comment = info.about.comment.as_deref().unwrap_or_default();
    let lines: Vec<&str> = comment.lines().collect();
    if output.verbose || lines.len() <= MOST_COMMENT_LINES {
        fact("comment", comment);
    } else {
        let shown = lines[..MOST_COMMENT_LINES - 1].join("\n");
        fact("comment", &format!("{shown}\n… (-v shows all)"));
    }
    fact("magnet", &magnet(metainfo));
}

/// Formats a time in seconds since 1970 as a day in UTC: `2014-09-22`. Counts years from March, so
/// that the leap day is the last.
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

fn tree(info: &Info, output: &Output) {
    output.result(format_args!("\n{}", stdout("Files").bold()));
    let lines = listing::tree(&info.metainfo, &mut |_| false);
    if !output.verbose && lines > MOST_LINES as u64 {
        return directories(info, output);
    }
    listing::tree(&info.metainfo, &mut |listed| {
        let end = match (&listed.link, listed.files) {
            (Some(target), _) => format!(" -> {target}"),
            (None, Some(_)) => "/".to_owned(),
            (None, None) => String::new(),
        };
        tree_line(&listed, &end, output);
        true
    });
}

fn tree_line(Listed { name, bytes, depth, .. }: &Listed, end: &str, output: &Output) {
    let indent = "  ".repeat(*depth);
    output.result(format_args!("{:>12}  {indent}{name}{end}", size(*bytes)));
}

/// Prints one line per directory, as deep as there is room for, and files directly in the torrent's
/// directory.
fn directories(info: &Info, output: &Output) {
    let mut by_depth: Vec<usize> = Vec::new();
    listing::tree(&info.metainfo, &mut |listed| {
        if listed.files.is_some() {
            by_depth.resize(by_depth.len().max(listed.depth + 1), 0);
            by_depth[listed.depth] += 1;
        }
        true
    });
    let mut room = MOST_LINES;
    let deepest = by_depth.iter().enumerate().take_while(|(depth, count)| {
        let fits = **count <= room || *depth < 2;
        room = room.saturating_sub(if fits { **count } else { 0 });
        fits
    });
    let deepest = deepest.count();
    let (mut shown, mut left_out) = ([0; 2], [0; 2]);
    listing::tree(&info.metainfo, &mut |listed| {
        let (kind, is_meant, most) = match listed.files {
            Some(_) => (0, listed.depth < deepest, MOST_LINES),
            // Only files directly in the torrent's directory.
            None => (1, listed.depth < 2, room.max(LEAST_FILES)),
        };
        match (is_meant, shown[kind] < most) {
            (false, _) => {}
            (true, false) => left_out[kind] += 1,
            (true, true) => {
                shown[kind] += 1;
                let files =
                    listed.files.map(|files| format!("/  {}", words::count(files as u64, "file")));
                tree_line(&listed, &files.unwrap_or_default(), output);
            }
        }
        true
    });
    let more = match left_out {
        [0, 0] => String::new(),
        [0, files] => format!("and {files} more files next to the directories: "),
        [1, 0] => "and 1 more directory: ".to_owned(),
        [directories, _] => format!("and {directories} more directories: "),
    };
    let files = torrent::files(&info.metainfo).count();
    output.result(format_args!("{:>12}  {more}-v lists all {files} files", "…"));
}

/// Prints sources with the short answer first, so that the columns align: URLs have any length.
fn sources_of(title: &str, sources: &[ProbeTarget], answers: Option<&[Answered]>, output: &Output) {
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
            (true, 0) => "named   ".to_owned(),
            (true, tier) => format!("tier {tier}  "),
        };
        let padded = format!("{short:<width$}");
        let padded = match answers.is_some() {
            true if why.is_empty() => format!("{}  ", stdout(padded).green()),
            true => format!("{}  ", stdout(padded).yellow()),
            false => String::new(),
        };
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        output.result(format_args!("  {tier}{padded}{}{why}", source.url));
    }
}

/// Returns the answer in a few words, and why there is none.
pub(crate) fn told(answer: &Answered) -> (String, String) {
    match answer {
        Some(Ok(ProbeAnswer::Counts(counts))) => {
            let seeds = counts.seeds.map(|count| words::count(count, "seed"));
            let leechers = counts.leechers.map(|count| match count {
                1 => "1 leecher".to_owned(),
                count => format!("{count} leechers"),
            });
            let counts: Vec<_> = [seeds, leechers].into_iter().flatten().collect();
            let counts = if counts.is_empty() { "answers".to_owned() } else { counts.join(", ") };
            (counts, String::new())
        }
        Some(Ok(ProbeAnswer::Alive)) => ("has it".to_owned(), String::new()),
        Some(Err(why)) => ("no".to_owned(), printable(&why.to_string())),
        None => ("not asked".to_owned(), "excluded by `sources`".to_owned()),
    }
}

fn in_json(info: &Info, answers: Option<&[Answered]>) -> Value {
    let answer = |at: usize| answers.and_then(|answers| answers.get(at));
    let trackers = info.trackers.iter().enumerate().map(|(at, source)| {
        let counts = match answer(at) {
            Some(Some(Ok(ProbeAnswer::Counts(counts)))) => Some(counts),
            _ => None,
        };
        json!({
            "url": source.url,
            "tier": (source.tier > 0).then_some(source.tier),
            "answers": answer(at).map(|it| matches!(it, Some(Ok(ProbeAnswer::Counts(_))))),
            "seeds": counts.and_then(|counts| counts.seeds),
            "leechers": counts.and_then(|counts| counts.leechers),
            "why": answer(at).map(|it| told(it).1).filter(|why| !why.is_empty()),
        })
    });
    let web_seeds = info.web_seeds.iter().enumerate().map(|(at, source)| {
        let answer = answer(info.trackers.len() + at);
        json!({
            "url": source.url,
            "answers": answer.map(|it| matches!(it, Some(Ok(ProbeAnswer::Alive)))),
            "why": answer.map(|it| told(it).1).filter(|why| !why.is_empty()),
        })
    });
    let metainfo = &info.metainfo;
    json!({
        "infohash": metainfo.infohash.to_string(),
        "torrent_name": metainfo.shown_name(),
        "size_bytes": torrent::size_bytes(metainfo),
        "file_count": torrent::files(metainfo).count(),
        "files": [],
        "selected": info.selected.map(|(files, bytes)| json!({ "file_count": files, "size_bytes": bytes })),
        "piece_count": metainfo.geometry.piece_count(),
        "piece_bytes": metainfo.geometry.piece_bytes(),
        "private": metainfo.private,
        "created_unix_seconds": info.about.created,
        "created_by": info.about.created_by,
        "license": info.about.license,
        "source": info.about.source,
        "comment": info.about.comment,
        "magnet": magnet(metainfo),
        "warnings": info.unsupported,
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
        // Torrents may contain any number.
        assert!(day(i64::MIN).contains('-') && day(i64::MAX).contains('-'));
    }
}
