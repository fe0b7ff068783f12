//! The dependencies that a build script compiles.

use std::process::Command;

/// The names of the crate's dependencies, as Cargo resolves them with these arguments.
fn tree(arguments: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "--locked", "-e", "normal", "--prefix", "none", "--format", "{p}"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).unwrap();
    let mut names: Vec<_> =
        names.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn nothing_of_the_command_line_is_compiled_for_a_build_script() {
    let of_the_command_line = [
        "clap",
        "clap_complete",
        "clap_mangen",
        "cargo_metadata",
        "toml_edit",
        "serde_json",
        "quick-xml",
    ];
    let cli = tree(&["--package", "cargo-academictorrents"]);
    for features in [&["rustls"], &["native-tls"]] {
        let names = tree(&[
            "--package",
            "academictorrents",
            "--no-default-features",
            "--features",
            features[0],
        ]);
        assert!(names.len() > 20 && names.contains(&"ureq".to_owned()), "{names:?}");
        for name in of_the_command_line {
            assert!(cli.contains(&name.to_owned()), "{name} is none of its crates any more");
            assert!(!names.contains(&name.to_owned()), "{name} with {features:?}");
        }
    }
}
