//! `verify`: what of a dataset is damaged, and its repair.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Asked, Desk, absolute};
use crate::counters::{Counters, Phase};
use crate::download::{self, Session};
use crate::error::{Error, ErrorKind, printable};
use crate::infohash::Infohash;
use crate::magnet::Magnet;
use crate::manifest::{CallOptions, Identity, Request, StoreKind};
use crate::metainfo::Metainfo;
use crate::plan::Selection;
use crate::progress::{self, Command};
pub use crate::store::FaultKind as What;
use crate::store::Store;

pub use download::Whose;

/// What was found of a dataset.
#[derive(Debug)]
pub struct Checked {
    /// Its path; `None` where nothing of it is there.
    pub path: Option<PathBuf>,
    /// Its selected files' bytes; 0 where nothing of it is there and nobody was asked what it is.
    pub size_bytes: u64,
    /// How many files it has.
    pub files: usize,
    /// Whose the place is where it lies.
    pub whose: Whose,
    /// What is wrong, file by file; none where all is right.
    pub faults: Vec<Fault>,
    /// What lies below its root besides, by its path there; 1,000 at most.
    pub extra: Vec<PathBuf>,
    /// A build takes it for complete without hashing it.
    pub is_stamped: bool,
    /// Ids of what was taken for complete before.
    pub unstamped: Vec<String>,
    /// Why a build still takes it for complete.
    pub still_stamped: Option<Error>,
}

/// A file that is not as the torrent says.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Its path below the torrent's own directory, printable.
    pub file: String,
    /// What it should have.
    pub length_bytes: u64,
    /// What is wrong.
    pub what: What,
}

/// What a repair brought.
#[derive(Debug)]
pub struct Repaired {
    /// The dataset's path, or why it could not be repaired.
    pub result: Result<PathBuf, Error>,
    /// Bytes that came from any source.
    pub fetched_bytes: u64,
}

impl Desk {
    /// Hashes datasets where they lie, in the user's store or in `into`, one after the other and each by all cores, with progress on the
    /// terminal or in plain lines. The stamp of a damaged one is removed, so that no build uses it; nothing else is changed.
    ///
    /// # Errors
    /// For each of them: of its metainfo, of `files` and pins, of the disk.
    #[must_use]
    pub fn verify(&self, datasets: &[&Asked], into: Option<&Path>) -> Vec<Result<Checked, Error>> {
        let counters = Arc::new(Counters::default());
        let own = match self.own(into) {
            Ok(own) => own,
            Err(error) => return datasets.iter().map(|_| Err(error.clone())).collect(),
        };
        let session = Session::new(&self.settings, Path::new(""), &self.store, &own, &counters)
            .at_host(self.stop.host());
        let rows: Vec<_> = datasets.iter().map(|it| counters.add(it.name())).collect();
        let _drawing = self.draw(&counters);
        let check = |(dataset, row): (&&Asked, _)| {
            let request = request(dataset, into, false);
            let found = download::verify(&session, &request, row);
            row.set_phase(if found.is_ok() { Phase::Done } else { Phase::Failed });
            found.map(Checked::of).map_err(|error| error.for_dataset(dataset.name()))
        };
        datasets.iter().zip(&rows).map(check).collect()
    }

    /// Repairs datasets where they lie: all is hashed again, and what is missing or damaged is fetched. A damaged file of the store is
    /// replaced by a new one, never written, since its bytes may have other names.
    #[must_use]
    pub fn repair(&self, datasets: &[&Asked], into: Option<&Path>) -> Vec<Repaired> {
        let mut repaired: Vec<Option<Repaired>> = datasets.iter().map(|_| None).collect();
        let infohash = |at: usize| datasets[at].infohash().ok().flatten();
        let mut left: Vec<usize> = (0..datasets.len()).collect();
        // Selections of one torrent would wait for each other's lock: they come one after the other.
        while !left.is_empty() {
            let (mut now, mut later): (Vec<usize>, Vec<usize>) = Default::default();
            for at in left {
                let is_twice = now.iter().any(|other| infohash(*other) == infohash(at));
                if is_twice { later.push(at) } else { now.push(at) }
            }
            let asked: Vec<&Asked> = now.iter().map(|at| datasets[*at]).collect();
            for (at, result) in now.iter().zip(self.repair_side_by_side(&asked, into)) {
                repaired[*at] = Some(result);
            }
            left = later;
        }
        repaired.into_iter().flatten().collect()
    }

    fn repair_side_by_side(&self, datasets: &[&Asked], into: Option<&Path>) -> Vec<Repaired> {
        let counters = Arc::new(Counters::default());
        let failed = |error: &Error| Repaired { result: Err(error.clone()), fetched_bytes: 0 };
        let own = match self.own(into) {
            Ok(own) => own,
            Err(error) => return datasets.iter().map(|_| failed(&error)).collect(),
        };
        let session = Session::new(&self.settings, Path::new(""), &self.store, &own, &counters)
            .at_host(self.stop.host());
        let requests: Vec<_> = datasets.iter().map(|it| request(it, into, true)).collect();
        let results = download::provide_all(session, &requests.iter().collect::<Vec<_>>(), || {
            self.draw(&counters)
        });
        // None was passed over as present: rows are in the order of the requests.
        let rows = counters.datasets();
        let fetched = |index: usize| {
            rows.get(index).map_or(0, |row| row.received_bytes.load(Ordering::Relaxed))
        };
        let results = results.into_iter().enumerate();
        results
            .map(|(index, result)| Repaired {
                result: result.map(|provided| provided.path),
                fetched_bytes: fetched(index),
            })
            .collect()
    }

