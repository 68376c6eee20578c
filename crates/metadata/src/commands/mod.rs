//! The commands of `/v1/metadata`.
