//! `cargo academictorrents completions`.

use crate::cli_fixture::{CliFixture, Page};

#[test]
fn each_shell_has_completions() {
    let cli = CliFixture::new();
    for (shell, says) in [
        (
            "bash",
            "complete -F _academictorrents -o bashdefault -o default cargo-academictorrents\n",
        ),
        ("zsh", "#compdef cargo-academictorrents\n"),
        ("fish", "complete -c cargo -n \"__fish_cargo_needs_command\" -f -a \"academictorrents\""),
        ("powershell", "-CommandName 'cargo-academictorrents'"),
        ("elvish", "arg-completer[cargo-academictorrents]"),
    ] {
        let script = cli.ok(&["completions", shell]);
        assert!(script.contains(says), "{shell}: {script}");
        for verb in ["fetch", "search", "completions"] {
            assert!(script.contains(verb), "{shell}: {verb} is missing");
        }
    }
    let mut page = Page::new("completions");
    page.show(&cli, &["completions", "tcsh"]);
    page.compare();
}

/// Checks what bash offers for the last word, beside a completion of Cargo's that offers `own`.
#[cfg(unix)]
#[track_caller]
fn check(words: &[&str], expected: &str) {
    let cli = CliFixture::new();
    let script = cli.write("completions.bash", cli.ok(&["completions", "bash"]));
    let asks = r#"
        _cargo() { COMPREPLY=(own); }
        source "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        function=$(complete -p "$1" | sed 's/.*-F \([^ ]*\).*/\1/')
        "$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        echo "${COMPREPLY[*]}""#;
    let mut bash = std::process::Command::new("bash");
    let output =
        bash.args(["--norc", "-c", asks, "bash"]).arg(script).args(words).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        (String::from_utf8_lossy(&output.stdout).trim_end(), &*said),
        (expected, ""),
        "{words:?}"
    );
}

#[cfg(unix)]
#[test]
fn bash_completes_the_verbs_of_cargo_academictorrents_and_leaves_the_rest_to_cargo() {
    for called in [&["cargo", "academictorrents"][..], &["cargo-academictorrents"]] {
        let check = |words: &[&str], expected| check(&[called, words].concat(), expected);
        check(&["sear"], "search");
        check(&["search", "--cat"], "--category");
        check(&["search", "mnist", "--color", ""], "auto always never");
        check(&["completions", "po"], "powershell");
    }
    check(&["cargo", "bui"], "own");
    check(&["cargo", "academic"], "own");
    check(&["cargo", "build", "academictorrents", "--"], "own");
}

#[test]
fn the_program_answers_to_its_own_name() {
    let cli = CliFixture::new();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cargo-academictorrents"));
    let output = command.args(["completions", "zsh"]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), cli.ok(&["completions", "zsh"]));
}
