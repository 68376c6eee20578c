//! `__schema` and `__type`: the types introspection itself has, and its answers, computed from a role's schema.

use crate::schema::{Builder, FieldDefinition, InputDefinition, Kind, RoleSchema, named, required};
use crate::syntax::TypeRef;
use crate::validate::Selected;
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

/// Name, type, and whether it takes `includeDeprecated`.
type Described = (&'static str, &'static str, bool);

const TYPES: [(&str, &[Described]); 6] = [
    (
        "__Schema",
        &[
            ("description", "String", false),
            ("directives", "[__Directive!]!", false),
            ("mutationType", "__Type", false),
            ("queryType", "__Type!", false),
            ("subscriptionType", "__Type", false),
            ("types", "[__Type!]!", false),
        ],
    ),
    (
        "__Type",
        &[
            ("description", "String", false),
            ("enumValues", "[__EnumValue!]", true),
            ("fields", "[__Field!]", true),
            ("inputFields", "[__InputValue!]", true),
            ("interfaces", "[__Type!]", false),
            ("kind", "__TypeKind!", false),
            ("name", "String", false),
            ("ofType", "__Type", false),
            ("possibleTypes", "[__Type!]", false),
            ("specifiedByURL", "String", false),
        ],
    ),
    (
        "__Field",
        &[
            ("args", "[__InputValue!]!", true),
            ("deprecationReason", "String", false),
            ("description", "String", false),
            ("isDeprecated", "Boolean!", false),
            ("name", "String!", false),
            ("type", "__Type!", false),
        ],
    ),
    (
        "__InputValue",
        &[
            ("defaultValue", "String", false),
            ("deprecationReason", "String", false),
            ("description", "String", false),
            ("isDeprecated", "Boolean!", false),
            ("name", "String!", false),
            ("type", "__Type!", false),
        ],
    ),
    (
        "__EnumValue",
        &[
            ("deprecationReason", "String", false),
            ("description", "String", false),
            ("isDeprecated", "Boolean!", false),
            ("name", "String!", false),
        ],
    ),
    (
        "__Directive",
        &[
            ("args", "[__InputValue!]!", true),
            ("description", "String", false),
            ("isRepeatable", "Boolean!", false),
            ("locations", "[__DirectiveLocation!]!", false),
            ("name", "String!", false),
        ],
    ),
];

pub fn add_types(builder: &mut Builder<'_>) {
    for (name, fields) in TYPES {
        let field = |(field, ty, deprecated): &Described| {
            let ty = crate::syntax::parse_type(ty).unwrap_or_else(|_| named("String"));
            let definition = FieldDefinition::new(ty);
            let definition = match deprecated {
                true => definition.argument("includeDeprecated", named("Boolean"), ""),
                false => definition,
            };
            ((*field).to_owned(), definition)
        };
        builder.object(name.to_owned(), String::new(), fields.iter().map(field).collect());
    }
    let kinds = [
        "ENUM",
        "INPUT_OBJECT",
        "INTERFACE",
        "LIST",
        "NON_NULL",
        "OBJECT",
        "SCALAR",
        "UNION",
    ];
    let values = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), String::new())).collect();
    builder.enumeration("__TypeKind".to_owned(), String::new(), values(&kinds));
    let places = ["FIELD", "FRAGMENT_SPREAD", "INLINE_FRAGMENT", "QUERY"];
    builder.enumeration("__DirectiveLocation".to_owned(), String::new(), values(&places));
}

/// The root fields, which only queries have.
pub fn add_roots(fields: &mut IndexMap<String, FieldDefinition>) {
    let by_name = FieldDefinition::new(named("__Type")).argument("name", required("String"), "");
    fields.insert("__schema".to_owned(), FieldDefinition::new(required("__Schema")));
    fields.insert("__type".to_owned(), by_name);
}

/// The answer to a selected `__schema` or `__type`.
pub fn answer(schema: &RoleSchema, selected: &Selected) -> Value {
    if selected.name == "__type" {
        let name = match selected.args.get("name") {
            Some(Value::String(name)) => name.as_str(),
            _ => "",
        };
        return match schema.types.contains_key(name) {
            true => ty(schema, &named(name), &selected.selection),
            false => Value::Null,
        };
    }
    pick(&selected.selection, |one| match one.name.as_str() {
        "queryType" => ty(schema, &named("query_root"), &one.selection),
        "mutationType" => root(schema, "mutation_root", one),
        "subscriptionType" => root(schema, "subscription_root", one),
        "types" => {
            let mut names: Vec<&String> = schema.types.keys().collect();
            names.sort();
            names
                .into_iter()
                .map(|name| ty(schema, &named(name), &one.selection))
                .collect()
        }
        "directives" => directives()
            .iter()
            .map(|known| directive(schema, known, &one.selection))
            .collect(),
        _ => Value::Null,
    })
}

fn root(schema: &RoleSchema, name: &str, one: &Selected) -> Value {
    if schema.types.contains_key(name) {
        ty(schema, &named(name), &one.selection)
    } else {
        Value::Null
    }
}

fn pick(selection: &[Selected], answer: impl Fn(&Selected) -> Value) -> Value {
    let mut object = Map::new();
    for one in selection {
        let value = if one.name == "__typename" {
            Value::from(one.parent.as_str())
        } else {
            answer(one)
        };
        object.insert(one.key.clone(), value);
    }
    Value::Object(object)
}

