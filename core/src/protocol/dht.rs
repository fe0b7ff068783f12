//! A search of the DHT for a torrent's peers (BEP 5): each queried node names other nodes, ever
//! closer to the infohash.
//!
//! ```text
//! known ─▶ queried ─┬─ answered: names peers, and nodes, which become known
//!                   └─ silent (a late answer still counts)
//! ```
//!
//! The search ends when the closest nodes, silent ones aside, have all answered. We are a read-only
//! node (BEP 43): we send queries and answer none, so that other nodes do not add us to their
//! routing tables.
//!
//! Anyone may send us datagrams, and an answer can make us send a datagram to any address.
//! Therefore an answer counts only if it comes from the queried address and has the transaction ID
//! of that query, and everything is limited: nodes and peers per answer, queries and peers per
//! search. A host can run any number of nodes with IDs of its choice: one node per host is queried,
//! kept and announced to with normal priority, and the host's other nodes only after those of all
//! other hosts. If there is only one host, as in a test, all of its nodes get their turn, until too
//! many of them are silent.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::compact;
use crate::address::may_tell;
use crate::torrent::bencode::{Limits, Node as Value, scan};
use crate::torrent::infohash::Infohash;

#[cfg(test)]
mod tests;

/// How long to wait for a node's answer. BEP 5 sets no limit; nodes that answer at all do so within
/// this time.
pub const WAIT: Duration = Duration::from_secs(2);

/// Maximum number of peers per search.
pub const MAX_PEERS: usize = 500;

/// A node ID, or the XOR distance of two.
type Id = [u8; 20];

/// BEP 5's K is 8: the number of nodes to announce to. The search keeps twice as many candidates,
/// because some are gone by then.
const ANNOUNCED_TO: usize = 8;
const CLOSEST: usize = 2 * ANNOUNCED_TO;

/// Maximum number of pending queries.
const AT_ONCE: usize = 8;

/// Maximum number of queries per search. A network of millions of nodes takes about fifty.
const MAX_QUESTIONS: usize = 200;

/// Number of silent nodes after which a host's other nodes are not queried: a host that never
/// answers need not have been named by itself.
const MAX_SILENT_OF_A_HOST: usize = 4;

/// Maximum number of known nodes; the closest are kept.
const MAX_NODES: usize = 400;

const MAX_NODES_OF_AN_ANSWER: usize = 32;
const MAX_PEERS_OF_AN_ANSWER: usize = 200;
const MAX_TOKEN_BYTES: usize = 128;

const LIMITS: Limits = Limits { max_bytes: 8 << 10, max_values: 10_000 };

/// The length of a node's ID and IPv4 address in the compact format.
const NODE_BYTES: usize = 26;

/// A node to query. The ID is unknown if a user named the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    pub id: Option<Id>,
    pub address: SocketAddr,
}

/// What the caller should do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DhtPoll {
    /// Send this datagram.
    Send(SocketAddr, Vec<u8>),
    /// Wait for answers until this time.
    Wait(Duration),
    /// The search is over.
    Done,
}

/// In the order in which a node represents its host: see [`DhtSearch::hosts_first`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum NodeState {
    Known,
    Silent,
    Asked { until: Duration },
    Answered,
}

#[derive(Debug)]
struct DhtNode {
    contact: Contact,
    distance: Id,
    state: NodeState,
    transaction: [u8; 4],
    /// Required by the node in an announce.
    token: Vec<u8>,
}

/// One search.
#[derive(Debug)]
pub struct DhtSearch {
    own_id: Id,
    infohash: Infohash,
    wait: Duration,
    random: fastrand::Rng,
    /// By increasing distance; nodes without an ID come first.
    nodes: Vec<DhtNode>,
    questions: usize,
    peers: HashSet<SocketAddr>,
}

impl DhtSearch {
    /// `wait` is [`WAIT`], or less in tests.
    pub fn new(own_id: Id, infohash: Infohash, wait: Duration, seed: u64) -> DhtSearch {
        DhtSearch {
            own_id,
            infohash,
            wait,
            random: fastrand::Rng::with_seed(seed),
            nodes: Vec::new(),
            questions: 0,
            peers: HashSet::new(),
        }
    }

