//! One budget of connections for the process, shared by all datasets.
//!
//! A rayon pool has a fixed number of threads, and a worker blocks its thread: with more workers than threads
//! the useful one might never run. So a worker is started only with a permit, and there are as many permits as
//! threads.

use std::time::Duration;

use super::connection_limiter::{ConnectionLimiter, Permit};
use super::thread::start_peer_thread;

use crate::net::timing::{HURRIED, Timing};
use crate::process::{self, Descriptors};

/// Connections in all.
const CONNECTIONS: usize = 64;

/// A single dataset that is smaller than this many bytes for each connection gets fewer of them: 64 threads cost a
/// debug build 65 ms of processor time to start and to end.
const BYTES_PER_CONNECTION: u64 = 4 << 20;

/// What any download gets: a peer or two may be slow, or dead.
const FEWEST: usize = 16;

/// Connections to one host: what browsers and aria2 hold for polite.
const PER_HOST: usize = 16;

/// A worker's stack: it holds slices of buffers, and ureq's and rustls's frames, which are large at opt-level 0.
const STACK_BYTES: usize = 1 << 20;

/// Peers that are being connected to, in all: each has a thread with a small stack until its handshake has come.
const DIALS: usize = 128;

/// So many of them may take as long as connecting may. The others are hurried, so that those that were never tried have their
/// turn however many addresses are silent.
const PATIENT_DIALS: usize = 32;

/// So many are dialed for each place that is free: most addresses that a tracker names are of nobody any more.
pub const OVERBOOKED: usize = 16;

/// Peers that are asked for metadata at a time, for one dataset and for all.
const METADATA_PER_DATASET: usize = 16;
const METADATA_IN_ALL: usize = 64;

/// Peers that are known and not given up: a tracker may name hundreds with every announce, most of them gone. And web seeds with
/// directories.
pub const MAX_SOURCES: usize = 1_000;

/// Peers remembered, with those that were given up: an address that is named again and again is not tried anew.
pub const MAX_REMEMBERED: usize = 4_000;

/// A source that failed so often, with nothing in between, is given up; a peer that gave no metadata earlier, as it is
/// only waited for.
pub const FAILURES: u32 = 4;
pub const METADATA_FAILURES: u32 = 3;

/// Peers that are wanted of each announce: more than there are connections.
pub const NUMWANT: u32 = 100;

/// Peers of one reply that are believed: a tracker that names thousands must not fill all places, tried or not.
pub const MOST_NAMED: usize = 4 * NUMWANT as usize;

/// Addresses that fetching metadata passes on to the download.
pub const PASSED_ON: usize = 50;

/// Blocks that are handed to a peer's writer ahead: what we request has to wait behind them. A seed requests nothing.
pub const AHEAD: usize = 8;
#[cfg(feature = "seed")]
pub const AHEAD_OF_SEED: usize = 64;

/// Of a seed's places one host may have a quarter: three others can do the same, and all are served.
#[cfg(feature = "seed")]
const HOSTS: usize = 4;

/// So many of them one host may have in any case: behind the address of a university are several who want the same. A
/// seed that has no more than these for all gives them to whoever comes first.
#[cfg(feature = "seed")]
const LEAST_PER_HOST: usize = 8;

/// The places that one host may have of so many.
#[cfg(feature = "seed")]
pub fn guests_per_host(places: usize) -> usize {
    places.div_ceil(HOSTS).max(LEAST_PER_HOST).min(places)
}

/// The budget of connections to peers that are asked for metadata.
#[derive(Clone, Debug)]
pub struct MetadataBudget {
    limiter: ConnectionLimiter<()>,
    most: usize,
    pub per_dataset: usize,
}

/// The right to one such connection, also while it waits to go on with data; given back when dropped.
pub type MetadataPermit = Permit<()>;

impl MetadataBudget {
    /// For so many datasets side by side.
    pub fn new(datasets: usize) -> MetadataBudget {
        MetadataBudget::of(process::descriptors(), datasets)
    }

    fn of(descriptors: Descriptors, datasets: usize) -> MetadataBudget {
        let most = METADATA_IN_ALL.min(descriptors.metadata);
        MetadataBudget {
            limiter: ConnectionLimiter::default(),
            most,
            per_dataset: (most / datasets.max(1)).clamp(1, METADATA_PER_DATASET),
        }
    }

    pub fn permit(&self) -> Option<MetadataPermit> {
        self.limiter.admit((), self.most, self.most)
    }
}

#[derive(Debug)]
pub struct Budget {
    /// By host.
    limiter: ConnectionLimiter<String>,
    most: usize,
    pool: rayon::ThreadPool,
    pub per_dataset: usize,
    dials: Dials,
}

