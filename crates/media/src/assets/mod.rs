//! Assets: what a caller sees of one, and the routes on them.

pub mod complete;
pub mod content;
pub mod delete;
pub mod get;
pub mod list;
pub mod store;

use crate::Media;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Served to everybody on the CDN paths
    #[default]
    Public,
    /// Served to its owner and administrators
    Private,
}

impl Visibility {
    pub fn as_str(self) -> &'static str {
        match self {
            Visibility::Public => "public",
            Visibility::Private => "private",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Visibility::Public, Visibility::Private]
            .into_iter()
            .find(|known| known.as_str() == text)
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Asset {
    pub id: foundation::Uuid,
    pub key: String,
    pub filename: String,
    pub mime_type: String,
    /// Bytes
    pub size: u64,
    pub url: String,
    pub visibility: Visibility,
    pub user_id: Option<foundation::Uuid>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: OffsetDateTime,
}

impl Asset {
    pub fn of(media: &Media, row: store::AssetRow) -> Self {
        let url = match (row.visibility, row.public_url) {
            (Visibility::Private, _) => media.content_url(row.id),
            (Visibility::Public, Some(url)) if !url.is_empty() => url,
            (Visibility::Public, _) => media.object_url(&row.key),
        };
        Self {
            id: row.id,
            key: row.key,
            filename: row.filename,
            mime_type: row.mime_type,
            size: row.size,
            url,
            visibility: row.visibility,
            user_id: row.user_id,
            created_at: row.created_at,
        }
    }
}
