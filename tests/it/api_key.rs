//! The API key of an Academic Torrents account: sent to the catalog and to no other host.

use std::sync::{Arc, OnceLock};

use crate::fixture::Fixture;
use crate::support::{Project, side_by_side};
use crate::swarm::http::{HttpServer, Request};
use crate::swarm::{Catalogue, Dataset, WebSeed, catalogue::Fault, random_bytes};

const KEY: &str = "uid=14;pass=sesame";

fn dataset() -> Dataset {
    Dataset::single("data.bin", random_bytes(301, 100_000))
}

/// A crate that declares only the infohash, with the key.
fn project(dataset: &Dataset, catalogue: &str) -> Project {
    Project::new(&format!("data = \"{}\"", dataset.infohash_hex()))
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue)
        .env("ACADEMICTORRENTS_API_KEY", KEY)
}

fn cookies(requests: &[Request]) -> Vec<Option<&str>> {
    requests.iter().map(|request| request.header("cookie")).collect()
}

#[test]
fn the_catalogue_is_sent_it_and_mirrors_and_web_seeds_are_not() {
    let seed = WebSeed::serving(&dataset());
    let dataset = dataset().url_list([seed.url()]);
    let (catalogue, mirror) = (Catalogue::serving(&[&dataset]), Catalogue::serving(&[]));
    let fixture = Fixture::new("fixture-key", &format!("data = \"{}\"", dataset.infohash_hex()))
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url())
        .env("ACADEMICTORRENTS_MIRRORS", mirror.url())
        .env("ACADEMICTORRENTS_API_KEY", KEY);
    // `-vv` shows all output of the build script.
    let run = fixture.cargo(&["build", "-vv"]);
    assert!(run.succeeded, "{}", run.stderr);
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
    assert_eq!(cookies(&catalogue.requests()), [Some("uid=14; pass=sesame")]);
    for requests in [mirror.requests(), seed.http().requests()] {
        assert!(!requests.is_empty());
        assert!(requests.iter().all(|it| !format!("{it:?}").contains("sesame")), "{requests:?}");
    }
    assert!(!run.stdout.contains("sesame") && !run.stderr.contains("sesame"), "{}", run.stderr);
}

/// The catalog's own tracker is on the same host.
#[test]
fn other_requests_to_the_catalogues_host_are_without_it() {
    let catalogue = Catalogue::serving(&[]);
    let dataset = dataset().announce(&format!("{}/announce", catalogue.url()));
    let catalogue = catalogue.torrent(&dataset.infohash_hex(), dataset.torrent());
    project(&dataset, &catalogue.url()).error();
    let (torrents, others): (Vec<_>, Vec<_>) =
        catalogue.requests().into_iter().partition(|it| it.target.starts_with("/download/"));
    assert_eq!(cookies(&torrents), [Some("uid=14; pass=sesame")]);
    assert!(others.iter().any(|it| it.target.starts_with("/announce?")), "{others:?}");
    assert!(cookies(&others).iter().all(Option::is_none), "{others:?}");
}

#[test]
fn a_redirect_to_another_host_or_port_is_followed_without_it() {
    let seed = WebSeed::serving(&dataset());
    let dataset = dataset().url_list([seed.url()]);
    let other = Catalogue::serving(&[&dataset]);
    let port = other.http().addr().port();
    for target in [other.url(), format!("http://localhost:{port}")] {
        let catalogue = Catalogue::serving(&[]).with(Fault::RedirectTo(target));
        dataset.assert_at(&project(&dataset, &catalogue.url()).path_of("data"));
        assert_eq!(cookies(&catalogue.requests()), [Some("uid=14; pass=sesame")]);
    }
    assert_eq!(cookies(&other.requests()), [None, None]);
}

