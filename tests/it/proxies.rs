//! Proxies: all traffic uses a SOCKS proxy, an HTTP proxy makes HTTP requests, and passwords are
//! never shown.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::faults::Alone::{self, Comes, Fails};
use crate::faults::{check_alone, dataset};
use crate::fixture::Fixture;
use crate::support::{Project, side_by_side};
use crate::swarm::socks::Fault;
use crate::swarm::{
    Catalogue, Dataset, HttpProxy, Peer, SocksProxy, TlsFront, Tracker, UdpTracker, WebSeed, peer,
    random_bytes, web_seed,
};

/// The URL with another host.
fn at_host(url: &str, host: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    format!("{scheme}://{host}/{path}")
}

fn behind(proxy: &SocksProxy, project: Project) -> Project {
    project.env("ALL_PROXY", proxy.url())
}

/// A crate with only this web seed, behind the proxy.
fn of_seed(proxy: &SocksProxy, url: &str) -> Project {
    behind(proxy, Project::of(&dataset(), &format!("web-seeds = [\"{url}\"]")))
}

fn of_peer(proxy: &SocksProxy, place: &str) -> Project {
    behind(proxy, Project::of(&dataset(), &format!("peers = [\"{place}\"]")))
}

#[test]
fn cargo_builds_a_dataset_whose_every_byte_came_through_a_socks_proxy() {
    let dataset = Dataset::single("data.bin", random_bytes(71, 10 * 32_768))
        .announce("http://tracker.invalid/announce");
    let catalogue = Catalogue::serving(&[&dataset]);
    let seed = WebSeed::serving(&dataset).with(web_seed::Fault::OnlyPieces(0..5));
    let peer = Peer::seeding(&dataset).pieces(5..10);
    let tracker = Tracker::start(vec![peer.addr()]);
    let servers = [
        catalogue.http().server().addr(),
        seed.http().server().addr(),
        tracker.http().server().addr(),
        peer.addr(),
    ];
    let proxy = SocksProxy::start()
        .login("me", "p@ss/w%")
        .host("catalogue.invalid", servers[0])
        .host("seed.invalid", servers[1])
        .host("tracker.invalid", servers[2]);
    let url = format!("socks5h://me:p%40ss%2Fw%25@{}", proxy.addr());
    let declared = format!(
        "data = {{ infohash = \"{}\", web-seeds = [\"{}\"] }}",
        dataset.infohash_hex(),
        at_host(&seed.url(), "seed.invalid")
    );
    let fixture = Fixture::new("fixture-socks", &declared)
        .env("ACADEMICTORRENTS_CATALOGUE", "http://catalogue.invalid")
        // The proxy resolves the tracker's name, so the tracker's private address is unknown here
        // and its loopback peer must be allowed.
        .env("ACADEMICTORRENTS_PRIVATE_HOSTS", peer.addr())
        .env("ALL_PROXY", url);
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
    let opened = servers.map(|addr| proxy.opened_to(addr));
    let accepted = [
        catalogue.http().server().connections(),
        seed.http().server().connections(),
        tracker.http().server().connections(),
        peer.server().connections(),
    ];
    assert_eq!(opened, accepted, "some connections bypassed the proxy");
    assert!(opened.iter().all(|count| *count > 0), "{opened:?}");
    assert_eq!(peer.bytes_served(), 5 * 32_768);
    for asked in ["catalogue.invalid:80", "seed.invalid:80", "tracker.invalid:80"] {
        assert!(proxy.asked().iter().any(|it| it == asked), "{asked}: {:?}", proxy.asked());
    }
    assert!(proxy.methods().iter().all(|offered| *offered == [0, 2]));
}

