use super::*;

#[track_caller]
fn check_kind(expected: AddressKind, addresses: &[&str]) {
    for address in addresses {
        assert_eq!(kind(address.parse().unwrap()), expected, "{address}");
    }
}

#[test]
fn every_range_and_its_edges() {
    check_kind(
        AddressKind::Public,
        &[
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "169.253.255.255",
            "192.167.255.255",
            "223.255.255.255",
            // Documentation and benchmark networks count as public: see the module documentation.
            "203.0.113.9",
            "198.18.0.1",
            "2001:db8::1",
            "2606:4700::1111",
        ],
    );
    check_kind(
        AddressKind::Private,
        &[
            "10.0.0.0",
            "10.255.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.168.0.0",
            "192.168.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "fc00::",
            "fdff:ffff::1",
            "fec0::1",
        ],
    );
    check_kind(AddressKind::Loopback, &["127.0.0.0", "127.0.0.1", "127.255.255.255", "::1"]);
    check_kind(AddressKind::LinkLocal, &["169.254.0.0", "169.254.255.255", "fe80::1", "febf::1"]);
    check_kind(
        AddressKind::Special,
        &[
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "192.0.0.8",
            "::",
            "ff02::1",
            "100::1",
        ],
    );
    check_kind(
        AddressKind::Metadata,
        &[
            "169.254.169.254",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "fd00:ec2::254",
            "fd20:ce::254",
        ],
    );
}

#[test]
fn an_embedded_ipv4_address_counts_as_itself_in_every_spelling() {
    let spellings = |v4: &str| {
        let ip: Ipv4Addr = v4.parse().unwrap();
        let [a, b, c, d] = ip.octets();
        let inverted = Ipv4Addr::from(!u32::from(ip));
        [
            format!("::ffff:{v4}"),
            format!("::{v4}"),
            format!("::ffff:0:{v4}"),
            format!("64:ff9b::{v4}"),
            format!("64:ff9b:1::{v4}"),
            // The other lengths of a NAT64 prefix; the ninth byte is always zero.
            format!("64:ff9b:1:{a:02x}{b:02x}:00{c:02x}:{d:02x}00::"),
            format!("64:ff9b:1:00{a:02x}:00{b:02x}:{c:02x}{d:02x}::"),
            format!("64:ff9b:1:0:00{a:02x}:{b:02x}{c:02x}:{d:02x}00::"),
            format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1"),
            format!("2001:0:{a:02x}{b:02x}:{c:02x}{d:02x}::"),
            format!("2001:0:505:505::{inverted}"),
            format!("2606:4700::5efe:{v4}"),
            format!("2606:4700::200:5efe:{v4}"),
        ]
    };
    for (v4, expected) in [
        ("127.0.0.1", AddressKind::Loopback),
        ("10.1.2.3", AddressKind::Private),
        ("192.168.7.8", AddressKind::Private),
        ("100.64.0.9", AddressKind::Private),
        ("169.254.1.2", AddressKind::LinkLocal),
        ("169.254.169.254", AddressKind::Metadata),
        ("224.0.0.251", AddressKind::Special),
    ] {
        for spelling in spellings(v4) {
            let found = kind(spelling.parse().unwrap());
            assert!(found >= expected, "{v4} as {spelling}: {found:?}");
        }
    }
    check_kind(
        AddressKind::Public,
        &["::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "64:ff9b:1::93.184.1.1", "2002:101:101::1"],
    );
}

#[test]
fn a_literal_is_read_as_resolvers_do() {
    let check = |host: &str, expected: Option<&str>| {
        assert_eq!(literal(host), expected.map(|it| it.parse().unwrap()), "{host}");
    };
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "2130706433",
        "0x7f000001",
        "0X7F.1",
        "0177.0.0.01",
        "127.1",
        "127.0.1",
        "127。0．0｡1",
        "１２７.0.0.1",
    ] {
        check(host, Some("127.0.0.1"));
    }
    check("[::1]", Some("::1"));
    check("[fe80::1%eth0]", Some("fe80::1"));
    check("[::ffff:7f00:1]", Some("::ffff:127.0.0.1"));
    for name in
        ["", "localhost", "1.2.3.4.5", "256.1.1.1", "127.0.0.09", "4294967296", "a.1", "0xg"]
    {
        check(name, None);
    }
}

