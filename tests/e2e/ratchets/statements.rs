//! Every statement in the sources is prepared against the schema the migrations make, so a renamed column is found here and not
//! by a visitor.

use super::sources::{Statement, statements};
use portico_tests::{Shape, Stack, database::Database};

/// Statements whose schema is the caller's, by the value that is no constant. Whoever adds one says why here.
const CALLERS_SCHEMA: [(&str, &str); 2] = [
    // Migrations run in whichever service's schema they belong to.
    ("postgres/src/migrate.rs", "quote_ident"),
    // A question is one of many statements; links::pipeline and links::analytics run it on every source.
    ("links/src/analytics/answer.rs", "point"),
];

#[tokio::test]
async fn every_statement_fits_the_migrated_schema() {
    let stack = Stack::start(Shape::OneProcess).await;
    let client = Database::connect(&stack.database_url()).await;
    let (mut prepared, mut wrong) = (0, Vec::new());
    for crate_name in ["core", "media", "links", "objects", "postgres"] {
        let found = statements(crate_name);
        assert!(found.len() > 3, "{crate_name} has statements: {found:?}");
        for Statement { file, text } in found {
            let place = file.display().to_string();
            match text {
                Ok(text) => match client.prepare(&text).await {
                    Ok(_) => prepared += 1,
                    Err(error) => wrong.push(format!(
                        "{place}: {text}\n  {}",
                        error
                            .as_db_error()
                            .map_or_else(|| error.to_string(), |error| error.message().to_owned())
                    )),
                },
                Err(name) => {
                    let known = CALLERS_SCHEMA
                        .iter()
                        .any(|(file, value)| place.ends_with(file) && *value == name);
                    if !known {
                        wrong.push(format!("{place}: '{name}' is no constant"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{prepared} fit, these do not:\n{}", wrong.join("\n"));
    assert!(prepared > 60, "only {prepared} statements were found");
}
