//! BitTorrent clients. Each gets a torrent and a directory, and checks the directory's files before
//! it seeds. Each uses only loopback and the torrent's trackers: no DHT, no local discovery, no
//! port mapping.

use std::cell::Cell;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::program::{Program, Tool, free_port, in_node};
use crate::swarm::Dataset;
use crate::swarm::wire::{BITFIELD, Handshake, Message, bitfield};

pub struct Client {
    pub tool: &'static Tool,
    /// What it downloads by magnet link from a single peer.
    pub magnet: Magnet,
    command: fn(&Start<'_>) -> Command,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Magnet {
    /// The whole dataset.
    Dataset,
    /// The info dictionary; after a restart, the whole dataset. It reconnects to the peer that sent
    /// the info dictionary only after ten minutes.
    InfoFirst,
    /// The whole dataset, but it accepts magnet links only by RPC.
    ByRpc,
}

/// The arguments that a client starts with.
struct Start<'a> {
    home: &'a Path,
    port: u16,
    /// The .torrent.
    torrent: &'a Path,
    /// Its path, or a magnet link.
    source: &'a str,
    /// The directory that contains the torrent's root.
    directory: &'a Path,
}

static TRANSMISSION: Tool = Tool::debian("transmission-daemon", "Debian: transmission-daemon");
static ARIA2: Tool = Tool::debian("aria2c", "Debian: aria2");
static LIBTORRENT_TOOL: Tool = Tool::python("libtorrent", "Debian: python3-libtorrent");
static RTORRENT: Tool = Tool::debian("rtorrent", "Debian: rtorrent");
static RQBIT: Tool = Tool::welcome("rqbit", "cargo install rqbit");

static WEBTORRENT: Tool = Tool::node("webtorrent", "npm ci --ignore-scripts in tests/interop/node");

pub const LIBTORRENT: Client =
    Client { tool: &LIBTORRENT_TOOL, magnet: Magnet::Dataset, command: libtorrent };

pub static ALL: [Client; 6] = [
    Client { tool: &TRANSMISSION, magnet: Magnet::ByRpc, command: transmission },
    Client { tool: &ARIA2, magnet: Magnet::Dataset, command: aria2 },
    LIBTORRENT,
    Client { tool: &RTORRENT, magnet: Magnet::InfoFirst, command: rtorrent },
    Client { tool: &WEBTORRENT, magnet: Magnet::Dataset, command: webtorrent },
    Client { tool: &RQBIT, magnet: Magnet::Dataset, command: rqbit },
];

/// Beside the dataset: the directory where rtorrent keeps torrents.
const SESSION: &str = ".session";

/// Beside the dataset: a file with Transmission's RPC port.
const RPC: &str = ".rpc";

/// A client that has the whole dataset and offers it to peers.
pub struct Seeder {
    program: Program,
    _data: tempfile::TempDir,
}

impl Seeder {
    pub fn address(&self) -> SocketAddr {
        self.program.address()
    }
}

impl Client {
    #[track_caller]
    pub fn seeding(&self, dataset: &Dataset) -> Seeder {
        let data = tempfile::tempdir().unwrap();
        dataset.write_to(data.path());
        let has_all = |address| offers_all(address, dataset).unwrap_or(false);
        let program = self.start(&dataset.torrent(), None, data.path(), has_all);
        Seeder { program, _data: data }
    }

    /// How many completed downloads it reports to a tracker, although it had all data from the
    /// start.
    pub fn completions(&self) -> u64 {
        u64::from(self.tool.name == WEBTORRENT.name)
    }

    /// Starts it with the .torrent, and waits until it has the whole dataset in this directory.
    #[track_caller]
    pub fn leech(&self, dataset: &Dataset, directory: &Path) -> Program {
        let has_all = |address| offers_all(address, dataset).unwrap_or(false);
        self.start(&dataset.torrent(), None, directory, has_all)
    }