/// Every connection that a peer accepted was opened by the proxy, for the torrent and for the data.
#[test]
fn the_torrent_comes_from_peers_through_it_and_they_see_nobody_else() {
    let dataset = dataset();
    let silent = Peer::seeding(&dataset).with(peer::Fault::SilentAfterHandshake);
    let (peer, named) = (Peer::seeding(&dataset), Peer::seeding(&dataset));
    let tracker = Tracker::start(vec![named.addr()]);
    for (scheme, host) in [("socks5h", "peer.invalid"), ("socks5", "localhost")] {
        let proxy = SocksProxy::start().host("peer.invalid", peer.addr());
        let place = format!("{host}:{}", peer.addr().port());
        let link = format!(
            "magnet:?xt=urn:btih:{}&x.pe={place}&x.pe={}&tr={}",
            dataset.infohash_hex(),
            silent.addr(),
            tracker.url()
        );
        let before = [&peer, &named, &silent].map(|it| it.server().connections());
        let asked = peer.stats().metadata_requests.len() + named.stats().metadata_requests.len();
        let project = behind(&proxy, Project::new(&format!("data.magnet = \"{link}\"")))
            .env("ALL_PROXY", proxy.url().replace("socks5h", scheme));
        dataset.assert_at(&project.path_of("data"));
        let asked_now =
            peer.stats().metadata_requests.len() + named.stats().metadata_requests.len();
        assert!(asked_now > asked, "{scheme}");
        // The proxy counts before it connects.
        crate::swarm::eventually("no connection bypassed the proxy", || {
            let peers = [&peer, &named, &silent].into_iter().zip(before);
            peers
                .map(|(it, before)| (it.addr(), it.server().connections() - before))
                .all(|(addr, accepted)| accepted == proxy.opened_to(addr))
        });
        assert!(proxy.opened_to(peer.addr()) > 0, "{scheme}");
        let by_name = proxy.asked().contains(&place);
        assert_eq!(by_name, scheme == "socks5h", "{:?}", proxy.asked());
    }
}

#[test]
fn https_goes_through_it_with_the_name_and_certificates_are_checked_all_the_same() {
    let seed = WebSeed::serving(&dataset());
    let front = TlsFront::before(seed.http().server().addr());
    let host = front.url().trim_start_matches("https://").to_owned();
    let proxy = SocksProxy::start();
    let url = at_host(&seed.url(), &host).replace("http:", "https:");
    // Excludes the catalog, which would be asked for other sources.
    let project = || of_seed(&proxy, &url).env("ACADEMICTORRENTS_SOURCES", "web-seeds");
    let error = project().error();
    assert!(error.contains("its certificate is signed by an unknown authority"), "{error}");
    assert_eq!(seed.bytes_served(), 0);
    let project = project();
    front.write_ca(&project.path("ca.pem"));
    let ca = project.path("ca.pem").display().to_string();
    dataset().assert_at(&project.env("ACADEMICTORRENTS_CA_FILE", ca).path_of("data"));
    assert!(proxy.asked().iter().all(|asked| *asked == host), "{:?}", proxy.asked());
    assert!(seed.bytes_served() >= 300_000 && proxy.connections() >= 2);
}

#[test]
fn with_socks5_names_are_looked_up_here_and_each_address_is_tried() {
    let seed = WebSeed::serving(&dataset());
    let port = seed.http().server().addr().port();
    let local = at_host(&seed.url(), &format!("localhost:{port}"));
    let proxy = SocksProxy::start().with(Fault::ReplyToV6(8));
    let url = proxy.url().replace("socks5h", "socks5");
    let project = of_seed(&proxy, &local).env("HTTPS_PROXY", &url);
    dataset().assert_at(&project.path_of("data"));
    assert!(proxy.asked().contains(&format!("127.0.0.1:{port}")));
    assert!(proxy.asked().iter().all(|asked| asked.parse::<SocketAddr>().is_ok()));
    let unknown = of_seed(&proxy, "http://seed.invalid/data.bin").env("HTTPS_PROXY", &url).error();
    assert!(unknown.contains("with socks5h:// the proxy resolves names"), "{unknown}");
}

