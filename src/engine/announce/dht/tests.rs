use std::net::UdpSocket;

use super::*;
use crate::engine::report::Remark;
use crate::protocol::tracker::Announce;
use crate::protocol::tracker::announce_queue::AnnounceQueue;
use crate::settings::Context;
use crate::torrent::infohash::Infohash;

/// A seed, which listens.
struct Seed;

impl AnnounceTarget for Seed {
    fn now(&self) -> Duration {
        static BEGUN: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        BEGUN.elapsed()
    }

    fn announce(&self) -> Announce {
        Announce {
            infohash: Infohash::from_bytes([7; 20]),
            peer_id: [0; 20],
            port: 6881,
            uploaded_bytes: 0,
            downloaded_bytes: 0,
            left_bytes: 0,
            event: None,
            numwant: 0,
            key: 0,
        }
    }

    fn note(&self, _: &str, _: Remark) {}

    fn named(&self, _: Vec<SocketAddr>) {}

    fn lost(&self, _: u32) -> bool {
        false
    }

    fn dht_interval(&self) -> Option<Duration> {
        Some(TELL_INTERVAL)
    }

    fn listens_at(&self) -> Option<u16> {
        Some(6881)
    }
}

/// Starts a node that answers one query, with a token and a peer, and returns its address.
fn answers_once() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut question = [0; 2048];
        let (length, from) = socket.recv_from(&mut question).unwrap();
        let key: &[u8] = b"1:t4:";
        let at = question[..length].windows(key.len()).position(|it| it == key).unwrap();
        let transaction = &question[at + key.len()..][..4];
        let id_and_token: &[u8] = b"d1:rd2:id20:aaaaaaaaaaaaaaaaaaaa5:token1:t";
        let peer: &[u8] = b"6:valuesl6:\x7f\x00\x00\x01\x1a\xe1ee1:t4:";
        let answer = [id_and_token, peer, transaction, b"1:y1:re"].concat();
        socket.send_to(&answer, from).unwrap();
    });
    address
}

#[test]
fn who_listens_is_not_content_with_peers_of_an_earlier_search_where_nobody_heard_of_it() {
    let mut context = Context::default();
    context.set("ACADEMICTORRENTS_DHT_BOOTSTRAP", answers_once().to_string());
    context.set("ACADEMICTORRENTS_TIMEOUT", "1s");
    let settings = context.settings().unwrap();
    let torrent: Arc<dyn AnnounceTarget> = Arc::new(Seed);
    let dht = Arc::new(Dht::new(&settings).unwrap());
    let timing = Timing::for_timeout(settings.timeout);
    let place = AnnounceQueue::new(1).place(NAME);
    let mut searches = Searches::new(dht, &torrent, Arc::default(), timing, (0, place));
    assert_eq!(searches.search(), Searched::Well);
    assert_eq!((searches.known.len(), searches.rounds), (1, 0));
    assert_eq!(searches.search(), Searched::InVain);
    assert_eq!((searches.known.len(), searches.rounds), (1, 1));
}
