//! No command prints a secret of a URL, whatever role the URL has.

use std::fs;

use crate::cli_fixture::{CliFixture, Run};
use crate::support::{files_below, side_by_side};
use crate::swarm::bencode::B;
use crate::swarm::http::HttpServer;
use crate::swarm::{Dataset, Tracker, UdpTracker, WebSeed, random_bytes};

/// Part of every password and query parameter.
const WORD: &str = "s3cr3t";
/// A passkey.
const KEY: &str = "5ec2e75ec2e75ec2e75ec2e75ec2e7ab";

#[track_caller]
fn assert_silent(what: &str, run: &Run) {
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(!said.contains(WORD) && !said.contains(KEY), "{what}: {said}");
}

/// A server that refuses every request and quotes it: in a body, a redirect, a tracker's answer or
/// a header.
fn echo() -> HttpServer {
    HttpServer::start(|request, to| {
        let said = format!("who is {}?", request.target);
        let body = format!("d14:failure reason{}:{said}e", said.len());
        match request.target.contains("redirect") {
            true => {
                let to_url = format!("ftp://x:{WORD}@127.0.0.1{}", request.target);
                to.respond(302, &[("location", &to_url)], b"");
            }
            false if request.target.contains("odd") => {
                to.respond(200, &[("transfer-encoding", &said)], body.as_bytes());
            }
            false => to.respond(403, &[("x-said", &said)], body.as_bytes()),
        }
    })
}

fn single() -> Dataset {
    Dataset::single("data.bin", random_bytes(5, 100_000))
}

