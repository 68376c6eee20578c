//! Who may see and change: what belongs to an organisation is its members', by their roles; the rest is its user's. Whose it
//! is is part of each statement, so that what is not yours is not found.

use crate::error;
use deadpool_postgres::GenericClient;
use foundation::{Principal, Result, Uuid};
use postgres_chassis::translate;

/// `$1` is the caller, null for administrators; `t` the table.
pub const SEEN: &str = "($1::uuid is null or t.user_id = $1 and t.organization_id is null
    or t.organization_id in (select m.organization_id from links.members m where m.user_id = $1))";

/// As above, and not only to look.
pub const EDITED: &str = "($1::uuid is null or t.user_id = $1 and t.organization_id is null
    or t.organization_id in (select m.organization_id from links.members m where m.user_id = $1 and m.role <> 'viewer'))";

/// What `$1` is.
pub fn caller(principal: &Principal) -> Option<Uuid> {
    (!principal.is_admin()).then_some(principal.user_id)
}

/// # Errors
/// The caller is no owner or editor of the organisation.
pub async fn may_give_to(client: &impl GenericClient, principal: &Principal, organization: Option<Uuid>) -> Result<()> {
    let Some(organization) = organization else {
        return Ok(());
    };
    let row = client
        .query_opt(
            "select m.role from links.organizations o left join links.members m on m.organization_id = o.id and m.user_id = $2
             where o.id = $1",
            &[&organization, &principal.user_id],
        )
        .await
        .map_err(|error| translate("reading a membership", error))?;
    match row.as_ref().map(|row| row.get::<_, Option<&str>>(0)) {
        Some(_) if principal.is_admin() => Ok(()),
        Some(Some("viewer")) => Err(error::viewers_only_look()),
        Some(Some(_)) => Ok(()),
        Some(None) | None => Err(error::not_found("organisation")),
    }
}
