//! `cargo academictorrents doctor`.

use crate::cli_fixture::{CliFixture, Page};
use crate::support::files::PIECE;
use crate::support::files::damage_unseen;
use crate::swarm::http::HttpServer;
use crate::swarm::{Catalogue, Dataset, Peer, Tracker, UdpTracker, WebSeed, random_bytes};
use crate::swarm::{tracker, udp_tracker, web_seed};

fn cli() -> CliFixture {
    CliFixture::new().env("ACADEMICTORRENTS_PROGRESS", "off")
}

/// Replaces what depends on the machine: the file system, its free space and the trust store.
fn machine(line: &str) -> String {
    let line = &line.replace(&["[DIR]/", "home/"].concat(), "[HOME]/");
    let line = &line.replace("built-in, and the system's", "built-in");
    // Windows adds the current drive.
    let line = &line.replace("C:/nowhere", "/nowhere");
    let after = "writing, locks, hard links, file times work";
    match (line.find(after), line.find(" free")) {
        (Some(at), Some(free)) => {
            format!("{}{after}, [FILE SYSTEM], [SIZE]{}", &line[..at], &line[free..])
        }
        _ => line.to_owned(),
    }
}

fn page(name: &str, cli: &CliFixture, calls: &[&[&str]]) {
    let mut page = Page::new(name);
    for call in calls {
        page.show(cli, call);
    }
    page.redact(machine);
    page.compare();
}

#[test]
fn all_is_in_order_where_all_answer() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 10 * PIECE));
    let seed = WebSeed::serving(&dataset);
    let peer = Peer::seeding(&dataset);
    let (http, udp) = (Tracker::start(vec![peer.addr()]), UdpTracker::start(vec![peer.addr()]));
    let dataset = dataset.announce_list(&[&[&http.url(), &udp.url()]]).url_list([seed.url()]);
    let catalogue = Catalogue::serving(&[&dataset]);
    let cli = cli()
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url())
        .env("ACADEMICTORRENTS_PEERS", peer.addr());
    cli.write("data.torrent", dataset.torrent());
    cli.declare("mnist = { torrent = \"data.torrent\" }\nother = \"323a0048d87ca79b68f12a6350a57776b6a3b7fb\"");
    page(
        "doctor",
        &cli,
        &[&["doctor"], &["doctor", "--offline"], &["doctor", "--offline", "--json"]],
    );
    assert_eq!(seed.bytes_served() / 2, 0, "no data is fetched");
    assert!(!cli.store().exists(), "nothing is left behind");
    cli.ok(&["get", "data.torrent"]);
    let said = cli.ok(&["doctor"]);
    assert!(said.contains("1 complete dataset, 320.0 KiB"), "{said}");
    assert!(!said.contains("is available from"), "{said}");
    let said = cli.env("ACADEMICTORRENTS_PRIVATE_HOSTS", "10.0.0.0/8").ok(&["doctor", "--offline"]);
    assert!(said.contains("10.0.0.0/8 may be contacted, whichever source names them"), "{said}");
}

#[test]
fn a_catalog_of_ones_own_needs_no_start_page() {
    let server = HttpServer::start(|_, responder| responder.status(403));
    let said = cli().env("ACADEMICTORRENTS_CATALOGUE", server.url()).run(&["doctor"]).stdout;
    assert!(said.contains(&format!("ok    catalogue     {} answers", server.url())), "{said}");
    assert!(said.contains("its start page: HTTP status 403"), "{said}");
    let server = HttpServer::start(|request, responder| {
        responder.status(if request.header("cookie").is_some() { 403 } else { 404 });
    });
    let cli = cli().env("ACADEMICTORRENTS_CATALOGUE", server.url());
    let said = cli.run(&["doctor"]).stdout;
    assert!(said.contains(&format!("ok    catalogue     {} answers", server.url())), "{said}");
    let said = cli.env("ACADEMICTORRENTS_API_KEY", "uid=1;pass=2").run(&["doctor"]).stdout;
    assert!(said.contains(&format!("warn  catalogue     {}: HTTP", server.url())), "{said}");
    assert!(said.contains("help: check ACADEMICTORRENTS_API_KEY"), "{said}");
}

