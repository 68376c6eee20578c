//! Identifiers are UUID version 7 (RFC 9562): unique without asking anybody, and they sort by time of creation.

use uuid::Uuid;

pub fn new_id() -> Uuid {
    Uuid::now_v7()
}
