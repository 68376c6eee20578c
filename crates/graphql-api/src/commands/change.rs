//! Commands that change the document: done where the engine finds nothing newly wrong, else undone with the reason.

use super::{native, success};
use crate::{dependents, draft::Draft, refusal::Refusal, state::told};
use graphql::Inconsistency;
use metadata::{
    ObjectId,
    commands::{self, Change},
};
use serde_json::{Value, json};

/// `None`: no command of the document.
pub async fn apply(draft: &mut Draft<'_>, name: &str, args: &Value) -> Option<Result<Value, Refusal>> {
    if commands::bare(name) == "track_tables" || commands::bare(name) == "untrack_tables" {
        return Some(many(draft, commands::bare(name), args).await);
    }
    let before = draft.metadata.clone();
    let change = match commands::apply(&mut draft.metadata, name, args)? {
        Ok(change) => change,
        Err(refusal) => {
            draft.metadata = before;
            return Some(Err(refusal.into()));
        }
    };
    let judged = match settle(draft, &change).await {
        Ok(()) if commands::bare(name) == "track_native_query" => native::check(draft, args).await,
        judged => judged,
    };
    if judged.is_err() {
        draft.metadata = before;
        if let Err(refusal) = draft.rebuild().await {
            return Some(Err(refusal));
        }
    }
    let told = |message: String| json!({ "message": message });
    Some(judged.map(|()| change.message.map_or_else(success, told)))
}

/// Each table's refusal is a warning; the others are done.
async fn many(draft: &mut Draft<'_>, name: &str, args: &Value) -> Result<Value, Refusal> {
    let single = name.trim_end_matches('s');
    let allow = args["allow_warnings"].as_bool().unwrap_or(true);
    let mut warnings = Vec::new();
    for (place, table) in args["tables"].as_array().into_iter().flatten().enumerate() {
        if let Some(Err(refusal)) = Box::pin(apply(draft, single, table)).await {
            if !allow {
                return Err(refusal.within(&format!("$.args.tables[{place}]")));
            }
            warnings.push(
                json!({"message": refusal.error.message, "name": format!("table {}", table["table"]), "type": "table"}),
            );
        }
    }
    match warnings.is_empty() {
        true => Ok(success()),
        false => Ok(json!({"message": "success", "warnings": warnings})),
    }
}

async fn settle(draft: &mut Draft<'_>, change: &Change) -> Result<(), Refusal> {
    let before = draft.inconsistent.clone();
    draft.rebuild().await?;
    if let (Some(conflict), false) = (draft.schema.conflict(), change.drops) {
        let refusal = Refusal::new("unexpected", "$.args", conflict);
        return Err(refusal.with_status(http::StatusCode::INTERNAL_SERVER_ERROR));
    }
    let wrong = draft.newly_wrong(&before);
    if wrong.is_empty() {
        return Ok(());
    }
    if wrong.iter().any(|one| one.kind == "query_collections") {
        let mut refusal = Refusal::new(
            "unexpected",
            "$.args",
            "cannot continue due to newly found inconsistent metadata",
        );
        refusal.error.internal = Some(Box::new(Value::Array(wrong.iter().map(told).collect())));
        return Err(refusal.with_status(http::StatusCode::INTERNAL_SERVER_ERROR));
    }
    if change.drops {
        return dependents::settle(draft, &before, change.cascade).await;
    }
    Err(refuse(&wrong, change.about.as_ref()))
}

/// The object's own fault is told as such; else the others it broke.
fn refuse(wrong: &[Inconsistency], about: Option<&ObjectId>) -> Refusal {
    let own = wrong
        .iter()
        .find(|one| about.is_some() && dependents::object_of(one).as_ref() == about);
    let mut refusal = match own {
        Some(own) if own.kind == "remote_schema" => Refusal::new("remote-schema-error", "$.args", own.reason.clone()),
        Some(own) => Refusal::new("invalid-configuration", "$.args", own.reason.clone()),
        None => Refusal::new(
            "unexpected",
            "$.args",
            "cannot continue due to new inconsistent metadata",
        ),
    };
    refusal.error.internal = Some(Box::new(Value::Array(wrong.iter().map(told).collect())));
    refusal
}
