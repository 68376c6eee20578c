//! The statements on `media.assets` and `media.removals`.

use super::Visibility;
use crate::error;
use deadpool_postgres::GenericClient;
use foundation::{PageRequest, Principal, Result, Uuid};
use postgres_chassis::{Row, translate};
use time::OffsetDateTime;

const COLUMNS: &str =
    "id, r2_key, filename, mime_type, size_bytes, visibility, user_id, created_at, etag, public_url, state, expires_at";

pub struct AssetRow {
    pub id: Uuid,
    pub key: String,
    pub filename: String,
    pub mime_type: String,
    pub size: u64,
    pub visibility: Visibility,
    pub user_id: Option<Uuid>,
    pub created_at: OffsetDateTime,
    pub etag: Option<String>,
    pub public_url: Option<String>,
    pub ready: bool,
    /// What a presign announced, while the object is not there.
    pub announced: Option<i64>,
}

fn from_row(row: &Row) -> AssetRow {
    let size: Option<i64> = row.get(4);
    AssetRow {
        id: row.get(0),
        key: row.get(1),
        filename: row.get(2),
        mime_type: row
            .get::<_, Option<String>>(3)
            .unwrap_or_else(|| "application/octet-stream".into()),
        size: size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
        visibility: Visibility::parse(row.get(5)).unwrap_or(Visibility::Private),
        user_id: row.get(6),
        created_at: row.get(7),
        etag: row.get(8),
        public_url: row.get(9),
        ready: row.get::<_, &str>(10) == "ready",
        announced: size,
    }
}

pub struct NewAsset<'a> {
    pub id: Uuid,
    pub user_id: Uuid,
    pub filename: &'a str,
    pub key: &'a str,
    pub mime_type: Option<&'a str>,
    pub announced: Option<i64>,
    pub visibility: Visibility,
    pub expires_at: Option<OffsetDateTime>,
}

/// `pending`, or `presigned` where it expires.
pub async fn insert(client: &impl GenericClient, new: &NewAsset<'_>) -> Result<()> {
    let state = if new.expires_at.is_some() {
        "presigned"
    } else {
        "pending"
    };
    client
        .execute(
            "insert into media.assets (id, user_id, filename, mime_type, size_bytes, r2_key, visibility, state, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            &[
                &new.id,
                &new.user_id,
                &new.filename,
                &new.mime_type,
                &new.announced,
                &new.key,
                &new.visibility.as_str(),
                &state,
                &new.expires_at,
            ],
        )
        .await
        .map_err(|error| translate("inserting an asset", error))?;
    Ok(())
}

pub struct Arrived<'a> {
    pub mime_type: &'a str,
    pub size: u64,
    pub etag: &'a str,
    pub visibility: Visibility,
    pub public_url: Option<&'a str>,
}

/// `None` where the sweeper has removed the row meanwhile.
pub async fn make_ready(client: &impl GenericClient, id: Uuid, arrived: &Arrived<'_>) -> Result<Option<AssetRow>> {
    let statement = format!(
        "update media.assets set state = 'ready', mime_type = $2, size_bytes = $3, etag = $4, visibility = $5,
             public_url = $6, expires_at = null, created_at = now(), updated_at = now()
         where id = $1 and state <> 'ready' returning {COLUMNS}"
    );
    let size = i64::try_from(arrived.size).unwrap_or(i64::MAX);
    let row = client
        .query_opt(
            &statement,
            &[
                &id,
                &arrived.mime_type,
                &size,
                &arrived.etag,
                &arrived.visibility.as_str(),
                &arrived.public_url,
            ],
        )
        .await
        .map_err(|error| translate("making an asset ready", error))?;
    Ok(row.as_ref().map(from_row))
}

/// The row, whatever its state, if the caller may know of it.
///
/// # Errors
/// `ASSET_NOT_FOUND`
pub async fn find(client: &impl GenericClient, id: Uuid, caller: &Principal) -> Result<AssetRow> {
    let statement = format!("select {COLUMNS} from media.assets where id = $1 and state <> 'pending'");
    let row = client
        .query_opt(&statement, &[&id])
        .await
        .map_err(|error| translate("finding an asset", error))?;
    let row = row.as_ref().map(from_row).ok_or_else(error::asset_not_found)?;
    let may = caller.is_admin() || row.user_id == Some(caller.user_id);
    if may { Ok(row) } else { Err(error::asset_not_found()) }
}

/// Only ready ones.
pub async fn find_ready(client: &impl GenericClient, id: Uuid, caller: &Principal) -> Result<AssetRow> {
    let row = find(client, id, caller).await?;
    if row.ready {
        Ok(row)
    } else {
        Err(error::asset_not_found())
    }
}