fn ty(schema: &RoleSchema, of: &TypeRef, selection: &[Selected]) -> Value {
    if of.is_required() {
        return wrapper(schema, "NON_NULL", &of.clone().optional(), selection);
    }
    let name = match of {
        TypeRef::List { of, .. } => return wrapper(schema, "LIST", of, selection),
        TypeRef::Named { name, .. } => name,
    };
    let def = schema.types.get(name);
    pick(selection, |one| match (one.name.as_str(), def.map(|def| &def.kind)) {
        ("name", _) => json!(name),
        ("description", _) => json!(def.and_then(|def| def.description.as_ref())),
        ("kind", Some(Kind::Object(_))) => json!("OBJECT"),
        ("kind", Some(Kind::Input(_))) => json!("INPUT_OBJECT"),
        ("kind", Some(Kind::Enum(_))) => json!("ENUM"),
        ("kind", Some(Kind::Interface(_))) => json!("INTERFACE"),
        ("kind", Some(Kind::Union)) => json!("UNION"),
        ("kind", _) => json!("SCALAR"),
        ("interfaces", Some(Kind::Object(_))) if schema.is_node(name) => {
            json!([ty(schema, &named("Node"), &one.selection)])
        }
        ("interfaces", Some(Kind::Object(_))) => {
            let is_one = |of: &&String| schema.interface(of).is_some() && schema.may_be(of, name);
            let mut names: Vec<&String> = schema.possible.keys().filter(is_one).collect();
            names.sort();
            let interfaces = names.into_iter().map(|name| ty(schema, &named(name), &one.selection));
            interfaces.collect()
        }
        ("interfaces", Some(Kind::Interface(_))) => json!([]),
        ("possibleTypes", Some(Kind::Interface(_) | Kind::Union)) if schema.possible.contains_key(name) => {
            let possible = schema.possible[name].iter();
            possible.map(|name| ty(schema, &named(name), &one.selection)).collect()
        }
        ("possibleTypes", Some(Kind::Interface(_))) => {
            let mut names: Vec<&String> = schema.nodes.iter().map(|node| &node.ty).collect();
            names.sort();
            let possible = names.into_iter().map(|name| ty(schema, &named(name), &one.selection));
            possible.collect()
        }
        ("fields", Some(Kind::Object(fields) | Kind::Interface(fields))) => {
            let mut fields: Vec<_> = fields.iter().filter(|(name, _)| !name.starts_with("__")).collect();
            fields.sort_by_key(|(name, _)| *name);
            fields
                .into_iter()
                .map(|(name, def)| output_field(schema, name, def, &one.selection))
                .collect()
        }
        ("inputFields", Some(Kind::Input(fields))) => inputs(schema, fields, &one.selection),
        ("enumValues", Some(Kind::Enum(values))) => {
            let value = |(name, text): &(String, String)| {
                pick(&one.selection, |one| match one.name.as_str() {
                    "name" => json!(name),
                    "description" => json!(Some(text).filter(|text| !text.is_empty())),
                    "isDeprecated" => json!(false),
                    _ => Value::Null,
                })
            };
            values.iter().map(value).collect()
        }
        _ => Value::Null,
    })
}

fn wrapper(schema: &RoleSchema, kind: &str, of: &TypeRef, selection: &[Selected]) -> Value {
    pick(selection, |one| match one.name.as_str() {
        "kind" => json!(kind),
        "ofType" => ty(schema, of, &one.selection),
        _ => Value::Null,
    })
}

fn output_field(schema: &RoleSchema, name: &str, def: &FieldDefinition, selection: &[Selected]) -> Value {
    pick(selection, |one| match one.name.as_str() {
        "name" => json!(name),
        "description" => json!(def.description),
        "args" => inputs(schema, &def.arguments, &one.selection),
        "type" => ty(schema, &def.ty, &one.selection),
        "isDeprecated" => json!(false),
        _ => Value::Null,
    })
}

fn inputs(schema: &RoleSchema, inputs: &IndexMap<String, InputDefinition>, selection: &[Selected]) -> Value {
    let mut sorted: Vec<_> = inputs.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    let one_input = |(name, def): (&String, &InputDefinition)| {
        pick(selection, |one| match one.name.as_str() {
            "name" => json!(name),
            "description" => json!(def.description),
            "type" => ty(schema, &def.ty, &one.selection),
            "defaultValue" => json!(def.default),
            "isDeprecated" => json!(false),
            _ => Value::Null,
        })
    };
    sorted.into_iter().map(one_input).collect()
}

struct Known {
    name: &'static str,
    text: &'static str,
    places: &'static [&'static str],
    args: IndexMap<String, InputDefinition>,
}

fn directives() -> Vec<Known> {
    let everywhere: &[&str] = &["FIELD", "FRAGMENT_SPREAD", "INLINE_FRAGMENT"];
    let condition = || IndexMap::from([("if".to_owned(), InputDefinition::new(required("Boolean")))]);
    let mut ttl = InputDefinition::new(required("Int")).described("measured in seconds");
    ttl.default = Some("60".into());
    let mut refresh = InputDefinition::new(required("Boolean")).described("refresh the cache entry");
    refresh.default = Some("false".into());
    vec![
        Known {
            name: "include",
            text: "whether this query should be included",
            places: everywhere,
            args: condition(),
        },
        Known {
            name: "skip",
            text: "whether this query should be skipped",
            places: everywhere,
            args: condition(),
        },
        Known {
            name: "cached",
            text: "whether this query should be cached (Hasura Cloud only)",
            places: &["QUERY"],
            args: IndexMap::from([("ttl".to_owned(), ttl), ("refresh".to_owned(), refresh)]),
        },
    ]
}

fn directive(schema: &RoleSchema, known: &Known, selection: &[Selected]) -> Value {
    pick(selection, |one| match one.name.as_str() {
        "name" => json!(known.name),
        "description" => json!(known.text),
        "locations" => json!(known.places),
        "args" => inputs(schema, &known.args, &one.selection),
        "isRepeatable" => json!(false),
        _ => Value::Null,
    })
}
