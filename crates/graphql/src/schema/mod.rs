//! The schema of one role: its types and what each root field does.

mod inputs;
mod mutation;
mod role;
mod select;
mod types;

pub(crate) use role::Builder;
pub use role::{RoleSchema, Root, Verb};
pub use types::{FieldDefinition, InputDefinition, Kind, named, required};
