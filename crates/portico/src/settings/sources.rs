//! Flag > environment > `portico.toml` > default, each value with where it came from, every mistake with its place.

use super::table::{OUR_PREFIXES, SETTINGS, WITHOUT_EFFECT, by_env, by_name};
use std::{collections::BTreeMap, fmt};
use toml::{Spanned, de::DeTable, de::DeValue};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Flag(&'static str),
    Environment(&'static str),
    /// `portico.toml:3`
    File(String),
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Flag(name) => write!(f, "--{}", name.replace('_', "-")),
            Source::Environment(name) => f.write_str(name),
            Source::File(place) => f.write_str(place),
            Source::Default => f.write_str("default"),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Value {
    pub text: String,
    pub source: Source,
}

/// Says where, what, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub place: String,
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

pub type Values = BTreeMap<&'static str, Value>;

/// What the three places say; `file` is its name and text.
pub struct Given {
    pub flags: Vec<(&'static str, String)>,
    pub environment: Vec<(String, String)>,
    pub file: Option<(String, String)>,
}

/// Later calls win, so the weakest source comes first. A variable that is set but empty counts as not set.
pub fn gather(given: &Given, mistakes: &mut Vec<Mistake>) -> Values {
    let mut values = Values::new();
    for setting in SETTINGS {
        if let Some(text) = setting.default {
            put(&mut values, setting.name, text, Source::Default);
        }
    }
    if let Some((path, text)) = &given.file {
        read_file(path, text, &mut values, mistakes);
    }
    for (env, text) in &given.environment {
        match by_env(env) {
            Some(setting) if !text.is_empty() => put(&mut values, setting.name, text, Source::Environment(setting.env)),
            Some(_) => {}
            None => check_unknown_variable(env, mistakes),
        }
    }
    for (name, text) in &given.flags {
        put(&mut values, name, text, Source::Flag(name));
    }
    values
}

/// What is no setting of ours.
pub fn operators_own(environment: &[(String, String)]) -> BTreeMap<String, String> {
    let ours = |name: &str| by_env(name).is_some() || OUR_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    environment.iter().filter(|(name, _)| !ours(name)).cloned().collect()
}

fn put(values: &mut Values, name: &'static str, text: &str, source: Source) {
    let value = Value {
        text: text.to_owned(),
        source,
    };
    values.insert(name, value);
}

fn check_unknown_variable(env: &str, mistakes: &mut Vec<Mistake>) {
    let ours = OUR_PREFIXES.iter().any(|prefix| env.starts_with(prefix));
    if ours && !WITHOUT_EFFECT.contains(&env) {
        let guess = did_you_mean(env, SETTINGS.iter().map(|setting| setting.env));
        let message = match env.starts_with("HASURA_GRAPHQL_") && guess.is_empty() {
            true => "is not supported here; unset it, and see CHANGELOG.md for what of Hasura there is".to_owned(),
            false => format!("there is no such variable{guess}"),
        };
        mistakes.push(Mistake {
            place: env.to_owned(),
            message,
        });
    }
}

fn read_file(path: &str, text: &str, values: &mut Values, mistakes: &mut Vec<Mistake>) {
    let line_of = |offset: usize| 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let line = error.span().map_or(1, |span| line_of(span.start));
            mistakes.push(Mistake {
                place: format!("{path}:{line}"),
                message: format!("is no TOML: {}", error.message()),
            });
            return;
        }
    };
    for (key, value) in &table {
        let place = format!("{path}:{}", line_of(key.span().start));
        let name: &str = key.get_ref();
        let Some(setting) = by_name(name) else {
            let known = SETTINGS.iter().map(|setting| setting.name);
            let message = format!("'{name}' is no setting{}", did_you_mean(name, known));
            mistakes.push(Mistake { place, message });
            continue;
        };
        match scalar(value) {
            Some(text) => put(values, setting.name, &text, Source::File(place)),
            None => mistakes.push(Mistake {
                place,
                message: format!("'{name}' must be a text, a number, true or false, or a list of texts"),
            }),
        }
    }
}

fn scalar(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(scalar).collect();
            Some(items?.join(","))
        }
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

/// `; did you mean 'x'?` when something known is near.
pub fn did_you_mean<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> String {
    let nearest = known
        .map(|candidate| (strsim::damerau_levenshtein(given, candidate), candidate))
        .min();
    match nearest {
        Some((distance, candidate)) if distance <= 2 + given.len() / 8 => format!("; did you mean '{candidate}'?"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(flags: &[(&'static str, &str)], environment: &[(&str, &str)], file: &str) -> (Values, Vec<String>) {
        let given = Given {
            flags: flags.iter().map(|(name, text)| (*name, (*text).to_owned())).collect(),
            environment: environment
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect(),
            file: Some(("portico.toml".to_owned(), file.to_owned())),
        };
        let mut mistakes = Vec::new();
        let values = gather(&given, &mut mistakes);
        (values, mistakes.iter().map(Mistake::to_string).collect())
    }

    #[test]
    fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
        let file = "http_addr = \"f:1\"\nadmin_addr = \"f:2\"\ns3_addr = \"f:3\"\n";
        let environment = [("PORTICO_HTTP_ADDR", "e:1"), ("PORTICO_ADMIN_ADDR", "e:2")];
        let (values, mistakes) = given(&[("http_addr", "flag:1")], &environment, file);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let told = |name: &str| format!("{} from {}", values[name].text, values[name].source);
        assert_eq!(told("http_addr"), "flag:1 from --http-addr");
        assert_eq!(told("admin_addr"), "e:2 from PORTICO_ADMIN_ADDR");
        assert_eq!(told("s3_addr"), "f:3 from portico.toml:3");
        assert_eq!(told("core_addr"), "0.0.0.0:3000 from default");
    }

    #[test]
    fn every_unknown_name_is_reported_with_its_place_and_a_guess() {
        let file = "data_dri = \"x\"\n\nmedia_max_upload = { a = 1 }\n";
        let (_, mistakes) = given(
            &[],
            &[
                ("PORTICO_HTP_ADDR", "x"),
                ("HOME", "/"),
                ("HASURA_GRAPHQL_ENABLE_TELEMETRY", "false"),
            ],
            file,
        );
        assert_eq!(
            mistakes,
            [
                "portico.toml:1: 'data_dri' is no setting; did you mean 'data_dir'?",
                "portico.toml:3: 'media_max_upload' must be a text, a number, true or false, or a list of texts",
                "PORTICO_HTP_ADDR: there is no such variable; did you mean 'PORTICO_HTTP_ADDR'?",
            ]
        );
    }

    #[test]
    fn broken_toml_is_reported_with_its_line() {
        let (_, mistakes) = given(&[], &[], "log = \"info\"\nlog = \n");
        assert!(mistakes[0].starts_with("portico.toml:2: is no TOML"), "{mistakes:?}");
    }
}
