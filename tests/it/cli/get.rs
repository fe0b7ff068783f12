//! `cargo academictorrents get`.

use super::desk::{Desk, Page, Run};
use crate::swarm::http::HttpServer;
use crate::swarm::web_seed::Fault;
use crate::swarm::{Dataset, Peer, TlsFront, WebSeed, random_bytes};

#[test]
fn get_prints_the_path_alone_on_stdout() {
    let desk = Desk::new();
    let dataset = Dataset::single("data.bin", random_bytes(1, 300_000));
    let seed = WebSeed::serving(&dataset);
    desk.write("data.torrent", dataset.clone().url_list([seed.url()]).torrent());
    for _ in 0..2 {
        let printed = desk.ok(&["get", "data.torrent", "--into", "here"]);
        // Absolute, so that a script can go elsewhere.
        assert_eq!(printed, format!("{}\n", desk.path("here/data.bin").display()));
        dataset.assert_at(&desk.path("here/data.bin"));
    }
    assert_eq!(seed.bytes_served(), 300_000);
}

#[test]
fn what_get_does_and_cannot_do_it_tells() {
    let desk = Desk::new().env("ACADEMICTORRENTS_PROGRESS", "off");
    let dataset = Dataset::single("data.bin", random_bytes(1, 300_000));
    let seed = WebSeed::serving(&dataset);
    desk.write("data.torrent", dataset.clone().url_list([seed.url()]).torrent());
    desk.write("bare.torrent", dataset.torrent());
    let mut page = Page::new("get");
    page.show(&desk, &["get", "data.torrent", "--into", "here", "--max-size", "100kB"]);
    page.show(&desk, &["get", "data.torrent", "--into", "here"]);
    page.show(&desk, &["get", "data.torrent", "--into", "here", "--json"]);
    page.show(&desk, &["get", "mnist"]);
    page.show(&desk, &["get"]);
    page.show(&desk, &["get", "bare.torrent", "--peer", "nowhere"]);
    page.show(&desk, &["get", "bare.torrent", "--web-seed", "ftp://a/b", "--json"]);
    page.show(&desk, &["get", "bare.torrent", "--files", "[", "--json"]);
    page.show(&desk, &["get", "bare.torrent", "--max-size", "much"]);
    page.show(&desk, &["get", "bare.torrent", "--offline"]);
    page.show(&desk, &["get", "bare.torrent"]);
    page.compare();
    assert_eq!(seed.bytes_served(), 300_000);
}

#[test]
fn sources_and_files_are_those_of_the_options() {
    let dataset = Dataset::multi(
        "set",
        [("a.txt", random_bytes(1, 40_000)), ("b.txt", random_bytes(2, 40_000))],
    )
    .piece_length(1 << 14);
    let seed = WebSeed::serving(&dataset);
    let peer = Peer::seeding(&dataset);
    let desk = Desk::new();
    desk.write("set.torrent", dataset.torrent());
    dataset.write_mirror(&desk.path("mirror"));
    let check = |into: &str, option: &str, value: &str| {
        let path = desk.ok(&["get", "set.torrent", "--into", into, option, value]);
        dataset.assert_at(path.trim_end().as_ref());
    };
    check("by-web-seed", "--web-seed", &seed.url());
    assert_eq!(seed.bytes_served(), 80_000);
    check("by-peer", "--peer", &peer.addr().to_string());
    check("by-mirror", "--mirror", "mirror");
    let some =
        ["get", "set.torrent", "--into", "some", "--web-seed", &seed.url(), "--files", "a.*"];
    desk.ok(&some);
    assert!(desk.path("some/set/a.txt").exists() && !desk.path("some/set/b.txt").exists());
}

/// A server with one `.torrent`, at `/data.torrent`.
fn site(torrent: Vec<u8>) -> HttpServer {
    HttpServer::start(move |request, responder| match request.target.as_str() {
        "/data.torrent" => responder.respond(200, &[], &torrent),
        "/page" => {
            responder.respond(200, &[("content-type", "text/html")], b"<!doctype html><p>Data!")
        }
        "/endless" => {
            responder.head(200, &[]);
            responder.endless(b"d4:info", b'l');
        }
        _ => responder.status(404),
    })
}

#[test]
fn a_torrent_may_lie_at_a_web_address() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 300_000)).piece_length(1 << 15);
    let seed = WebSeed::serving(&dataset).with(Fault::OnlyPieces(0..3));
    let site = site(dataset.clone().url_list([seed.url()]).torrent());
    let url = format!("{}/data.torrent", site.url());
    let desk = Desk::new().env("ACADEMICTORRENTS_TIMEOUT", "1s");
    let run = desk.run(&["get", &url, "--into", "here"]);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("what was verified is kept in "), "{}", run.stderr);
    seed.mend();
    let printed: serde_json::Value =
        serde_json::from_str(&desk.ok(&["get", &url, "--into", "here", "--json"])).unwrap();
    assert_eq!(printed["infohash"], dataset.infohash_hex());
    // Gone on from.
    assert_eq!(printed["received_bytes"], 300_000 - 3 * (1 << 15));
    dataset.assert_at(&desk.path("here/data.bin"));
    assert!(!desk.path("here/.academictorrents").exists());
    assert!(!desk.store().join("v1/torrents").exists(), "the directory is all that is changed");
    desk.ok(&["get", &url]);
    assert!(desk.store().join(format!("v1/data/{}", dataset.infohash_hex())).exists());
}

