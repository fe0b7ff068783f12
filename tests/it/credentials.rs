//! Mirrors and web seeds that require a login: which hosts receive the user's credentials.

use crate::support::Project;
use crate::swarm::http::{HttpServer, Request, Responder};
use crate::swarm::{Dataset, TlsFront, WebSeed, random_bytes, web_seed::Fault};

/// `me:pass word`, as in the netrc file of these tests.
const BASIC: &str = "Basic bWU6cGFzcyB3b3Jk";
const NETRC: &str = "machine HOST login me password \"pass word\"\n";

/// Many small files, so that requests are pipelined.
fn many() -> Dataset {
    let files: Vec<_> = (0..40).map(|n| (format!("f{n:02}.bin"), random_bytes(n, 3_000))).collect();
    let files = files.iter().map(|(name, bytes)| (&**name, bytes.clone()));
    Dataset::multi("set", files).piece_length(16 << 10)
}

/// Serves the dataset below `/seed/`, and as a mirror below `/mirror/`, to requests with this
/// header.
fn guarded(data: &Dataset, header: &'static str, value: &'static str) -> HttpServer {
    let (torrent, open) = (data.torrent(), WebSeed::serving(data));
    let hash = data.infohash_hex();
    HttpServer::start(move |request, to| {
        if request.header(header) != Some(value) {
            return to.status(401);
        }
        match request.target.strip_prefix("/mirror/") {
            Some(file) if file == format!("{hash}.torrent") => to.respond(200, &[], &torrent),
            Some(file) => open.answer(&at(request, &file.replacen(&hash, "/seed", 1)), to),
            None => open.answer(request, to),
        }
    })
}

fn at(request: &Request, target: &str) -> Request {
    Request { target: target.to_owned(), ..request.clone() }
}

/// A project with this netrc file.
fn with_netrc(project: Project, netrc: &str, host: &str) -> Project {
    let path = project.path("netrc");
    std::fs::write(&path, netrc.replace("HOST", host)).unwrap();
    project.env("NETRC", path.display())
}

fn logins(requests: &[Request]) -> Vec<Option<&str>> {
    requests.iter().map(|request| request.header("authorization")).collect()
}

#[test]
fn a_mirror_and_a_web_seed_that_the_user_named_are_sent_it_with_each_request() {
    let data = many();
    let server = guarded(&data, "authorization", BASIC);
    let of_seed = Project::of(&data, &format!("web-seeds = [\"{}/seed/\"]", server.url()));
    data.assert_at(&with_netrc(of_seed, NETRC, "127.0.0.1").path_of("data"));
    let requests = server.requests();
    assert!(requests.len() >= 40, "{}", requests.len());
    assert!(logins(&requests).iter().all(|it| *it == Some(BASIC)), "{requests:?}");
    // The login also applies to the .torrent, to a mirror from the environment, and from `.netrc`
    // in the home directory.
    let of_mirror = Project::new(&format!("data = \"{}\"", data.infohash_hex()))
        .env("ACADEMICTORRENTS_MIRRORS", format!("{}/mirror", server.url()));
    let home = of_mirror.path("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join(".netrc"), NETRC.replace("HOST", "127.0.0.1")).unwrap();
    let of_mirror =
        of_mirror.env(if cfg!(windows) { "USERPROFILE" } else { "HOME" }, home.display());
    data.assert_at(&of_mirror.path_of("data"));
}

#[test]
fn a_token_or_a_header_is_sent_to_its_host() {
    let data = many();
    let check = |header: &'static str, value: &'static str, entry: &str| {
        let server = guarded(&data, header, value);
        let project = Project::of(&data, &format!("web-seeds = [\"{}/seed/\"]", server.url()));
        let config = project.path("config/academictorrents/config.toml");
        std::fs::create_dir_all(config.parent().unwrap()).unwrap();
        let entry = entry.replace("HOST", &server.addr().to_string());
        std::fs::write(&config, format!("[credentials]\n{entry}\n")).unwrap();
        let project = with_netrc(project, NETRC, "127.0.0.1");
        let directory = project.path("config").display().to_string();
        let project = project.env("XDG_CONFIG_HOME", &directory).env("APPDATA", directory);
        data.assert_at(&project.path_of("data"));
    };
    if cfg!(target_os = "macos") {
        return;
    }
    check("authorization", "Bearer t0k.en-1", "\"HOST\" = { token = \"t0k.en-1\" }");
    check("x-api-key", "a b", "\"127.0.0.1\".header = \"X-Api-Key: a b\"");
    check(
        "authorization",
        "Token token=1",
        "\"HOST\" = { header = \"Authorization: Token token=1\" }",
    );
    // An entry for another port does not apply, so the netrc file's does.
    check("authorization", BASIC, "\"127.0.0.1:1\" = { token = \"t0k.en-1\" }");
}

#[test]
fn a_torrents_own_web_seed_is_sent_it_over_https_alone_and_only_of_exactly_its_host() {
    let data = many();
    let check = |is_secure: bool, netrc: &str, host: &str, is_let_in: bool| {
        let server = guarded(&data, "authorization", BASIC);
        let front = TlsFront::before(server.server().addr());
        let url = if is_secure { front.url() } else { server.url() };
        let project = Project::of(&data.clone().url_list([format!("{url}/seed/")]), "")
            .env("ACADEMICTORRENTS_PRIVATE_HOSTS", "127.0.0.1,localhost");
        front.write_ca(&project.path("ca.pem"));
        let ca = project.path("ca.pem").display().to_string();
        let project = with_netrc(project, netrc, host).env("ACADEMICTORRENTS_CA_FILE", ca);
        if is_let_in {
            data.assert_at(&project.path_of("data"));
        } else {
            let error = project.error();
            assert!(error.contains("401") && error.contains("~/.netrc"), "{error}");
            let requests = server.requests();
            assert!(logins(&requests).iter().all(Option::is_none), "{requests:?}");
        }
    };
    check(true, NETRC, "localhost", true);
    check(true, NETRC, "LOCALHOST", true);
    check(true, NETRC, "x.localhost", false);
    check(true, NETRC, "host", false);
    check(true, "default login me password \"pass word\"\n", "", false);
    check(true, "machine a default login me password \"pass word\"\n", "", false);
    check(false, NETRC, "127.0.0.1", false);
}

/// Not even to the same server, or to a host that has its own netrc entry.
#[test]
fn nothing_is_sent_along_a_redirect() {
    let data = many();
    let elsewhere = WebSeed::serving(&data);
    let far = elsewhere.http().url();
    let server = HttpServer::start(move |request: &Request, to: &mut Responder<'_>| {
        match (request.target.starts_with("/here"), request.header("authorization")) {
            (false, Some(BASIC)) => {
                let place = format!("/here{}", request.target);
                to.respond(302, &[("location", &place)], b"");
            }
            (true, None) => {
                let place = format!("{far}{}", request.target.trim_start_matches("/here"));
                to.respond(302, &[("location", &place)], b"");
            }
            _ => to.status(401),
        }
    });
    let project = Project::of(&data, &format!("web-seeds = [\"{}/seed/\"]", server.url()));
    data.assert_at(&with_netrc(project, NETRC, "127.0.0.1").path_of("data"));
    let requests = elsewhere.requests();
    assert!(requests.len() >= 40, "{}", requests.len());
    assert!(logins(&requests).iter().all(Option::is_none), "{requests:?}");
    // The same for a mirror's .torrent.
    let torrents = WebSeed::serving(&data);
    let to = torrents.http().url();
    let mirror = HttpServer::start(move |request: &Request, responder: &mut Responder<'_>| {
        responder.respond(302, &[("location", &format!("{to}{}", request.target))], b"");
    });
    let project = Project::new(&format!("data = \"{}\"", data.infohash_hex()))
        .env("ACADEMICTORRENTS_MIRRORS", mirror.url());
    with_netrc(project, NETRC, "127.0.0.1").error();
    assert!(!torrents.requests().is_empty());
    assert_eq!(logins(&mirror.requests())[0], Some(BASIC));
    let requests = torrents.requests();
    assert!(logins(&requests).iter().all(Option::is_none), "{requests:?}");
}

