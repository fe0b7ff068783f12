//! `seed` is ended by signals, as a terminal, a service manager or `kill` send them.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cli_fixture::CliFixture;
use crate::swarm::web_seed::Fault;
use crate::swarm::{Dataset, Tracker, UdpTracker, WebSeed, eventually, random_bytes};

const LENGTH: u64 = 300_000;

/// A seed that listens.
struct Seed {
    child: Child,
    /// What it said before it listened.
    said: String,
    port: String,
    /// Open as long as it runs.
    _stderr: BufReader<std::process::ChildStderr>,
}

impl Seed {
    /// Signals do what they do by default, whatever whoever runs the tests ignores: what a shell has in its background
    /// ignores SIGINT. No shell can undo that.
    fn start(cli: &CliFixture, arguments: &[&str]) -> Seed {
        let default = "$SIG{$_} = 'DEFAULT' for qw(INT TERM HUP); exec @ARGV or die $!";
        Seed::by(&["perl", "-e", default], cli, arguments)
    }

    fn by(starter: &[&str], cli: &CliFixture, arguments: &[&str]) -> Seed {
        let program = cli.command(arguments);
        let mut command = Command::new(starter[0]);
        command
            .args(&starter[1..])
            .arg(program.get_program())
            .args(program.get_args())
            .current_dir(cli.path(""))
            .env_clear()
            .envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .env("PATH", std::env::var_os("PATH").unwrap())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("listening on port ") {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "it does not listen: {said}");
        }
        let port = said.trim_end().rsplit(' ').next().unwrap().to_owned();
        Seed { child, said, port, _stderr: stderr }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().unwrap();
        assert!(sent.success(), "{name}: {sent}");
    }

    /// How it ended after the signal, which it does soon, and what it printed.
    fn ended_by(mut self, name: &str) -> (std::process::ExitStatus, String) {
        let begun = Instant::now();
        self.signal(name);
        let status = self.child.wait().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        let mut printed = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
        (status, printed)
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it has ended, where all went well
        let _ = self.child.wait();
    }
}

fn dataset() -> Dataset {
    Dataset::single("data.bin", random_bytes(1, LENGTH as usize))
}

/// A directory with the torrent, and the dataset in its store.
fn stocked(dataset: &Dataset) -> CliFixture {
    let cli = CliFixture::new();
    let web_seed = WebSeed::serving(dataset);
    cli.write("data.torrent", self::dataset().url_list([web_seed.url()]).torrent());
    cli.ok(&["get", "data.torrent"]);
    cli.write("data.torrent", dataset.torrent());
    cli
}

/// Somebody takes all of it.
fn take(port: &str) {
    let cli = CliFixture::new().env("ACADEMICTORRENTS_PEERS", format!("127.0.0.1:{port}"));
    cli.write("data.torrent", dataset().torrent());
    cli.ok(&["get", "data.torrent"]);
}

#[test]
fn a_signal_ends_seed_with_a_goodbye_to_trackers_and_the_bytes_that_it_sent() {
    for signal in ["INT", "TERM", "HUP"] {
        let (http, udp) = (Tracker::start(Vec::new()), UdpTracker::start(Vec::new()));
        let dataset = dataset().announce_list(&[&[&http.url()], &[&udp.url()]]);
        let cli = stocked(&dataset);
        let seed = Seed::start(&cli, &["seed", "data.torrent"]);
        let events = || {
            let http = http.announces().into_iter().map(|it| it.event.unwrap_or_default());
            let udp = udp.announces().into_iter().map(|it| it.event.unwrap_or_default());
            (http.collect::<Vec<_>>(), udp.collect::<Vec<_>>())
        };
        let heard = |events: (Vec<String>, Vec<String>), event: &str| {
            [events.0, events.1].iter().all(|heard| heard.last().is_some_and(|it| it == event))
        };
        eventually("both heard that it began", || heard(events(), "started"));
        take(&seed.port);
        // A peer that stays does not keep it.
        let mut peer = std::net::TcpStream::connect(format!("127.0.0.1:{}", seed.port)).unwrap();
        let (status, printed) = seed.ended_by(signal);
        assert_eq!((status.code(), printed), (Some(130), format!("{LENGTH}\n")), "{signal}");
        assert!(heard(events(), "stopped"), "{signal}: {:?}", events());
        assert_eq!(peer.read(&mut [0]).unwrap_or(0), 0);
    }
}

#[test]
fn a_tracker_is_told_too_when_a_signal_ends_seed_while_it_fetches() {
    let named = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let tracker = Tracker::start(vec![named.local_addr().unwrap()]);
    let web_seed = WebSeed::serving(&dataset()).with(Fault::Stall { after_bytes: 20_000 });
    let dataset = dataset().url_list([web_seed.url()]).announce(&tracker.url());
    let cli = CliFixture::new();
    cli.write("data.torrent", dataset.torrent());
    let seed = Seed::start(&cli, &["seed", "data.torrent", "--fetch"]);
    let _peer = named.accept().unwrap(); // so it has read the tracker's answer
    eventually("it fetches", || web_seed.bytes_served() > 0);
    let (status, printed) = seed.ended_by("INT");
    assert_eq!((status.code(), &*printed), (Some(130), "0\n"));
    let last = tracker.announces().pop().unwrap();
    assert_eq!(last.event.as_deref(), Some("stopped"));
}

#[test]
fn what_nohup_ignores_does_not_end_seed() {
    use std::os::unix::process::ExitStatusExt as _;
    let cli = stocked(&dataset());
    let nohup = "$SIG{$_} = 'DEFAULT' for qw(INT TERM); $SIG{HUP} = 'IGNORE'; exec @ARGV or die $!";
    let seed = Seed::by(&["perl", "-e", nohup], &cli, &["seed"]);
    let note = "will not be notified if a signal ends this: a signal is ignored, as by `nohup`";
    assert!(seed.said.contains(note), "{}", seed.said);
    seed.signal("HUP");
    take(&seed.port);
    let (status, _) = seed.ended_by("TERM");
    assert_eq!(status.signal(), Some(15));
}
