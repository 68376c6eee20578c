//! Who asks, by Hasura's rules.

use graphql::Session;
use time::OffsetDateTime;

/// A caller that was let in.
#[derive(Debug, Clone)]
pub struct Authenticated {
    pub session: Session,
    /// When the proof runs out; a WebSocket is closed then.
    pub expires_at: Option<OffsetDateTime>,
}
