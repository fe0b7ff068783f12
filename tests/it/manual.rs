//! The examples of README.md and docs/guide: manifests and configuration are parsed as in a build,
//! and Cargo builds the programs. Complete Rust examples are doctests (`lib.rs`); `optional.rs`
//! builds the examples of optional datasets.

use std::path::Path;
use std::process::Command;

use crate::fixture::Fixture;
use crate::support::Project;
use crate::swarm::{Catalogue, Dataset, WebSeed, random_bytes};

/// The chapters that have manifests, programs and a configuration file.
const MANUAL: &str = concat!(
    include_str!("../../README.md"),
    include_str!("../../docs/guide/getting-started.md"),
    include_str!("../../docs/guide/datasets.md"),
    include_str!("../../docs/guide/selecting-files.md"),
    include_str!("../../docs/guide/optional-datasets.md"),
    include_str!("../../docs/guide/code.md"),
    include_str!("../../docs/guide/data-crates.md"),
    include_str!("../../docs/guide/store.md"),
    include_str!("../../docs/guide/network.md"),
    include_str!("../../docs/guide/run-time.md"),
    include_str!("../../docs/guide/seeding.md"),
    include_str!("../../docs/guide/sharing.md"),
    include_str!("../../docs/guide/ci.md"),
    include_str!("../../docs/guide/docker.md"),
    include_str!("../../docs/guide/offline-builds.md"),
    include_str!("../../docs/guide/clusters.md"),
    include_str!("../../docs/guide/troubleshooting.md"),
);

/// The infohash of all examples.
const INFOHASH: &str = "ce990b28668abf16480b8b906640a6cd7e3b8b21";

/// The code blocks with this language tag, without the indentation that they have in lists.
fn blocks(readme: &str, mark: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        let fence = line.trim_start();
        if fence.strip_prefix("```") == Some(mark) {
            let indent = line.len() - fence.len();
            let inside = lines.by_ref().take_while(|line| line.trim() != "```");
            blocks.push(
                inside.map(|line| format!("{}\n", line.get(indent..).unwrap_or(""))).collect(),
            );
        }
    }
    blocks
}

fn is_configuration(block: &str) -> bool {
    !block.starts_with('[') && !block.contains("\n[")
}

/// A complete manifest that contains the block.
fn manifest(block: &str) -> String {
    let package = match block.contains("[package]") {
        true => "",
        false => "[package]\nname = \"example\"\nversion = \"1.0.0\"\nedition = \"2024\"\n",
    };
    format!("{package}{block}").replace("<this repository's URL>", "https://example.org/repository")
}

/// The result of a build that reads the manifest and fetches nothing.
fn read(manifest: &str, configuration: &str) -> Result<usize, String> {
    let project = Project::new("").env("DOCS_RS", "1");
    let home = project.path("home");
    let ours = home.join("academictorrents");
    std::fs::create_dir_all(&ours).unwrap();
    std::fs::write(ours.join("config.toml"), configuration).unwrap();
    std::fs::write(project.path("Cargo.toml"), manifest).unwrap();
    let project = project.env("XDG_CONFIG_HOME", home.display()).env("APPDATA", home.display());
    let datasets = project.run().map_err(|error| error.to_string())?;
    Ok(datasets.iter().count())
}

/// Cargo's output for the manifest.
fn cargo_reads(manifest: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::write(directory.path().join(name), text).unwrap();
    };
    write("Cargo.toml", manifest);
    write("build.rs", "fn main() {}\n");
    std::fs::create_dir(directory.path().join("src")).unwrap();
    write("src/main.rs", "fn main() {}\n");
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--manifest-path"])
        .arg(directory.path().join("Cargo.toml"))
        .output()
        .unwrap();
    String::from_utf8(cargo.stderr).unwrap()
}

#[test]
fn each_manifest_of_the_manual_is_one_that_cargo_and_a_build_take() {
    let (mut manifests, mut datasets) = (0, 0);
    for block in blocks(MANUAL, "toml").iter().filter(|block| !is_configuration(block)) {
        let manifest = manifest(block);
        assert_eq!(cargo_reads(&manifest), "", "{block}");
        let declared = read(&manifest, "").unwrap_or_else(|error| panic!("{error}\n{block}"));
        assert_eq!(declared > 0, block.contains("metadata.academictorrents"), "{block}");
        (manifests, datasets) = (manifests + 1, datasets + declared);
    }
    assert!(manifests >= 8 && datasets >= 4, "{manifests}, {datasets}");
    // A mistake must be noticed.
    let wrong = manifest("[package.metadata.academictorrents.mnist]\ninfohashes = \"\"\n");
    assert!(read(&wrong, "").unwrap_err().contains("infohashes"));
    let wrong = manifest("[build-dependencies]\nacademictorrents = 1\n");
    assert!(cargo_reads(&wrong).contains("invalid type"), "{}", cargo_reads(&wrong));
}

