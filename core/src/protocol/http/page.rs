//! Recognizes web pages that servers send instead of the requested data.

use super::Head;

/// The kind of a web page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebPage {
    /// Asks whether the client is a person, and only lets browsers through.
    BotCheck,
    Other,
}

/// How many bytes of a page are examined.
const SCANNED_BYTES: usize = 64 << 10;

/// The statuses that bot checks use.
const STATUSES: [u16; 6] = [200, 202, 403, 405, 429, 503];

/// Text that only bot checks contain, in lower case: those of Cloudflare, DDoS-Guard, Imperva,
/// Anubis, Sucuri and AWS, and phrases that they share.
const SIGNS: [&str; 19] = [
    "challenge-platform",
    "cf-chl",
    "cf_chl",
    "just a moment",
    "attention required! | cloudflare",
    "checking your browser",
    "captcha",
    "ddos-guard",
    "_incapsula_",
    "anubis",
    "making sure you&#39;re not a bot",
    "making sure you're not a bot",
    "sucuri_cloudproxy",
    "awswafintegration",
    "not a robot",
    "you are human",
    "are you a human",
    "enable javascript and cookies",
    "bot protection",
];

/// Returns the kind of page that a reply is; `None` if it is not a page.
pub fn web_page(head: &Head, body: &[u8]) -> Option<WebPage> {
    if head.is_bot_check {
        return Some(WebPage::BotCheck);
    }
    let body = body.get(..SCANNED_BYTES).unwrap_or(body);
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    let start = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let is_page = head.is_html && !start.starts_with('d')
        || ["<!doctype html", "<html", "<head", "<body", "<!--"]
            .iter()
            .any(|it| start.starts_with(it));
    if !is_page {
        return None;
    }
    let is_check = STATUSES.contains(&head.status) && SIGNS.iter().any(|sign| text.contains(sign));
    Some(if is_check { WebPage::BotCheck } else { WebPage::Other })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bot_checks_and_other_pages_are_told_from_torrents() {
        let page = |status, headers: &[(&str, &str)], body: &str| {
            let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
            web_page(&Head::from_parts(status, true, headers).unwrap(), body.as_bytes())
        };
        let (check, other) = (Some(WebPage::BotCheck), Some(WebPage::Other));
        let html = [("Content-Type", "text/html; charset=UTF-8")];
        for status in [200, 403, 429, 503] {
            assert_eq!(page(status, &[("cf-mitigated", "challenge")], ""), check);
            for body in [
                "<!DOCTYPE html><html><title>Just a moment...</title>",
                "\u{feff}\n<HTML><script src='/cdn-cgi/challenge-platform/x'></script>",
                "<html><body>Checking your browser before accessing",
                "<!-- x --><html>DDoS-Guard",
                "<html><div class=\"h-captcha\">",
                "<html>Making sure you&#39;re not a bot!",
            ] {
                assert_eq!(page(status, &[], body), check, "{status} {body}");
                assert_eq!(page(status, &html, body), check, "{status} {body}");
            }
            assert_eq!(page(status, &html, "<html><h1>Not here"), other);
            assert_eq!(page(status, &html, "Please come back later"), other);
            assert_eq!(page(status, &[], "<html><h1>Forbidden"), other);
        }
        // Torrents, whatever their declared type, and replies that are neither a torrent nor a
        // page.
        assert_eq!(page(200, &html, "d8:announce3:url4:infod4:name7:captchaee"), None);
        assert_eq!(page(200, &[], "d4:infodee<html>captcha"), None);
        assert_eq!(page(403, &[("Content-Type", "application/json")], "{\"captcha\":1}"), None);
        assert_eq!(page(404, &html, "<html>captcha"), other);
        assert_eq!(page(200, &[], ""), None);
        assert_eq!(page(200, &[("cf-mitigated", "")], ""), None);
    }
}
