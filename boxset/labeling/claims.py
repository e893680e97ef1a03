"""What a team shares before it buys: claims in S3 by conditional writes, so that two clones or branches cannot buy the same picture."""

import json
from collections.abc import Sequence
from typing import Any

from boxset.endpoints import Endpoints
from boxset.errors import ProjectError
from boxset.labeling.aws import bucket_and_key, client, refused
from boxset.labeling.ledger import Asked, Reserved
from boxset.params import Params


class Claims:
    """Claims under `project.bucket`; one object per picture, category and version, written only where there is none."""

    def __init__(self, params: Params, endpoints: Endpoints) -> None:
        self._bucket, self._prefix = bucket_and_key(params.project.bucket, key="project.bucket")
        self._s3: Any = client("s3", endpoints, region=params.labeler.region)

    def take(self, reserved: Reserved, asked: Sequence[Asked]) -> None:
        """Claim every picture for a job; a claim of the same job counts as ours. Raises ProjectError naming the first that is another's."""
        from botocore.exceptions import BotoCoreError, ClientError

        for item in asked:
            for category_id in reserved.categories.values():
                key = f"{self._prefix}/claims/{reserved.version}/{category_id}/{item.sha256}".lstrip("/")
                try:
                    self._s3.put_object(Bucket=self._bucket, Key=key, Body=json.dumps({"job": reserved.job}).encode(), IfNoneMatch="*")
                except ClientError as err:
                    if err.response.get("Error", {}).get("Code") != "PreconditionFailed":
                        raise refused(err, f"s3://{self._bucket}") from err
                    self._check_ours(key, reserved)
                except BotoCoreError as err:
                    raise refused(err, f"s3://{self._bucket}") from err

    def _check_ours(self, key: str, reserved: Reserved) -> None:
        holder = json.loads(self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()).get("job")
        if holder != reserved.job:
            do = "A colleague is buying it: `git pull`, `dvc repro label`, and submit the new plan"
            raise ProjectError(f"claimed by job {holder}", where=f"s3://{self._bucket}/{key}", do=do)


def claims_of(params: Params, endpoints: Endpoints) -> Claims | None:
    """Return the team's claims where `project.bucket` is set."""
    return Claims(params, endpoints) if params.project.bucket else None