#[test]
fn a_named_peer_is_looked_up_by_the_proxy_or_here_as_the_scheme_says() {
    let peer = Peer::seeding(&dataset());
    let proxy = SocksProxy::start().host("peer.invalid", peer.addr()).with(Fault::ReplyToV6(3));
    dataset().assert_at(&of_peer(&proxy, "peer.invalid:7").path_of("data"));
    assert_eq!(proxy.asked(), ["peer.invalid:7"]);

    let place = format!("localhost:{}", peer.addr().port());
    let socks5 = proxy.url().replace("socks5h", "socks5");
    let here = of_peer(&proxy, &place).env("ALL_PROXY", socks5);
    dataset().assert_at(&here.path_of("data"));
    assert!(proxy.asked().contains(&peer.addr().to_string()), "{:?}", proxy.asked());
    assert!(!proxy.asked().contains(&place));
    assert_eq!(proxy.opened_to(peer.addr()), peer.server().connections());
}

#[test]
fn a_proxy_for_all_is_for_peers_where_http_has_another() {
    let (peer, seed) = (Peer::seeding(&dataset()), WebSeed::serving(&dataset()));
    let proxy = SocksProxy::start();
    let nobody = "http://127.0.0.1:9";
    let project = of_peer(&proxy, &peer.addr().to_string()).env("HTTPS_PROXY", nobody);
    dataset().assert_at(&project.path_of("data"));
    assert_eq!((proxy.connections(), peer.server().connections()), (1, 1));
    let error = of_seed(&proxy, &seed.url()).env("HTTPS_PROXY", nobody).error();
    assert!(error.contains("the proxy 127.0.0.1:9 cannot be reached: connection"), "{error}");
    assert_eq!((proxy.connections(), seed.http().server().connections()), (1, 0));
}

#[test]
fn a_udp_tracker_is_not_asked_around_the_proxy() {
    let peer = Peer::seeding(&dataset());
    let tracker = UdpTracker::start(vec![peer.addr()]);
    let project = || {
        Project::of(&dataset().announce(&tracker.url()), "")
            .env("ACADEMICTORRENTS_SOURCES", "peers")
    };
    let proxy = SocksProxy::start();
    let error = behind(&proxy, project()).error();
    let said = format!("{}: not asked: UDP does not go through the SOCKS proxy", tracker.url());
    assert!(error.contains("no source could provide the data") && error.contains(&said), "{error}");
    assert_eq!((tracker.datagrams(), peer.server().connections(), proxy.connections()), (0, 0, 0));
    // Hosts in `NO_PROXY` are reached directly: the tracker, and the peer that it names.
    let excepted = behind(&proxy, project()).env("NO_PROXY", "127.0.0.1");
    dataset().assert_at(&excepted.path_of("data"));
    assert_eq!((peer.server().connections(), proxy.connections()), (1, 0));
}

#[test]
fn hosts_in_no_proxy_are_reached_directly() {
    let (peer, seed) = (Peer::seeding(&dataset()), WebSeed::serving(&dataset()));
    let proxy = SocksProxy::start();
    for excepted in ["127.0.0.1", "127.*", "*", "other.invalid, 127.0.0.1"] {
        let project = of_seed(&proxy, &seed.url()).env("NO_PROXY", excepted);
        dataset().assert_at(&project.path_of("data"));
        let project = of_peer(&proxy, &peer.addr().to_string()).env("NO_PROXY", excepted);
        dataset().assert_at(&project.path_of("data"));
    }
    // Resolved locally, because no proxy does it.
    let place = format!("localhost:{}", peer.addr().port());
    let project = of_peer(&proxy, &place).env("NO_PROXY", "localhost,127.0.0.1,[::1]");
    dataset().assert_at(&project.path_of("data"));
    assert_eq!((proxy.connections(), peer.server().connections()), (0, 5));
    of_seed(&proxy, &seed.url()).env("NO_PROXY", "127.0.0.2").path_of("data");
    assert!(proxy.connections() > 0);
}

