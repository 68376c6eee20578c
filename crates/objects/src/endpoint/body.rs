//! A request's body with the checksums its headers or trailers announce, checked as it passes.

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use s3s::{
    TrailingHeaders,
    checksum::ChecksumHasher,
    crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256},
    dto::{Checksum, StreamingBlob},
};
use std::io;

/// The names the trailers use, in the order of [`digests`].
const NAMES: [&str; 5] = [
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-checksum-crc64nvme",
];

fn digests(sums: &Checksum) -> [&Option<String>; 5] {
    [
        &sums.checksum_crc32,
        &sums.checksum_crc32c,
        &sums.checksum_sha1,
        &sums.checksum_sha256,
        &sums.checksum_crc64nvme,
    ]
}

struct Checked {
    body: StreamingBlob,
    hasher: Option<ChecksumHasher>,
    announced: Checksum,
    trailers: Option<TrailingHeaders>,
}

/// The last item is an error of kind `InvalidData` where a checksum is not what was announced.
pub fn checked(
    body: Option<StreamingBlob>,
    announced: Checksum,
    trailers: Option<TrailingHeaders>,
    trailer_names: &str,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let body = body.unwrap_or_else(|| StreamingBlob::wrap(stream::empty::<io::Result<Bytes>>()));
    let hasher = Some(hasher(&announced, trailer_names));
    let state = Checked {
        body,
        hasher,
        announced,
        trailers,
    };
    stream::try_unfold(state, |mut state| async move {
        match state.body.next().await {
            Some(Ok(bytes)) => {
                if let Some(hasher) = &mut state.hasher {
                    hasher.update(&bytes);
                }
                Ok(Some((bytes, state)))
            }
            Some(Err(error)) => Err(io::Error::other(error)),
            None => {
                if let Some(hasher) = state.hasher.take() {
                    compare(&hasher.finalize(), &state.announced, state.trailers.as_ref())?;
                }
                Ok(None)
            }
        }
    })
}

/// Only the algorithms that are asked for cost anything.
fn hasher(announced: &Checksum, trailer_names: &str) -> ChecksumHasher {
    let lower = trailer_names.to_ascii_lowercase();
    let trailers: Vec<&str> = lower.split(',').map(str::trim).collect();
    let wanted = |at: usize| digests(announced)[at].is_some() || trailers.contains(&NAMES[at]);
    ChecksumHasher {
        crc32: wanted(0).then(Crc32::new),
        crc32c: wanted(1).then(Crc32c::new),
        sha1: wanted(2).then(Sha1::new),
        sha256: wanted(3).then(Sha256::new),
        crc64nvme: wanted(4).then(Crc64Nvme::new),
    }
}

fn compare(computed: &Checksum, announced: &Checksum, trailers: Option<&TrailingHeaders>) -> io::Result<()> {
    let wrong = |name: &str| {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{name} does not match"),
        ))
    };
    for (at, name) in NAMES.iter().enumerate() {
        let Some(computed) = digests(computed)[at] else {
            continue;
        };
        if digests(announced)[at].as_ref().is_some_and(|given| given != computed) {
            return wrong(name);
        }
        let trailing = trailers.and_then(|trailers| {
            trailers.read(|headers| {
                headers
                    .get(*name)
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned)
            })
        });
        if trailing.flatten().is_some_and(|given| given.trim() != computed) {
            return wrong(name);
        }
    }
    Ok(())
}
