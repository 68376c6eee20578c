//! The operations of S3 over the local store, each as short as the store makes it.

use super::{
    answers::{Conditions, etag, holds, md5, metadata, own_metadata, refuse, timestamp},
    body::checked,
};
use crate::{Attributes, Local, Meta, ObjectKey, local::Source};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, dto::*};

pub struct Endpoint(pub Local);

pub type Answer<T> = S3Result<S3Response<T>>;

pub fn answer<T>(output: T) -> Answer<T> {
    Ok(S3Response::new(output))
}

pub fn key(text: &str) -> S3Result<ObjectKey> {
    ObjectKey::parse(text).map_err(refuse)
}

/// The names of trailers a body announces.
pub fn trailer_names<T>(request: &S3Request<T>) -> String {
    let value = request
        .headers
        .get("x-amz-trailer")
        .and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

fn source(given: &CopySource) -> S3Result<Source<'_>> {
    match given {
        CopySource::Bucket { bucket, key, .. } => Ok(Source { bucket, key }),
        _ => Err(S3Error::new(S3ErrorCode::NotImplemented)),
    }
}

fn limit(given: Option<i32>) -> usize {
    usize::try_from(given.unwrap_or(1000)).unwrap_or(0).min(1000)
}

fn listed(meta: Meta) -> Object {
    Object {
        key: Some(meta.key),
        size: i64::try_from(meta.size).ok(),
        e_tag: Some(etag(&meta.etag)),
        last_modified: Some(timestamp(meta.modified)),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        ..Default::default()
    }
}

fn prefixes(given: Vec<String>) -> Option<CommonPrefixList> {
    Some(
        given
            .into_iter()
            .map(|prefix| CommonPrefix { prefix: Some(prefix) })
            .collect(),
    )
}

fn encode_keys(encoding: Option<&EncodingType>, listing: &mut crate::local::Listing) {
    if encoding.is_some_and(|given| given.as_str() == EncodingType::URL) {
        let encode = |text: &str| percent_encoding::utf8_percent_encode(text, crate::s3::KEY).to_string();
        listing.objects.iter_mut().for_each(|meta| meta.key = encode(&meta.key));
        listing.prefixes.iter_mut().for_each(|prefix| *prefix = encode(prefix));
    }
}

