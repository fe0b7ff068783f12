//! A netrc file: names and passwords by host.
//!
//! Parsed as by curl and Python: words, which may be quoted; `#` starts a comment where a keyword
//! is expected; a macro ends with an empty line. The entry `default`, which applies to all hosts,
//! is parsed but never used.

use super::credentials::{AuthHeader, exact_host};

/// The parsed file.
#[derive(Default)]
pub struct Netrc {
    machines: Vec<Machine>,
    /// The line of the first invalid word.
    flaw: Option<usize>,
}

impl std::fmt::Debug for Netrc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Netrc").field("hosts", &self.hosts()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Machine {
    /// In canonical spelling; `None` for `default`.
    host: Option<String>,
    port: Option<u16>,
    login: Option<Vec<u8>>,
    password: Option<Vec<u8>>,
}

impl Netrc {
    pub fn parse(text: &[u8]) -> Netrc {
        let mut words = Words { text: text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text), line: 1 };
        let mut netrc = Netrc::default();
        while let Some(word) = words.keyword() {
            let line = words.line;
            match &*word {
                b"machine" => {
                    let place = words.next().and_then(|it| String::from_utf8(it).ok());
                    let place = place.as_deref().and_then(exact_host);
                    if place.is_none() {
                        netrc.flaw.get_or_insert(line);
                    }
                    // An entry with an invalid host must still consume the words that follow.
                    let (host, port) =
                        place.map_or((None, None), |(host, port)| (Some(host), port));
                    netrc.machines.push(Machine { host, port, ..Machine::default() });
                }
                b"default" => netrc.machines.push(Machine::default()),
                b"macdef" => words.skip_macro(),
                b"account" => drop(words.next()),
                b"login" | b"user" => {
                    let login = words.next();
                    netrc.last(line, |machine| machine.login = login);
                }
                b"password" | b"passwd" => {
                    let password = words.next();
                    netrc.last(line, |machine| machine.password = password);
                }
                _ => drop(netrc.flaw.get_or_insert(line)),
            }
        }
        netrc
    }

    fn last(&mut self, line: usize, set: impl FnOnce(&mut Machine)) {
        match self.machines.last_mut() {
            Some(machine) => set(machine),
            None => drop(self.flaw.get_or_insert(line)),
        }
    }

    /// The login of the first entry for exactly this host, with this name if `login` is given.
    pub fn of(&self, host: &str, port: u16, login: Option<&[u8]>) -> Option<AuthHeader> {
        let is_meant = |it: &&Machine| {
            it.host.as_deref() == Some(host)
                && it.port.is_none_or(|it| it == port)
                && login.is_none_or(|login| it.login.as_deref() == Some(login))
                && (it.login.is_some() || it.password.is_some())
        };
        let machine = self.machines.iter().find(is_meant)?;
        let text = |it: &Option<Vec<u8>>| it.clone().unwrap_or_default();
        Some(AuthHeader::basic(&text(&machine.login), &text(&machine.password)))
    }

    /// The number of hosts with an entry.
    pub fn hosts(&self) -> usize {
        self.machines.iter().filter(|machine| machine.host.is_some()).count()
    }

    /// The line of the first invalid word. Entries after it may be misread.
    #[cfg(any(test, feature = "engine"))]
    pub fn flaw(&self) -> Option<usize> {
        self.flaw
    }
}

/// The remaining words of a text.
struct Words<'t> {
    text: &'t [u8],
    line: usize,
}

