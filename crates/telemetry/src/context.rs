//! The request a task is working for, so that every log line and outbound call of it carries the same ids.

use crate::trace::TraceContext;
use std::{future::Future, sync::Arc};

#[derive(Clone, Debug)]
pub struct RequestContext {
    pub request_id: Arc<str>,
    pub trace: TraceContext,
}

tokio::task_local! {
    static CURRENT: RequestContext;
}

/// Runs `work` as part of the request; its log lines carry `request_id` and `trace_id`.
pub async fn scope<F: Future>(context: RequestContext, work: F) -> F::Output {
    CURRENT.scope(context, work).await
}

/// The same for work that does not wait.
pub fn within<T>(context: &RequestContext, work: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(context.clone(), work)
}

/// The request of the running task, if it works for one.
pub fn current() -> Option<RequestContext> {
    CURRENT.try_with(Clone::clone).ok()
}

pub(crate) fn with_current(read: impl FnOnce(&RequestContext)) {
    // Outside a request there is nothing to read, which is no error.
    let _ = CURRENT.try_with(read);
}
