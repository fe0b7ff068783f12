//! How `seed` ends on signals from a terminal, a service manager or `kill`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cli_fixture::CliFixture;
use crate::swarm::web_seed::Fault;
use crate::swarm::{Dataset, Tracker, UdpTracker, WebSeed, eventually, random_bytes};

const LENGTH: u64 = 300_000;

/// A running `seed` that listens.
struct Seed {
    child: Child,
    /// Its stderr before it started to listen.
    said: String,
    port: String,
    /// Kept open as long as the process runs.
    _stderr: BufReader<std::process::ChildStderr>,
}

impl Seed {
    /// Starts `seed` with default signal handling, whatever the test runner's parent ignores: a
    /// shell's background jobs ignore SIGINT, which no shell can undo.
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

    /// Sends the signal. Returns the exit status, which must follow soon, and the output.
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
        let _ = self.child.kill(); // fails if it has ended already
        let _ = self.child.wait();
    }
}

fn dataset() -> Dataset {
    Dataset::single("data.bin", random_bytes(1, LENGTH as usize))
}

/// A CLI with the dataset in its store, and this dataset's torrent.
fn stocked(dataset: &Dataset) -> CliFixture {
    let cli = CliFixture::new();
    let web_seed = WebSeed::serving(dataset);
    cli.write("data.torrent", self::dataset().url_list([web_seed.url()]).torrent());
    cli.ok(&["get", "data.torrent"]);
    cli.write("data.torrent", dataset.torrent());
    cli
}

/// Downloads the whole dataset from the seed.
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
        eventually("both trackers received `started`", || heard(events(), "started"));
        take(&seed.port);
        // A connected peer does not delay the exit.
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
    let _peer = named.accept().unwrap(); // shows that the tracker's answer was read
    eventually("the seed downloads", || web_seed.bytes_served() > 0);
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
    let note = "will not be notified if a signal ends the seed: a signal is ignored, as by `nohup`";
    assert!(seed.said.contains(note), "{}", seed.said);
    seed.signal("HUP");
    take(&seed.port);
    let (status, _) = seed.ended_by("TERM");
    assert_eq!(status.signal(), Some(15));
}
