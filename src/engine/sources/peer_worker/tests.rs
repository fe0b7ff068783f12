//! Tests of a worker against scripted peers, byte by byte.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::engine::budget::Dials;
use crate::engine::sources::dial::greet;
use crate::engine::sources::event::WorkerOutcome;
use crate::engine::sources::swarm::Swarm;
use crate::engine::tests::{Fixture, fixture, swarm_with_timeout};
use crate::picker::SourceId;
use crate::protocol::socks::Destination;
use crate::torrent::geometry::BLOCK_BYTES;

const A: SourceId = SourceId(0);
const B: SourceId = SourceId(1);
const BLOCK: usize = BLOCK_BYTES as usize;
const CHOKE: [u8; 5] = [0, 0, 0, 1, 0];
const UNCHOKE: [u8; 5] = [0, 0, 0, 1, 1];

/// Starts a worker, and returns the peer's end of its connection.
fn shake_hands(swarm: &Arc<Swarm>, id: SourceId) -> (TcpStream, JoinHandle<WorkerOutcome>) {
    shake_hands_under(&Dials::new(1), swarm, id)
}

fn shake_hands_under(
    dials: &Dials,
    swarm: &Arc<Swarm>,
    id: SourceId,
) -> (TcpStream, JoinHandle<WorkerOutcome>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    swarm.schedule().add_peer(id);
    let worker = swarm.schedule().begin(id, swarm.now());
    let infohash = swarm.partial.metainfo().infohash;
    let swarm = Arc::clone(swarm);
    let permit = dials.permit(false).unwrap();
    let thread = std::thread::spawn(move || {
        let (target, who) = (Destination::Address(address), (infohash, swarm.host.peer_id));
        let greeting =
            greet(permit, &swarm.phase.client, &target, who, &|| Some(swarm.now())).unwrap();
        let outcome = super::work(&swarm, (id, worker), &target, false, Duration::MAX, *greeting);
        swarm.schedule().end(worker);
        outcome
    });
    let (mut peer, _) = listener.accept().unwrap();
    peer.read_exact(&mut [0; 68]).unwrap();
    peer.write_all(b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\0").unwrap();
    peer.write_all(infohash.as_bytes()).unwrap();
    peer.write_all(&[id.0 as u8 + b'a'; 20]).unwrap();
    (peer, thread)
}

/// The same, with a peer that has every piece and unchokes.
fn connect(swarm: &Arc<Swarm>, id: SourceId) -> (TcpStream, JoinHandle<WorkerOutcome>) {
    let (mut peer, thread) = shake_hands(swarm, id);
    peer.write_all(&[0, 0, 0, 2, 5, 0x80]).unwrap();
    peer.write_all(&UNCHOKE).unwrap();
    (peer, thread)
}

/// The index of the next requested block; `None` at the end of the connection.
fn next_request(peer: &mut TcpStream) -> Option<usize> {
    loop {
        let mut length = [0; 4];
        peer.read_exact(&mut length).ok()?;
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        peer.read_exact(&mut body).ok()?;
        if body.first() == Some(&6) {
            return Some(u32::from_be_bytes(body[5..9].try_into().unwrap()) as usize / BLOCK);
        }
    }
}

fn block(piece: &[u8], index: usize) -> Vec<u8> {
    let data = &piece[index * BLOCK..piece.len().min((index + 1) * BLOCK)];
    let head = [&(9 + data.len() as u32).to_be_bytes()[..], &[7, 0, 0, 0, 0]].concat();
    [&head[..], &(index as u32 * BLOCK_BYTES).to_be_bytes(), data].concat()
}

fn wait_until(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited for too long");
        std::thread::yield_now();
    }
}