fn faults() -> Vec<(Fault, Alone)> {
    use Fault::*;
    vec![
        (NoMethod, Fails("requires an authentication method other than user name and password")),
        (OtherMethod, Fails("requires an authentication method other than user name and password")),
        (RefusesLogin, Fails("rejected the user name or password")),
        (Reply(1), Fails("reports a failure without a reason")),
        (Reply(2), Fails("reports that its rules do not allow this connection")),
        (Reply(3), Fails("reports that the network is unreachable")),
        (Reply(4), Fails("reports that the host is unreachable or its name is unknown")),
        (Reply(5), Fails("reports that the host refused the connection")),
        (Reply(6), Fails("reports that the TTL expired on the way to the host")),
        (Reply(7), Fails("reports that it does not support connections (command not supported)")),
        (Reply(8), Fails("reports that it does not support this kind of address")),
        (Reply(99), Fails("reports an unknown error code: 99")),
        (ClosesAtGreeting, Fails("closed the connection")),
        (ClosesAtRequest, Fails("closed the connection, as `ssh -D` does")),
        (Garbage, Fails("does not speak SOCKS 5")),
        (Truncated(1), Fails("closed the connection, as `ssh -D` does")),
        (Truncated(7), Fails("closed the connection, as `ssh -D` does")),
        (Slow(Duration::from_millis(5)), Comes),
        (Slow(Duration::from_millis(400)), Fails("did not answer in time")),
        (Silent, Fails("did not answer in time")),
        (BoundToName, Comes),
        (BoundToV6, Comes),
    ]
}

#[test]
fn a_faulty_proxy() {
    side_by_side(&faults(), |(fault, alone)| {
        let (peer, seed) = (Peer::seeding(&dataset()), WebSeed::serving(&dataset()));
        let proxy = SocksProxy::start().login("me", "sesame").with(fault.clone());
        let url = format!("socks5h://me:sesame@{}", proxy.addr());
        let alone = match *alone {
            Fails(said) => Fails(&*format!("the SOCKS proxy {} {said}", proxy.addr()).leak()),
            other => other,
        };
        let case = format!("{fault:?}");
        let of_seed = of_seed(&proxy, &seed.url()).env("ALL_PROXY", &url);
        check_alone(&case, &dataset(), &of_seed, &seed.url(), alone);
        let of_peer = of_peer(&proxy, &peer.addr().to_string()).env("ALL_PROXY", &url);
        check_alone(&case, &dataset(), &of_peer, &peer.addr().to_string(), alone);
        if matches!(alone, Fails(_)) {
            assert_eq!(seed.http().server().connections() + peer.server().connections(), 0);
        }
    });
}

#[test]
fn a_login_that_is_wanted_or_wrong_is_said_with_what_to_write() {
    let seed = WebSeed::serving(&dataset());
    let proxy = SocksProxy::start().login("me", "right");
    let help = "help: write `name:password@` before the host in the proxy's URL";
    let missing = of_seed(&proxy, &seed.url()).error();
    assert!(missing.contains("requires a user name and password"), "{missing}");
    assert!(missing.contains(help), "{missing}");
    let url = format!("socks5h://me:sesame@{}", proxy.addr());
    let wrong = of_seed(&proxy, &seed.url()).env("ALL_PROXY", url).error();
    assert!(wrong.contains("rejected the user name or password"), "{wrong}");
    assert!(wrong.contains(help) && !wrong.contains("sesame"), "{wrong}");
}

