//! Kriti, the language of Hasura's webhook transforms: JSON with paths, conditions, loops and functions between `{{` and
//! `}}`. Pure: a template and values in, a value out. The grammar and the functions are those of
//! <https://github.com/hasura/kriti-lang>.

mod eval;
mod functions;
mod parse;

pub use eval::{Function, Scope};

use serde_json::{Value, json};
use std::fmt;

/// What a template says, read once.
#[derive(Debug, Clone, PartialEq)]
pub struct Template(Spanned);

impl Template {
    /// A template that makes any JSON.
    ///
    /// # Errors
    /// `Parse Error`, with the place.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parse::whole(text).map(Template)
    }

    /// A text without quotes in which `{{ … }}` stand: an address, a header.
    ///
    /// # Errors
    /// `Parse Error`, with the place.
    pub fn parse_text(text: &str) -> Result<Self, Error> {
        parse::text(text).map(Template)
    }

    /// # Errors
    /// A path that leads nowhere, a value of the wrong type, a function that fails.
    pub fn eval(&self, scope: &Scope<'_>) -> Result<Value, Error> {
        eval::eval(&self.0, scope)
    }
}

/// Lines from 0, columns from 1, as Hasura tells them; the end is behind the last character.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    pub start: (usize, usize),
    pub end: (usize, usize),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    pub code: &'static str,
    pub message: String,
    pub span: Span,
}

impl Error {
    fn new(code: &'static str, message: impl Into<String>, span: Span) -> Self {
        Error {
            code,
            message: message.into(),
            span,
        }
    }

    /// In Hasura's shape.
    pub fn as_json(&self) -> Value {
        json!({"error_code": self.code, "message": self.message, "source_position": {
            "start_line": self.span.start.0, "start_column": self.span.start.1,
            "end_line": self.span.end.0, "end_column": self.span.end.1}})
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.span.start;
        write!(
            f,
            "{} in line {}, column {column}: {}",
            self.code,
            line + 1,
            self.message
        )
    }
}

impl std::error::Error for Error {}

#[derive(Debug, Clone, PartialEq)]
struct Spanned {
    expression: Expression,
    span: Span,
}

#[derive(Debug, Clone, PartialEq)]
enum Expression {
    /// Without anything to work out.
    Literal(Value),
    /// Put together from its parts.
    Text(Vec<Spanned>),
    Array(Vec<Spanned>),
    Object(Vec<(String, Spanned)>),
    Path(String, Vec<Step>),
    If(Vec<(Spanned, Spanned)>, Box<Spanned>),
    Range {
        index: Option<String>,
        item: String,
        over: Box<Spanned>,
        body: Box<Spanned>,
    },
    Call(String, Box<Spanned>),
    Operator(Operator, Box<Spanned>, Box<Spanned>),
}

#[derive(Debug, Clone, PartialEq)]
struct Step {
    to: Target,
    /// What is not there is null, and so is everything behind it.
    optional: bool,
    span: Span,
}