    /// All that the user's store has, or had: its id, and how to ask for it.
    ///
    /// # Errors
    /// For each of them, where it cannot be told what it is.
    #[must_use]
    pub fn stored(&self) -> Vec<(String, Result<Asked, Error>)> {
        let ids = self.store.all_ids().into_iter();
        ids.map(|id| (id.clone(), stored(&self.store, &id))).collect()
    }

    fn own(&self, into: Option<&Path>) -> Result<Store, Error> {
        Ok(match into {
            Some(directory) => Store::in_directory(&absolute(directory)?),
            None => self.store.clone(),
        })
    }

    pub(super) fn draw(&self, counters: &Arc<Counters>) -> progress::Progress {
        let locks = self.store.locks_path();
        // Without the directory plain lines are drawn; verifying makes none.
        self.stop.draws(counters);
        let command = Command { sources: false };
        let mode = self.settings.progress;
        progress::start_for(command, Arc::clone(counters), &self.context, mode, &locks)
    }
}

fn request(dataset: &Asked, into: Option<&Path>, hash_again: bool) -> Request {
    let mut request = dataset.request.clone();
    request.hash_again = hash_again;
    if into.is_some() {
        // As a call: no copy that the environment names takes the directory's place.
        (request.store, request.line) = (StoreKind::Own, None);
    }
    request
}

fn stored(store: &Store, id: &str) -> Result<Asked, Error> {
    let odd = |why: &str| {
        Error::new(ErrorKind::Metainfo, format!("{id} in the store cannot be verified")).why(why)
    };
    let infohash: Infohash = id.get(..40).unwrap_or_default().parse()?;
    let mut identity = Identity { infohash: Some(infohash), ..Identity::default() };
    let metainfo = store.torrent(infohash).and_then(|bytes| Metainfo::parse(&bytes).ok());
    let metainfo = metainfo.filter(|metainfo| metainfo.infohash == infohash);
    let name = metainfo
        .as_ref()
        .map_or_else(|| id.to_owned(), |it| printable(&String::from_utf8_lossy(&it.name)));
    if id.len() > 40 {
        let fetch = "fetch it again with the crate that declares it, or remove its directory";
        let Some(metainfo) = metainfo else {
            return Err(odd("its .torrent is no longer there").help(fetch));
        };
        let paths: HashSet<_> = store.stored_paths(id).into_iter().collect();
        let is_in = |file| paths.contains(&metainfo.layout_path(file));
        let mut chosen: Vec<(u32, u32)> = Vec::new();
        for (index, file) in (0_u32..).zip(&metainfo.files) {
            match chosen.last_mut() {
                // A torrent may have 100,000 files: neighbours are one range.
                Some((_, last)) if *last + 1 == index && (file.pad || is_in(file)) => {
                    *last = index;
                }
                _ if !file.pad && is_in(file) => chosen.push((index, index)),
                _ => {}
            }
        }
        if chosen.is_empty() || Selection::of(&metainfo, &[], &chosen)?.id() != id {
            let why =
                "its stamp is gone, and what lies there does not tell which files were selected";
            return Err(odd(why).help(fetch));
        }
        identity.magnet = Some(Magnet {
            link: format!("magnet:?xt=urn:btih:{infohash}"),
            infohash,
            name: None,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            peers: Vec::new(),
            files: chosen,
        });
    }
    let request = Request::of_call(&name, identity, StoreKind::Shared, &CallOptions::default())?;
    Ok(Asked { manifest: None, request, own_copy: false })
}

impl Checked {
    /// What is said of a dataset of which nothing is there.
    #[must_use]
    pub fn nothing() -> Checked {
        Checked {
            path: None,
            size_bytes: 0,
            files: 0,
            whose: Whose::Own,
            faults: Vec::new(),
            extra: Vec::new(),
            is_stamped: false,
            unstamped: Vec::new(),
            still_stamped: None,
        }
    }

    fn of(found: Option<download::Verified>) -> Checked {
        let Some(found) = found else { return Checked::nothing() };
        let faults = found.damage.faults.into_iter().map(|fault| Fault {
            file: printable(&fault.file),
            length_bytes: fault.length_bytes,
            what: fault.kind,
        });
        Checked {
            path: found.path,
            size_bytes: found.size_bytes,
            files: found.files,
            whose: found.whose,
            faults: faults.collect(),
            extra: found.damage.extra,
            is_stamped: found.is_stamped,
            unstamped: found.unstamped,
            still_stamped: found.still_stamped,
        }
    }
}