pub async fn find_public(client: &impl GenericClient, key: &str) -> Result<Option<AssetRow>> {
    let statement = format!(
        "select {COLUMNS} from media.assets where r2_key = $1 and state = 'ready' and visibility = 'public' limit 1"
    );
    let prepared = client
        .prepare_cached(&statement)
        .await
        .map_err(|error| translate("finding a public object", error))?;
    let row = client
        .query_opt(&prepared, &[&key])
        .await
        .map_err(|error| translate("finding a public object", error))?;
    Ok(row.as_ref().map(from_row))
}

/// Of one owner or of all, the greatest id first.
pub async fn list(client: &impl GenericClient, owner: Option<Uuid>, page: &PageRequest) -> Result<Vec<AssetRow>> {
    let statement = format!(
        "select {COLUMNS} from media.assets
         where state = 'ready' and ($1::uuid is null or user_id = $1) and ($2::uuid is null or id < $2)
         order by id desc limit $3"
    );
    let after = page.after.map(|cursor| cursor.0);
    let rows = client
        .query(&statement, &[&owner, &after, &page.fetch()])
        .await
        .map_err(|error| translate("listing assets", error))?;
    Ok(rows.iter().map(from_row).collect())
}

/// The row goes and its objects are due for removal, in one statement. `staged` goes once nobody can PUT it any more.
pub async fn remove(client: &impl GenericClient, id: Uuid, staged: Option<&str>) -> Result<bool> {
    let count = client
        .execute(
            "with gone as (delete from media.assets where id = $1 returning r2_key, expires_at),
                  due as (select r2_key as key, now() as at from gone
                          union all
                          select $2::text, coalesce(expires_at, now()) + interval '5 minutes' from gone where $2::text is not null)
             insert into media.removals (key, not_before) select key, at from due
             on conflict (key) do update set not_before = excluded.not_before",
            &[&id, &staged],
        )
        .await
        .map_err(|error| translate("removing an asset", error))?;
    Ok(count > 0)
}

/// An object to remove when nobody can write it any more.
pub async fn remove_object(client: &impl GenericClient, key: &str, seconds: f64) -> Result<()> {
    client
        .execute(
            "insert into media.removals (key, not_before) values ($1, now() + make_interval(secs => $2))
             on conflict (key) do update set not_before = excluded.not_before",
            &[&key, &seconds],
        )
        .await
        .map_err(|error| translate("noting an object for removal", error))?;
    Ok(())
}

/// Locks the presigned row until the transaction ends; `None` where it is not presigned any more.
pub async fn lock_presigned(client: &impl GenericClient, id: Uuid) -> Result<Option<AssetRow>> {
    let statement = format!("select {COLUMNS} from media.assets where id = $1 and state = 'presigned' for update");
    let row = client
        .query_opt(&statement, &[&id])
        .await
        .map_err(|error| translate("locking an asset", error))?;
    Ok(row.as_ref().map(from_row))
}

/// Presigned rows nobody looked at for two seconds; what expired is looked at more rarely.
pub async fn claim_presigned(client: &impl GenericClient) -> Result<Vec<Uuid>> {
    let rows = client
        .query(
            "update media.assets set checked_at = now() where id in (
                 select id from media.assets
                 where state = 'presigned' and (checked_at is null or checked_at < now() - interval '2 seconds')
                   and (expires_at > now() - interval '1 minute' or checked_at < now() - interval '5 minutes')
                 order by checked_at nulls first limit 50 for update skip locked)
             returning id",
            &[],
        )
        .await
        .map_err(|error| translate("claiming presigned uploads", error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Rows a crash or a client left behind.
pub async fn left_behind(client: &impl GenericClient) -> Result<Vec<(Uuid, bool)>> {
    let rows = client
        .query(
            "select id, state = 'presigned' from media.assets
             where state = 'pending' and updated_at < now() - interval '1 hour'
                or state = 'presigned' and expires_at < now() - interval '1 hour'
             limit 500",
            &[],
        )
        .await
        .map_err(|error| translate("looking for what was left behind", error))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

pub async fn due_removals(client: &impl GenericClient) -> Result<Vec<String>> {
    let rows = client
        .query(
            "select key from media.removals where not_before <= now() order by not_before limit 100",
            &[],
        )
        .await
        .map_err(|error| translate("listing removals", error))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// A removal that was noted again meanwhile stays.
pub async fn removed(client: &impl GenericClient, key: &str) -> Result<()> {
    client
        .execute(
            "delete from media.removals where key = $1 and not_before <= now()",
            &[&key],
        )
        .await
        .map_err(|error| translate("forgetting a removal", error))?;
    Ok(())
}
