//! Managed cluster.
