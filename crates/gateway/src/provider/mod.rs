//! Providers: where configuration comes from while the gateway runs.

use crate::gateway::Control;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// One task per provider that is configured.
pub fn tasks(_control: &Arc<Control>, _stop: &CancellationToken) -> Vec<(String, BoxFuture<'static, ()>)> {
    Vec::new()
}
