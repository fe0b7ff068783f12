//! The table of settings: [`SETTINGS`].

use std::sync::Arc;

use super::{
    CaDirectories, CaFile, Fetch, NetrcFile, OfflineBy, PREFIX, Progress, ProxyUrl, SettingKind,
    SourceSet,
};
use crate::url::Url;
use DefaultValue::{Described, OutsideCi, Value};

/// A row of [`SETTINGS`].
pub struct Setting {
    /// The variables that set it, in order of precedence. They take precedence over the
    /// configuration file.
    pub variables: &'static [&'static str],
    /// The key in the configuration file; empty if the setting has none.
    pub key: &'static str,
    /// Variables of other programs, used if neither the variables nor the key is set.
    pub fallbacks: &'static [&'static str],
    /// How to parse the value, and which field of [`super::Settings`] to store it in, with what set
    /// it (`None`: the default).
    pub kind: SettingKind,
    pub default: DefaultValue,
    /// Whether its value is never printed.
    pub secret: bool,
    /// An example value, in the syntax of the configuration file.
    pub example: &'static str,
    /// One or more sentences for the reference.
    pub doc: &'static str,
}

impl Setting {
    const fn default(self, default: DefaultValue) -> Setting {
        Setting { default, ..self }
    }

    const fn fallbacks(self, fallbacks: &'static [&'static str]) -> Setting {
        Setting { fallbacks, ..self }
    }

    const fn secret(self) -> Setting {
        Setting { secret: true, ..self }
    }

    const fn doc(self, example: &'static str, doc: &'static str) -> Setting {
        Setting { example, doc, ..self }
    }

    /// The row of `ACADEMICTORRENTS_<name>`.
    pub(super) fn named(name: &str) -> Option<&'static Setting> {
        SETTINGS.iter().find(|row| row.variable().strip_prefix(PREFIX) == Some(name))
    }

    /// The variable that messages name.
    pub fn variable(&self) -> &'static str {
        self.variables.first().copied().unwrap_or_default()
    }
}

