//! The statements on `links.links` and its tags.

use super::{
    access::{EDITED, SEEN, caller},
    draft::Draft,
};
use crate::error;
use deadpool_postgres::GenericClient;
use foundation::{PageRequest, Principal, Result, Uuid};
use postgres_chassis::{Row, constraint, translate};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

const LINK_COLUMNS: &str = "t.id, t.user_id, t.slug, t.target_url, t.title, t.description, t.is_active, t.metadata, t.organization_id,
    t.domain_id, t.folder_id, t.status, t.starts_at, t.expires_at, t.expired_url, t.click_limit, t.password_hash is not null,
    t.rules, t.variants, t.forward_query, t.utm, t.strict, t.cache_seconds, t.clicks, t.bot_clicks, t.created_at, t.updated_at,
    t.deleted_at, t.checked_at, t.check_status, t.check_error, (select host from links.domains d where d.id = t.domain_id),
    array(select g.name from links.link_tags lt join links.tags g on g.id = lt.tag_id where lt.link_id = t.id order by g.name)";

#[derive(Debug, Serialize, ToSchema)]
pub struct Link {
    pub id: Uuid,
    pub user_id: Option<Uuid>,
    pub slug: String,
    pub short_url: String,
    pub target_url: String,
    pub title: Option<String>,
    pub description: Option<String>,
    pub is_active: bool,
    pub metadata: Value,
    pub organization_id: Option<Uuid>,
    pub domain_id: Option<Uuid>,
    pub folder_id: Option<Uuid>,
    pub status: i16,
    #[serde(with = "time::serde::rfc3339::option")]
    pub starts_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    pub expired_url: Option<String>,
    pub click_limit: Option<i32>,
    pub has_password: bool,
    pub rules: Value,
    pub variants: Value,
    pub forward_query: bool,
    pub utm: Value,
    pub strict: bool,
    pub cache_seconds: Option<i32>,
    pub tags: Vec<String>,
    /// All, machines included
    pub clicks: i32,
    pub bot_clicks: i32,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub deleted_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub checked_at: Option<OffsetDateTime>,
    pub check_status: Option<i32>,
    pub check_error: Option<String>,
}

fn from_row(row: &Row, public_url: &str) -> Link {
    let slug: String = row.get(2);
    let host: Option<&str> = row.get(31);
    Link {
        id: row.get(0),
        user_id: row.get(1),
        short_url: host.map_or_else(
            || format!("{public_url}/l/{slug}"),
            |host| format!("https://{host}/{slug}"),
        ),
        slug,
        target_url: row.get(3),
        title: row.get(4),
        description: row.get(5),
        is_active: row.get(6),
        metadata: row.get(7),
        organization_id: row.get(8),
        domain_id: row.get(9),
        folder_id: row.get(10),
        status: row.get(11),
        starts_at: row.get(12),
        expires_at: row.get(13),
        expired_url: row.get(14),
        click_limit: row.get(15),
        has_password: row.get(16),
        rules: row.get(17),
        variants: row.get(18),
        forward_query: row.get(19),
        utm: row.get(20),
        strict: row.get(21),
        cache_seconds: row.get(22),
        clicks: row.get(23),
        bot_clicks: row.get(24),
        created_at: row.get(25),
        updated_at: row.get(26),
        deleted_at: row.get(27),
        checked_at: row.get(28),
        check_status: row.get(29),
        check_error: row.get(30),
        tags: row.get(32),
    }
}

impl Link {
    pub fn draft(&self, password_hash: Option<String>) -> Draft {
        Draft {
            slug: Some(self.slug.clone()),
            target_url: self.target_url.clone(),
            title: self.title.clone(),
            description: self.description.clone(),
            is_active: self.is_active,
            metadata: self.metadata.clone(),
            organization_id: self.organization_id,
            domain_id: self.domain_id,
            folder_id: self.folder_id,
            status: self.status,
            starts_at: self.starts_at,
            expires_at: self.expires_at,
            expired_url: self.expired_url.clone(),
            click_limit: self.click_limit,
            password_hash,
            rules: self.rules.clone(),
            variants: self.variants.clone(),
            forward_query: self.forward_query,
            utm: self.utm.clone(),
            strict: self.strict,
            cache_seconds: self.cache_seconds,
        }
    }
}

