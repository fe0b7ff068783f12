//! `cargo academictorrents get`.

use crate::cli_fixture::{CliFixture, Page};
use crate::swarm::http::HttpServer;
use crate::swarm::web_seed::Fault;
use crate::swarm::{Dataset, Peer, TlsFront, WebSeed, random_bytes};

#[test]
fn get_prints_the_path_alone_on_stdout() {
    let cli = CliFixture::new();
    let dataset = Dataset::single("data.bin", random_bytes(1, 300_000));
    let seed = WebSeed::serving(&dataset);
    cli.write("data.torrent", dataset.clone().url_list([seed.url()]).torrent());
    for _ in 0..2 {
        let printed = cli.ok(&["get", "data.torrent", "--into", "here"]);
        // Absolute, so that a script may change its working directory.
        assert_eq!(printed, format!("{}\n", cli.path("here/data.bin").display()));
        dataset.assert_at(&cli.path("here/data.bin"));
    }
    assert_eq!(seed.bytes_served(), 300_000);
}

#[test]
fn what_get_does_and_cannot_do_it_tells() {
    let cli = CliFixture::new().env("ACADEMICTORRENTS_PROGRESS", "off");
    let dataset = Dataset::single("data.bin", random_bytes(1, 300_000));
    let seed = WebSeed::serving(&dataset);
    cli.write("data.torrent", dataset.clone().url_list([seed.url()]).torrent());
    cli.write("bare.torrent", dataset.torrent());
    let mut page = Page::new("get");
    page.show(&cli, &["get", "data.torrent", "--into", "here", "--max-size", "100kB"]);
    page.show(&cli, &["get", "data.torrent", "--into", "here"]);
    page.show(&cli, &["get", "data.torrent", "--into", "here", "--json"]);
    page.show(&cli, &["get", "mnist"]);
    page.show(&cli, &["get"]);
    page.show(&cli, &["get", "bare.torrent", "--peer", "nowhere"]);
    page.show(&cli, &["get", "bare.torrent", "--web-seed", "ftp://a/b", "--json"]);
    page.show(&cli, &["get", "bare.torrent", "--files", "[", "--json"]);
    page.show(&cli, &["get", "bare.torrent", "--max-size", "much"]);
    page.show(&cli, &["get", "bare.torrent", "--offline"]);
    page.show(&cli, &["get", "bare.torrent"]);
    page.compare();
    assert_eq!(seed.bytes_served(), 300_000);
}

