"""Amazon SageMaker Ground Truth: bounding-box jobs over S3.

Request, limits and output as in AWS's developer guide and botocore's model of the service (FACTS in docs/labelling.md). New customers are no
longer taken; a private team or a vendor is the normal way.
"""

import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from math import inf, isclose
from pathlib import Path
from typing import Any

import msgspec

from boxset.dataset.geometry import scaled
from boxset.endpoints import Endpoints
from boxset.errors import ParamsError, ServiceError
from boxset.labeling.aws import bucket_and_key, client, code_of, errors, is_denied, keys_under, refused
from boxset.labeling.instructions import instructions_of
from boxset.labeling.labeler import LastLook, Progress, nothing_to_see
from boxset.labeling.ledger import Answered, Asked, Drawing, Drawn, Job, Reserved, reservation_lines, worker_mark
from boxset.labeling.price import TIERS_MILLS, mills
from boxset.labeling.received import FIELDS, UNFIT, Pile, Received, Refusal, checked_bbox, listed, reason, record
from boxset.params import Params
from boxset.wording import counted
from boxset.work import in_threads

LAMBDA_ACCOUNTS = {
    "us-east-1": "432418664414", "us-east-2": "266458841044", "us-west-2": "081040173940", "ca-central-1": "918755190332",
    "eu-west-1": "568282634449", "eu-west-2": "487402164563", "eu-central-1": "203001061592", "ap-northeast-1": "477331159723",
    "ap-northeast-2": "845288260483", "ap-south-1": "565803892007", "ap-southeast-1": "377565633583", "ap-southeast-2": "454466003867",
}  # fmt: skip
PUBLIC = "arn:aws:sagemaker:{region}:394669845002:workteam/public-crowd/default"
ATTRIBUTE, ELEMENT = "boxes", "boundingBox"  # the attribute of a line of the output manifest; the element of the template, under whose name people's answers stand
MANIFEST, RESPONSES = "manifests/output/output.manifest", "annotations/worker-response/"  # in a job's folder of output
LINES = "ledger.jsonl"  # beside the input manifest: the job's reservation
SHAPES_DIFFER = 0.05  # of the two scales, from which an answer is about a picture of another shape
READERS = 8  # of people's answers, at once; a client has ten connections
MAX_LABELS, MAX_PICTURES = 50, 100_000
STATES = {"Initializing": "open", "InProgress": "open", "Stopping": "open", "Completed": "completed", "Stopped": "stopped", "Failed": "failed"}
TEMPLATE = """<script src="https://assets.crowd.aws/crowd-html-elements.js"></script>
<crowd-form>
  <crowd-bounding-box name="{element}" src="{{{{ task.input.taskObject | grant_read_access }}}}" header="{title}"
      labels="{{{{ task.input.labels | to_json | escape }}}}">
    <full-instructions header="{title}">{text}</full-instructions>
    <short-instructions>{short}</short-instructions>
  </crowd-bounding-box>
</crowd-form>
"""


