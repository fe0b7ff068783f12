//! `cargo academictorrents config`.

#![cfg(target_os = "linux")] // the pages show the Linux path of the configuration file

use crate::cli_fixture::{CliFixture, Page};

/// A CLI with a directory for the configuration file.
fn cli() -> CliFixture {
    let cli = CliFixture::new();
    let place = cli.path("settings");
    cli.env("XDG_CONFIG_HOME", place.display())
}

#[test]
fn config_shows_each_setting_and_whose_word_it_is() {
    let cli = cli()
        .env("ACADEMICTORRENTS_PATH_MNIST", "/data/mnist.pkl.gz")
        .env("CARGO_HTTP_CAINFO", "/etc/ssl/ca.pem")
        .env("HTTPS_PROXY", "http://me:secret@proxy.example:3128");
    let mut page = Page::new("config");
    page.show(&cli, &["config"]);
    cli.write(
        "settings/academictorrents/config.toml",
        "mirrors = [\"/mnt/a mirror\", \"https://me:secret@mirror.example\"]\nmax-size = \"20GiB\"\ntimeout = 5\n",
    );
    page.show(&cli, &["config", "--store", "elsewhere", "--offline"]);
    page.show(&cli, &["config", "--json"]);
    cli.write("settings/academictorrents/config.toml", "mirors = []\n");
    page.show(&cli, &["config"]);
    page.show(&cli, &["config", "--json"]);
    page.compare();
}

#[test]
fn what_a_setting_cannot_be_is_shown_beside_it() {
    let cli = cli()
        .env("ACADEMICTORRENTS_TIMEOUT", "soon")
        .env("ACADEMICTORRENTS_STORE", "relative\u{1b}[31m");
    let mut page = Page::new("config-odd");
    page.show(&cli, &["config"]);
    page.compare();
}

/// Cargo sets these variables for builds, but not for its subcommands.
#[test]
fn variables_in_cargos_configuration_apply_to_the_command_as_to_builds() {
    let cli = CliFixture::new();
    let file = cli.write(
        ".cargo/config.toml",
        "[env]\nACADEMICTORRENTS_STORE = { value = \"data\", relative = true, force = true }\n\
         ACADEMICTORRENTS_MAX_SIZE = \"5MiB\"\nACADEMICTORRENTS_TIMEOUT = \"9s\"\n\
         https_proxy = \"http://me:secret@proxy:1\"\n",
    );
    let settings: serde_json::Value = serde_json::from_str(&cli.ok(&["config", "--json"])).unwrap();
    let check = |variable: &str, value: &str, from: &str, name: &str| {
        let settings = settings["settings"].as_array().unwrap();
        let setting = settings.iter().find(|it| it["variable"] == variable).unwrap();
        assert_eq!(
            [&setting["value"], &setting["from"], &setting["from_name"]],
            [value, from, name]
        );
    };
    let place = |variable: &str| format!("`env.{variable}` in {}", file.display());
    let (store, max_size) = ("ACADEMICTORRENTS_STORE", "ACADEMICTORRENTS_MAX_SIZE");
    let data = cli.path("data").display().to_string();
    check(store, &data, "cargo", &place(store));
    check(max_size, "5MiB", "cargo", &place(max_size));
    check("https_proxy", "http://…@proxy:1", "cargo", &place("https_proxy"));
    // The environment takes precedence.
    check("ACADEMICTORRENTS_TIMEOUT", "3s", "variable", "ACADEMICTORRENTS_TIMEOUT");
    let list: serde_json::Value = serde_json::from_str(&cli.ok(&["list", "--json"])).unwrap();
    assert_eq!(list["store"], data);
}
