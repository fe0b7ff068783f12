//! A search of the DHT for a torrent's peers (BEP 5): nodes that are asked name others, ever closer to the infohash.
//!
//! ```text
//! known ─▶ asked ─┬─ answered: names nodes, which are known then, and peers
//!                 └─ silent (an answer that comes late still counts)
//! ```
//!
//! It ends when the closest that are not silent have all answered. We are a read-only node (BEP 43): we ask, and answer
//! nobody, so that no others keep us in their tables.
//!
//! Anyone may send us anything, and whoever answers can have us send a datagram to any address. So an answer counts only
//! from the address that was asked, with the transaction id of that question, and everything has a limit: nodes and peers
//! of an answer, and the questions and peers of a search. A host may have as many nodes as it likes, under ids of its
//! choice: one of them is asked, kept and told like anybody's, and its others after those of all other hosts. So where
//! there is one host alone, as in a test, all its nodes have their turn.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::compact;
use crate::address::may_tell;
use crate::torrent::bencode::{Limits, Node as Value, scan};
use crate::torrent::infohash::Infohash;

#[cfg(test)]
mod tests;

/// How long a node's answer is waited for. BEP 5 does not say; those who answer at all do it within this.
pub const WAIT: Duration = Duration::from_secs(2);

/// Peers of one search.
pub const MAX_PEERS: usize = 500;

/// An id of a node, or how far two are apart.
type Id = [u8; 20];

/// BEP 5's K is 8, and so many nodes are announced to. Some of them are gone when they are asked: twice as many are.
const ANNOUNCED_TO: usize = 8;
const CLOSEST: usize = 2 * ANNOUNCED_TO;

/// Questions under way at a time.
const AT_ONCE: usize = 8;

/// Questions of a search. In a network of millions of nodes it takes some fifty.
const MAX_QUESTIONS: usize = 200;

/// Nodes that are remembered: the closest.
const MAX_NODES: usize = 400;

const MAX_NODES_OF_AN_ANSWER: usize = 32;
const MAX_PEERS_OF_AN_ANSWER: usize = 200;
const MAX_TOKEN_BYTES: usize = 128;

const LIMITS: Limits = Limits { max_bytes: 8 << 10, max_values: 10_000 };

/// A node's `id` and its address in one string.
const NODE_BYTES: usize = 26;

/// A node that may be asked first. Of one that a person named the id is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    pub id: Option<Id>,
    pub address: SocketAddr,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DhtPoll {
    /// A datagram is to be sent.
    Send(SocketAddr, Vec<u8>),
    /// An answer may come until then.
    Wait(Duration),
    /// Nobody is left to be asked.
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NodeState {
    Known,
    Asked { until: Duration },
    Silent,
    Answered,
}

#[derive(Debug)]
struct DhtNode {
    contact: Contact,
    distance: Id,
    state: NodeState,
    transaction: [u8; 4],
    /// What it wants to see when it is announced to.
    token: Vec<u8>,
}

/// One search.
#[derive(Debug)]
pub struct DhtSearch {
    own_id: Id,
    infohash: Infohash,
    wait: Duration,
    random: fastrand::Rng,
    /// The closest first; those without an id before all.
    nodes: Vec<DhtNode>,
    questions: usize,
    peers: HashSet<SocketAddr>,
}

impl DhtSearch {
    /// `wait` stands for [`WAIT`], of which tests want less.
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

    /// A node to be asked, if it is close enough.
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

    /// The nodes for which this holds: one of each host, and then their others; the closest first. The one is whoever
    /// of the host was asked: else it would name ever closer ones, and each would be the next to be asked.
    fn hosts_first(&self, holds: impl Fn(&DhtNode) -> bool) -> Vec<usize> {
        let mut of_host: HashMap<IpAddr, usize> = HashMap::new();
        let nodes = || self.nodes.iter().enumerate().filter(|(_, node)| holds(node));
        for (index, node) in nodes() {
            let one = of_host.entry(node.contact.address.ip()).or_insert(index);
            if self.nodes[*one].state == NodeState::Known && node.state != NodeState::Known {
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

    /// Whether there is nobody to be asked.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// What is to be done at this time.
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
            let answering = self.hosts_first(|node| node.state != NodeState::Silent);
            let mut closest = answering.into_iter().take(CLOSEST);
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

    /// Takes a datagram; gives the peers in it that nobody named before.
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
            // A refusal, or nonsense: it is of no use to ask this one again.
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
                // The user's own nodes may be on a private network: see there.
                let told = compact::v4(address).filter(|it| may_tell(Some(from.ip()), it.ip()));
                told.for_each(|address| self.add(Contact { id, address }));
            }
        }
        for value in answer.get(b"values").and_then(Value::list).into_iter().flatten() {
            let address = value.bytes().unwrap_or_default();
            let peer = match address.len() {
                6 => compact::v4(address).next(),
                18 => compact::v6(address).next(),
                _ => None,
            };
            let Some(peer) = peer.filter(|it| compact::can_be_a_peer(*it)) else { continue };
            let has_room = new.len() < MAX_PEERS_OF_AN_ANSWER && self.peers.len() < MAX_PEERS;
            if has_room && self.peers.insert(peer) {
                new.push(peer);
            }
        }
        new
    }

    /// Those that answered, the closest first, but each host's others last: the next search may begin with them.
    pub fn answered(&self) -> Vec<Contact> {
        let answered = self.hosts_first(|node| node.state == NodeState::Answered);
        answered.into_iter().map(|index| self.nodes[index].contact).collect()
    }

    /// What tells the closest nodes that a peer listens on this port of ours.
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

/// A question, with the arguments that follow our id.
fn query(own_id: &Id, name: &[u8], arguments: &[u8], transaction: [u8; 4]) -> Vec<u8> {
    let begin: &[u8] = b"d1:ad2:id20:";
    // `ro`: BEP 43.
    let end: &[u8] = b"1:v4:AD\0\x011:y1:qe";
    [begin, own_id, arguments, b"e1:q", name, b"2:roi1e1:t4:", &transaction, end].concat()
}
