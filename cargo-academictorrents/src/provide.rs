//! Providing datasets, for the commands that download.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use academictorrents::Error;
use academictorrents::engine;
use academictorrents::engine::counters::Counters;
use academictorrents::engine::manifest::Request;

use crate::app::App;
use crate::dataset_spec::DatasetSpec;

/// The result for a dataset.
#[derive(Clone, Debug)]
pub struct ProvideOutcome {
    pub result: Result<PathBuf, Error>,
    /// Whether nothing had to be done: the dataset was complete, or is the same as one before it.
    pub already_complete: bool,
    /// Whether files were written, as opposed to only checked.
    pub has_written: bool,
}

impl App {
    /// Provides a dataset and returns its path. Shows bars on the terminal, or plain lines. Cheap
    /// if the dataset is complete.
    pub fn provide(&self, dataset: &DatasetSpec) -> Result<PathBuf, Error> {
        let (outcomes, _) = self.fetch(&[dataset], false);
        outcomes.into_iter().next().map_or_else(|| Ok(PathBuf::new()), |outcome| outcome.result)
    }

    /// Provides datasets, in parallel if they have different torrents. Selections of one torrent
    /// follow one another, and reuse what was fetched before. With `sources`, each source is shown.
    /// Returns the outcomes in order, and the bytes received from all sources.
    pub fn fetch(&self, datasets: &[&DatasetSpec], sources: bool) -> (Vec<ProvideOutcome>, u64) {
        let mut received_bytes = 0;
        let mut outcomes: Vec<Option<ProvideOutcome>> = vec![None; datasets.len()];
        for mut round in rounds(datasets) {
            round.retain(|index| {
                let known = failed_before(datasets, &outcomes, *index);
                let is_new = known.is_none();
                outcomes[*index] = known;
                is_new
            });
            let asked: Vec<&DatasetSpec> = round.iter().map(|index| datasets[*index]).collect();
            let (results, bytes) = self.round(&asked, sources);
            received_bytes += bytes;
            for (index, mut outcome) in round.into_iter().zip(results) {
                let declared = |error| datasets[index].request.origin.declared(error);
                outcome.result = outcome.result.map_err(declared);
                outcomes[index] = Some(outcome);
            }
        }
        (outcomes.into_iter().flatten().collect(), received_bytes)
    }

    /// Provides datasets of different torrents in parallel.
    fn round(&self, datasets: &[&DatasetSpec], sources: bool) -> (Vec<ProvideOutcome>, u64) {
        let requests: Vec<&Request> = datasets.iter().map(|dataset| &dataset.request).collect();
        let counters = Arc::new(Counters::default());
        let session = self.session(&counters);
        let there: Vec<bool> =
            requests.iter().map(|request| engine::present(&session, request).is_some()).collect();
        let results = engine::provide_all(session, &requests, || {
            let _ = self.store.create_locks(); // a download that needs the directory reports the failure
            self.draw(&counters, sources)
        });
        for (dataset, result) in datasets.iter().zip(&results) {
            engine::note_use(&self.store, dataset.manifest(), &mut result.iter().cloned());
        }
        let rows = counters.datasets();
        let has_published = |path: &PathBuf| {
            rows.iter().any(|row| row.path.get() == Some(path) && row.has_published())
        };
        let outcomes = results.into_iter().zip(there).map(|(result, already_complete)| {
            let result = result.map(|provided| provided.path);
            let has_written = result.as_ref().is_ok_and(has_published);
            ProvideOutcome { result, already_complete, has_written }
        });
        let received = rows.iter().map(|row| row.received_bytes.load(Ordering::Relaxed));
        (outcomes.collect(), received.sum())
    }
}

/// Groups indices of datasets that can be provided in parallel: selections of one torrent would
/// wait for each other's lock.
pub fn rounds(datasets: &[&DatasetSpec]) -> Vec<Vec<usize>> {
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
    rounds
}

/// Returns the failure of an equal request before: it would fail again.
fn failed_before(
    datasets: &[&DatasetSpec],
    outcomes: &[Option<ProvideOutcome>],
    index: usize,
) -> Option<ProvideOutcome> {
    let plain = |index: usize| {
        let mut request = datasets[index].request.clone();
        let by = std::mem::take(&mut request.origin).named_by();
        (request.optional, request.required_features) = (false, Vec::new());
        request.name = datasets[0].request.name.clone();
        (by, request)
    };
    let before = outcomes.iter().enumerate().filter_map(|(at, it)| Some((at, it.as_ref()?)));
    let mut failed = before.filter(|(_, outcome)| outcome.result.is_err());
    let wanted = plain(index);
    failed.find(|(at, _)| plain(*at) == wanted).map(|(_, outcome)| outcome.clone())
}
