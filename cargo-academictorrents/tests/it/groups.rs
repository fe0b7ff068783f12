//! A store shared by the members of a group: setgid, group-writable, with `umask 002`. Needs root,
//! which can run processes as other users.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cli_fixture::{CliFixture, Run};
use crate::support::fetching::Fetching;
use crate::support::files_below;
use crate::swarm::{Dataset, random_bytes};

const GROUP: u32 = 61_000;
const ONE: u32 = 61_001;
const OTHER: u32 = 61_002;

/// A CLI that everybody can read, with a shared store, a mirror with the dataset and another that
/// lacks a file. `new` returns `None`, with a note, where processes cannot be run as other users.
struct Shared {
    cli: CliFixture,
    dataset: Dataset,
    program: PathBuf,
}

fn open_to(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

impl Shared {
    fn new() -> Option<Shared> {
        use std::io::Write as _;
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        if !is_root || Command::new("setpriv").arg("--version").output().is_err() {
            // Written directly: the test harness captures `eprintln!`.
            let why = "a group's store was not tested: it needs root and setpriv";
            let _ = writeln!(std::io::stderr(), "{why}");
            return None;
        }
        let files = [("a", random_bytes(1, 100_000)), ("d/b", random_bytes(2, 100_000))];
        let dataset = Dataset::multi("tree", files).piece_length(1 << 14);
        let cli = CliFixture::new().env("ACADEMICTORRENTS_PROGRESS", "off");
        open_to(&cli.path(""), 0o755);
        cli.write("data.torrent", dataset.torrent());
        let [mirror, lacking] = ["mirror", "lacking"].map(|name| cli.path(name));
        dataset.write_mirror(&mirror);
        dataset.write_mirror(&lacking);
        std::fs::remove_dir_all(lacking.join(dataset.infohash_hex()).join("tree/d")).unwrap();
        std::fs::create_dir(cli.store()).unwrap();
        std::os::unix::fs::chown(cli.store(), None, Some(GROUP)).unwrap();
        open_to(&cli.store(), 0o2775);
        // Other users may not be able to enter the build directory.
        let (built, program) = (env!("CARGO_BIN_EXE_cargo-academictorrents"), cli.path("at"));
        if std::fs::hard_link(built, &program).is_err() {
            std::fs::copy(built, &program).unwrap();
        }
        Some(Shared { cli, dataset, program })
    }

    fn call(&self, user: u32, umask: &str, mirror: &str, arguments: &[&str]) -> Run {
        Run::of(self.command(user, umask, mirror, arguments).output().unwrap())
    }

    /// A call as this user, with this umask and this mirror.
    fn command(&self, user: u32, umask: &str, mirror: &str, arguments: &[&str]) -> Command {
        let (user, group) = (user.to_string(), GROUP.to_string());
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &user, "--regid", &user, "--groups", &group]);
        command.args(["sh", "-c", "umask $0; exec \"$@\"", umask]).arg(&self.program);
        let program = self.cli.command(arguments);
        command.args(program.get_args()).current_dir(self.cli.path("")).env_clear();
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("ACADEMICTORRENTS_MIRRORS", self.cli.path(mirror));
        command
    }

    #[track_caller]
    fn ok(&self, user: u32, mirror: &str, arguments: &[&str]) {
        let run = self.call(user, "002", mirror, arguments);
        assert_eq!(run.status, Some(0), "{user} {arguments:?}: {}{}", run.stdout, run.stderr);
    }

    /// Leaves an incomplete download.
    #[track_caller]
    fn begin(&self, user: u32, umask: &str) {
        let run = self.call(user, umask, "lacking", &["get", "data.torrent", "-q"]);
        assert_eq!(run.status, Some(1), "{}{}", run.stdout, run.stderr);
        assert!(!files_below(&self.cli.store().join("v1/partial")).is_empty(), "{}", run.stderr);
    }

    fn data(&self) -> PathBuf {
        self.cli.store().join("v1/data").join(self.dataset.infohash_hex()).join("files/tree")
    }

    fn lose_times(&self) {
        for file in files_below(&self.data()) {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(77);
            let file = std::fs::File::open(self.data().join(file)).unwrap();
            file.set_modified(time).unwrap();
        }
    }

    fn damage(&self) {
        let mut bytes = std::fs::read(self.data().join("a")).unwrap();
        bytes[50_000] ^= 1;
        std::fs::write(self.data().join("a"), bytes).unwrap();
    }
}

