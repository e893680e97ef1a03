"""What a team shares before it buys: claims in S3 by conditional writes, so that two clones or branches cannot buy the same picture."""

from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from boxset.endpoints import Endpoints
from boxset.errors import InputError, ProjectError, ServiceError
from boxset.files import read_json, write_json
from boxset.labeling.aws import bucket_and_key, client, code_of, errors, refused
from boxset.labeling.ledger import Asked, Reserved
from boxset.params import Params

LEFTOVER = Path(".boxset/claims.json")  # what a killed submit had begun to claim, on this machine


class Leftover(msgspec.Struct, frozen=True):
    """Claims that a submit has begun to take, written down before the first; `by` tells them from another clone's for the same job."""

    job: str
    keys: tuple[str, ...]
    by: str


class Claim(msgspec.Struct, frozen=True):
    """What a claim says: the job that it is for, and the submit that wrote it."""

    job: str
    by: str = ""


class Claims:
    """Claims under `project.bucket`; one object per picture, category, version and attempt, written only where there is none."""

    def __init__(self, params: Params, endpoints: Endpoints, leftover: Path = LEFTOVER) -> None:
        self._bucket, self._prefix = bucket_and_key(params.project.bucket, key="project.bucket")
        self._s3: Any = client("s3", endpoints, region=params.labeler.region)
        self._leftover = leftover

    @contextmanager
    def held(self, reserved: Reserved, asked: Sequence[Asked]) -> Iterator[None]:
        """Claim every picture for a job: for good if the block, which writes the job into the ledger, ends well; else they are given back.

        A claim of the same job counts as ours. Raises ProjectError naming the first that is another's.
        """
        keys = tuple(self._key(reserved.version, number, item) for item in asked for number in reserved.categories.values())
        own = Claim(reserved.job, uuid4().hex)
        write_json(self._leftover, Leftover(reserved.job, keys, own.by))
        try:
            for key in keys:
                self._take(key, own)
            yield
        except Exception:
            with suppress(ServiceError):  # the next submit tries again
                self._give_back(keys, own)
                self._leftover.unlink()
            raise
        self._leftover.unlink()

    def give_back_leftover(self, known: Container[str]) -> None:
        """Give back what a killed submit had claimed for a job that is not in the ledger. `known`: the ledger's jobs."""
        if not self._leftover.exists():
            return
        left = read_json(self._leftover, Leftover)
        if left.job not in known:
            self._give_back(left.keys, Claim(left.job, left.by))
        self._leftover.unlink()

    def _key(self, version: int, category_id: int, item: Asked) -> str:
        again = f".{item.attempt}" if item.attempt else ""
        return f"{self._prefix}/claims/{version}/{category_id}/{item.sha256}{again}".lstrip("/")

    def _take(self, key: str, own: Claim) -> None:
        """Write a claim where there is none. Raises ProjectError where there is one of another job."""
        try:
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=msgspec.json.encode(own), IfNoneMatch="*")
        except errors() as err:
            if code_of(err) != "PreconditionFailed":
                raise refused(err, f"s3://{self._bucket}") from err
        else:
            return
        holder = self._holder(key)
        if holder is None:
            raise ProjectError("another submit has just given this claim back", where=f"s3://{self._bucket}/{key}", do="Submit again")
        if holder.job != own.job:
            do = "A colleague is buying it: `git pull`, `dvc repro label`, and submit the new plan. Where no ledger has that job, their submit was killed: it must run again"
            raise ProjectError(f"claimed by job {holder.job}", where=f"s3://{self._bucket}/{key}", do=do)

    def _give_back(self, keys: Sequence[str], own: Claim) -> None:
        for key in keys:
            if self._holder(key) == own:
                try:
                    self._s3.delete_object(Bucket=self._bucket, Key=key)
                except errors() as err:
                    raise refused(err, f"s3://{self._bucket}/{key}") from err

    def _holder(self, key: str) -> Claim | None:
        """Return what a claim says; None where there is none."""
        try:
            found = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except errors() as err:
            if code_of(err) == "NoSuchKey":
                return None
            raise refused(err, f"s3://{self._bucket}") from err
        try:
            return msgspec.json.decode(found, type=Claim)
        except msgspec.MsgspecError as err:
            raise InputError(f"no claim of Boxset: {err}", where=f"s3://{self._bucket}/{key}", do="Take another prefix in project.bucket") from err


def claims_of(params: Params, endpoints: Endpoints) -> Claims | None:
    """Return the team's claims where `project.bucket` is set."""
    return Claims(params, endpoints) if params.project.bucket else None
