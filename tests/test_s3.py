"""Versions in S3: push here, pull elsewhere, and only new work runs. The server is moto's, not ours."""

import json
from pathlib import Path

import boto3
import pytest

from tests.project import Project

pytestmark = pytest.mark.pipeline

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def bucket(s3_server: str) -> str:
    """The address of an S3 server with an empty bucket `tools`."""
    client = boto3.client("s3", endpoint_url=s3_server, aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    client.create_bucket(Bucket="tools")
    client.close()
    return s3_server


@pytest.fixture
def pushed(small: Project, bucket: str) -> Project:
    """The small project, with its data pushed to the bucket."""
    project = Project(small.root, {**small.environment, **CREDENTIALS})
    project.run("dvc", "remote", "add", "-f", "-d", "storage", "s3://tools/dvc")
    project.run("dvc", "remote", "modify", "storage", "endpointurl", bucket)
    project.commit("Name the remote")
    project.run("dvc", "push")
    return project


def test_a_clone_that_pulled_has_the_same_data_set_runs_nothing_and_adds_only_what_is_new(pushed: Project, tmp_path: Path) -> None:
    clone = pushed.clone_to(tmp_path / "clone")

    clone.run("dvc", "pull")

    assert clone.bytes_of("data/dataset") == pushed.bytes_of("data/dataset")
    assert clone.repro() == []
    assert clone.requests() == []

    clone.run("boxset", "add", "wrench", "adjustable wrench")
    ran = clone.repro()

    assert [stage for stage in ran if stage.startswith("crawl@")] == ["crawl@wrench"]
    kept = {row["url"].partition("://")[2] for path in pushed.root.glob("data/*/*/images.jsonl") for row in rows(path) if row["outcome"] == "kept"}
    assert [r["url"] for r in clone.requests() if r["url"] in kept] == []
    assert clone.requests() != []


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of an images.jsonl."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_metadata_alone_can_be_pulled(pushed: Project, tmp_path: Path) -> None:
    clone = pushed.clone_to(tmp_path / "clone")

    clone.run("dvc", "pull", "data/dataset/annotations")

    assert clone.bytes_of("data/dataset/annotations") == pushed.bytes_of("data/dataset/annotations")
    assert not (clone.root / "data/dataset/images").exists()
    assert [path.name for path in (clone.root / "data").iterdir()] == ["dataset"]