#[test]
fn what_is_wrong_with_a_web_address_is_told() {
    let site = site(Vec::new());
    let desk =
        Desk::new().env("ACADEMICTORRENTS_PROGRESS", "off").env("ACADEMICTORRENTS_TIMEOUT", "1s");
    let mut page = Page::new("get-web-address");
    for place in ["nothing", "page", "data.torrent"] {
        page.show(&desk, &["get", &format!("{}/{place}", site.url())]);
    }
    page.show(&desk, &["get", "http://127.0.0.1:9/data.torrent"]);
    page.show(&desk, &["get", &format!("{}/data.torrent", site.url()), "--offline"]);
    page.show(&desk, &["get", &format!("{}/data.torrent", site.url()), "--peer", "nowhere"]);
    page.compare();
    let asked = site.requests().iter().filter(|it| it.target == "/data.torrent").count();
    assert_eq!(asked, 1, "offline, and where an option is wrong, nobody is asked");
    let patient = Desk::new().env("ACADEMICTORRENTS_TIMEOUT", "20s");
    let endless = patient.run(&["get", &format!("{}/endless", site.url())]);
    assert_eq!(endless.status, Some(1));
    assert!(endless.stderr.contains("the reply is longer than "), "{}", endless.stderr);
}

#[test]
fn a_web_address_does_not_lead_from_https_to_http() {
    let dataset = Dataset::single("data.bin", random_bytes(3, 1000));
    let plain = site(dataset.torrent());
    let to = format!("{}/data.torrent", plain.url());
    let redirecting = HttpServer::start(move |_, responder| {
        responder.respond(302, &[("location", &to)], b"");
    });
    let front = TlsFront::before(redirecting.server().addr());
    let desk = Desk::new();
    let ca = desk.path("ca.pem");
    front.write_ca(&ca);
    let desk = desk.env("ACADEMICTORRENTS_CA_FILE", ca.display());
    let run = desk.run(&["get", &format!("{}/data.torrent", front.url())]);
    assert_eq!(run.status, Some(1));
    assert!(run.stderr.contains("redirects from https to "), "{}", run.stderr);
    assert!(plain.requests().is_empty());
}

#[test]
fn what_is_refused_leaves_the_directory_as_it_was() {
    let dataset = Dataset::single("data.bin", random_bytes(4, 300_000)).piece_length(1 << 15);
    let desk = Desk::new();
    desk.write("data.torrent", dataset.torrent());
    for refused in ["--max-size=1KiB", "--offline"] {
        let run = desk.run(&["get", "data.torrent", "--into", "here", refused]);
        assert_eq!(run.status, Some(1), "{}", run.stderr);
        assert!(!desk.path("here/.academictorrents").exists(), "{refused}: {}", run.stderr);
    }
    // A damaged file is being mended in the workplace.
    let mut damaged = random_bytes(4, 300_000);
    damaged[0] ^= 1;
    desk.write("here/data.bin", &damaged);
    for _ in 0..2 {
        let run = desk.run(&["get", "data.torrent", "--into", "here", "--max-size=1KiB"]);
        assert_eq!(run.status, Some(1), "{}", run.stderr);
        assert!(run.stderr.contains("32.0 KiB are to be fetched"), "{}", run.stderr);
    }
    let seed = WebSeed::serving(&dataset);
    let printed =
        desk.ok(&["get", "data.torrent", "--into", "here", "--web-seed", &seed.url(), "--json"]);
    let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed["received_bytes"], 1 << 15);
    dataset.assert_at(&desk.path("here/data.bin"));
}

/// A directory on a file system of its own, which has room for the damaged file, and for half of the other.
#[cfg(target_os = "linux")]
const SMALL: &str = r#"
mkdir -p here && mount -t tmpfs -o size=1m none here || exit 77
cp -r damaged here/tree
"$0" "$@"
status=$?
find here -type f
cmp damaged/a here/tree/a && exit $status
"#;

#[test]
#[cfg(target_os = "linux")]
fn without_room_for_the_rest_a_damaged_file_does_not_move() {
    let desk = Desk::new().env("ACADEMICTORRENTS_PROGRESS", "off");
    let (a, b) = (random_bytes(1, 600_000), random_bytes(2, 600_000));
    let dataset = Dataset::multi("tree", [("a", a.clone()), ("b", b)]);
    let seed = WebSeed::serving(&dataset);
    desk.write("data.torrent", dataset.clone().url_list([seed.url()]).torrent());
    desk.write("damaged/a", [&a[..500_000], &[0; 100_000]].concat());
    let program = desk.command(&["get", "data.torrent", "--into", "here"]);
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", SMALL]);
    command.arg(program.get_program()).args(program.get_args());
    command.current_dir(desk.path("")).env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let run = match command.output() {
        Ok(output) => Run::of(output),
        Err(why) => return crate::situations::cannot_mount(&why.to_string()),
    };
    // Not every machine lets its users make namespaces.
    if run.status == Some(77) || run.stderr.contains("unshare") {
        return crate::situations::cannot_mount(&run.stderr);
    }
    assert_eq!((run.status, run.stdout.as_str()), (Some(1), "here/tree/a\n"), "{}", run.stderr);
    assert!(run.stderr.contains("the disk has no room for them"), "{}", run.stderr);
    assert_eq!(seed.bytes_served(), 0);
}
