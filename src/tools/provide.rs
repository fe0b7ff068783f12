//! Fetching, for the verbs that do.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::asked::{asked_with, of};
use super::{Asked, Desk, Stop, Wishes};
use crate::context::ProgressMode;
use crate::counters::Counters;
use crate::download;
use crate::error::{Error, ErrorKind};
use crate::manifest::{Identity, Request, StoreKind};
use crate::progress::{self, Command};

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Show {
    /// Not at all.
    pub quiet: bool,
    /// Each source, with its rate.
    pub sources: bool,
}

/// What became of datasets.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// For each, in order.
    pub outcomes: Vec<Outcome>,
    /// Bytes that came from any source.
    pub received_bytes: u64,
}

/// What became of a dataset.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub result: Result<PathBuf, Error>,
    /// Nothing had to be done: it was complete, or another that was asked for is the same.
    pub was_there: bool,
}

impl Desk {
    /// Ends all that is done at this desk.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// What was asked for on the command line: infohash, magnet link, path or web address of a `.torrent`, which is fetched.
    ///
    /// # Errors
    /// [`ErrorKind::Manifest`] for what is none of these and for wishes that cannot be used; of a web address, what keeps its torrent
    /// from being had.
    pub fn asked(&self, id: &str, wishes: &Wishes) -> Result<Asked, Error> {
        let kind = if self.own.is_some() { StoreKind::Own } else { StoreKind::Shared };
        if !crate::context::is_http(id) {
            return asked_with(id, wishes, kind);
        }
        // Before anything is asked for.
        of(id, Identity::default(), wishes, kind)?;
        let counters = Counters::default();
        let (metainfo, bytes) = download::torrent_at(&self.session(&counters), id)?;
        let store = self.own.as_ref().unwrap_or(&self.store);
        store.create()?;
        store.keep_torrent(metainfo.infohash, &bytes)?;
        let identity = Identity { infohash: Some(metainfo.infohash), ..Identity::default() };
        let name = crate::error::printable(&String::from_utf8_lossy(&metainfo.name));
        of(&name, identity, wishes, kind)
    }

    /// Provides datasets, side by side, with bars on the terminal or plain lines: a path or an error for each, in order. What is
    /// there already costs a look.
    #[must_use]
    pub fn provide(&self, datasets: &[&Asked]) -> Vec<Result<PathBuf, Error>> {
        let fetched = self.fetch(datasets, Show::default());
        fetched.outcomes.into_iter().map(|outcome| outcome.result).collect()
    }

    /// The same, with more to say. Several that are the same torrent are provided one after the other: what the first has brought
    /// is there for the next.
    #[must_use]
    pub fn fetch(&self, datasets: &[&Asked], show: Show) -> Fetched {
        let mut rounds: Vec<Vec<usize>> = Vec::new();
        let mut asked_before = HashMap::new();
        for (index, dataset) in datasets.iter().enumerate() {
            let round = dataset.infohash().ok().flatten().map_or(0, |infohash| {
                let next = asked_before.entry(infohash).or_insert(0);
                *next += 1;
                *next - 1
            });
            if rounds.len() <= round {
                rounds.resize_with(round + 1, Vec::new);
            }
            rounds[round].push(index);
        }
        let mut fetched = Fetched::default();
        let mut outcomes: Vec<Option<Outcome>> = vec![None; datasets.len()];
        for round in rounds {
            let todo: Vec<usize> = round
                .into_iter()
                .filter(|index| {
                    let known = failed_before(datasets, &outcomes, *index);
                    let is_new = known.is_none();
                    outcomes[*index] = known;
                    is_new
                })
                .collect();
            let asked: Vec<&Asked> = todo.iter().map(|index| datasets[*index]).collect();
            let (results, received_bytes) = self.round(&asked, show);
            fetched.received_bytes += received_bytes;
            for (index, mut outcome) in todo.into_iter().zip(results) {
                outcome.result = outcome.result.map_err(|error| datasets[index].explained(error));
                outcomes[index] = Some(outcome);
            }
        }
        fetched.outcomes = outcomes.into_iter().flatten().collect();
        fetched
    }

    /// Datasets of different torrents.
    fn round(&self, datasets: &[&Asked], show: Show) -> (Vec<Outcome>, u64) {
        let requests: Vec<&Request> = datasets.iter().map(|dataset| &dataset.request).collect();
        let counters = Arc::new(Counters::default());
        self.stop.draws(&counters);
        let session = self.session(&counters);
        let there: Vec<bool> =
            requests.iter().map(|request| download::present(&session, request).is_some()).collect();
        let mode = if show.quiet { ProgressMode::Off } else { self.settings.progress };
        let begin = || {
            let _ = self.store.create_locks(); // whoever fetches tells of a failure
            let locks = self.store.locks_path();
            let command = Command { sources: show.sources };
            progress::start_for(command, Arc::clone(&counters), &self.context, mode, &locks)
        };
        let results = download::provide_all(session, &requests, begin);
        for (dataset, result) in datasets.iter().zip(&results) {
            if let (Some(manifest), Ok(provided)) = (&dataset.manifest, result) {
                download::note_use(&self.store, manifest, &mut [provided].into_iter());
            }
        }
        let outcomes = results.into_iter().zip(there).map(|(result, was_there)| Outcome {
            result: result.map(|provided| provided.path).map_err(|error| self.explained(error)),
            was_there,
        });
        let outcomes = outcomes.collect();
        let received = |it: &Arc<_>| {
            let it: &crate::counters::DatasetCounters = it;
            it.received_bytes.load(Ordering::Relaxed)
        };
        (outcomes, counters.datasets().iter().map(received).sum())
    }

    fn explained(&self, error: Error) -> Error {
        match &self.own {
            Some(own) if own.root().is_dir() && may_have_begun(&error) => {
                let place = own.root().display();
                error.help(format!(
                    "what was verified is kept in {place}, and the next run goes on from there"
                ))
            }
            _ => error,
        }
    }
}

/// Whether something may have been fetched before it failed so.
fn may_have_begun(error: &Error) -> bool {
    use ErrorKind::{Disk, Network, Verification};
    matches!(error.kind(), Network | Disk | Verification)
}

/// The failure of one that was asked for in the very same words: it would be the same again.
fn failed_before(
    datasets: &[&Asked],
    outcomes: &[Option<Outcome>],
    index: usize,
) -> Option<Outcome> {
    let plain = |index: usize| {
        let mut request = datasets[index].request.clone();
        (request.line, request.optional, request.required_features) = (None, false, Vec::new());
        request.name = datasets[0].request.name.clone();
        request
    };
    let before = outcomes.iter().enumerate().filter_map(|(at, it)| Some((at, it.as_ref()?)));
    let mut failed = before.filter(|(_, outcome)| outcome.result.is_err());
    let wanted = plain(index);
    failed.find(|(at, _)| plain(*at) == wanted).map(|(_, outcome)| outcome.clone())
}
