//! Ctrl-C and SIGTERM.

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::cli_fixture::CliFixture;
use crate::swarm::web_seed::Fault;
use crate::swarm::{Catalogue, Dataset, WebSeed, catalogue, eventually, random_bytes};

const SIZE: usize = 4_000_000;
const PIECE: usize = 1 << 16;
const SAID: &str = "stopped; verified data is kept, and the same command resumes\n";

/// The documentation promises a second; a busy machine may take longer.
const SOON: Duration = Duration::from_secs(20);

/// Starts the program with default signal handling, except for the `ignored` signals and whatever
/// the test runner's parent ignores: a shell's background jobs ignore SIGINT, which no shell can
/// undo.
fn start(cli: &CliFixture, ignored: &str, arguments: &[&str]) -> Child {
    let program = cli.command(arguments);
    let signals = format!(
        "$SIG{{$_}} = 'DEFAULT' for qw(INT TERM HUP); $SIG{{$_}} = 'IGNORE' for qw({ignored}); exec @ARGV or die $!"
    );
    let mut command = Command::new("perl");
    command.args(["-e", &signals]).arg(program.get_program()).args(program.get_args());
    command.current_dir(cli.path("")).env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn send(signal: &str, child: &Child) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
}

fn end_with(signal: &str, child: Child) -> Output {
    let sent = Instant::now();
    send(signal, &child);
    let output = child.wait_with_output().unwrap();
    assert!(sent.elapsed() < SOON, "{:?}", sent.elapsed());
    output
}

/// The size of the pieces in the only resume record below this directory.
fn recorded(partial: &std::path::Path) -> usize {
    let mut records = std::fs::read_dir(partial).unwrap();
    let record = records.next().unwrap().unwrap().path().join("record");
    let bytes = std::fs::read(record).unwrap();
    let header = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    (bytes.len() - header) / 4 * PIECE
}

fn check(signal: &str, arguments: &[&str], partial: &str) {
    let cli = CliFixture::new().env("ACADEMICTORRENTS_PROGRESS", "off");
    let dataset = Dataset::single("data.bin", random_bytes(1, SIZE)).piece_length(PIECE);
    let seed = WebSeed::serving(&dataset).with(Fault::Slow { bytes_per_second: 500_000 });
    cli.write("data.torrent", dataset.clone().url_list([seed.url()]).torrent());
    cli.declare("data = { torrent = \"data.torrent\" }");
    let child = start(&cli, "", arguments);
    eventually("a quarter was downloaded", || seed.bytes_served() > SIZE as u64 / 4);
    let output = end_with(signal, child);
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), SAID);
    assert_eq!(output.stdout, b"");
    let rest = SIZE - recorded(&cli.path(partial));
    assert!(rest < SIZE && rest > 0, "{rest}");
    seed.mend();
    let mut again = arguments.to_vec();
    again.push("--json");
    let document: serde_json::Value = serde_json::from_str(&cli.ok(&again)).unwrap();
    assert_eq!(document["received_bytes"], rest);
}

#[test]
fn ctrl_c_ends_fetch_and_the_next_one_fetches_the_rest() {
    check("INT", &["fetch"], "store/v1/partial");
}

#[test]
fn an_end_by_the_system_is_gone_on_from_too() {
    check("TERM", &["get", "data.torrent", "--into", "here"], "here/.academictorrents/v1/partial");
}

#[test]
fn what_cannot_let_go_is_left() {
    let dataset = Dataset::single("data.bin", random_bytes(1, 1000));
    let catalogue = Catalogue::serving(&[]).with(catalogue::Fault::Stall);
    let cli = CliFixture::new()
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url())
        .env("ACADEMICTORRENTS_TIMEOUT", "10m");
    let child = start(&cli, "", &["get", &dataset.infohash_hex()]);
    eventually("the catalog received a request", || !catalogue.requests().is_empty());
    let output = end_with("INT", child);
    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.ends_with(SAID), "{said}");
}

/// How often the thread that waits for signals has gone to sleep; `None` while it is awake.
#[cfg(target_os = "linux")]
fn naps(child: &Child) -> Option<u64> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    let statuses = threads.map(|it| std::fs::read_to_string(it.unwrap().path().join("status")));
    let status = statuses.flatten().find(|status| status.starts_with("Name:\tctrl-c\n"))?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    field("State:\tS")?;
    field("voluntary_ctxt_switches:\t")?.parse().ok()
}

#[cfg(target_os = "linux")]
#[test]
fn what_cargo_says_when_it_hears_the_signal_too_is_not_told() {
    let cli = CliFixture::new();
    let script = "#!/bin/sh\n: > started\nuntil [ -e go ]; do sleep 0.02; done\necho interrupted >&2\nexit 1\n";
    let cargo = cli.write("cargo.sh", script);
    let runnable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&cargo, runnable).unwrap();
    let cli = cli.env("CARGO", cargo.display());
    let child = start(&cli, "", &["fetch"]);
    eventually("cargo was run", || cli.path("started").exists());
    eventually("the signal thread is waiting", || naps(&child).is_some());
    let before = naps(&child);
    send("INT", &child);
    // The thread sleeps again once it has noted the signal; from then on, failures are attributed
    // to the signal.
    eventually("the signal was handled", || naps(&child) > before);
    cli.write("go", "");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), SAID);
}

