//! Other sources for a download whose own fail: a newer `.torrent` may name them.
//!
//! Academic Torrents changes the web seeds of its datasets over the years. A `.torrent` that was kept names those of its day.

use std::sync::Arc;
use std::time::Duration;

use super::Coordinator;
use crate::engine::sources::event::Refreshed;
use crate::engine::sources::phase::PeerPhase;
use crate::error::Error;
use crate::net::SourceError;
use crate::plan::{Rank, SourceSpec};
use crate::url::Url;

/// Who has a newer `.torrent`.
pub trait Refresh {
    /// Begins to ask for it; the answer is an event. Whether there is anybody to ask.
    fn ask(&self, phase: &Arc<PeerPhase>) -> bool;
    /// The sources in an answer that are new.
    ///
    /// # Errors
    /// Who was asked, and why there are none.
    fn answered(
        &self,
        answer: Refreshed,
        phase: &PeerPhase,
    ) -> Result<Vec<SourceSpec>, (Url, SourceError)>;
}

/// How far that is.
#[derive(Debug, Default)]
pub(super) enum RefreshState {
    #[default]
    NotAsked,
    Asked,
    /// Since then there are other sources.
    Joined(Duration),
    /// Why there are none.
    Failed(Url, SourceError),
    /// There is nobody to ask.
    Over,
}

impl RefreshState {
    /// When other sources joined.
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
    /// Asks for other sources where nothing comes of those that the torrent names.
    pub(super) fn refresh_if_failing(&mut self, now: Duration) {
        let is_time = matches!(self.refreshing, RefreshState::NotAsked)
            && self.active == Some(Rank::Torrent)
            && self.refresh.is_some();
        if !is_time {
            return;
        }
        let timing = self.swarm.phase.client.timing();
        let quiet = now.saturating_sub(self.swarm.last_useful().max(self.active_since));
        // One that fails for a moment is no reason.
        if quiet >= timing.refresh || (quiet >= timing.back_off && self.all_fail()) {
            self.may_be_refreshed();
        }
    }

    fn all_fail(&mut self) -> bool {
        let undecided = self.manager.peers.is_looking_up() || !self.unheard_tiers.is_empty();
        !undecided && self.manager.falls_short()
    }

    /// Whether there may be other sources. Asks for them, if that was not done before.
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
