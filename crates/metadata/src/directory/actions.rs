//! Actions stand in two files: what GraphQL's language can say in `actions.graphql`, the rest in `actions.yaml`.

use super::{
    Mistake,
    read::mistake,
    sdl::{self, Types},
};
use serde_json::{Map, Value, json};

pub const SIGNATURES: &str = "actions.graphql";
const REST: &str = "actions.yaml";

/// What both files say, as one.
pub fn merge(document: &mut Map<String, Value>, text: &str) -> Result<(), Mistake> {
    let read = sdl::parse(text).map_err(|(line, message)| mistake(SIGNATURES, Some(line), message))?;
    let mut signatures = read.actions;
    for action in document
        .get_mut("actions")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let name = action["name"].as_str().unwrap_or_default().to_owned();
        let Some(signature) = signatures.remove(&name) else {
            continue;
        };
        let definition = &mut action["definition"];
        definition["output_type"] = signature["output_type"].clone();
        definition["arguments"] = signature["arguments"].clone();
        if signature["query"] == true {
            definition["type"] = json!("query");
        }
    }
    if let Some(name) = signatures.keys().next() {
        let message = format!("the action \"{name}\" has no entry in {REST}, which says where its handler is");
        return Err(mistake(SIGNATURES, None, message));
    }
    let known = document.remove("custom_types").unwrap_or_default();
    let Types {
        input_objects,
        objects,
        scalars,
        enums,
    } = read.types;
    let mut types = Map::new();
    for (kind, list) in [
        ("input_objects", input_objects),
        ("objects", objects),
        ("scalars", scalars),
        ("enums", enums),
    ] {
        types.insert(kind.to_owned(), with_rest(list, &known[kind]));
    }
    types.retain(|_, list| list.as_array().is_some_and(|list| !list.is_empty()));
    document.insert("custom_types".to_owned(), Value::Object(types));
    Ok(())
}

/// In the order of the signatures; what the other file says of the same type is kept, and what only it has.
fn with_rest(list: Vec<Value>, known: &Value) -> Value {
    let mut known: Vec<Value> = known.as_array().cloned().unwrap_or_default();
    let mut merged = Vec::with_capacity(list.len());
    for mut one in list {
        if let Some(at) = known.iter().position(|rest| rest["name"] == one["name"]) {
            let Value::Object(rest) = known.remove(at) else {
                continue;
            };
            for (key, value) in rest {
                let missing = one.get(&key).is_none() || key == "values";
                if missing && !value.is_null() {
                    one[key] = value;
                }
            }
        }
        merged.push(one);
    }
    // What has no fields is only mentioned.
    known.retain(|one| one.get("fields").is_some() || one.get("values").is_some());
    merged.extend(known);
    Value::Array(merged)
}

/// Takes the signatures out of the document: the file they are in, empty where there are none.
pub fn split(document: &mut Map<String, Value>) -> (String, String) {
    let actions = document["actions"].as_array().cloned().unwrap_or_default();
    let types = document["custom_types"].clone();
    let text = sdl::write(&actions, &types);
    for action in document["actions"].as_array_mut().into_iter().flatten() {
        if let Some(definition) = action["definition"].as_object_mut() {
            definition.remove("arguments");
            definition.remove("output_type");
        }
    }
    for (kind, list) in document["custom_types"].as_object_mut().into_iter().flatten() {
        for one in list.as_array_mut().into_iter().flatten() {
            if let Some(one) = one.as_object_mut() {
                one.remove("fields");
                one.remove("description");
                // The language does not say what is deprecated.
                let plain = |value: &Value| value.get("is_deprecated").is_none();
                let values = one.get("values").and_then(Value::as_array);
                if kind == "enums" && values.is_some_and(|values| values.iter().all(plain)) {
                    one.remove("values");
                }
            }
        }
    }
    (SIGNATURES.to_owned(), text)
}
