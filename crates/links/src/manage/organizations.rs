//! `/v1/links/organizations`: people who share links, and who may do what there.

use super::access::caller;
use crate::{Links, error};
use axum::extract::State;
use foundation::{Principal, Result, Uuid, new_id};
use http::StatusCode;
use http_chassis::{
    auth::Caller,
    extract::{Json, Path},
    problem::Failure,
};
use postgres_chassis::{Client, translate};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct Organization {
    id: Uuid,
    name: String,
    /// The caller's own; null for an administrator who is no member
    role: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Organizations {
    organizations: Vec<Organization>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrganization {
    name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MemberRole {
    /// Changes members too
    Owner,
    /// Makes and changes links
    Editor,
    /// Looks
    Viewer,
}

impl MemberRole {
    fn as_str(self) -> &'static str {
        match self {
            MemberRole::Owner => "owner",
            MemberRole::Editor => "editor",
            MemberRole::Viewer => "viewer",
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct Member {
    user_id: Uuid,
    role: String,
}

#[derive(Serialize, ToSchema)]
pub struct Members {
    members: Vec<Member>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    user_id: Uuid,
    role: MemberRole,
}

/// Those the caller is a member of.
#[utoipa::path(get, path = "/v1/links/organizations", tag = "organizations", responses((status = 200, body = Organizations), (status = 401)))]
pub async fn list(State(links): State<Links>, who: Caller) -> Result<Json<Organizations>, Failure> {
    let client = links.pool.client().await?;
    let rows = client
        .query(
            "select o.id, o.name, m.role from links.organizations o left join links.members m on m.organization_id = o.id and m.user_id = $2
             where $1::uuid is null or m.role is not null order by o.name, o.id",
            &[&caller(&who), &who.user_id],
        )
        .await
        .map_err(|error| translate("listing organisations", error))?;
    let organizations = rows.iter().map(|row| Organization {
        id: row.get(0),
        name: row.get(1),
        role: row.get(2),
    });
    Ok(Json(Organizations {
        organizations: organizations.collect(),
    }))
}

/// Makes one, whose owner the caller is.
#[utoipa::path(post, path = "/v1/links/organizations", tag = "organizations", request_body = NewOrganization,
    responses((status = 201, body = Organization), (status = 401), (status = 422)))]
pub async fn create(
    State(links): State<Links>,
    who: Caller,
    Json(new): Json<NewOrganization>,
) -> Result<(StatusCode, Json<Organization>), Failure> {
    if new.name.is_empty() || new.name.chars().count() > 200 {
        return Err(error::invalid("name", "must have 1 to 200 characters").into());
    }
    let id = new_id();
    let client = links.pool.client().await?;
    client
        .execute(
            "with made as (insert into links.organizations (id, name, created_by) values ($1, $2, $3) returning id)
             insert into links.members (organization_id, user_id, role) select id, $3, 'owner' from made",
            &[&id, &new.name, &who.user_id],
        )
        .await
        .map_err(|error| translate("making an organisation", error))?;
    let made = Organization {
        id,
        name: new.name,
        role: Some("owner".into()),
    };
    Ok((StatusCode::CREATED, Json(made)))
}

/// Deletes one with its domains, folders and tags; its links stay their makers'.
#[utoipa::path(delete, path = "/v1/links/organizations/{id}", tag = "organizations", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 401), (status = 404), (status = 422)))]
pub async fn delete(State(links): State<Links>, who: Caller, Path(id): Path<Uuid>) -> Result<StatusCode, Failure> {
    let client = links.pool.client().await?;
    must_own(&client, &who, id).await?;
    let gone = client
        .execute("delete from links.organizations where id = $1", &[&id])
        .await;
    gone.map_err(|error| match postgres_chassis::constraint(&error) {
        Some(_) => error::invalid("id", "has links on its domains; move those first"),
        None => translate("deleting an organisation", error),
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who is a member, for members.
#[utoipa::path(get, path = "/v1/links/organizations/{id}/members", tag = "organizations", params(("id" = Uuid, Path)),
    responses((status = 200, body = Members), (status = 401), (status = 404)))]
pub async fn members(State(links): State<Links>, who: Caller, Path(id): Path<Uuid>) -> Result<Json<Members>, Failure> {
    let client = links.pool.client().await?;
    let rows = client
        .query(
            "select t.user_id, t.role from links.members t where t.organization_id = $2 and ($1::uuid is null or exists
                 (select from links.members m where m.organization_id = $2 and m.user_id = $1)) order by t.created_at, t.user_id",
            &[&caller(&who), &id],
        )
        .await
        .map_err(|error| translate("listing members", error))?;
    if rows.is_empty() {
        return Err(error::not_found("organisation").into());
    }
    let members = rows.iter().map(|row| Member {
        user_id: row.get(0),
        role: row.get(1),
    });
    Ok(Json(Members {
        members: members.collect(),
    }))
}

/// Takes somebody in, or gives another role. Owners may.
#[utoipa::path(post, path = "/v1/links/organizations/{id}/members", tag = "organizations", params(("id" = Uuid, Path)),
    request_body = NewMember, responses((status = 204), (status = 401), (status = 404), (status = 422)))]
pub async fn add(
    State(links): State<Links>,
    who: Caller,
    Path(id): Path<Uuid>,
    Json(new): Json<NewMember>,
) -> Result<StatusCode, Failure> {
    let client = links.pool.client().await?;
    must_own(&client, &who, id).await?;
    if new.role != MemberRole::Owner {
        must_keep_an_owner(&client, id, new.user_id).await?;
    }
    client
        .execute(
            "insert into links.members (organization_id, user_id, role) values ($1, $2, $3)
             on conflict (organization_id, user_id) do update set role = excluded.role",
            &[&id, &new.user_id, &new.role.as_str()],
        )
        .await
        .map_err(|error| translate("adding a member", error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Owners remove anybody, everybody may go.
#[utoipa::path(delete, path = "/v1/links/organizations/{id}/members/{user_id}", tag = "organizations",
    params(("id" = Uuid, Path), ("user_id" = Uuid, Path)), responses((status = 204), (status = 401), (status = 404), (status = 422)))]
pub async fn remove(
    State(links): State<Links>,
    who: Caller,
    Path((id, user_id)): Path<(Uuid, Uuid)>,
) -> Result<StatusCode, Failure> {
    let client = links.pool.client().await?;
    if user_id != who.user_id {
        must_own(&client, &who, id).await?;
    }
    must_keep_an_owner(&client, id, user_id).await?;
    let statement = "delete from links.members where organization_id = $1 and user_id = $2";
    let gone = client.execute(statement, &[&id, &user_id]).await;
    match gone.map_err(|error| translate("removing a member", error))? {
        0 => Err(error::not_found("member").into()),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

async fn must_own(client: &Client, who: &Principal, id: Uuid) -> Result<()> {
    let statement = "select from links.organizations o where o.id = $2 and ($1::uuid is null or exists
        (select from links.members m where m.organization_id = o.id and m.user_id = $1 and m.role = 'owner'))";
    let row = client.query_opt(statement, &[&caller(who), &id]).await;
    let row = row.map_err(|error| translate("reading a membership", error))?;
    row.map(drop).ok_or_else(|| error::not_found("organisation of yours"))
}

async fn must_keep_an_owner(client: &Client, id: Uuid, without: Uuid) -> Result<()> {
    let statement =
        "select exists (select from links.members where organization_id = $1 and role = 'owner' and user_id <> $2)";
    let row = client.query_one(statement, &[&id, &without]).await;
    let row = row.map_err(|error| translate("counting owners", error))?;
    if row.get(0) {
        Ok(())
    } else {
        Err(error::invalid("user_id", "is the last owner; make another one first"))
    }
}
