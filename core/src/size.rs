//! Parsing and formatting of sizes and times. Layer 0.

use std::time::Duration;

use toml::de::DeInteger;

const UNITS: [(&str, u64); 10] = [
    ("tib", 1 << 40),
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("tb", 1_000_000_000_000),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("b", 1),
    ("", 1),
];

/// Parses `"1GiB"`, `"1.5 MB"` or `"4096"` (bytes). Units are case-insensitive.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let &(_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(scale);
    }
    let bytes = number.parse::<f64>().ok()? * scale as f64;
    (bytes.is_finite() && bytes < u64::MAX as f64).then_some(bytes as u64)
}

/// Returns the value of an integer in TOML, in any base; `None` if it is negative or too large.
pub fn integer(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// Formats a size in binary units: `"11.1 MiB"`.
pub fn display(bytes: u64) -> String {
    match UNITS[..4].iter().find(|(_, scale)| bytes >= *scale) {
        Some((unit, scale)) => {
            let unit = [&unit[..1].to_uppercase(), "iB"].concat();
            format!("{:.1} {unit}", bytes as f64 / *scale as f64)
        }
        None => format!("{bytes} B"),
    }
}

/// Rounds up to a whole number of GiB or MiB, in manifest syntax: `"2GiB"`.
pub fn at_least(bytes: u64) -> String {
    for (unit, scale) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20)] {
        if bytes >= scale {
            return format!("{}{unit}", bytes.div_ceil(scale));
        }
    }
    "1MiB".to_owned()
}

/// Formats a time, rounded to a tenth of a second: `"2.7 s"`, `"30 s"`.
pub fn seconds(time: Duration) -> String {
    let tenths = (time.as_millis() + 50) / 100;
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} s"),
        (whole, tenth) => format!("{whole}.{tenth} s"),
    }
}

/// Parses a time: `"120"` and `"120s"` are seconds; also `"500ms"`, `"2m"`, `"1h"` and `"30d"`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    Some(match unit.trim() {
        "ms" => Duration::from_millis(number),
        "" | "s" => Duration::from_secs(number),
        "m" | "min" => Duration::from_secs(number.checked_mul(60)?),
        "h" => Duration::from_secs(number.checked_mul(3600)?),
        "d" => Duration::from_secs(number.checked_mul(24 * 3600)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_either_kind_of_unit() {
        for (text, bytes) in [
            ("1GiB", Some(1 << 30)),
            ("1.5 mb", Some(1_500_000)),
            ("4096", Some(4096)),
            ("10 TiB", Some(10 << 40)),
            ("99999999999TiB", None),
            ("1e9", None),
            ("", None),
            ("GiB", None),
            ("-1", None),
        ] {
            assert_eq!(parse(text), bytes, "{text}");
        }
    }

    #[test]
    fn sizes_are_written_for_people() {
        assert_eq!(display(11_594_722), "11.1 MiB");
        assert_eq!(display(999), "999 B");
        assert_eq!(at_least((1 << 30) + 1), "2GiB");
        assert_eq!(at_least(5), "1MiB");
    }

    #[test]
    fn times_are_written_to_a_tenth_of_a_second() {
        for (millis, text) in [(2_667, "2.7 s"), (3_000, "3 s"), (2_960, "3 s"), (100, "0.1 s")] {
            assert_eq!(seconds(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn times_are_read_with_or_without_unit() {
        assert_eq!(parse_duration("120"), Some(Duration::from_secs(120)));
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("2m"), Some(Duration::from_secs(120)));
        assert_eq!(parse_duration("2d"), Some(Duration::from_secs(2 * 24 * 3600)));
        assert_eq!(parse_duration("soon"), None);
    }
}