    /// Starts it with a magnet link, and waits until it has the whole dataset.
    #[track_caller]
    pub fn leech_by_magnet(&self, dataset: &Dataset, link: &str, directory: &Path) -> Program {
        let has_all = |address| offers_all(address, dataset).unwrap_or(false);
        let start = |is_ready: &dyn Fn(SocketAddr) -> bool| {
            self.start(&dataset.torrent(), Some(link), directory, is_ready)
        };
        match self.magnet {
            Magnet::Dataset => start(&has_all),
            Magnet::InfoFirst => {
                let info = dataset.info_bytes();
                let kept = format!("{}.torrent", dataset.infohash_hex().to_uppercase());
                let kept = directory.join(SESSION).join(kept);
                let has_info = |_| {
                    fs::read(&kept).is_ok_and(|it| it.windows(info.len()).any(|part| part == info))
                };
                drop(start(&has_info));
                start(&has_all)
            }
            Magnet::ByRpc => {
                let was_told = Cell::new(false);
                start(&|address| {
                    if !was_told.get() {
                        was_told.set(add_by_rpc(directory, link).unwrap_or(false));
                    }
                    has_all(address)
                })
            }
        }
    }

    #[track_caller]
    fn start(
        &self,
        torrent: &[u8],
        magnet: Option<&str>,
        directory: &Path,
        is_ready: impl Fn(SocketAddr) -> bool,
    ) -> Program {
        let command = |home: &Path, port| {
            let path = home.join("data.torrent");
            fs::write(&path, torrent).unwrap();
            let source = magnet.unwrap_or(path.to_str().unwrap());
            (self.command)(&Start { home, port, torrent: &path, source, directory })
        };
        Program::start(self.tool, command, is_ready)
    }
}

/// Whether the peer at this address has all pieces. While a client checks its files, it hangs up or
/// lacks some.
fn offers_all(address: SocketAddr, dataset: &Dataset) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(&Handshake::new(dataset.infohash(), false).write())?;
    if Handshake::read(&mut stream)?.is_none_or(|it| it.infohash != dataset.infohash()) {
        return Ok(false);
    }
    let all = bitfield(&vec![true; dataset.piece_count()]);
    loop {
        let message = Message::read(&mut stream)?;
        if message.id == BITFIELD {
            return Ok(message.payload == all);
        }
    }
}

/// Whether Transmission accepted the link. Its first answer contains the session ID that requests
/// need.
fn add_by_rpc(directory: &Path, link: &str) -> std::io::Result<bool> {
    let port = fs::read_to_string(directory.join(RPC))?;
    let body =
        format!("{{\"method\": \"torrent-add\", \"arguments\": {{\"filename\": \"{link}\"}}}}");
    let post = |id: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port.parse().unwrap()))?;
        write!(
            stream,
            "POST /transmission/rpc HTTP/1.0\r\nHost: 127.0.0.1\r\nX-Transmission-Session-Id: {id}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply)?;
        std::io::Result::Ok(String::from_utf8_lossy(&reply).into_owned())
    };
    let refused = post("")?;
    let id = refused.lines().find_map(|line| line.strip_prefix("X-Transmission-Session-Id: "));
    Ok(post(id.unwrap_or_default())?.contains("\"success\""))
}

/// Watches a directory for the .torrent, and accepts magnet links only by RPC. (A link in its
/// configuration directory `torrents` loads under a wrong name, so it is not found when peers
/// request the metainfo.) Unchokes peers only every ten seconds, so its trials take longest.
fn transmission(start: &Start<'_>) -> Command {
    let Start { home, port, torrent, source, directory } = start;
    let watched = home.join("watched");
    fs::create_dir(&watched).unwrap();
    let by_link = source.starts_with("magnet:");
    if !by_link {
        fs::copy(torrent, watched.join("data.torrent")).unwrap();
    }
    let rpc_port = free_port();
    fs::write(directory.join(RPC), rpc_port.to_string()).unwrap();
    // `Debug` of a temporary directory's path is a valid JSON string.
    let settings = format!(
        "{{\"bind-address-ipv4\": \"127.0.0.1\", \"bind-address-ipv6\": \"::1\", \"peer-port\": {port}, \
         \"download-dir\": {directory:?}, \"watch-dir\": {watched:?}, \"watch-dir-enabled\": true, \"rpc-enabled\": {by_link}, \"rpc-bind-address\": \"127.0.0.1\", \"rpc-port\": {rpc_port}, \"dht-enabled\": false, \"lpd-enabled\": false, \
         \"pex-enabled\": false, \"utp-enabled\": false, \"port-forwarding-enabled\": false}}"
    );
    fs::write(home.join("settings.json"), settings).unwrap();
    let mut command = TRANSMISSION.command(home);
    command.args(["--foreground", "--log-info", "--config-dir"]).arg(home);
    command
}