#[test]
fn what_is_wrong_is_told_with_what_to_do() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 10 * PIECE));
    let seed = WebSeed::serving(&dataset).with(web_seed::Fault::Status(503));
    let refuses = Tracker::start(Vec::new()).with(tracker::Fault::Failure("unregistered".into()));
    let silent = UdpTracker::start(Vec::new()).with(udp_tracker::Fault::Silent);
    let dataset = dataset.announce_list(&[&[&refuses.url(), &silent.url()]]).url_list([seed.url()]);
    let cli = cli();
    cli.write("data.torrent", dataset.torrent());
    cli.declare("mnist = { torrent = \"data.torrent\" }");
    page("doctor-network", &cli, &[&["doctor"]]);
}

#[test]
fn settings_that_cannot_be_used_are_told() {
    let cli = cli()
        .env("ACADEMICTORRENTS_STROE", "x")
        .env("ACADEMICTORRENTS_API_KEY", "x")
        .env("SSL_CERT_FILE", "/nowhere/ca.pem")
        .env("HTTPS_PROXY", "http://me:secret@127.0.0.1:9");
    page("doctor-names", &cli, &[&["doctor"]]);
    let mut shown = Page::new("doctor-settings");
    for (name, value) in [
        ("ACADEMICTORRENTS_TIMEOUT", "long"),
        ("SSL_CERT_FILE", "/nowhere/ca.pem"),
        ("HTTPS_PROXY", "http://me:secret@127.0.0.1:9"),
        ("ACADEMICTORRENTS_OFFLINE", "1"),
    ] {
        let cli = self::cli().env(name, value);
        cli.declare("mnist = { torrent = \"data.torrent\", files = 1 }");
        let run = shown.show(&cli, &["doctor"]);
        assert!(!run.stdout.contains("secret"), "{}", run.stdout);
    }
    let nowhere = self::cli();
    let below_a_file = nowhere.write("file", "").join("store");
    let nowhere = nowhere.env("ACADEMICTORRENTS_STORE", below_a_file.display());
    shown.show(&nowhere, &["doctor", "--offline"]);
    let broken = self::cli();
    broken.write("home/.config/academictorrents/config.toml", "stroe = \"/x\"\n");
    shown.show(&broken, &["doctor", "--offline"]);
    let broken = self::cli();
    broken.declare("a = { infohash = \"x\" }\nb = { file = \"y\" }");
    shown.show(&broken, &["doctor", "--offline"]);
    shown.redact(machine);
    shown.compare();
}

#[test]
fn invalid_proxies_and_certificates_are_separate_findings() {
    let url = "http://127.0.0.1:no-port";
    for (variables, invalid) in [
        (&[("HTTPS_PROXY", url)][..], &["proxy"][..]),
        (&[("HTTPS_PROXY", "ftp://127.0.0.1:9")], &["proxy"]),
        (&[("ALL_PROXY", "socks4://127.0.0.1:9")], &["proxy"]),
        (&[("CARGO_HTTP_PROXY", url)], &["proxy"]),
        (&[("SSL_CERT_FILE", "/nowhere/ca.pem")], &["certificates"]),
        (&[("HTTPS_PROXY", url), ("SSL_CERT_FILE", "/nowhere/ca.pem")], &["certificates", "proxy"]),
    ] {
        let cli = variables.iter().fold(cli(), |cli, (name, value)| cli.env(name, value));
        for arguments in [&["doctor", "--json"][..], &["doctor", "--offline", "--json"]] {
            let run = cli.run(arguments);
            assert_eq!(run.status, Some(1), "{variables:?}: {}", run.stdout);
            let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
            for area in ["environment", "certificates", "proxy"] {
                let checks = json["checks"].as_array().unwrap();
                let found: Vec<_> = checks.iter().filter(|it| it["area"] == area).collect();
                let status = if invalid.contains(&area) { "fail" } else { "ok" };
                assert_eq!(found.len(), 1, "{variables:?} {area}: {json}");
                assert_eq!(found[0]["status"], status, "{variables:?} {area}: {json}");
            }
        }
    }
}