impl Budget {
    /// A budget and its threads, for so many datasets side by side, the first of which lacks so many bytes.
    ///
    /// # Errors
    /// The system has no more threads.
    pub fn new(
        datasets: usize,
        missing_bytes: u64,
        dials: Dials,
    ) -> Result<Budget, rayon::ThreadPoolBuildError> {
        let most = CONNECTIONS.min(process::descriptors().connections);
        let useful = usize::try_from(missing_bytes / BYTES_PER_CONNECTION).unwrap_or(most);
        let connections = if datasets > 1 { most } else { useful.clamp(FEWEST.min(most), most) };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(connections)
            .stack_size(STACK_BYTES)
            .thread_name(|index| format!("at-worker-{index}"))
            // A panic would be a fault of ours; the worker's guard tells the coordinator that it ended.
            .panic_handler(|_| {})
            .build()?;
        Ok(Budget {
            limiter: ConnectionLimiter::default(),
            most: connections,
            pool,
            per_dataset: (connections / datasets.max(1)).max(2),
            dials,
        })
    }

    /// The budget of connecting to peers.
    pub fn dials(&self) -> &Dials {
        &self.dials
    }

    /// Whether any host may get a connection.
    pub fn has_room(&self) -> bool {
        self.limiter.count() < self.most
    }

    /// A permit for a connection to `host`, if there is one.
    pub fn permit(&self, host: &str) -> Option<Permit<String>> {
        self.limiter.admit(host.to_owned(), self.most, PER_HOST)
    }

    /// Runs a worker on a thread of the pool.
    pub fn spawn(&self, permit: Permit<String>, worker: impl FnOnce() + Send + 'static) {
        self.pool.spawn(move || {
            worker();
            drop(permit);
        });
    }
}

/// The budget of connecting to peers: of its own, since most addresses that are known are of nobody any more.
#[derive(Clone, Debug)]
pub struct Dials {
    /// By whether they are given time.
    under_way: ConnectionLimiter<bool>,
    /// At a time, in all: [`DIALS`], or what the process may have open.
    most: usize,
    pub per_dataset: usize,
}

/// The right to connect to one peer; given back when dropped.
#[derive(Debug)]
pub struct DialPermit(Permit<bool>);

impl Dials {
    /// For so many datasets side by side.
    pub fn new(datasets: usize) -> Dials {
        let most = DIALS.min(process::descriptors().connecting);
        Dials {
            under_way: ConnectionLimiter::default(),
            most,
            per_dataset: (most / datasets.max(1)).max(2),
        }
    }

    /// A permit, if there is one. Who was tried before is given time, or waits.
    pub fn permit(&self, is_retry: bool) -> Option<DialPermit> {
        let most_of = |patient| if patient { PATIENT_DIALS } else { self.most };
        let admit = |patient| self.under_way.admit(patient, self.most, most_of(patient));
        admit(true).or_else(|| if is_retry { None } else { admit(false) }).map(DialPermit)
    }
}

impl DialPermit {
    /// How long it may take until the peer's handshake has come.
    pub fn within(&self, timing: Timing) -> Duration {
        if self.0.key { timing.connect } else { timing.connect.min(HURRIED) }
    }

    /// Runs a dial on a thread of its own; nobody joins it. Where the system gives none, the dial is dropped.
    pub fn run(dial: Box<dyn FnOnce() + Send>) {
        drop(start_peer_thread("at-dial", dial));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_dials_may_take_long_and_those_that_were_tried_before_wait_for_these() {
        let timing = Timing::for_timeout(Duration::from_secs(120));
        let dials = Dials::new(1);
        let mut held: Vec<_> = std::iter::from_fn(|| dials.permit(false)).collect();
        assert_eq!(held.len(), DIALS);
        let long = held.iter().filter(|it| it.within(timing) == timing.connect).count();
        assert_eq!(long, PATIENT_DIALS);
        held.pop();
        assert!(dials.permit(true).is_none());
        drop(held);
        let retries: Vec<_> = std::iter::from_fn(|| dials.permit(true)).collect();
        assert_eq!(retries.len(), PATIENT_DIALS);
        assert_eq!(dials.permit(false).map(|it| it.within(timing)), Some(HURRIED));
    }

    #[test]
    fn all_datasets_together_ask_no_more_peers_than_the_process_has_descriptors_for() {
        for most in [8, 20, 52, 64, 1_000] {
            let descriptors = Descriptors { metadata: most, ..process::descriptors() };
            for datasets in 1..=8 {
                let each = MetadataBudget::of(descriptors, datasets).per_dataset;
                assert!((1..=METADATA_PER_DATASET).contains(&each), "{most}, {datasets}");
                assert!(each * datasets <= most.min(METADATA_IN_ALL), "{most}, {datasets}");
            }
        }
    }

    #[test]
    fn no_host_gets_more_than_its_share_and_permits_come_back() {
        let budget = Budget::new(2, 0, Dials::new(2)).unwrap();
        let held: Vec<_> = std::iter::from_fn(|| budget.permit("a")).collect();
        assert_eq!(held.len(), PER_HOST);
        let others: Vec<_> = (0..).map_while(|host| budget.permit(&host.to_string())).collect();
        assert_eq!(others.len(), CONNECTIONS - PER_HOST);
        drop(held);
        assert!(budget.permit("a").is_some());
    }
}
