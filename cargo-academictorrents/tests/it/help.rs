//! The help of each command.

use crate::cli_fixture::{CliFixture, Page};

#[test]
fn each_verb_has_its_help() {
    let cli = CliFixture::new().env("COLUMNS", 100);
    let mut page = Page::new("help");
    let help = page.show(&cli, &["--help"]).stdout;
    page.show(&cli, &[]);
    page.show(&cli, &["got", "mnist"]);
    page.compare();
    let (_, verbs) = help.split_once("\nCommands:\n").unwrap();
    let (verbs, _) = verbs.split_once("\n\n").unwrap();
    let verbs = verbs.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let verbs: Vec<_> = verbs.filter(|verb| !verb.is_empty()).collect();
    assert!(verbs.len() > 3, "{verbs:?}");
    for verb in verbs {
        let mut page = Page::new(format!("help-{verb}"));
        let run = page.show(&cli, &[verb, "--help"]);
        assert_eq!((run.status, &*run.stderr), (Some(0), ""));
        let (_, examples) = run.stdout.split_once("Examples:\n").unwrap_or_default();
        let call = format!("cargo academictorrents {verb}");
        assert!(examples.contains(&call), "{verb} has no example");
        page.compare();
    }
}
