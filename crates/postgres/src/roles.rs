//! One login role per service, owning no table, so that a hole in one service is not a hole in all.

use crate::{DatabaseUrl, translate};
use aws_lc_rs::hmac;
use foundation::Result;
use tokio_postgres::{Client, error::SqlState};

/// The one way an identifier gets into SQL text.
pub fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The role of a service's schema, e.g. `portico_core`.
pub(crate) fn role_name(schema: &str) -> String {
    format!("portico_{schema}")
}

/// The login every copy of a service derives alike from the owner's: no secret is stored, none needs handing out.
/// Only lower-case hex, so it may stand in SQL text.
pub(crate) fn derived_password(owner: &DatabaseUrl, role: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, owner.password());
    let tag = hmac::sign(&key, format!("portico login role {role}").as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes the role and its grants; `None` where the owner may not create roles, and the service keeps the owner's login.
pub(crate) async fn ensure(client: &Client, owner: &DatabaseUrl, schema: &str) -> Result<Option<DatabaseUrl>> {
    let role = role_name(schema);
    let password = derived_password(owner, &role);
    let quoted = quote_ident(&role);
    let exists = client
        .query_opt("select 1 from pg_roles where rolname = $1", &[&role])
        .await
        .map_err(|error| translate("looking for the login role", error))?
        .is_some();
    let verb = if exists { "alter" } else { "create" };
    let statement = format!("{verb} role {quoted} login nosuperuser nocreatedb nocreaterole password '{password}'");
    match client.batch_execute(&statement).await {
        Ok(()) => {}
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            tracing::warn!(
                role,
                "DATABASE_URL's login may not manage roles; the service uses that login itself. Mend: alter role … createrole"
            );
            return Ok(None);
        }
        Err(error) => return Err(translate("making the login role", error)),
    }
    grant(client, owner, schema, &quoted).await?;
    Ok(Some(owner.with_login(&role, &password)))
}

async fn grant(client: &Client, owner: &DatabaseUrl, schema: &str, role: &str) -> Result<()> {
    let (schema, database) = (quote_ident(schema), quote_ident(owner.database()));
    let grants = format!(
        "grant connect on database {database} to {role};
         grant usage on schema {schema} to {role};
         grant select, insert, update, delete on all tables in schema {schema} to {role};
         grant usage, select on all sequences in schema {schema} to {role};
         grant execute on all functions in schema {schema} to {role};
         alter default privileges in schema {schema} grant select, insert, update, delete on tables to {role};
         alter default privileges in schema {schema} grant usage, select on sequences to {role};
         revoke insert, update, delete on {schema}.schema_migrations from {role};
         grant usage on schema portico to {role};"
    );
    client
        .batch_execute(&grants)
        .await
        .map_err(|error| translate("granting to the login role", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_cannot_leave_its_quotes() {
        assert_eq!(quote_ident("a\"; drop table x; --"), "\"a\"\"; drop table x; --\"");
    }

    #[test]
    fn every_copy_derives_the_same_login_and_each_role_another() {
        let owner = DatabaseUrl::parse("postgres://app:s3cret@db/app").expect("valid");
        assert_eq!(
            derived_password(&owner, "portico_core"),
            derived_password(&owner, "portico_core")
        );
        assert_ne!(
            derived_password(&owner, "portico_core"),
            derived_password(&owner, "portico_media")
        );
    }
}
