//! What the operator sees: JSON logs, trace context and OTLP export, metrics, BetterStack; and the one outbound HTTP client,
//! which lives here because every hop must carry the trace context.
//!
//! Level 0. Handles are made once and passed in; nothing here is global but the `tracing` dispatcher, which is so by design.

pub mod betterstack;
pub mod client;
pub mod context;
pub mod logs;
pub mod metrics;
pub mod sink;
pub mod trace;
