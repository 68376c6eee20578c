"""Drives an S3 endpoint with boto3 and asserts what it answers.

usage: s3_boto3.py ENDPOINT ACCESS_KEY_ID SECRET_ACCESS_KEY
"""

import sys
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def client(endpoint, key, secret):
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 1})
    return boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret,
                        region_name="us-east-1", config=config)


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] in code, error
        return
    raise AssertionError(f"{call} was not refused")


def objects(s3, bucket):
    body = bytes(range(256)) * 40
    put = s3.put_object(Bucket=bucket, Key="a/b c+é.bin", Body=body, ContentType="image/png", Metadata={"who": "ada"})
    got = s3.get_object(Bucket=bucket, Key="a/b c+é.bin")
    assert got["Body"].read() == body and got["ETag"] == put["ETag"]
    assert got["ContentType"] == "image/png" and got["Metadata"] == {"who": "ada"}, got
    part = s3.get_object(Bucket=bucket, Key="a/b c+é.bin", Range="bytes=10-19")
    assert part["Body"].read() == body[10:20] and part["ContentRange"] == f"bytes 10-19/{len(body)}"
    refused(["304", "NotModified"], s3.get_object, Bucket=bucket, Key="a/b c+é.bin", IfNoneMatch=put["ETag"])
    refused(["PreconditionFailed"], s3.get_object, Bucket=bucket, Key="a/b c+é.bin", IfMatch='"0"')
    refused(["PreconditionFailed"], s3.put_object, Bucket=bucket, Key="a/b c+é.bin", Body=b"x", IfNoneMatch="*")
    refused(["InvalidRange"], s3.get_object, Bucket=bucket, Key="a/b c+é.bin", Range="bytes=99999999-")
    refused(["NoSuchKey"], s3.get_object, Bucket=bucket, Key="none")
    refused(["NoSuchBucket"], s3.list_objects_v2, Bucket="no-such-bucket")
    refused(["BadDigest"], s3.put_object, Bucket=bucket, Key="bad", Body=b"x", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    s3.put_object(Bucket=bucket, Key="a", Body=b"a and a/b coexist")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "a"})
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"a and a/b coexist"
    s3.delete_object(Bucket=bucket, Key="copy")
    refused(["404", "NoSuchKey"], s3.head_object, Bucket=bucket, Key="copy")


def listing(s3, bucket):
    for number in range(25):
        s3.put_object(Bucket=bucket, Key=f"list/{number // 10}/{number:02}", Body=b"x")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="list/", PaginationConfig={"PageSize": 7})
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    assert keys == [f"list/{number // 10}/{number:02}" for number in range(25)], keys
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="list/", Delimiter="/",
                                                         PaginationConfig={"PageSize": 2})
    prefixes = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", [])]
    assert prefixes == ["list/0/", "list/1/", "list/2/"], prefixes
    assert len(s3.list_objects(Bucket=bucket, Prefix="list/")["Contents"]) == 25
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    assert len(deleted["Deleted"]) == 25
    assert s3.list_objects_v2(Bucket=bucket, Prefix="list/")["KeyCount"] == 0


def multipart(s3, bucket):
    parts = [b"1" * (5 * 1024 * 1024), b"2" * 1000]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="big", ContentType="text/plain")["UploadId"]
    tags = []
    for number, part in enumerate(parts, 1):
        answer = s3.upload_part(Bucket=bucket, Key="big", UploadId=upload, PartNumber=number, Body=part)
        tags.append({"PartNumber": number, "ETag": answer["ETag"]})
    assert len(s3.list_parts(Bucket=bucket, Key="big", UploadId=upload)["Parts"]) == 2
    assert len(s3.list_multipart_uploads(Bucket=bucket)["Uploads"]) == 1
    done = s3.complete_multipart_upload(Bucket=bucket, Key="big", UploadId=upload, MultipartUpload={"Parts": tags})
    assert done["ETag"].endswith('-2"'), done
    got = s3.get_object(Bucket=bucket, Key="big")
    assert got["Body"].read() == b"".join(parts) and got["ContentType"] == "text/plain"
    upload = s3.create_multipart_upload(Bucket=bucket, Key="never")["UploadId"]
    s3.abort_multipart_upload(Bucket=bucket, Key="never", UploadId=upload)
    refused(["NoSuchUpload"], s3.list_parts, Bucket=bucket, Key="never", UploadId=upload)


def presigned(s3, bucket, endpoint):
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "signed"}, ExpiresIn=60)
    urllib.request.urlopen(urllib.request.Request(url, data=b"by hand", method="PUT"))
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "signed"}, ExpiresIn=60)
    assert urllib.request.urlopen(url).read() == b"by hand"
    for forged in [url.replace("signed", "big"), url[:-4] + "0000", f"{endpoint}/{bucket}/signed"]:
        try:
            urllib.request.urlopen(forged)
        except urllib.error.HTTPError as error:
            assert error.code == 403, error
        else:
            raise AssertionError(f"{forged} was not refused")


def main():
    endpoint, key, secret = sys.argv[1:4]
    s3 = client(endpoint, key, secret)
    bucket = "boto3-test"
    s3.create_bucket(Bucket=bucket)
    s3.head_bucket(Bucket=bucket)
    assert bucket in [entry["Name"] for entry in s3.list_buckets()["Buckets"]]
    objects(s3, bucket)
    listing(s3, bucket)
    multipart(s3, bucket)
    presigned(s3, bucket, endpoint)
    refused(["BucketNotEmpty"], s3.delete_bucket, Bucket=bucket)
    for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        s3.delete_object(Bucket=bucket, Key=entry["Key"])
    s3.delete_bucket(Bucket=bucket)
    print("boto3: every assertion held")


main()