#[test]
fn a_redirect_that_quotes_it_is_not_followed() {
    let data = many();
    let evil = WebSeed::serving(&data).with(Fault::NotFound);
    let to = evil.http().url();
    let server = HttpServer::start(move |request: &Request, responder: &mut Responder<'_>| {
        let told = request.header("authorization").unwrap_or_default().replace(' ', "/");
        responder.respond(302, &[("location", &format!("{to}/{told}/x"))], b"");
    });
    let project = Project::of(&data, &format!("web-seeds = [\"{}/seed/\"]", server.url()));
    let error = with_netrc(project, NETRC, "127.0.0.1").error();
    assert!(error.contains("quotes the credentials") && !error.contains("bWU6cGF"), "{error}");
    assert!(evil.requests().is_empty());
}

#[test]
fn a_dependency_that_cargo_downloaded_has_none_of_it() {
    let data = many();
    let server = guarded(&data, "authorization", BASIC);
    for named in ["web-seeds = [\"URL/seed/\"]", ""] {
        let project = Project::of(&data, &named.replace("URL", &server.url()))
            .env("ACADEMICTORRENTS_FETCH", "always")
            .env("ACADEMICTORRENTS_MIRRORS", format!("{}/mirror", server.url()))
            .env("ACADEMICTORRENTS_CREDENTIALS", "127.0.0.1=abcdefgh");
        std::fs::write(project.path(".cargo-ok"), "").unwrap();
        let error = with_netrc(project, NETRC, "127.0.0.1").error();
        assert!(error.contains("401"), "{error}");
    }
    let requests = server.requests();
    assert!(!requests.is_empty() && logins(&requests).iter().all(Option::is_none), "{requests:?}");
}

/// Other programs use `NETRC` too, so an unreadable file is not an error.
#[test]
fn a_netrc_file_that_cannot_be_read_or_makes_no_sense_is_no_error() {
    let data = many();
    let seed = WebSeed::serving(&data);
    let of = || Project::of(&data, &format!("web-seeds = [\"{}\"]", seed.url()));
    data.assert_at(&of().env("NETRC", "/nowhere/netrc").path_of("data"));
    data.assert_at(&with_netrc(of(), "machine \"\nlogin \u{0} x \\ default", "").path_of("data"));
    let directory = of();
    let directory = directory.path("").display().to_string();
    data.assert_at(&of().env("NETRC", directory).path_of("data"));
}
