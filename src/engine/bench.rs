//! A benchmark of `SourceManager::start_workers` with many known sources, for `benches/`.

use std::net::SocketAddr;
use std::sync::Arc;

use super::budget::{Budget, DialPermit, Dials};
use super::connection_limiter::Permit;
use crate::address::NamedBy;
use crate::counters::Counters;
use crate::engine::local_peer::LocalPeer;
use crate::engine::sources::manager::SourceManager;
use crate::engine::sources::swarm::Swarm;
use crate::engine::upload::manager::{RateLimiter, UploadManager};
use crate::error::{Error, ErrorKind};
use crate::net::Client;
use crate::picker::Schedule;
use crate::settings::Context;
use crate::storage::Partial;
use crate::torrent::pieces::PieceSet;

/// Sources that all wait for a connection while the budget is exhausted.
#[derive(Debug)]
pub struct WaitingSources {
    manager: SourceManager,
    budget: Budget,
    _permits: (Vec<Permit<String>>, Vec<DialPermit>),
}

impl WaitingSources {
    /// # Errors
    /// Invalid settings (the defaults are used), or the system refused to create a thread.
    pub fn new(
        partial: Partial,
        schedule: Schedule,
        web_seeds: u32,
        peers: u32,
    ) -> Result<WaitingSources, Error> {
        let settings = Context::default().settings()?;
        let uploads = UploadManager::new(RateLimiter::new(0), PieceSet::none(1), 4);
        let (counters, (events, _)) = (Counters::default().add("a"), std::sync::mpsc::channel());
        let client = Client::new(&settings)?;
        let swarm = Swarm::new(
            partial,
            client,
            counters,
            schedule,
            uploads,
            LocalPeer::not_listening(),
            events,
        );
        let mut manager = SourceManager::new(Arc::new(swarm));
        for seed in 0..web_seeds {
            manager.add_web_seed(format!("http://{seed}.example/").into(), NamedBy::User, false);
        }
        for peer in 0..peers {
            let [.., high, low] = peer.to_be_bytes();
            let address = SocketAddr::from(([192, 0, high, low], 1));
            manager.peers.add_all(vec![address], NamedBy::Neighbor);
        }
        let budget = Budget::new(1, 0, Dials::new(1))
            .map_err(|why| Error::new(ErrorKind::Disk, why.to_string()))?;
        let connections = (0..).map_while(|host: u32| budget.permit(&host.to_string())).collect();
        let dials = std::iter::from_fn(|| budget.dials().permit(false)).collect();
        Ok(WaitingSources { manager, budget, _permits: (connections, dials) })
    }

    /// Runs one turn of the manager and returns the number of sources.
    pub fn turn(&mut self) -> usize {
        self.manager.start_workers(&self.budget);
        self.manager.len()
    }
}
