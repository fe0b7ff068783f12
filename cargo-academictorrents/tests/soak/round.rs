//! One round: a dataset, its servers, attempts that are killed, and a last attempt that is not.

use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::LONGEST;
use crate::fixture::Fixture;
use crate::swarm::peer::Fault as PeerFault;
use crate::swarm::web_seed::Fault as WebFault;
use crate::swarm::{Catalogue, Dataset, Peer, WebSeed, random_bytes};

/// Counters of one or more rounds, and a description of each fault.
#[derive(Debug, Default)]
pub struct Outcome {
    rounds: u32,
    attempts: u32,
    kills: u32,
    damages: u32,
    builds: u32,
    pub faults: Vec<String>,
}

impl Outcome {
    pub fn add(&mut self, other: Outcome) {
        self.rounds += other.rounds;
        self.attempts += other.attempts;
        self.kills += other.kills;
        self.damages += other.damages;
        self.builds += other.builds;
        self.faults.extend(other.faults);
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { rounds, attempts, kills, damages, builds, faults } = self;
        let count = |kind: &str| faults.iter().filter(|fault| fault.starts_with(kind)).count();
        let (wrong, lost, hung) = (count("wrong"), count("lost"), count("hung"));
        write!(
            f,
            "{rounds} rounds ({builds} of them cargo build), {attempts} attempts, {kills} kills, {damages} damages: \
             {wrong} wrong, {lost} lost, {hung} hung"
        )
    }
}

/// The SplitMix64 generator.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Store,
    Into,
    Build,
}

struct Round {
    random: Random,
    mode: Mode,
    dataset: Dataset,
    web: WebSeed,
    peer: Peer,
    catalogue: Catalogue,
    dir: tempfile::TempDir,
    fixture: Option<Fixture>,
    outcome: Outcome,
}

pub fn round(seed: u64) -> Outcome {
    let mut round = Round::new(seed);
    for _ in 0..=round.random.below(4) {
        round.set_faults();
        let patience = Duration::from_millis(round.random.below(700) as u64);
        round.attempt(Some(patience));
        if round.random.one_in(2) {
            round.damage();
        }
    }
    round.web.mend();
    round.peer.mend();
    round.attempt(None);
    round.outcome
}

fn dataset(random: &mut Random) -> Dataset {
    let piece_length = 16 << 10 << random.below(3);
    let seed = random.next();
    if random.one_in(3) {
        let length = 1 + random.below(4_000_000);
        return Dataset::single("data.bin", random_bytes(seed, length)).piece_length(piece_length);
    }
    let files: Vec<(String, Vec<u8>)> = (0..2 + random.below(40))
        .map(|file| {
            let length = if random.one_in(4) { 200_000 } else { 9_000 };
            let bytes = random_bytes(seed + file as u64, random.below(length));
            (format!("{}/{file}.bin", file % 3), bytes)
        })
        .collect();
    let files = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
    let dataset = Dataset::multi("data", files).piece_length(piece_length);
    if random.one_in(4) { dataset.padded() } else { dataset }
}

impl Round {
    fn new(seed: u64) -> Round {
        let mut random = Random(seed);
        let mode = [Mode::Store, Mode::Store, Mode::Into, Mode::Into, Mode::Build][random.below(5)];
        let dataset = dataset(&mut random);
        let (web, peer) = (WebSeed::serving(&dataset), Peer::seeding(&dataset));
        let dataset = dataset.url_list([web.url()]);
        let catalogue = Catalogue::serving(&[&dataset]);
        let dir = tempfile::tempdir().unwrap();
        let fixture = (mode == Mode::Build).then(|| {
            Fixture::new("soak", &format!("data = \"{}\"", dataset.infohash_hex()))
                .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url())
                .env("ACADEMICTORRENTS_PEERS", peer.addr())
                .env("ACADEMICTORRENTS_STORE", dir.path().join("store").display())
        });
        let outcome =
            Outcome { rounds: 1, builds: fixture.iter().len() as u32, ..Outcome::default() };
        let round = Round { random, mode, dataset, web, peer, catalogue, dir, fixture, outcome };
        if mode == Mode::Into {
            let place = round.place();
            std::fs::create_dir_all(place.join("data")).unwrap();
            for name in round.files_of_the_user() {
                std::fs::write(name, "mine").unwrap();
            }
        }
        round
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// The directory that contains the dataset's root file or directory.
    fn place(&self) -> PathBuf {
        match self.mode {
            Mode::Into => self.path("place"),
            _ => self.path("store/v1/data").join(self.dataset.infohash_hex()).join("files"),
        }
    }

    /// Files that a download must not change: beside the dataset and, if it is a directory, inside
    /// it.
    fn files_of_the_user(&self) -> Vec<PathBuf> {
        if self.mode != Mode::Into {
            return Vec::new();
        }
        let beside = self.place().join("notes.txt");
        let within = self.place().join("data/notes.txt");
        if self.dataset.is_multi() { vec![beside, within] } else { vec![beside] }
    }

