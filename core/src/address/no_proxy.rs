//! Hosts that are contacted without a proxy (`NO_PROXY`), parsed as by curl and Cargo, plus ureq's
//! `10.1.*` and `*.example.org`.

use super::private_hosts::{HostRule, Hosts, is_in};
use super::{host_of_url, literal, place_of_url};

/// The entries of a `NO_PROXY` list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<Excepted>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Excepted {
    All,
    /// A name matches the domain and all of its subdomains.
    Pattern(HostRule),
    /// Names and addresses with this prefix.
    Beginning(String),
    Ending(String),
}

impl NoProxy {
    /// Parses a list separated by commas or whitespace. Invalid entries are ignored, as in curl and
    /// Cargo.
    pub fn read(list: &str) -> NoProxy {
        let items = list.split([',', ' ', '\t', '\n', '\r']).filter(|item| !item.is_empty());
        NoProxy(items.filter_map(Excepted::read).collect())
    }

    /// Whether the host of a URL matches an entry.
    pub fn covers(&self, url: &str) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let (host, port) = (host_of_url(url), place_of_url(url).1);
        let address = literal(&host);
        self.0.iter().any(|excepted| match excepted {
            Excepted::All => true,
            Excepted::Beginning(text) => host.starts_with(&**text),
            Excepted::Ending(text) => host.ends_with(&**text),
            Excepted::Pattern(pattern) => {
                pattern.is_at(port)
                    && match (&pattern.hosts, address) {
                        (Hosts::Network { ip, bits }, Some(address)) => is_in(address, *ip, *bits),
                        (Hosts::Name(domain), None) => host
                            .strip_suffix(&**domain)
                            .is_some_and(|before| before.is_empty() || before.ends_with('.')),
                        _ => false,
                    }
            }
        })
    }
}

impl Excepted {
    fn read(item: &str) -> Option<Excepted> {
        let item = item.to_ascii_lowercase();
        let has_digits = item.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit());
        Some(match (item.strip_prefix('*'), item.strip_suffix('*')) {
            (Some(""), _) => Excepted::All,
            (Some(ending), _) => Excepted::Ending(ending.to_owned()),
            (_, Some(beginning)) => Excepted::Beginning(beginning.to_owned()),
            // Also a prefix: `10.1.`
            _ if has_digits && item.len() > 1 && item.ends_with('.') => Excepted::Beginning(item),
            _ => Excepted::Pattern(HostRule::parse(item.trim_start_matches('.'))?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_curl_and_cargo_read_them() {
        let check = |list: &str, covered: &[&str], others: &[&str]| {
            let hosts = NoProxy::read(list);
            for (urls, expected) in [(covered, true), (others, false)] {
                for url in urls {
                    let url = format!("http://{url}/x?y");
                    assert_eq!(hosts.covers(&url), expected, "{list}: {url}");
                }
            }
        };
        for nobody in ["", " ", ",", " , ,", ".", "a.example:", "a.example:x", "10.0.0.0/33", "/8"]
        {
            check(nobody, &[], &["a.example", "10.0.0.1", "[::1]", "localhost"]);
        }
        check("*", &["a.example", "10.0.0.1:81", "[::1]"], &[]);
        check("x.example, *", &["a.example"], &[]);
        // In any spelling, a domain matches itself and its subdomains.
        for domain in ["a.example", ".a.example", "A.Example", "a.example.", "..a.example."] {
            let covered =
                ["a.example", "A.EXAMPLE:81", "b.a.example", "c.b.a.example.", "me@a.example"];
            check(domain, &covered, &["ba.example", "example", "a.example.org", "a.exampl"]);
        }
        for list in ["x,a.example y.example", "a.example\tx", "x\n a.example ,", ", a.example"] {
            check(list, &["a.example"], &["z.example"]);
        }
        check("localhost", &["localhost:81", "a.localhost"], &["127.0.0.1", "[::1]"]);
        // With a port.
        check("a.example:81", &["a.example:81", "b.a.example:81"], &["a.example", "a.example:8"]);
        check(".a.example:80", &["a.example"], &["a.example:81"]);
        check("10.0.0.1:81", &["10.0.0.1:81"], &["10.0.0.1"]);
        check("[::1]:81", &["[::1]:81"], &["[::1]", "[::2]:81"]);
        // Addresses in any spelling. A name that contains an address does not match.
        let others = ["10.0.0.10", "x.10.0.0.1.example"];
        check("10.0.0.1", &["10.0.0.1", "10.1", "[::ffff:10.0.0.1]"], &others);
        for spelling in ["::1", "[::1]", "0:0:0:0:0:0:0:1"] {
            check(spelling, &["[::1]", "[0:0::1]:81"], &["[::2]", "10.0.0.1"]);
        }
        // Networks.
        check("10.1.0.0/16", &["10.1.2.3", "10.1.255.255:81"], &["10.2.0.0", "a.example", "[::1]"]);
        check("10.1.2.3/8", &["10.200.0.1"], &["11.0.0.1"]);
        check("10.1.2.3/32", &["10.1.2.3"], &["10.1.2.2"]);
        check("0.0.0.0/0", &["10.1.2.3"], &["[::1]", "a.example"]);
        check("fd00::/8", &["[fd12::1]"], &["[fe00::1]", "10.0.0.1"]);
        check("[fd00::]/8", &["[fd12::1]"], &["[fe00::1]"]);
        check("::/0", &["[fd12::1]"], &["10.0.0.1"]);
        check("2001:db8::1/128", &["[2001:db8::1]"], &["[2001:db8::2]"]);
        check("::ffff:10.1.0.0/112", &["10.1.2.3"], &["10.2.0.1"]);
        // Wildcards and prefixes of ureq.
        check("10.1.*", &["10.1.2.3"], &["10.2.0.1"]);
        check("10.1.", &["10.1.2.3"], &["10.2.0.1"]);
        check("*.a.example", &["b.a.example"], &["a.example"]);
        check("dev*", &["dev1.example"], &["a.example"]);
    }
}
