//! Names of files as people see them, and the part of them that goes into keys.

const LONGEST: usize = 255;

/// The base name without control characters, at most 255 bytes; `file` where nothing is left.
pub fn clean(given: &str) -> String {
    let base = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut name: String = base.chars().filter(|character| !character.is_control()).collect();
    name = name.trim().to_owned();
    if matches!(name.as_str(), "" | "." | "..") {
        return "file".into();
    }
    let mut end = name.len().min(LONGEST);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name
}

/// Only what needs no escaping anywhere.
pub fn for_key(name: &str) -> String {
    let keep = |character: char| match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => character,
        _ => '-',
    };
    let mapped: String = name.chars().map(keep).collect();
    let trimmed = mapped.trim_matches(['.', '-']);
    let start = trimmed.len().saturating_sub(100);
    if trimmed.is_empty() {
        "file".into()
    } else {
        trimmed[start..].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &str, name: &str, key: &str) {
        assert_eq!(clean(given), name, "{given:?}");
        assert_eq!(for_key(&clean(given)), key, "{given:?}");
    }

    #[test]
    fn a_file_name_cannot_climb_or_hide() {
        check("photo.jpg", "photo.jpg", "photo.jpg");
        check("../../etc/passwd", "passwd", "passwd");
        check("C:\\temp\\été 1.png", "été 1.png", "t--1.png");
        check("a\0b\r\n.txt", "ab.txt", "ab.txt");
        check("..", "file", "file");
        check("", "file", "file");
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        assert_eq!(clean(&"é".repeat(200)).len(), 254);
    }
}
