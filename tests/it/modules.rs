//! `OUT_DIR/datasets.rs`: what a crate that includes it sees, and when it is written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixture::Fixture;
use crate::support::{Project, files_below};
use crate::swarm::{Dataset, random_bytes};

/// Names that are keywords, collide as identifiers, are not identifiers, or could end a literal or
/// a comment.
const NASTY: [&str; 18] = [
    "type",
    "self",
    "Self_/fn",
    "1.csv",
    "_",
    "a b",
    "a_b",
    "a-b/c",
    "a/b-c",
    "it's",
    "{x}",
    "#![a]",
    "`tick``s",
    "дан/é.txt",
    "\u{202e}turned\u{2066}",
    "%41%",
    "$(x) ; --",
    "e\u{301}",
];

fn nasty() -> Dataset {
    let files = NASTY.iter().enumerate();
    Dataset::multi("root", files.map(|(n, path)| (*path, random_bytes(n as u64, n * 100))))
}

/// Lints that a fixture denies in its own code and in the included file.
const DENY: &str = "#![deny(warnings, unused, missing_docs, unreachable_pub, unused_qualifications, single_use_lifetimes)]
#![deny(clippy::all, clippy::pedantic, clippy::allow_attributes, clippy::allow_attributes_without_reason)]
";

const INCLUDE: &str = r#"mod datasets {
    include!(concat!(env!("OUT_DIR"), "/datasets.rs"));
}
"#;

fn program(main: &str) -> String {
    format!("//! A fixture.\n{DENY}{INCLUDE}\nfn main() {{\n{main}\n}}\n")
}

/// Serves these datasets to the fixture from a directory mirror.
fn mirrored(fixture: Fixture, datasets: &[&Dataset]) -> Fixture {
    let mirror = fixture.path("mirror");
    datasets.iter().for_each(|dataset| dataset.write_mirror(&mirror));
    fixture.env("ACADEMICTORRENTS_MIRRORS", mirror.display())
}

#[test]
fn modules_of_any_names_compile_without_a_warning_and_name_the_files() {
    let nasty = nasty();
    let single = Dataset::single("it's 1.gz", random_bytes(3, 5_000));
    let [many, one] = [&nasty, &single].map(Dataset::infohash_hex);
    let names = ["type", "self", "self_", "a--b", "datasets", "file", "std", "u64", "path"];
    let declared: String = names.iter().map(|name| format!("{name} = \"{many}\"\n")).collect();
    let fixture = Fixture::new("fixture-modules", "").package("rust-version = \"1.70\"");
    fixture.declare(&format!("{declared}single = \"{one}\""));
    let fixture = mirrored(fixture, &[&nasty, &single]).main(&program(
        r##"    println!("{}", std::env::current_exe().unwrap().display());
    println!("{}", datasets::r#type::path().display());
    for (path, length) in datasets::r#type::FILES {
        println!("{path}");
        let file = datasets::self_::path().join(path);
        assert_eq!(std::fs::metadata(file).unwrap().len(), *length);
    }
    assert_eq!(datasets::a__b::PATH, env!("AT_A__B_PATH"));
    assert_eq!(datasets::datasets::INFOHASH, env!("AT_TYPE_INFOHASH"));
    assert_eq!([datasets::self__2::file::A_B, datasets::self__2::file::A_B_2], ["a b", "a_b"]);
    assert_eq!(datasets::std::file::FILE_1_CSV, "1.csv");
    assert_eq!(datasets::single::FILES, [("it's 1.gz", 5_000)]);
    assert_eq!(std::fs::read(datasets::single::path()).unwrap().len(), 5_000);"##,
    ));
    let run = fixture.cargo(&["run"]).ok();
    let mut lines = run.stdout.lines();
    let program = lines.next().unwrap().to_owned();
    nasty.assert_at(Path::new(lines.next().unwrap()));
    assert_eq!(lines.collect::<Vec<_>>(), NASTY);
    fixture.cargo(&["build"]).ok().assert_fresh();
    // A copy in another place, known only to the program.
    let copy = fixture.path("copy");
    nasty.write_to(&copy);
    let copied = Command::new(&program)
        .env("ACADEMICTORRENTS_PATH_TYPE", copy.join("root"))
        .output()
        .unwrap();
    assert!(copied.status.success(), "{copied:?}");
    let copied = String::from_utf8(copied.stdout).unwrap();
    nasty.assert_at(Path::new(copied.lines().nth(1).unwrap()));
    assert!(copied.contains("copy"), "{copied}");
    // Not every toolchain has clippy.
    if fixture.cargo(&["clippy", "--version"]).succeeded {
        fixture.cargo(&["clippy"]).ok();
    }
    each_edition_compiles(&out_dir(&fixture, &program));
}

