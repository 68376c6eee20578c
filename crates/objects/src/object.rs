//! What is known of an object, and the digests its bytes are checked with on the way in.

use crate::error;
use foundation::Result;
use futures_util::Stream;
use md5::{Digest, Md5};
use std::{collections::BTreeMap, io, pin::Pin};
use time::OffsetDateTime;

/// Bytes of an object, in pieces.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<bytes::Bytes>> + Send>>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    pub content_type: Option<String>,
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    pub content_encoding: Option<String>,
    pub metadata: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub struct Meta {
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Without its quotes.
    pub etag: String,
    pub modified: OffsetDateTime,
    pub attributes: Attributes,
}

#[derive(Clone, Debug)]
pub struct Stored {
    pub size: u64,
    /// Without its quotes.
    pub etag: String,
    /// Hexadecimal BLAKE3.
    pub blake3: String,
}

#[derive(Clone, Debug)]
pub struct Presigned {
    pub url: String,
    /// To be sent exactly so.
    pub headers: Vec<(String, String)>,
}

/// What the sender says its bytes hash to.
#[derive(Clone, Debug, Default)]
pub struct Checksums {
    pub md5: Option<[u8; 16]>,
    pub crc32: Option<u32>,
}

/// Running digests of a stream.
pub struct Digests {
    blake3: blake3::Hasher,
    md5: Md5,
    crc32: crc32fast::Hasher,
    size: u64,
}

impl Digests {
    pub fn new() -> Self {
        Self {
            blake3: blake3::Hasher::new(),
            md5: Md5::new(),
            crc32: crc32fast::Hasher::new(),
            size: 0,
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.blake3.update(bytes);
        self.md5.update(bytes);
        self.crc32.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// # Errors
    /// `BAD_DIGEST`
    pub fn finish(self, expected: &Checksums) -> Result<(blake3::Hash, [u8; 16], u64)> {
        let md5: [u8; 16] = self.md5.finalize().into();
        if expected.md5.is_some_and(|given| given != md5) {
            return Err(error::bad_digest("Content-MD5"));
        }
        if expected.crc32.is_some_and(|given| given != self.crc32.finalize()) {
            return Err(error::bad_digest("CRC32"));
        }
        Ok((self.blake3.finalize(), md5, self.size))
    }
}

impl Default for Digests {
    fn default() -> Self {
        Self::new()
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_differ_from_their_digest_are_refused() {
        let digests = |expected: &Checksums| {
            let mut digests = Digests::new();
            digests.update(b"123456789");
            digests.finish(expected)
        };
        let crc32 = Some(0xCBF4_3926);
        assert!(digests(&Checksums { md5: None, crc32 }).is_ok());
        let wrong = Checksums {
            md5: Some([0; 16]),
            crc32,
        };
        assert_eq!(digests(&wrong).expect_err("md5").code, "BAD_DIGEST");
        let wrong = Checksums {
            md5: None,
            crc32: Some(1),
        };
        assert_eq!(digests(&wrong).expect_err("crc").code, "BAD_DIGEST");
    }
}