fn hosts(list: &[&str]) -> PrivateHosts {
    PrivateHosts::parse(list.iter().copied()).unwrap()
}

fn allows(hosts: &PrivateHosts, by: NamedBy, url: &str, address: &str) -> bool {
    let (scheme, place) = url.split_once("://").unwrap();
    let port = host_and_port(place).unwrap().1;
    let address = SocketAddr::new(address.parse().unwrap(), port);
    let host = host_and_port(place).unwrap().0;
    hosts.judge(by, host, scheme == "https", address).is_ok()
}

#[test]
fn strangers_name_public_addresses_and_the_user_all_but_two_kinds() {
    let none = PrivateHosts::default();
    let check = |by: &[NamedBy], url: &str, address: &str, expected: bool| {
        for by in by {
            assert_eq!(allows(&none, *by, url, address), expected, "{by:?} {url} {address}");
        }
    };
    use NamedBy::{Catalog, Dependency, Neighbor, Redirect, Torrent, User, UserTorrent};
    let strangers = [
        Catalog,
        Dependency,
        Redirect,
        Torrent,
        #[cfg(feature = "dht")]
        NamedBy::Dht,
    ];
    let trusted = [User, UserTorrent, Neighbor];
    for address in ["127.0.0.1", "0.0.0.0", "10.0.0.1", "::ffff:10.0.0.1", "fd00::1", "224.0.0.1"] {
        check(&strangers, "http://x.example:80", address, false);
        check(&trusted, "http://x.example:80", address, true);
    }
    for address in ["169.254.169.254", "169.254.1.1", "fe80::1", "100.100.100.200"] {
        check(&strangers, "https://x.example:443", address, false);
        check(&trusted, "https://x.example:443", address, false);
    }
    check(&strangers, "http://x.example:80", "1.1.1.1", true);
    // A certificate proves a name, not an address.
    check(&strangers, "https://x.example:443", "10.0.0.1", true);
    check(&strangers, "https://10.0.0.1:443", "10.0.0.1", false);
    check(&strangers, "https://167772161:443", "10.0.0.1", false);
    check(&strangers, "https://x.example:443", "127.0.0.1", false);
}

#[test]
fn what_the_setting_lists_is_allowed_to_all() {
    let check = |list: &[&str], url: &str, address: &str, expected: bool| {
        let found = allows(&hosts(list), NamedBy::Torrent, url, address);
        assert_eq!(found, expected, "{list:?} {url} {address}");
    };
    check(&["10.0.0.0/8"], "http://x:80", "10.1.2.3", true);
    check(&["10.0.0.0/8"], "http://x:80", "::ffff:10.1.2.3", true);
    check(&["10.0.0.0/8"], "http://x:80", "127.0.0.1", false);
    check(&["::ffff:10.0.0.0/104"], "http://x:80", "10.1.2.3", true);
    check(&["fd00::/8"], "http://x:80", "fd12::1", true);
    check(&["127.0.0.1:80"], "http://x:80", "127.0.0.1", true);
    check(&["127.0.0.1:80"], "http://x:81", "127.0.0.1", false);
    check(&["[::1]:80"], "http://x:80", "::1", true);
    check(&["::1"], "http://x:80", "::1", true);
    check(&["Data.Lab"], "http://data.lab.:80", "169.254.1.1", true);
    check(&["data.lab:81"], "http://data.lab:80", "10.0.0.1", false);
    check(&["169.254.169.254"], "http://x:80", "169.254.169.254", true);
    check(&["127.1", "a"], "http://x:80", "127.0.0.1", true);
    for bad in
        ["10.0.0.0/33", "10.0.0.0/", "x/8", "a b", "a:b", "http://a", "[::1", "", "a..b", "é:"]
    {
        assert_eq!(PrivateHosts::parse(["a", bad].into_iter()), Err(bad), "{bad}");
    }
}

