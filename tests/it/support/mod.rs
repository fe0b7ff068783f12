//! What the tests of builds share: a crate to be built, in a directory of its own, with a store of its own.

pub mod fetching;
pub mod files;
#[cfg(unix)]
pub mod links;

use std::path::{Path, PathBuf};

use academictorrents::{Build, Datasets, Error};

use crate::swarm::Dataset;

/// A crate whose build script is run in this process.
pub struct Project {
    pub dir: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl Project {
    /// A crate with this text under `[package.metadata.academictorrents]`.
    pub fn new(datasets: &str) -> Project {
        let dir = tempfile::tempdir().unwrap();
        let project = Project { dir, env: Vec::new() };
        project.declare(datasets);
        project
    }

    /// A crate that declares the dataset as `data`, by a vendored torrent, with these lines.
    pub fn of(dataset: &Dataset, lines: &str) -> Project {
        Project::of_torrent(&dataset.torrent(), lines)
    }

    /// The same, of a .torrent's bytes.
    pub fn of_torrent(torrent: &[u8], lines: &str) -> Project {
        let project = Project::new("");
        project.declare_data(lines);
        std::fs::write(project.path("data.torrent"), torrent).unwrap();
        project
    }

    /// Writes other lines for the vendored torrent.
    pub fn declare_data(&self, lines: &str) {
        self.declare(&format!(
            "[package.metadata.academictorrents.data]\ntorrent = \"data.torrent\"\n{lines}"
        ));
    }

    /// Writes the manifest anew.
    pub fn declare(&self, datasets: &str) {
        let text = format!(
            "[package]\nname = \"fixture\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
             [package.metadata.academictorrents]\n{datasets}\n"
        );
        std::fs::write(self.path("Cargo.toml"), text).unwrap();
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// Fails the test where anything at all was published.
    #[track_caller]
    pub fn assert_nothing_published(&self) {
        let published = files_below(&self.store().join("v1/data"));
        assert!(published.is_empty(), "{published:?}");
    }

    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// Sets a variable for every run.
    pub fn env(mut self, name: &str, value: impl ToString) -> Project {
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn build(&self) -> Build {
        let mut build = build_in(self.dir.path());
        for (name, value) in &self.env {
            build = build.env(name, value);
        }
        build
    }

    pub fn run(&self) -> Result<Datasets, Error> {
        self.build().run()
    }

    /// Runs, and gives the path of the dataset.
    pub fn path_of(&self, name: &str) -> PathBuf {
        let datasets = self.run().unwrap_or_else(|error| panic!("{error}"));
        datasets.dataset(name).unwrap().path().to_owned()
    }

    /// Runs, and gives the error.
    pub fn error(&self) -> String {
        match self.run() {
            Ok(datasets) => panic!("it went well: {datasets:?}"),
            Err(error) => error.to_string(),
        }
    }
}

/// A build script's environment, with nothing of this machine's in it.
pub fn build_in(project: &Path) -> Build {
    let out_dir = project.join("out");
    std::fs::create_dir_all(&out_dir).unwrap();
    Build::new()
        .env_clear()
        .cargo_output(false)
        .env("CARGO_MANIFEST_DIR", project)
        .env("OUT_DIR", out_dir)
        .env("ACADEMICTORRENTS_STORE", project.join("store"))
        // Port 9 of loopback: nobody is there.
        .env("ACADEMICTORRENTS_CATALOGUE", "http://127.0.0.1:9")
        .env("ACADEMICTORRENTS_DHT_BOOTSTRAP", "off")
        .env("ACADEMICTORRENTS_PROGRESS", "off")
        .env("ACADEMICTORRENTS_TIMEOUT", "3s")
}

/// Runs the check on each case, several at a time: most of their time goes by waiting. Fails after the last one.
#[track_caller]
pub fn side_by_side<T: Sync>(cases: &[T], check: impl Fn(&T) + Sync) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let checked = std::panic::AssertUnwindSafe(|| check(case));
                    if std::panic::catch_unwind(checked).is_err() {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(failed.into_inner(), 0, "cases failed, see above");
}

/// A message with paths as Unix writes them.
pub fn slashes(text: &str) -> String {
    text.replace('\\', "/")
}

/// All files below a directory, by their path relative to it.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    walk(directory, &mut found);
    let mut relative: Vec<_> =
        found.iter().map(|path| path.strip_prefix(directory).unwrap().to_owned()).collect();
    relative.sort();
    relative
}

/// Ports that the system gave, which have five digits or nearly so, are `[PORT]`; what a test wrote has fewer.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "the pages of errors are Linux's"))]
pub fn without_ports(text: &str) -> String {
    ["127.0.0.1:", "localhost:"].into_iter().fold(text.to_owned(), |text, host| {
        let mut parts = text.split(host);
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let digits = part.bytes().take_while(u8::is_ascii_digit).count();
            out += host;
            out += if digits >= 4 { "[PORT]" } else { &part[..digits] };
            out += &part[digits..];
        }
        out
    })
}

/// Where namespaces are refused, `what` cannot be tested. Root and CI, who can allow them, get a failure.
#[cfg(target_os = "linux")]
pub fn cannot_mount(what: &str, why: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::MetadataExt as _;
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let must = is_root || std::env::var_os("CI").is_some();
    let why = format!("{what} was not tested: no file system could be mounted with unshare: {why}");
    assert!(
        !must,
        "{why}\nallow user namespaces, such as by sysctl kernel.apparmor_restrict_unprivileged_userns=0"
    );
    // Not captured, as what `eprintln!` says would be.
    let _ = writeln!(std::io::stderr(), "{why}");
}