/// Both peers have the piece, as in the endgame. The blocks that one sent before it choked are
/// corrupt, which is found out only after the choke. The other must learn that its claim ended, and
/// start over.
#[test]
fn a_peer_whose_shared_piece_failed_behind_a_choke_begins_it_anew() {
    let Fixture { _directory, partial, bytes, .. } = fixture();
    let swarm = Arc::new(swarm_with_timeout(partial, Duration::from_secs(60)));
    let (mut b, _b) = connect(&swarm, B);
    assert_eq!([(); 3].map(|()| next_request(&mut b)), [Some(0), Some(1), Some(2)]);
    let (mut a, _a) = connect(&swarm, A);
    assert_eq!([(); 3].map(|()| next_request(&mut a)), [Some(2), Some(1), Some(0)]);
    b.write_all(&block(&bytes, 0)).unwrap();
    wait_until(|| swarm.progress_of(0) >= BLOCK_BYTES);
    let mut wrong = bytes.clone();
    wrong[BLOCK + 5] ^= 1;
    a.write_all(&[&block(&wrong, 1)[..], &block(&wrong, 2), &CHOKE, &UNCHOKE].concat()).unwrap();
    // From now on both send correct data.
    for (mut peer, asked) in [(a, vec![]), (b, vec![1, 2])] {
        let bytes = bytes.clone();
        std::thread::spawn(move || {
            asked.into_iter().for_each(|index| drop(peer.write_all(&block(&bytes, index))));
            while let Some(index) = next_request(&mut peer) {
                let _ = peer.write_all(&block(&bytes, index)); // fails once the worker has ended
            }
        });
    }
    wait_until(|| swarm.schedule().is_done());
}

#[test]
fn a_peer_that_works_is_not_being_dialed_any_more() {
    let Fixture { _directory, partial, .. } = fixture();
    let swarm = Arc::new(swarm_with_timeout(partial, Duration::from_secs(60)));
    let dials = Dials::new(1);
    let most = std::iter::from_fn(|| dials.permit(false)).collect::<Vec<_>>().len();
    let (mut peer, worker) = shake_hands_under(&dials, &swarm, A);
    peer.write_all(&[0, 0, 0, 2, 5, 0x80]).unwrap();
    peer.write_all(&UNCHOKE).unwrap();
    assert_eq!(next_request(&mut peer), Some(0));
    let held: Vec<_> = std::iter::from_fn(|| dials.permit(false)).collect();
    assert!(!worker.is_finished());
    assert_eq!(held.len(), most);
}

#[test]
fn a_peer_that_chokes_and_unchokes_in_turns_is_left() {
    let Fixture { _directory, partial, .. } = fixture();
    let swarm = Arc::new(swarm_with_timeout(partial, Duration::from_secs(1)));
    let (mut peer, worker) = connect(&swarm, A);
    wait_until(|| {
        std::thread::sleep(Duration::from_millis(10)); // a higher rate would count as a flood
        peer.write_all(&[CHOKE, UNCHOKE].concat()).is_err() || worker.is_finished()
    });
    let outcome = worker.join().unwrap();
    assert!(
        matches!(&outcome, WorkerOutcome::Failed(why) if why.to_string().ends_with("within 0.5 s")),
        "{outcome:?}"
    );
}

/// A peer that is downloading may have something later; a partial seed will not.
#[test]
fn a_peer_that_has_nothing_and_takes_nothing_is_left_earlier() {
    for (upload_only, within) in [(0, "within 0.5 s"), (1, "within 0.3 s")] {
        let Fixture { _directory, partial, .. } = fixture();
        let swarm = Arc::new(swarm_with_timeout(partial, Duration::from_secs(1)));
        let (mut peer, worker) = shake_hands(&swarm, A);
        let said = format!("\x14\0d11:upload_onlyi{upload_only}ee");
        peer.write_all(&[&[0, 0, 0, said.len() as u8], said.as_bytes(), &UNCHOKE].concat())
            .unwrap();
        let outcome = worker.join().unwrap();
        assert!(
            matches!(&outcome, WorkerOutcome::Failed(why) if why.to_string().ends_with(within)),
            "{outcome:?}"
        );
    }
}
