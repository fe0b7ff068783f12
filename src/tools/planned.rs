//! What fetching would take, for `fetch --dry-run`.

use super::{Asked, Desk};
use crate::counters::Counters;
use crate::download;
use crate::error::Error;
use crate::plan::{Rank, SourceKind};

/// Datasets that are looked up at a time.
const SIDE_BY_SIDE: usize = 8;

/// What one dataset would take.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The infohash and, where not all files are selected, a digest of those that are: the same for the same bytes.
    pub id: String,
    pub infohash: crate::Infohash,
    /// Bytes that are needed.
    pub total_bytes: u64,
    /// Bytes of them that are still to be fetched.
    pub missing_bytes: u64,
    /// Where these would come from, in the order in which they would be asked.
    pub sources: Vec<Source>,
    /// A copy that `LOAD_PATH` or `PATH_<NAME>` names would be hashed first.
    pub may_lie_elsewhere: bool,
}

/// Where bytes would come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// `directory`, `web-seed`, `peer` or `tracker`.
    pub kind: &'static str,
    /// A path, URL or address.
    pub place: String,
    /// The user or the manifest names it: the torrent's own are asked for what these lack.
    pub named: bool,
}

impl Desk {
    /// Plans datasets, a few at a time: a plan or an error for each, in order. Torrents are looked up where they are not at hand;
    /// nothing is kept.
    #[must_use]
    pub fn plan(&self, datasets: &[&Asked]) -> Vec<Result<Plan, Error>> {
        let mut plans = Vec::new();
        for some in datasets.chunks(SIDE_BY_SIDE) {
            std::thread::scope(|scope| {
                let started = some.iter().map(|dataset| scope.spawn(|| self.plan_of(dataset)));
                let started: Vec<_> = started.collect();
                for (thread, dataset) in started.into_iter().zip(some) {
                    // A thread that panicked has said so: it is done here, where that ends the program as it should.
                    let plan =
                        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                    plans.push(
                        plan.map_err(|error| dataset.explained(error.for_dataset(dataset.name()))),
                    );
                }
            });
        }
        plans
    }

    fn plan_of(&self, dataset: &Asked) -> Result<Plan, Error> {
        let counters = Counters::default();
        let plan = download::planned(&self.session(&counters), &dataset.request)?;
        let mut sources = Vec::new();
        for source in plan.sources {
            let named = source.rank == Rank::Named;
            let mut add = |kind, place| sources.push(Source { kind, place, named });
            match source.kind {
                SourceKind::Directory(path) => add("directory", path.display().to_string()),
                SourceKind::WebSeed(url) => add("web-seed", url),
                SourceKind::Peer(address) => add("peer", address),
                SourceKind::Trackers(tiers) => {
                    tiers.into_iter().flatten().for_each(|url| add("tracker", url));
                }
                SourceKind::Dht => add("dht", "DHT".to_owned()),
            }
        }
        Ok(Plan {
            id: plan.id,
            infohash: plan.infohash,
            total_bytes: plan.total_bytes,
            missing_bytes: plan.missing_bytes,
            sources,
            may_lie_elsewhere: plan.may_lie_elsewhere,
        })
    }
}