#[test]
fn data_from_this_machine_is_not_reported_as_already_complete() {
    // Whole pieces, because others are copied each time: a directory has no digests of their parts.
    let files = [("a.txt", random_bytes(1, 1 << 15)), ("b.txt", random_bytes(2, 1 << 15))];
    let dataset = Dataset::multi("set", files).piece_length(1 << 14);
    let archive = crate::unpacking::archive();
    let cli = CliFixture::new().env("ACADEMICTORRENTS_OFFLINE", 1);
    cli.write("set.torrent", dataset.torrent());
    cli.write("lab.torrent", archive.torrent());
    dataset.write_to(&cli.path("copies"));
    archive.write_to(&cli.path("copies"));
    let check = |cli: &CliFixture, arguments: &[&str], said: [&str; 2]| {
        for said in said {
            let run = cli.run(&[&["get"], arguments].concat());
            assert_eq!(run.status, Some(0), "{arguments:?}: {}", run.stderr);
            assert_eq!(run.stderr.lines().last(), Some(said), "{arguments:?}: {}", run.stderr);
        }
    };
    let without = "completed without a download: all data was on this machine";
    let complete = "already complete";
    let others = cli.path("copies").display().to_string();
    let with_others = cli.env("ACADEMICTORRENTS_LOAD_PATH", others);
    check(&with_others, &["set.torrent", "--into", "1"], [without, complete]);
    let cli = with_others.env("ACADEMICTORRENTS_LOAD_PATH", "");
    for torrent in ["set.torrent", "lab.torrent"] {
        cli.ok(&["import", "--id", torrent, "copies"]);
    }
    check(&cli, &["set.torrent"], [complete, complete]);
    check(&cli, &["set.torrent", "--files", "a.txt"], [without, complete]);
    check(&cli, &["set.torrent", "--into", "2"], [without, complete]);
    check(&cli, &["set.torrent", "--into", "3", "--files", "b.txt"], [without, complete]);
    cli.write("3/set/b.txt", "");
    check(&cli, &["set.torrent", "--into", "3", "--files", "b.txt"], [without, complete]);
    check(&cli, &["lab.torrent", "--unpack"], [without, complete]);
    check(&cli, &["lab.torrent", "--unpack", "--into", "4"], [without, complete]);
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
    let cli = CliFixture::new();
    cli.write("set.torrent", dataset.torrent());
    dataset.write_mirror(&cli.path("mirror"));
    let check = |into: &str, option: &str, value: &str| {
        let path = cli.ok(&["get", "set.torrent", "--into", into, option, value]);
        dataset.assert_at(path.trim_end().as_ref());
    };
    check("by-web-seed", "--web-seed", &seed.url());
    assert_eq!(seed.bytes_served(), 80_000);
    check("by-peer", "--peer", &peer.addr().to_string());
    check("by-mirror", "--mirror", "mirror");
    let some =
        ["get", "set.torrent", "--into", "some", "--web-seed", &seed.url(), "--files", "a.*"];
    cli.ok(&some);
    assert!(cli.path("some/set/a.txt").exists() && !cli.path("some/set/b.txt").exists());
}