#[test]
fn what_is_started_to_outlive_its_terminal_does() {
    let cli = CliFixture::new().env("ACADEMICTORRENTS_PROGRESS", "off");
    let dataset = Dataset::single("data.bin", random_bytes(1, 1_000_000)).piece_length(PIECE);
    let seed = WebSeed::serving(&dataset).with(Fault::Slow { bytes_per_second: 500_000 });
    cli.write("data.torrent", dataset.clone().url_list([seed.url()]).torrent());
    // As with `nohup`.
    let child = start(&cli, "HUP", &["get", "data.torrent"]);
    eventually("some data was downloaded", || seed.bytes_served() > 100_000);
    send("HUP", &child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

/// Commands that download as an intermediate step resume, too, and leave what they were about to
/// change untouched.
#[test]
fn ctrl_c_ends_what_fetches_on_the_way() {
    for arguments in
        [&["vendor", "--data", "mirror"][..], &["add", "data.torrent", "more", "--pin"]]
    {
        let cli = CliFixture::new().env("ACADEMICTORRENTS_PROGRESS", "off");
        let dataset = Dataset::single("data.bin", random_bytes(1, SIZE)).piece_length(PIECE);
        let seed = WebSeed::serving(&dataset).with(Fault::Slow { bytes_per_second: 500_000 });
        cli.write("data.torrent", dataset.clone().url_list([seed.url()]).torrent());
        cli.declare("data = { torrent = \"data.torrent\" }");
        let manifest = std::fs::read(cli.path("Cargo.toml")).unwrap();
        let child = start(&cli, "", arguments);
        eventually("a quarter was downloaded", || seed.bytes_served() > SIZE as u64 / 4);
        let output = end_with("INT", child);
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        let talk = String::from_utf8(output.stderr).unwrap();
        assert!(talk.ends_with(SAID) && !talk.contains("error"), "{arguments:?}: {talk}");
        assert_eq!(std::fs::read(cli.path("Cargo.toml")).unwrap(), manifest, "{arguments:?}");
        let there = recorded(&cli.path("store/v1/partial"));
        seed.mend();
        let before = seed.bytes_served();
        cli.ok(arguments);
        let served = seed.bytes_served() - before;
        // Bytes in flight to the killed process are counted a moment later.
        let most = (SIZE - there / 2) as u64;
        assert!(there > 0 && served < most, "{arguments:?}: {there}, {served}");
    }
}

/// A torrent of a file of zeros, which needs no disk space and takes seconds to hash.
#[cfg(target_os = "linux")]
fn zeros(pieces: usize) -> Vec<u8> {
    use sha1::Digest as _;
    const BYTES: usize = 16 << 20;
    let piece = sha1::Sha1::digest(vec![0; BYTES]);
    let (length, hashes) = (pieces * BYTES, piece.repeat(pieces));
    let head = format!("d4:infod6:lengthi{length}e4:name8:data.bin12:piece lengthi{BYTES}e");
    let count = format!("6:pieces{}:", hashes.len());
    [head.as_bytes(), count.as_bytes(), &hashes, b"ee"].concat()
}

#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_ends_import_and_leaves_all_as_it_was() {
    let cli = CliFixture::new().env("ACADEMICTORRENTS_PROGRESS", "off");
    cli.write("data.torrent", zeros(256));
    let data = cli.write("mine/data.bin", "");
    let file = std::fs::File::options().write(true).open(&data).unwrap();
    file.set_len(256 * (16 << 20)).unwrap();
    let before = std::fs::metadata(&data).unwrap();
    let child = start(&cli, "", &["import", "--id", "data.torrent", "mine/data.bin"]);
    let open = |it: std::fs::DirEntry| std::fs::read_link(it.path()).is_ok_and(|it| it == data);
    let fds = || std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap().flatten();
    eventually("the dataset is being hashed", || fds().any(open));
    let output = end_with("INT", child);
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), SAID);
    let after = std::fs::metadata(&data).unwrap();
    assert_eq!(after.modified().unwrap(), before.modified().unwrap());
    assert_eq!((after.len(), after.permissions()), (before.len(), before.permissions()));
    let store = crate::support::files_below(&cli.path("store"));
    let large = |path: &&std::path::PathBuf| {
        std::fs::metadata(cli.path("store").join(path)).unwrap().len() > 1 << 20
    };
    assert_eq!(store.iter().find(large), None);
}

/// Leftovers of a killed copy are removed by the next import that succeeds.
#[test]
fn what_a_killed_import_has_left_does_not_stay() {
    let cli = CliFixture::new();
    let dataset = Dataset::single("data.bin", random_bytes(1, SIZE)).piece_length(PIECE);
    cli.write("data.torrent", dataset.torrent());
    cli.write("mine/data.bin", &dataset.stream()[..]);
    let left = format!("store/v1/partial/{}/.tmp-1-0", dataset.infohash_hex());
    let left = cli.write(&left, "half a copy");
    cli.ok(&["import", "--id", "data.torrent", "mine/data.bin"]);
    assert!(!left.exists());
}