    fn set_faults(&mut self) {
        self.web.mend();
        self.peer.mend();
        let pieces = self.dataset.piece_count();
        for _ in 0..self.random.below(3) {
            let some = self.random.below(400_000) as u64;
            let piece = self.random.below(pieces.max(1));
            self.web.fault(match self.random.below(12) {
                0 => WebFault::CorruptPiece(piece),
                1 => WebFault::CorruptAll,
                2 => WebFault::Stall { after_bytes: some },
                3 => WebFault::CloseAfter { after_bytes: some },
                4 => WebFault::HalfClose { after_bytes: some },
                5 => WebFault::Slow { bytes_per_second: 100_000 + some },
                6 => WebFault::ShortRange,
                7 => WebFault::WrongRange,
                8 => WebFault::IgnoreRange,
                9 => WebFault::Status([404, 403, 429, 500, 503][self.random.below(5)]),
                10 => WebFault::WrongLength,
                _ => WebFault::Portal,
            });
        }
        for _ in 0..self.random.below(3) {
            let some = self.random.below(50);
            let piece = self.random.below(pieces.max(1)) as u32;
            self.peer.fault(match self.random.below(9) {
                0 => PeerFault::CorruptPiece(piece),
                1 => PeerFault::CorruptAll,
                2 => PeerFault::SilentAfterHandshake,
                3 => PeerFault::StallAfter(some),
                4 => PeerFault::CloseAfter(some),
                5 => PeerFault::NeverUnchoke,
                6 => PeerFault::ChokeAfter(some),
                7 => PeerFault::Unrequested,
                _ => PeerFault::Slow { bytes_per_second: 200_000 },
            });
        }
    }

    /// Runs one attempt and kills it after `patience`. With `None`, the attempt must succeed.
    fn attempt(&mut self, patience: Option<Duration>) {
        self.outcome.attempts += 1;
        let mut child = self.start();
        let until = Instant::now() + patience.unwrap_or(LONGEST);
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if Instant::now() >= until => break None,
                None => std::thread::sleep(Duration::from_millis(3)),
            }
        };
        if status.is_none() {
            // The process group, which includes the build script that Cargo started.
            let group = format!("-{}", child.id());
            Command::new("kill").args(["-9", "--", &group]).status().unwrap();
            child.wait().unwrap();
            if patience.is_some() {
                self.outcome.kills += 1;
            } else {
                self.fault(format!("hung: {:?} after {LONGEST:?}", self.mode));
                return;
            }
        }
        let succeeded = status.is_some_and(|status| status.success());
        let has_stamp = || self.place().with_file_name("stamp").exists();
        if succeeded || (self.mode != Mode::Into && has_stamp()) {
            self.check_data();
        }
        for path in self.files_of_the_user() {
            if !std::fs::read(&path).is_ok_and(|bytes| bytes == b"mine") {
                self.fault(format!("lost: {}", path.display()));
            }
        }
        if patience.is_none() && !succeeded {
            let said = std::fs::read_to_string(self.path("output")).unwrap_or_default();
            self.fault(format!("lost: the last attempt failed: {said}"));
        }
    }

    fn fault(&mut self, what: String) {
        self.outcome.faults.push(what);
    }

    fn start(&self) -> Child {
        let output = std::fs::File::create(self.path("output")).unwrap();
        let mut command = match &self.fixture {
            Some(fixture) => {
                let mut command = fixture.command(env!("CARGO"));
                command.args(["build", "--config", "net.offline=true"]);
                command
            }
            None => self.get(),
        };
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        command.process_group(0).spawn().unwrap()
    }

    fn get(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-academictorrents"));
        command.args(["academictorrents", "get", &self.dataset.infohash_hex()]);
        if self.mode == Mode::Into {
            command.arg("--into").arg(self.place());
        }
        command
            .env_clear()
            .env("HOME", self.path("home"))
            .env("ACADEMICTORRENTS_STORE", self.path("store"))
            .env("ACADEMICTORRENTS_CATALOGUE", self.catalogue.url())
            .env("ACADEMICTORRENTS_PEERS", self.peer.addr().to_string())
            .env("ACADEMICTORRENTS_DHT_BOOTSTRAP", "off")
            .env("ACADEMICTORRENTS_TIMEOUT", "20s");
        command
    }

    fn check_data(&mut self) {
        let place = self.place();
        for (path, bytes) in self.dataset.files() {
            let name = if self.dataset.is_multi() { format!("data/{path}") } else { path };
            if !std::fs::read(place.join(&name)).is_ok_and(|found| found == bytes) {
                self.fault(format!("wrong: {:?} published {name} with other bytes", self.mode));
            }
        }
    }

    /// Damages or removes one file of the partial download, which may be the resume record.
    fn damage(&mut self) {
        let partial = match self.mode {
            Mode::Into => self.path("place/.academictorrents/v1/partial"),
            _ => self.path("store/v1/partial"),
        };
        let mut files = Vec::new();
        files_below(&partial, &mut files);
        if files.is_empty() {
            return;
        }
        files.sort();
        let path = files.swap_remove(self.random.below(files.len()));
        let Ok(mut bytes) = std::fs::read(&path) else { return };
        // The damaged bytes go into a new inode: the old one may be a hard link of published data.
        let read_only = self.random.one_in(4);
        match self.random.below(5) {
            0 if !bytes.is_empty() => {
                let at = self.random.below(bytes.len());
                bytes[at] ^= 1 << self.random.below(8);
            }
            1 => bytes.truncate(self.random.below(bytes.len() + 1)),
            2 => bytes.resize(bytes.len() + 1 + self.random.below(1_000), 0),
            3 => bytes.fill(0),
            _ => {
                let _ = std::fs::remove_file(&path);
                self.outcome.damages += 1;
                return;
            }
        }
        let _ = std::fs::remove_file(&path);
        if std::fs::write(&path, bytes).is_ok() {
            self.outcome.damages += 1;
            if read_only {
                let _ = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444));
            }
        }
    }
}

fn files_below(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files_below(&entry.path(), files);
        } else {
            files.push(entry.path());
        }
    }
}
