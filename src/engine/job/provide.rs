//! Provides the datasets of a build side by side.

use std::sync::atomic::{AtomicUsize, Ordering};

#[cfg(not(feature = "unpack"))]
use super::present::present as looked_up;
use super::roots;
#[cfg(feature = "unpack")]
use super::tree::present as looked_up;
#[cfg(feature = "unpack")]
use super::tree::{self as dataset, would_be};
#[cfg(not(feature = "unpack"))]
use super::{dataset, present::would_be};
use crate::counters::Phase;
use crate::engine::dataset::Provided;
use crate::engine::session::Session;
use crate::error::{Error, ErrorKind};
use crate::manifest::Request;
use crate::mutex::Mutex;

/// Limit on datasets fetched at the same time; the others wait.
const SIDE_BY_SIDE: usize = 8;

/// Provides datasets side by side. Returns a result for each request, in order.
///
/// `begin` is called before work that takes time, and its result is kept until that work is done.
pub fn provide_all<Guard>(
    mut session: Session<'_>,
    requests: &[&Request],
    begin: impl FnOnce() -> Guard,
) -> Vec<Result<Provided, Error>> {
    // The fast path for complete datasets: no lock, no thread, no socket.
    let mut results: Vec<_> =
        requests.iter().map(|request| looked_up(&session, request).transpose()).collect();
    let missing: Vec<_> = (0..requests.len()).filter(|index| results[*index].is_none()).collect();
    session.datasets = missing.len().min(SIDE_BY_SIDE);
    let guard = (!missing.is_empty()).then(begin);
    if !missing.is_empty() {
        // Before the download, since a build that is stopped resumes later and `gc` must keep its
        // data.
        let mut would_be = missing.iter().map(|index| would_be(&session, requests[*index]));
        roots::note_use(session.shared, session.manifest, &mut would_be);
    }
    let counters: Vec<_> =
        missing.iter().map(|index| session.counters.add(requests[*index].name.as_str())).collect();
    let todo = Mutex::new(missing.iter().zip(&counters));
    let done = Mutex::new(Vec::new());
    let running = AtomicUsize::new(missing.len());
    let provide = || {
        loop {
            let next = todo.lock().next();
            let Some((index, counters)) = next else { break };
            if session.is_stopped() {
                break;
            }
            let result = dataset::provide(&session, requests[*index], counters);
            if let Ok(provided) = &result {
                let _ = counters.path.set(provided.path.clone()); // can only be set once
            }
            counters.set_phase(if result.is_ok() { Phase::Done } else { Phase::Failed });
            let others = running.fetch_sub(1, Ordering::Relaxed) - 1;
            if let (Err(error), true) = (&result, others > 0) {
                session.counters.say(format!(
                    "{}: failed: {}; the other downloads continue",
                    counters.name,
                    error.what()
                ));
            }
            done.lock().push((*index, result));
        }
    };
    std::thread::scope(|scope| {
        // This thread is one of the workers: if the system creates no others, it provides all
        // datasets.
        for _ in 1..session.datasets {
            let _ = std::thread::Builder::new().spawn_scoped(scope, provide);
        }
        if session.datasets > 0 {
            provide();
        }
    });
    drop(guard);
    for (index, result) in done.into_inner() {
        results[index] = Some(result);
    }
    let there = &mut results.iter().filter_map(|it| it.as_ref()?.as_ref().ok().cloned());
    roots::note_use(session.shared, session.manifest, there);
    let lost = || match session.is_stopped() {
        true => Error::stopped(),
        false => Error::new(
            ErrorKind::Disk,
            "the dataset was not provided: this is a bug in academictorrents",
        ),
    };
    results
        .into_iter()
        .zip(requests)
        .map(|(result, request)| {
            result
                .unwrap_or_else(|| Err(lost()))
                .map_err(|error| error.for_dataset(request.name.as_str()))
        })
        .collect()
}

/// Returns the dataset if it is complete and nothing must be looked up over the network.
pub fn present(session: &Session<'_>, request: &Request) -> Option<Provided> {
    looked_up(session, request).ok().flatten()
}