#[test]
fn no_password_is_shown_of_any_proxy() {
    let check = |variable: &str, url: &str, said: &str| {
        let project = Project::new(&format!("data = \"{}\"", "1".repeat(40)))
            .env("ACADEMICTORRENTS_TIMEOUT", "500ms")
            .env(variable, url);
        let error = project.error();
        assert!(error.contains(said), "{url}: {error}");
        assert!(!error.contains("sesame"), "{url}: {error}");
    };
    side_by_side(
        &[
            (
                "ALL_PROXY",
                "http://me:sesame@127.0.0.1:9",
                "the proxy 127.0.0.1:9 cannot be reached: connection refused",
            ),
            (
                "https_proxy",
                "me:sesame@127.0.0.1:9",
                "the proxy 127.0.0.1:9 cannot be reached: connection refused",
            ),
            (
                "ALL_PROXY",
                "socks5://me:sesame@127.0.0.1:9",
                "cannot be reached: connection refused",
            ),
            ("all_proxy", "socks5h://me:sesame@127.0.0.1:9", "the SOCKS proxy 127.0.0.1:9 cannot"),
            ("CARGO_HTTP_PROXY", "socks4://me:sesame@h:9", "cannot be used: socks4://…@h:9"),
            ("HTTPS_PROXY", "ftp://me:sesame@h:9", "set by HTTPS_PROXY"),
            ("HTTPS_PROXY", "http://me:se/sesame@h:9", "cannot be used: http://…@h:9"),
            ("ALL_PROXY", "socks5h://me:sesame@h:99999", "cannot be used: socks5h://…@h:99999"),
        ],
        |(variable, url, said)| check(variable, url, said),
    );
}

/// A silent peer proxy may take up to 10 s here, but nothing else waits for it.
#[test]
fn a_silent_proxy_holds_up_neither_other_sources_nor_the_end() {
    let (peer, seed) = (Peer::seeding(&dataset()), WebSeed::serving(&dataset()));
    let slow = web_seed::Fault::Slow { bytes_per_second: 300_000 };
    let seed = seed.with(slow);
    let proxy = SocksProxy::start().with(Fault::Silent);
    let lines = format!(
        "web-seeds = [\"{}\"]\npeers = [\"{}\"]",
        at_host(&seed.url(), &format!("localhost:{}", seed.http().server().addr().port())),
        peer.addr()
    );
    let project = behind(&proxy, Project::of(&dataset(), &lines))
        .env("NO_PROXY", "localhost")
        .env("ACADEMICTORRENTS_TIMEOUT", "120s");
    let begun = Instant::now();
    dataset().assert_at(&project.path_of("data"));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!((proxy.connections(), peer.server().connections()), (1, 0));
}

/// A dataset of many small files, so that requests are pipelined.
fn many_files() -> Dataset {
    let files: Vec<_> = (0..40).map(|n| (format!("{n}"), random_bytes(n, 7_500))).collect();
    Dataset::multi("many", files.iter().map(|(n, bytes)| (&n[..], bytes.clone())))
}

fn is_basic(value: Option<&str>) -> bool {
    value.is_some_and(|value| value.starts_with("Basic "))
}