#[test]
fn a_host_and_port_that_the_user_named_others_may_name_too() {
    let named = PrivateHosts::default().naming([
        NamedPlace::of_url("https://Data.Lab:80/x"),
        NamedPlace::of_peer("10.0.0.1:81").unwrap(),
    ]);
    let check = |url: &str, address: &str, expected: bool| {
        assert_eq!(allows(&named, NamedBy::Torrent, url, address), expected, "{url} {address}");
    };
    check("http://data.lab.:80", "127.0.0.1", true);
    check("http://data.lab:81", "127.0.0.1", false);
    check("http://10.0.0.1:81", "10.0.0.1", true);
    check("http://x.example:81", "10.0.0.1", false);
    check("http://data.lab:80", "169.254.1.1", false);
    let place = |url: &str, expected: (&str, u16)| assert_eq!(place_of_url(url), expected);
    place("https://a:b@X.example/y:1", ("X.example", 443));
    place("http://[::1]:5?z", ("[::1]", 5));
    place("udp://h:6969", ("h", 6969));
    place("http://h", ("h", 80));
}

#[test]
fn a_name_that_a_proxy_looks_up_is_judged_as_far_as_it_is_known() {
    let none = PrivateHosts::default();
    let hosts_file = [
        "localhost.localdomain",
        "localhost4",
        "LocalHost4.localdomain4",
        "localhost6",
        "localhost6.localdomain6",
        "ip6-localhost",
        "ip6-loopback",
    ];
    let encoded = ["%31%32%37.0.0.1", "local%68ost", "%6cocalhost.", "a\u{ff05}31", "10%2e0.0.1"];
    let plain = ["localhost", "LOCALHOST.", "a.localhost", "127.1", "0x7f.1", "[::1]", "10.0.0.1"];
    for host in plain.iter().chain(&hosts_file).chain(&encoded) {
        assert!(none.judge_name(NamedBy::Torrent, host, 80).is_err(), "{host}");
        assert!(none.judge_name(NamedBy::User, host, 80).is_ok(), "{host}");
    }
    for host in ["x.example", "localhost.example", "localhost5", "mylocalhost"] {
        assert!(none.judge_name(NamedBy::Torrent, host, 80).is_ok(), "{host}");
    }
    assert!(hosts(&["localhost:80"]).judge_name(NamedBy::Torrent, "localhost", 80).is_ok());
}

#[test]
fn an_address_is_told_within_its_own_network_alone() {
    let check = |teller: &str, address: &str, expected: bool| {
        let found = may_tell(teller.parse().ok(), address.parse().unwrap());
        assert_eq!(found, expected, "{teller:?} {address}");
    };
    check("1.1.1.1", "8.8.8.8", true);
    check("1.1.1.1", "10.0.0.1", false);
    check("", "10.0.0.1", false);
    check("10.0.0.1", "192.168.1.1", true);
    check("10.0.0.1", "127.0.0.1", false);
    check("127.0.0.1", "127.0.0.1", true);
    check("127.0.0.1", "10.0.0.1", true);
    check("::ffff:10.0.0.1", "fd00::1", true);
    for teller in ["1.1.1.1", "10.0.0.1", "127.0.0.1", "169.254.1.1", "224.0.0.1"] {
        for never in ["169.254.169.254", "169.254.1.1", "fe80::1", "0.0.0.0", "224.0.0.1"] {
            check(teller, never, false);
        }
    }
    assert!(hosts(&["169.254.1.1"]).may_hear(None, "169.254.1.1:5".parse().unwrap()));
}

#[test]
fn a_refusal_says_what_who_and_how_to_allow_it() {
    let said = |by, host: &str, address: &str| {
        let refused = PrivateHosts::default().judge(by, host, false, address.parse().unwrap());
        refused.unwrap_err().to_string()
    };
    assert_eq!(
        said(NamedBy::Torrent, "x.example", "127.0.0.1:80"),
        "refused: x.example is a loopback address (127.0.0.1) named by the torrent; to allow it, add `x.example:80` to ACADEMICTORRENTS_PRIVATE_HOSTS"
    );
    assert_eq!(
        said(NamedBy::Redirect, "[::1]", "[::1]:80"),
        "refused: ::1 is a loopback address named by a redirect; to allow it, add `[::1]:80` to ACADEMICTORRENTS_PRIVATE_HOSTS"
    );
}

#[test]
fn a_redirect_is_the_users_only_where_the_user_named_what_it_came_from() {
    assert_eq!(NamedBy::User.redirect(false), NamedBy::User);
    assert_eq!(NamedBy::UserTorrent.redirect(true), NamedBy::UserTorrent);
    for by in [NamedBy::UserTorrent, NamedBy::Catalog, NamedBy::Torrent, NamedBy::Dependency] {
        assert_eq!(by.redirect(false), NamedBy::Redirect);
    }
}
