//! Progress reports to a program's function: [`academictorrents::Get::on_progress`].

use std::sync::{Arc, Mutex};
use std::time::Instant;

use academictorrents::{ErrorKind, Get, Phase, Snapshot, Verify};

use crate::get::{GetFixture, LENGTH, folder, single};
use crate::support::files::PIECE;
use crate::swarm::web_seed::Fault;
use crate::swarm::{Dataset, WebSeed, eventually};

/// The reports received so far.
#[derive(Clone, Default)]
pub struct Told(Arc<Mutex<Vec<Snapshot>>>);

impl Told {
    /// Records the reports of this call.
    pub fn by(&self, get: Get) -> Get {
        let told = self.clone();
        get.on_progress(move |now| told.0.lock().unwrap().push(now.clone()))
    }

    pub fn all(&self) -> Vec<Snapshot> {
        self.0.lock().unwrap().clone()
    }

    /// The phases, without consecutive repetitions.
    pub fn phases(&self) -> Vec<Phase> {
        let mut phases: Vec<_> = self.all().iter().map(|now| now.phase).collect();
        phases.dedup();
        phases
    }

    /// Asserts that byte counts never decrease within a phase and never exceed the total.
    #[track_caller]
    pub fn assert_monotone(&self) {
        let all = self.all();
        for pair in all.windows(2).filter(|pair| pair[0].phase == pair[1].phase) {
            assert!(pair[0].done_bytes <= pair[1].done_bytes, "{pair:?}");
            assert!(pair[0].total_bytes.is_none_or(|total| Some(total) == pair[1].total_bytes));
        }
        for now in &all {
            assert!(now.total_bytes.is_none_or(|total| now.done_bytes <= total), "{now:?}");
        }
    }
}

/// A fixture with the dataset's .torrent, which names this seed.
pub fn fixture(dataset: &Dataset, seed: &WebSeed) -> (GetFixture, String) {
    let fixture = GetFixture::new();
    let torrent = fixture.path("data.torrent");
    std::fs::write(&torrent, dataset.clone().url_list([seed.url()]).torrent()).unwrap();
    (fixture, torrent.to_str().unwrap().to_owned())
}

const FETCHED: [Phase; 5] =
    [Phase::Metainfo, Phase::Checking, Phase::Fetching, Phase::Publishing, Phase::Done];

#[test]
fn phases_are_told_in_order_and_the_last_call_has_all_bytes() {
    for dataset in [single(), folder()] {
        let seed = WebSeed::serving(&dataset).with(Fault::Slow { bytes_per_second: 20_000 });
        let (fixture, torrent) = fixture(&dataset, &seed);
        let (told, begun) = (Told::default(), Instant::now());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                eventually("sources and their rate are reported", || {
                    told.all().iter().any(|now| now.sources > 0 && now.bytes_per_second > 0)
                });
                seed.mend();
            });
            dataset.assert_at(&told.by(fixture.ask(&torrent)).run().unwrap());
        });
        let elapsed = begun.elapsed();
        assert_eq!(told.phases(), FETCHED);
        told.assert_monotone();
        let (all, size) = (told.all(), dataset.stream().len() as u64);
        let fetching = |now: &&Snapshot| now.phase == Phase::Fetching;
        assert!(all.iter().filter(fetching).all(|now| now.total_bytes == Some(size)));
        let last = all.last().unwrap();
        assert_eq!((last.done_bytes, last.total_bytes, last.sources), (size, Some(size), 0));
        let most = FETCHED.len() as u128 + elapsed.as_millis() / 100 + 1;
        assert!(all.len() as u128 <= most, "{} calls in {elapsed:?}", all.len());
    }
}

#[test]
fn a_slow_function_does_not_delay_the_download() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset);
    let (fixture, torrent) = fixture(&dataset, &seed);
    let stamp = fixture.path("store/v1/data").join(dataset.infohash_hex()).join("stamp");
    let told = Told::default();
    let slow = {
        let told = told.clone();
        move |now: &Snapshot| {
            eventually("the dataset is complete", || stamp.exists());
            told.0.lock().unwrap().push(now.clone());
        }
    };
    dataset.assert_at(&fixture.ask(&torrent).on_progress(slow).run().unwrap());
    // The function still gets every report.
    assert_eq!(told.phases(), FETCHED);
}

