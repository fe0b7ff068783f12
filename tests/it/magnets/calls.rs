//! [`Get`] by magnet link.

use academictorrents::Get;

use super::{data, magnet};
use crate::support::files_below;
use crate::swarm::{Dataset, Peer, random_bytes};

#[test]
fn a_program_asks_by_magnet_link() {
    let dataset = data();
    let peer = Peer::seeding(&dataset);
    let dir = tempfile::tempdir().unwrap();
    let get = |link: &str| {
        Get::new(link)
            .env_clear()
            .env("ACADEMICTORRENTS_STORE", dir.path())
            .env("ACADEMICTORRENTS_CATALOGUE", "http://127.0.0.1:9")
            .env("ACADEMICTORRENTS_PROGRESS", "off")
            .env("ACADEMICTORRENTS_DHT_BOOTSTRAP", "off")
            .env("ACADEMICTORRENTS_TIMEOUT", "3s")
            .run()
    };
    let path = get(&magnet(&dataset, &format!("&x.pe={}", peer.addr()))).unwrap();
    dataset.assert_at(&path);
    let error = get("magnet:?dn=x").unwrap_err().to_string();
    assert!(error.contains("it has no infohash (`xt=urn:btih:`)"), "{error}");
    let lacking = Dataset::single("other.bin", "x");
    let error = get(&magnet(&lacking, "&x.pe=127.0.0.1:9")).unwrap_err().to_string();
    // The error has the dataset's name, not the whole link.
    assert!(error.starts_with("dataset `Some data`: ") && !error.contains("magnet:?"), "{error}");
}

#[test]
fn a_program_gives_more_beside_the_magnet_link() {
    let files = [("a.bin", 1), ("b.bin", 2)].map(|(name, seed)| (name, random_bytes(seed, 50_000)));
    let dataset = Dataset::multi("some", files);
    let peer = Peer::seeding(&dataset);
    let dir = tempfile::tempdir().unwrap();
    let get = |link: &str| {
        Get::new(link)
            .env_clear()
            .env("ACADEMICTORRENTS_CATALOGUE", "http://127.0.0.1:9")
            .env("ACADEMICTORRENTS_DHT_BOOTSTRAP", "off")
            .env("ACADEMICTORRENTS_TIMEOUT", "3s")
            .progress(academictorrents::Progress::Off)
            .store(dir.path())
            .peer(peer.addr().to_string())
    };
    let path = get(&magnet(&dataset, "")).files(["b.bin"]).run().unwrap();
    assert_eq!(files_below(&path), [std::path::PathBuf::from("b.bin")]);
    let both = get(&magnet(&dataset, "&so=0")).files(["b.bin"]).run().unwrap_err().to_string();
    assert!(both.contains("both `files` and the magnet link's `so=` select files"), "{both}");
    // The link's .torrent is given, so it is not requested.
    let torrent = dir.path().join("some.torrent");
    std::fs::write(&torrent, dataset.torrent()).unwrap();
    let (other, asked) = (tempfile::tempdir().unwrap(), peer.stats().metadata_requests.len());
    let with = |link: &str| get(link).torrent(&torrent).store(other.path()).run();
    dataset.assert_at(&with(&magnet(&dataset, "")).unwrap());
    assert_eq!(peer.stats().metadata_requests.len(), asked);
    let lacking = with(&magnet(&Dataset::single("other.bin", "x"), "")).unwrap_err().to_string();
    assert!(lacking.contains("some.torrent") && lacking.contains("Some data"), "{lacking}");
}
