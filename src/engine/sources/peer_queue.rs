//! The peers of a download, or of a search for the metainfo, until they get a worker.
//!
//! ```text
//! never tried ─┐
//!              ├─▶ dialed ── handshake ──▶ waiting ── a free place ──▶ working
//! tried before ┘      └── silent, refused: tried before, after a pause
//! ```
//! Untried peers have priority, and of a host with many addresses one address has priority over the
//! others. The rest follow in rounds. Peers that are useless or slow give up their places to
//! waiting peers, and keep them longer each time.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::attempts::{Attempts, RetryPolicy};
use super::dial::{Dialed, Greeting, dial, find_peer, turn_of};
use super::event::{WorkerEvent, WorkerOutcome};
use super::open_peers::{OpenPeers, OpenState};
use super::phase::PeerPhase;
use crate::address::NamedBy;
use crate::counters::DatasetCounters;
use crate::engine::budget::{Dials, MAX_REMEMBERED, MAX_SOURCES, MOST_NAMED};
use crate::net::SourceError;
use crate::picker::SourceId;
use crate::protocol::socks::Destination;

#[derive(Debug)]
pub struct QueuedPeer {
    pub id: SourceId,
    pub target: Destination,
    /// The user or the manifest named the peer by its address.
    pub named: bool,
    /// Only the DHT or default trackers have reported the peer.
    pub open_to_all: bool,
    /// How many addresses of the same host were already known.
    turn: u32,
    pub attempts: Attempts,
}

impl QueuedPeer {
    /// The peer's name in reports and counters.
    pub fn name(&self) -> String {
        format!("peer {}", self.target)
    }
}

/// The peers, in the order in which they became known, which is also the order of their IDs.
#[derive(Debug)]
pub struct PeerQueue {
    phase: Arc<PeerPhase>,
    policy: RetryPolicy,
    /// `None` for a search for the metainfo.
    counters: Option<Arc<DatasetCounters>>,
    peers: Vec<QueuedPeer>,
    /// Indexes into `peers`.
    known: HashMap<Destination, usize>,
    next_id: u32,
    /// Number of host names being looked up.
    looking_up: usize,
    dialing: usize,
    /// Peers that answered the handshake, and since when they have waited for a place.
    greeted: VecDeque<(SourceId, Duration, Box<Greeting>)>,
    /// Number of peers that have a place.
    at_work: usize,
    /// Open connections to peers that need not be dialed.
    pub open: OpenPeers,
}

