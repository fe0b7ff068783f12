//! Finding other sources when a download's own fail: a newer `.torrent` may list some.
//!
//! Academic Torrents changes the web seeds of its datasets over the years. A stored `.torrent`
//! lists those of its time.

use std::sync::Arc;
use std::time::Duration;

use super::Coordinator;
use crate::engine::sources::event::Refreshed;
use crate::engine::sources::phase::PeerPhase;
use crate::error::Error;
use crate::net::SourceError;
use crate::plan::{Rank, SourceSpec};
use crate::url::Url;

/// Finds a newer `.torrent`.
pub trait Refresh {
    /// Starts the request; the answer arrives as an event. Returns whether there is anything to
    /// ask.
    fn ask(&self, phase: &Arc<PeerPhase>) -> bool;
    /// Returns the sources in an answer that are new.
    ///
    /// # Errors
    /// The URL that was asked, and why there are no new sources.
    fn answered(
        &self,
        answer: Refreshed,
        phase: &PeerPhase,
    ) -> Result<Vec<SourceSpec>, (Url, SourceError)>;
}

/// The state of the refresh.
#[derive(Debug, Default)]
pub(super) enum RefreshState {
    #[default]
    NotAsked,
    Asked,
    /// New sources joined at this time.
    Joined(Duration),
    /// No new sources, and why.
    Failed(Url, SourceError),
    /// There is nothing to ask.
    Over,
}

impl RefreshState {
    /// When new sources joined; zero if none did.
    pub(super) fn joined(&self) -> Duration {
        if let RefreshState::Joined(at) = self { *at } else { Duration::ZERO }
    }

    pub(super) fn explain(&self, error: Error) -> Error {
        match self {
            RefreshState::Failed(url, why) => error.why(format!("{url}: {why}")),
            _ => error,
        }
    }
}

impl Coordinator<'_> {
    /// Asks for other sources if those of the torrent deliver nothing.
    pub(super) fn refresh_if_failing(&mut self, now: Duration) {
        let is_time = matches!(self.refreshing, RefreshState::NotAsked)
            && self.active == Some(Rank::Torrent)
            && self.refresh.is_some();
        if !is_time {
            return;
        }
        let timing = self.swarm.phase.client.timing();
        let quiet = now.saturating_sub(self.swarm.last_useful().max(self.active_since));
        // A short failure is not a reason to ask.
        if quiet >= timing.refresh || (quiet >= timing.back_off && self.all_fail()) {
            self.may_be_refreshed();
        }
    }

    fn all_fail(&mut self) -> bool {
        let undecided = self.manager.peers.is_looking_up() || !self.unheard_tiers.is_empty();
        !undecided && self.manager.falls_short()
    }

    /// Whether an answer with other sources is still pending. Asks for it if that was not done
    /// before.
    pub(super) fn may_be_refreshed(&mut self) -> bool {
        if let (RefreshState::NotAsked, Some(refresh)) = (&self.refreshing, self.refresh) {
            self.refreshing = match refresh.ask(&self.swarm.phase) {
                true => RefreshState::Asked,
                false => RefreshState::Over,
            };
        }
        matches!(self.refreshing, RefreshState::Asked)
    }

    pub(super) fn on_refreshed(&mut self, answer: Refreshed) {
        let Some(refresh) = self.refresh else { return };
        self.refreshing = match refresh.answered(answer, &self.swarm.phase) {
            Ok(sources) => {
                self.waiting.extend(sources);
                self.join(Rank::Torrent);
                self.pace = self.pace_from(self.active_since);
                RefreshState::Joined(self.active_since)
            }
            Err((url, why)) => RefreshState::Failed(url, why),
        };
    }
}
