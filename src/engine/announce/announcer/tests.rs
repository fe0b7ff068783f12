//! Tests with many tiers and few trackers, on loopback.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Condvar, Mutex};
use std::time::Instant;

use super::*;
use crate::engine::announce::scheduler::AnnounceTask as _;
use crate::engine::announce::target::LEAVES;
use crate::engine::report::Remark;
use crate::protocol::tracker::Announce;
use crate::protocol::tracker::announce_queue::AnnounceQueue;
use crate::settings::Context;
use crate::torrent::infohash::Infohash;

/// Long enough for any machine; a successful test never waits this long.
const PATIENCE: Duration = Duration::from_secs(60);

struct Torrent(u8);

impl AnnounceTarget for Torrent {
    fn now(&self) -> Duration {
        static BEGUN: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        BEGUN.elapsed()
    }

    fn announce(&self) -> Announce {
        Announce {
            infohash: Infohash::from_bytes([self.0; 20]),
            peer_id: [b'-'; 20],
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

    /// Like a seed.
    fn lost(&self, _: u32) -> bool {
        false
    }

    #[cfg(feature = "dht")]
    fn dht_interval(&self) -> Option<Duration> {
        None
    }

    #[cfg(feature = "dht")]
    fn listens_at(&self) -> Option<u16> {
        None
    }
}

/// The requests that several trackers received.
#[derive(Default)]
struct Told {
    /// Number of regular announces and of goodbyes, by URL and torrent.
    heard: Mutex<HashMap<String, [usize; 2]>>,
    /// Number of goodbyes that are not answered yet.
    held: Mutex<usize>,
    came: Condvar,
    /// Goodbyes are answered once this many have arrived.
    hold: usize,
}

impl Told {
    /// Number of tiers with at least `times` regular announces, and number of tiers with a goodbye.
    fn tiers(&self, times: usize) -> [usize; 2] {
        let heard = self.heard.lock().unwrap();
        let told = heard.values().filter(|it| it[0] >= times).count();
        [told, heard.values().filter(|it| it[1] > 0).count()]
    }

    fn answer(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        let (mut head, mut byte) = (Vec::new(), [0]);
        loop {
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte)?;
                head.push(byte[0]);
            }
            let text = String::from_utf8(std::mem::take(&mut head)).unwrap();
            let target = text.split(' ').nth(1).unwrap();
            let is_last = target.ends_with("&event=stopped");
            let tier = target.split("&peer_id").next().unwrap().to_owned();
            self.heard.lock().unwrap().entry(tier).or_default()[usize::from(is_last)] += 1;
            if is_last {
                let mut held = self.held.lock().unwrap();
                *held += 1;
                self.came.notify_all();
                let wait = |held: &mut usize| *held < self.hold;
                drop(self.came.wait_timeout_while(held, PATIENCE, wait).unwrap());
            }
            let body = "d8:intervali1e5:peers0:e";
            let length = body.len();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")?;
        }
    }
}

/// Starts a tracker and returns its URL. Its threads end with the test process.
fn tracker(told: &Arc<Told>) -> String {
    // 300 connections at a time; a shell of macOS allows 256 open files.
    #[cfg(unix)]
    rlimit::increase_nofile_limit(4 << 10).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The path distinguishes the trackers.
    let url = format!("http://{address}/{}", address.port());
    let told = Arc::clone(told);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let told = Arc::clone(&told);
            std::thread::spawn(move || told.answer(&mut stream.unwrap()));
        }
    });
    url
}

fn announcers(timeout: &str) -> Announcers {
    let mut context = Context::default();
    context.set("ACADEMICTORRENTS_TIMEOUT", timeout);
    Announcers::new(Client::new(&context.settings().unwrap()).unwrap().announcing_at_once())
}

fn tracker_at(client: &Client, url: &str) -> Tracker {
    Tracker::new(client, NamedBy::User, &url.into(), false).unwrap()
}

