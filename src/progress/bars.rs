//! Decides which lines a terminal of a given size shows.
//!
//! One line per dataset that has not ended, then the newest messages. Datasets being fetched are
//! aligned in columns. Columns that do not fit are left out from the right; below 40 columns,
//! everything but name and percent is. Text is ASCII: the width that `indicatif` assumes for other
//! characters depends on features that another crate of the build may enable.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::frame::Line;
use super::view::{self, View};
use crate::counters::Phase;
use crate::size;

/// The terminal's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rows: u16,
    pub(super) columns: u16,
}

const NARROW: u16 = 40;
const LONGEST_NAME: usize = 24;
const BAR: std::ops::RangeInclusive<usize> = 8..=40;
/// How many messages are shown below the bars.
const MESSAGES: usize = 2;
/// The minimum widths of percent, done/total, rate, time left, peers and web seeds, so that the
/// length of the bars does not change with every digit.
const COLUMNS: [usize; 6] = [4, 16, 11, 10, 8, 11];
/// The columns of [`COLUMNS`] that count sources.
const SOURCES: std::ops::Range<usize> = 4..6;
const GAP: usize = 2;

/// Renders the rows one after another with a single `indicatif` bar.
pub(super) struct Bars {
    bar: ProgressBar,
    line: Line,
    bar_width: usize,
    /// Summarizes all datasets in one more line, if wanted.
    pub(super) total: fn(&[View]) -> Option<View>,
    /// Adds lines for the sources of the shown datasets where there is room.
    pub(super) with_sources: fn(Vec<String>, &[&View], usize) -> Vec<String>,
}

impl Bars {
    pub(super) fn new() -> Bars {
        let line = Line::default();
        let target = ProgressDrawTarget::term_like(Box::new(line.clone()));
        Bars {
            bar: ProgressBar::with_draw_target(None, target),
            line,
            bar_width: 0,
            total: |_| None,
            with_sources: |lines, _, _| lines,
        }
    }

    /// Returns the lines for datasets and messages; none if all datasets have ended.
    pub(super) fn lines(&mut self, views: &[View], messages: &[&str], size: Size) -> Vec<String> {
        let live = views.iter().filter(|view| !view.phase.is_over());
        let (queued, mut live): (Vec<_>, Vec<_>) =
            live.partition(|view| view.phase == Phase::Queued);
        // Cargo's bar and the empty line below it take the other two rows: see `frame`.
        let rows = usize::from(size.rows.saturating_sub(2));
        if (live.is_empty() && queued.is_empty()) || rows == 0 {
            return Vec::new();
        }
        let said = messages.len().min(MESSAGES).min(rows / 3);
        let rows = rows - said;
        let total = (self.total)(views).filter(|_| rows > 2);
        let for_datasets = rows - usize::from(total.is_some());
        // Queued datasets are shown only if all datasets fit.
        let all = live.len() + queued.len();
        if all <= for_datasets {
            live.extend(queued);
        } else {
            live.truncate(for_datasets - 1);
        }
        let more = all - live.len();
        let datasets = live.len();
        live.extend(&total);

        let mut lines: Vec<String> = if size.columns < NARROW {
            live.iter().map(|view| narrow(view, usize::from(size.columns))).collect()
        } else {
            self.wide(&live, size.columns)
        };
        if more > 0 {
            lines.insert(datasets, format!("and {more} more"));
        }
        live.truncate(datasets);
        lines = (self.with_sources)(lines, &live, rows);
        let newest = messages.iter().skip(messages.len() - said);
        lines.extend(newest.map(|message| view::printable(message)));
        lines
    }

    fn wide(&mut self, views: &[&View], columns: u16) -> Vec<String> {
        // The last column stays empty: see `frame`.
        let columns = columns.saturating_sub(1);
        let longest = LONGEST_NAME.min(usize::from(columns) / 3);
        let names: Vec<String> = views.iter().map(|view| short(&view.name, longest)).collect();
        let name_width = names.iter().map(String::len).max().unwrap_or(0);
        let mut cells: Vec<_> = views.iter().map(|view| cells(view)).collect();
        let mut least = COLUMNS.to_vec();
        // A kind of source that no dataset has takes no space.
        for kind in SOURCES.rev() {
            let unused = |cells: &Vec<String>| cells.get(kind).is_none_or(String::is_empty);
            if cells.iter().all(unused) {
                least.remove(kind);
                cells.iter_mut().for_each(|cells| drop(cells.remove(kind)));
            }
        }
        let widths: Vec<usize> = least
            .iter()
            .enumerate()
            .map(|(i, least)| {
                let widest = cells.iter().filter_map(|cells| cells.get(i)).map(String::len).max();
                widest.unwrap_or(0).max(*least)
            })
            .collect();
        let (shown, bar_width) = fit(usize::from(columns), name_width, &widths);
        self.set_bar_width(bar_width);
        self.line.set_columns(columns);
        views
            .iter()
            .zip(names)
            .zip(&cells)
            .map(|((view, name), cells)| {
                let name = format!("{name:name_width$}");
                if matches!(view.phase, Phase::Fetching | Phase::Checking | Phase::Unpacking)
                    && view.total_bytes > 0
                {
                    let cells = cells.iter().zip(&widths).take(shown);
                    let message = cells.map(|(cell, width)| format!("{cell:>width$}"));
                    let message = message.collect::<Vec<_>>().join(&" ".repeat(GAP));
                    self.row(view, name, message)
                } else {
                    format!("{name}  {}", doing(view))
                }
            })
            .collect()
    }