#[test]
fn a_store_that_is_not_sound_is_told() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 10 * PIECE));
    let seed = WebSeed::serving(&dataset);
    let other = Dataset::single("other.bin", random_bytes(2, 3 * PIECE));
    let of_other = WebSeed::serving(&other);
    let cli = cli();
    cli.write("data.torrent", dataset.clone().url_list([seed.url()]).torrent());
    cli.write("other.torrent", other.clone().url_list([of_other.url()]).torrent());
    let path = cli.ok(&["get", "data.torrent"]);
    let path = std::path::Path::new(path.trim_end());
    let path_of_other = cli.ok(&["get", "other.torrent"]);
    damage_unseen(std::path::Path::new(path_of_other.trim_end()), 1);
    assert_eq!(cli.run(&["verify", "other.torrent"]).status, Some(1));
    let file = std::fs::File::open(path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    cli.write("store/v1/partial/323a0048d87ca79b68f12a6350a57776b6a3b7fb/files/a", "");
    super::states::age(&cli.write("store/v1/torrents/.tmp-1-2", ""), 1);
    set_modes(&cli, 0o755);
    page("doctor-store", &cli, &[&["doctor", "--offline"]]);
    // As the output suggests.
    cli.ok(&["verify", "--stored", "--repair"]);
    let said = cli.ok(&["doctor", "--offline"]);
    assert!(said.contains("2 complete datasets") && !said.contains("not verified"), "{said}");
}