    /// Adds a node that may be queried, if it is close enough.
    pub fn add(&mut self, contact: Contact) {
        let known = |node: &DhtNode| node.contact.address == contact.address;
        if !contact.address.is_ipv4()
            || !compact::can_be_a_peer(contact.address)
            || self.nodes.iter().any(known)
        {
            return;
        }
        let (state, token) = (NodeState::Known, Vec::new());
        self.insert(DhtNode { contact, distance: [0; 20], state, transaction: [0; 4], token });
    }

    fn insert(&mut self, mut node: DhtNode) {
        if let Some(id) = node.contact.id {
            let target = self.infohash.as_bytes();
            node.distance = std::array::from_fn(|index| id[index] ^ target[index]);
        }
        let at = self.nodes.partition_point(|other| other.distance <= node.distance);
        self.nodes.insert(at, node);
        if self.nodes.len() > MAX_NODES {
            if let Some(&last) = self.hosts_first(|_| true).last() {
                self.nodes.remove(last);
            }
        }
    }

    /// Returns the nodes for which `holds` is true, closest first: one node per host, then the
    /// others. The one is a node that was already queried, if any, even if it is silent. Otherwise
    /// ever closer nodes of the host could be named, each of which would be queried next.
    fn hosts_first(&self, holds: impl Fn(&DhtNode) -> bool) -> Vec<usize> {
        let mut of_host: HashMap<IpAddr, usize> = HashMap::new();
        let nodes = || self.nodes.iter().enumerate().filter(|(_, node)| holds(node));
        for (index, node) in nodes() {
            let one = of_host.entry(node.contact.address.ip()).or_insert(index);
            if self.nodes[*one].state < node.state {
                *one = index;
            }
        }
        let is_first = |(index, node): &(usize, &DhtNode)| {
            of_host.get(&node.contact.address.ip()) == Some(index)
        };
        let (mut order, others): (Vec<_>, Vec<_>) = nodes().partition(is_first);
        order.extend(others);
        order.into_iter().map(|(index, _)| index).collect()
    }

    /// Whether no node is known.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Returns what to do at this time.
    pub fn poll(&mut self, now: Duration) -> DhtPoll {
        let mut under_way = 0;
        let mut first_until = Duration::MAX;
        for node in &mut self.nodes {
            if let NodeState::Asked { until } = node.state {
                if now >= until {
                    node.state = NodeState::Silent;
                } else {
                    under_way += 1;
                    first_until = first_until.min(until);
                }
            }
        }
        if under_way < AT_ONCE && self.questions < MAX_QUESTIONS {
            let mut order = self.hosts_first(|_| true);
            let mut silent: HashMap<IpAddr, usize> = HashMap::new();
            for node in self.nodes.iter().filter(|node| node.state == NodeState::Silent) {
                *silent.entry(node.contact.address.ip()).or_default() += 1;
            }
            let is_left_out = |node: &DhtNode| match node.state {
                NodeState::Silent => true,
                NodeState::Known => silent
                    .get(&node.contact.address.ip())
                    .is_some_and(|silent| *silent >= MAX_SILENT_OF_A_HOST),
                _ => false,
            };
            order.retain(|index| !is_left_out(&self.nodes[*index]));
            let mut closest = order.into_iter().take(CLOSEST);
            if let Some(next) = closest.find(|index| self.nodes[*index].state == NodeState::Known) {
                let node = &mut self.nodes[next];
                self.questions += 1;
                node.state = NodeState::Asked { until: now.saturating_add(self.wait) };
                node.transaction = self.random.u32(..).to_be_bytes();
                let arguments = [&b"9:info_hash20:"[..], self.infohash.as_bytes()].concat();
                let query = query(&self.own_id, b"9:get_peers", &arguments, node.transaction);
                return DhtPoll::Send(node.contact.address, query);
            }
        }
        if under_way > 0 { DhtPoll::Wait(first_until) } else { DhtPoll::Done }
    }

