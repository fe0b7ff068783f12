//! What the downloads of a build share.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::budget::{Budget, Dials, MetadataBudget};
use super::local_peer::LocalPeer;
use super::upload::manager::RateLimiter;
use crate::mutex::Mutex;
use crate::settings::Settings;
use crate::torrent::infohash::Infohash;
use crate::torrent::metainfo::Metainfo;

/// What the downloads of a build share.
#[derive(Debug)]
pub struct NetworkShare {
    pub rate_limiter: Option<Arc<RateLimiter>>,
    pub host: LocalPeer,
    #[cfg(feature = "dht")]
    pub dht: Option<Arc<crate::net::Dht>>,
    catalogue: Mutex<HashMap<Infohash, Option<Arc<Metainfo>>>>,
    budget: OnceLock<Budget>,
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
            budget: OnceLock::new(),
            dials: OnceLock::new(),
            metadata: OnceLock::new(),
        }
    }

    /// The catalog is asked for this torrent, or gave it, in place of the one that was at hand.
    pub fn note_catalogue(&self, infohash: Infohash, newer: Option<Arc<Metainfo>>) {
        let mut answers = self.catalogue.lock();
        let known = answers.entry(infohash).or_default();
        *known = newer.or_else(|| known.take());
    }

    /// What became of asking the catalog for this torrent in this run; `None` if it was not asked yet. It is asked once.
    pub fn of_catalogue(&self, infohash: Infohash) -> Option<Option<Arc<Metainfo>>> {
        let answers = self.catalogue.lock();
        answers.get(&infohash).cloned()
    }

    /// Threads are made when the first of so many datasets has to be fetched: a warm build makes none.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn budget(
        &self,
        datasets: usize,
        missing_bytes: u64,
    ) -> Result<&Budget, rayon::ThreadPoolBuildError> {
        if let Some(budget) = self.budget.get() {
            return Ok(budget);
        }
        let made = Budget::new(datasets, missing_bytes, self.dials(datasets).clone())?;
        Ok(self.budget.get_or_init(|| made))
    }

    /// The budget of connecting to peers.
    pub fn dials(&self, datasets: usize) -> &Dials {
        self.dials.get_or_init(|| Dials::new(datasets))
    }

    /// The budget of asking peers for metadata.
    pub fn metadata_budget(&self, datasets: usize) -> &MetadataBudget {
        self.metadata.get_or_init(|| MetadataBudget::new(datasets))
    }
}
