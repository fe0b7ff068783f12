//! One dataset's counters at one moment, and the texts that bars and plain lines share.

use crate::counters::{DatasetCounters, Phase};
use crate::{error, size};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) name: String,
    pub(super) phase: Phase,
    pub(super) total_bytes: u64,
    pub(super) done_bytes: u64,
    pub(super) received_bytes: u64,
    pub(super) peers: u32,
    pub(super) web_seeds: u32,
    /// Bytes per second.
    pub(super) rate_bytes: u64,
    /// If requested, two texts per source: the line below the bar, and the words in a log.
    pub(super) sources: Vec<(String, String)>,
    /// The dataset's path once it is complete.
    pub(super) path: String,
    /// Set for the sum of all datasets while some sizes are unknown: the number of datasets that
    /// have ended, and of all.
    pub(super) open: Option<(u64, u64)>,
}

impl View {
    pub(super) fn of(dataset: &DatasetCounters) -> View {
        let reading = dataset.reading();
        View {
            name: printable(&dataset.name),
            phase: reading.phase,
            total_bytes: reading.total_bytes,
            done_bytes: reading.done_bytes,
            received_bytes: reading.received_bytes,
            peers: reading.peers,
            web_seeds: reading.web_seeds,
            rate_bytes: 0,
            sources: Vec::new(),
            path: dataset
                .path
                .get()
                .map(|path| error::printable(&path.display().to_string()))
                .unwrap_or_default(),
            open: None,
        }
    }

    /// Returns how many bytes of a complete dataset were fetched. Bytes received twice count once.
    pub(super) fn fetched_bytes(&self) -> u64 {
        match self.phase {
            Phase::Done => self.received_bytes.min(self.total_bytes),
            _ => 0,
        }
    }

    /// Rounded down, so that 100 means complete. `None` while the total is unknown.
    pub(super) fn percent(&self) -> Option<u8> {
        let percent = (u128::from(self.done_bytes) * 100).checked_div(self.total_bytes.into())?;
        Some(u8::try_from(percent).unwrap_or(100).min(100))
    }

    /// Returns the bar's position and length.
    pub(super) fn extent(&self) -> (u64, u64) {
        let bytes = (self.done_bytes.min(self.total_bytes), self.total_bytes);
        self.open.unwrap_or(bytes)
    }

    /// `"3.1 MiB/s"`.
    pub(super) fn rate(&self) -> String {
        format!("{}/s", size::display(self.rate_bytes))
    }

    /// `"2 peers"` and `"1 web seed"`; kinds without sources are left out.
    pub(super) fn sources(&self) -> Vec<String> {
        [(self.peers, "peer"), (self.web_seeds, "web seed")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, noun)| format!("{count} {noun}{}", if count == 1 { "" } else { "s" }))
            .collect()
    }
}

/// Returns what a dataset is doing, in words.
pub(super) fn activity(phase: Phase) -> &'static str {
    match phase {
        Phase::Queued => "queued",
        Phase::Waiting => "waiting for another build",
        Phase::Metainfo => "looking for the .torrent",
        Phase::Checking => "checking what is on disk",
        Phase::Fetching => "fetching",
        Phase::Unpacking => "unpacking",
        Phase::Publishing => "publishing",
        Phase::Done => "done",
        Phase::Failed => "failed",
        Phase::PassedOver => "skipped",
    }
}

/// Replaces control characters by spaces: names and messages may quote a torrent or a server, and
/// must not move the cursor.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