impl PeerQueue {
    pub fn new(
        phase: Arc<PeerPhase>,
        policy: RetryPolicy,
        counters: Option<Arc<DatasetCounters>>,
    ) -> PeerQueue {
        PeerQueue {
            phase,
            policy,
            counters,
            peers: Vec::new(),
            known: HashMap::new(),
            next_id: 0,
            looking_up: 0,
            dialing: 0,
            greeted: VecDeque::new(),
            at_work: 0,
            open: OpenPeers::default(),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &QueuedPeer> {
        self.peers.iter()
    }

    pub fn get(&self, id: SourceId) -> Option<&QueuedPeer> {
        self.peers.get(self.index_of(id)?)
    }

    pub fn get_mut(&mut self, id: SourceId) -> Option<&mut QueuedPeer> {
        let index = self.index_of(id)?;
        self.peers.get_mut(index)
    }

    fn index_of(&self, id: SourceId) -> Option<usize> {
        self.peers.binary_search_by_key(&id, |peer| peer.id).ok()
    }

    /// Assigns the ID of a new source, a peer or another.
    pub fn next_id(&mut self, name: &str) -> SourceId {
        if let Some(counters) = &self.counters {
            counters.sources.add(name);
        }
        self.next_id += 1;
        SourceId(self.next_id - 1)
    }

    /// Whether there is no room for another peer. A peer that was given up makes room for others,
    /// but is remembered, so that it is not tried again.
    fn is_full(&self) -> bool {
        let count = self.peers.len();
        let kept = || self.peers.iter().filter(|peer| !peer.attempts.is_over()).count();
        count >= MAX_REMEMBERED || (count >= MAX_SOURCES && kept() >= MAX_SOURCES)
    }

    /// Adds a peer, unless it is known already or there is no room.
    pub fn add(&mut self, target: Destination, by: NamedBy) {
        let open_to_all = by.is_open_to_all();
        let named = by != NamedBy::Neighbor && !open_to_all;
        if let Some(known) = self.known.get(&target).and_then(|index| self.peers.get_mut(*index)) {
            known.named |= named;
            known.open_to_all &= open_to_all;
        } else if !self.is_full() {
            let turn = turn_of(&target, self.peers.iter().map(|peer| &peer.target));
            self.known.insert(target.clone(), self.peers.len());
            let id = self.next_id(&format!("peer {target}"));
            let attempts = Attempts::default();
            self.peers.push(QueuedPeer { id, target, named, open_to_all, turn, attempts });
        }
    }

    /// Adds the peers of one reply, up to a limit: a single reply may list thousands.
    pub fn add_all(&mut self, addresses: Vec<SocketAddr>, by: NamedBy) {
        let believed = addresses.into_iter().take(MOST_NAMED);
        believed.for_each(|address| self.add(Destination::Address(address), by));
    }

    /// Whether every peer is lost for good and has no connection left.
    pub fn is_exhausted(&self) -> bool {
        self.peers.iter().all(|peer| peer.attempts.is_over())
    }

    /// Adds a peer that was named as `host:port`, once its name is looked up, if it may be
    /// contacted.
    pub fn look_up(&mut self, by: NamedBy, name: String) {
        let (phase, owned) = (Arc::clone(&self.phase), name.clone());
        let found = move |addresses| {
            phase.tell(WorkerEvent::Resolved { by, name: owned, addresses });
        };
        match find_peer(&self.phase.client, by, &name, found) {
            Ok(Some(target)) => self.add(target, by),
            Ok(None) => self.looking_up += 1,
            Err(why) => self.note_name(&name, why),
        }
    }

    /// Whether host names are still being looked up.
    pub fn is_looking_up(&self) -> bool {
        self.looking_up > 0
    }

    /// Handles the end of a host name look-up.
    pub fn on_resolved(
        &mut self,
        by: NamedBy,
        name: &str,
        addresses: Result<Vec<SocketAddr>, SourceError>,
    ) {
        self.looking_up -= 1;
        let addresses = addresses.unwrap_or_else(|why| {
            self.note_name(name, why);
            Vec::new()
        });
        for address in addresses {
            match self.phase.client.judge_peer(by, name, Some(address)) {
                Ok(()) => self.add(Destination::Address(address), by),
                Err(why) => self.note_name(name, why),
            }
        }
    }

    fn note_name(&self, name: &str, why: SourceError) {
        self.phase.report.note(&format!("peer {name}"), Err(why));
    }

    /// Handles the end of a dial. `is_wanted`: something is left to request.
    pub fn on_dialed(&mut self, id: SourceId, dialed: Dialed, is_wanted: bool) {
        self.dialing = self.dialing.saturating_sub(1);
        match dialed {
            Ok(greeting) => self.greeted.push_back((id, self.phase.now(), greeting)),
            Err(why) => self.leave(id, WorkerOutcome::Failed(why), 0, is_wanted),
        }
    }

    /// Handles the end of a peer's worker.
    pub fn on_ended(
        &mut self,
        id: SourceId,
        outcome: WorkerOutcome,
        brought_bytes: u64,
        is_wanted: bool,
    ) {
        self.at_work = self.at_work.saturating_sub(1);
        if let Some(peer) = self.get_mut(id) {
            peer.attempts.brought = brought_bytes > 0;
        }
        self.leave(id, outcome, brought_bytes, is_wanted);
    }

    /// Records that a connection ended, or was not established.
    fn leave(&mut self, id: SourceId, outcome: WorkerOutcome, brought_bytes: u64, is_wanted: bool) {
        let (now, policy) = (self.phase.now(), self.policy);
        self.set_works(id, false);
        let Some(peer) = self.get_mut(id) else { return };
        if let Some(why) = peer.attempts.end(outcome, brought_bytes, now, policy, is_wanted) {
            let name = peer.name();
            self.phase.report.note(&name, Err(why));
        }
    }

    fn set_works(&self, id: SourceId, works: bool) {
        if let Some(counters) = &self.counters {
            counters.sources.set_works(id.0, works);
        }
    }

    /// Number of peers that have a place.
    pub fn at_work(&self) -> usize {
        self.at_work
    }

    /// Number of peers that answered and wait for a place.
    pub fn waiting(&self) -> usize {
        self.greeted.len()
    }

    /// Takes the waiting peer that gets the next place, if there is a permit for it: in the lowest
    /// round, the peer that has waited longest.
    pub fn next_greeted<P>(
        &mut self,
        permit: impl FnOnce(&QueuedPeer) -> Option<P>,
    ) -> Option<(P, SourceId, Box<Greeting>)> {
        let round = |id: SourceId| self.get(id).map(|peer| peer.attempts.round());
        let places = self.greeted.iter().enumerate();
        let (place, (id, ..)) = places.min_by_key(|(_, (id, ..))| round(*id))?;
        let permit = permit(self.get(*id)?)?;
        let (id, _, greeting) = self.greeted.remove(place)?;
        self.at_work += 1;
        Some((permit, id, greeting))
    }

    /// Drops peers that have waited for a place for too long, so that they can serve others.
    pub fn expire(&mut self, now: Duration) {
        let silence = self.phase.client.timing().silence;
        self.open.expire(silence);
        while let Some(&(id, since, _)) = self.greeted.front() {
            if now.saturating_sub(since) <= silence {
                break;
            }
            self.greeted.pop_front();
            self.leave(id, WorkerOutcome::Paused(silence, SourceError::NoPlace), 0, true);
        }
    }

    /// How long a peer keeps its place while others wait for one.
    pub fn slice(&self, id: SourceId) -> Duration {
        let gave_way = self.get(id).map_or(0, |peer| peer.attempts.gave_way);
        self.phase.client.timing().slice(gave_way)
    }

    /// The peers that may be dialed now, in order of priority: their indexes, and whether each was
    /// tried before.
    fn due(&self, now: Duration) -> Vec<(usize, bool)> {
        let mut due: Vec<_> = self
            .peers
            .iter()
            .enumerate()
            .filter(|(_, it)| it.attempts.working == 0 && it.attempts.may_begin(now))
            // In a round, peers that answered before precede those that failed.
            .map(|(index, QueuedPeer { attempts, turn, .. })| {
                ((attempts.tries > 0, attempts.round(), attempts.failures, *turn), index)
            })
            .collect();
        due.sort_unstable();
        due.into_iter().map(|((is_retry, ..), index)| (index, is_retry)).collect()
    }

    /// Dials peers, with at most `most` dials under way.
    pub fn dial(&mut self, now: Duration, most: usize, dials: &Dials) {
        let most = most.min(dials.per_dataset);
        if self.dialing >= most {
            return;
        }
        for (index, is_retry) in self.due(now) {
            if self.dialing >= most {
                break;
            }
            let QueuedPeer { id, target, attempts, .. } = &mut self.peers[index];
            let (id, target) = (*id, target.clone());
            // An open connection, or a permit for a dial.
            let how = match self.open.take(&target) {
                OpenState::Soon => continue,
                OpenState::Here(greeting) => Ok(greeting),
                OpenState::No => match dials.permit(is_retry) {
                    Some(permit) => Err(permit),
                    None => break,
                },
            };
            attempts.begin(now);
            self.dialing += 1;
            self.set_works(id, true);
            let permit = match how {
                Err(permit) => permit,
                Ok(greeting) => {
                    let is_open = self.phase.client.adopt(greeting.connection());
                    let dialed = if is_open { Ok(greeting) } else { Err(SourceError::Ended) };
                    self.phase.tell(WorkerEvent::Dialed { source: id, dialed });
                    continue;
                }
            };
            let (of_clock, of_end) = (Arc::clone(&self.phase), Arc::clone(&self.phase));
            dial(
                permit,
                self.phase.client.clone(),
                target,
                (self.phase.infohash, self.phase.peer_id),
                Box::new(move || (!of_clock.is_over()).then(|| of_clock.now())),
                Box::new(move |dialed| of_end.tell(WorkerEvent::Dialed { source: id, dialed })),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::budget::FAILURES;
    use crate::engine::tests::{Fixture, fixture, swarm_with_timeout};

    const STEP: Duration = Duration::from_millis(100);

    /// A queue of `peers` peers, each on another host.
    fn queue(peers: u32) -> PeerQueue {
        let Fixture { _directory, partial, .. } = fixture();
        let swarm = swarm_with_timeout(partial, Duration::from_secs(120));
        let policy = RetryPolicy { pause: Duration::from_secs(1), failures: FAILURES };
        let mut queue = PeerQueue::new(swarm.phase, policy, None);
        for host in 0..peers {
            let [.., high, low] = host.to_be_bytes();
            let address = SocketAddr::from(([192, 0, high, low], 1));
            queue.add(Destination::Address(address), NamedBy::Neighbor);
        }
        queue
    }

    /// Simulates `places` places that are shared by `useless` peers, which answer but send nothing,
    /// and one peer that sends its first block after `first_block`. Returns when that block
    /// arrives.
    fn done_after(useless: u32, places: usize, first_block: Duration) -> Option<Duration> {
        // The useful peer is the last one.
        let mut queue = queue(useless + 1);
        let mut held: Vec<(usize, Duration)> = Vec::new();
        let mut now = Duration::ZERO;
        while now < Duration::from_secs(600) {
            if held.iter().any(|(it, since)| *it == useless as usize && now - *since > first_block)
            {
                return Some(now);
            }
            for (index, _) in queue.due(now) {
                if held.len() >= places {
                    let is_over =
                        |(it, since): &_| now - *since > queue.slice(SourceId(*it as u32));
                    let Some(over) = held.iter().position(is_over) else { break };
                    let (gave_way, _) = held.remove(over);
                    let outcome = WorkerOutcome::GaveWay(SourceError::GaveWay);
                    let attempts = &mut queue.peers[gave_way].attempts;
                    attempts.end(outcome, 0, now, queue.policy, true);
                }
                queue.peers[index].attempts.begin(now);
                held.push((index, now));
            }
            now += STEP;
        }
        None
    }

    #[test]
    fn a_slow_peer_gets_its_turn_again_and_for_longer_among_useless_ones() {
        let seconds = Duration::from_secs;
        // Within its first turn.
        let soon = done_after(20, 12, seconds(1));
        assert!(soon.is_some_and(|it| it < seconds(4)), "{soon:?}");
        // After giving way once, and after giving way twice.
        let slow = done_after(20, 12, seconds(3));
        assert!(slow.is_some_and(|it| it < seconds(12)), "{slow:?}");
        let slower = done_after(20, 12, seconds(7));
        assert!(slower.is_some_and(|it| it < seconds(30)), "{slower:?}");
        // Among many useless peers.
        let late = done_after(300, 12, seconds(7));
        assert!(late.is_some_and(|it| it < seconds(400)), "{late:?}");
    }

    #[test]
    fn peers_come_in_rounds_and_in_each_those_that_answered_before_come_first() {
        let mut queue = queue(5);
        let gave_way = || WorkerOutcome::GaveWay(SourceError::GaveWay);
        let ends = [
            vec![gave_way(), gave_way()],
            vec![WorkerOutcome::Failed(SourceError::NoAddress)],
            vec![gave_way()],
            vec![],
            vec![WorkerOutcome::Ended],
        ];
        let now = Duration::from_secs(1);
        for (index, outcomes) in ends.into_iter().enumerate() {
            for outcome in outcomes {
                let attempts = &mut queue.peers[index].attempts;
                attempts.begin(now);
                attempts.end(outcome, 0, now, queue.policy, true);
            }
        }
        let due = |at: Duration| -> Vec<_> {
            queue.due(at).into_iter().map(|(index, _)| index).collect()
        };
        assert_eq!(due(now), [3, 4]);
        assert_eq!(due(now + Duration::from_secs(1)), [3, 4, 2, 1, 0]);
    }

    fn address(number: usize) -> SocketAddr {
        let [.., high, low] = number.to_be_bytes();
        SocketAddr::from(([192, 0, high, low], 1))
    }

    fn add(queue: &mut PeerQueue, number: usize) {
        queue.add(Destination::Address(address(number)), NamedBy::Neighbor);
    }

    fn attempts(queue: &mut PeerQueue, id: usize) -> &mut Attempts {
        &mut queue.peers[id].attempts
    }

    #[test]
    fn peers_that_are_given_up_leave_their_places_to_others_and_are_not_tried_anew() {
        let mut queue = queue(0);
        (0..MAX_SOURCES + 10).for_each(|number| add(&mut queue, number));
        assert_eq!(queue.peers.len(), MAX_SOURCES);
        // Two peers are given up; one of them still has a connection.
        attempts(&mut queue, 3).lost = true;
        attempts(&mut queue, 4).lost = true;
        attempts(&mut queue, 4).working = 1;
        add(&mut queue, 3);
        assert_eq!(queue.peers.len(), MAX_SOURCES);
        add(&mut queue, 5_000);
        add(&mut queue, 5_001);
        assert_eq!(queue.peers.len(), MAX_SOURCES + 1);
        let last = queue.get(SourceId(MAX_SOURCES as u32)).unwrap();
        assert_eq!(last.name(), format!("peer {}", address(5_000)));
        // A peer that was refused for lack of room is added later.
        attempts(&mut queue, 4).working = 0;
        add(&mut queue, 5_001);
        assert_eq!(queue.peers.len(), MAX_SOURCES + 2);
    }

    #[test]
    fn given_up_peers_are_not_remembered_without_end() {
        let mut queue = queue(0);
        for number in 0..MAX_REMEMBERED + 10 {
            add(&mut queue, number);
            let last = queue.peers.len() - 1;
            attempts(&mut queue, last).lost = true;
        }
        assert_eq!(queue.peers.len(), MAX_REMEMBERED);
    }

    #[test]
    fn a_peer_that_the_user_names_is_named_whoever_named_it_before() {
        let mut queue = queue(0);
        add(&mut queue, 0);
        add(&mut queue, 1);
        queue.add(Destination::Address(address(0)), NamedBy::User);
        queue.add(Destination::Name("peer.example".to_owned(), 6881), NamedBy::User);
        queue.add(Destination::Name("peer.example".to_owned(), 6881), NamedBy::User);
        let named: Vec<_> = queue.iter().map(|it| it.named).collect();
        assert_eq!(named, [true, false, true]);
    }

    #[test]
    #[cfg(feature = "dht")]
    fn a_peer_is_of_the_dht_while_nobody_else_has_named_it() {
        let mut queue = queue(0);
        let orders = [
            [NamedBy::Dht, NamedBy::Dht],
            [NamedBy::Dht, NamedBy::Neighbor],
            [NamedBy::Neighbor, NamedBy::Dht],
            [NamedBy::User, NamedBy::Dht],
        ];
        for (number, order) in orders.into_iter().enumerate() {
            order.into_iter().for_each(|by| queue.add(Destination::Address(address(number)), by));
        }
        let open_to_all: Vec<_> = queue.iter().map(|it| (it.open_to_all, it.named)).collect();
        assert_eq!(open_to_all, [(true, false), (false, false), (false, false), (false, true)]);
    }
}
