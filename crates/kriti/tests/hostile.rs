//! Whatever a template says: it is read or refused, worked out or refused, and nothing falls over.

use kriti::{Scope, Template};
use proptest::prelude::*;
use serde_json::json;

fn try_out(text: &str) {
    for template in [Template::parse(text), Template::parse_text(text)] {
        let scope = Scope::default().with("$body", json!({"a": [1, null, {"b": "x"}], "s": "ü", "t": true}));
        let _either = template.and_then(|template| template.eval(&scope));
    }
}

fn soup() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "{{",
        "}}",
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "\"",
        "'",
        ":",
        ",",
        ".",
        "?",
        "?.",
        "??",
        "||",
        "&&",
        "==",
        "<",
        "in",
        "if",
        "elif",
        "else",
        "end",
        "range",
        ":=",
        "i",
        "x",
        "_",
        "$body",
        ".a",
        "[0]",
        "['s']",
        "not",
        "concat(",
        "head(",
        "tail(",
        "escapeUri",
        "true",
        "null",
        "1",
        "-2.5e3",
        "\\",
        "\\u12",
        "\n",
        "ü",
    ]);
    prop::collection::vec(words, 0..40).prop_map(|words| words.join(""))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        try_out(&text);
    }

    #[test]
    fn any_words_of_the_language_are_read_or_refused(text in soup()) {
        try_out(&text);
        try_out(&format!("{{{{ {text} }}}}"));
    }

    #[test]
    fn json_stands_for_itself(number in any::<i64>(), text in "[^{}\"\\\\\u{0}-\u{1f}]*") {
        let value = json!({"n": number, "t": text, "l": [null, true, {}]});
        let read = Template::parse(&value.to_string()).expect("JSON is a template");
        prop_assert_eq!(read.eval(&Scope::default()), Ok(value));
    }
}