/// Catalog, tracker and web seed: each request, even if pipelined, has an absolute URL, and
/// `CONNECT` is not used.
#[test]
fn http_goes_to_an_http_proxy_as_requests_for_whole_urls() {
    let dataset = many_files().announce("http://tracker.invalid/announce");
    let (catalogue, seed) = (Catalogue::serving(&[&dataset]), WebSeed::serving(&dataset));
    let tracker = Tracker::start(vec![]);
    let proxy = HttpProxy::start()
        .login("Basic bWU6cEBzcy93JQ==")
        .host("catalogue.invalid", catalogue.http().server().addr())
        .host("seed.invalid:81", seed.http().server().addr())
        .host("seed.invalid", seed.http().server().addr())
        .host("tracker.invalid", tracker.http().server().addr());
    let seed_url = at_host(&seed.url(), "u:s3cr3t@seed.invalid:81");
    let project = Project::new(&format!(
        "data.infohash = \"{}\"\ndata.web-seeds = [\"{seed_url}\"]\n\
        data.trackers = [\"http://tracker.invalid/announce\"]",
        dataset.infohash_hex()
    ))
    .env("ACADEMICTORRENTS_CATALOGUE", "http://catalogue.invalid")
    .env("HTTPS_PROXY", format!("http://me:p%40ss%2Fw%25@{}", proxy.addr()));
    dataset.assert_at(&project.path_of("data"));
    let requests = proxy.requests();
    let (seeds, others): (Vec<_>, Vec<_>) =
        requests.iter().partition(|it| it.target.starts_with("http://seed.invalid:81/seed/many/"));
    assert!(seeds.len() >= 40, "{requests:?}");
    // All requests share few connections.
    assert!(proxy.connections() < 20, "{}", proxy.connections());
    assert!(others.iter().any(|it| it.target.starts_with("http://catalogue.invalid/download/")));
    assert!(others.iter().any(|it| it.target.starts_with("http://tracker.invalid/announce?")));
    for request in &requests {
        assert_eq!(request.method, "GET");
        assert!(is_basic(request.header("proxy-authorization")), "{request:?}");
        assert_eq!(request.headers.iter().filter(|it| it.0 == "Proxy-Authorization").count(), 1);
    }
    // The web seed's login is sent to the web seed only, and the proxy's to the proxy only.
    assert!(seeds.iter().all(|it| is_basic(it.header("authorization"))));
    assert!(others.iter().all(|it| it.header("authorization").is_none()));
    let behind = [seed.http(), catalogue.http(), tracker.http()].map(|it| it.requests()).concat();
    assert!(
        behind
            .iter()
            .all(|it| it.header("proxy-authorization").is_none() && it.target.starts_with('/'))
    );
}

/// Each kind of proxy, for http and https: the catalog, a web seed and a tracker, each of which the download needs.
#[test]
fn each_kind_of_proxy_carries_http_and_https() {
    let kinds = ["http", "https", "socks5h", "socks5"];
    let cases: Vec<_> = kinds.iter().flat_map(|it| [(*it, "http"), (*it, "https")]).collect();
    side_by_side(&cases, |(kind, scheme)| {
        let dataset = Dataset::single("data.bin", random_bytes(72, 10 * 32_768));
        let catalogue = Catalogue::serving(&[&dataset]);
        let seed = WebSeed::serving(&dataset).with(web_seed::Fault::OnlyPieces(0..5));
        let peer = Peer::seeding(&dataset).pieces(5..10);
        let tracker = Tracker::start(vec![peer.addr()]);
        let servers = [catalogue.http(), seed.http(), tracker.http()].map(|it| it.server().addr());
        let fronts = servers.map(TlsFront::before);
        let ports: Vec<u16> = match *scheme {
            "http" => servers.iter().map(SocketAddr::port).collect(),
            _ => fronts.iter().map(TlsFront::port).collect(),
        };
        let url = |of: usize, url: &str| {
            at_host(url, &format!("localhost:{}", ports[of])).replacen("http", scheme, 1)
        };
        let http = ports.iter().fold(HttpProxy::start(), |proxy, port| proxy.tls(*port));
        let (over_tls, socks) = (TlsFront::before(http.addr()), SocksProxy::start());
        let pems: String = fronts.iter().chain([&over_tls]).map(TlsFront::ca_pem).collect();
        let project = Project::new(&format!(
            "data.infohash = \"{}\"\ndata.web-seeds = [\"{}\"]\ndata.trackers = [\"{}\"]",
            dataset.infohash_hex(),
            url(1, &seed.url()),
            url(2, &tracker.url())
        ));
        std::fs::write(project.path("ca.pem"), pems).unwrap();
        let ca = project.path("ca.pem").display().to_string();
        let project = project
            .env("ACADEMICTORRENTS_CA_FILE", ca)
            .env("ACADEMICTORRENTS_CATALOGUE", url(0, "http://catalogue"))
            .env("ACADEMICTORRENTS_PRIVATE_HOSTS", peer.addr())
            .env(
                "ALL_PROXY",
                match *kind {
                    "http" => http.url(),
                    "https" => over_tls.url(),
                    _ => socks.url().replace("socks5h", kind),
                },
            );
        dataset.assert_at(&project.path_of("data"));
        let mut asked: Vec<String> = http.requests().into_iter().map(|it| it.target).collect();
        asked.extend(socks.asked());
        for port in ports {
            let is_asked = asked.iter().any(|it| it.contains(&format!(":{port}")));
            assert!(is_asked, "{kind}, {scheme}: {port} in {asked:?}");
        }
    });
}