/// The OUT_DIR of the program's build, identified by the store path in its `datasets.rs`.
fn out_dir(fixture: &Fixture, program: &str) -> PathBuf {
    let builds = Path::new(program).parent().unwrap().join("build");
    // Escaped as in a string literal.
    let store = format!("{:?}", fixture.store()).trim_matches('"').to_owned();
    let found = files_below(&builds).into_iter().find(|path| {
        path.ends_with("out/datasets.rs")
            && fs::read_to_string(builds.join(path)).unwrap().contains(&store)
    });
    builds.join(found.unwrap()).parent().unwrap().to_owned()
}

#[track_caller]
fn each_edition_compiles(out_dir: &Path) {
    let source = out_dir.join("edition.rs");
    let include = INCLUDE.replace("mod datasets", "/// Here.\npub mod datasets");
    fs::write(&source, format!("//! A fixture.\n{DENY}{include}")).unwrap();
    for edition in ["2018", "2021", "2024"] {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let compiled = Command::new(rustc)
            .args(["--edition", edition, "--crate-type", "lib", "--emit", "metadata", "-o"])
            .arg(out_dir.join("edition.rmeta"))
            .arg(&source)
            .env("OUT_DIR", out_dir)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&compiled.stderr);
        assert!(compiled.status.success() && said.is_empty(), "{edition}: {said}");
    }
}

/// File names that are not valid Unicode exist on Unix only.
#[cfg(target_os = "linux")]
#[test]
fn files_that_cannot_be_listed_are_read_from_the_stamp() {
    let odd = vec![b"\xff\xfe %".to_vec()];
    let dataset = Dataset::multi_raw(
        b"root",
        vec![
            (vec![b"a".to_vec(), "é\u{301}".into()], random_bytes(1, 700)),
            (odd, random_bytes(2, 9)),
        ],
    );
    let fixture =
        Fixture::new("fixture-modules-stamp", &format!("odd = \"{}\"", dataset.infohash_hex()));
    let fixture = mirrored(fixture, &[&dataset]).main(&program(
        r#"    let files = datasets::odd::files().unwrap();
    for (path, length) in &files {
        let file = datasets::odd::path().join(path);
        assert_eq!(std::fs::metadata(file).unwrap().len(), *length);
    }
    println!("{}", std::env::current_exe().unwrap().display());
    println!("{files:?}");"#,
    ));
    let run = fixture.cargo(&["run"]).ok();
    let (program, files) = run.stdout.split_once('\n').unwrap();
    assert_eq!(
        files,
        "[(\"a/é\u{301}\", 700), (\"\\xFF\\xFE %\", 9)]\n".replace('\u{301}', "\\u{301}")
    );
    if fixture.cargo(&["clippy", "--version"]).succeeded {
        fixture.cargo(&["clippy"]).ok();
    }
    fs::remove_dir_all(fixture.store()).unwrap();
    let failed = String::from_utf8(Command::new(program).output().unwrap().stderr).unwrap();
    assert!(failed.contains("stamp") && failed.contains("build again"), "{failed}");
}

#[test]
fn a_comment_is_shown_and_neither_compiled_nor_run() {
    let comment = "Digits \"by hand\".\n```\npanic!();\n```\n\n    panic!();\n</code><script>alert(1)</script> [x]\u{202e}*/";
    let dataset = nasty().comment(comment);
    let fixture =
        Fixture::new("fixture-modules-docs", &format!("data = \"{}\"", dataset.infohash_hex()));
    let include = INCLUDE.replace("mod datasets", "/// Here.\npub mod datasets");
    fs::write(fixture.path("src/lib.rs"), format!("//! A fixture.\n{DENY}{include}")).unwrap();
    let fixture =
        mirrored(fixture, &[&dataset]).env("RUSTDOCFLAGS", "-D warnings").main("fn main() {}");
    let run = fixture.cargo(&["test", "--doc"]).ok();
    assert!(run.stdout.contains("running 0 tests"), "{}", run.stdout);
    fixture.cargo(&["doc", "--no-deps", "--lib"]).ok();
    let doc = fixture.target().join("doc/fixture_modules_docs/datasets/data/index.html");
    let html = fs::read_to_string(doc).unwrap();
    for shown in ["18 files in", "by hand", "&lt;script&gt;alert(1)"] {
        assert!(html.contains(shown), "{shown}");
    }
    assert!(!html.contains("<script>alert"));
}