/// A server with a `.torrent` at `/data.torrent`.
fn site(torrent: Vec<u8>) -> HttpServer {
    HttpServer::start(move |request, responder| match request.target.as_str() {
        "/data.torrent" => responder.respond(200, &[], &torrent),
        page if page == "/page" || page.starts_with("/details/") => {
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
    let cli = CliFixture::new().env("ACADEMICTORRENTS_TIMEOUT", "1s");
    let run = cli.run(&["get", &url, "--into", "here"]);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("verified data is kept in "), "{}", run.stderr);
    seed.mend();
    let printed: serde_json::Value =
        serde_json::from_str(&cli.ok(&["get", &url, "--into", "here", "--json"])).unwrap();
    assert_eq!(printed["infohash"], dataset.infohash_hex());
    // The download resumed.
    assert_eq!(printed["received_bytes"], 300_000 - 3 * (1 << 15));
    dataset.assert_at(&cli.path("here/data.bin"));
    assert!(!cli.path("here/.academictorrents").exists());
    assert!(!cli.store().join("v1/torrents").exists(), "the directory is all that is changed");
    cli.ok(&["get", &url]);
    assert!(cli.store().join(format!("v1/data/{}", dataset.infohash_hex())).exists());
}

#[test]
fn what_is_wrong_with_a_web_address_is_told() {
    let site = site(Vec::new());
    let cli = CliFixture::new()
        .env("ACADEMICTORRENTS_PROGRESS", "off")
        .env("ACADEMICTORRENTS_TIMEOUT", "1s");
    let mut page = Page::new("get-web-address");
    let of_dataset = "details/ce990b28668abf16480b8b906640a6cd7e3b8b21";
    for place in ["nothing", "page", "data.torrent", of_dataset] {
        page.show(&cli, &["get", &format!("{}/{place}", site.url())]);
    }
    page.show(&cli, &["get", "http://127.0.0.1:9/data.torrent"]);
    page.show(&cli, &["get", &format!("{}/data.torrent", site.url()), "--offline"]);
    page.show(&cli, &["get", &format!("{}/data.torrent", site.url()), "--peer", "nowhere"]);
    page.compare();
    let asked = site.requests().iter().filter(|it| it.target == "/data.torrent").count();
    assert_eq!(asked, 1, "there are no requests offline or for an invalid option");
    let patient = CliFixture::new().env("ACADEMICTORRENTS_TIMEOUT", "20s");
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
    let cli = CliFixture::new();
    let ca = cli.path("ca.pem");
    front.write_ca(&ca);
    let cli = cli.env("ACADEMICTORRENTS_CA_FILE", ca.display());
    let run = cli.run(&["get", &format!("{}/data.torrent", front.url())]);
    assert_eq!(run.status, Some(1));
    assert!(run.stderr.contains("redirects from https to "), "{}", run.stderr);
    assert!(plain.requests().is_empty());
}

#[test]
fn what_is_refused_leaves_the_directory_as_it_was() {
    let dataset = Dataset::single("data.bin", random_bytes(4, 300_000)).piece_length(1 << 15);
    let cli = CliFixture::new();
    cli.write("data.torrent", dataset.torrent());
    for refused in ["--max-size=1KiB", "--offline"] {
        let run = cli.run(&["get", "data.torrent", "--into", "here", refused]);
        assert_eq!(run.status, Some(1), "{}", run.stderr);
        assert!(!cli.path("here/.academictorrents").exists(), "{refused}: {}", run.stderr);
    }
    // A damaged file is being repaired in the work directory.
    let mut damaged = random_bytes(4, 300_000);
    damaged[0] ^= 1;
    cli.write("here/data.bin", &damaged);
    for _ in 0..2 {
        let run = cli.run(&["get", "data.torrent", "--into", "here", "--max-size=1KiB"]);
        assert_eq!(run.status, Some(1), "{}", run.stderr);
        assert!(run.stderr.contains("download of 32.0 KiB exceeds the limit"), "{}", run.stderr);
    }
    let seed = WebSeed::serving(&dataset);
    let printed =
        cli.ok(&["get", "data.torrent", "--into", "here", "--web-seed", &seed.url(), "--json"]);
    let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed["received_bytes"], 1 << 15);
    dataset.assert_at(&cli.path("here/data.bin"));
}

/// Mounts a file system that has room for the damaged file and half of the other one.
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
    let cli = CliFixture::new().env("ACADEMICTORRENTS_PROGRESS", "off");
    let (a, b) = (random_bytes(1, 600_000), random_bytes(2, 600_000));
    let dataset = Dataset::multi("tree", [("a", a.clone()), ("b", b)]);
    let seed = WebSeed::serving(&dataset);
    cli.write("data.torrent", dataset.clone().url_list([seed.url()]).torrent());
    cli.write("damaged/a", [&a[..500_000], &[0; 100_000]].concat());
    let program = cli.command(&["get", "data.torrent", "--into", "here"]);
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", SMALL]);
    command.arg(program.get_program()).args(program.get_args());
    command.current_dir(cli.path("")).env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let run = match command.output() {
        Ok(output) => crate::cli_fixture::Run::of(output),
        Err(why) => return crate::support::cannot_mount("a full disk", &why.to_string()),
    };
    // Some machines do not let users create namespaces.
    if run.status == Some(77) || run.stderr.contains("unshare") {
        return crate::support::cannot_mount("a full disk", &run.stderr);
    }
    assert_eq!((run.status, run.stdout.as_str()), (Some(1), "here/tree/a\n"), "{}", run.stderr);
    assert!(run.stderr.contains("not enough disk space to download "), "{}", run.stderr);
    assert_eq!(seed.bytes_served(), 0);
}

/// Runs a call as the user nobody, who owns the directory that it works in. Needs root, which also
/// creates files of other users.
#[cfg(target_os = "linux")]
fn as_nobody(cli: &CliFixture, arguments: &[&str]) -> Option<crate::cli_fixture::Run> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65_534;
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    std::fs::set_permissions(cli.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
    chown(cli.path(""), Some(NOBODY), Some(NOBODY)).unwrap();
    Some(crate::cli_fixture::Run::of(
        cli.command(arguments).uid(NOBODY).gid(NOBODY).output().unwrap(),
    ))
}