#[test]
fn https_goes_through_an_http_proxy_in_a_tunnel_that_alone_is_told_its_login() {
    let seed = WebSeed::serving(&dataset());
    let front = TlsFront::before(seed.http().server().addr());
    let port: u16 = front.url().rsplit(':').next().unwrap().parse().unwrap();
    let project = |proxy: &HttpProxy| {
        let url = at_host(&seed.url(), &format!("localhost:{port}")).replace("http:", "https:");
        let project = Project::of(&dataset(), &format!("web-seeds = [\"{url}\"]"));
        front.write_ca(&project.path("ca.pem"));
        let ca = project.path("ca.pem").display().to_string();
        project
            .env("ACADEMICTORRENTS_CA_FILE", ca)
            .env("HTTPS_PROXY", format!("http://me:sesame@{}", proxy.addr()))
    };
    let proxy = HttpProxy::start().login("Basic bWU6c2VzYW1l").tls(port);
    dataset().assert_at(&project(&proxy).path_of("data"));
    assert!(proxy.requests().iter().all(|it| it.method == "CONNECT"), "{:?}", proxy.requests());
    assert_eq!(proxy.requests()[0].target, format!("localhost:{port}"));
    let requests = seed.requests();
    assert!(!requests.is_empty());
    assert!(requests.iter().all(|it| it.header("proxy-authorization").is_none()));
    // This proxy does not allow tunnels to the port.
    let strict = HttpProxy::start();
    let error = project(&strict).error();
    let said = format!("the proxy {} refused the connection: HTTP status 403", strict.addr());
    assert!(error.contains(&said) && error.contains("help: check the proxy"), "{error}");
    assert!(!error.contains("sesame"), "{error}");
}

#[test]
fn a_redirect_from_http_to_https_leaves_the_proxys_login_with_the_proxy() {
    let seed = WebSeed::serving(&dataset());
    let front = TlsFront::before(seed.http().server().addr());
    let port: u16 = front.url().rsplit(':').next().unwrap().parse().unwrap();
    let first = WebSeed::serving(&dataset()).with(web_seed::Fault::RedirectTo(front.url()));
    let proxy = HttpProxy::start().login("Basic bWU6c2VzYW1l").tls(port);
    let project = Project::of(&dataset(), &format!("web-seeds = [\"{}\"]", first.url()));
    front.write_ca(&project.path("ca.pem"));
    let ca = project.path("ca.pem").display().to_string();
    let project = project
        .env("ACADEMICTORRENTS_CA_FILE", ca)
        .env("ACADEMICTORRENTS_PRIVATE_HOSTS", "localhost")
        .env("HTTPS_PROXY", format!("http://me:sesame@{}", proxy.addr()));
    dataset().assert_at(&project.path_of("data"));
    let all = [seed.requests(), first.requests()].concat();
    assert!(all.iter().all(|it| it.header("proxy-authorization").is_none()), "{all:?}");
}