/// A redirect within the catalog keeps the key. After a redirect to another host, the key is not
/// sent again, even if a redirect leads back to the catalog.
#[test]
fn a_redirect_back_to_the_catalogue_does_not_bring_it_back() {
    let seed = WebSeed::serving(&dataset());
    let dataset = dataset().url_list([seed.url()]);
    let (torrent, away) = (dataset.torrent(), Arc::new(OnceLock::new()));
    let catalogue = HttpServer::start({
        let away: Arc<OnceLock<String>> = away.clone();
        move |request, responder| match request.target.as_str() {
            "/within" => responder.respond(302, &[("location", away.get().unwrap())], b""),
            "/back" => responder.respond(200, &[], &torrent),
            _ => responder.respond(302, &[("location", "/within")], b""),
        }
    });
    let back = format!("{}/back", catalogue.url());
    let other = HttpServer::start(move |_, to| to.respond(302, &[("location", &back)], b""));
    away.set(other.url()).unwrap();
    dataset.assert_at(&project(&dataset, &catalogue.url()).path_of("data"));
    let key = Some("uid=14; pass=sesame");
    assert_eq!(cookies(&catalogue.requests()), [key, key, None]);
    assert_eq!(cookies(&other.requests()), [None]);
}

/// Whether the catalog was asked decides what the help says of it, whatever mirrors and links answered.
#[test]
fn what_another_server_answers_is_not_said_of_the_catalogue_or_its_key() {
    let dataset = dataset();
    let infohash = dataset.infohash_hex();
    let of_catalogue = [
        "check the infohash in the catalog",
        "check ACADEMICTORRENTS_API_KEY",
        "the catalog or the network may be down",
    ];
    let check = |project: Project, expected: &[&str]| {
        let error = project.error();
        for help in of_catalogue {
            assert_eq!(error.contains(help), expected.contains(&help), "{help}: {error}");
        }
    };
    for status in [401, 403, 404, 500] {
        let other = Catalogue::serving(&[]).with(Fault::Status(status));
        let by_mirror =
            format!("data.infohash = \"{infohash}\"\ndata.mirrors = [\"{}\"]", other.url());
        let link = format!("magnet:?xt=urn:btih:{infohash}&xs={}/x.torrent", other.url());
        for declared in [by_mirror, format!("data.magnet = \"{link}\"")] {
            let project = |catalogue: &str, sources: &str| {
                Project::new(&declared)
                    .env("ACADEMICTORRENTS_CATALOGUE", catalogue)
                    .env("ACADEMICTORRENTS_API_KEY", KEY)
                    .env("ACADEMICTORRENTS_TIMEOUT", "500ms")
                    .env("ACADEMICTORRENTS_SOURCES", sources)
            };
            let all = "mirrors,web-seeds,catalogue";
            check(project("http://127.0.0.1:9", "mirrors,web-seeds"), &[]);
            check(project("http://127.0.0.1:9", all), &of_catalogue[2..]);
            let none = Catalogue::serving(&[]);
            check(project(&none.url(), all), &of_catalogue[..1]);
            let refusing = Catalogue::serving(&[]).with(Fault::Status(403));
            check(project(&refusing.url(), all), &of_catalogue[1..2]);
        }
    }
}

#[test]
fn no_error_shows_it() {
    use Fault::*;
    let faults = [
        (Status(401), "help: check ACADEMICTORRENTS_API_KEY"),
        (Status(403), "help: check ACADEMICTORRENTS_API_KEY"),
        (Status(404), "check the infohash"),
        (Status(500), "try again later"),
        (Garbage, "not a .torrent"),
        (RedirectTo("http://127.0.0.1:9".into()), "connection refused"),
        (RedirectTo("ftp://127.0.0.1:9".into()), "which is not a web address"),
        (RedirectLoop, "redirects"),
        (Stall, "timed out"),
    ];
    side_by_side(&faults, |(fault, said)| {
        let catalogue = Catalogue::serving(&[]).with(fault.clone());
        let error =
            project(&dataset(), &catalogue.url()).env("ACADEMICTORRENTS_TIMEOUT", "500ms").error();
        assert!(error.contains(said) && !error.contains("sesame"), "{fault:?}: {error}");
        assert_eq!(catalogue.requests()[0].header("cookie"), Some("uid=14; pass=sesame"));
    });
}
