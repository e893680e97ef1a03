"""AWS clients, and S3 addresses taken apart. The one place that builds boto3 clients."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from boxset.endpoints import Endpoints
from boxset.errors import ParamsError, ProjectError, ServiceError

DENIED = ("AccessDenied", "AccessDeniedException", "403", "Forbidden")  # S3's code, the other services', and those of S3 where an answer has no body


def client(service: str, endpoints: Endpoints, *, region: str | None) -> Any:
    """Return a boto3 client; in the embedded world with made-up credentials and the stand-in's address. No region: the environment's."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError as err:
        raise ProjectError("boto3 is not installed", do="pip install -r requirements.txt") from err
    config = Config(retries={"max_attempts": 5, "mode": "standard"}, s3={"addressing_style": "path"} if endpoints.aws else {})
    if endpoints.aws is None:
        return boto3.client(service, region_name=region, config=config)
    return boto3.client(
        service, region_name=region, endpoint_url=endpoints.aws, aws_access_key_id="embedded", aws_secret_access_key="embedded", config=config  # noqa: S106 - the stand-in takes any
    )


def bucket_and_key(address: str, *, key: str) -> tuple[str, str]:
    """Take s3://bucket/prefix apart. Raises ParamsError naming the parameter."""
    parts = urlsplit(address)
    if parts.scheme != "s3" or not parts.netloc:
        raise ParamsError(f"{key}: {address!r} is not s3://bucket/prefix", where="params.yaml")
    return parts.netloc, parts.path.strip("/")


def errors() -> tuple[type[Exception], ...]:
    """Return what a failed AWS call raises; boto3 is loaded only where it is asked."""
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError


def code_of(err: Exception) -> str:
    """Return the service's code for a failed AWS call; the error's own name where the service never answered."""
    return str(getattr(err, "response", {}).get("Error", {}).get("Code", type(err).__name__))


def keys_under(s3: Any, bucket: str, prefix: str, *, where: str) -> Iterator[str]:
    """Yield the keys of a bucket's objects that begin so, in S3's order; a folder that somebody made in a console is an object too, and none of them.

    Raises ServiceError, which names `where`.
    """
    try:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from (row["Key"] for row in page.get("Contents", ()) if not row["Key"].endswith("/"))
    except errors() as err:
        raise refused(err, where) from err


def is_denied(err: Exception) -> bool:
    """Return whether a failed AWS call, or the one that a ServiceError tells of, lacked a right, so that another try changes nothing."""
    failed = err.__cause__ if isinstance(err, ServiceError) else err
    return isinstance(failed, Exception) and code_of(failed) in DENIED


def refused(err: Exception, where: str) -> ServiceError:
    """Say what a failed AWS call means to a user."""
    code = code_of(err)
    hints = {
        "NoCredentialsError": "Export AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        **dict.fromkeys(DENIED, "The user lacks a right on the bucket; docs/labelling.md lists those that are needed"),
        "AccessDeniedException": "The user lacks a right; docs/labelling.md lists those that are needed",
        "NoSuchBucket": "Create the bucket, or correct labeler.bucket",
    }
    return ServiceError(f"{code}: {str(err)[:200]}", where=where, do=hints.get(code, "Nothing was lost: run it again"))
