//! What depends on what was taken away: it stands in the list of what became inconsistent. It is told, or with a cascade
//! taken away too.

use crate::{draft::Draft, refusal::Refusal};
use graphql::Inconsistency;
use metadata::{ObjectId, PermissionKind, SourceObject, TableName};
use serde_json::Value;

/// # Errors
/// `dependency-error`, with every dependent named.
pub async fn settle(draft: &mut Draft<'_>, before: &[Inconsistency], cascade: bool) -> Result<(), Refusal> {
    loop {
        let wrong = draft.newly_wrong(before);
        if wrong.is_empty() {
            return Ok(());
        }
        let objects: Vec<ObjectId> = wrong.iter().filter_map(object_of).collect();
        if !cascade || objects.is_empty() {
            let named = wrong.iter().map(|one| match object_of(one) {
                Some(object) => object.to_string(),
                None => one.name.clone(),
            });
            let mut named: Vec<String> = named.collect();
            named.sort();
            named.dedup();
            let message = format!(
                "cannot drop due to the following dependent objects: {}",
                named.join(", ")
            );
            return Err(Refusal::new("dependency-error", "$.args", message));
        }
        for object in &objects {
            draft.metadata.remove(object);
        }
        draft.rebuild().await?;
    }
}

/// The object an inconsistency is about, read from its definition.
pub fn object_of(one: &Inconsistency) -> Option<ObjectId> {
    let definition = &one.definition;
    let table = |value: &Value| serde_json::from_value::<TableName>(value.clone()).ok();
    let text = |key: &str| definition[key].as_str().map(str::to_owned);
    let source = text("source").unwrap_or_else(|| source_in(&one.name));
    let object = match one.kind {
        "source" => return Some(ObjectId::Source(definition.as_str()?.to_owned())),
        "inherited_role" => return Some(ObjectId::InheritedRole(text("role_name")?)),
        "action" => return Some(ObjectId::Action(text("name")?)),
        "remote_schema" => return Some(ObjectId::RemoteSchema(text("name")?)),
        "custom_types" => return Some(ObjectId::CustomTypes),
        "cron_trigger" => return Some(ObjectId::CronTrigger(text("name")?)),
        "rest_endpoint" => return Some(ObjectId::RestEndpoint(text("name")?)),
        "table" => SourceObject::Table(table(definition)?),
        "function" => SourceObject::Function(table(definition).or_else(|| table(&definition["function"]))?),
        "object_relation" | "array_relation" => SourceObject::Relationship {
            table: table(&definition["table"])?,
            name: text("name")?,
        },
        "computed_field" => SourceObject::ComputedField {
            table: table(&definition["table"])?,
            name: text("name")?,
        },
        "function_permission" => SourceObject::FunctionPermission {
            function: table(&definition["function"])?,
            role: text("role")?,
        },
        "event_trigger" => SourceObject::EventTrigger {
            table: table(&definition["table"])?,
            name: text("name")?,
        },
        "native_query" => SourceObject::NativeQuery(text("root_field_name").or_else(|| text("name"))?),
        "logical_model" => SourceObject::LogicalModel(text("name")?),
        permission => SourceObject::Permission {
            table: table(&definition["table"])?,
            role: text("role")?,
            kind: match permission.strip_suffix("_permission")? {
                "insert" => PermissionKind::Insert,
                "select" => PermissionKind::Select,
                "update" => PermissionKind::Update,
                "delete" => PermissionKind::Delete,
                _ => return None,
            },
        },
    };
    Some(ObjectId::Of { source, object })
}

/// Names end in `in source default`.
fn source_in(name: &str) -> String {
    let found = name
        .rsplit_once(" in source ")
        .map(|(_, source)| source.trim_matches('"'));
    found.unwrap_or("default").to_owned()
}