    fn set_bar_width(&mut self, width: usize) {
        if width != self.bar_width {
            let template = format!("{{prefix}}  [{{bar:{width}}}]  {{msg}}");
            if let Ok(style) = ProgressStyle::with_template(&template) {
                self.bar.set_style(style.progress_chars("=> "));
                self.bar_width = width;
            }
        }
    }

    fn row(&self, view: &View, name: String, message: String) -> String {
        let (position, length) = view.extent();
        let bar = self.bar.clone().with_prefix(name).with_message(message).with_position(position);
        // Only this last call draws.
        bar.set_length(length);
        self.line.take()
    }
}

/// Returns how many columns fit beside a bar, and the width of the bar.
fn fit(columns: usize, name_width: usize, widths: &[usize]) -> (usize, usize) {
    // Name, gap and brackets.
    let mut left = columns.saturating_sub(name_width + GAP + 2);
    let mut shown = 0;
    for width in widths {
        let next = left.checked_sub(GAP + width).filter(|left| left >= BAR.start());
        let Some(next) = next else { break };
        left = next;
        shown += 1;
    }
    (shown, left.clamp(*BAR.start(), *BAR.end()))
}

/// Returns the texts to the right of the bar. Texts of source kinds that a dataset does not have
/// are empty.
fn cells(view: &View) -> Vec<String> {
    if let Phase::Checking | Phase::Unpacking = view.phase {
        let mut cells = vec![String::new(); COLUMNS.len()];
        cells[0] = format!("{}%", view.percent().unwrap_or(0));
        cells[1] = if view.phase == Phase::Checking { "checking" } else { "unpacking" }.to_owned();
        return cells;
    }
    let [peers, seeds] =
        [(view.peers, "peer"), (view.web_seeds, "web seed")].map(|(count, noun)| match count {
            0 => String::new(),
            1 => format!("1 {noun} "),
            _ => format!("{count} {noun}s"),
        });
    let (percent, bytes) = share(view);
    vec![
        percent,
        bytes,
        view.rate(),
        match time_left(view) {
            Some(left) => format!("{left} left"),
            None if view.sources().is_empty() => "no source".to_owned(),
            None => String::new(),
        },
        peers,
        seeds,
    ]
}

/// Returns percent, and done/total bytes. If the total is unknown, only the bytes done.
fn share(view: &View) -> (String, String) {
    if view.open.is_some() {
        return (String::new(), size::display(view.done_bytes));
    }
    let percent = format!("{}%", view.percent().unwrap_or(0));
    (percent, ratio(view.done_bytes, view.total_bytes))
}

/// `"4.8/11.1 MiB"`, or `"900.0 KiB/11.1 MiB"`.
fn ratio(done: u64, total: u64) -> String {
    let (done, total) = (size::display(done), size::display(total));
    match (done.split_once(' '), total.split_once(' ')) {
        (Some((number, unit)), Some((_, of))) if unit == of => format!("{number}/{total}"),
        _ => format!("{done}/{total}"),
    }
}

/// Formats the remaining time as `"0:07"`, `"12:34"`, `"1:02:03"` or `"3 days"`. Returns `None` if
/// it cannot be estimated.
fn time_left(view: &View) -> Option<String> {
    if view.open.is_some() {
        return None;
    }
    let left = view.total_bytes.saturating_sub(view.done_bytes);
    let seconds = Duration::from_secs(left.checked_div(view.rate_bytes)?).as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => Some(format!("{minutes}:{rest:02}")),
        1..=47 => Some(format!("{hours}:{minutes:02}:{rest:02}")),
        48..24_000 => Some(format!("{} days", hours / 24)),
        _ => None,
    }
}

/// Returns the text shown in place of a bar.
fn doing(view: &View) -> String {
    let what = view::activity(view.phase);
    match (view.phase, view.percent()) {
        (Phase::Checking | Phase::Unpacking, Some(percent)) => format!("{what}: {percent}%"),
        _ => what.to_owned(),
    }
}

fn narrow(view: &View, columns: usize) -> String {
    let percent = match (view.phase, view.percent()) {
        (Phase::Fetching | Phase::Checking | Phase::Unpacking, Some(percent)) => {
            format!(" {percent}%")
        }
        _ => String::new(),
    };
    short(&view.name, columns.saturating_sub(6)) + &percent
}

/// Returns the name in ASCII, cut to this many columns.
fn short(name: &str, columns: usize) -> String {
    let mut name: String = name.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
    if name.len() > columns {
        name.truncate(columns.saturating_sub(2));
        name.push_str("..");
    }
    name
}