class GroundTruth:
    """Bounding-box jobs of a private team, a vendor, or (opt-in) the public workforce."""

    takes_corrections = False
    is_shared = True
    takes_once = True

    def __init__(self, params: Params, endpoints: Endpoints) -> None:
        self._params, self._labeler = params, params.labeler
        self._bucket, self._prefix = bucket_and_key(params.labeler.bucket or params.project.bucket, key="labeler.bucket")
        self._s3 = client("s3", endpoints, region=params.labeler.region)
        self._jobs = client("sagemaker", endpoints, region=params.labeler.region)

    def check(self) -> None:
        """Check region, team, role, price, declarations, instructions and the bucket's CORS rule."""
        labeler = self._labeler
        faults = {
            f"labeler.region: Ground Truth has no bounding boxes in {labeler.region}": labeler.region not in LAMBDA_ACCOUNTS,
            "labeler.role_arn: missing, or not arn:aws:iam::…:role/…": not re.fullmatch(
                r"arn:aws[a-z-]*:iam::\d{12}:role/?[\w+=,.@/-]+", labeler.role_arn
            ),
            "labeler.workteam_arn: missing, or not …:workteam/…": not labeler.public
            and not re.fullmatch(r"arn:aws[a-z-]*:sagemaker:.*:workteam/.+", labeler.workteam_arn),
            "label.price.usd_per_task: the public workforce takes only AWS's tiers, 0.036 and up": labeler.public
            and mills(self._params.label.price.usd_per_task) not in TIERS_MILLS,
            "labeler.free_of_personal_data: the public workforce needs your statement that no picture shows a person's data": labeler.public
            and not labeler.free_of_personal_data,
            f"categories: Ground Truth takes {MAX_LABELS} labels a job at the most": len(self._params.categories) > MAX_LABELS,
        }
        wrong = next((text for text, is_wrong in faults.items() if is_wrong), "")
        if wrong:
            raise ParamsError(wrong, where="params.yaml", do="`boxset check --explain labeler` says what each key takes")
        self._template(self._params.categories)
        self._check_bucket()

    def _check_bucket(self) -> None:
        try:
            rules = self._s3.get_bucket_cors(Bucket=self._bucket)["CORSRules"]
        except errors() as err:
            if code_of(err) != "NoSuchCORSConfiguration":
                raise refused(err, f"s3://{self._bucket}") from err
            rules = []
        if not any("GET" in rule.get("AllowedMethods", ()) for rule in rules):
            do = "Put the rule that docs/labelling.md shows on the bucket: without it every task fails"
            raise ServiceError("the bucket has no CORS rule for GET", where=f"s3://{self._bucket}", do=do)

    def send(self, reserved: Reserved, asked: Sequence[Asked], pictures: Mapping[str, Path], last_look: LastLook = nothing_to_see) -> None:
        """Upload pictures, manifest, labels and template, and create the job; a job of this name that is there is left as it is, with its files.

        The manifest has the pictures in the order of their hashes, whoever sends them and when: what single people drew is known by the place in it.
        """
        if len(asked) > MAX_PICTURES:
            raise ParamsError(f"label.max_images: a job takes {MAX_PICTURES:,} pictures at the most", where="params.yaml")
        if self._described(reserved.job) is not None:
            return  # it was sent by a run that was killed before it could write that down
        try:
            for item in asked:
                key = self._key(f"pictures/{item.file_name}")
                if not self._is_there(key):
                    self._s3.put_object(Bucket=self._bucket, Key=key, Body=pictures[item.sha256].read_bytes(), ContentType=_type(item.file_name))
            self._put(f"jobs/{reserved.job}/input.manifest", "".join(self._line(item) for item in sorted(asked, key=lambda item: item.sha256)))
            labels = {"document-version": "2018-11-28", "labels": [{"label": name} for name in reserved.categories]}
            self._put(f"jobs/{reserved.job}/labels.json", json.dumps(labels))
            self._put(f"jobs/{reserved.job}/template.liquid", self._template(reserved.categories))
            self._put(f"jobs/{reserved.job}/{LINES}", reservation_lines(reserved, asked))
            last_look()
            self._create(reserved, len(asked))
        except errors() as err:
            raise refused(err, f"Ground Truth, job {reserved.job}") from err

    def _create(self, reserved: Reserved, pictures: int) -> None:
        try:
            self._jobs.create_labeling_job(**self.request(reserved, pictures))
        except self._jobs.exceptions.ResourceInUse:
            return  # somebody was faster by a moment

    def request(self, reserved: Reserved, pictures: int) -> dict[str, Any]:
        """Return the request of a job."""
        labeler, label = self._labeler, self._params.label
        account = LAMBDA_ACCOUNTS[labeler.region]
        lambdas = f"arn:aws:lambda:{labeler.region}:{account}:function"
        price = mills(label.price.usd_per_task)
        amount = {"Dollars": price // 1000, "Cents": price % 1000 // 10, "TenthFractionsOfACent": price % 10}
        public = {"PublicWorkforceTaskPrice": {"AmountInUsd": amount}} if labeler.public else {}
        classifiers = {"DataAttributes": {"ContentClassifiers": ["FreeOfPersonallyIdentifiableInformation"]}} if labeler.free_of_personal_data else {}
        return {
            "LabelingJobName": reserved.job,
            "LabelAttributeName": ATTRIBUTE,
            "InputConfig": {"DataSource": {"S3DataSource": {"ManifestS3Uri": self._uri(f"jobs/{reserved.job}/input.manifest")}}, **classifiers},
            "OutputConfig": {"S3OutputPath": self._uri("output")},
            "RoleArn": labeler.role_arn,
            "LabelCategoryConfigS3Uri": self._uri(f"jobs/{reserved.job}/labels.json"),
            "StoppingConditions": {"MaxHumanLabeledObjectCount": pictures},
            "HumanTaskConfig": {
                "WorkteamArn": PUBLIC.format(region=labeler.region) if labeler.public else labeler.workteam_arn,
                "UiConfig": {"UiTemplateS3Uri": self._uri(f"jobs/{reserved.job}/template.liquid")},
                "PreHumanTaskLambdaArn": f"{lambdas}:PRE-BoundingBox",
                "AnnotationConsolidationConfig": {"AnnotationConsolidationLambdaArn": f"{lambdas}:ACS-BoundingBox"},
                "TaskTitle": labeler.title,
                "TaskDescription": f"Draw a tight box round every {', '.join(reserved.categories)}"[:255],
                "NumberOfHumanWorkersPerDataObject": label.workers,
                "TaskTimeLimitInSeconds": 600,
                "MaxConcurrentTaskCount": 1000,
                **public,
            },
        }

    def jobs(self, prefix: str) -> list[str]:
        """Return all jobs whose names begin with a prefix."""
        try:
            pages = self._jobs.get_paginator("list_labeling_jobs").paginate(NameContains=prefix)
            names = [row["LabelingJobName"] for page in pages for row in page["LabelingJobSummaryList"]]
        except errors() as err:
            raise refused(err, "Ground Truth, the list of jobs") from err
        return [name for name in names if name.lower().startswith(prefix.lower())]

    def lines(self, job: str) -> str:
        """Return what stands beside the job's input manifest."""
        return self._object(self._uri(f"jobs/{job}/{LINES}")).decode()

    def progress(self, job: Job) -> Progress:
        """Return state and counts; a job that completed may hold failures."""
        found = self._described(job.name)
        if found is None:
            return Progress("unknown")
        counts = found["LabelCounters"]
        return Progress(
            STATES[found["LabelingJobStatus"]],
            counts.get("TotalLabeled", 0),
            counts.get("FailedNonRetryableError", 0),
            found.get("FailureReason", ""),
        )

    def _described(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._jobs.describe_labeling_job(LabelingJobName=name)
        except self._jobs.exceptions.ResourceNotFound:
            return None
        except errors() as err:
            raise refused(err, f"Ground Truth, job {name}") from err
        return found

    def answers(self, job: Job) -> Received:
        """Read the output manifest as far as it is written; of a job that is completed it is whole, or what it lacks is refused.

        Where several people drew, who drew what is read besides, of pictures of which the ledger has fewer drawings than people were to make.
        """
        found = self._described(job.name) or {}
        address = found.get("LabelingJobOutput", {}).get("OutputDatasetS3Uri", "")
        if not address:
            return Received()
        body = self._object(address)
        received = read_manifest(body, job, where=address, attribute=ATTRIBUTE)
        people = found.get("HumanTaskConfig", {}).get("NumberOfHumanWorkersPerDataObject", 1)
        if people > 1:
            drawn = {sha256 for sha256, drawings in job.drawings.items() if len(drawings) >= people}  # a killed collect may have written down some
            received = self._with_drawings(received, job, found["InputConfig"]["DataSource"]["S3DataSource"]["ManifestS3Uri"], address, drawn=drawn)
        is_over = STATES[found["LabelingJobStatus"]] == "completed" and job.closed is None
        return replace(received, refused=(*received.refused, *_torn(body, job, address))) if is_over else received

    def _object(self, address: str) -> bytes:
        """Return what lies in S3 under an address, or nothing where nothing does."""
        bucket, key = bucket_and_key(address, key="LabelingJobOutput")
        try:
            body: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except errors() as err:
            if code_of(err) == "NoSuchKey":
                return b""
            raise refused(err, address) from err
        return body

    def _with_drawings(self, received: Received, job: Job, sent: str, address: str, *, drawn: Set[str]) -> Received:
        """Return what was received with what each person drew in pictures but `drawn`. Where that may not be read it stays in the bucket, and no answer is kept back."""
        wanted = {answer.sha256 for answer in received.answers if answer.state == "labelled"} - drawn
        folder = f"{address.removesuffix(MANIFEST)}{RESPONSES}"
        try:
            places = {place: sha256 for place, sha256 in enumerate(_order(self._object(sent))) if sha256 in wanted}
            names = [name for name in self._names(folder) if _place(name) in places] if places else []
            bodies = list(in_threads(lambda name: self._object(f"{folder}{name}"), names, workers=READERS))
        except ServiceError as err:
            if not is_denied(err):
                raise
            return replace(received, unread=(Refusal(folder, f"who drew what may not be read: {err.what}"),))
        found = read_responses(received, [(f"{folder}{name}", places[_place(name)], body) for name, body in zip(names, bodies, strict=True)], job)
        missing = len(wanted - {places[_place(name)] for name in names})
        lack = [Refusal(folder, f"who drew what is not there for {missing:,} of {len(wanted):,} answered pictures")] if missing else []
        return replace(found, unread=(*found.unread, *lack))

    def _names(self, folder: str) -> list[str]:
        """Return the objects in a folder of S3, by their names in it."""
        bucket, prefix = bucket_and_key(folder, key="LabelingJobOutput")
        return sorted(key.removeprefix(f"{prefix}/") for key in keys_under(self._s3, bucket, f"{prefix}/", where=folder))

    def cancel(self, job: Job) -> bool:
        """Stop the job; it is over when the service says so."""
        try:
            self._jobs.stop_labeling_job(LabelingJobName=job.name)
        except errors() as err:
            raise refused(err, f"Ground Truth, job {job.name}") from err
        return False

    def _template(self, asked: Iterable[str]) -> str:
        says, title = instructions_of(self._params, asked), self._labeler.title
        if any(sign in part for part in (says.whole, title) for sign in ("{{", "{%")):
            what = "{{ and {% in the title, the instructions or a guideline are the template's own"
            raise ParamsError(what, where="params.yaml", do="Write labeler.title, labeler.instructions and categories.*.guideline without them")
        short, text = (html.escape(part).replace("\n", "<br>") for part in (says.short, says.whole))
        return TEMPLATE.format(element=ELEMENT, title=html.escape(title), text=text, short=short)

    def _line(self, item: Asked) -> str:
        return json.dumps({"source-ref": self._uri(f"pictures/{item.file_name}"), "sha256": item.sha256}) + "\n"

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _uri(self, name: str) -> str:
        return f"s3://{self._bucket}/{self._key(name)}"

    def _put(self, name: str, text: str) -> None:
        self._s3.put_object(Bucket=self._bucket, Key=self._key(name), Body=text.encode())

    def _is_there(self, key: str) -> bool:
        try:
            self._s3.head_object(Bucket=self._bucket, Key=key)
        except self._s3.exceptions.ClientError:
            return False
        return True


class _Size(msgspec.Struct, frozen=True):
    width: float
    height: float


class _Box(msgspec.Struct, frozen=True):
    class_id: int
    left: float
    top: float
    width: float
    height: float


class _Drawing(msgspec.Struct, frozen=True):
    image_size: list[_Size]
    annotations: list[_Box]


class _Sure(msgspec.Struct, frozen=True):
    confidence: float = 0.0


class _Metadata(msgspec.Struct, frozen=True, rename="kebab"):
    type: str = "groundtruth/object-detection"
    failure_reason: str = ""
    objects: list[_Sure] = []


def read_manifest(body: bytes, job: Job, *, where: str, attribute: str) -> Received:
    """Read an output manifest: lines are labelled, failed, or as they were sent (not labelled yet). A line that is neither is refused by number and field.

    `class_id` counts in the order in which the job's categories were frozen. A single worker's confidence is 0 and says nothing.
    """
    by_hash = {asked.sha256: asked for asked in job.asked}
    pile = Pile()
    for number, line in enumerate(body.split(b"\n"), 1):
        if not line.strip():
            continue
        asked = None
        try:
            row = json.loads(line)
            sha256 = str(row.get("sha256") or Path(row["source-ref"]).stem)
            asked = by_hash.get(sha256)
            if asked is None:
                raise ValueError(f"sha256: a picture that was not asked about, {sha256[:16]}")
            answer = _answer(row, job, asked, attribute)
        except UNFIT as err:
            pile.refuse(f"{where}:{number}", f"not a bounding-box line of this job: {reason(err)}", asked.sha256 if asked else "")
            continue
        if answer is not None:
            pile.answer(answer, f"{where}:{number}")
    return pile.received()


class _Named(msgspec.Struct, frozen=True):
    label: str
    left: float
    top: float
    width: float
    height: float


class _Element(msgspec.Struct, frozen=True, rename="camel"):
    bounding_boxes: list[_Named]
    input_image_properties: _Size


class _Response(msgspec.Struct, frozen=True, rename="camel"):
    worker_id: str
    answer_content: dict[str, Any]


def _order(manifest: bytes) -> list[str]:
    """Return the pictures of an input manifest, in its order; an empty text for a line that is none of ours."""
    found = []
    for line in manifest.splitlines():
        try:
            found.append(str(json.loads(line)["sha256"]))
        except UNFIT:
            found.append("")
    return found


def _place(name: str) -> int:
    """Return the place in the input manifest that an object with people's answers is about, or -1: `iteration-1/<place>/<time>.json`."""
    found = re.fullmatch(r"iteration-\d+/(\d+)/[^/]+\.json", name)
    return int(found[1]) if found else -1


def read_responses(received: Received, files: Iterable[tuple[str, str, bytes]], job: Job) -> Received:
    """Return what was received with the answers of single people: of each file its address, its picture and its content, later ones last.

    As AWS's developer guide shows them: `answers`, each with `workerId` and under `answerContent` the element's boxes, in pixels of the picture.
    """
    by_hash = {asked.sha256: asked for asked in job.asked}
    found: dict[str, dict[str, Drawing]] = {}
    unread: list[Refusal] = []
    for where, sha256, body in files:
        try:
            for raw in listed(json.loads(body), "answers"):
                response = record(raw, _Response)
                worker, boxes = worker_mark(response.worker_id), _response_boxes(response, job, by_hash[sha256])
                found.setdefault(sha256, {})[worker] = Drawing(job=job.name, sha256=sha256, worker=worker, boxes=boxes)
        except UNFIT as err:
            unread.append(Refusal(where, reason(err), sha256))
    drawings = tuple(some[worker] for _, some in sorted(found.items()) if len(some) > 1 for worker in sorted(some))
    return replace(received, drawings=drawings, unread=tuple(unread))


def _response_boxes(response: _Response, job: Job, asked: Asked) -> tuple[Drawn, ...]:
    element = record(response.answer_content[ELEMENT], _Element)
    size = element.input_image_properties
    scale = asked.width / size.width, asked.height / size.height
    if not isclose(*scale, rel_tol=SHAPES_DIFFER):
        raise ValueError(f"inputImageProperties: {size.width:g} x {size.height:g} is the shape of another picture, not of one of {asked.width} x {asked.height}")
    boxes = []
    for place, box in enumerate(element.bounding_boxes):
        bbox = checked_bbox(scaled((box.left, box.top, box.width, box.height), *scale), asked, [f"boundingBoxes[{place}].{name}" for name in FIELDS])
        boxes.append(Drawn(category_id=job.reserved.categories[box.label], bbox=bbox))
    return tuple(boxes)


def _torn(body: bytes, job: Job, where: str) -> list[Refusal]:
    """Return what keeps a completed job open whose manifest is not there or was cut: the pictures that it lacks were paid for."""
    lines = sum(bool(line.strip()) for line in body.split(b"\n"))
    what = f"the job is completed, and its manifest has {lines:,} of {counted(len(job.asked), 'line')}: what is missing is not taken for unanswered, nor bought again"
    return [Refusal(where, what)] if lines < len(job.asked) else []


def _answer(row: dict[str, Any], job: Job, asked: Asked, attribute: str) -> Answered | None:
    about = row.get(f"{attribute}-metadata")
    if about is None:
        return None
    metadata = record(about, _Metadata)
    if metadata.type != _Metadata().type:
        raise ValueError(f"type: {metadata.type}")
    if metadata.failure_reason or attribute not in row:
        return Answered(job=job.name, sha256=asked.sha256, state="failed", why=metadata.failure_reason[:200])
    drawing = record(row[attribute], _Drawing)
    size = drawing.image_size[0]
    if not (0 < size.width < inf and 0 < size.height < inf):
        raise ValueError(f"image_size: {size.width:g} x {size.height:g}")
    scale = asked.width / size.width, asked.height / size.height
    ids = list(job.reserved.categories.values())
    boxes = [_drawn(box, place, asked, scale=scale, ids=ids) for place, box in enumerate(drawing.annotations)]
    sure = [_confidence(one.confidence) for one in metadata.objects[: len(boxes)]]
    boxes = [msgspec.structs.replace(box, confidence=sure[place] if place < len(sure) else 0.0) for place, box in enumerate(boxes)]
    return Answered(job=job.name, sha256=asked.sha256, state="labelled", boxes=tuple(boxes))


def _drawn(box: _Box, place: int, asked: Asked, *, scale: tuple[float, float], ids: list[int]) -> Drawn:
    if not 0 <= box.class_id < len(ids):
        raise ValueError(f"annotations[{place}].class_id: {box.class_id} is none of the job's {len(ids)} labels")
    bbox = scaled((box.left, box.top, box.width, box.height), *scale)
    return Drawn(category_id=ids[box.class_id], bbox=checked_bbox(bbox, asked, [f"annotations[{place}].{name}" for name in FIELDS]))


def _confidence(said: float) -> float:
    """Return a confidence as far as it says anything: a number from 0 to 1."""
    return said if 0 <= said <= 1 else 0.0


def _type(name: str) -> str:
    return "image/png" if name.endswith(".png") else "image/jpeg"
