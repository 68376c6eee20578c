//! `portico config`: what is in force, and why.

use crate::settings::{sources::Values, table::SETTINGS};
use std::fmt::Write;

pub fn text(values: &Values) -> String {
    let mut out = String::new();
    for setting in SETTINGS {
        let (value, source) = match values.get(setting.name) {
            Some(value) if setting.secret => ("\"****\"".to_owned(), value.source.to_string()),
            Some(value) => (format!("{:?}", value.text), value.source.to_string()),
            None => ("(not set)".to_owned(), String::new()),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{:32} = {value:40} {source}", setting.name);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::sources::{Given, gather};

    #[test]
    fn secrets_are_masked_and_sources_shown() {
        let given = Given {
            flags: Vec::new(),
            environment: vec![
                ("JWT_SECRET".into(), "hunter2".repeat(8)),
                ("PORTICO_LOG".into(), "debug".into()),
            ],
            file: None,
        };
        let text = text(&gather(&given, &mut Vec::new()));
        assert!(!text.contains("hunter2"));
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        assert!(line("jwt_secret").contains("****") && line("jwt_secret").ends_with("JWT_SECRET"));
        assert!(line("log ").contains("\"debug\"") && line("log ").ends_with("PORTICO_LOG"));
    }
}