/// Sets the permissions of the store's directories, independent of the umask.
fn set_modes(cli: &CliFixture, mode: u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let below = std::fs::read_dir(cli.path("store/v1")).unwrap();
        let below = below.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
        for path in [cli.path("store"), cli.path("store/v1")].into_iter().chain(below) {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    #[cfg(not(unix))]
    let _ = (cli, mode);
}

#[cfg(unix)]
#[test]
fn a_store_that_others_can_write_to_is_reported() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 10 * PIECE));
    let cli = cli();
    crate::states::complete(&cli, &dataset);
    let mut page = Page::new("doctor-access");
    for mode in [0o777, 0o2775] {
        set_modes(&cli, mode);
        page.show(&cli, &["doctor", "--offline"]);
    }
    page.redact(machine);
    // The group depends on the user.
    page.redact(|line| match line.split_once("all members of the group ") {
        Some((before, _)) => format!("{before}all members of the group [GROUP] can write to it"),
        None => line.to_owned(),
    });
    page.compare();
    set_modes(&cli, 0o757);
    let json: serde_json::Value =
        serde_json::from_str(&cli.ok(&["doctor", "--offline", "--json"])).unwrap();
    let checks = json["checks"].as_array().unwrap();
    let warns: Vec<_> = checks.iter().filter(|it| it["status"] == "warn").collect();
    assert_eq!(warns.len(), 1, "{json}");
    let what = warns[0]["what"].as_str().unwrap();
    assert!(warns[0]["area"] == "store" && what.starts_with("any user can write to "), "{json}");
    // As the output suggests.
    let help = warns[0]["help"][0].as_str().unwrap().strip_prefix("run: ").unwrap().to_owned();
    assert!(std::process::Command::new("sh").args(["-c", &help]).status().unwrap().success());
    let said = cli.ok(&["doctor", "--offline"]);
    assert!(!said.contains("warn") && !said.contains("can write"), "{said}");
    if std::os::unix::fs::chown(cli.path("store/v1/data"), Some(12_345), None).is_err() {
        eprintln!("not tested without the superuser's rights: a store of another user");
        return;
    }
    let said = cli.ok(&["doctor", "--offline"]);
    assert!(said.contains("store/v1/data belongs to another user (12345)"), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn what_is_kept_for_hosts_is_named_and_files_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let cli = cli();
    let check = |parts: &[&str]| {
        let said = cli.run(&["doctor", "--offline"]).stdout;
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        assert!(!said.contains("s3cr3t"), "{said}");
    };
    let set_mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let netrc = cli.write(
        "home/.netrc",
        "machine a login b password s3cr3t\nmachine c login d password s3cr3t",
    );
    set_mode(&netrc, 0o600);
    check(&["ok    credentials   2 hosts in "]);
    set_mode(&netrc, 0o644);
    check(&["warn  credentials   other users of this machine can read ", "help: chmod 600"]);
    cli.write("home/.netrc", "machine a\nlogn b password s3cr3t");
    check(&[".netrc:2: invalid netrc syntax"]);
    let config = cli.write(
        "home/.config/academictorrents/config.toml",
        "credentials.\"data.lab:80\".token = \"s3cr3t\"\nnetrc = \"/nowhere/netrc\"",
    );
    set_mode(&config, 0o600);
    check(&["ok    credentials   data.lab:80", "/nowhere/netrc cannot be read (`netrc` in "]);
    // Each secret in a file counts, even one that a variable overrides, and nothing else.
    set_mode(&netrc, 0o600);
    let cli = cli.env("ACADEMICTORRENTS_CREDENTIALS", "data.lab=s3cr3t");
    let of_cargo = cli.write(".cargo/config.toml", "");
    for (file, text, is_secret) in [
        (&config, "api-key = 'uid=1;pass=s3cr3t'", true),
        (&config, "credentials.'data.lab'.token = 's3cr3t'", true),
        (&config, "proxy = 'http://me:s3cr3t@127.0.0.1:9'", true),
        (&config, "mirrors = ['http://me:s3cr3t@127.0.0.1:9']", true),
        (&config, "catalogue = 'http://me:s3cr3t@127.0.0.1:9'", true),
        (&config, "default-trackers = ['http://t/announce.php?passkey=s3cr3t']", true),
        (&config, "proxy = 'http://127.0.0.1:9'\nmirrors = ['http://127.0.0.1:9']", false),
        (&of_cargo, "http.proxy = 'http://me:s3cr3t@127.0.0.1:9'", true),
        (&of_cargo, "env.ACADEMICTORRENTS_CREDENTIALS = 'data.lab=s3cr3t'", true),
        (&of_cargo, "env.HTTPS_PROXY = 'http://127.0.0.1:9'\nenv.OTHER = 's3cr3t'", false),
    ] {
        [&of_cargo, &config].into_iter().for_each(|it| std::fs::write(it, "").unwrap());
        std::fs::write(file, text).unwrap();
        for (mode, is_open) in [(0o644, true), (0o600, false)] {
            set_mode(file, mode);
            let said = cli.run(&["doctor", "--offline"]).stdout;
            let warned =
                said.contains(&format!("other users of this machine can read {}", file.display()));
            assert_eq!(warned, is_secret && is_open, "{text}: {said}");
            assert!(!said.contains("s3cr3t"), "{said}");
        }
    }
}

#[test]
fn places_that_cannot_be_read_are_told() {
    let cli = cli();
    let file = cli.write("file", "");
    let nowhere = file.with_file_name("nowhere");
    let load_path = std::env::join_paths([&nowhere, &file]).unwrap().into_string().unwrap();
    let cli = cli
        .env("ACADEMICTORRENTS_LOAD_PATH", load_path)
        .env("ACADEMICTORRENTS_MIRRORS", format!("{},https://127.0.0.1:9", nowhere.display()))
        .env("ACADEMICTORRENTS_PATH_MNIST", nowhere.join("mnist").display());
    page("doctor-places", &cli, &[&["doctor", "--offline"]]);
}
