//! Peers that are known when a download begins, and open connections to those that delivered the
//! metainfo, which are reused for data.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::dial::Greeting;
use crate::mutex::Mutex;
use crate::net::timing::HANDED_OVER_WITHIN;
use crate::protocol::socks::Destination;

/// Peers known from the search for the metainfo.
#[derive(Debug, Default)]
pub struct KnownPeers {
    /// `host:port`.
    pub addresses: Vec<String>,
    pub open: OpenPeers,
}

/// Connections that pass from one phase of a job to the next.
#[derive(Clone, Debug, Default)]
pub struct OpenPeers(Arc<Mutex<Vec<OpenPeer>>>);

#[derive(Debug)]
struct OpenPeer {
    target: Destination,
    since: Instant,
    /// `None` if the connection is only promised.
    connection: Option<Box<Greeting>>,
}

/// Whether there is a connection to a peer.
pub enum OpenState {
    No,
    /// A connection is about to be handed over.
    Soon,
    Here(Box<Greeting>),
}

impl OpenPeers {
    /// Announces that the connection to this peer will probably be put here.
    pub fn promise(&self, target: &Destination) {
        self.add(target, None);
    }

    pub fn put(&self, target: &Destination, connection: Greeting) {
        self.add(target, Some(Box::new(connection)));
    }

    fn add(&self, target: &Destination, connection: Option<Box<Greeting>>) {
        let mut open = self.0.lock();
        match open.iter_mut().find(|it| it.target == *target) {
            Some(known) => known.connection = connection.or(known.connection.take()),
            None => {
                open.push(OpenPeer { target: target.clone(), since: Instant::now(), connection })
            }
        }
    }

    /// Takes the connection to this peer.
    pub fn take(&self, target: &Destination) -> OpenState {
        let mut open = self.0.lock();
        let Some(index) = open.iter().position(|it| it.target == *target) else {
            return OpenState::No;
        };
        if open[index].connection.is_none() && open[index].since.elapsed() < HANDED_OVER_WITHIN {
            return OpenState::Soon;
        }
        open.swap_remove(index).connection.map_or(OpenState::No, OpenState::Here)
    }

    /// Drops connections that nobody has taken for `after`, so that the peers can serve others.
    pub fn expire(&self, after: Duration) {
        self.0.lock().retain(|it| it.since.elapsed() < after);
    }
}
