//! Links and what belongs to them over REST: who may, what a link's fields are, and a file per door.

pub mod access;
pub mod blocked;
pub mod bulk;
pub mod check;
pub mod domains;
pub mod draft;
pub mod fields;
pub mod folders;
pub mod import;
pub mod links;
pub mod organizations;
pub mod qr;
pub mod store;
pub mod tags;
pub mod transfer;
pub mod utm_templates;
