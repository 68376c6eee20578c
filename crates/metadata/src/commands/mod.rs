//! The commands of `/v1/metadata`: each changes the document or refuses. They do not look at the database; whoever runs
//! them builds the engine's schema of the changed document and asks what became inconsistent.

mod action;
mod arguments;
mod collection;
mod computed_field;
mod cron_trigger;
mod event_trigger;
mod function;
mod native;
mod permission;
mod relationship;
mod remote_schema;
mod rest_endpoint;
mod role;
mod settings;
mod source;
mod table;

use crate::{Metadata, ObjectId};
use serde_json::Value;

/// Why a command is not done, as Hasura tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub code: &'static str,
    pub path: String,
    pub message: String,
}

impl Refusal {
    pub fn new(code: &'static str, path: impl Into<String>, message: impl Into<String>) -> Self {
        Refusal {
            code,
            path: path.into(),
            message: message.into(),
        }
    }
}

/// What a command did to the document.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// What it made or changed: its inconsistency is the command's failure.
    pub about: Option<ObjectId>,
    /// It took something away: others may depend on it.
    pub drops: bool,
    /// What depends on it goes too.
    pub cascade: bool,
    /// What is told besides that it is done.
    pub message: Option<String>,
}

impl Change {
    fn about(id: ObjectId) -> Self {
        Change {
            about: Some(id),
            ..Change::default()
        }
    }

    fn dropped(cascade: bool) -> Self {
        Change {
            about: None,
            drops: true,
            cascade,
            message: None,
        }
    }
}

type Done = Result<Change, Refusal>;

/// `None`: this is no command of ours.
pub fn apply(metadata: &mut Metadata, name: &str, args: &Value) -> Option<Done> {
    let families = [
        table::apply,
        relationship::apply,
        permission::apply,
        computed_field::apply,
        function::apply,
        source::apply,
        collection::apply,
        rest_endpoint::apply,
        role::apply,
        settings::apply,
        event_trigger::apply,
        cron_trigger::apply,
        action::apply,
        native::apply,
        remote_schema::apply,
    ];
    let bare = bare(name);
    families.into_iter().find_map(|family| family(metadata, bare, args))
}

/// The command's name without the kind of its database: `pg_track_table` is `track_table`.
pub fn bare(name: &str) -> &str {
    let prefixes = ["pg_", "postgres_", "citus_", "cockroach_"];
    prefixes
        .into_iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name)
}
