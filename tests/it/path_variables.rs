//! Copies that `ACADEMICTORRENTS_PATH_<NAME>` names, and how Cargo handles both variables.

use std::path::Path;

use academictorrents::ErrorKind;

use crate::fixture::Fixture;
use crate::load_path::{
    LOAD_PATH, PIECE, flip, folder, name_of, project, single, state, with_copy,
};
use crate::support::{Project, slashes};
use crate::swarm::WebSeed;

const PATH_DATA: &str = "ACADEMICTORRENTS_PATH_DATA";

#[test]
fn a_named_copy_is_used_whatever_it_is_called_and_whatever_the_store_has() {
    for dataset in [single(), folder()] {
        let seed = WebSeed::serving(&dataset);
        let project = project(&dataset, &seed);
        let in_store = project.path_of("data");
        let served = seed.bytes_served();
        let mine = project.path("mine");
        dataset.write_to(&mine);
        let place = mine.join("another name");
        std::fs::rename(mine.join(name_of(&dataset)), &place).unwrap();
        let before = state(&place);
        let project = project.env(PATH_DATA, place.display());
        for _ in 0..2 {
            assert_eq!(project.path_of("data"), place);
        }
        assert_eq!(state(&place), before);
        assert_eq!(seed.bytes_served(), served);
        dataset.assert_at(&in_store);
    }
}

#[test]
fn a_named_copy_that_is_wrong_is_an_error_with_the_first_fault() {
    let dataset = folder();
    let check = |spoil: &dyn Fn(&Path), named: &str, parts: &[&str]| {
        let seed = WebSeed::serving(&dataset);
        // Optional datasets are no exception: the variable claims that the copy exists.
        let project =
            Project::of(&dataset, &format!("optional = true\nweb-seeds = [\"{}\"]", seed.url()));
        let mine = project.path("mine");
        dataset.write_to(&mine);
        let project = project.env(PATH_DATA, mine.join(named).display());
        assert_eq!(project.run().is_ok(), named == "tree");
        spoil(&mine.join("tree"));
        let error = project.run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Manifest);
        let error = slashes(&error.to_string());
        let parts = [&[PATH_DATA, "help: ", "unset"], parts].concat();
        assert!(parts.iter().all(|part| error.contains(part)), "{parts:?} {error}");
        assert_eq!(seed.http().server().connections(), 0);
    };
    check(
        &|tree| flip(&tree.join("d/b"), 2 * PIECE),
        "tree",
        &["piece 5, at byte 49152 of", "tree/d/b"],
    );
    check(
        &|tree| std::fs::remove_file(tree.join("empty")).unwrap(),
        "tree",
        &["tree/empty does not exist"],
    );
    check(&|tree| std::fs::write(tree.join("e"), "").unwrap(), "tree", &["tree/e has 0 bytes"]);
    check(&|_| {}, "", &["did you mean", "mine/tree?"]);
    check(&|_| {}, "gone", &["mine/gone/a does not exist"]);
}

#[test]
fn a_name_that_is_a_slip_is_refused_and_another_crates_is_not() {
    let dataset = single();
    let (project, place, _seed) = with_copy(&dataset);
    let run = |name: &str| project.build().env(format!("ACADEMICTORRENTS_PATH_{name}"), &place);
    for slip in ["DATE", "data", "DATAS"] {
        let error = run(slip).run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Manifest);
        assert!(error.to_string().contains("did you mean ACADEMICTORRENTS_PATH_DATA?"), "{error}");
        run(slip).env(PATH_DATA, &place).run().unwrap();
    }
    run("IMAGENET").run().unwrap();
}

#[test]
fn an_optional_dataset_that_was_missing_is_looked_for_where_the_variables_say() {
    let dataset = single();
    let project = Project::of(&dataset, "optional = true\nweb-seeds = [\"http://127.0.0.1:9/\"]");
    assert!(project.run().unwrap().dataset("data").is_none());
    let copies = project.path("copies");
    dataset.write_to(&copies);
    let place = copies.join("data.bin");
    for (variable, value) in [(PATH_DATA, &place), (LOAD_PATH, &copies)] {
        let datasets = project.build().env(variable, value).run().unwrap();
        assert_eq!(datasets.dataset("data").unwrap().path(), place);
    }
}

#[test]
fn cargo_runs_the_script_again_when_a_variable_or_the_stamp_goes_and_else_not() {
    let dataset = single();
    let seed = WebSeed::serving(&dataset);
    let datasets =
        format!("data = {{ torrent = \"data.torrent\", web-seeds = [\"{}\"] }}", seed.url());
    let fixture = Fixture::new("fixture-load-path", &datasets);
    std::fs::write(fixture.path("data.torrent"), dataset.torrent()).unwrap();
    let (copies, mine) = (fixture.path("copies"), fixture.path("mine.bin"));
    dataset.write_to(&copies);
    std::fs::copy(copies.join("data.bin"), &mine).unwrap();
    let fixture = fixture.env(LOAD_PATH, copies.display());
    assert_eq!(fixture.cargo(&["run"]).ok().printed_path(), copies.join("data.bin"));
    fixture.cargo(&["build"]).ok().assert_fresh();
    std::fs::remove_dir_all(fixture.store().join("v1/elsewhere")).unwrap();
    assert!(fixture.cargo(&["build"]).ok().script_ran());
    fixture.cargo(&["build"]).ok().assert_fresh();
    let fixture = fixture.env(PATH_DATA, mine.display());
    assert_eq!(fixture.cargo(&["run"]).ok().printed_path(), mine);
    fixture.cargo(&["build"]).ok().assert_fresh();
    assert_eq!(seed.http().server().connections(), 0);
    // The error tells the user what to do.
    flip(&mine, 0);
    std::fs::remove_dir_all(fixture.store().join("v1/elsewhere")).unwrap();
    let errors = fixture.cargo(&["build"]).errors();
    let mine = mine.display();
    assert_eq!(
        errors[..5],
        [
            format!("dataset `data`: the copy named by {PATH_DATA} is not the dataset"),
            format!("  piece 0, at byte 0 of {mine}, does not match the torrent's SHA-1"),
            "  help: it must be the torrent's file, under any name, complete and unchanged"
                .to_owned(),
            format!(
                "  help: or unset {PATH_DATA} to download the dataset; to reuse the correct parts of an incomplete"
            ),
            format!("        copy, add the directory that contains it to {LOAD_PATH}"),
        ]
    );
}