#[test]
fn a_missing_dataset_has_no_module_and_no_dataset_makes_an_empty_file() {
    let dataset = nasty();
    let hash = dataset.infohash_hex();
    let fixture = Fixture::new(
        "fixture-modules-missing",
        &format!(
            "data = {{ infohash = \"{hash}\", optional = true }}\nextra = {{ infohash = \"{hash}\", required-features = [\"extra\"] }}"
        ),
    );
    let fixture = fixture.env("CARGO_NET_OFFLINE", "true").main(&program(
        r#"    #[cfg(at_dataset = "data")]
    println!("{}", datasets::data::PATH);
    #[cfg(not(at_dataset = "data"))]
    println!("without");"#,
    ));
    assert_eq!(fixture.cargo(&["run"]).ok().stdout, "without\n");
    let fixture = mirrored(fixture, &[&dataset]);
    dataset.assert_at(&fixture.cargo(&["run"]).ok().printed_path());
}

#[test]
fn docs_rs_gets_a_module_that_compiles() {
    let dataset = nasty();
    let hash = dataset.infohash_hex();
    let fixture = Fixture::new(
        "fixture-modules-docs-rs",
        &format!("known = {{ torrent = \"data.torrent\" }}\nunknown = \"{hash}\""),
    );
    fs::write(fixture.path("data.torrent"), dataset.torrent()).unwrap();
    let fixture = fixture.env("DOCS_RS", "1").main(&program(
        r#"    assert_eq!(datasets::known::FILES.len(), 18);
    assert_eq!(datasets::known::file::TYPE, "type");
    assert_eq!(datasets::unknown::FILES.len(), 0);
    assert!(datasets::unknown::files().is_err());
    println!("{} {}", datasets::unknown::INFOHASH, datasets::known::INFOHASH);"#,
    ));
    assert_eq!(fixture.cargo(&["run"]).ok().stdout, format!("{hash} {hash}\n"));
}

#[test]
fn the_file_is_written_when_its_content_changes_alone() {
    let (dataset, other) = (nasty(), Dataset::single("a", random_bytes(5, 900)));
    let project = Project::of(&dataset, "mirrors = [\"mirror\"]");
    dataset.write_mirror(&project.path("mirror"));
    let path = project.path("out/datasets.rs");
    let modified = || fs::metadata(&path).unwrap().modified().unwrap();
    project.run().unwrap();
    let first = fs::read_to_string(&path).unwrap();
    // A time that differs from that of any write.
    let before = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1);
    let backdate =
        || fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
    backdate();
    project.run().unwrap();
    assert_eq!(modified(), before);
    // For a vendored torrent, docs.rs gets the same module, except for the key in the first line.
    project.build().env("DOCS_RS", "1").run().unwrap();
    let docs_rs = fs::read_to_string(&path).unwrap();
    assert_eq!(docs_rs.split_once('\n').unwrap().1, first.split_once('\n').unwrap().1);
    backdate();
    project.build().env("DOCS_RS", "1").run().unwrap();
    assert_eq!(modified(), before);
    other.write_mirror(&project.path("mirror"));
    project.declare(&format!(
        "other = {{ infohash = \"{}\", mirrors = [\"mirror\"] }}",
        other.infohash_hex()
    ));
    project.run().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("pub mod other {") && !text.contains("pub mod data {"), "{text}");
    assert_eq!(files_below(&project.path("out")), [PathBuf::from("datasets.rs")]);
}

#[test]
fn a_call_without_out_dir_writes_no_file() {
    let dataset = nasty();
    let project = Project::of(&dataset, "mirrors = [\"mirror\"]");
    dataset.write_mirror(&project.path("mirror"));
    let build = project.build().env("OUT_DIR", "");
    let before = files_below(&project.path("out"));
    build.run().unwrap();
    assert_eq!(files_below(&project.path("out")), before);
    let written = files_below(project.dir.path());
    assert!(!written.iter().any(|path| path.ends_with("datasets.rs")), "{written:?}");
}
