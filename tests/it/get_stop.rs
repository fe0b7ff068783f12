//! [`academictorrents::Get::stop_with`]. Without the stop, each call would wait longer than a test
//! may take.

use std::sync::atomic::{AtomicUsize, Ordering};

use academictorrents::{Error, ErrorKind, Get, Phase, StopHandle, Verify};

use crate::get::{GetFixture, LENGTH, single};
use crate::get_progress::{Told, fixture};
use crate::support::files::PIECE;
use crate::swarm::web_seed::Fault;
use crate::swarm::{Catalogue, Dataset, Peer, Silent, WebSeed, catalogue, eventually, peer};

/// A call with a long timeout.
fn patient(get: Get) -> Get {
    get.env("ACADEMICTORRENTS_TIMEOUT", "1h")
}

/// Stops this call at the given number of reports of this phase.
fn stop_in(phase: Phase, times: usize, get: Get) -> Result<std::path::PathBuf, Error> {
    let (stop, told) = (StopHandle::new(), AtomicUsize::new(0));
    let get = patient(get).stop_with(&stop);
    get.on_progress(move |now| {
        if now.phase == phase && told.fetch_add(1, Ordering::Relaxed) + 1 == times {
            stop.stop();
        }
    })
    .run()
}

#[track_caller]
fn assert_stopped<T: std::fmt::Debug>(result: Result<T, Error>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stopped, "{error}");
    assert!(error.to_string().contains("the next run resumes"), "{error}");
}

#[test]
fn a_download_that_is_stopped_goes_on_where_it_was() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset).with(Fault::Slow { bytes_per_second: 40_000 });
    for into in [false, true] {
        let (fixture, torrent) = fixture(&dataset, &seed);
        let ask = || match into {
            true => fixture.ask(&torrent).into(fixture.data()),
            false => fixture.ask(&torrent),
        };
        let stop = StopHandle::new();
        let told = Told::default();
        let result = std::thread::scope(|scope| {
            scope.spawn(|| {
                let is_some = || told.all().iter().any(|now| now.done_bytes > LENGTH / 10);
                eventually("some data was downloaded", is_some);
                stop.stop();
            });
            told.by(patient(ask())).stop_with(&stop).run()
        });
        if into {
            let text = result.as_ref().unwrap_err().to_string();
            assert!(text.contains(".academictorrents"), "{text}");
        }
        assert_stopped(result);
        assert_eq!(told.phases().last(), Some(&Phase::Failed));
        let kept = told.all().pop().unwrap().done_bytes;
        assert!(kept > LENGTH / 10);
        seed.mend();
        let before = seed.bytes_served();
        dataset.assert_at(&ask().run().unwrap());
        let served = seed.bytes_served() - before;
        assert!(served <= LENGTH - kept + 8 * PIECE as u64, "{served}, and {kept} were kept");
        seed.fault(Fault::Slow { bytes_per_second: 40_000 });
    }
}

#[test]
fn a_stop_ends_what_comes_before_the_download() {
    let dataset = single();
    for phase in [Phase::Metainfo, Phase::Checking, Phase::Fetching] {
        let seed = WebSeed::serving(&dataset).with(Fault::Stall { after_bytes: 0 });
        let (fixture, torrent) = fixture(&dataset, &seed);
        assert_stopped(stop_in(phase, 1, fixture.ask(&torrent)));
        seed.mend();
        dataset.assert_at(&fixture.ask(&torrent).run().unwrap());
    }
}

#[test]
fn a_stop_while_files_are_moved_into_place_lets_that_end() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset);
    let (fixture, torrent) = fixture(&dataset, &seed);
    dataset.assert_at(&stop_in(Phase::Publishing, 1, fixture.ask(&torrent)).unwrap());
}

#[test]
fn a_stop_ends_the_wait_for_another() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset).with(Fault::Stall { after_bytes: 100_000 });
    let (fixture, torrent) = fixture(&dataset, &seed);
    let first = StopHandle::new();
    std::thread::scope(|scope| {
        let fetch = || patient(fixture.ask(&torrent)).stop_with(&first).run();
        let fetching = scope.spawn(fetch);
        eventually("the first download has started", || seed.bytes_served() > 0);
        assert_stopped(stop_in(Phase::Waiting, 1, fixture.ask(&torrent)));
        // Waits for a download into a read-only store.
        let other = GetFixture::new();
        let ask = other.ask(&torrent).env(crate::load_path::LOAD_PATH, fixture.path("store"));
        assert_stopped(stop_in(Phase::Waiting, 1, ask));
        first.stop();
        assert_stopped(fetching.join().unwrap());
    });
}