/// Without `--check-integrity`, it does not use existing files and downloads to other names.
fn aria2(start: &Start<'_>) -> Command {
    let mut command = ARIA2.command(start.home);
    command.args([
        "--no-conf",
        "--check-integrity=true",
        "--seed-ratio=0",
        "--interface=127.0.0.1",
        "--disable-ipv6=true",
        "--enable-dht=false",
        "--enable-dht6=false",
        "--bt-enable-lpd=false",
        "--enable-peer-exchange=false",
        "--console-log-level=info",
        "--enable-color=false",
    ]);
    command.arg(format!("--listen-port={}", start.port));
    command.arg("--dir").arg(start.directory).arg(start.source);
    command
}

/// libtorrent is a library. The program is ours, and uses the packaged Python binding.
fn libtorrent(start: &Start<'_>) -> Command {
    let script = start.home.join("libtorrent_client.py");
    fs::write(&script, include_str!("libtorrent_client.py")).unwrap();
    let mut command = LIBTORRENT_TOOL.command(start.home);
    command.arg(script).arg(start.source).arg(start.directory).arg(start.port.to_string());
    command
}

/// webtorrent is a library for Node.
fn webtorrent(start: &Start<'_>) -> Command {
    let mut command = WEBTORRENT.command(start.home);
    command.arg(in_node("webtorrent.mjs")).arg(start.source).arg(start.directory);
    command.arg(start.port.to_string());
    command
}

/// Draws on a terminal and fails without one, unless it is a daemon. The daemon stays in the
/// foreground.
fn rtorrent(start: &Start<'_>) -> Command {
    let Start { home, port, source, directory, .. } = start;
    let (session, log) = (directory.join(SESSION), home.join("log"));
    fs::create_dir_all(&session).unwrap();
    let configuration = format!(
        "system.daemon.set = true\nnetwork.bind_address.set = 127.0.0.1\nnetwork.port_range.set = {port}-{port}\n\
         network.port_random.set = no\ndht.mode.set = off\nprotocol.pex.set = no\nsession.path.set = {}\n\
         directory.default.set = {}\nlog.open_file = \"log\", {}\nlog.add_output = \"info\", \"log\"\n\
         log.add_output = \"tracker_info\", \"log\"\n\
         schedule2 = begin, 0, 0, ((load.start, \"{}\"))\n",
        session.display(),
        directory.display(),
        log.display(),
        source,
    );
    fs::write(home.join("rtorrent.rc"), configuration).unwrap();
    let mut command = RTORRENT.command(home);
    command.args(["-n", "-o", "import=rtorrent.rc"]);
    command
}

/// Without `--overwrite`, it refuses existing files. Without `--announce-port`, it announces its
/// default port. CI does not have it: no distribution packages it, and two cores compile it for
/// four minutes.
fn rqbit(start: &Start<'_>) -> Command {
    let port = &start.port.to_string();
    let mut command = RQBIT.command(start.home);
    command.args(["--disable-dht", "--disable-lsd", "--listen-ip", "127.0.0.1"]);
    command.args(["--listen-port", port, "--announce-port", port]);
    command.args(["download", "--disable-http-api", "--overwrite", "--output-folder"]);
    command.arg(start.directory).arg(start.source);
    command
}
