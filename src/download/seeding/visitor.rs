//! A peer that connected to us.
//!
//! Its handshake is read first: which torrent it is about decides whether it may stay. From then on it is served as a peer
//! that we connected to is; from a seed's point of view it has nothing to give.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::circle::Seat;
use super::super::serving::Serving;
use super::super::uploads::Served;
use super::Seeder;
use super::guests::Guest;
use super::shelf::Shelf;
use crate::net::{Incoming, PeerConnection};
use crate::pieces::PieceSet;
use crate::protocol::extension::Offer;
use crate::protocol::peer::{Event, PeerSession};
use crate::protocol::wire::Handshake;

/// How long a read waits at most before we look around: for pieces that came, and for the end.
const LOOK_AROUND: Duration = Duration::from_millis(100);

/// The same where the peer waits for blocks.
const BUSY: Duration = Duration::from_millis(5);

/// Blocks that are handed to the writer ahead: there is nothing else that would have to wait behind them.
const AHEAD: usize = 64;

/// Peers are silent for two minutes at most (BEP 3).
const SILENCE: Duration = Duration::from_secs(150);

/// One that wants nothing of a dataset that will not become more is let go after this time.
const IDLE: Duration = Duration::from_secs(60);

/// Serves a peer until either side ends it. `id` is its own.
pub fn receive(seeder: &Seeder, incoming: Incoming, guest: &Guest, id: u32) {
    let from = incoming.from();
    let Ok(mut connection) = incoming.open(&seeder.client) else { return };
    let Some((shelf, handshake)) = shake_hands(seeder, &mut connection) else { return };
    if let Some(_guest) = shelf.guests.admit(guest.host(), seeder.most_per_dataset()) {
        let serving = Serving::new(Arc::clone(&shelf) as Arc<dyn Served>, id);
        let serving = serving.from(guest.host()).ahead(AHEAD);
        let seat = Seat::of_one_that_came(&shelf.circle, id, from);
        serve(seeder, &shelf, connection, &handshake, (serving, seat));
    }
}

/// The dataset that the peer comes for, and its handshake.
fn shake_hands(
    seeder: &Seeder,
    connection: &mut PeerConnection,
) -> Option<(Arc<Shelf>, [u8; Handshake::BYTES])> {
    let begun = Instant::now();
    let mut bytes = [0; Handshake::BYTES];
    let mut filled = 0;
    while begun.elapsed() < seeder.client.timing().connect && !seeder.host.is_stopped() {
        filled += connection.read(&mut bytes[filled..], LOOK_AROUND).ok()?.unwrap_or(0);
        if let Some(theirs) = Handshake::decode(&bytes[..filled]).ok()? {
            return Some((seeder.shelf(theirs.infohash)?, bytes));
        }
    }
    None
}

fn serve(
    seeder: &Seeder,
    shelf: &Arc<Shelf>,
    mut connection: PeerConnection,
    handshake: &[u8],
    (mut serving, mut seat): (Serving, Seat),
) {
    let count = shelf.metainfo.geometry.piece_count();
    let offer = Offer {
        pex: !shelf.metainfo.private,
        wants_peers: false,
        serves: true,
        metadata_bytes: Some(shelf.metainfo.info_bytes),
        upload_only: shelf.is_complete(),
        // Who connected knows it.
        port: None,
    };
    let now = || Served::now(&**shelf);
    let infohash = shelf.metainfo.infohash;
    let mut session = PeerSession::new(now(), infohash, seeder.host.peer_id, count, offer);
    let mut buffer = vec![0; session.max_message_bytes()];
    buffer[..handshake.len()].copy_from_slice(handshake);
    let mut filled = handshake.len();
    let mut wanted_at = now();
    loop {
        let mut used = 0;
        loop {
            let (event, length) = match session.next(now(), &buffer[used..filled]) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(_) => return,
            };
            used += length;
            match event {
                Event::HandshakeDone { .. } => serving.introduce(&mut session),
                Event::HaveAll => serving.has_all = true,
                Event::Bitfield(bits) => {
                    serving.has_all = PieceSet::from_bitfield(bits, count).len() == count;
                }
                Event::DontHave(_) => serving.has_all = false,
                _ => {}
            }
        }
        buffer.copy_within(used..filled, 0);
        filled -= used;
        let is_complete = shelf.is_complete();
        session.poll(now());
        let sent = serving.serve(&mut session, &connection);
        if is_complete {
            session.upload_only(); // after the last piece was told
        }
        seat.exchange(&mut session, now(), serving.has_all);
        let said = session.output(now()).map_or(Ok(()), |bytes| connection.send(bytes));
        if session.wants_blocks() || !is_complete {
            wanted_at = now();
        }
        let wants_nothing = is_complete
            && (serving.has_all
                || session.is_upload_only()
                || now().saturating_sub(wanted_at) > IDLE);
        if sent.is_err()
            || said.is_err()
            || wants_nothing
            || session.silent_for(now()) > SILENCE
            || seeder.host.is_stopped()
        {
            break;
        }
        let patience = if session.first_wanted().is_some() { BUSY } else { LOOK_AROUND };
        match connection.read(&mut buffer[filled..], patience) {
            Ok(read) => filled += read.unwrap_or(0),
            Err(_) => break,
        }
    }
}
