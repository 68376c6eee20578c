//! Whether the database can run a native query and what it returns is what its logical model says.

use crate::{draft::Draft, refusal::Refusal};
use metadata::NativeQuery;
use postgres_chassis::quote_ident;
use serde_json::{Value, json};

/// Asks the planner, which does nothing else.
pub async fn check(draft: &mut Draft<'_>, args: &Value) -> Result<(), Refusal> {
    let source = args["source"].as_str().unwrap_or("default").to_owned();
    let Some(sql) = explained(draft, &source, args) else {
        return Ok(());
    };
    let client = draft.transaction(&source).await?;
    let began = client.batch_execute("savepoint native_query").await;
    began.map_err(|error| failed(&error))?;
    let asked = client.batch_execute(&sql).await;
    let back = client.batch_execute("rollback to savepoint native_query").await;
    back.map_err(|error| failed(&error))?;
    asked.map_err(|error| failed(&error))
}

/// Every argument is null of its type.
fn explained(draft: &Draft<'_>, source: &str, args: &Value) -> Option<String> {
    let known = draft.metadata.source(source)?;
    let name = args["root_field_name"].as_str()?;
    let query: &NativeQuery = known.native_queries.iter().find(|one| one.root_field_name == name)?;
    let model = known.logical_models.iter().find(|one| one.name == query.returns)?;
    let fields: Vec<String> = model.fields.iter().map(|field| quote_ident(&field.name)).collect();
    let mut code = query.code.trim().trim_end_matches(';').to_owned();
    for (name, argument) in &query.arguments {
        let null = format!("(null::{})", argument["type"].as_str().unwrap_or("text"));
        for written in [format!("{{{{{name}}}}}"), format!("{{{{ {name} }}}}")] {
            code = code.replace(&written, &null);
        }
    }
    Some(format!("explain select {} from ({code}\n) native", fields.join(", ")))
}

fn failed(error: &tokio_postgres::Error) -> Refusal {
    let told = error.as_db_error();
    let message = told.map_or_else(|| error.to_string(), |told| told.message().to_owned());
    let mut refusal = Refusal::new(
        "validation-failed",
        "$.args",
        format!("Failed to validate query: {message}"),
    );
    refusal.error.internal = told.map(|told| Box::new(json!({"status_code": told.code().code(), "hint": told.hint()})));
    refusal
}