fn start(announcers: &mut Announcers, torrent: u8, urls: impl Iterator<Item = String>) {
    let tiers: Vec<_> = urls.map(|url| vec![url.into()]).collect();
    let torrent: Arc<dyn AnnounceTarget> = Arc::new(Torrent(torrent));
    let mut party = |_: u32| Arc::clone(&torrent);
    announcers.start(NamedBy::User, &tiers, 0, 0, &mut party, &Report::default());
}

#[track_caller]
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn sixty_datasets_with_five_trackers_each_have_few_threads_and_all_hear_goodbye() {
    // More goodbyes at a time than there are threads before the end.
    let told = Arc::new(Told { hold: 200, ..Told::default() });
    let trackers: Vec<_> = (0..5).map(|_| tracker(&told)).collect();
    let mut announcers = announcers("300s");
    for torrent in 0..60 {
        let urls = trackers.iter().map(|url| format!("{url}/announce"));
        start(&mut announcers, torrent, urls);
    }
    let scheduler = Arc::clone(&announcers.scheduler);
    eventually("all trackers were announced to", || {
        assert!(
            scheduler.threads() <= crate::engine::announce::scheduler::THREADS,
            "{} threads",
            scheduler.threads()
        );
        told.tiers(1)[0] == 300
    });
    // Under wine, on a loaded machine, it takes longer than a minute.
    announcers.stop(LEAVES, 10 * PATIENCE);
    assert_eq!(told.tiers(1), [300, 300]);
    eventually("all threads end", || scheduler.threads() == 0);
}

#[test]
fn a_tier_that_waits_for_its_next_announce_costs_no_thread_but_one() {
    let told = Arc::new(Told::default());
    let url = tracker(&told);
    let mut announcers = announcers("300s");
    start(&mut announcers, 0, (0..20).map(|n| format!("{url}/{n}/announce")));
    // Each tier is announced to again every second; in between, one thread waits for all of them.
    eventually("a single thread waits", || {
        told.tiers(1)[0] == 20 && announcers.scheduler.threads() == 1
    });
    eventually("all tiers are announced to again", || told.tiers(3)[0] == 20);
    let scheduler = Arc::clone(&announcers.scheduler);
    drop(announcers);
    eventually("the threads end", || scheduler.threads() == 0);
    assert_eq!(told.tiers(3)[1], 0);
}

#[test]
fn a_tracker_is_announced_to_once_a_minute_at_most_whatever_it_says() {
    let told = Arc::new(Told::default());
    let url = tracker(&told);
    let client = Client::new(&Context::default().settings().unwrap()).unwrap();
    let trackers = vec![(AnnounceQueue::new(1).place(""), tracker_at(&client, &url))];
    let mut tier =
        TrackerTier::new(client, trackers, (0, 0), Arc::new(Torrent(0)), &Arc::default());
    // The tracker asks for an interval of one second.
    let done = tier.run(0);
    assert!(!done.failed);
    assert_eq!(done.again.unwrap().0, Duration::from_secs(60));
}

#[test]
fn trackers_that_hang_keep_no_other_from_being_announced_to_again_and_again() {
    let told = Arc::new(Told::default());
    let well: Vec<_> = (0..5).map(|_| tracker(&told)).collect();
    // The system accepts the connections, but nothing answers.
    let dead: Vec<_> = (0..50).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    // Each is waited for for 3 s.
    let mut announcers = announcers("6s");
    let dead = dead.iter().map(|it| format!("http://{}/announce", it.local_addr().unwrap()));
    start(&mut announcers, 0, dead);
    for torrent in 0..10 {
        start(&mut announcers, torrent, well.iter().map(|url| format!("{url}/announce")));
    }
    let scheduler = Arc::clone(&announcers.scheduler);
    eventually("all trackers that answer were announced to twice", || {
        assert!(
            scheduler.threads() <= crate::engine::announce::scheduler::THREADS,
            "{} threads",
            scheduler.threads()
        );
        told.tiers(4)[0] == 50
    });
    announcers.stop(LEAVES, PATIENCE);
    assert_eq!(told.tiers(4), [50, 50]);
    eventually("threads that wait for silent trackers end", || scheduler.threads() == 0);
}
