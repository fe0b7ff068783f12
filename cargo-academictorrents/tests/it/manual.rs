//! Runs the commands of the guide's chapter on the command line as one session, and compares the
//! output with what the chapter shows.
//!
//! Lines are compared word by word. `…` matches anything. The program may print more lines, but the
//! order must agree.

use std::fs;
use std::path::Path;

use crate::cli_fixture::CliFixture;
use crate::fixture::library;
use crate::support::files::remove_tree;
use crate::support::slashes;
use crate::swarm::catalogue::{Catalogue, item};
use crate::swarm::{Dataset, WebSeed, random_bytes};

/// The infohash that the chapter shows in place of the test dataset's.
const SHOWN: &str = "323a0048d87ca79b68f12a6350a57776b6a3b7fb";

/// A call, and the output that the chapter shows.
struct Example {
    call: String,
    lines: Vec<String>,
}

fn chapter() -> String {
    fs::read_to_string(library().join("docs/guide/command-line.md")).unwrap()
}

fn examples(chapter: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for block in chapter.split("```console\n").skip(1) {
        let (block, _) = block.split_once("\n```").unwrap();
        for line in block.lines() {
            match line.strip_prefix("$ cargo academictorrents ") {
                Some(call) => examples.push(Example { call: call.to_owned(), lines: Vec::new() }),
                None => examples.last_mut().unwrap().lines.push(line.to_owned()),
            }
        }
    }
    examples
}

/// Whether the words of `line` match those of `shown`, where `…` matches anything.
fn fits(line: &str, shown: &str) -> bool {
    let mut rest = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let parts: Vec<&str> = shown.split('…').collect();
    for (index, part) in parts.iter().enumerate() {
        let part = part.trim();
        let Some(at) = rest.find(part) else { return false };
        if index == 0 && at > 0 {
            return false;
        }
        rest = rest[at + part.len()..].to_owned();
    }
    rest.is_empty() || parts.last().is_some_and(|part| part.is_empty())
}

#[test]
fn a_line_fits_by_its_words() {
    assert!(fits("a   1.2 MiB  of b", "a … of b") && fits("a b", "a   b") && fits("x/y", "…/y"));
    assert!(!fits("a b c", "a b") && !fits("b", "a …") && !fits("xa", "a"));
}

/// Changes a byte of a read-only file and keeps its modification time.
fn damage(path: &Path) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[70_000] ^= 1;
    // In place, as failing disks do. Without root, that needs write permission.
    let mut permissions = fs::metadata(path).unwrap().permissions();
    let before = permissions.clone();
    #[expect(clippy::permissions_set_readonly_false, reason = "a file of a temporary directory")]
    permissions.set_readonly(false);
    fs::set_permissions(path, permissions).unwrap();
    fs::write(path, bytes).unwrap();
    fs::File::options().append(true).open(path).unwrap().set_modified(modified).unwrap();
    fs::set_permissions(path, before).unwrap();
}

#[test]
fn the_chapter_shows_what_is_printed() {
    let bare = Dataset::single("mnist.pkl.gz", random_bytes(1, 300_000));
    let web_seed = WebSeed::serving(&bare);
    let mnist = bare.clone().url_list([web_seed.url()]);
    let infohash = mnist.infohash_hex();
    let old = Dataset::single("old.bin", random_bytes(2, 100_000));
    let old_web_seed = WebSeed::serving(&old);
    let items = item(&infohash, "The MNIST database", "Dataset", "70,000 digits", 300_000);
    let bibtex = "{\"bibtex\": \"@article{,\ntitle= {The {MNIST} database},\nauthor= {Yann LeCun and Corinna Cortes},\nyear= {1998}\n}\"}";
    let catalogue = Catalogue::serving(&[&mnist]).database(&items).record(&infohash, bibtex);
    let cli = CliFixture::new().env("ACADEMICTORRENTS_CATALOGUE", catalogue.url());
    let manifest = "[package]\nname = \"model\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    cli.write("Cargo.toml", manifest);
    cli.write("src/main.rs", "fn main() {}\n");
    let chapter = chapter();
    let examples = examples(&chapter);
    assert!(examples.len() > 15, "{}", examples.len());
    for (index, Example { call, lines }) in examples.iter().enumerate() {
        let words: Vec<String> =
            call.split(' ').map(|word| word.replace(SHOWN, &infohash)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // What happens before the call.
        match &words[..] {
            ["fetch", "--dry-run"] => {
                // The library is not published, so Cargo could not resolve the build-dependency
                // that `add` wrote.
                let text = fs::read_to_string(cli.path("Cargo.toml")).unwrap();
                cli.write(
                    "Cargo.toml",
                    text.replace("\n[build-dependencies]\nacademictorrents = \"0.1\"\n", ""),
                );
            }
            ["verify"] => damage(Path::new(cli.ok(&["path", "mnist"]).trim_end())),
            ["import", path] => {
                cli.write(path, &**mnist.stream());
                remove_tree(&cli.path("store/v1/data"));
            }
            ["gc", "--dry-run"] => {
                let torrent = old.clone().url_list([old_web_seed.url()]).torrent();
                cli.write("old/old.torrent", torrent);
                cli.write("old/src/main.rs", "fn main() {}\n");
                let section = "\n[workspace]\n[package.metadata.academictorrents]\nold = { torrent = \"old.torrent\" }\n";
                cli.write("old/Cargo.toml", format!("{manifest}{section}"));
                cli.ok(&["fetch", "--manifest-path", "old/Cargo.toml"]);
                fs::remove_dir_all(cli.path("old")).unwrap();
            }
            _ => {}
        }
        let run = cli.run(&words);
        let expected = i32::from(words == ["verify"]);
        let printed = format!("{}{}", run.stdout, run.stderr);
        assert_eq!(run.status, Some(expected), "{call}: {printed}");
        let plain = |text: String| if cfg!(windows) { slashes(&text) } else { text };
        let (stdout, stderr) = (plain(run.stdout), plain(run.stderr));
        // Each stream keeps its own order; the chapter may show one after the other.
        let mut streams = [stdout.lines(), stderr.lines()];
        for shown in lines.iter().filter(|line| !line.trim().is_empty()) {
            let shown = shown.replace(SHOWN, &infohash);
            let found = streams.iter_mut().any(|stream| {
                let mut ahead = stream.clone();
                let found = ahead.any(|line| fits(line, &shown));
                if found {
                    *stream = ahead;
                }
                found
            });
            assert!(found, "{call} (example {index}): not printed: {shown}\n{printed}");
        }
    }
}

#[test]
fn each_verb_is_in_the_chapter() {
    let chapter = chapter();
    let help = CliFixture::new().ok(&["--help"]);
    let (_, verbs) = help.split_once("\nCommands:\n").unwrap();
    let (verbs, _) = verbs.split_once("\n\n").unwrap();
    let verbs = verbs.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let examples = examples(&chapter);
    let mut count = 0;
    for verb in verbs.filter(|verb| !verb.is_empty()) {
        count += 1;
        assert!(chapter.contains(&format!("`{verb}`")), "{verb} is not described");
        // `seed` has its own chapter, with examples.
        let is_shown = examples.iter().any(|it| it.call.split(' ').next() == Some(verb));
        assert!(is_shown || verb == "seed", "{verb} has no example");
    }
    assert!(count > 15, "{count}");
}
