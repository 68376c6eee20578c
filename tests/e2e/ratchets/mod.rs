//! What may not be forgotten: a statement nobody prepared against the migrated schema, a route nobody asked without a token.

mod routes;
mod sources;
mod statements;
