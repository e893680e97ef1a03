"""SageMaker Ground Truth over its real protocol (json 1.1), checked against botocore's own model of the service.

Jobs lie on disk and move on each time somebody asks after them: Initializing, InProgress, Completed. Each step rewrites the output manifest,
and what each person drew stands beside it, in an object for each picture.
"""

import io
import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from boxset.world import workers
from boxset.world.http import Answer, Request
from boxset.world.s3 import S3

REGION, ACCOUNT = "us-east-1", "123456789012"
PUBLIC = f"arn:aws:sagemaker:{REGION}:394669845002:workteam/public-crowd/default"
PROBE, BATCH = 10, 40
CREATED = 1_770_000_000.0


@cache
def _model() -> Any:
    import botocore.loaders
    import botocore.model

    return botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model("sagemaker", "service-2"))


class GroundTruth:
    """The labelling service."""

    def __init__(self, state: Path, s3: S3) -> None:
        self._state, self._s3 = state, s3
        state.mkdir(parents=True, exist_ok=True)

    def answer(self, request: Request) -> Answer:
        """Answer one call."""
        operation = request.headers["x-amz-target"].rpartition(".")[2]
        calls = {
            "CreateLabelingJob": self._create,
            "DescribeLabelingJob": self._describe,
            "ListLabelingJobs": self._list,
            "StopLabelingJob": self._stop,
        }
        if not request.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256"):
            return _fault("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
        if operation not in calls:
            return _fault("UnknownOperationException", operation)
        body = json.loads(request.body or b"{}")
        wrong = _wrong(operation, body)
        return _fault("ValidationException", wrong) if wrong else calls[operation](body)

    def _path(self, name: str) -> Path:
        return self._state / f"{name.lower()}.json"

    def _load(self, name: str) -> dict[str, Any] | None:
        path = self._path(name)
        return json.loads(path.read_text()) if path.exists() else None

    def _save(self, job: dict[str, Any]) -> None:
        path = self._path(job["request"]["LabelingJobName"])
        part = path.with_suffix(".part")
        part.write_text(json.dumps(job))
        part.replace(path)

    def _create(self, body: dict[str, Any]) -> Answer:
        name = body["LabelingJobName"]
        if self._path(name).exists():
            return _fault("ResourceInUse", f"Labeling job {name} already exists")
        task = body["HumanTaskConfig"]
        classifiers = body["InputConfig"].get("DataAttributes", {}).get("ContentClassifiers", [])
        if task["WorkteamArn"] == PUBLIC and ("PublicWorkforceTaskPrice" not in task or "FreeOfPersonallyIdentifiableInformation" not in classifiers):
            return _fault("ValidationException", "The public workforce needs a price and data free of personally identifiable information")
        for place in (
            body["InputConfig"]["DataSource"]["S3DataSource"]["ManifestS3Uri"],
            body["LabelCategoryConfigS3Uri"],
            task["UiConfig"]["UiTemplateS3Uri"],
        ):
            if self._read(place) is None:
                return _fault("ValidationException", f"Cannot read {place}")
        self._save({"request": body, "status": "Initializing", "done": 0, "ticks": 0})
        return _reply("CreateLabelingJob", {"LabelingJobArn": _arn(name)})

    def _read(self, uri: str) -> bytes | None:
        parts = urlsplit(uri)
        return self._s3.get(parts.netloc, parts.path.lstrip("/"))

    def _describe(self, body: dict[str, Any]) -> Answer:
        job = self._load(body["LabelingJobName"])
        if job is None:
            return _fault("ResourceNotFound", "Labeling job does not exist")
        self._tick(job)
        request = job["request"]
        lines, failed = self._lines(job), job.get("failed", 0)
        labelled = job["done"] - failed
        counters = {
            "TotalLabeled": labelled,
            "HumanLabeled": labelled,
            "MachineLabeled": 0,
            "FailedNonRetryableError": failed,
            "Unlabeled": len(lines) - job["done"],
        }
        answer = {
            "LabelingJobStatus": job["status"],
            "LabelCounters": counters,
            "CreationTime": CREATED,
            "LastModifiedTime": CREATED + job["ticks"],
            "JobReferenceCode": "embedded",
            "LabelingJobName": request["LabelingJobName"],
            "LabelingJobArn": _arn(request["LabelingJobName"]),
            **{key: request[key] for key in ("LabelAttributeName", "InputConfig", "OutputConfig", "RoleArn", "HumanTaskConfig")},
            "LabelingJobOutput": {"OutputDatasetS3Uri": _output(request)},
        }
        return _reply("DescribeLabelingJob", answer)

    def _lines(self, job: dict[str, Any]) -> list[dict[str, Any]]:
        manifest = self._read(job["request"]["InputConfig"]["DataSource"]["S3DataSource"]["ManifestS3Uri"]) or b""
        return [json.loads(line) for line in manifest.splitlines() if line.strip()]

    def _tick(self, job: dict[str, Any]) -> None:
        """Move a job on by one step and rewrite its output manifest."""
        job["ticks"] += 1
        if job["status"] == "Stopping":
            job["status"] = "Stopped"
        elif job["status"] == "Initializing":
            job["status"] = "InProgress"
        elif job["status"] == "InProgress":
            lines = self._lines(job)
            most = job["request"].get("StoppingConditions", {}).get("MaxHumanLabeledObjectCount", len(lines))
            job["done"] = min(len(lines), most, job["done"] + (BATCH if job["done"] else PROBE))
            out = [self._labelled(line, place, job) if place < job["done"] else line for place, line in enumerate(lines)]
            job["failed"] = sum("failure-reason" in line.get(f"{job['request']['LabelAttributeName']}-metadata", {}) for line in out)
            if job["done"] >= min(len(lines), most):
                job["status"] = "Completed"
            parts = urlsplit(_output(job["request"]))
            self._s3.put(parts.netloc, parts.path.lstrip("/"), "".join(json.dumps(line) + "\n" for line in out).encode())
        self._save(job)

    def _labelled(self, line: dict[str, Any], place: int, job: dict[str, Any]) -> dict[str, Any]:
        request = job["request"]
        attribute, name = request["LabelAttributeName"], request["LabelingJobName"]
        picture = self._read(line["source-ref"])
        metadata: dict[str, Any] = {
            "type": "groundtruth/object-detection",
            "human-annotated": "yes",
            "creation-date": "2026-01-01T00:00:00.000000",
            "job-name": f"labeling-job/{name}",
        }
        if picture is None or workers.nobody_came(line["source-ref"], name):
            reason = "ClientError: Annotation tasks expired" if picture else "ClientError: cannot read the image"
            return {**line, f"{attribute}-metadata": {**metadata, "failure-reason": reason}}
        labels = [row["label"] for row in json.loads(self._read(request["LabelCategoryConfigS3Uri"]) or b"{}")["labels"]]
        with Image.open(io.BytesIO(picture)) as opened:
            size = opened.size
        people = request["HumanTaskConfig"]["NumberOfHumanWorkersPerDataObject"]
        answers = [workers.drawn_by(worker, picture, key=line["source-ref"], labels=labels, size=size) for worker in range(people)]
        self._respond(place, answers, size, request)
        boxes = workers.agreed(answers) if people > 1 else [(box, 0.0) for box in answers[0]]
        annotations = [
            {"class_id": labels.index(box["label"]), **{side: box[side] for side in ("left", "top", "width", "height")}} for box, _ in boxes
        ]
        used = {str(a["class_id"]): labels[a["class_id"]] for a in annotations}
        value = {"image_size": [{"width": size[0], "height": size[1], "depth": 3}], "annotations": annotations}
        return {
            **line,
            attribute: value,
            f"{attribute}-metadata": {"objects": [{"confidence": round(c, 2) if people > 1 else 0} for _, c in boxes], "class-map": used, **metadata},
        }

    def _respond(self, place: int, answers: list[list[dict[str, Any]]], size: tuple[int, int], request: dict[str, Any]) -> None:
        """Write down what each person drew in the picture at a place of the manifest."""
        image = {"width": size[0], "height": size[1]}
        people = [
            {
                "acceptanceTime": "2026-01-01T00:00:00.000Z",
                "answerContent": {"boundingBox": {"boundingBoxes": boxes, "inputImageProperties": image}},
                "submissionTime": "2026-01-01T00:00:20.000Z",
                "timeSpentInSeconds": 20.0,
                "workerId": workers.worker_id(number, REGION),
            }
            for number, boxes in enumerate(answers)
        ]
        folder = _output(request).removesuffix("manifests/output/output.manifest")
        parts = urlsplit(f"{folder}annotations/worker-response/iteration-1/{place}/2026-01-01_00:00:00.json")
        self._s3.put(parts.netloc, parts.path.lstrip("/"), json.dumps({"answers": people}).encode())

    def _list(self, body: dict[str, Any]) -> Answer:
        jobs = [json.loads(path.read_text()) for path in sorted(self._state.glob("*.json"))]
        part = body.get("NameContains", "").lower()
        rows = [
            {
                "LabelingJobName": job["request"]["LabelingJobName"],
                "LabelingJobArn": _arn(job["request"]["LabelingJobName"]),
                "CreationTime": CREATED,
                "LastModifiedTime": CREATED + job["ticks"],
                "LabelingJobStatus": job["status"],
                "LabelCounters": {},
                "WorkteamArn": job["request"]["HumanTaskConfig"]["WorkteamArn"],
            }
            for job in jobs
            if part in job["request"]["LabelingJobName"].lower()
        ]
        start, size = int(body.get("NextToken", "0")), body.get("MaxResults", 10)
        more = {"NextToken": str(start + size)} if len(rows) > start + size else {}
        return _reply("ListLabelingJobs", {"LabelingJobSummaryList": rows[start : start + size], **more})

    def _stop(self, body: dict[str, Any]) -> Answer:
        job = self._load(body["LabelingJobName"])
        if job is None:
            return _fault("ResourceNotFound", "Labeling job does not exist")
        if job["status"] in ("Initializing", "InProgress"):
            job["status"] = "Stopping"
            self._save(job)
        return Answer(body=b"", headers={"Content-Type": "application/x-amz-json-1.1"})


def _output(request: dict[str, Any]) -> str:
    return f"{request['OutputConfig']['S3OutputPath'].rstrip('/')}/{request['LabelingJobName']}/manifests/output/output.manifest"


def _arn(name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:labeling-job/{name.lower()}"


def _wrong(operation: str, body: dict[str, Any]) -> str:
    """Return what is wrong with a request: types by botocore's validator; patterns, enumerations, lengths and unknown fields by the model."""
    from botocore.validate import ParamValidator

    shape = _model().operation_model(operation).input_shape
    report = ParamValidator().validate(body, shape)
    return report.generate_report() if report.has_errors() else next(_model_faults(body, shape, "$"), "")


def _model_faults(value: Any, shape: Any, where: str) -> Any:
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, inner in value.items():
            if name not in shape.members:
                yield f"{where}.{name}: unknown field"
            else:
                yield from _model_faults(inner, shape.members[name], f"{where}.{name}")
    elif shape.type_name == "list":
        if len(value) > shape.metadata.get("max", len(value)):
            yield f"{where}: more than {shape.metadata['max']}"
        for inner in value:
            yield from _model_faults(inner, shape.member, where)
    elif shape.type_name == "string":
        if shape.enum and value not in shape.enum:
            yield f"{where}: {value} is none of {shape.enum}"
        if len(value) > shape.metadata.get("max", len(value)) or not re.fullmatch(
            shape.metadata.get("pattern", r"(?s:.*)").replace(r"\p{L}\p{Z}\p{N}", r"\w\s"), value
        ):
            yield f"{where}: {value[:80]!r} does not fit"
    elif shape.type_name in ("integer", "long") and not shape.metadata.get("min", value) <= value <= shape.metadata.get("max", value):
        yield f"{where}: {value} is out of range"


def _reply(operation: str, value: dict[str, Any]) -> Answer:
    """Return a reply; it is held against the model too."""
    shape = _model().operation_model(operation).output_shape
    unknown = next((fault for fault in _model_faults(value, shape, "$") if "unknown field" in fault), "")
    assert not unknown, unknown
    return Answer(body=json.dumps(value).encode(), headers={"Content-Type": "application/x-amz-json-1.1"})


def _fault(kind: str, message: str, status: int = 400) -> Answer:
    return Answer(
        status=status, body=json.dumps({"__type": kind, "message": message}).encode(), headers={"Content-Type": "application/x-amz-json-1.1"}
    )
