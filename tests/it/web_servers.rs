//! Quirks of real web servers that other clients tolerate.

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Project, side_by_side};
use crate::swarm::http::{HttpServer, Request, Responder, next_request};
use crate::swarm::server::Server;
use crate::swarm::{Dataset, Peer, random_bytes};

/// Serves these files, with additional headers.
fn serve(
    files: &[(String, Vec<u8>)],
    headers: &[(&str, &str)],
    request: &Request,
    responder: &mut Responder<'_>,
) {
    let path = String::from_utf8(request.path()).unwrap();
    let Some((_, bytes)) = files.iter().find(|(name, _)| *name == path) else {
        return responder.status(404);
    };
    match request.range(bytes.len() as u64) {
        Some(Some((start, end))) => {
            let range = format!("bytes {start}-{}/{}", end - 1, bytes.len());
            let headers = [headers, &[("content-range", &*range)]].concat();
            responder.respond(206, &headers, &bytes[start as usize..end as usize]);
        }
        _ => responder.respond(200, headers, bytes),
    }
}

fn single() -> Dataset {
    let dataset = Dataset::single("data.bin", random_bytes(1, 300_000));
    dataset.stream();
    dataset
}

/// Small files, so that requests are pipelined. Some have the same length.
fn many() -> Dataset {
    let files: Vec<_> = (0..60)
        .map(|n| {
            (
                format!("f{n:02}"),
                random_bytes(n, if n % 3 == 0 { 3_000 + n as usize } else { 3_000 }),
            )
        })
        .collect();
    Dataset::multi("set", files.iter().map(|(name, bytes)| (&**name, bytes.clone())))
}

/// The paths and contents on a server of this dataset.
fn paths(dataset: &Dataset) -> Vec<(String, Vec<u8>)> {
    let name = String::from_utf8(dataset.name().to_vec()).unwrap();
    match dataset.is_multi() {
        true => dataset
            .files()
            .into_iter()
            .map(|(path, bytes)| (format!("/{name}/{path}"), bytes))
            .collect(),
        false => vec![(format!("/{name}"), dataset.stream().to_vec())],
    }
}

fn project(dataset: &Dataset, url: &str) -> Project {
    Project::of(dataset, &format!("web-seeds = [\"{url}\"]"))
}

#[test]
fn a_file_that_is_compressed_itself_is_taken_as_it_is() {
    let dataset = single();
    let encodings: [&str; 6] = ["gzip", "x-gzip", "X-Gzip", "br", "zstd", "compress"];
    side_by_side(&encodings, |encoding: &&'static str| {
        let encoding: &'static str = encoding;
        for ranges in [true, false] {
            let files = paths(&dataset);
            let headers = [("content-encoding", encoding), ("content-type", "application/x-gzip")];
            let server = HttpServer::start(move |request, responder| match ranges {
                true => serve(&files, &headers, request, responder),
                false => responder.respond(200, &headers, &files[0].1),
            });
            let project = project(&dataset, &format!("{}/data.bin", server.url()));
            dataset.assert_at(&project.path_of("data"));
        }
        // A body that the server compresses for transfer has another length or none.
        for length in [true, false] {
            let server = HttpServer::start(move |_, responder| {
                let headers = [("content-encoding", encoding), ("connection", "close")];
                match length {
                    true => responder.respond(200, &headers, &[7; 1000]),
                    false => {
                        responder.head(200, &headers);
                        responder.body(&[7; 1000]);
                        responder.close();
                    }
                }
            });
            let error = project(&dataset, &format!("{}/data.bin", server.url())).error();
            assert!(
                error.contains("it compresses data that was requested uncompressed"),
                "{error}"
            );
        }
    });
}

/// How a server handles pipelined requests.
#[derive(Clone, Copy, Debug)]
enum Ahead {
    /// Answers one and drops the others that arrived with it.
    Drops,
    /// Answers the first and closes the connection.
    Closes,
    /// Answers two in the wrong order.
    Swaps,
    /// Answers the first, and each further one with this status (400, 500 or 404).
    Says(u16),
    /// Answers each with the previous file.
    Repeats,
}