/// What the list is narrowed to.
#[derive(Default)]
pub struct Narrow<'a> {
    pub folder_id: Option<Uuid>,
    pub domain_id: Option<Uuid>,
    pub organization_id: Option<Uuid>,
    pub tag: Option<&'a str>,
    pub search: Option<&'a str>,
    pub deleted: bool,
}

pub async fn list(
    client: &impl GenericClient,
    principal: &Principal,
    narrow: &Narrow<'_>,
    page: &PageRequest,
    public_url: &str,
) -> Result<Vec<Link>> {
    let statement = format!(
        "select {LINK_COLUMNS} from links.links t where {SEEN} and ($2::uuid is null or t.id < $2) and (t.deleted_at is not null) = $4
             and ($5::uuid is null or t.folder_id = $5) and ($6::uuid is null or t.domain_id = $6)
             and ($7::uuid is null or t.organization_id = $7)
             and ($8::text is null or exists (select from links.link_tags lt join links.tags g on g.id = lt.tag_id
                                              where lt.link_id = t.id and g.name = $8))
             and ($9::text is null or strpos(lower(t.slug || ' ' || t.target_url || ' ' || coalesce(t.title, '')), lower($9)) > 0)
         order by t.id desc limit $3"
    );
    let after = page.after.map(|cursor| cursor.0);
    let rows = client
        .query(
            &statement,
            &[
                &caller(principal),
                &after,
                &page.fetch(),
                &narrow.deleted,
                &narrow.folder_id,
                &narrow.domain_id,
                &narrow.organization_id,
                &narrow.tag,
                &narrow.search,
            ],
        )
        .await
        .map_err(|error| translate("listing links", error))?;
    Ok(rows.iter().map(|row| from_row(row, public_url)).collect())
}

/// # Errors
/// `LINK_NOT_FOUND`
pub async fn find(client: &impl GenericClient, principal: &Principal, id: Uuid, public_url: &str) -> Result<Link> {
    let statement = format!("select {LINK_COLUMNS} from links.links t where {SEEN} and t.id = $2");
    let row = client.query_opt(&statement, &[&caller(principal), &id]).await;
    let row = row.map_err(|error| translate("finding a link", error))?;
    row.as_ref()
        .map(|row| from_row(row, public_url))
        .ok_or_else(|| error::not_found("link"))
}

/// Locked until the transaction ends; with the hash of its password.
///
/// # Errors
/// `NOT_FOUND`, or the caller may only look.
pub async fn lock(
    client: &impl GenericClient,
    principal: &Principal,
    id: Uuid,
    public_url: &str,
) -> Result<(Link, Option<String>)> {
    let found = find(client, principal, id, public_url).await?;
    let statement = format!("select t.password_hash from links.links t where {EDITED} and t.id = $2 for update");
    let row = client.query_opt(&statement, &[&caller(principal), &id]).await;
    match row.map_err(|error| translate("locking a link", error))? {
        Some(row) => Ok((found, row.get(0))),
        None => Err(error::viewers_only_look()),
    }
}

/// What a constraint says, in words.
fn refused(draft: &Draft, error: tokio_postgres::Error) -> foundation::Error {
    match constraint(&error) {
        Some("links_slug_key") => error::slug_taken(draft.slug.as_deref().unwrap_or_default()),
        Some("links_target_blocked") => error::invalid("target_url", "leads to a host that is blocked here"),
        Some("links_domain_owner" | "links_links_domain_id_fkey") => {
            error::invalid("domain_id", "is no domain of the same owner")
        }
        Some("links_folder_owner") => error::invalid("folder_id", "is no folder of the same owner"),
        Some("links_target_url_form") => error::invalid("target_url", "is no http or https address"),
        _ => translate("writing a link", error),
    }
}

