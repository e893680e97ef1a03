"""Buckets of a test's own on the S3 server that the tests share, and what is claimed in them."""

from typing import Any
from uuid import uuid4

import boto3
import msgspec
from botocore.exceptions import ClientError

from boxset.labeling.claims import FREE, Claim, Claims


def bucket_of(server: str) -> tuple[Any, str]:
    """Return a client and the name of a new bucket."""
    s3 = boto3.client("s3", endpoint_url=server, aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    name = f"b-{uuid4().hex[:20]}"
    s3.create_bucket(Bucket=name)
    return s3, name


def claimed(s3: Any, bucket: str) -> list[str]:
    """Return what is claimed, by the last part of its key."""
    keys = [row["Key"] for row in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    held = {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys if "/claims/jobs/" not in key and not key.endswith("/")}
    return [key.rpartition("/")[2] for key, said in held.items() if msgspec.json.decode(said, type=Claim) != FREE]


def without_conditional_deletes(claims: Claims) -> Claims:
    """Have claims' S3 refuse to delete on a condition, as S3s other than AWS's do."""

    def refused(**asked: str) -> None:
        assert asked["IfMatch"]
        raise ClientError({"Error": {"Code": "NotImplemented", "Message": "a header implies what is not implemented"}}, "DeleteObject")

    claims._s3.delete_object = refused
    return claims