const GET: [&str; 3] = ["get", "data.torrent", "-q"];

#[test]
fn what_one_member_fetched_another_verifies_repairs_selects_and_removes() {
    let Some(shared) = Shared::new() else { return };
    shared.ok(ONE, "mirror", &GET);
    shared.lose_times();
    shared.ok(OTHER, "nowhere", &GET);
    shared.ok(OTHER, "nowhere", &["verify", "data.torrent", "-q"]);
    shared.ok(OTHER, "nowhere", &["get", "data.torrent", "--files", "a", "-q"]);
    shared.damage();
    shared.ok(OTHER, "mirror", &["verify", "data.torrent", "--repair", "-q"]);
    shared.dataset.assert_at(&shared.data());
    // And in the other direction.
    shared.lose_times();
    shared.ok(ONE, "nowhere", &GET);
    shared.ok(OTHER, "nowhere", &["gc", "--all"]);
    assert_eq!(files_below(&shared.cli.store().join("v1/data")), [""; 0].map(PathBuf::from));
    shared.ok(ONE, "mirror", &GET);
    shared.dataset.assert_at(&shared.data());
}

#[test]
fn what_one_member_began_another_completes() {
    let Some(shared) = Shared::new() else { return };
    shared.begin(ONE, "002");
    shared.begin(OTHER, "002");
    shared.begin(ONE, "002");
    shared.ok(OTHER, "mirror", &GET);
    shared.dataset.assert_at(&shared.data());
    // Intact pieces of damaged data, which the other user moved to the partial download.
    shared.damage();
    std::fs::remove_dir_all(shared.data().join("d")).unwrap();
    let run = shared.call(OTHER, "002", "lacking", &GET);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    shared.ok(ONE, "mirror", &GET);
    shared.dataset.assert_at(&shared.data());
    shared.lose_times();
    shared.ok(OTHER, "nowhere", &GET);
}

#[test]
fn what_one_member_began_another_completes_by_an_import() {
    let Some(shared) = Shared::new() else { return };
    shared.begin(ONE, "002");
    let tree = shared.cli.path("mirror").join(shared.dataset.infohash_hex()).join("tree");
    shared.ok(OTHER, "nowhere", &["import", "--id", "data.torrent", tree.to_str().unwrap(), "-q"]);
    shared.dataset.assert_at(&shared.data());
}

#[test]
fn a_umask_that_keeps_the_group_out_is_named() {
    let Some(shared) = Shared::new() else { return };
    shared.begin(ONE, "022");
    let run = shared.call(OTHER, "002", "mirror", &GET);
    assert_eq!(run.status, Some(1), "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("Permission denied"), "{}", run.stderr);
    let help = run.stderr.lines().find(|line| line.contains("umask 002")).unwrap_or_default();
    let chmod = format!("chmod -R g+w {}", shared.cli.store().display());
    assert!(help.contains("help: ") && run.stderr.contains(&chmod), "{}", run.stderr);
    // The command that the help suggests.
    let status = Command::new("sh").args(["-c", &chmod]).status().unwrap();
    assert!(status.success());
    shared.ok(OTHER, "mirror", &GET);
    shared.dataset.assert_at(&shared.data());
}

#[test]
fn who_may_only_read_a_store_waits_for_whoever_fetches_into_it() {
    let Some(shared) = Shared::new() else { return };
    shared.ok(ONE, "mirror", &GET);
    let complete = shared.cli.path("complete");
    std::fs::rename(shared.cli.store(), &complete).unwrap();
    std::fs::create_dir(shared.cli.store()).unwrap();
    let fetching = Fetching::begin(&complete, &shared.cli.store(), &shared.dataset);
    let mut command = shared.command(OTHER, "022", "mirror", &GET);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    fetching.complete(|| child.try_wait().unwrap().is_some());
    let run = Run::of(child.wait_with_output().unwrap());
    let path = format!("{}\n", shared.data().display());
    assert_eq!((run.status, run.stdout), (Some(0), path), "{}", run.stderr);
    // If nobody is fetching, the call fails at once.
    std::fs::remove_dir_all(shared.data()).unwrap();
    let run = shared.call(OTHER, "022", "mirror", &GET);
    assert!(run.stderr.contains("Permission denied"), "{}", run.stderr);
}