#[test]
fn no_verb_shows_a_secret_of_a_url_in_any_role() {
    let server = echo();
    let host = server.addr();
    let udp = UdpTracker::start(Vec::new());
    let udp_url = format!("udp://{}/{KEY}/announce", udp.addr());
    let trackers = [
        format!("http://{host}/{KEY}/announce"),
        format!("http://{host}/announce?passkey={WORD}"),
        format!("http://me:{WORD}@{host}/announce"),
        format!("wss://{host}/announce?authkey={WORD}"),
        udp_url.clone(),
    ];
    let seeds = [
        format!("http://me:{WORD}@{host}/seed/data.bin"),
        format!("http://{host}/seed/data.bin?X-Amz-Signature={WORD}"),
        format!("http://{host}/redirect/data.bin?token={WORD}"),
        format!("http://{host}/odd/data.bin?token={WORD}"),
        format!("http://{KEY}.invalid/data.bin"),
        format!("ftp://me:{WORD}@{host}/data.bin"),
    ];
    let tiers: Vec<Vec<&str>> = trackers.iter().map(|url| vec![&**url]).collect();
    let tiers: Vec<&[&str]> = tiers.iter().map(Vec::as_slice).collect();
    let data = single()
        .announce(&trackers[1])
        .announce_list(&tiers)
        .url_list(&seeds)
        .comment(&format!("from http://me:{WORD}@{host}/?x={WORD}"));
    let magnet = format!(
        "magnet:?xt=urn:btih:{}&tr=http%3A%2F%2F{host}%2Fannounce%3Fpasskey%3D{WORD}\
         &ws=http%3A%2F%2Fme%3A{WORD}%40{host}%2Fdata.bin&xs=http%3A%2F%2F{host}%2F%3Ft%3D{WORD}",
        data.infohash_hex()
    );
    let quoted = |urls: &[String]| format!("[\"{}\"]", urls.join("\", \""));
    let mirror = format!("http://me:{WORD}@{host}/mirror/{KEY}");
    let hash = data.infohash_hex();
    let table = format!(
        "file = {{ torrent = \"x.torrent\", mirrors = [\"{mirror}\"] }}\n\
         hash = {{ infohash = \"{hash}\", mirrors = [\"{mirror}\"], trackers = {}, \
         web-seeds = {} }}\nlink = {{ magnet = \"{magnet}\" }}\n",
        quoted(&[&trackers[..3], &[udp_url]].concat()),
        quoted(&seeds[..4])
    );
    let catalogue = format!("http://me:{WORD}@{host}/{KEY}");
    let cli = CliFixture::new()
        .env("ACADEMICTORRENTS_TIMEOUT", "400ms")
        .env("ACADEMICTORRENTS_CATALOGUE", &catalogue)
        .env("ACADEMICTORRENTS_API_KEY", format!("uid=1;pass={WORD}"))
        .env("ACADEMICTORRENTS_MIRRORS", format!("{mirror},http://{host}/?key={WORD}"))
        .env("NO_PROXY", "127.0.0.1")
        .env("HTTPS_PROXY", format!("http://me:{WORD}@127.0.0.1:9"))
        .env("ALL_PROXY", format!("socks5h://me:{WORD}@127.0.0.1:9"));
    cli.declare(&table);
    cli.write("x.torrent", data.torrent());
    let by_url = format!("http://me:{WORD}@{host}/{KEY}.torrent?token={WORD}");
    let (web_seed, tracker) = (&seeds[0], &trackers[0]);
    let calls: &[&[&str]] = &[
        &["config"],
        &["config", "--json"],
        &["doctor"],
        &["doctor", "--json", "-v"],
        &["list"],
        &["list", "--json"],
        &["info", "x.torrent"],
        &["info", "x.torrent", "--json"],
        &["info", "hash", "-v"],
        &["info", &magnet, "--json"],
        &["fetch"],
        &["fetch", "--json", "-v"],
        &["fetch", "--dry-run", "-v"],
        &["fetch", "--dry-run", "--json"],
        &["get", "x.torrent", "-v"],
        &["get", &magnet, "--json"],
        &["get", &by_url],
        &["get", &hash, "--web-seed", web_seed, "--tracker", tracker, "--mirror", &mirror],
        &["get", &hash, "--web-seed", &format!("ftp://me:{WORD}@h/")],
        &["get", &hash, "--tracker", &format!("udp://me:{WORD}@h")],
        &["get", &hash, "--mirror", &format!("file://me:{WORD}@h/x")],
        &["get", &hash, "--peer", &format!("me:{WORD}@h")],
        &["get", &format!("ftp://me:{WORD}@h/x.torrent")],
        &["add", &magnet, "more", "--dry-run"],
        &["add", "x.torrent", "more", "--vendor"],
        &["add", "x.torrent", "more", "--dry-run", "--json"],
        &["vendor"],
        &["vendor", "--json", "--data", "m"],
        &["verify"],
        &["verify", "--json", "--repair"],
        &["import", "x.torrent", "nothing"],
        &["path", "hash"],
        &["search", "word"],
        &["search", "word", "--json"],
        &["cite", "hash"],
        &["cite", &hash, "--json"],
        &["gc", "--json"],
        &["seed", "x.torrent", "--for", "1s", "--fetch", "-v"],
        &["get", &hash, web_seed],
        &["doctor", &by_url],
    ];
    side_by_side(calls, |arguments| {
        let run = cli.run(arguments);
        assert_silent(&format!("{arguments:?}"), &run);
    });
    assert!(!udp.announces().is_empty() || udp.connects() > 0, "the tracker received a request");
    assert!(
        server.requests().iter().any(|it| it.target.contains(KEY)),
        "the server received a request"
    );
    // Files contain no secrets either, except .torrent files, which keep their exact bytes.
    for file in files_below(&cli.store()) {
        let bytes = fs::read(cli.store().join(&file)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let is_torrent = file.extension().is_some_and(|it| it == "torrent");
        assert!(is_torrent || !(text.contains(WORD) || text.contains(KEY)), "{}", file.display());
    }
}

/// A server that quotes the request's headers wherever it can.
fn parrot() -> HttpServer {
    HttpServer::start(|request, to| {
        let header = |name| request.header(name).unwrap_or_default().to_owned();
        let told = format!("{}{}", header("authorization"), header("x-key"));
        match request.target.as_bytes().last().unwrap_or(&0) % 4 {
            0 => to.respond(302, &[("location", &format!("/{}/x", told.replace(' ', "%20")))], b""),
            1 => to.respond(200, &[("transfer-encoding", &told)], told.as_bytes()),
            2 => to.respond(302, &[("location", &format!("ftp://{told}"))], b""),
            _ => to.respond(401, &[("www-authenticate", &told)], told.as_bytes()),
        }
    })
}

#[test]
fn no_verb_shows_what_is_kept_for_a_host() {
    const BASIC: &str = "bWU6czNjcjN0LXMzY3IzdA==";
    let data = single();
    let hash = data.infohash_hex();
    let check = |config: &str, netrc: &str| {
        let server = parrot();
        let seeds: Vec<_> = ["a", "b", "c", "d"].map(|it| format!("{}/{it}", server.url())).into();
        let mirrors: Vec<_> = seeds.iter().map(|it| format!("\"{it}\"")).collect();
        let cli = CliFixture::new().env("ACADEMICTORRENTS_TIMEOUT", "400ms");
        cli.write("home/.config/academictorrents/config.toml", config);
        cli.write("home/.netrc", netrc);
        cli.declare(&format!(
            "d = {{ torrent = \"x.torrent\", web-seeds = [{0}] }}\nh = {{ infohash = \"{hash}\", mirrors = [{0}] }}",
            mirrors.join(", ")
        ));
        cli.write("x.torrent", data.torrent());
        let calls: &[&[&str]] = &[
            &["config"],
            &["config", "--json"],
            &["doctor"],
            &["doctor", "--json"],
            &["info", "d", "-v"],
            &["info", "d", "--json"],
            &["fetch", "-v"],
            &["fetch", "--json"],
            &["fetch", "--dry-run", "--json"],
            &["get", "x.torrent", "--web-seed", &seeds[0], "--web-seed", &seeds[3], "-v"],
            &["get", &hash, "--mirror", &seeds[1], "--json"],
            &["get", &seeds[0]],
            &["get", &seeds[1]],
            &["get", &seeds[2]],
            &["get", &seeds[3]],
            &["vendor", "--data", "m"],
            &["verify", "--repair", "--json"],
        ];
        side_by_side(calls, |arguments| {
            let run = cli.run(arguments);
            assert_silent(&format!("{arguments:?}"), &run);
            assert!(!format!("{}{}", run.stdout, run.stderr).contains(BASIC), "{arguments:?}");
        });
        if !config.contains("odd") {
            let is_told = |it: &crate::swarm::http::Request| {
                it.header("authorization").is_some() || it.header("x-key").is_some()
            };
            assert!(server.requests().iter().any(is_told), "{config}{netrc}");
        }
        for file in files_below(&cli.store()) {
            let bytes = fs::read(cli.store().join(&file)).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains(WORD), "{}", file.display());
        }
    };
    let entries = [
        ("", format!("machine 127.0.0.1 login me password {WORD}-{WORD}")),
        ("credentials.\"127.0.0.1\".token = \"WORD-WORD\"", String::new()),
        ("credentials.\"127.0.0.1\".header = \"X-Key: WORD WORD-WORD\"", String::new()),
        // Invalid entries are not quoted either.
        ("credentials.\"odd host\".token = \"WORD\"", String::new()),
        ("credentials.\"odd\".token = \"WORD\\nWORD\"", String::new()),
        ("credentials.\"odd\".secret = \"WORD\"", String::new()),
        ("credentials.\"odd\" = \"WORD\"", String::new()),
        ("credentials = \"oddWORD\"", String::new()),
        ("credentials.\"odd\".token = \"WORD", String::new()),
        ("", format!("machine 127.0.0.1 login me {WORD} password {WORD}-{WORD}")),
    ];
    for (config, netrc) in entries {
        check(&config.replace("WORD", WORD), &netrc);
    }
}

