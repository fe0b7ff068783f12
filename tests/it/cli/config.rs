//! `cargo academictorrents config`.

#![cfg(target_os = "linux")] // where the file is as the pages say

use super::desk::{Desk, Page};

/// A desk with a place for the configuration file.
fn desk() -> Desk {
    let desk = Desk::new();
    let place = desk.path("settings");
    desk.env("XDG_CONFIG_HOME", place.display())
}

#[test]
fn config_shows_each_setting_and_whose_word_it_is() {
    let desk = desk()
        .env("ACADEMICTORRENTS_PATH_MNIST", "/data/mnist.pkl.gz")
        .env("CARGO_HTTP_CAINFO", "/etc/ssl/ca.pem")
        .env("HTTPS_PROXY", "http://me:secret@proxy.example:3128");
    let mut page = Page::new("config");
    page.show(&desk, &["config"]);
    desk.write(
        "settings/academictorrents/config.toml",
        "mirrors = [\"/mnt/a mirror\", \"https://me:secret@mirror.example\"]\nmax-size = \"20GiB\"\ntimeout = 5\n",
    );
    page.show(&desk, &["config", "--store", "elsewhere", "--offline"]);
    page.show(&desk, &["config", "--json"]);
    desk.write("settings/academictorrents/config.toml", "mirors = []\n");
    page.show(&desk, &["config"]);
    page.show(&desk, &["config", "--json"]);
    page.compare();
}

#[test]
fn what_a_setting_cannot_be_is_shown_beside_it() {
    let desk = desk()
        .env("ACADEMICTORRENTS_TIMEOUT", "soon")
        .env("ACADEMICTORRENTS_STORE", "relative\u{1b}[31m");
    let mut page = Page::new("config-odd");
    page.show(&desk, &["config"]);
    page.compare();
}
