//! Bounds on the time and requests that a hostile, silent or careless swarm can cost.

use crate::support::Project;
use crate::swarm::{Dataset, Peer, WebSeed, peer, random_bytes, web_seed::Fault};

const LENGTH: usize = 3_000_000;

fn dataset() -> Dataset {
    Dataset::single("data.bin", random_bytes(21, LENGTH))
}

fn resumed(dataset: &Dataset, pieces: usize) -> Project {
    let half = WebSeed::serving(dataset).with(Fault::OnlyPieces(0..pieces));
    let project = Project::of(dataset, &format!("web-seeds = [\"{}\"]", half.url()));
    project.error();
    project
}

/// Skipping the bytes that are already on disk takes longer than TIMEOUT, but data keeps arriving.
#[test]
fn a_slow_server_without_ranges_can_be_resumed_from() {
    let dataset = dataset();
    let project = resumed(&dataset, 85);
    let seed = WebSeed::serving(&dataset)
        .with(Fault::IgnoreRange)
        .with(Fault::Slow { bytes_per_second: 500_000 });
    project.declare_data(&format!("web-seeds = [\"{}\"]", seed.url()));
    dataset.assert_at(&project.path_of("data"));
}

/// A complete peer that never unchokes must not keep a server without ranges from serving.
#[test]
fn a_choking_peer_does_not_stop_a_server_without_ranges() {
    let dataset = dataset();
    let project = resumed(&dataset, 60);
    let seed = WebSeed::serving(&dataset).with(Fault::IgnoreRange);
    let peers: Vec<_> =
        (0..2).map(|_| Peer::seeding(&dataset).with(peer::Fault::NeverUnchoke)).collect();
    project.declare_data(&format!(
        "web-seeds = [\"{}\"]\npeers = [\"{}\", \"{}\"]",
        seed.url(),
        peers[0].addr(),
        peers[1].addr()
    ));
    dataset.assert_at(&project.path_of("data"));
}

/// The manifest names more choking peers than there are connections, but the torrent's web seed
/// serves.
#[test]
fn choking_peers_do_not_take_all_connections() {
    let dataset = Dataset::single("data.bin", random_bytes(3, 300_000));
    let seed = WebSeed::serving(&dataset);
    let peers: Vec<_> =
        (0..70).map(|_| Peer::seeding(&dataset).with(peer::Fault::NeverUnchoke)).collect();
    let named: Vec<_> = peers.iter().map(|peer| format!("\"{}\"", peer.addr())).collect();
    let project = Project::of(
        &dataset.clone().url_list([seed.url()]),
        &format!("peers = [{}]", named.join(", ")),
    );
    dataset.assert_at(&project.path_of("data"));
}

/// `announce-list` is outside of `info`, so anyone who serves the .torrent can fill it.
#[cfg(target_os = "linux")] // /proc lists the threads
#[test]
fn tiers_of_trackers_are_bounded() {
    let urls: Vec<String> = (0..3000).map(|n| format!("http://127.0.0.1:9/{n}")).collect();
    let tiers: Vec<Vec<&str>> = urls.iter().map(|url| vec![url.as_str()]).collect();
    let tiers: Vec<&[&str]> = tiers.iter().map(Vec::as_slice).collect();
    let dataset = Dataset::single("data.bin", random_bytes(3, 300_000)).announce_list(&tiers);
    let project = Project::of(&dataset, "");
    let most = std::thread::scope(|scope| {
        let build = scope.spawn(|| project.error());
        let mut most = 0;
        while !build.is_finished() {
            most = announcers().max(most);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        most
    });
    assert!((1..300).contains(&most), "{most} threads");
}

/// The announce threads of this process. Other tests that run at the same time add a few.
#[cfg(target_os = "linux")]
fn announcers() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names = threads.filter_map(|it| std::fs::read_to_string(it.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "at-announcer").count()
}

/// `Retry-After: 0` must not cause a busy loop.
#[test]
fn retry_after_zero_is_no_loop() {
    let dataset = Dataset::single("data.bin", random_bytes(3, 300_000));
    let seed =
        WebSeed::serving(&dataset).with(Fault::TooMany { retry_after_secs: 0, times: 100_000 });
    let project = Project::of(&dataset, &format!("web-seeds = [\"{}\"]", seed.url()));
    project.error();
    let requests = seed.requests().len();
    assert!(requests < 40, "{requests} requests in 3 s");
}

/// A web seed that moved answers 404 for each file. Requesting all files would cost a connection
/// each.
#[test]
fn a_seed_that_has_nothing_is_given_up_before_each_file_was_asked_for() {
    let files: Vec<_> = (0..400).map(|n| (format!("f{n}"), random_bytes(n, 20_000))).collect();
    let files: Vec<_> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
    let dataset = Dataset::multi("root", files);
    let seed = WebSeed::serving(&dataset).with(Fault::NotFound);
    let project = Project::of(&dataset, &format!("web-seeds = [\"{}\"]", seed.url()));
    project.error();
    let requests = seed.requests().len();
    // Four times sixteen 404s, plus requests under way on other connections.
    assert!(requests < 150, "{requests} requests for 400 files");
}
