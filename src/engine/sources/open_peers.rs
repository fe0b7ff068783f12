//! Peers that are known when a download begins, and the connections to those that gave the metainfo: they go on to fetch data.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::dial::Greeting;
use crate::mutex::Mutex;
use crate::net::timing::HANDED_OVER_WITHIN;
use crate::protocol::socks::Destination;

/// What is known of peers from fetching the metainfo.
#[derive(Debug, Default)]
pub struct KnownPeers {
    /// `host:port`.
    pub addresses: Vec<String>,
    pub open: OpenPeers,
}

/// Connections on their way from one phase of a download to the next.
#[derive(Clone, Debug, Default)]
pub struct OpenPeers(Arc<Mutex<Vec<OpenPeer>>>);

#[derive(Debug)]
struct OpenPeer {
    target: Destination,
    since: Instant,
    /// `None` where it is promised.
    connection: Option<Box<Greeting>>,
}

/// Whether there is a connection to a peer.
pub enum OpenState {
    No,
    /// It is about to be handed over.
    Soon,
    Here(Box<Greeting>),
}

impl OpenPeers {
    /// The connection to this peer will be put here, if nothing happens to it.
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

    /// Lets go of what nobody has taken for so long: such a peer may have others to serve.
    pub fn expire(&self, after: Duration) {
        self.0.lock().retain(|it| it.since.elapsed() < after);
    }
}