/// For http and https, with the same wording as for SOCKS.
#[test]
fn an_http_proxy_that_wants_a_login_is_named_with_what_to_write() {
    let (seed, right) = (WebSeed::serving(&dataset()), "Basic bWU6cmlnaHQ=");
    let write = "help: write `name:password@` before the host in the proxy's URL";
    let check_at = "help: check the proxy (CARGO_HTTP_PROXY";
    let ntlm = "Proxy-Authenticate: NTLM\r\nProxy-Authenticate: Negotiate\r\n";
    let cases = [
        ("", "", "requires a user name and password", write),
        ("me:wrong@", "", "rejected the user name or password", write),
        (
            "me:wrong@",
            ntlm,
            "requires an authentication method other than user name and password",
            check_at,
        ),
        ("", ntlm, "requires an authentication method other than user name and password", check_at),
    ];
    side_by_side(&cases, |(login, challenge, said, help)| {
        for scheme in ["http", "https"] {
            let mut proxy = HttpProxy::start().login(right);
            if !challenge.is_empty() {
                proxy = proxy.challenge(challenge);
            }
            let url = seed.url().replace("http:", &format!("{scheme}:"));
            let project = Project::of(&dataset(), &format!("web-seeds = [\"{url}\"]"))
                .env("HTTPS_PROXY", format!("http://{login}{}", proxy.addr()));
            let error = project.error();
            let said = format!("the proxy {} {said}", proxy.addr());
            assert!(error.contains(&said) && error.contains(help), "{scheme}: {error}");
            assert!(!error.contains("wrong"), "{error}");
        }
        // The catalog, too.
        let proxy = HttpProxy::start().login(right);
        let project = Project::new(&format!("data = \"{}\"", "1".repeat(40)))
            .env("HTTPS_PROXY", format!("http://{login}{}", proxy.addr()));
        assert!(project.error().contains(&format!("the proxy {} ", proxy.addr())));
    });
    assert_eq!(seed.http().server().connections(), 0);
}

#[test]
fn what_an_http_proxy_says_that_is_none() {
    let seed = WebSeed::serving(&dataset());
    let cases = [
        ("SSH-2.0-x\r\n", "https", "sent an invalid reply: the reply is not HTTP"),
        ("", "https", "closed the connection"),
        ("HTTP/1.1 200 OK\r\n\r\nnonsense", "https", "through the proxy"),
        ("HTTP/1.1 502 Bad\r\n\r\n", "https", "refused the connection: HTTP status 502"),
        ("SSH-2.0-x\r\n", "http", "(through the proxy"),
        ("", "http", "(through the proxy"),
    ];
    side_by_side(&cases, |(reply, scheme, said)| {
        let proxy = HttpProxy::start().says(reply);
        let url = seed.url().replace("http:", &format!("{scheme}:"));
        let project = Project::of(&dataset(), &format!("web-seeds = [\"{url}\"]"))
            .env("HTTPS_PROXY", proxy.url());
        let error = project.error();
        assert!(error.contains(said), "{reply}: {error}");
    });
}

/// Also in the middle of a connection, for a pipelined request.
#[test]
fn a_login_that_an_http_proxy_forgets_is_asked_for_again() {
    let dataset = many_files();
    let seed = WebSeed::serving(&dataset);
    let proxy = HttpProxy::start().forgets_after(10);
    let project = Project::of(&dataset, &format!("web-seeds = [\"{}\"]", seed.url()))
        .env("HTTPS_PROXY", proxy.url());
    let error = project.error();
    assert!(error.contains("HTTP status 407 (the proxy requires a login)"), "{error}");
}

#[test]
fn hosts_in_no_proxy_are_reached_without_an_http_proxy() {
    let seed = WebSeed::serving(&dataset());
    let port = seed.http().server().addr().port();
    let proxy = HttpProxy::start();
    for excepted in ["127.0.0.0/8", "x 127.0.0.1", &format!("127.0.0.1:{port}"), "*", "127.*"] {
        let project = Project::of(&dataset(), &format!("web-seeds = [\"{}\"]", seed.url()))
            .env("HTTPS_PROXY", proxy.url())
            .env("NO_PROXY", excepted);
        dataset().assert_at(&project.path_of("data"));
        assert_eq!(proxy.connections(), 0, "{excepted}");
    }
    let project = Project::of(&dataset(), &format!("web-seeds = [\"{}\"]", seed.url()))
        .env("HTTPS_PROXY", proxy.url())
        .env("NO_PROXY", "127.0.0.1:1, 10.0.0.0/8, a.example");
    dataset().assert_at(&project.path_of("data"));
    assert!(proxy.connections() > 0);
}