#[test]
#[cfg(not(target_os = "macos"))] // where the file's place depends on the home directory only
fn the_manuals_configuration_file_is_one() {
    let all = blocks(MANUAL, "toml");
    let mut files: Vec<_> = all.into_iter().filter(|block| is_configuration(block)).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    if cfg!(windows) {
        files[0] = files[0].replace("\"/", "\"C:/");
    }
    let empty = manifest("");
    assert_eq!(read(&empty, &files[0]), Ok(0));
    assert!(read(&empty, &format!("{}stor = 1\n", files[0])).unwrap_err().contains("`stor`"));
}

/// The first steps, and the program with a module per dataset.
#[test]
fn the_manuals_first_steps_and_its_program_with_modules_build_and_run() {
    let files = [
        ("t10k-labels-idx1-ubyte.gz", random_bytes(311, 40_000)),
        ("train-labels-idx1-ubyte.gz", vec![b'x'; 10]),
    ];
    let dataset = Dataset::multi("mnist", files);
    let seed = WebSeed::serving(&dataset);
    let dataset = dataset.url_list([seed.url()]);
    let catalogue = Catalogue::serving(&[&dataset]);
    let start = MANUAL.split("\n## ").find(|section| section.starts_with("Start\n")).unwrap();
    let modules = MANUAL.split("\n## ").find(|it| it.starts_with("A module per dataset")).unwrap();
    let fixture = Fixture::new("fixture-manual", "")
        .env("ACADEMICTORRENTS_CATALOGUE", catalogue.url())
        .main(&blocks(start, "rust,ignore")[0]);
    fixture.write("build.rs", &blocks(start, "rust,no_run")[0]);
    let manifest = manifest(&blocks(start, "toml")[0])
        .replace(INFOHASH, &dataset.infohash_hex())
        .replace("\"0.1\"", &format!("{{ path = {:?} }}", env!("CARGO_MANIFEST_DIR")))
        .replace("\"example\"", "\"fixture-manual\"");
    fixture.write("Cargo.toml", &format!("{manifest}[workspace]\n"));
    let run = fixture.cargo(&["run"]).ok();
    let path = run.stdout.trim_end().strip_prefix("40000 bytes of compressed labels in ").unwrap();
    dataset.assert_at(Path::new(path));

    let modules = &blocks(modules, "rust,ignore")[0];
    fixture.write(
        "src/main.rs",
        &format!("fn main() {{\n{modules}println!(\"{{}}\", labels.is_file());\n}}\n"),
    );
    let run = fixture.cargo(&["run"]).ok();
    let lines: Vec<_> = run.stdout.lines().collect();
    let file = Path::new(path).join("t10k-labels-idx1-ubyte.gz");
    assert_eq!(lines[0], format!("{}: 40000 bytes", file.display()));
    assert_eq!(lines.last(), Some(&"true"));
}

/// The anchor of a heading, as Git hosts and mdBook create it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The lines outside of code blocks.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        is_code ^= fence;
        !is_code && !fence
    })
}

#[test]
fn each_link_of_the_documentation_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages: Vec<std::path::PathBuf> = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "cargo-academictorrents/README.md",
        "examples/README.md",
    ]
    .map(Into::into)
    .into();
    let mut directories = vec![std::path::PathBuf::from("docs")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(root.join(&directory)).unwrap() {
            let path = directory.join(entry.unwrap().file_name());
            let list = if root.join(&path).is_dir() { &mut directories } else { &mut pages };
            list.push(path);
        }
    }
    let read = |page: &Path| std::fs::read_to_string(root.join(page));
    let (mut links, mut broken) = (0, Vec::new());
    for page in &pages {
        let text = read(page).unwrap();
        for link in prose(&text).flat_map(|line| line.split("](").skip(1)) {
            let target = link.split(')').next().unwrap();
            if target.contains(':') || target.contains(' ') {
                continue;
            }
            links += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            let has = |text: &str| {
                let headings = prose(text).filter_map(|line| line.strip_prefix('#'));
                headings.map(|it| anchor(it.trim_start_matches('#'))).any(|it| it == heading)
            };
            let leads = match heading {
                "" => root.join(&file).exists(),
                _ => read(&file).is_ok_and(|text| has(&text)),
            };
            if !leads {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(links > 150, "{links}");
    assert!(broken.is_empty(), "{broken:#?}");
    assert_eq!(anchor(" `list`, `path`: what there is"), "list-path-what-there-is");
}
