//! `Range` of one piece (RFC 9110 section 14); a header of several pieces, or one we cannot read, asks for the whole.

use std::ops;

#[derive(Debug, PartialEq, Eq)]
pub enum Chosen {
    Whole,
    Part(ops::Range<u64>),
    Outside,
}

pub fn choose(header: Option<&str>, size: u64) -> Chosen {
    let Some(spec) = header.and_then(|text| text.trim().strip_prefix("bytes=")) else {
        return Chosen::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Chosen::Whole;
    };
    match (number(first), number(last)) {
        (Some(first), _) if first >= size && (last.is_empty() || number(last).is_some()) => Chosen::Outside,
        (Some(first), Some(last)) if first <= last => Chosen::Part(first..last.saturating_add(1).min(size)),
        (Some(first), None) if last.is_empty() => Chosen::Part(first..size),
        (None, Some(0)) if first.is_empty() => Chosen::Outside,
        (None, Some(_)) if first.is_empty() && size == 0 => Chosen::Outside,
        (None, Some(suffix)) if first.is_empty() => Chosen::Part(size.saturating_sub(suffix)..size),
        _ => Chosen::Whole,
    }
}

fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More digits than fit are beyond every file.
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, size: u64, expected: Chosen) {
        assert_eq!(choose(Some(header), size), expected, "{header} of {size}");
    }

    #[test]
    fn one_range_is_cut_to_the_file() {
        check("bytes=0-9", 100, Chosen::Part(0..10));
        check("bytes=90-200", 100, Chosen::Part(90..100));
        check("bytes=90-", 100, Chosen::Part(90..100));
        check("bytes=-10", 100, Chosen::Part(90..100));
        check("bytes=-1000", 100, Chosen::Part(0..100));
        check("bytes=0-99999999999999999999999", 100, Chosen::Part(0..100));
    }

    #[test]
    fn a_range_behind_the_end_is_refused() {
        check("bytes=100-", 100, Chosen::Outside);
        check("bytes=100-200", 100, Chosen::Outside);
        check("bytes=-0", 100, Chosen::Outside);
        check("bytes=-5", 0, Chosen::Outside);
    }

    #[test]
    fn what_is_no_single_range_asks_for_the_whole() {
        for header in [
            "bytes=0-1,5-6",
            "items=0-1",
            "bytes=5-1",
            "bytes=a-b",
            "bytes=",
            "bytes=-",
            "bytes=1-x",
        ] {
            check(header, 100, Chosen::Whole);
        }
        assert_eq!(choose(None, 5), Chosen::Whole);
    }
}