#[test]
fn a_panic_becomes_the_error_and_the_next_run_resumes() {
    for phase in FETCHED {
        let dataset = single();
        let seed = WebSeed::serving(&dataset).with(Fault::Slow { bytes_per_second: 4_000_000 });
        let (fixture, torrent) = fixture(&dataset, &seed);
        let panicking = fixture.ask(&torrent).on_progress(move |now| {
            assert!(now.phase != phase, "enough of {phase:?}");
        });
        let error = panicking.run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Callback, "{error}");
        let text = error.to_string();
        assert!(text.contains("Get::on_progress") && text.contains("enough of"), "{text}");
        let told = Told::default();
        dataset.assert_at(&told.by(fixture.ask(&torrent)).run().unwrap());
        if phase == Phase::Done {
            assert_eq!((told.phases(), seed.bytes_served()), (vec![Phase::Done], LENGTH));
        }
    }
    // Also for existing data, and for a panic value that is not a string.
    let dataset = single();
    let (fixture, torrent) = fixture(&dataset, &WebSeed::serving(&dataset));
    let odd = |get: Get| get.on_progress(|_| std::panic::panic_any(5)).run().unwrap_err().kind();
    assert_eq!(odd(fixture.ask(&torrent)), ErrorKind::Callback);
    fixture.ask(&torrent).mirror(mirror(&fixture, &dataset)).run().unwrap();
    assert_eq!(odd(fixture.ask(&torrent)), ErrorKind::Callback);
}

fn mirror(fixture: &GetFixture, dataset: &Dataset) -> String {
    dataset.write_mirror(&fixture.path("mirror"));
    fixture.path("mirror").to_str().unwrap().to_owned()
}

#[test]
fn of_a_dataset_that_is_there_the_end_alone_is_told() {
    let dataset = folder();
    let seed = WebSeed::serving(&dataset);
    let (fixture, torrent) = fixture(&dataset, &seed);
    fixture.ask(&torrent).run().unwrap();
    let told = Told::default();
    told.by(fixture.ask(&torrent)).run().unwrap();
    let size = dataset.stream().len() as u64;
    let [only] = told.all().try_into().unwrap();
    assert_eq!((only.phase, only.done_bytes, only.total_bytes), (Phase::Done, size, Some(size)));
    // Hashing existing data again is a phase.
    let told = Told::default();
    told.by(fixture.ask(&torrent)).verify(Verify::Always).run().unwrap();
    assert_eq!(told.phases(), [Phase::Metainfo, Phase::Checking, Phase::Done]);
    told.assert_monotone();
}

#[test]
fn a_failure_is_the_last_that_is_told() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset).with(Fault::OnlyPieces(0..50));
    let (fixture, torrent) = fixture(&dataset, &seed);
    let told = Told::default();
    let error = told.by(fixture.ask(&torrent)).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    let half = 50 * PIECE as u64;
    let last = told.all().pop().unwrap();
    assert_eq!((last.phase, last.done_bytes, last.sources), (Phase::Failed, half, 0));
    // The next run starts with the existing data.
    seed.mend();
    let told = Told::default();
    told.by(fixture.ask(&torrent)).run().unwrap();
    let fetching = told.all().into_iter().find(|now| now.phase == Phase::Fetching).unwrap();
    assert_eq!((fetching.done_bytes, fetching.total_bytes), (half, Some(LENGTH)));
    told.assert_monotone();
    // A call that fails before the download reports the failure, too.
    let told = Told::default();
    told.by(fixture.ask(&"0".repeat(40))).offline(true).run().unwrap_err();
    assert_eq!(told.phases().last(), Some(&Phase::Failed));
}

#[test]
fn a_wait_for_another_is_told() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset).with(Fault::Slow { bytes_per_second: 20_000 });
    let (fixture, torrent) = fixture(&dataset, &seed);
    let told = Told::default();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| fixture.ask(&torrent).run().unwrap());
        eventually("the first download has started", || seed.bytes_served() > 0);
        scope.spawn(|| {
            eventually("the second build waits", || told.phases().contains(&Phase::Waiting));
            seed.mend();
        });
        let path = told.by(fixture.ask(&torrent)).run().unwrap();
        assert_eq!(first.join().unwrap(), path);
    });
    let last = told.all().pop().unwrap();
    assert_eq!(
        (last.phase, last.done_bytes, last.total_bytes),
        (Phase::Done, LENGTH, Some(LENGTH))
    );
    told.assert_monotone();
}