/// The value of a setting that is not set.
pub enum DefaultValue {
    Unset,
    Value(&'static str),
    /// The second value applies if the variable `CI` is set.
    OutsideCi(&'static str, &'static str),
    /// A description instead of a fixed value.
    Described(&'static str),
}

/// A row without a default.
const fn setting(
    variables: &'static [&'static str],
    key: &'static str,
    kind: SettingKind,
) -> Setting {
    let default = DefaultValue::Unset;
    Setting { variables, key, fallbacks: &[], kind, default, secret: false, example: "", doc: "" }
}

/// All settings, in the order in which messages and the reference list the keys.
pub static SETTINGS: [Setting; 22] = [
    setting(&["ACADEMICTORRENTS_STORE"], "store", SettingKind::Store)
        .default(Described("`academictorrents` in the user's cache directory: `$XDG_CACHE_HOME` or `~/.cache`; `~/Library/Caches` on macOS; `%LOCALAPPDATA%` on Windows"))
        .doc(r#""/data/academictorrents""#, "Directory of the shared store. At run time, `Get::store` and `set_store` take precedence."),
    setting(&["ACADEMICTORRENTS_LOAD_PATH"], "load-path", SettingKind::Directories(|to, it, _| to.load_path = it))
        .doc(r#"["/shared/academictorrents", "/mnt/datasets"]"#, "Directories to search before anything is downloaded: other stores, or datasets in the torrent's own layout. They are not written to."),
    setting(&["ACADEMICTORRENTS_MIRRORS"], "mirrors", SettingKind::Mirrors(|to, it, _| {
        to.mirrors = it.into_iter().map(Url::from).collect();
    }))
        .doc(r#"["https://data.example.edu/at", "/shared/mirror"]"#, "Additional mirrors, tried before those of the manifest."),
    setting(&["ACADEMICTORRENTS_SOURCES"], "sources", SettingKind::Words(&SourceSet::NAMES, |to, it, _| {
        let kinds = SourceSet::parse(it.iter().map(String::as_str)).unwrap_or_default();
        // A list that consists only of commas has no items.
        to.sources = if kinds == SourceSet::NONE { SourceSet::default() } else { kinds };
    }))
        .default(Value("mirrors, catalogue, web-seeds, peers"))
        .doc(r#"["mirrors", "catalogue", "web-seeds"]"#, "Kinds of sources that may be used. A kind that the manifest does not allow stays disabled."),
    setting(&["ACADEMICTORRENTS_PEERS"], "peers", SettingKind::Peers(|to, it, _| to.peers = it))
        .doc(r#"["peer.example.org:6881", "[2001:db8::1]:6881"]"#, "Additional peers."),
    setting(&["ACADEMICTORRENTS_DEFAULT_TRACKERS"], "default-trackers", SettingKind::Trackers(|to, it, _| {
        to.default_trackers = Some(it.into_iter().map(Url::from).collect());
    }))
        .default(Described("`https://academictorrents.com/announce.php` and `https://ipv6.academictorrents.com/announce.php`; none if `catalogue` names another catalog"))
        .doc(r#"["udp://tracker.opentrackr.org:1337/announce"]"#, "Trackers to ask for a bare infohash, for which neither the manifest nor a magnet link names a tracker, when neither mirrors nor the catalog have its `.torrent`. They are asked in addition to the built-in ones; `off` (`[]` in the configuration file) disables these, and `off` followed by trackers replaces them. Once a torrent turns out to be private, they are no longer asked and their peers are dropped."),
    setting(&["ACADEMICTORRENTS_DHT_BOOTSTRAP"], "dht-bootstrap", SettingKind::Nodes(|to, it, _| {
        to.dht_bootstrap = Some(it);
    }))
        .default(Described("well-known nodes"))
        .doc(r#"["router.example.org:6881"]"#, "DHT nodes to contact first; `off` (`[]` in the configuration file) disables the DHT. Without the feature `dht`, the DHT is not used."),
    setting(&["ACADEMICTORRENTS_PRIVATE_HOSTS"], "private-hosts", SettingKind::Hosts(|to, it, _| {
        to.private_hosts = Arc::new(it);
    }))
        .doc(r#"["data.lab", "10.1.2.3:8080", "10.0.0.0/8"]"#, "Hosts on this machine or on private networks that may be contacted whichever source names them; see [Which hosts are contacted](../guide/network.md#which-hosts-are-contacted)."),
    setting(&["ACADEMICTORRENTS_MAX_SIZE"], "max-size", SettingKind::Size(|to, it, _| to.max_size_bytes = Some(it)))
        .doc(r#""20GiB""#, "Largest download of a dataset. Replaces the built-in limit of 1 GiB and caps `max-size` in manifests."),
    setting(&["ACADEMICTORRENTS_TIMEOUT"], "timeout", SettingKind::Duration(|to, it, by| {
        (to.timeout, to.timeout_is_chosen) = (it, by.is_some());
    }))
        .default(Value("120 s"))
        .doc(r#""5m""#, "Give up when no source has sent a byte for this long, or when the average rate over this long (at least 30 s) is below 1 KiB/s. Verified data is kept. Unless this is set, a download fails sooner if no web seed has a needed file and neither a tracker nor the DHT knows a peer."),
    setting(&["ACADEMICTORRENTS_UPLOAD"], "upload", SettingKind::Rate(|to, it, by| {
        (to.upload_bytes_per_second, to.upload_is_chosen) = (it, by.is_some());
    }))
        // A small part of the upload bandwidth of universities and homes. In CI, the machine's
        // owner did not ask for uploads.
        .default(OutsideCi("1.0 MiB", "0 B"))
        .doc(r#""500kB""#, "Bytes per second sent to peers, in total, while a dataset is downloaded; `0` disables uploading. Unless this is set, datasets of dependencies are not uploaded."),
    setting(&["ACADEMICTORRENTS_OFFLINE", "CARGO_NET_OFFLINE"], "offline", SettingKind::Flag(|to, yes, by| {
        (to.offline, to.offline_by) = (yes, by.filter(|_| yes).map(OfflineBy::Setting));
    }))
        .default(Value("no"))
        .doc("true", "Do not open any socket. `cargo build --offline` and `--frozen` (on Linux) and `[net] offline` in [Cargo's configuration](environment.md#cargos-configuration) have the same effect."),
    setting(&["ACADEMICTORRENTS_FETCH"], "fetch", SettingKind::Word(&["always", "local", "never"], |to, it, _| {
        to.fetch = match it {
            "always" => Fetch::Always,
            "never" => Fetch::Never,
            _ => Fetch::Local,
        };
    }))
        .default(Value("local"))
        .doc(r#""never""#, "Which packages may download missing data. `always`: all of them; `local`: your own packages, but not dependencies that Cargo downloaded; `never`: none. Data on this machine is used in every mode: the store, `LOAD_PATH`, `PATH_<NAME>` and mirrors that are directories. `cargo academictorrents` follows it too, and treats all packages as your own."),
    setting(&["ACADEMICTORRENTS_PROGRESS"], "progress", SettingKind::Word(&["auto", "plain", "off"], |to, it, _| {
        to.progress = match it {
            "plain" => Progress::Plain,
            "off" => Progress::Off,
            _ => Progress::Auto,
        };
    }))
        .default(Value("auto"))
        .doc(r#""plain""#, "How progress is shown: `auto` draws bars on a terminal and prints lines otherwise, `plain` prints lines to stderr, `off` shows nothing."),
    setting(&["ACADEMICTORRENTS_CATALOGUE"], "catalogue", SettingKind::Url(|to, it, by| {
        to.catalogue = it.trim_end_matches('/').into();
        to.catalogue_is_chosen = by.is_some();
    }))
        .default(Value("https://academictorrents.com"))
        .doc(r#""https://catalog.example.org""#, "Base URL of the catalog. Torrents are at `/download/<infohash>.torrent` below it."),
    setting(&["ACADEMICTORRENTS_API_KEY"], "api-key", SettingKind::ApiKey(|to, it, _| to.api_key = Some(it)))
        .secret()
        .doc(r#""uid=14;pass=0f3a""#, "Key of your account at the catalog, as Academic Torrents shows it. It is sent as a cookie to the catalog only, not along a redirect to another host, and it is never printed."),
    setting(&["ACADEMICTORRENTS_CREDENTIALS"], "credentials", SettingKind::Credentials(|to, it, _| to.credentials = it))
        .secret()
        .doc(r#"{ "data.example.org" = { token = "0f3a" }, "data.lab:8080" = { header = "X-Api-Key: 0f3a" } }"#, "Credentials for mirrors and web seeds: for each host, or `host:port`, a bearer token or a whole header. [Mirrors and web seeds with a login](../guide/network.md#mirrors-and-web-seeds-with-a-login) explains when they are sent. The variable contains `host=token` and `host=Name:value`, separated by commas or spaces."),
    setting(&["NETRC"], "netrc", SettingKind::File(|to, path, by| to.netrc = Some(NetrcFile { path, by })))
        .default(Described("~/.netrc"))
        .doc(r#""/etc/academictorrents.netrc""#, "File with names and passwords for mirrors and web seeds, in curl's format: `machine data.example.org login me password …`. Its `default` entry is never used. [Mirrors and web seeds with a login](../guide/network.md#mirrors-and-web-seeds-with-a-login) explains when they are sent."),
    setting(&["ACADEMICTORRENTS_CA_FILE"], "ca-file", SettingKind::File(|to, path, by| {
        to.ca_file = by.map(|variable| CaFile { path, variable });
    }))
        .fallbacks(&["CARGO_HTTP_CAINFO", "SSL_CERT_FILE"])
        .doc(r#""/etc/ssl/university.pem""#, "PEM file of root certificates to trust in addition to the built-in ones and the system's. `[http] cainfo` in [Cargo's configuration](environment.md#cargos-configuration) counts as `CARGO_HTTP_CAINFO`."),
    setting(&["ACADEMICTORRENTS_CA_DIR"], "ca-dir", SettingKind::Directories(|to, paths, by| {
        to.ca_directories = by.map(|variable| CaDirectories { paths, variable });
    }))
        .fallbacks(&["SSL_CERT_DIR"])
        .doc(r#"["/etc/ssl/university"]"#, "Directories of PEM files with root certificates, as in OpenSSL's `SSL_CERT_DIR`. Other files in them are ignored."),
    setting(&["CARGO_HTTP_PROXY", "HTTPS_PROXY", "https_proxy", "http_proxy", "ALL_PROXY", "all_proxy"], "proxy", SettingKind::Proxy(|to, url, by| {
        to.proxy = by.map(|variable| ProxyUrl { url, variable });
    }))
        .doc(r#""socks5h://proxy.example.edu:1080""#, "Proxy: `http://host:port` or `socks5h://host:port`, with `name:password@` before the host if it requires a login; see [Proxies](../guide/network.md#proxies). `[http] proxy` in [Cargo's configuration](environment.md#cargos-configuration) counts as `CARGO_HTTP_PROXY`; an empty one there means no proxy."),
    setting(&["NO_PROXY", "no_proxy"], "", SettingKind::Text(|to, it, _| to.no_proxy = Some(it.to_owned())))
        .doc(r#""example.org,data.example.edu:8080,10.1.0.0/16""#, "Hosts to connect to without the proxy, separated by commas or spaces, in the format of curl and Cargo. An item is a domain (`example.org` or `.example.org`, with all its subdomains), an address, a network (`10.1.0.0/16`, `[fd00::]/8`), or `*` for all hosts. `:port` after an item limits it to one port. `*.example.org` means only the subdomains, `10.1.*` all names and addresses with this prefix."),
];
