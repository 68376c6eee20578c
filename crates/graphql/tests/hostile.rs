//! Whatever is sent: lexer, parser, validator and planner answer or refuse, and never fall over. Values never become SQL.

use graphql::{Catalog, Options, Request, Schema, Session};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let column = |name: &str, ty: &str| {
        json!({"name": name, "type": {"name": ty, "is_array": false, "kind": "b", "sql": ty, "table": null},
            "nullable": true, "has_default": false, "generated": false, "comment": null})
    };
    let catalog = json!({"tables": [{
        "schema": "public", "name": "note", "kind": "r", "comment": null,
        "insertable": true, "updatable": true, "deletable": true,
        "columns": [column("id", "int4"), column("body", "text"), column("data", "jsonb"), column("parent", "int4")],
        "keys": [{"name": "note_pkey", "primary": true, "columns": ["id"]}],
        "foreign_keys": [{"name": "up", "columns": ["parent"], "to_schema": "public", "to_table": "note", "to_columns": ["id"]}],
    }]});
    let metadata = json!({"version": 3, "sources": [{"name": "default", "tables": [{"table": "note",
        "object_relationships": [{"name": "up", "using": {"foreign_key_constraint_on": "parent"}}],
        "array_relationships": [{"name": "below", "using": {"foreign_key_constraint_on": {"table": "note", "column": "parent"}}}]}]}]});
    let catalog = Catalog::from_json(catalog.to_string().as_bytes()).expect("a catalogue");
    let metadata = serde_json::from_value(metadata).expect("metadata");
    Schema::build(&[("default".to_owned(), &catalog)], &[], &metadata, &Options::default()).0
});

fn plan(query: &str, variables: Map<String, Value>) -> Result<graphql::Plan, graphql::GraphqlError> {
    let request = Request {
        query: query.to_owned(),
        variables,
        ..Request::default()
    };
    let session = Session {
        role: "admin".to_owned(),
        ..Session::default()
    };
    SCHEMA.plan(&request, &session)
}

/// Words and signs of the language, in any order.
fn soup() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ":",
        "!",
        "$",
        "@",
        "...",
        "=",
        "|",
        "&",
        "\"",
        "\"\"\"",
        "#",
        "\n",
        ",",
        "query",
        "mutation",
        "subscription",
        "fragment",
        "on",
        "note",
        "note_by_pk",
        "note_aggregate",
        "insert_note",
        "update_note",
        "delete_note",
        "id",
        "body",
        "data",
        "up",
        "below",
        "where",
        "_eq",
        "_and",
        "_or",
        "_not",
        "order_by",
        "limit",
        "offset",
        "distinct_on",
        "objects",
        "_set",
        "_append",
        "affected_rows",
        "returning",
        "aggregate",
        "count",
        "nodes",
        "__typename",
        "__schema",
        "types",
        "name",
        "$v",
        "true",
        "false",
        "null",
        "1",
        "-1",
        "1.5e9",
        "99999999999999999999",
        "\"x\"",
        "asc",
        "include",
        "skip",
        "if",
        "\u{feff}",
        "\u{0}",
        "ü",
    ]);
    prop::collection::vec(words, 0..60).prop_map(|words| words.join(" "))
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let keys = prop_oneof![
            prop::sample::select(vec![
                "_eq",
                "_and",
                "_or",
                "_not",
                "id",
                "body",
                "data",
                "up",
                "below",
                "_in",
                "_contains",
                "_cast",
                "_like"
            ])
            .prop_map(str::to_owned),
            ".{0,6}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..5).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_answered_or_refused(text in ".{0,300}") {
        let _either = plan(&text, Map::new());
    }

    #[test]
    fn any_words_of_the_language_are_answered_or_refused(text in soup()) {
        let _either = plan(&text, Map::new());
        let _either = plan(&format!("{{ note {{ {text} }} }}"), Map::new());
        let _either = plan(&format!("{{ note(where: {{ {text} }}) {{ id }} }}"), Map::new());
    }

    #[test]
    fn any_variables_are_answered_or_refused(filter in json(), rows in json()) {
        let _either = plan("query($v: note_bool_exp) { note(where: $v) { id below(where: $v) { id } } }", Map::from_iter([("v".to_owned(), filter)]));
        let _either = plan("mutation($v: [note_insert_input!]!) { insert_note(objects: $v) { affected_rows } }", Map::from_iter([("v".to_owned(), rows)]));
    }

    #[test]
    fn text_of_a_caller_is_never_sql(text in "[a-z'\\\\;$\"-]{6,40}") {
        let by_variable = plan("query($v: String) { note(where: {body: {_eq: $v}}) { id } }", Map::from_iter([("v".to_owned(), json!(text))]));
        let written = format!("{{ note(where: {{body: {{_like: {}}}}}) {{ id }} }}", json!(text));
        for plan in [by_variable, plan(&written, Map::new())] {
            let plan = plan.expect("a plan");
            prop_assert!(!plan.statements[0].sql.contains(&text), "{}", plan.statements[0].sql);
            prop_assert!(plan.statements[0].params.contains(&Some(text.clone())));
        }
    }
}

#[test]
fn documents_made_to_hurt_are_refused_or_bounded() {
    let many = |piece: &dyn Fn(usize) -> String, count: usize| (0..count).map(piece).collect::<String>();
    let deep = format!("{}{}", "{ note { below ".repeat(10_000), "}".repeat(20_000));
    assert!(plan(&deep, Map::new()).is_err());
    let lists = format!(
        "{{ note(where: {{id: {{_in: {}1{}}}}}) {{ id }} }}",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    assert!(plan(&lists, Map::new()).is_err());
    // A fragment that doubles with each of the next.
    let fragments = many(
        &|at| {
            format!(
                "fragment f{at} on note {{ up {{ ...f{0} }} below {{ ...f{0} }} }} ",
                at + 1
            )
        },
        40,
    );
    let bomb = format!("{{ note {{ ...f0 }} }} {fragments} fragment f40 on note {{ id }}");
    assert!(plan(&bomb, Map::new()).is_err());
    let circle = "{ note { ...a } } fragment a on note { ...b } fragment b on note { ...a }";
    assert!(plan(circle, Map::new()).is_err());
    let directives = format!("{{ note {{ id {} }} }}", "@include(if: true) ".repeat(50_000));
    let _bounded = plan(&directives, Map::new());
    let aliases = |count| format!("{{ {} }}", many(&|at| format!("a{at}: note {{ id }} "), count));
    assert!(plan(&aliases(1_600), Map::new()).is_ok());
    for count in [1_601, 10_000, 30_000] {
        assert!(
            plan(&aliases(count), Map::new()).is_err(),
            "{count} fields of one object"
        );
    }
    let long = format!(
        "{{ note(where: {{body: {{_eq: \"{}\"}}}}) {{ id }} }}",
        "x".repeat(1 << 20)
    );
    assert!(plan(&long, Map::new()).is_ok());
}
