//! Asking the catalog for a newer `.torrent` when a download's sources fail.

use std::sync::{Arc, OnceLock};

use super::work::Work;
use crate::address::NamedBy;
use crate::engine::resolve::CatalogTorrent;
use crate::engine::sources::coordinator::Refresh;
use crate::engine::sources::event::{Refreshed, WorkerEvent};
use crate::engine::sources::phase::PeerPhase;
use crate::engine::thread::start_thread;
use crate::net::SourceError;
use crate::plan::{self, SourceSpec};
use crate::torrent::metainfo::Metainfo;
use crate::url::Url;

/// Access to the catalog, if it may be asked.
pub struct FromCatalogue<'a> {
    work: &'a Work<'a>,
    known: Vec<SourceSpec>,
    /// The default trackers, for a torrent that names no source.
    defaults: Vec<SourceSpec>,
    /// The newer `.torrent` from the catalog, and its bytes.
    newer: OnceLock<(Arc<Metainfo>, Vec<u8>)>,
}

impl<'a> FromCatalogue<'a> {
    /// `known`: the sources of the download. `defaults` are used if the catalog lists no other
    /// sources.
    pub fn new(
        work: &'a Work<'a>,
        known: Vec<SourceSpec>,
        defaults: Vec<SourceSpec>,
    ) -> FromCatalogue<'a> {
        FromCatalogue { work, known, defaults, newer: OnceLock::new() }
    }

    /// Returns the defaults to use from the start, which is if the catalog will not be asked.
    pub fn defaults_at_once(&self) -> Vec<SourceSpec> {
        if self.may_ask() { Vec::new() } else { self.defaults.clone() }
    }

    fn may_ask(&self) -> bool {
        let Work { session, request, resolved, .. } = self.work;
        !session.settings.offline
            && request.sources.and(session.settings.sources).catalogue
            && session.network.of_catalogue(resolved.metainfo.infohash).is_none()
    }

    fn url(&self) -> Url {
        let Work { session, resolved, .. } = self.work;
        let url = format!("/download/{}.torrent", resolved.metainfo.infohash);
        session.settings.catalogue.with(&url)
    }

    /// Stores the newer `.torrent`, if there is one, for later builds. Call this only after its
    /// sources have worked.
    pub fn keep(&self) {
        let Some((newer, bytes)) = self.newer.get() else { return };
        let Work { session, request, counters, .. } = self.work;
        let workplace = session.target(request).workplace();
        let is_elsewhere = session.shared.root() != workplace.root()
            && session.shared.torrent(newer.infohash).is_some();
        let shared = is_elsewhere.then_some(session.shared);
        for store in std::iter::once(workplace).chain(shared) {
            if let Err(error) = store.replace_torrent(newer, bytes) {
                session.counters.say(format!(
                    "{}: the newer .torrent could not be saved: {}",
                    counters.name,
                    error.what()
                ));
            }
        }
    }

    /// Prints a notice. A file of the user's is not changed, so the notice says how to update it.
    fn tell(&self) {
        let Work { session, request, counters, .. } = self.work;
        let is_users = request.origin.named_by() == NamedBy::User;
        let vendored = request.identity.torrent.as_ref().filter(|_| is_users);
        session.counters.say(match vendored {
            Some(path) if request.origin.is_declared() => format!(
                "{name}: the sources in {path} fail; using newer ones from the catalog\n  \
                 to update the file, run `cargo academictorrents vendor --refresh {name}`",
                name = counters.name,
                path = path.display()
            ),
            _ => format!(
                "{}: the sources in its .torrent fail; using newer ones from the catalog",
                counters.name
            ),
        });
    }
}

impl Refresh for FromCatalogue<'_> {
    fn ask(&self, phase: &Arc<PeerPhase>) -> bool {
        let Work { session, resolved, .. } = self.work;
        let infohash = resolved.metainfo.infohash;
        if !self.may_ask() {
            return false;
        }
        let catalogue = CatalogTorrent::new(session, &phase.client, infohash);
        let phase = Arc::clone(phase);
        let ask = move || {
            let newest = catalogue.newest().map(|located| (located.metainfo, located.bytes));
            phase.tell(WorkerEvent::Refreshed(Box::new(newest)));
        };
        let has_started = start_thread("at-catalogue", Box::new(ask)).is_ok();
        if has_started {
            session.network.note_catalogue(infohash, None);
        }
        has_started
    }

    fn answered(
        &self,
        answer: Refreshed,
        phase: &PeerPhase,
    ) -> Result<Vec<SourceSpec>, (Url, SourceError)> {
        match self.newer(answer, phase) {
            Err(why) if !self.defaults.is_empty() => {
                phase.report.note(&self.url().to_string(), Err(why));
                Ok(self.defaults.clone())
            }
            newer => newer.map_err(|why| (self.url(), why)),
        }
    }
}

impl FromCatalogue<'_> {
    fn newer(&self, answer: Refreshed, phase: &PeerPhase) -> Result<Vec<SourceSpec>, SourceError> {
        let Work { session, request, .. } = self.work;
        let (newer, bytes) = answer.map_err(|why| SourceError::NoNewerTorrent(Box::new(why)))?;
        let was_refused = |url: &Url| phase.report.has_refused(&url.to_string());
        let (settings, known) = (session.settings, &self.known);
        let further = plan::further_sources(request, settings, &newer, known, &was_refused);
        if further.is_empty() {
            return Err(SourceError::NoOtherSources);
        }
        self.tell();
        let newer = Arc::new(newer);
        session.network.note_catalogue(newer.infohash, Some(Arc::clone(&newer)));
        let _ = self.newer.set((newer, bytes)); // the catalog is asked only once
        Ok(further)
    }
}