#[test]
#[cfg(target_os = "linux")]
fn a_damaged_file_of_another_user_is_repaired_or_stays_where_it_is() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    const NOBODY: u32 = 65_534;
    let bytes = random_bytes(4, 300_000);
    let dataset = Dataset::multi("set", [("a", bytes.clone())]).piece_length(1 << 15);
    let seed = WebSeed::serving(&dataset);
    let mut damaged = bytes;
    damaged[0] ^= 1;
    for (own_directory, mode) in [(true, 0o644), (true, 0o444), (false, 0o644), (false, 0o666)] {
        let cli = CliFixture::new();
        cli.write("data.torrent", dataset.clone().url_list([seed.url()]).torrent());
        let file = cli.write("here/set/a", &damaged);
        chown(cli.path("here"), Some(NOBODY), Some(NOBODY)).unwrap_or_default();
        if own_directory {
            chown(cli.path("here/set"), Some(NOBODY), Some(NOBODY)).unwrap_or_default();
        }
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let before = std::fs::metadata(&file).unwrap();
        let call = ["get", "data.torrent", "--into", "here"];
        let Some(run) = as_nobody(&cli, &call) else { return };
        if own_directory {
            assert_eq!(run.status, Some(0), "{}", run.stderr);
            dataset.assert_at(&cli.path("here/set"));
            continue;
        }
        for run in [run, as_nobody(&cli, &call).unwrap()] {
            assert_eq!(run.status, Some(1), "{}", run.stderr);
            assert!(run.stderr.contains("here/set/a"), "{}", run.stderr);
            assert!(run.stderr.contains("Permission denied"), "{}", run.stderr);
            assert!(std::fs::read(&file).unwrap() == damaged);
            let now = std::fs::metadata(&file).unwrap();
            assert_eq!((now.ino(), now.mode()), (before.ino(), before.mode()));
        }
        // Verified data is kept: once the directory is writable, the download completes.
        chown(cli.path("here/set"), Some(NOBODY), Some(NOBODY)).unwrap();
        assert_eq!(as_nobody(&cli, &call).unwrap().status, Some(0));
        dataset.assert_at(&cli.path("here/set"));
        assert!(!cli.path("here/.academictorrents").exists());
    }
}

#[test]
fn foreign_files_are_replaced_by_force_alone() {
    let cli = CliFixture::new().env("ACADEMICTORRENTS_PROGRESS", "off");
    let dataset =
        Dataset::multi("set", [("a", random_bytes(1, 40_000)), ("b", random_bytes(2, 40_000))])
            .piece_length(1 << 14);
    let seed = WebSeed::serving(&dataset);
    cli.write("data.torrent", dataset.clone().url_list([seed.url()]).torrent());
    let hidden = Dataset::multi("x", [(".git/config", b"x".to_vec())]);
    cli.write(
        "hidden.torrent",
        hidden.clone().url_list([WebSeed::serving(&hidden).url()]).torrent(),
    );
    for file in ["a", "b"] {
        cli.write(&format!("here/set/{file}"), "mine");
    }
    cli.write("file/set", "mine");
    let mut page = Page::new("get-force");
    page.show(&cli, &["get", "data.torrent", "--into", "here"]);
    page.show(&cli, &["get", "data.torrent", "--into", "file", "--force"]);
    page.show(&cli, &["get", "hidden.torrent", "--into", "here"]);
    page.show(&cli, &["get", "data.torrent", "--force"]);
    page.show(&cli, &["verify", "data.torrent", "--into", "here", "--repair"]);
    assert_eq!(seed.bytes_served(), 0);
    page.show(&cli, &["get", "data.torrent", "--into", "here", "--force"]);
    page.compare();
    dataset.assert_at(&cli.path("here/set"));
}