fn odd_server(files: Vec<(String, Vec<u8>)>, ahead: Ahead) -> Server {
    let reply_to = move |request: &Request| {
        let path = String::from_utf8(request.path()).unwrap();
        let (_, bytes) = files.iter().find(|(name, _)| *name == path).unwrap();
        let (start, end) = request.range(bytes.len() as u64).unwrap().unwrap();
        let head = format!(
            "HTTP/1.1 206 P\r\nContent-Range: bytes {start}-{}/{}\r\nContent-Length: {}\r\n\r\n",
            end - 1,
            bytes.len(),
            end - start
        );
        [head.as_bytes(), &bytes[start as usize..end as usize]].concat()
    };
    Server::start(move |conn| {
        let mut buffer = Vec::new();
        let mut last: Option<Vec<u8>> = None;
        while let Some(request) = next_request(conn, &mut buffer) {
            let reply = reply_to(&request);
            let is_ahead = !buffer.is_empty();
            let mut send = reply.clone();
            match ahead {
                Ahead::Drops => buffer.clear(),
                Ahead::Swaps if is_ahead => {
                    let Some(second) = next_request(conn, &mut buffer) else { return };
                    send = [reply_to(&second), reply.clone()].concat();
                }
                Ahead::Says(status) if is_ahead && last.is_some() => {
                    send =
                        format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n").into_bytes();
                }
                Ahead::Repeats if is_ahead => send = last.clone().unwrap_or(send),
                _ => {}
            }
            last = Some(reply);
            if conn.stream.write_all(&send).is_err() || matches!(ahead, Ahead::Closes) && is_ahead {
                return;
            }
        }
    })
}

#[test]
fn a_server_that_loses_or_mixes_up_requests_is_asked_one_at_a_time() {
    let small = many();
    // Of one length, and each with several pieces of its own.
    let long: Vec<_> = (0..130).map(|n| (format!("f{n:03}"), random_bytes(n, 100_000))).collect();
    let long = Dataset::multi("set", long.iter().map(|(name, bytes)| (&**name, bytes.clone())));
    let long = long.piece_length(16 << 10);
    let all = [
        (&small, Ahead::Drops),
        (&small, Ahead::Closes),
        (&small, Ahead::Swaps),
        (&long, Ahead::Swaps),
        (&small, Ahead::Repeats),
        (&long, Ahead::Repeats),
        (&small, Ahead::Says(400)),
        (&small, Ahead::Says(500)),
        (&small, Ahead::Says(501)),
        (&small, Ahead::Says(416)),
    ];
    side_by_side(&all, |(dataset, ahead)| {
        let server = odd_server(paths(dataset), *ahead);
        let project = project(dataset, &format!("http://{}/", server.addr()))
            .env("ACADEMICTORRENTS_TIMEOUT", "300s");
        let begun = Instant::now();
        let datasets = project.run().unwrap_or_else(|error| panic!("{ahead:?}: {error}"));
        dataset.assert_at(datasets.dataset("data").unwrap().path());
        assert!(begun.elapsed() < Duration::from_secs(60), "{ahead:?}: {:?}", begun.elapsed());
    });
}

/// Serves this number of connections; further connections get 403.
fn limited(files: Vec<(String, Vec<u8>)>, most: usize) -> HttpServer {
    let open = Mutex::new(Vec::new());
    HttpServer::start(move |request, responder| {
        let who = responder.peer_addr();
        let served = {
            let mut open = open.lock().unwrap();
            if open.len() < most && !open.contains(&who) {
                open.push(who);
            }
            open.contains(&who)
        };
        if !served {
            responder.respond(403, &[("connection", "close")], b"too many");
            return responder.close();
        }
        responder.pause(Duration::from_millis(20));
        serve(&files, &[], request, responder);
    })
}

#[test]
fn a_server_that_forbids_further_connections_is_asked_over_fewer() {
    let dataset = Dataset::single("data.bin", random_bytes(2, 13 << 20)).piece_length(256 << 10);
    for most in [1, 2, 3] {
        let server = limited(paths(&dataset), most);
        let project = project(&dataset, &format!("{}/data.bin", server.url()));
        dataset.assert_at(&project.path_of("data"));
    }
}

