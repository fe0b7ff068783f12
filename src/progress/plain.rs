//! Plain lines for a log, kept few. Time is passed as an argument.
//!
//! One line per change of a dataset's phase, except for waiting, which has its own message. While a
//! dataset is fetched or unpacked, a line when ten seconds and ten percent have passed since the
//! last, and at the latest every five minutes, so that slow progress is visible.

use std::time::Duration;

use super::view::{self, View};
use crate::counters::Phase;
use crate::size;

const EVERY: Duration = Duration::from_secs(10);
const EVERY_PERCENT: u8 = 10;
const AT_LEAST_EVERY: Duration = Duration::from_secs(300);

/// What was already printed, by dataset.
#[derive(Debug, Default)]
pub(super) struct PlainLog {
    said: Vec<PrintedState>,
    /// Lines on what was fetched since the last call, which are also printed for users who see only
    /// bars.
    pub(super) fetched: Vec<String>,
    /// Whether a line on progress or the end is followed by one line per source.
    pub(super) with_sources: bool,
}

#[derive(Clone, Copy, Debug)]
struct PrintedState {
    phase: Phase,
    at: Duration,
    percent: u8,
    /// When the dataset left the queue.
    begun: Duration,
}

impl PlainLog {
    /// Returns the lines that are due. `views` keep their order between calls, new ones at the end.
    pub(super) fn lines(&mut self, now: Duration, views: &[View]) -> Vec<String> {
        let new = PrintedState { phase: Phase::Queued, at: now, percent: 0, begun: now };
        self.said.resize(views.len().max(self.said.len()), new);
        let mut lines = Vec::new();
        for (view, said) in views.iter().zip(&mut self.said) {
            let before = said.phase;
            let Some(line) = said.line(now, view) else { continue };
            lines.push(prefixed(&line));
            if view.fetched_bytes() > 0 {
                self.fetched.push(prefixed(&line));
            }
            if self.with_sources && (view.phase == before || view.phase.is_over()) {
                let sources = view.sources.iter();
                lines
                    .extend(sources.map(|(_, said)| prefixed(&format!("{}:   {said}", view.name))));
            }
        }
        lines
    }
}

impl PrintedState {
    fn line(&mut self, now: Duration, view: &View) -> Option<String> {
        let percent = view.percent().unwrap_or(0);
        let since = now.saturating_sub(self.at);
        let text = if view.phase != self.phase {
            if self.phase == Phase::Queued {
                self.begun = now;
                // Everything was present: a build without work prints nothing. If data was received
                // between two calls, the line is printed.
                if view.phase == Phase::Done && view.received_bytes == 0 {
                    self.phase = Phase::Done;
                    return None;
                }
            }
            if matches!(view.phase, Phase::Waiting | Phase::PassedOver) {
                self.phase = view.phase;
                return None;
            }
            changed(view, now.saturating_sub(self.begun))
        } else if matches!(view.phase, Phase::Fetching | Phase::Unpacking)
            && (since >= AT_LEAST_EVERY
                || since >= EVERY && percent.saturating_sub(self.percent) >= EVERY_PERCENT)
        {
            match view.phase {
                Phase::Unpacking => unpacking(view),
                _ => fetching(view),
            }
        } else {
            return None;
        };
        (self.phase, self.at, self.percent) = (view.phase, now, percent);
        Some(format!("{}: {text}", view.name))
    }
}

/// Marks a line as ours among the output of other programs.
pub(super) fn prefixed(line: &str) -> String {
    format!("academictorrents: {}", view::printable(line))
}

fn changed(view: &View, since: Duration) -> String {
    let what = view::activity(view.phase);
    match (view.phase, view.percent()) {
        (Phase::Fetching, Some(percent)) => {
            let here = if percent > 0 { format!(", {percent}% done") } else { String::new() };
            format!("{what} {}{here}", size::display(view.total_bytes))
        }
        (Phase::Unpacking, Some(_)) => format!("{what} {}", size::display(view.total_bytes)),
        (Phase::Done, _) if view.fetched_bytes() > 0 => {
            let (bytes, path) = (size::display(view.fetched_bytes()), &view.path);
            format!("fetched {bytes} in {}: {path}", size::seconds(since))
        }
        (Phase::Done, Some(_)) => {
            format!("{what}: {} in {} s", size::display(view.total_bytes), since.as_secs())
        }
        (Phase::Done, None) => format!("{what} in {} s", since.as_secs()),
        (Phase::Failed, _) => format!("{what} after {} s", since.as_secs()),
        _ => what.to_owned(),
    }
}

fn unpacking(view: &View) -> String {
    let percent = view.percent().unwrap_or(0);
    format!("unpacking: {percent}% of {}", size::display(view.total_bytes))
}

fn fetching(view: &View) -> String {
    let share = format!("{}% of {}", view.percent().unwrap_or(0), size::display(view.total_bytes));
    let mut parts = vec![share, view.rate()];
    parts.extend(view.sources());
    if view.peers == 0 && view.web_seeds == 0 {
        parts.push("no source".to_owned());
    }
    parts.join(", ")
}
