//! The connection budget of the process, shared by all datasets.
//!
//! A rayon pool has a fixed number of threads, and each worker blocks its thread: with more workers
//! than threads, a useful worker might never run. So a worker starts only with a permit, and there
//! are as many permits as threads.

use std::time::Duration;

use super::connection_limiter::{ConnectionLimiter, Permit};
use super::thread::start_peer_thread;

use crate::net::timing::{HURRIED, Timing};
use crate::process::{self, Descriptors};

/// Limit on worker connections, all datasets together.
const CONNECTIONS: usize = 64;

/// A single dataset gets one connection per this many missing bytes, because starting and ending 64
/// threads costs a debug build 65 ms of processor time.
const BYTES_PER_CONNECTION: u64 = 4 << 20;

/// The minimum for any download: a peer or two may be slow or dead.
const FEWEST: usize = 16;

/// Limit on connections to one host: what browsers and aria2 consider polite.
const PER_HOST: usize = 16;

/// A worker's stack holds slices of buffers and the frames of ureq and rustls, which are large at
/// opt-level 0.
const STACK_BYTES: usize = 1 << 20;

/// Limit on concurrent dials. Each has a thread with a small stack until the peer's handshake
/// arrives.
const DIALS: usize = 128;

/// Number of dials that may take the full connect timeout. The others are hurried, so that untried
/// addresses get their turn however many addresses are silent.
const PATIENT_DIALS: usize = 32;

/// Number of peers dialed for each free place: most addresses that trackers return are dead.
pub const OVERBOOKED: usize = 16;

/// Limits on peers asked for metadata at the same time: per dataset, and in total.
const METADATA_PER_DATASET: usize = 16;
const METADATA_IN_ALL: usize = 64;

/// Limit on known sources that were not given up. For peers: a tracker may return hundreds with
/// every announce, most of them dead. The same limit applies to web seeds and directories.
pub const MAX_SOURCES: usize = 1_000;

/// Limit on remembered peers, including those given up. A peer that was given up is not tried again
/// when it is named again.
pub const MAX_REMEMBERED: usize = 4_000;

/// Number of consecutive failures after which a source is given up. Peers asked for metadata are
/// given up earlier, because a search can do nothing but wait for them.
pub const FAILURES: u32 = 4;
pub const METADATA_FAILURES: u32 = 3;

/// Number of peers requested with each announce: more than there are connections.
pub const NUMWANT: u32 = 100;

/// Number of peers accepted from one reply, so that a tracker that returns thousands cannot fill
/// all places.
pub const MOST_NAMED: usize = 4 * NUMWANT as usize;

/// Number of peer addresses that a metadata search hands to the download.
pub const PASSED_ON: usize = 50;

/// Blocks queued ahead for a peer's writer thread. Our own requests wait behind these blocks; a
/// seed sends no requests, so it can queue more.
pub const AHEAD: usize = 8;
#[cfg(feature = "seed")]
pub const AHEAD_OF_SEED: usize = 64;

/// Of a seed's places, one host may have a quarter: four hosts are served at the same time.
#[cfg(feature = "seed")]
const HOSTS: usize = 4;

/// One host may have this many places in any case: several users may share the address of a
/// university. A seed with this many places or fewer gives them to whoever connects first.
#[cfg(feature = "seed")]
const LEAST_PER_HOST: usize = 8;

/// The number of places that one host may have, out of `places`.
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

/// The right to one metadata connection, also while the connection waits to be reused for data.
/// Dropping it returns it.
pub type MetadataPermit = Permit<()>;

impl MetadataBudget {
    /// `datasets` is the number of datasets fetched side by side.
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
    /// Keyed by host.
    limiter: ConnectionLimiter<String>,
    most: usize,
    pool: rayon::ThreadPool,
    pub per_dataset: usize,
    dials: Dials,
}

impl Budget {
    /// Creates the budget and its threads for `datasets` datasets fetched side by side.
    /// `missing_bytes` is what the first of them lacks.
    ///
    /// # Errors
    /// The system refused to create a thread.
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
            // Only a bug of ours panics here; the worker's guard reports the end to the
            // coordinator.
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

    /// Whether another connection is available, to any host that is below its own limit.
    pub fn has_room(&self) -> bool {
        self.limiter.count() < self.most
    }

    /// Returns a permit for a connection to `host`, unless the host's or the total limit is
    /// reached.
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

/// The budget of dials. It is separate from the connections because most known addresses are dead.
#[derive(Clone, Debug)]
pub struct Dials {
    /// Keyed by whether the dial may take the full timeout.
    under_way: ConnectionLimiter<bool>,
    /// Concurrent dials in total: [`DIALS`], or fewer if the process may not open that many
    /// sockets.
    most: usize,
    pub per_dataset: usize,
}

/// The right to connect to one peer; given back when dropped.
#[derive(Debug)]
pub struct DialPermit(Permit<bool>);

impl Dials {
    /// `datasets` is the number of datasets fetched side by side.
    pub fn new(datasets: usize) -> Dials {
        let most = DIALS.min(process::descriptors().connecting);
        Dials {
            under_way: ConnectionLimiter::default(),
            most,
            per_dataset: (most / datasets.max(1)).max(2),
        }
    }

    /// Returns a permit, if one is free. A retry gets a patient dial or none.
    pub fn permit(&self, is_retry: bool) -> Option<DialPermit> {
        let most_of = |patient| if patient { PATIENT_DIALS } else { self.most };
        let admit = |patient| self.under_way.admit(patient, self.most, most_of(patient));
        admit(true).or_else(|| if is_retry { None } else { admit(false) }).map(DialPermit)
    }
}

impl DialPermit {
    /// The time limit from the start of the dial to the peer's handshake.
    pub fn within(&self, timing: Timing) -> Duration {
        if self.0.key { timing.connect } else { timing.connect.min(HURRIED) }
    }

    /// Runs a dial on a detached thread. If the system refuses to create a thread, the dial is
    /// dropped.
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
        assert_eq!(held.len(), DIALS.min(process::descriptors().connecting));
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
        let most = CONNECTIONS.min(process::descriptors().connections);
        assert_eq!(others.len(), most - PER_HOST);
        drop(held);
        assert!(budget.permit("a").is_some());
    }
}
