//! The schema of one role: its types and what each root field does.

mod action;
mod comparison;
mod function;
mod inputs;
mod insert;
mod mutation;
mod native;
mod relay;
mod remote;
mod role;
mod select;
mod stream;
mod types;

pub use relay::Node;
pub use remote::{REMOTE_INTROSPECTION, add_remotes};
pub(crate) use role::Builder;
pub use role::{RoleSchema, Root, Verb, contradictions};
pub use types::{FieldDefinition, InputDefinition, Kind, TypeDefinition, named, required};
