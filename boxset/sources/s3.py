"""A user's own bucket: listing, fetching and signing, with whatever credentials and endpoint the environment gives."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self, TypeVar

from boxset.dataset.reasons import Reason, Refusal
from boxset.endpoints import Endpoints
from boxset.errors import ServiceError
from boxset.labeling.aws import bucket_and_key, client, code_of, errors, is_denied, refused

T = TypeVar("T")


class Entry(NamedTuple):
    """A file below a folder: its path from there, its size, and what else changes when its content does (an ETag; empty on disk)."""

    name: str
    size: int
    mark: str = ""


@dataclass(frozen=True)
class Bucket:
    """What lies below `s3://bucket/prefix`."""

    address: str
    bucket: str
    prefix: str  # without a slash at its end
    endpoints: Endpoints

    @classmethod
    def of(cls, address: str, endpoints: Endpoints) -> Self:
        """Take an address apart."""
        return cls(address, *bucket_and_key(address, key="path"), endpoints)

    def entries(self) -> list[Entry]:
        """List everything, sorted by name. Raises ServiceError where the bucket cannot be listed."""
        below = f"{self.prefix}/" if self.prefix else ""
        pages = self._ask(lambda s3: list(s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=below)))
        found = [item for page in pages for item in page.get("Contents", ()) if not item["Key"].endswith("/")]
        return sorted(Entry(item["Key"].removeprefix(below), int(item["Size"]), item["ETag"].strip('"')) for item in found)

    def read(self, name: str) -> bytes:
        """Return an object's content. Raises ServiceError."""
        return self._ask(lambda s3: bytes(s3.get_object(Bucket=self.bucket, Key=self._key(name))["Body"].read()))

    def picture(self, name: str, *, max_bytes: int) -> bytes | Refusal:
        """Return a picture, or why it cannot be had. May be called from many threads."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._s3.get_object(Bucket=self.bucket, Key=self._key(name))
            if answer["ContentLength"] > max_bytes:
                return Refusal(Reason.TOO_LARGE, f"{answer['ContentLength']} bytes")
            return bytes(answer["Body"].read())
        except ClientError as err:
            code = str(err.response.get("Error", {}).get("Code", ""))
            return Refusal(Reason.GONE if code in ("NoSuchKey", "404") else Reason.REFUSED, code)
        except BotoCoreError as err:
            return Refusal(Reason.UNREACHABLE, type(err).__name__)

    def signed(self, key: str) -> str:
        """Return the address of an object signed for an hour. Raises ServiceError where there are no credentials."""
        asked = {"Bucket": self.bucket, "Key": key}
        return self._ask(lambda s3: str(s3.generate_presigned_url("get_object", Params=asked, ExpiresIn=3600)))

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    @cached_property
    def _s3(self) -> Any:
        return client("s3", self.endpoints, region=None)

    def _ask(self, call: Callable[[Any], T]) -> T:
        try:
            return call(self._s3)
        except errors() as err:
            if code_of(err) == "NoSuchBucket":
                raise ServiceError("NoSuchBucket: there is no such bucket", where=self.address, do="Correct the bucket's name: sources.<name>.path in params.yaml") from err
            if is_denied(err):
                do = f"Its user needs s3:ListBucket on {self.bucket} and s3:GetObject on what lies in it"
                raise ServiceError("AccessDenied: it may not be listed, or not be read", where=self.address, do=do) from err
            raise refused(err, self.address) from err
