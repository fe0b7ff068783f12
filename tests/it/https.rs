//! Web seeds behind TLS: certificates are always checked.

use crate::support::Project;
use crate::swarm::http::HttpServer;
use crate::swarm::{Dataset, TlsFront, WebSeed, random_bytes};

struct Fixture {
    dataset: Dataset,
    seed: WebSeed,
    front: TlsFront,
    project: Project,
}

fn fixture() -> Fixture {
    let dataset = Dataset::single("data.bin", random_bytes(3, 5_000_000)).piece_length(1 << 18);
    let seed = WebSeed::serving(&dataset);
    let front = TlsFront::before(seed.http().server().addr());
    let path = seed.url().splitn(4, '/').nth(3).unwrap().to_owned();
    let project = Project::new(&format!(
        "[package.metadata.academictorrents.data]\ntorrent = \"data.torrent\"\nweb-seeds = [\"{}/{path}\"]",
        front.url()
    ));
    std::fs::write(project.path("data.torrent"), dataset.torrent()).unwrap();
    front.write_ca(&project.path("ca.pem"));
    Fixture { dataset, seed, front, project }
}

#[test]
fn a_server_with_an_unknown_authority_is_refused() {
    let Fixture { seed, project, front, .. } = fixture();
    let error = project.error();
    assert!(error.contains(&front.url()) && error.contains("certificate"), "{error}");
    assert_eq!(seed.bytes_served(), 0);
}

#[test]
fn the_users_authority_is_added_to_the_built_in_ones() {
    let Fixture { dataset, seed, project, front } = fixture();
    let ca = project.path("ca.pem").display().to_string();
    dataset.assert_at(&project.env("ACADEMICTORRENTS_CA_FILE", ca).path_of("data"));
    assert_eq!(seed.bytes_served(), 5_000_000);
    drop(front);
}

#[test]
fn so_are_those_of_directories() {
    let stranger = fixture().front;
    for variable in ["ACADEMICTORRENTS_CA_DIR", "SSL_CERT_DIR"] {
        for is_known in [false, true] {
            let Fixture { dataset, project, front, seed: _seed } = fixture();
            // As `openssl rehash` creates them, next to unrelated files.
            let (roots, others) = (project.path("roots"), project.path("others"));
            for directory in [&roots, &others] {
                std::fs::create_dir_all(directory.join("private")).unwrap();
                std::fs::write(directory.join("README"), "of the university").unwrap();
                std::fs::write(directory.join("odd.pem"), "-----BEGIN CERTIFICATE-----\n?")
                    .unwrap();
            }
            front.write_ca(&roots.join("university.pem"));
            #[cfg(unix)]
            std::os::unix::fs::symlink("university.pem", roots.join("1a2b3c4d.0")).unwrap();
            stranger.write_ca(&others.join("other.pem"));
            let named = if is_known { vec![&others, &roots] } else { vec![&others] };
            let named = std::env::join_paths(named).unwrap().into_string().unwrap();
            let project = project.env(variable, named);
            if is_known {
                dataset.assert_at(&project.path_of("data"));
            } else {
                let error = project.error();
                assert!(error.contains(&front.url()) && error.contains("certificate"), "{error}");
            }
        }
    }
}

#[test]
fn a_directory_without_certificates_is_an_error_that_names_it() {
    let not_found = std::fs::read_dir("no/where").unwrap_err().to_string();
    for (directory, why) in [("empty", "no PEM certificate"), ("nowhere", &not_found)] {
        let Fixture { project, .. } = fixture();
        std::fs::create_dir(project.path("empty")).unwrap();
        let path = project.path(directory);
        let error = project.env("ACADEMICTORRENTS_CA_DIR", path.display()).error();
        let named = error.contains(&path.display().to_string()) && error.contains(why);
        assert!(named && error.contains("set by ACADEMICTORRENTS_CA_DIR"), "{error}");
        // OpenSSL ignores such a directory, and so do all programs that read its variable.
        let Fixture { dataset, project, front, seed: _seed } = fixture();
        front.write_ca(&project.path("ca.pem"));
        let ca = project.path("ca.pem").display().to_string();
        let project = project.env("ACADEMICTORRENTS_CA_FILE", ca);
        dataset.assert_at(&project.env("SSL_CERT_DIR", path.display()).path_of("data"));
    }
}

#[test]
fn a_file_without_certificates_is_an_error_that_names_it() {
    let Fixture { project, .. } = fixture();
    let path = project.path("Cargo.toml").display().to_string();
    let error = project.env("ACADEMICTORRENTS_CA_FILE", &path).error();
    assert!(error.contains(&path) && error.contains("no PEM certificate"), "{error}");
}

#[test]
fn a_redirect_from_https_to_http_is_not_followed() {
    let dataset = Dataset::single("data.bin", random_bytes(3, 500_000));
    let plain = WebSeed::serving(&dataset);
    let to = plain.url();
    let redirecting = HttpServer::start(move |_, responder| {
        responder.raw(
            format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").as_bytes(),
        );
    });
    let front = TlsFront::before(redirecting.server().addr());
    let project = Project::new(&format!(
        "[package.metadata.academictorrents.data]\ntorrent = \"data.torrent\"\nweb-seeds = [\"{}/data.bin\"]",
        front.url()
    ));
    std::fs::write(project.path("data.torrent"), dataset.torrent()).unwrap();
    front.write_ca(&project.path("ca.pem"));
    let ca = project.path("ca.pem").display().to_string();
    let error = project.env("ACADEMICTORRENTS_CA_FILE", ca).error();
    assert!(error.contains("redirects from https"), "{error}");
    assert_eq!(plain.bytes_served(), 0);
}

#[test]
fn a_server_that_does_not_speak_tls_is_said_to_be_one() {
    use std::io::{Read as _, Write as _};
    let dataset = Dataset::single("data.bin", random_bytes(3, 500_000));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}/data.bin", listener.local_addr().unwrap().port());
    // nginx answers like this on a TLS port.
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let _ = client.read(&mut [0; 512]);
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let error = Project::of(&dataset, &format!("web-seeds = [\"{url}\"]")).error();
    assert!(error.contains(&url) && error.contains("does not speak TLS"), "{error}");
}