#[test]
fn a_file_that_is_forbidden_is_left_out_and_the_rest_comes() {
    let dataset = many();
    let files = paths(&dataset);
    let server =
        HttpServer::start(move |request, responder| match request.path().ends_with(b"f30") {
            true => responder.status(403),
            false => serve(&files, &[], request, responder),
        });
    let begun = Instant::now();
    let error = project(&dataset, &format!("{}/", server.url())).error();
    assert!(error.contains("/set/f30: HTTP status 403 (forbidden)"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn redirects_lead_where_rfc_3986_says() {
    let dataset = single();
    let cases = [
        ("?token=1", "/d/e/data.bin?token=1"),
        ("../x.bin", "/d/x.bin"),
        ("./x.bin", "/d/e/x.bin"),
        ("x.bin", "/d/e/x.bin"),
        ("../../../x.bin?a=../b", "/x.bin?a=../b"),
        ("/new place/x.bin", "/new%20place/x.bin"),
        ("//127.0.0.1:PORT/y/./x.bin", "/y/x.bin"),
        ("http://127.0.0.1:PORT/new place/../x y.bin", "/x%20y.bin"),
        ("/é.bin#part", "/%C3%A9.bin"),
    ];
    side_by_side(&cases, |(location, expected)| {
        let bytes = dataset.stream();
        let (location, expected) = (location.to_string(), expected.to_string());
        let server = HttpServer::start(move |request, responder| {
            let location = location.replace("PORT", &responder.local_addr().port().to_string());
            if request.target == expected {
                serve(
                    &[(String::from_utf8(request.path()).unwrap(), bytes.to_vec())],
                    &[],
                    request,
                    responder,
                );
            } else if request.target == "/d/e/data.bin" {
                responder.respond(302, &[("location", &*location)], b"");
            } else {
                responder.status(400);
            }
        });
        let project = project(&dataset, &format!("{}/d/e/data.bin", server.url()));
        dataset.assert_at(&project.path_of("data"));
    });
}

#[test]
fn a_redirect_of_any_status_and_to_a_long_signed_url_is_followed() {
    let dataset = single();
    // Signatures with session tokens are long.
    let long = format!("/x.bin?X-Amz-Security-Token={}", "x".repeat(4_000));
    let cases = [300, 301, 302, 303, 307, 308].map(|status| (status, "/x.bin?a".to_owned()));
    side_by_side(&[&cases[..], &[(307, long)]].concat(), |(status, target)| {
        let (bytes, status, target) = (dataset.stream(), *status, target.clone());
        let server = HttpServer::start(move |request, responder| match request.target == target {
            true => serve(&[("/x.bin".to_owned(), bytes.to_vec())], &[], request, responder),
            false => responder.respond(status, &[("location", &*target)], b""),
        });
        let project = project(&dataset, &format!("{}/data.bin", server.url()));
        dataset.assert_at(&project.path_of("data"));
    });
    // A URL that is too long, of a web seed and of a catalog.
    let server = HttpServer::start(|_, responder| {
        responder.respond(302, &[("location", &format!("/{}", "x".repeat(9_000)))], b"");
    });
    for project in [
        project(&dataset, &format!("{}/data.bin", server.url())),
        of_catalogue(&dataset, &server, ""),
    ] {
        let error = project.error();
        assert!(error.contains("redirects to a URL of 9001 bytes"), "{error}");
    }
}

/// A server may fail for one file, for example one that it cannot read.
#[test]
fn a_file_for_which_a_server_always_fails_is_left_out_and_the_rest_comes() {
    let dataset = many();
    // Also neighboring files, as of a directory that it cannot read.
    for (status, failing) in [(500, &["30"][..]), (502, &["30", "31"]), (504, &["00", "01"])] {
        let fails = move |path: &[u8]| failing.iter().any(|it| path.ends_with(it.as_bytes()));
        let (files, mut other) = (paths(&dataset), paths(&dataset));
        other.retain(|(path, _)| fails(path.as_bytes()));
        let server = HttpServer::start(move |request, responder| match fails(&request.path()) {
            true => responder.status(status),
            false => serve(&files, &[], request, responder),
        });
        let other =
            HttpServer::start(move |request, responder| serve(&other, &[], request, responder));
        let seeds = format!("web-seeds = [\"{}/\", \"{}/\"]", server.url(), other.url());
        dataset.assert_at(&Project::of(&dataset, &seeds).path_of("data"));
        // Without the other server, the error names one of the files.
        let error = project(&dataset, &format!("{}/", server.url())).error();
        let names = |it: &&str| error.contains(&format!("/set/f{it}: HTTP status {status}"));
        assert!(failing.iter().any(names), "{error}");
        assert!(error.contains(": 32.0 KiB are missing"), "{error}"); // one piece
    }
}

/// The URL may name the dataset's file or directory, or the directory that contains it.
#[test]
fn a_web_seed_that_names_the_thing_itself_or_where_it_is_serves_it() {
    let one = Dataset::multi("set", [("data.bin", random_bytes(3, 100_000))]);
    // A torrent with one file besides empty files counts as a single file.
    let beside = [("empty", Vec::new()), ("data.bin", random_bytes(3, 100_000))];
    let beside = Dataset::multi("set", beside);
    let (file, folder) = (single(), many());
    let cases: [(&Dataset, &str, &str); 13] = [
        (&beside, "/d/other.bin", "/d/other.bin"),
        (&one, "/data.bin", "/data.bin"),
        (&one, "/d/other.bin", "/d/other.bin"),
        (&one, "/", "/set/data.bin"),
        (&one, "/set", "/set/data.bin"),
        (&one, "/set/", "/set/data.bin"),
        (&folder, "/", "/set/"),
        (&folder, "/set", "/set/"),
        (&folder, "/set/", "/set/"),
        (&folder, "/set/", "/set/set/"),
        (&file, "/d", "/d/data.bin"),
        (&file, "/d/data.bin/", "/d/data.bin"),
        (&file, "/d/data.bin", "/d/data.bin"),
    ];
    side_by_side(&cases, |(dataset, named, at)| {
        let files: Vec<_> = match at.ends_with('/') {
            true => {
                dataset.files().into_iter().map(|(path, it)| (format!("{at}{path}"), it)).collect()
            }
            false => vec![((*at).to_owned(), dataset.stream().to_vec())],
        };
        let server =
            HttpServer::start(move |request, responder| serve(&files, &[], request, responder));
        let project = project(dataset, &format!("{}{named}", server.url()));
        let datasets = project.run().unwrap_or_else(|error| panic!("{named} {at}: {error}"));
        dataset.assert_at(datasets.dataset("data").unwrap().path());
        // Of the sixty files, not every one is requested twice.
        assert!(server.requests().len() < 100, "{named}: {}", server.requests().len());
    });
    // The error has the requested URL.
    let server = HttpServer::start(|_, responder| responder.status(404));
    for (dataset, named, asked) in [
        (&folder, "/set/", "/set/f"),
        (&one, "/x.bin", "/x.bin: HTTP status 404"),
        (&file, "/d", "/d/data.bin: HTTP status 404"),
    ] {
        let error = project(dataset, &format!("{}{named}", server.url())).error();
        assert!(error.contains(&format!("{}{asked}", server.url())), "{error}");
    }
}

/// A server without ranges, whose connections share this bandwidth.
fn without_ranges(files: Vec<(String, Vec<u8>)>, bytes_per_second: usize) -> HttpServer {
    slow(files, bytes_per_second, false)
}

/// A server whose connections share this bandwidth.
fn slow(files: Vec<(String, Vec<u8>)>, bytes_per_second: usize, ranges: bool) -> HttpServer {
    let line = Mutex::new(());
    HttpServer::start(move |request, responder| {
        let path = String::from_utf8(request.path()).unwrap();
        let (_, bytes) = files.iter().find(|(name, _)| *name == path).unwrap();
        let asked = request.range(bytes.len() as u64).flatten().filter(|_| ranges);
        let (start, end) = asked.map_or((0, bytes.len()), |it| (it.0 as usize, it.1 as usize));
        let range = format!("bytes {start}-{}/{}", end - 1, bytes.len());
        let (bytes, status) = (&bytes[start..end], if ranges { 206 } else { 200 });
        let length = bytes.len().to_string();
        let headers = [("content-length", &*length), ("connection", "close")];
        responder.head(status, &[&headers[..], &[("content-range", &range)]].concat());
        for part in bytes.chunks(32 << 10) {
            let _line = line.lock().unwrap();
            responder.pause(Duration::from_secs_f64(part.len() as f64 / bytes_per_second as f64));
            responder.body(part);
            if responder.ended() {
                return;
            }
        }
        responder.close();
    })
}

#[test]
fn a_server_without_ranges_sends_each_file_once() {
    let single = Dataset::single("data.bin", random_bytes(4, 10 << 20)).piece_length(64 << 10);
    let folder = Dataset::multi(
        "set",
        [
            ("a", random_bytes(5, 4 << 20)),
            ("b", random_bytes(6, 5 << 20)),
            ("c", random_bytes(7, 99_999)),
        ],
    )
    .piece_length(64 << 10);
    side_by_side(&[(&single, "/data.bin"), (&folder, "/")], |(dataset, path)| {
        let server = without_ranges(paths(dataset), 8 << 20);
        let project = project(dataset, &format!("{}{path}", server.url()))
            .env("ACADEMICTORRENTS_TIMEOUT", "30s");
        dataset.assert_at(&project.path_of("data"));
        // The tolerance covers data in flight to connections that were closed.
        let spare = 4 << 20;
        let length = dataset.stream().len() as u64;
        assert!(server.body_bytes() < length + spare, "{} of {length}", server.body_bytes());
    });
}

#[test]
fn a_resumed_file_of_a_server_without_ranges_is_read_past_once() {
    let dataset = Dataset::single("data.bin", random_bytes(8, 3 << 20)).piece_length(64 << 10);
    let files = paths(&dataset);
    let asked = AtomicUsize::new(0);
    // The first response ends early, within the first half.
    let server = HttpServer::start(move |_, responder| {
        let (first, bytes) = (asked.fetch_add(1, Ordering::SeqCst) == 0, &files[0].1);
        let length = bytes.len().to_string();
        responder.head(200, &[("content-length", &*length), ("connection", "close")]);
        responder.body(if first { &bytes[..1 << 20] } else { bytes });
        responder.close();
    });
    let project = project(&dataset, &format!("{}/data.bin", server.url()));
    dataset.assert_at(&project.path_of("data"));
    assert!(server.requests().len() <= 4, "{:?}", server.requests().len());
}

#[test]
fn a_server_without_ranges_that_holds_another_version_is_banned_soon() {
    let dataset = Dataset::single("data.bin", random_bytes(8, 1 << 20)).piece_length(64 << 10);
    let mut files = paths(&dataset);
    files[0].1[500_000] ^= 1; // piece 7
    let server = without_ranges(files, 64 << 20);
    let project = project(&dataset, &format!("{}/data.bin", server.url()));
    let error = project.error();
    let said = "(piece 7); banned; the server may hold another version of `data.bin`";
    assert!(error.contains(said), "{error}");
    assert!(server.requests().len() <= 8, "{:?}", server.requests().len());
}

#[test]
fn a_reply_that_always_ends_early_is_named_with_its_file() {
    let dataset = many();
    let files = paths(&dataset);
    for headers in [&[][..], &[("connection", "close")]] {
        let files = files.clone();
        let server = HttpServer::start(move |request, responder| match &*request.path() {
            b"/set/f30" if headers.is_empty() => {
                responder.head(
                    206,
                    &[("content-range", "bytes 0-3029/3030"), ("content-length", "3030")],
                );
                responder.body(&[1; 1000]);
                responder.close();
            }
            b"/set/f30" => {
                responder.head(200, headers);
                responder.body(&[1; 1000]);
                responder.close();
            }
            _ => serve(&files, &[], request, responder),
        });
        let error = project(&dataset, &format!("{}/", server.url())).error();
        let early = [
            "the connection was closed 2030 bytes before the end",
            "its reply ended 2030 bytes early",
        ];
        let said = early.map(|why| format!("/set/f30: {why}"));
        assert!(said.iter().any(|said| error.contains(said)), "{error}");
    }
}

/// Someone corrected one file of many on the server, or in a mirror that is a directory.
#[test]
fn another_version_of_a_file_costs_its_source_only_that_file() {
    let files: Vec<_> = (0..20).map(|n| (format!("f{n:02}"), random_bytes(n, 100_000))).collect();
    let dataset = Dataset::multi("set", files.iter().map(|(name, bytes)| (&**name, bytes.clone())));
    let other = random_bytes(99, 100_000);
    let mut changed = paths(&dataset);
    changed[7].1 = other.clone();
    let server =
        HttpServer::start(move |request, responder| serve(&changed, &[], request, responder));
    let mirror = tempfile::tempdir().unwrap();
    dataset.write_mirror(mirror.path());
    std::fs::write(mirror.path().join(dataset.infohash_hex()).join("set/f07"), other).unwrap();
    // The torrent's own seed has the right version.
    let right = vec![paths(&dataset)[7].clone()];
    let seed = HttpServer::start(move |request, responder| serve(&right, &[], request, responder));
    let with_seed = dataset.clone().url_list([format!("{}/", seed.url())]);
    for lines in [
        format!("web-seeds = [\"{}/\"]", server.url()),
        format!("mirrors = ['{}']", mirror.path().display()),
    ] {
        let error = Project::of(&dataset, &lines).error();
        let said = "`f07` is no longer requested from it, because it may have another version";
        assert!(error.contains(said), "{error}");
        // The four pieces of the file.
        assert!(error.contains(": 128.0 KiB are missing"), "{error}");
        dataset.assert_at(&Project::of(&with_seed, &lines).path_of("data"));
    }
}

/// No connection reads the rest of the file.
#[test]
fn another_version_of_a_large_file_is_left_by_all_connections() {
    let file = |name: &'static str, seed, length| (name, random_bytes(seed, length));
    let files = [file("a", 1, 100_000), file("x", 2, 12 << 20), file("z", 3, 100_000)];
    let dataset = Dataset::multi("set", files).piece_length(64 << 10);
    let (mut other, right) = (paths(&dataset), vec![paths(&dataset)[1].clone()]);
    other[1].1 = random_bytes(4, 12 << 20);
    for ranges in [true, false] {
        let right = right.clone();
        let right =
            HttpServer::start(move |request, responder| serve(&right, &[], request, responder));
        let with_seed = dataset.clone().url_list([format!("{}/", right.url())]);
        let server = slow(other.clone(), 8 << 20, ranges);
        let url = format!("{}/", server.url());
        let error = project(&dataset, &url).error();
        let said = "; `x` is no longer requested from it, because it may have another version";
        assert!(error.contains(said) || !ranges, "{error}");
        let before = server.body_bytes();
        assert!(before < 4 << 20, "{ranges}: {before}");
        dataset.assert_at(&project(&with_seed, &url).path_of("data"));
        let sent = server.body_bytes() - before;
        assert!(sent < 4 << 20, "{ranges}: {sent}");
    }
}

#[test]
fn a_piece_that_began_in_the_file_before_is_resumed_from_a_server_without_ranges() {
    let bytes = |seed| random_bytes(seed, 300_000);
    let dataset = Dataset::multi("set", [("a", bytes(8)), ("b", bytes(9))]).piece_length(1 << 18);
    let files = paths(&dataset);
    let asked = AtomicUsize::new(0);
    // The first response with `b` ends early, within the piece that begins in `a`.
    let server = HttpServer::start(move |request, responder| {
        let path = String::from_utf8(request.path()).unwrap();
        let (_, bytes) = files.iter().find(|(name, _)| *name == path).unwrap();
        let length = bytes.len().to_string();
        responder.head(200, &[("content-length", &*length), ("connection", "close")]);
        let is_cut = path.ends_with('b') && asked.fetch_add(1, Ordering::SeqCst) == 0;
        responder.body(if is_cut { &bytes[..100_000] } else { bytes });
        responder.close();
    });
    let project = project(&dataset, &format!("{}/", server.url()));
    dataset.assert_at(&project.path_of("data"));
    assert!(server.requests().len() <= 8, "{:?}", server.requests().len());
}

/// Of the servers behind one name, one lacks the file or refuses requests.
#[test]
fn a_file_that_a_server_has_sent_is_not_lost_to_a_single_refusal() {
    let dataset = Dataset::single("data.bin", random_bytes(8, 3 << 20)).piece_length(64 << 10);
    // Sends less than is requested, and refuses these requests, by their number.
    let project_of = |status: u16, refuses: fn(usize) -> bool| {
        let (asked, files) = (AtomicUsize::new(0), paths(&dataset));
        let server = HttpServer::start(move |request, responder| {
            let (start, end) = request.range(files[0].1.len() as u64).flatten().unwrap();
            if refuses(asked.fetch_add(1, Ordering::SeqCst)) {
                return responder.status(status);
            }
            let end = end.min(start + (1 << 18));
            let range = format!("bytes {start}-{}/{}", end - 1, files[0].1.len());
            let length = (end - start).to_string();
            responder.head(206, &[("content-range", &*range), ("content-length", &*length)]);
            responder.body(&files[0].1[start as usize..end as usize]);
        });
        let project = project(&dataset, &format!("{}/data.bin", server.url()));
        (project, server)
    };
    side_by_side(&[400, 403, 404, 410], |status| {
        let (project, _server) = project_of(*status, |number| number > 0 && number % 3 == 0);
        dataset.assert_at(&project.path_of("data"));
        // A file that was removed meanwhile is given up.
        let (project, server) = project_of(*status, |number| number > 0);
        let error = project.error();
        assert!(error.contains(&format!("/data.bin: HTTP status {status}")), "{error}");
        assert!(server.requests().len() < 60, "{}", server.requests().len());
    });
}

#[test]
fn a_file_of_which_a_server_has_sent_only_a_head_is_lost_to_a_single_refusal() {
    let dataset = Dataset::single("data.bin", random_bytes(8, 50_000));
    let asked = AtomicUsize::new(0);
    let server = HttpServer::start(move |_, responder| {
        if asked.fetch_add(1, Ordering::SeqCst) > 0 {
            return responder.status(404);
        }
        responder.head(200, &[("content-length", "50000")]);
        responder.close();
    });
    let error = project(&dataset, &format!("{}/data.bin", server.url())).error();
    assert!(error.contains("/data.bin: HTTP status 404"), "{error}");
    assert_eq!(server.requests().len(), 2);
}

/// Encodes gzip with stored blocks, without compression.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let mut blocks = bytes.chunks(60_000).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap();
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    // Checksum and length are not checked, because the infohash is.
    out.extend([0; 8]);
    out
}

type Headers = &'static [(&'static str, &'static str)];

/// A catalog that always answers this way.
fn catalogue(status: u16, headers: Headers, body: Vec<u8>) -> HttpServer {
    HttpServer::start(move |_, responder| responder.respond(status, headers, &body))
}

fn of_catalogue(dataset: &Dataset, server: &HttpServer, lines: &str) -> Project {
    Project::new(&format!(
        "[package.metadata.academictorrents.data]\ninfohash = \"{}\"\n{lines}",
        dataset.infohash_hex()
    ))
    .env("ACADEMICTORRENTS_CATALOGUE", server.url())
}

#[test]
fn a_torrent_or_trackers_reply_that_comes_with_gzip_is_inflated() {
    let dataset = single();
    let files = paths(&dataset);
    let seed = HttpServer::start(move |request, responder| serve(&files, &[], request, responder));
    let lines = format!("web-seeds = [\"{}/data.bin\"]", seed.url());
    let all: [Headers; 4] = [
        &[],
        &[("content-encoding", "gzip")],
        &[("content-encoding", "x-gzip")],
        &[("content-type", "application/x-gzip")],
    ];
    for headers in all {
        let server = catalogue(200, headers, gzip(&dataset.torrent()));
        dataset.assert_at(&of_catalogue(&dataset, &server, &lines).path_of("data"));
        let peer = Peer::seeding(&dataset);
        let port = peer.addr().port().to_be_bytes();
        let reply = [b"d8:intervali1800e5:peers6:\x7f\0\0\x01", &port[..], b"e"].concat();
        let tracker = catalogue(200, headers, gzip(&reply));
        let lines = format!("trackers = [\"{}/announce\"]", tracker.url());
        dataset.assert_at(&Project::of(&dataset, &lines).path_of("data"));
    }
    // A body that cannot be decompressed, and an unsupported encoding.
    let damaged = gzip(&dataset.torrent())[..100].to_vec();
    let other: &[(&str, &str)] = &[("content-encoding", "br")];
    for (headers, body) in [(all[1], damaged), (other, vec![7; 300])] {
        let error = of_catalogue(&dataset, &catalogue(200, headers, body), "").error();
        assert!(error.contains("the reply is compressed and cannot be decompressed"), "{error}");
    }
}

/// How the end of a reply contradicts its head.
#[derive(Clone, Copy, Debug)]
enum BodyEnd {
    /// The connection is closed before the stated length.
    Length,
    /// The connection is closed without a last chunk.
    Chunks,
}

/// A server that closes its connections early.
fn cut_off(end: BodyEnd, body: Vec<u8>) -> HttpServer {
    HttpServer::start(move |_, responder| {
        match end {
            BodyEnd::Length => {
                let length = (body.len() + 100).to_string();
                responder.head(200, &[("content-length", &*length)]);
                responder.raw(&body);
            }
            BodyEnd::Chunks => {
                responder.head(200, &[("transfer-encoding", "chunked")]);
                responder.raw(format!("{:x}\r\n", body.len()).as_bytes());
                responder.raw(&body);
                responder.raw(b"\r\n");
            }
        }
        responder.close();
    })
}

#[test]
fn a_torrent_or_trackers_reply_that_is_whole_may_end_early() {
    let dataset = single();
    let files = paths(&dataset);
    let seed = HttpServer::start(move |request, responder| serve(&files, &[], request, responder));
    let lines = format!("web-seeds = [\"{}/data.bin\"]", seed.url());
    let as_is: fn(&[u8]) -> Vec<u8> = <[u8]>::to_vec;
    let cases = [BodyEnd::Length, BodyEnd::Chunks];
    for (end, encode) in cases.into_iter().flat_map(|end| [(end, as_is), (end, gzip)]) {
        let server = cut_off(end, encode(&dataset.torrent()));
        dataset.assert_at(&of_catalogue(&dataset, &server, &lines).path_of("data"));
        let peer = Peer::seeding(&dataset);
        let port = peer.addr().port().to_be_bytes();
        let reply = [b"d8:intervali1800e5:peers6:\x7f\0\0\x01", &port[..], b"e"].concat();
        let tracker = cut_off(end, encode(&reply));
        let lines = format!("trackers = [\"{}/announce\"]", tracker.url());
        dataset.assert_at(&Project::of(&dataset, &lines).path_of("data"));
        // A reply that is not whole.
        let tracker = cut_off(end, encode(&reply[..reply.len() - 1]));
        let lines = format!("trackers = [\"{}/announce\"]", tracker.url());
        let error = Project::of(&dataset, &lines).error();
        assert!(error.contains("/announce: the connection was closed early"), "{error}");
    }
}

#[test]
fn a_bot_check_is_named_with_what_to_do_and_peers_are_asked_all_the_same() {
    let dataset = single();
    let page = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>";
    let cases: [(u16, Headers, &[u8]); 5] = [
        (403, &[("cf-mitigated", "challenge")], b""),
        (503, &[("content-type", "text/html")], page),
        (
            403,
            &[("content-type", "text/html; charset=utf-8"), ("server", "ddos-guard")],
            b"<html>DDoS-Guard",
        ),
        (200, &[("content-type", "text/html")], page),
        (429, &[], page),
    ];
    side_by_side(&cases, |(status, headers, body)| {
        let server = catalogue(*status, headers, body.to_vec());
        let error = of_catalogue(&dataset, &server, "").error();
        let said = format!(
            "the server answered with a bot check that only browsers can pass (HTTP status {status})"
        );
        assert!(error.contains(&said), "{error}");
        assert!(error.contains("help: programs cannot pass a bot check"), "{error}");
        // No further request goes to the catalog.
        assert_eq!(server.requests().len(), 1);
        let agent = server.requests()[0].header("user-agent").unwrap().to_owned();
        assert!(
            agent.starts_with("academictorrents-rs/") && agent.contains("(+https://"),
            "{agent}"
        );
        let peer = Peer::seeding(&dataset);
        let lines = format!("peers = [\"{}\"]", peer.addr());
        dataset.assert_at(&of_catalogue(&dataset, &server, &lines).path_of("data"));
        // Also for a tracker, and for a web seed that marks the check in its headers.
        let error =
            Project::of(&dataset, &format!("trackers = [\"{}/announce\"]", server.url())).error();
        assert!(error.contains("a bot check"), "{error}");
        if headers.iter().any(|(name, _)| *name == "cf-mitigated") {
            let error = project(&dataset, &format!("{}/data.bin", server.url())).error();
            assert!(error.contains("a bot check"), "{error}");
        }
    });
    // Another web page instead of a torrent.
    let server = catalogue(200, &[("content-type", "text/html")], b"<html><h1>Hello".to_vec());
    let error = of_catalogue(&dataset, &server, "").error();
    assert!(error.contains("as a web page does"), "{error}");
}
