//! One budget of connections for the process, shared by all datasets.
//!
//! A rayon pool has a fixed number of threads, and a worker blocks its thread: with more workers than threads
//! the useful one might never run. So a worker is started only with a permit, and there are as many permits as
//! threads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

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

#[derive(Debug)]
pub struct Budget {
    state: Arc<Mutex<State>>,
    pool: rayon::ThreadPool,
    per_dataset: usize,
}

#[derive(Debug)]
struct State {
    free: usize,
    hosts: HashMap<String, usize>,
}

/// The right to one connection; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    state: Arc<Mutex<State>>,
    host: String,
}

impl Budget {
    /// A budget and its threads, for so many datasets side by side, the first of which lacks so many bytes.
    ///
    /// # Errors
    /// The system has no more threads.
    pub fn new(datasets: usize, missing_bytes: u64) -> Result<Budget, rayon::ThreadPoolBuildError> {
        let useful = usize::try_from(missing_bytes / BYTES_PER_CONNECTION).unwrap_or(CONNECTIONS);
        let connections =
            if datasets > 1 { CONNECTIONS } else { useful.clamp(FEWEST, CONNECTIONS) };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(connections)
            .stack_size(STACK_BYTES)
            .thread_name(|index| format!("at-worker-{index}"))
            // A panic would be a fault of ours; the worker's guard tells the coordinator that it ended.
            .panic_handler(|_| {})
            .build()?;
        let state = State { free: connections, hosts: HashMap::new() };
        Ok(Budget {
            state: Arc::new(Mutex::new(state)),
            pool,
            per_dataset: (connections / datasets.max(1)).max(2),
        })
    }

    /// Connections that one dataset may hold, so that none starves another.
    pub fn per_dataset(&self) -> usize {
        self.per_dataset
    }

    /// A permit for a connection to `host`, if there is one.
    pub fn permit(&self, host: &str) -> Option<Permit> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let to_host = state.hosts.get(host).copied().unwrap_or(0);
        if state.free == 0 || to_host >= PER_HOST {
            return None;
        }
        state.free -= 1;
        state.hosts.insert(host.to_owned(), to_host + 1);
        Some(Permit { state: Arc::clone(&self.state), host: host.to_owned() })
    }

    /// Runs a worker on a thread of the pool.
    pub fn spawn(&self, permit: Permit, worker: impl FnOnce() + Send + 'static) {
        self.pool.spawn(move || {
            worker();
            drop(permit);
        });
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.free += 1;
        if let Some(count) = state.hosts.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                state.hosts.remove(&self.host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_host_gets_more_than_its_share_and_permits_come_back() {
        let budget = Budget::new(2, 0).unwrap();
        let held: Vec<_> = std::iter::from_fn(|| budget.permit("a")).collect();
        assert_eq!(held.len(), PER_HOST);
        let others: Vec<_> = (0..).map_while(|host| budget.permit(&host.to_string())).collect();
        assert_eq!(others.len(), CONNECTIONS - PER_HOST);
        drop(held);
        assert!(budget.permit("a").is_some());
    }
}