#[test]
fn no_setting_that_is_odd_is_shown_with_its_secret() {
    let check = |name: &str, value: &str| {
        let cli = CliFixture::new().env(name, value);
        cli.declare("");
        for call in [&["config"][..], &["get", &"1".repeat(40)]] {
            assert_silent(&format!("{name}={value}"), &cli.run(call));
        }
        // The same value in the configuration file.
        let Some(key) = name.strip_prefix("ACADEMICTORRENTS_") else { return };
        let key = key.to_lowercase().replace('_', "-");
        let is_list =
            ["mirrors", "peers", "dht-bootstrap", "load-path", "sources"].contains(&&*key);
        let text = match is_list {
            true => format!("{key} = [\"{value}\"]\n"),
            false => format!("{key} = \"{value}\"\n"),
        };
        let cli = CliFixture::new();
        cli.write("home/.config/academictorrents/config.toml", text);
        assert_silent(&key, &cli.run(&["config"]));
    };
    let url = format!("ftp://me:{WORD}@127.0.0.1/{KEY}?token={WORD}#{WORD}");
    let bare = format!("me:{WORD}@127.0.0.1/x");
    let ours = ["CATALOGUE", "MIRRORS", "PEERS", "DHT_BOOTSTRAP", "STORE", "LOAD_PATH", "CA_FILE"];
    let others = ["CREDENTIALS", "TIMEOUT", "MAX_SIZE", "FETCH", "PROGRESS", "SOURCES", "UPLOAD"];
    let named = |name: &&str| format!("ACADEMICTORRENTS_{name}");
    let proxies = ["HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"].map(str::to_owned);
    let mut cases: Vec<(String, &str)> = Vec::new();
    for name in ours.iter().map(named).chain(proxies) {
        cases.extend([(name.clone(), &*url), (name, &*bare)]);
    }
    cases.extend(others.iter().map(|name| (named(name), &*url)));
    side_by_side(&cases, |(name, value)| check(name, value));
}