    /// Handles a datagram; returns the peers in it that were not named before.
    pub fn handle(&mut self, from: SocketAddr, datagram: &[u8]) -> Vec<SocketAddr> {
        let mut new = Vec::new();
        let Ok(scan) = scan(datagram, &LIMITS) else { return new };
        let message = scan.root();
        let text = |key: &[u8]| message.get(key).and_then(Value::bytes);
        let asked = self.nodes.iter().position(|node| {
            node.contact.address == from
                && matches!(node.state, NodeState::Asked { .. } | NodeState::Silent)
                && text(b"t") == Some(&node.transaction)
        });
        let Some(index) = asked else { return new };
        let answer = message.get(b"r").filter(|_| text(b"y") == Some(b"r"));
        let id = answer.and_then(|it| it.get(b"id")).and_then(Value::bytes);
        let (Some(answer), Some(id)) = (answer, id.and_then(|id| Id::try_from(id).ok())) else {
            // An error or garbage: another query would not help.
            self.nodes[index].state = NodeState::Silent;
            return new;
        };
        let mut node = self.nodes.remove(index);
        node.state = NodeState::Answered;
        node.contact.id = Some(id);
        let token = answer.get(b"token").and_then(Value::bytes);
        node.token =
            token.filter(|token| token.len() <= MAX_TOKEN_BYTES).unwrap_or_default().to_vec();
        self.insert(node);
        let nodes = answer.get(b"nodes").and_then(Value::bytes).unwrap_or_default();
        for node in nodes.chunks_exact(NODE_BYTES).take(MAX_NODES_OF_AN_ANSWER) {
            if let Some((id, address)) = node.split_first_chunk() {
                let id = Some(*id);
                // A private address is accepted only from a node that may name it: see `may_tell`.
                let told = compact::v4(address).filter(|it| may_tell(Some(from.ip()), it.ip()));
                told.for_each(|address| self.add(Contact { id, address }));
            }
        }
        for value in answer.get(b"values").and_then(Value::list).into_iter().flatten() {
            let text = value.bytes().unwrap_or_default();
            // Some nodes send all IPv4 peers in one string.
            let (v4, v6) = match text.len() {
                18 => (&[][..], text),
                bytes if bytes % 6 == 0 => (text, &[][..]),
                _ => continue,
            };
            for peer in compact::v4(v4).chain(compact::v6(v6)) {
                let has_room = new.len() < MAX_PEERS_OF_AN_ANSWER && self.peers.len() < MAX_PEERS;
                if has_room && compact::can_be_a_peer(peer) && self.peers.insert(peer) {
                    new.push(peer);
                }
            }
        }
        new
    }

    /// Returns the nodes that answered, closest first, but with further nodes of the same host
    /// last. The next search can start from them.
    pub fn answered(&self) -> Vec<Contact> {
        let answered = self.hosts_first(|node| node.state == NodeState::Answered);
        answered.into_iter().map(|index| self.nodes[index].contact).collect()
    }

    /// Returns the datagrams that announce our listening port to the closest nodes.
    pub fn announce(&mut self, port: u16) -> Vec<(SocketAddr, Vec<u8>)> {
        let infohash = self.infohash.as_bytes();
        let told = self.hosts_first(|it| it.state == NodeState::Answered && !it.token.is_empty());
        let told = told.into_iter().take(ANNOUNCED_TO).map(|index| {
            let node = &self.nodes[index];
            let port = format!("4:porti{port}e5:token{}:", node.token.len());
            let begin: &[u8] = b"12:implied_porti0e9:info_hash20:";
            let arguments = [begin, infohash, port.as_bytes(), &node.token].concat();
            let transaction = self.random.u32(..).to_be_bytes();
            let query = query(&self.own_id, b"13:announce_peer", &arguments, transaction);
            (node.contact.address, query)
        });
        told.collect()
    }
}

/// Encodes a query, with the arguments that follow our ID.
fn query(own_id: &Id, name: &[u8], arguments: &[u8], transaction: [u8; 4]) -> Vec<u8> {
    let begin: &[u8] = b"d1:ad2:id20:";
    // `ro` marks a read-only node (BEP 43).
    let end: &[u8] = b"1:v4:AD\0\x011:y1:qe";
    [begin, own_id, arguments, b"e1:q", name, b"2:roi1e1:t4:", &transaction, end].concat()
}