/// A tracker, peer or catalog that does not answer is waited for until the user's timeout.
#[test]
fn a_stop_ends_the_search_for_the_torrent() {
    let dataset = single();
    let infohash = dataset.infohash_hex();
    let ask = |catalogue: String| {
        let fixture = GetFixture::new();
        let get = fixture.ask(&infohash).env("ACADEMICTORRENTS_CATALOGUE", catalogue);
        (fixture, get)
    };
    let check = |(_fixture, get): (GetFixture, Get)| {
        assert_stopped(stop_in(Phase::Metainfo, 3, get));
    };
    let stalled = Catalogue::serving(&[&dataset]).with(catalogue::Fault::Stall);
    check(ask(stalled.url()));
    let busy = catalogue::Fault::TooMany { retry_after_secs: 3_000, times: 9 };
    let busy = Catalogue::serving(&[&dataset]).with(busy);
    check(ask(busy.url()));
    // A server that accepts connections and never answers, and, on Linux, a server that accepts
    // none.
    let silent = Silent::after_connecting(1);
    check(ask(format!("http://{}", silent.addrs()[0])));
    #[cfg(target_os = "linux")]
    {
        let silent = Silent::before_connecting(1);
        let url = format!("http://{}", silent.addrs()[0]);
        let (fixture, get) = ask(url.clone());
        check((fixture, get.env("ACADEMICTORRENTS_PRIVATE_HOSTS", "127.0.0.0/8")));
        let (fixture, get) = ask("http://127.0.0.1:9".to_owned());
        check((fixture, get.mirror(url)));
    }
    let peer = Peer::seeding(&dataset).with(peer::Fault::SilentAfterHandshake);
    let (fixture, get) = ask("http://127.0.0.1:9".to_owned());
    check((fixture, get.peer(peer.addr().to_string())));
}

/// As if stopped at the first piece: no conclusion is drawn from data that was not hashed.
#[test]
fn a_stop_while_data_is_hashed_leaves_it_as_it_is() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset);
    let (fixture, torrent) = fixture(&dataset, &seed);
    let path = fixture.ask(&torrent).run().unwrap();
    fixture.ask(&torrent).into(fixture.data()).run().unwrap();
    let served = seed.bytes_served();
    let stopped = StopHandle::new();
    stopped.stop();
    let hashed = fixture.ask(&torrent).verify(Verify::Always).stop_with(&stopped);
    assert_stopped(hashed.run());
    assert_stopped(fixture.ask(&torrent).into(fixture.data()).stop_with(&stopped).run());
    for phase in [Phase::Metainfo, Phase::Checking] {
        let get = fixture.ask(&torrent).verify(Verify::Always);
        // The call may finish before it notices the stop.
        if let Err(error) = stop_in(phase, 1, get) {
            assert_eq!(error.kind(), ErrorKind::Stopped, "{error}");
        }
    }
    // The data still counts as complete.
    assert_eq!(fixture.ask(&torrent).offline(true).run().unwrap(), path);
    dataset.assert_at(&path);
    dataset.assert_at(&fixture.ask(&torrent).into(fixture.data()).offline(true).run().unwrap());
    assert_eq!(seed.bytes_served(), served);
}

#[test]
fn a_handle_that_was_stopped_ends_each_call_but_those_that_have_nothing_to_do() {
    let dataset: Dataset = single();
    let seed = WebSeed::serving(&dataset);
    let (fixture, torrent) = fixture(&dataset, &seed);
    let stop = StopHandle::new();
    stop.clone().stop();
    assert!(stop.is_stopped());
    assert_stopped(fixture.ask(&torrent).stop_with(&stop).run());
    assert_eq!(seed.bytes_served(), 0);
    let path = fixture.ask(&torrent).stop_with(&StopHandle::new()).run().unwrap();
    assert_eq!(fixture.ask(&torrent).stop_with(&stop).run().unwrap(), path);
}

#[test]
fn one_handle_stops_all_its_calls() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset).with(Fault::Stall { after_bytes: 0 });
    let stop = StopHandle::new();
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let (fixture, torrent) = fixture(&dataset, &seed);
                    patient(fixture.ask(&torrent)).stop_with(&stop).run()
                })
            })
            .collect();
        eventually("all downloads have started", || seed.requests().len() >= 3);
        stop.stop();
        calls.into_iter().for_each(|call| assert_stopped(call.join().unwrap()));
    });
}
