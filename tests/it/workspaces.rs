//! Packages that inherit datasets from their workspace, with the real Cargo.

use crate::cargo::from_web_seed;
use crate::fixture::{Fixture, library};
use crate::support::build_in;
use crate::swarm::{Dataset, WebSeed, random_bytes};

fn data(seed: u64) -> Dataset {
    Dataset::single("data.bin", random_bytes(seed, 200_000))
}

/// The root package, and a member whose library exports the path; both inherit `data`.
fn fixture(name: &'static str, member: &'static str, dataset: &Dataset, seed: &WebSeed) -> Fixture {
    let fixture = from_web_seed(name, dataset, seed, "");
    let table = "[package.metadata.academictorrents.data]";
    let manifest = std::fs::read_to_string(fixture.path("Cargo.toml")).unwrap();
    let (before, declared) = manifest.split_once(table).unwrap();
    let shared = format!(
        "{before}[workspace.metadata.academictorrents.data]{declared}\n\
         {table}\nworkspace = true\n[dependencies]\n{member} = {{ path = \"member\" }}\n",
    );
    fixture.write("Cargo.toml", &shared);
    fixture.library("member", member, "data.workspace = true");
    let manifest = std::fs::read_to_string(fixture.path("member/Cargo.toml")).unwrap();
    let library = format!("academictorrents = {{ path = {:?} }}", library());
    fixture.write("member/Cargo.toml", &manifest.replace("academictorrents = \"*\"", &library));
    fixture.main(&format!(
        "fn main() {{ println!(\"{{}}\\n{{}}\", env!(\"AT_DATA_PATH\"), {}::PATH) }}",
        member.replace('-', "_")
    ))
}

#[test]
fn members_have_the_datasets_that_the_root_declares() {
    let (dataset, other) = (data(601), data(602));
    let seed = WebSeed::serving(&dataset);
    let fixture = fixture("fixture-workspace", "fixture-workspace-member", &dataset, &seed);
    let run = fixture.cargo(&["run"]).ok();
    let paths: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(paths.len(), 2, "{}", run.stdout);
    paths.iter().for_each(|path| dataset.assert_at(path.as_ref()));
    fixture.cargo(&["build"]).ok().assert_fresh();
    // The member's build script also depends on the root's manifest.
    let other_seed = WebSeed::serving(&other);
    std::fs::write(fixture.path("other.torrent"), other.torrent()).unwrap();
    let manifest = std::fs::read_to_string(fixture.path("Cargo.toml")).unwrap();
    let manifest = manifest.replace(&seed.url(), &other_seed.url());
    fixture.write("Cargo.toml", &manifest.replace("data.torrent", "other.torrent"));
    let run = fixture.cargo(&["run"]).ok();
    run.stdout.lines().for_each(|path| other.assert_at(path.as_ref()));
}

#[test]
fn an_optional_dataset_is_tried_again_when_the_roots_manifest_has_changed() {
    let dataset = data(604);
    let seed = WebSeed::serving(&dataset);
    let root = tempfile::tempdir().unwrap();
    let write = |below: &str, text: &str| std::fs::write(root.path().join(below), text).unwrap();
    std::fs::create_dir(root.path().join("member")).unwrap();
    std::fs::write(root.path().join("data.torrent"), dataset.torrent()).unwrap();
    let declare = |web_seed: &str| {
        write(
            "Cargo.toml",
            &format!(
                "[workspace]\nmembers = [\"member\"]\n[workspace.metadata.academictorrents.data]\n\
                 torrent = \"data.torrent\"\noptional = true\nweb-seeds = [\"{web_seed}\"]\n"
            ),
        );
    };
    write(
        "member/Cargo.toml",
        "[package]\nname = \"member\"\n[package.metadata.academictorrents]\ndata.workspace = true\n",
    );
    let run = || {
        let build = build_in(&root.path().join("member")).run().unwrap();
        build.dataset("data").map(|it| it.path().to_owned())
    };
    declare("http://127.0.0.1:9/");
    assert_eq!(run(), None);
    declare(&seed.url());
    dataset.assert_at(&run().expect("the root declares a web seed now"));
}

#[test]
fn what_is_packaged_must_not_inherit() {
    let dataset = data(603);
    let seed = WebSeed::serving(&dataset);
    let fixture = fixture("fixture-unpackaged", "fixture-packaged", &dataset, &seed);
    // Cargo puts this file next to the manifest that it normalized for publishing.
    fixture.write("member/Cargo.toml.orig", "");
    let errors = fixture.cargo(&["build"]).errors().join("\n");
    assert!(errors.contains("a published package has no workspace"), "{errors}");
    assert!(errors.contains("into [package.metadata.academictorrents]"), "{errors}");
}
