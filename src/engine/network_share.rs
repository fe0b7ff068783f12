//! Network state shared by all downloads of a build.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::budget::{Budget, Dials, MetadataBudget};
use super::local_peer::LocalPeer;
use super::upload::manager::RateLimiter;
use crate::mutex::{Mutex, TryOnce};
use crate::settings::Settings;
use crate::torrent::infohash::Infohash;
use crate::torrent::metainfo::Metainfo;

/// Network state shared by all downloads of a build.
#[derive(Debug)]
pub struct NetworkShare {
    pub rate_limiter: Option<Arc<RateLimiter>>,
    pub host: LocalPeer,
    #[cfg(feature = "dht")]
    pub dht: Option<Arc<crate::net::Dht>>,
    catalogue: Mutex<HashMap<Infohash, Option<Arc<Metainfo>>>>,
    budget: TryOnce<Budget>,
    dials: OnceLock<Dials>,
    metadata: OnceLock<MetadataBudget>,
}

impl NetworkShare {
    pub fn new(settings: &Settings) -> NetworkShare {
        NetworkShare {
            rate_limiter: RateLimiter::new(settings.upload_bytes_per_second),
            host: LocalPeer::not_listening(),
            #[cfg(feature = "dht")]
            dht: crate::net::Dht::new(settings).map(Arc::new),
            catalogue: Mutex::default(),
            budget: TryOnce::new(),
            dials: OnceLock::new(),
            metadata: OnceLock::new(),
        }
    }

    /// Records that the catalog was asked for this torrent, and its newer `.torrent` if it returned
    /// one.
    pub fn note_catalogue(&self, infohash: Infohash, newer: Option<Arc<Metainfo>>) {
        let mut answers = self.catalogue.lock();
        let known = answers.entry(infohash).or_default();
        *known = newer.or_else(|| known.take());
    }

    /// The outcome of asking the catalog in this run: `None` if it was not asked yet, `Some(None)`
    /// if it was asked and has returned nothing newer so far. Callers use this to ask only once.
    pub fn of_catalogue(&self, infohash: Infohash) -> Option<Option<Arc<Metainfo>>> {
        let answers = self.catalogue.lock();
        answers.get(&infohash).cloned()
    }

    /// Creates the connection budget with its threads on first use, which is the first dataset that
    /// has to be fetched: a build whose data is complete creates no threads.
    ///
    /// # Errors
    /// The system refused to create a thread.
    pub fn budget(
        &self,
        datasets: usize,
        missing_bytes: u64,
    ) -> Result<&Budget, rayon::ThreadPoolBuildError> {
        self.budget
            .get_or_try_init(|| Budget::new(datasets, missing_bytes, self.dials(datasets).clone()))
    }

    /// The budget of dials.
    pub fn dials(&self, datasets: usize) -> &Dials {
        self.dials.get_or_init(|| Dials::new(datasets))
    }

    /// The budget of connections that ask peers for metadata.
    pub fn metadata_budget(&self, datasets: usize) -> &MetadataBudget {
        self.metadata.get_or_init(|| MetadataBudget::new(datasets))
    }
}
