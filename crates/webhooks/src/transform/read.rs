//! Metadata to templates; every mistake is kept with the part it is in.

use super::{Change, Mistake};
use kriti::{Error, Template};
use serde_json::Value;

/// Parses templates, part by part.
pub struct Reader<'v> {
    pub given: &'v Value,
    pub mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    pub fn wrong(&mut self, part: &str, message: impl Into<String>) {
        let span = kriti::Span::default();
        let error = Error {
            code: "Parse Error",
            message: message.into(),
            span,
        };
        self.mistakes.push(Mistake {
            part: part.to_owned(),
            error,
        });
    }

    fn keep<T>(&mut self, part: &str, parsed: Result<T, Error>) -> Option<T> {
        parsed
            .map_err(|error| {
                self.mistakes.push(Mistake {
                    part: part.to_owned(),
                    error,
                });
            })
            .ok()
    }

    /// A template without quotes.
    pub fn text(&mut self, part: &str, given: &Value) -> Option<Template> {
        match given {
            Value::Null => None,
            Value::String(text) => self.keep(part, Template::parse_text(text)),
            _ => {
                self.wrong(part, "it is a template, as text");
                None
            }
        }
    }

    pub fn engine(&mut self) {
        match self.given["template_engine"].as_str() {
            None | Some("Kriti") => {}
            Some(other) => self.wrong(
                "template_engine",
                format!("'{other}' is not Kriti, the only one there is"),
            ),
        }
        match self.given["version"].as_u64() {
            None | Some(1 | 2) => {}
            Some(other) => self.wrong("version", format!("{other} is neither 1 nor 2")),
        }
    }

    /// In the first version a template, in the second an action.
    pub fn body(&mut self) -> Change {
        let given = &self.given["body"];
        if let Some(template) = given.as_str() {
            let parsed = self.keep("body", Template::parse(template));
            return parsed.map_or(Change::Keep, Change::Json);
        }
        match given["action"].as_str() {
            None if given.is_null() => Change::Keep,
            Some("remove") => Change::Remove,
            Some("transform") => {
                let template = given["template"].as_str().unwrap_or_default();
                let parsed = self.keep("body.template", Template::parse(template));
                parsed.map_or(Change::Keep, Change::Json)
            }
            Some("x_www_form_urlencoded") => match &given["form_template"] {
                Value::Object(fields) => {
                    let part = "body.form_template";
                    let read = fields.iter();
                    Change::Form(
                        read.filter_map(|(name, value)| Some((name.clone(), self.text(part, value)?)))
                            .collect(),
                    )
                }
                other => self
                    .text("body.form_template", other)
                    .map_or(Change::Keep, Change::FormText),
            },
            _ => {
                self.wrong(
                    "body.action",
                    "expected one of remove, transform, x_www_form_urlencoded",
                );
                Change::Keep
            }
        }
    }
}