impl Words<'_> {
    fn bump(&mut self) -> Option<u8> {
        let (first, rest) = self.text.split_first()?;
        self.text = rest;
        self.line += usize::from(*first == b'\n');
        Some(*first)
    }

    fn skip_blanks(&mut self) {
        while self.text.first().is_some_and(u8::is_ascii_whitespace) {
            self.bump();
        }
    }

    fn skip_line(&mut self) {
        while self.bump().is_some_and(|byte| byte != b'\n') {}
    }

    /// The next word where a keyword is expected. Skips comments.
    fn keyword(&mut self) -> Option<Vec<u8>> {
        loop {
            self.skip_blanks();
            if self.text.first() != Some(&b'#') {
                return self.next();
            }
            self.skip_line();
        }
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        self.skip_blanks();
        let quoted = self.text.first() == Some(&b'"');
        if quoted {
            self.bump();
        } else if self.text.is_empty() {
            return None;
        }
        let mut word = Vec::new();
        while let Some(first) = self.text.first() {
            match first {
                b'"' if quoted => {
                    self.bump();
                    break;
                }
                b'\\' if quoted => {
                    self.bump();
                    word.extend(self.bump().map(|escaped| match escaped {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        other => other,
                    }));
                }
                byte if !quoted && byte.is_ascii_whitespace() => break,
                _ => word.extend(self.bump()),
            }
        }
        Some(word)
    }

    /// Skips a macro, which ends with an empty line.
    fn skip_macro(&mut self) {
        self.skip_line();
        while !self.text.is_empty() {
            let blank = self.text.starts_with(b"\n") || self.text.starts_with(b"\r\n");
            self.skip_line();
            if blank {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(netrc: &Netrc, host: &str, port: u16, login: Option<&str>) -> Option<String> {
        let header = netrc.of(host, port, login.map(str::as_bytes))?;
        Some(header.name_and_value().1.to_owned())
    }

    fn basic(login: &str, password: &str) -> Option<String> {
        let header = AuthHeader::basic(login.as_bytes(), password.as_bytes());
        Some(header.name_and_value().1.to_owned())
    }

    #[test]
    fn an_entry_is_read_however_it_is_written() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let found = value(&Netrc::parse(text.as_bytes()), "h", 443, None);
            assert_eq!(found, expected.and_then(|(login, word)| basic(login, word)), "{text:?}");
        };
        let me = Some(("me", "pw"));
        check("machine h login me password pw", me);
        check("machine h password pw login me", me);
        check("machine h\n\tlogin me\n\tpassword pw\n", me);
        check("\u{feff}machine h\r\nlogin me\r\npassword pw\r\n", me);
        check("machine h user me account x passwd pw", me);
        check("machine H. login me password pw", me);
        check("machine h:443 login me password pw", me);
        check("# a\n  # machine h login x password y\nmachine h login me password pw # z", me);
        check("machine other login x password y\nmachine h login me password pw", me);
        check("machine h login me password pw\nmachine h login x password y", me);
        check("macdef init\nmachine h login x password y\n\nmachine h login me password pw", me);
        check("machine h login me password #pw", Some(("me", "#pw")));
        check("machine h login me password p\\w", Some(("me", "p\\w")));
        check("machine h login me password \"p w\\\"\\\\\\n\"", Some(("me", "p w\"\\\n")));
        check("machine h password pw", Some(("", "pw")));
        check("machine h login me", Some(("me", "")));
        // Words that belong to no entry, or to another host.
        for none in [
            "",
            "machine",
            "machine h",
            "default login me password pw",
            "login me password pw machine h",
            "machine h default login me password pw",
            "machine x.h login me password pw",
            "machine h:444 login me password pw",
            "machine https://h login me password pw",
            "macdef x\nmachine h login me password pw",
            "machine *.h login me password pw",
        ] {
            check(none, None);
        }
    }

    #[test]
    fn a_name_in_the_url_chooses_among_the_entries_of_its_host() {
        let netrc = Netrc::parse(b"machine h login a password 1\nmachine h login b password 2");
        assert_eq!(value(&netrc, "h", 80, Some("b")), basic("b", "2"));
        assert_eq!(value(&netrc, "h", 80, Some("c")), None);
        assert_eq!(netrc.hosts(), 2);
    }

    #[test]
    fn a_word_that_is_none_of_the_format_is_named_by_its_line() {
        let flaw = |text: &str| Netrc::parse(text.as_bytes()).flaw();
        assert_eq!(flaw("machine h login me password pw"), None);
        assert_eq!(flaw("machine h\nlogin me pasword pw"), Some(2));
        assert_eq!(flaw("login me"), Some(1));
        assert_eq!(flaw("\n\nmachine https://h/ login me"), Some(3));
    }

    #[test]
    fn no_text_makes_it_panic() {
        let words = [
            "machine ", "h ", "login ", "\"", "\\", "#", "\n", "macdef ", "default ", "\u{ff}",
            "\r\n",
        ];
        let mut text = Vec::new();
        for step in 0..4_000_usize {
            let word = words[step * step % 7 * 3 % words.len()];
            text.extend_from_slice(word.as_bytes());
            if step % 50 == 0 {
                text.rotate_left(step % 13);
                let _ = Netrc::parse(&text).of("h", 1, None);
            }
            text.truncate(300);
        }
    }
}
