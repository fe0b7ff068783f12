//! A project declares a directory on a web server. The command of docs/guide/sharing.md creates the
//! `.torrent`.

use std::fs;

use crate::harness::Trial;
use crate::program::Tool;
use crate::support::Project;
use crate::swarm::random_bytes;
use crate::web_servers::{self, WebServer, url};

static MKTORRENT: Tool = Tool::debian("mktorrent", "Debian: mktorrent");

const CHAPTER: &str = include_str!("../../docs/guide/sharing.md");

pub fn trials() -> Vec<Trial> {
    let trial = |server: &'static WebServer| {
        let name = format!("create::mktorrent_for_{}", server.tool.name);
        Trial::new(name, &[&MKTORRENT, server.tool], move || run(server))
    };
    web_servers::ALL.iter().map(trial).collect()
}

fn run(server: &WebServer) {
    let files = [
        ("train.csv", random_bytes(1, 3_000_000)),
        ("test/labels 1.csv", random_bytes(2, 70_000)),
        ("README", b"digits\n".to_vec()),
    ];
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in &files {
        let path = directory.path().join("digits").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let server = server.serve(directory.path());
    let call = CHAPTER.lines().find_map(|line| line.trim().strip_prefix("mktorrent "));
    let arguments = call.unwrap().split(' ').map(|word| {
        let address = url(server.address(), "");
        word.replace("https://data.example.edu/", &address)
    });
    let made = MKTORRENT.command(directory.path()).args(arguments).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let project = Project::new("digits = { torrent = \"digits.torrent\" }")
        .env("ACADEMICTORRENTS_TIMEOUT", "30s");
    fs::copy(directory.path().join("digits.torrent"), project.path("digits.torrent")).unwrap();
    let path = project.path_of("digits");
    for (name, bytes) in &files {
        assert_eq!(fs::read(path.join(name)).unwrap(), *bytes, "{name}");
    }
}
