//! We download through squid with its default rules, which allow CONNECT only to port 443.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::download_from::{folder, project};
use crate::harness::Trial;
use crate::program::{Program, Tool, listens};
use crate::swarm::WebSeed;

static SQUID: Tool = Tool::debian("squid", "Debian: squid");

pub fn trials() -> Vec<Trial> {
    let trial =
        |what: &str, run: fn()| Trial::new(format!("proxies::squid::{what}"), &[&SQUID], run);
    vec![
        trial("http", http_through_it),
        trial("login", with_a_login),
        trial("wrong_login", with_a_wrong_login),
        trial("refuses", what_it_refuses),
    ]
}

fn squid(login: Option<&str>) -> Program {
    Program::start(&SQUID, |home, port| command(home, port, login), listens)
}

fn command(home: &Path, port: u16, login: Option<&str>) -> Command {
    // If squid is started by root, it changes to another user, who needs access to its home.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(home, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let wants_login = login.map_or(String::new(), |login| {
        // Squid's helper receives the user name and password, with spaces percent-encoded.
        let helper = format!(
            "while read -r line; do [ \"$line\" = \"{login}\" ] && echo OK || echo ERR; done\n"
        );
        fs::write(home.join("helper"), helper).unwrap();
        format!(
            "auth_param basic program /bin/sh {}\nacl known proxy_auth REQUIRED\nhttp_access deny !known\n",
            home.join("helper").display()
        )
    });
    // Debian's rules in Debian's order, and settings that let it run beside another squid.
    let configuration = format!(
        "http_port 127.0.0.1:{port}\nacl SSL_ports port 443\nacl Safe_ports port 80\nacl Safe_ports port 443\n\
         acl Safe_ports port 1025-65535\nhttp_access deny !Safe_ports\nhttp_access deny CONNECT !SSL_ports\n\
         {wants_login}http_access allow localhost\nhttp_access deny all\ncache deny all\ncache_mem 8 MB\n\
         pid_filename none\ncache_log /dev/null\naccess_log none\nlogfile_rotate 0\nnetdb_filename none\n\
         pinger_enable off\ncoredump_dir /\nshutdown_lifetime 0 seconds\nvisible_hostname interop\n"
    );
    fs::write(home.join("squid.conf"), configuration).unwrap();
    let mut command = SQUID.command(home);
    command.args(["-N", "-d", "1", "-f"]).arg(home.join("squid.conf"));
    command
}

fn proxy_url(login: &str, address: SocketAddr) -> String {
    format!("http://{login}{address}")
}

/// Downloads many files and a long one. Each request passed through squid.
fn fetched_through(login: &str, squid: &Program) {
    let dataset = folder();
    let seed = WebSeed::serving(&dataset);
    let project = project(&dataset, &format!("web-seeds = [\"{}\"]", seed.url()))
        .env("HTTPS_PROXY", proxy_url(login, squid.address()));
    dataset.assert_at(&project.path_of("data"));
    let requests = seed.requests();
    assert!(!requests.is_empty());
    for request in requests {
        assert!(request.header("via").is_some_and(|via| via.contains("squid")), "{request:?}");
        assert!(request.header("proxy-authorization").is_none(), "{request:?}");
    }
}

fn http_through_it() {
    fetched_through("", &squid(None));
}

fn with_a_login() {
    fetched_through("me:p%40ss@", &squid(Some("me p@ss")));
}

fn with_a_wrong_login() {
    let (squid, seed) = (squid(Some("me right")), WebSeed::serving(&folder()));
    for (login, said) in [
        ("", "requires a user name and password"),
        ("me:wrong@", "rejected the user name or password"),
    ] {
        for scheme in ["http:", "https:"] {
            let url = seed.url().replace("http:", scheme);
            // The only port that squid opens connections to. No request gets there.
            let url = if scheme == "https:" { "https://127.0.0.1/".to_owned() } else { url };
            let error = project(&folder(), &format!("web-seeds = [\"{url}\"]"))
                .env("ACADEMICTORRENTS_TIMEOUT", "3s")
                .env("HTTPS_PROXY", proxy_url(login, squid.address()))
                .error();
            let said = format!("the proxy {} {said}", squid.address());
            assert!(error.contains(&said), "{scheme} {login}: {error}");
        }
    }
    assert_eq!(seed.http().server().connections(), 0);
}

fn what_it_refuses() {
    let squid = squid(None);
    let error = project(&folder(), "web-seeds = [\"https://127.0.0.1:8443/\"]")
        .env("ACADEMICTORRENTS_TIMEOUT", "3s")
        .env("HTTPS_PROXY", proxy_url("", squid.address()))
        .error();
    let said = format!("the proxy {} refused the connection: HTTP status 403", squid.address());
    assert!(error.contains(&said), "{error}");
}