#[test]
fn a_login_goes_with_each_request_of_its_server_and_with_no_other() {
    let files = (0..40).map(|n| (format!("f{n:02}.bin"), random_bytes(n, 3_000)));
    let files: Vec<_> = files.collect();
    let files = files.iter().map(|(name, bytes)| (&**name, bytes.clone()));
    let data = Dataset::multi("set", files).piece_length(16 << 10);
    const LOGIN: &str = "Basic YSB1c2VyOnMzY3IzdCBw";
    let elsewhere = WebSeed::serving(&data);
    // Redirects to another path of the same server, then to another server.
    let far = elsewhere.http().url();
    let server = HttpServer::start(move |request, to| {
        let is_here = request.target.starts_with("/here");
        let place = match (request.header("authorization"), is_here) {
            (Some(LOGIN), false) => format!("http://{}/here", request.header("host").unwrap()),
            (Some(LOGIN), true) => far.clone(),
            _ => return to.status(401),
        };
        let path = request.target.trim_start_matches("/here");
        to.respond(302, &[("location", &format!("{place}{path}"))], b"");
    });
    let guarded = WebSeed::serving(&data);
    let url = guarded.url().replacen("http://", "http://a%20user:s3cr3t%20p@", 1);
    let redirecting = format!("http://a%20user:s3cr3t%20p@{}/seed/", server.addr());
    let cli = CliFixture::new();
    cli.write("x.torrent", data.clone().url_list([&url]).torrent());
    cli.ok(&["get", "x.torrent"]);
    let requests = guarded.requests();
    assert!(requests.len() >= 40, "{}", requests.len());
    for request in &requests {
        let login = request.header("authorization");
        assert_eq!(login, Some(LOGIN), "{}", request.target);
    }
    let cli = CliFixture::new().env("ACADEMICTORRENTS_PRIVATE_HOSTS", "127.0.0.1");
    cli.write("x.torrent", data.clone().url_list([&redirecting]).torrent());
    cli.ok(&["get", "x.torrent"]);
    let far = elsewhere.requests();
    assert!(far.len() >= 40, "{}", far.len());
    assert!(far.iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn a_login_goes_to_trackers_mirrors_and_the_catalogue() {
    let data = single();
    let tracker = Tracker::start(Vec::new());
    let server = echo();
    let login = |url: &str| url.replacen("http://", "http://u:p%2Fw@", 1);
    let cli = CliFixture::new()
        .env("ACADEMICTORRENTS_TIMEOUT", "1s")
        .env("ACADEMICTORRENTS_CATALOGUE", login(&format!("{}/catalogue", server.url())))
        .env("ACADEMICTORRENTS_MIRRORS", login(&format!("{}/mirror", server.url())));
    cli.run(&["get", &data.infohash_hex(), "--tracker", &login(&tracker.url())]);
    cli.write("x.torrent", data.torrent());
    cli.run(&["get", "x.torrent"]);
    let requests = [server.requests(), tracker.http().requests()].concat();
    for path in ["/catalogue/", "/mirror/", "/announce"] {
        assert!(requests.iter().any(|it| it.target.starts_with(path)), "{path}: {requests:?}");
    }
    for request in &requests {
        let login = request.header("authorization");
        assert_eq!(login, Some("Basic dTpwL3c="), "{}", request.target);
    }
}

fn with_passkey(data: Dataset) -> Dataset {
    let mine = format!("https://127.0.0.1:9/announce.php?passkey={KEY}");
    data.announce(&mine)
        .announce_list(&[&[&mine], &["udp://127.0.0.1:9"]])
        .url_list([format!("http://127.0.0.1:9/data.bin?file=a&passkey={KEY}")])
        .outer("created by", B::bytes("x"))
}

fn without_passkey(data: Dataset) -> Dataset {
    let clean = "https://127.0.0.1:9/announce.php";
    data.announce(clean)
        .announce_list(&[&[clean], &["udp://127.0.0.1:9"]])
        .url_list(["http://127.0.0.1:9/data.bin?file=a"])
        .outer("created by", B::bytes("x"))
}

#[test]
fn a_passkey_is_removed_from_what_is_handed_on_and_that_is_said() {
    let cli = CliFixture::new();
    let mine = with_passkey(single());
    let clean = without_passkey(single()).torrent();
    mine.write_to(&cli.path("there"));
    cli.declare("");
    cli.write("x.torrent", mine.torrent());
    cli.ok(&["import", "--id", "x.torrent", "there/data.bin"]);
    let run = cli.run(&["add", "x.torrent", "data", "--vendor"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("removed a personal passkey from"), "{}", run.stderr);
    assert_eq!(fs::read(cli.path("datasets/data.torrent")).unwrap(), clean);
    // `vendor`, and the mirror that it writes.
    cli.declare(&format!("data = \"{}\"", mine.infohash_hex()));
    fs::remove_file(cli.path("datasets/data.torrent")).unwrap();
    cli.write(&format!("m/{}.torrent", mine.infohash_hex()), mine.torrent());
    let run = cli.run(&["vendor", "--data", "m"]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert_eq!(run.stderr.matches("removed a personal passkey from").count(), 2, "{}", run.stderr);
    assert_eq!(fs::read(cli.path("datasets/data.torrent")).unwrap(), clean);
    let mirrored = cli.path(&format!("m/{}.torrent", mine.infohash_hex()));
    assert_eq!(fs::read(&mirrored).unwrap(), clean);
    // A vendored file that exists already is kept, with a warning.
    cli.write("datasets/data.torrent", mine.torrent());
    let run = cli.run(&["vendor"]);
    assert!(run.stderr.contains("contains a personal passkey"), "{}", run.stderr);
    assert_eq!(fs::read(cli.path("datasets/data.torrent")).unwrap(), mine.torrent());
    // `info` prints a magnet link that can be shared.
    let info = cli.ok(&["info", "x.torrent", "--offline"]);
    assert!(info.contains("&tr=https://127.0.0.1:9/announce.php&tr=udp"), "{info}");
    assert!(!info.contains(KEY), "{info}");
    // `--keep-passkey` leaves the torrent unchanged.
    cli.declare(&format!("data = \"{}\"", mine.infohash_hex()));
    fs::remove_file(cli.path("datasets/data.torrent")).unwrap();
    cli.ok(&["vendor", "--keep-passkey", "--data", "k"]);
    assert_eq!(fs::read(cli.path("datasets/data.torrent")).unwrap(), mine.torrent());
    let kept = cli.path(&format!("k/{}.torrent", mine.infohash_hex()));
    assert_eq!(fs::read(kept).unwrap(), mine.torrent());
}

#[test]
fn a_passkey_that_cannot_be_removed_is_an_error() {
    let check = |data: Dataset, why: &str| {
        let cli = CliFixture::new();
        cli.declare("");
        data.write_to(&cli.path("there"));
        cli.write("x.torrent", data.torrent());
        cli.ok(&["import", "--id", "x.torrent", "there/data.bin"]);
        let before = fs::read(cli.path("Cargo.toml")).unwrap();
        let run = cli.run(&["add", "x.torrent", "data", "--vendor"]);
        assert_eq!(run.status, Some(1), "{}", run.stdout);
        assert!(
            run.stderr.contains(why) && run.stderr.contains("--keep-passkey"),
            "{}",
            run.stderr
        );
        assert!(!run.stderr.contains(KEY) && !run.stderr.contains(WORD), "{}", run.stderr);
        assert_eq!(fs::read(cli.path("Cargo.toml")).unwrap(), before);
        assert!(!cli.path("datasets").exists());
        cli.declare(&format!("data = \"{}\"", data.infohash_hex()));
        let run = cli.run(&["vendor", "--data", "m"]);
        assert_eq!(run.status, Some(1), "{}", run.stdout);
        assert!(run.stderr.contains(why), "{}", run.stderr);
        assert!(!cli.path("datasets").exists() && !cli.path("m").exists());
        cli.ok(&["vendor", "--keep-passkey"]);
        assert_eq!(fs::read(cli.path("datasets/data.torrent")).unwrap(), data.torrent());
    };
    let path = format!("http://127.0.0.1:9/{KEY}/announce");
    check(single().announce(&path), "it is part of the path or login");
    check(
        single().url_list([format!("http://u:{WORD}@127.0.0.1:9/")]),
        "it is part of the path or login",
    );
    check(with_passkey(single().private()), "the torrent is private");
}

#[test]
fn a_passkey_of_a_magnet_link_does_not_go_into_the_manifest() {
    let data = single();
    let link = |urls: &[&str]| {
        let hash = data.infohash_hex();
        format!("magnet:?xt=urn:btih:{hash}{}", urls.concat())
    };
    let cli = || {
        let cli = CliFixture::new();
        data.write_to(&cli.path("there"));
        cli.declare("");
        cli.write("x.torrent", data.torrent());
        cli.ok(&["import", "--id", "x.torrent", "there/data.bin"]);
        cli
    };
    let manifest = |cli: &CliFixture| fs::read_to_string(cli.path("Cargo.toml")).unwrap();
    let by_query = format!("&tr=http://127.0.0.1:9/announce?passkey={KEY}");
    let by_seed = format!("&ws=http://127.0.0.1:9/data.bin?token={WORD}");
    let by_path = format!("&tr=http://127.0.0.1:9/{KEY}/announce");
    let removable = link(&[&by_query, &by_seed]);
    let fixed = link(&[&by_path]);
    let check = |cli: &CliFixture, arguments: &[&str], is_removable: bool| {
        let before = manifest(cli);
        let run = cli.run(arguments);
        assert_silent(&arguments.join(" "), &run);
        if is_removable {
            assert_eq!(run.status, Some(0), "{}", run.stderr);
            assert!(run.stderr.contains("removed a personal passkey from"), "{}", run.stderr);
            let now = manifest(cli);
            assert!(now.contains("trackers = [\"http://127.0.0.1:9/announce\"]"), "{now}");
            assert!(now.contains("web-seeds = [\"http://127.0.0.1:9/data.bin\"]"), "{now}");
            assert!(!now.contains(KEY) && !now.contains(WORD), "{now}");
        } else {
            assert_eq!(run.status, Some(1), "{}", run.stdout);
            assert!(run.stderr.contains("--keep-passkey"), "{}", run.stderr);
            assert_eq!(manifest(cli), before);
            assert!(!cli.path("datasets").exists());
            let kept = [arguments, &["--keep-passkey"]].concat();
            cli.ok(&kept);
            assert!(manifest(cli).contains(KEY));
        }
    };
    for (link, is_removable) in [(&removable, true), (&fixed, false)] {
        let added = cli();
        check(&added, &["add", link, "data", "--vendor"], is_removable);
        let vendored = cli();
        vendored.declare(&format!("data = {{ magnet = \"{link}\" }}"));
        check(&vendored, &["vendor"], is_removable);
    }
}