#[async_trait::async_trait]
impl S3 for Endpoint {
    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        let bucket = request.input.bucket;
        if !self.0.create_bucket(&bucket).await.map_err(refuse)? {
            return Err(S3Error::new(S3ErrorCode::BucketAlreadyOwnedByYou));
        }
        answer(CreateBucketOutput {
            location: Some(format!("/{bucket}")),
        })
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        self.0.has_bucket(&request.input.bucket).await.map_err(refuse)?;
        answer(HeadBucketOutput::default())
    }

    async fn get_bucket_location(&self, request: S3Request<GetBucketLocationInput>) -> Answer<GetBucketLocationOutput> {
        self.0.has_bucket(&request.input.bucket).await.map_err(refuse)?;
        answer(GetBucketLocationOutput::default())
    }

    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        let rows = self.0.buckets().await.map_err(refuse)?;
        let bucket = |(name, at)| Bucket {
            name: Some(name),
            creation_date: Some(timestamp(at)),
            ..Default::default()
        };
        answer(ListBucketsOutput {
            buckets: Some(rows.into_iter().map(bucket).collect()),
            ..Default::default()
        })
    }

    async fn delete_bucket(&self, request: S3Request<DeleteBucketInput>) -> Answer<DeleteBucketOutput> {
        if !self.0.delete_bucket(&request.input.bucket).await.map_err(refuse)? {
            return Err(S3Error::new(S3ErrorCode::BucketNotEmpty));
        }
        answer(DeleteBucketOutput::default())
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        let trailers = trailer_names(&request);
        let S3Request {
            input,
            trailing_headers,
            ..
        } = request;
        let key = key(&input.key)?;
        if input.if_none_match.is_some() || input.if_match.is_some() {
            let found = self.0.head(&input.bucket, key.as_str()).await.map_err(refuse)?;
            let etag = found.as_ref().map(|meta| meta.etag.as_str());
            let meets = |condition: &ETagCondition| etag.is_some_and(|etag| holds(condition, etag));
            if input.if_none_match.as_ref().is_some_and(meets) || !input.if_match.as_ref().is_none_or(meets) {
                return Err(S3Error::new(S3ErrorCode::PreconditionFailed));
            }
        }
        let expected = md5(input.content_md5.as_deref())?;
        let announced = Checksum {
            checksum_crc32: input.checksum_crc32,
            checksum_crc32c: input.checksum_crc32c,
            checksum_crc64nvme: input.checksum_crc64nvme,
            checksum_sha1: input.checksum_sha1,
            checksum_sha256: input.checksum_sha256,
            ..Default::default()
        };
        let attributes = Attributes {
            content_type: input.content_type,
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: input.content_encoding,
            metadata: own_metadata(input.metadata),
        };
        let body = checked(input.body, announced.clone(), trailing_headers, &trailers);
        let stored = self
            .0
            .put(&input.bucket, &key, &attributes, &expected, body)
            .await
            .map_err(refuse)?;
        self.0.landed().notify_waiters();
        answer(PutObjectOutput {
            e_tag: Some(etag(&stored.etag)),
            checksum_crc32: announced.checksum_crc32,
            ..Default::default()
        })
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        let input = request.input;
        let (bucket, name) = (&input.bucket, &input.key);
        let meta = self.0.head(bucket, name).await.map_err(refuse)?;
        if meta.is_none() {
            self.0.has_bucket(bucket).await.map_err(refuse)?;
        }
        let meta = meta.ok_or_else(|| S3Error::new(S3ErrorCode::NoSuchKey))?;
        let conditions = Conditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        conditions.check(&meta)?;
        if input.range.is_some_and(|range| range.check(meta.size).is_err()) {
            return Err(S3Error::new(S3ErrorCode::InvalidRange));
        }
        let choose = |meta: &Meta| {
            let part = input.range.and_then(|range| range.check(meta.size).ok());
            Ok(part.unwrap_or(0..meta.size))
        };
        let (meta, range, stream) = self.0.get(bucket, name, choose).await.map_err(refuse)?;
        let attributes = &meta.attributes;
        let part = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), meta.size);
        answer(GetObjectOutput {
            accept_ranges: Some("bytes".into()),
            body: Some(StreamingBlob::wrap(stream)),
            content_length: i64::try_from(range.end - range.start).ok(),
            content_range: input.range.map(|_| part),
            content_type: input.response_content_type.or_else(|| attributes.content_type.clone()),
            cache_control: input
                .response_cache_control
                .or_else(|| attributes.cache_control.clone()),
            content_disposition: input
                .response_content_disposition
                .or_else(|| attributes.content_disposition.clone()),
            content_encoding: input
                .response_content_encoding
                .or_else(|| attributes.content_encoding.clone()),
            e_tag: Some(etag(&meta.etag)),
            last_modified: Some(timestamp(meta.modified)),
            metadata: metadata(attributes),
            ..Default::default()
        })
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        let input = request.input;
        let meta = self.0.head(&input.bucket, &input.key).await.map_err(refuse)?;
        let meta = meta.ok_or_else(|| S3Error::new(S3ErrorCode::NoSuchKey))?;
        let conditions = Conditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        conditions.check(&meta)?;
        let own = metadata(&meta.attributes);
        answer(HeadObjectOutput {
            accept_ranges: Some("bytes".into()),
            content_length: i64::try_from(meta.size).ok(),
            content_type: meta.attributes.content_type,
            cache_control: meta.attributes.cache_control,
            content_disposition: meta.attributes.content_disposition,
            content_encoding: meta.attributes.content_encoding,
            e_tag: Some(etag(&meta.etag)),
            last_modified: Some(timestamp(meta.modified)),
            metadata: own,
            ..Default::default()
        })
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        self.0.has_bucket(&request.input.bucket).await.map_err(refuse)?;
        self.0
            .delete(&request.input.bucket, &request.input.key)
            .await
            .map_err(refuse)?;
        answer(DeleteObjectOutput::default())
    }

    async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
        let DeleteObjectsInput { bucket, delete, .. } = request.input;
        self.0.has_bucket(&bucket).await.map_err(refuse)?;
        let mut deleted = Vec::new();
        for object in delete.objects {
            self.0.delete(&bucket, &object.key).await.map_err(refuse)?;
            deleted.push(DeletedObject {
                key: Some(object.key),
                ..Default::default()
            });
        }
        let deleted = (delete.quiet != Some(true)).then_some(deleted);
        answer(DeleteObjectsOutput {
            deleted,
            ..Default::default()
        })
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        let input = request.input;
        let replaces = input
            .metadata_directive
            .as_ref()
            .is_some_and(|given| given.as_str() == MetadataDirective::REPLACE);
        let attributes = Attributes {
            content_type: input.content_type,
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: input.content_encoding,
            metadata: own_metadata(input.metadata),
        };
        let (source, key) = (source(&input.copy_source)?, key(&input.key)?);
        let copied = self
            .0
            .copy(source, &input.bucket, &key, replaces.then_some(&attributes))
            .await
            .map_err(refuse)?;
        let result = CopyObjectResult {
            e_tag: Some(etag(&copied.etag)),
            last_modified: Some(timestamp(copied.modified)),
            ..Default::default()
        };
        answer(CopyObjectOutput {
            copy_object_result: Some(result),
            ..Default::default()
        })
    }

    async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> Answer<ListObjectsOutput> {
        let input = request.input;
        self.0.has_bucket(&input.bucket).await.map_err(refuse)?;
        let (prefix, delimiter) = (
            input.prefix.clone().unwrap_or_default(),
            input.delimiter.clone().unwrap_or_default(),
        );
        let after = input.marker.clone().unwrap_or_default();
        let max = limit(input.max_keys);
        let mut listing = self
            .0
            .list(&input.bucket, &prefix, &delimiter, &after, max)
            .await
            .map_err(refuse)?;
        encode_keys(input.encoding_type.as_ref(), &mut listing);
        answer(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: input.prefix,
            marker: input.marker,
            max_keys: i32::try_from(max).ok(),
            is_truncated: Some(listing.next.is_some()),
            next_marker: listing.next,
            contents: Some(listing.objects.into_iter().map(listed).collect()),
            common_prefixes: prefixes(listing.prefixes),
            delimiter: input.delimiter,
            encoding_type: input.encoding_type,
            ..Default::default()
        })
    }

    async fn list_objects_v2(&self, request: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
        let input = request.input;
        self.0.has_bucket(&input.bucket).await.map_err(refuse)?;
        let (prefix, delimiter) = (
            input.prefix.clone().unwrap_or_default(),
            input.delimiter.clone().unwrap_or_default(),
        );
        let after = match &input.continuation_token {
            Some(token) => token_to_key(token).ok_or_else(|| S3Error::new(S3ErrorCode::InvalidArgument))?,
            None => input.start_after.clone().unwrap_or_default(),
        };
        let max = limit(input.max_keys);
        let mut listing = self
            .0
            .list(&input.bucket, &prefix, &delimiter, &after, max)
            .await
            .map_err(refuse)?;
        encode_keys(input.encoding_type.as_ref(), &mut listing);
        answer(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix,
            max_keys: i32::try_from(max).ok(),
            key_count: i32::try_from(listing.objects.len() + listing.prefixes.len()).ok(),
            continuation_token: input.continuation_token,
            is_truncated: Some(listing.next.is_some()),
            next_continuation_token: listing.next.map(|key| URL_SAFE_NO_PAD.encode(key)),
            contents: Some(listing.objects.into_iter().map(listed).collect()),
            common_prefixes: prefixes(listing.prefixes),
            delimiter: input.delimiter,
            encoding_type: input.encoding_type,
            start_after: input.start_after,
            ..Default::default()
        })
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        self.create_upload(request.input).await
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        self.part(request).await
    }

    async fn upload_part_copy(&self, request: S3Request<UploadPartCopyInput>) -> Answer<UploadPartCopyOutput> {
        let source = source(&request.input.copy_source)?;
        self.part_from(&request.input, source).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        self.complete(request.input).await
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        let input = request.input;
        self.0
            .upload(&input.bucket, &input.key, &input.upload_id)
            .await
            .map_err(refuse)?;
        self.0.abort_upload(&input.upload_id).await.map_err(refuse)?;
        answer(AbortMultipartUploadOutput::default())
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        self.parts(request.input).await
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> Answer<ListMultipartUploadsOutput> {
        self.uploads(request.input).await
    }
}

fn token_to_key(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}
