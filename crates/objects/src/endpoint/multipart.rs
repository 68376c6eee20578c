//! The multipart operations of the endpoint.

use super::{
    answers::{etag, md5, own_metadata, refuse, timestamp},
    body::checked,
    s3::{Answer, Endpoint, answer, key, trailer_names},
};
use crate::{Attributes, Checksums, Meta, local::Source};
use s3s::{S3Error, S3ErrorCode, S3Request, dto::*};

impl Endpoint {
    pub(super) async fn create_upload(&self, input: CreateMultipartUploadInput) -> Answer<CreateMultipartUploadOutput> {
        let attributes = Attributes {
            content_type: input.content_type,
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: input.content_encoding,
            metadata: own_metadata(input.metadata),
        };
        let key = key(&input.key)?;
        let id = self
            .0
            .create_upload(&input.bucket, &key, &attributes)
            .await
            .map_err(refuse)?;
        answer(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            checksum_algorithm: input.checksum_algorithm,
            ..Default::default()
        })
    }

    pub(super) async fn part(&self, request: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        let trailers = trailer_names(&request);
        let S3Request {
            input,
            trailing_headers,
            ..
        } = request;
        self.0
            .upload(&input.bucket, &input.key, &input.upload_id)
            .await
            .map_err(refuse)?;
        let expected = md5(input.content_md5.as_deref())?;
        let announced = Checksum {
            checksum_crc32: input.checksum_crc32,
            checksum_crc32c: input.checksum_crc32c,
            checksum_crc64nvme: input.checksum_crc64nvme,
            checksum_sha1: input.checksum_sha1,
            checksum_sha256: input.checksum_sha256,
            ..Default::default()
        };
        let body = checked(input.body, announced.clone(), trailing_headers, &trailers);
        let tag = self
            .0
            .put_part(&input.upload_id, input.part_number, &expected, body)
            .await
            .map_err(refuse)?;
        answer(UploadPartOutput {
            e_tag: Some(etag(&tag)),
            checksum_crc32: announced.checksum_crc32,
            ..Default::default()
        })
    }

    pub(super) async fn part_from(
        &self,
        input: &UploadPartCopyInput,
        source: Source<'_>,
    ) -> Answer<UploadPartCopyOutput> {
        self.0
            .upload(&input.bucket, &input.key, &input.upload_id)
            .await
            .map_err(refuse)?;
        let bad_range = || S3Error::new(S3ErrorCode::InvalidRange);
        let range = input
            .copy_source_range
            .as_deref()
            .map(Range::parse)
            .transpose()
            .map_err(|_| bad_range())?;
        let choose = |meta: &Meta| {
            let part = range.map(|range| range.check(meta.size));
            let outside = |_| crate::error::bad_part("The range lies outside the source");
            part.transpose()
                .map_err(outside)
                .map(|part| part.unwrap_or(0..meta.size))
        };
        let (_, _, stream) = self.0.get(source.bucket, source.key, choose).await.map_err(refuse)?;
        let unchecked = Checksums::default();
        let tag = self
            .0
            .put_part(&input.upload_id, input.part_number, &unchecked, stream)
            .await
            .map_err(refuse)?;
        let result = CopyPartResult {
            e_tag: Some(etag(&tag)),
            last_modified: Some(timestamp(time::OffsetDateTime::now_utc())),
            ..Default::default()
        };
        answer(UploadPartCopyOutput {
            copy_part_result: Some(result),
            ..Default::default()
        })
    }

    pub(super) async fn complete(&self, input: CompleteMultipartUploadInput) -> Answer<CompleteMultipartUploadOutput> {
        let named = input
            .multipart_upload
            .and_then(|upload| upload.parts)
            .unwrap_or_default();
        let chosen: Vec<_> = named
            .into_iter()
            .map(|part| (part.part_number.unwrap_or(0), part.e_tag.map(ETag::into_value)))
            .collect();
        let key = key(&input.key)?;
        let stored = self
            .0
            .complete_upload(&input.bucket, &key, &input.upload_id, &chosen)
            .await
            .map_err(refuse)?;
        self.0.landed().notify_waiters();
        answer(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(etag(&stored.etag)),
            ..Default::default()
        })
    }

    pub(super) async fn parts(&self, input: ListPartsInput) -> Answer<ListPartsOutput> {
        self.0
            .upload(&input.bucket, &input.key, &input.upload_id)
            .await
            .map_err(refuse)?;
        let rows = self.0.parts(&input.upload_id).await.map_err(refuse)?;
        let part = |row: crate::local::PartRow| Part {
            part_number: Some(row.number),
            e_tag: Some(etag(&row.etag)),
            size: i64::try_from(row.size).ok(),
            last_modified: Some(timestamp(row.modified)),
            ..Default::default()
        };
        answer(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            is_truncated: Some(false),
            parts: Some(rows.into_iter().map(part).collect()),
            ..Default::default()
        })
    }

    pub(super) async fn uploads(&self, input: ListMultipartUploadsInput) -> Answer<ListMultipartUploadsOutput> {
        self.0.has_bucket(&input.bucket).await.map_err(refuse)?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let rows = self.0.uploads(&input.bucket, &prefix).await.map_err(refuse)?;
        let upload = |(key, id, at)| MultipartUpload {
            key: Some(key),
            upload_id: Some(id),
            initiated: Some(timestamp(at)),
            ..Default::default()
        };
        answer(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: input.prefix,
            is_truncated: Some(false),
            uploads: Some(rows.into_iter().map(upload).collect()),
            ..Default::default()
        })
    }
}