pub async fn insert(client: &impl GenericClient, id: Uuid, user: Uuid, draft: &Draft) -> Result<()> {
    client
        .execute(
            "insert into links.links (id, user_id, slug, target_url, title, description, is_active, metadata, organization_id, domain_id,
                 folder_id, status, starts_at, expires_at, expired_url, click_limit, password_hash, rules, variants, forward_query, utm,
                 strict, cache_seconds)
             values ($1, $2, coalesce($3, links.random_slug()), $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
                 $20, $21, $22, $23)",
            &[
                &id, &user, &draft.slug, &draft.target_url, &draft.title, &draft.description, &draft.is_active, &draft.metadata,
                &draft.organization_id, &draft.domain_id, &draft.folder_id, &draft.status, &draft.starts_at, &draft.expires_at,
                &draft.expired_url, &draft.click_limit, &draft.password_hash, &draft.rules, &draft.variants, &draft.forward_query,
                &draft.utm, &draft.strict, &draft.cache_seconds,
            ],
        )
        .await
        .map_err(|error| refused(draft, error))?;
    Ok(())
}

pub async fn update(client: &impl GenericClient, id: Uuid, draft: &Draft) -> Result<()> {
    client
        .execute(
            "update links.links set slug = $2, target_url = $3, title = $4, description = $5, is_active = $6, metadata = $7,
                 organization_id = $8, domain_id = $9, folder_id = $10, status = $11, starts_at = $12, expires_at = $13,
                 expired_url = $14, click_limit = $15, password_hash = $16, rules = $17, variants = $18, forward_query = $19,
                 utm = $20, strict = $21, cache_seconds = $22 where id = $1",
            &[
                &id, &draft.slug, &draft.target_url, &draft.title, &draft.description, &draft.is_active, &draft.metadata,
                &draft.organization_id, &draft.domain_id, &draft.folder_id, &draft.status, &draft.starts_at, &draft.expires_at,
                &draft.expired_url, &draft.click_limit, &draft.password_hash, &draft.rules, &draft.variants, &draft.forward_query,
                &draft.utm, &draft.strict, &draft.cache_seconds,
            ],
        )
        .await
        .map_err(|error| refused(draft, error))?;
    Ok(())
}

/// Tags of the link's owner, made where they are not there yet.
pub async fn set_tags(client: &impl GenericClient, link: Uuid, tags: &[String]) -> Result<()> {
    let told = |error| translate("tagging a link", error);
    client
        .execute(
            "insert into links.tags (user_id, organization_id, name)
             select l.user_id, l.organization_id, given.name from links.links l, unnest($2::text[]) as given (name)
             where l.id = $1 and l.user_id is not null and not exists (select from links.tags t where t.name = given.name
                 and (l.organization_id is not null and t.organization_id = l.organization_id
                      or l.organization_id is null and t.organization_id is null and t.user_id = l.user_id))
             on conflict do nothing",
            &[&link, &tags],
        )
        .await
        .map_err(told)?;
    client
        .execute("delete from links.link_tags where link_id = $1", &[&link])
        .await
        .map_err(told)?;
    client
        .execute(
            "insert into links.link_tags (link_id, tag_id) select distinct on (t.name) l.id, t.id from links.links l join links.tags t
                 on (l.organization_id is not null and t.organization_id = l.organization_id
                     or l.organization_id is null and t.organization_id is null and t.user_id = l.user_id)
             where l.id = $1 and t.name = any($2)",
            &[&link, &tags],
        )
        .await
        .map_err(told)?;
    Ok(())
}

pub async fn utm_template(client: &impl GenericClient, principal: &Principal, id: Uuid) -> Result<Value> {
    let statement = format!("select t.utm from links.utm_templates t where {SEEN} and t.id = $2");
    let row = client.query_opt(&statement, &[&caller(principal), &id]).await;
    let row = row.map_err(|error| translate("reading a UTM template", error))?;
    row.map(|row| row.get(0))
        .ok_or_else(|| error::not_found("UTM template"))
}