#[derive(Debug, Clone, PartialEq)]
enum Target {
    Key(String),
    Index(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Default,
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(template: &str) -> Result<Value, String> {
        let refuse = |_: &Value| Err("never".to_owned());
        let scope = Scope::default()
            .with(
                "$body",
                json!({"name": "Ada", "age": 36, "tags": ["a", null, "b"], "a b": {"c": 1.5}, "none": null}),
            )
            .with("$flag", json!(true))
            .with_function("refuse", &refuse);
        let template = Template::parse(template).map_err(|error| error.to_string())?;
        template.eval(&scope).map_err(|error| error.to_string())
    }

    #[test]
    fn json_stands_for_itself_and_braces_for_what_they_say() {
        for (template, wanted) in [
            (
                "{\"a\": [1, -2.5e3, true, null, \"x\\n\\u00fc\\ud83d\\ude00\"], \"b\": {}}",
                json!({"a": [1, -2500.0, true, null, "x\n\u{fc}\u{1f600}"], "b": {}}),
            ),
            ("{{ $body.name }}", json!("Ada")),
            ("{{ $body['a b'].c }}", json!(1.5)),
            ("{{$body.tags[2]}}", json!("b")),
            (
                "\"{{ $body.name }} is {{$body.age}}, {{ $flag }}\"",
                json!("Ada is 36, true"),
            ),
            (
                "{\"who\": {{$body.name}}, \"all\": {{ $body.tags }}}",
                json!({"who": "Ada", "all": ["a", null, "b"]}),
            ),
            ("{{ $body?.missing.more }}", json!(null)),
            ("{{ $body?['missing'] ?? $body.name }}", json!("Ada")),
            ("{{ $body.none?.more ?? \"nothing\" }}", json!("nothing")),
            ("{{ $body.age > 30 && $body.name == \"Ada\" || false }}", json!(true)),
            ("{{ \"age\" in $body }}", json!(true)),
            ("{{ \"b\" in $body.tags }}", json!(true)),
            ("{{ 1 == 1.0 }}", json!(true)),
            ("{{ not(1 < 2) }}", json!(false)),
            ("{{ escapeUri $body.name }}", json!("Ada")),
            (
                "{{ if $body.age >= 40 }} \"old\" {{ elif ($body.age > 30) }} {\"is\": {{$body.age}}} {{ else }} null {{ end }}",
                json!({"is": 36}),
            ),
            (
                "[{{ range i, x := removeNulls($body.tags) }} {\"at\": {{i}}, \"is\": {{ concat([x, \"!\"]) }}} {{ end }}]",
                json!([[{"at": 0, "is": "a!"}, {"at": 1, "is": "b!"}]]),
            ),
            (
                "{{ range _, x := $body.tags }} {{ x ?? $body.name }} {{ end }}",
                json!(["a", "Ada", "b"]),
            ),
        ] {
            assert_eq!(told(template), Ok(wanted), "{template}");
        }
    }

    #[test]
    fn functions_do_what_they_are_called() {
        for (call, wanted) in [
            ("empty(\"  \")", json!(true)),
            ("size(\"\u{fc}x\")", json!(2)),
            ("inverse([1, 2])", json!([2, 1])),
            ("head(tail(\"abc\"))", json!("b")),
            ("toTitle(\"ada lOVELACE\")", json!("Ada Lovelace")),
            ("escapeUri(\"a b/\u{fc}~\")", json!("a%20b%2F%C3%BC~")),
            ("fromPairs(toPairs({\"a\": 1}))", json!({"a": 1})),
            ("concat([[1], [2, 3]])", json!([1, 2, 3])),
            ("concat([{\"a\": 1, \"b\": 2}, {\"b\": 3}])", json!({"a": 1, "b": 3})),
        ] {
            assert_eq!(told(&format!("{{{{ {call} }}}}")), Ok(wanted), "{call}");
        }
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (template, wanted) in [
            (
                "{{ $body.world }}",
                "Attribute Error in line 1, column 4: 'Object' has no attribute 'world'.",
            ),
            (
                "$body.hello }}",
                "Parse Error in line 1, column 14: Unexpected token '}'.",
            ),
            (
                "{\n  \"a\": {{ $body.name }\n}",
                "Parse Error in line 2, column 23: Unexpected token '}'.",
            ),
            (
                "{{ $nobody }}",
                "Name Error in line 1, column 4: Variable '$nobody' not in scope",
            ),
            (
                "{{ nothing(1) }}",
                "Name Error in line 1, column 4: Variable 'nothing' not in scope",
            ),
            ("{{ refuse(\"x\") }}", "Function Error in line 1, column 11: never"),
            (
                "\"{{ $body.tags }}\"",
                "Type Error in line 1, column 5: Cannot interpolate type: 'Array'.",
            ),
            (
                "{{ if 1 }} 1 {{ else }} 2 {{ end }}",
                "Type Error in line 1, column 7: '1' is not a boolean.",
            ),
            (
                "{{ range i, x := $body }} x {{ end }}",
                "Range Error in line 1, column 18: Can only range over an array.",
            ),
            ("\"open", "Parse Error in line 1, column 6: Unexpected end of input."),
            ("", "Parse Error in line 1, column 1: Unexpected end of input."),
        ] {
            assert_eq!(told(template), Err(wanted.to_owned()), "{template}");
        }
        assert!(told(&"[".repeat(10_000)).is_err_and(|told| told.contains("nested too deeply")));
    }

    #[test]
    fn a_text_needs_no_quotes() {
        let template = Template::parse_text("https://x/{{ $body.name }}?q=\"\\").expect("a template");
        let scope = Scope::default().with("$body", json!({"name": "Ada"}));
        assert_eq!(template.eval(&scope), Ok(json!("https://x/Ada?q=\"\\")));
        assert!(Template::parse_text("{{ $body").is_err());
    }
}
