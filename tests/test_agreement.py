"""Who drew what is kept, and tells how good the answers are; whatever comes of it, no answer and no cent is lost."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from boxset.commands.explain import read_records
from boxset.compare.explain import explain
from boxset.dataset.records import BBox
from boxset.endpoints import Endpoints
from boxset.errors import InputError, ServiceError
from boxset.labeling import purchase
from boxset.labeling.agreement import Agreement, Off, Shared, Tally, agreement, off_workers, quality, things
from boxset.labeling.aws import DENIED
from boxset.labeling.ground_truth import GroundTruth
from boxset.labeling.label_studio import read_tasks
from boxset.labeling.ledger import (
    ANSWERS,
    DRAWINGS,
    PURCHASES,
    Answered,
    Asked,
    Drawing,
    Drawn,
    Event,
    Job,
    Ledger,
    Reserved,
    append,
    read_ledger,
    worker_mark,
)
from boxset.labeling.purchase import collect, submit
from boxset.labeling.received import Received
from boxset.labeling.show import status_table
from boxset.params import Labeler, Params, Project
from boxset.world.server import serving
from tests.build import picture
from tests.outside import Asked as OutsideAsked
from tests.outside import Reply, outside
from tests.test_check import ROLE, TEAM
from tests.test_explain import row
from tests.test_labeling import CATEGORIES, Workforce, label, plan_of, shop
from tests.test_results import in_json, label_studio

A, B, C = "a" * 64, "b" * 64, "c" * 64
HAMMER, SAW = 1, 2
HERE: BBox = (10.0, 20.0, 100.0, 80.0)
THERE: BBox = (200.0, 20.0, 100.0, 80.0)
SHIFTED: BBox = (20.0, 20.0, 100.0, 80.0)  # overlaps HERE by 90 / 110
ANNA, BEN, CARL = worker_mark("7"), worker_mark("8"), worker_mark("9")


def drawing(worker: str, *boxes: BBox | tuple[int, BBox], sha256: str = A, job: str = "j", **more: Any) -> Drawing:
    """What somebody drew: hammers, or boxes with the id of their category."""
    drawn = [Drawn(category_id=box[0], bbox=box[1]) if len(box) == 2 else Drawn(category_id=HAMMER, bbox=box) for box in boxes]
    return Drawing(job=job, sha256=sha256, worker=worker, boxes=tuple(drawn), **more)


def shared(*drawings: Drawing) -> Shared:
    """A picture that several people drew in."""
    return Shared(tuple(sorted(one.worker for one in drawings)), tuple(things(drawings)))


def bought(folder: Path, *shas: str, name: str = "j") -> Path:
    """A ledger with one answered job."""
    reserved = Reserved(job=name, backend="label_studio", version=1, categories={"hammer": HAMMER, "saw": SAW}, pictures=len(shas), worst_mills=348 * len(shas))
    asked = [Asked(job=name, sha256=one, file_name=f"{one}.jpg", width=400, height=300, phash="0" * 16) for one in shas]
    append(folder, PURCHASES, [reserved, *asked])
    append(folder, ANSWERS, [Answered(job=name, sha256=one, state="labelled", boxes=(Drawn(category_id=HAMMER, bbox=HERE),)) for one in shas])
    return folder


# the ledger


def test_a_ledger_from_before_has_no_drawings_and_one_with_them_is_read_by_plans_as_before(tmp_path: Path) -> None:
    before = read_ledger(bought(tmp_path, A))

    append(tmp_path, DRAWINGS, [drawing(ANNA, HERE), drawing(BEN)])

    after = read_ledger(tmp_path)
    assert before.jobs["j"].drawings == {}
    assert after.jobs["j"].drawings == {A: tuple(sorted((drawing(ANNA, HERE), drawing(BEN)), key=lambda one: one.worker))}
    assert after.fingerprint == before.fingerprint


def test_drawings_of_two_clones_are_united_whatever_the_order_and_a_later_correction_holds(tmp_path: Path) -> None:
    mine = [drawing(ANNA, HERE), drawing(BEN, HERE)]
    theirs = [drawing(BEN, THERE, revision=1), drawing(CARL), drawing(ANNA, HERE)]
    append(bought(tmp_path / "one", A), DRAWINGS, [*mine, *theirs])
    append(bought(tmp_path / "other", A), DRAWINGS, [*reversed(theirs), *reversed(mine)])

    one, other = (read_ledger(tmp_path / name).jobs["j"].drawings for name in ("one", "other"))

    assert one == other
    assert {drawn.worker: drawn.boxes for drawn in one[A]} == {ANNA: drawing(ANNA, HERE).boxes, BEN: drawing(BEN, THERE).boxes, CARL: ()}


def test_drawings_of_a_job_that_is_gone_stop_everything(tmp_path: Path) -> None:
    append(bought(tmp_path, A), DRAWINGS, [drawing(ANNA, job="gone")])

    with pytest.raises(InputError, match=r"job gone goes on.*drawings\.jsonl of .* speak"):
        read_ledger(tmp_path)


class Crew(Workforce):
    """A workforce of which it is known who drew what."""

    def __init__(self) -> None:
        super().__init__()
        self.by_worker: dict[str, tuple[BBox, ...]] = {ANNA: (HERE,), BEN: (HERE, THERE)}

    def answers(self, job: Job) -> Received:
        found = super().answers(job)
        drawings = [drawing(worker, *boxes, sha256=one.sha256, job=job.name) for one in found.answers for worker, boxes in self.by_worker.items()]
        return Received(found.answers, found.refused, tuple(drawings))


def test_collecting_keeps_who_drew_what_once_and_a_correction_as_one(tmp_path: Path) -> None:
    crew = Crew()
    crew.states = ["open"] * 2
    buying = shop(tmp_path, crew, label())
    submit(buying, plan_of(tmp_path, label(), 2))

    collect(buying)
    collect(buying)
    lines = (tmp_path / "ledger" / DRAWINGS).read_text().splitlines()
    crew.by_worker = {BEN: (HERE,), CARL: ()}
    collect(buying)

    (job,) = read_ledger(tmp_path / "ledger").jobs.values()
    assert len(lines) == 4
    assert {one.worker: (len(one.boxes), one.revision) for one in job.drawings[job.asked[0].sha256]} == {ANNA: (1, 0), BEN: (1, 1), CARL: (0, 0)}
    assert job.closed is not None


def test_a_kill_before_drawings_are_written_leaves_the_job_open_so_that_they_come_in_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buying = shop(tmp_path, Crew(), label())
    submit(buying, plan_of(tmp_path, label(), 2))

    def killed(folder: Path, file: str, events: Sequence[Event]) -> None:
        if file == DRAWINGS:
            raise ConnectionError
        append(folder, file, events)

    monkeypatch.setattr(purchase, "append", killed)
    with pytest.raises(ConnectionError):
        collect(buying)
    (open_,) = read_ledger(tmp_path / "ledger").jobs.values()
    monkeypatch.undo()
    collect(buying)

    (job,) = read_ledger(tmp_path / "ledger").jobs.values()
    assert (open_.closed, len(open_.answers), open_.drawings) == (None, 2, {})
    assert (job.closed is not None, len(job.drawings), len((tmp_path / "ledger" / ANSWERS).read_text().splitlines())) == (True, 2, 2)


def test_what_could_not_be_had_when_a_job_was_closed_comes_in_when_it_is_looked_at_again_and_costs_nothing(tmp_path: Path) -> None:
    crew = Crew()
    drew, crew.by_worker = crew.by_worker, {}
    buying = shop(tmp_path, crew, label())
    submit(buying, plan_of(tmp_path, label(), 2))
    collect(buying)
    before = read_ledger(tmp_path / "ledger")

    crew.by_worker = drew
    collect(buying)
    unseen = read_ledger(tmp_path / "ledger")
    collect(buying, again=True)

    after = read_ledger(tmp_path / "ledger")
    assert unseen == before
    assert (after.fingerprint, after.committed_mills) == (before.fingerprint, before.committed_mills)
    assert [len(job.drawings) for job in after.jobs.values()] == [2]


# Label Studio

LS_JOB = Job(
    Reserved(job="j", backend="label_studio", version=1, categories={"hammer": HAMMER, "saw": SAW}, pictures=2, worst_mills=2),
    tuple(Asked(job="j", sha256=sha, file_name=sha, width=400, height=300, phash="0" * 16) for sha in (A, B)),
    is_sent=True,
    closed=None,
    answers={},
)


def annotation(by: Any, *xs: float, **more: Any) -> dict[str, Any]:
    """An annotation with a hammer at each place, in percent."""
    result = [{"value": {"x": x, "y": 10, "width": 25, "height": 20, "rectanglelabels": ["hammer"]}} for x in xs]
    return {"id": 70, "completed_by": by, "was_cancelled": False, "result": result, **more}


def test_label_studio_says_who_drew_what_and_no_mail_address_is_kept() -> None:
    mail = {"id": 8, "email": "ben@shop.example", "first_name": "Ben"}
    made = [annotation(9, 1, was_cancelled=True), annotation(7, 10), annotation(mail, 10, 50), annotation(7, 60)]

    found = read_tasks([{"id": 1, "data": {"sha256": A}, "annotations": made}, {"id": 2, "data": {"sha256": B}, "annotations": [annotation(7, 10)]}], LS_JOB, where="x")

    assert {one.worker: [box.bbox[0] for box in one.boxes] for one in found.drawings} == {ANNA: [40.0], BEN: [40.0, 200.0]}
    assert {one.sha256 for one in found.drawings} == {A}  # in the other only one drew
    assert [([box.bbox[0] for box in one.boxes], one.workers) for one in found.answers] == [([40.0], 2), ([40.0], 0)]  # one person's is as it is
    assert "shop.example" not in msgspec.json.encode(found.drawings).decode()


@pytest.mark.parametrize("bad", [3, annotation(8, 95), annotation(8, result=3), {"id": 71}])
def test_a_later_annotation_that_cannot_be_read_refuses_no_picture(bad: Any) -> None:
    found = read_tasks([{"id": 1, "data": {"sha256": A}, "annotations": [annotation(7, 10), annotation(9, 10), bad]}], LS_JOB, where="x")

    assert [one.sha256 for one in found.answers] == [A]
    assert (found.refused, {one.worker for one in found.drawings}) == ((), {ANNA, CARL})
    assert [one.where.partition(", annotation")[0] for one in found.unread] == ["x, task 1"]


def test_a_box_that_is_no_number_refuses_its_picture_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [{"id": n, "data": {"sha256": sha}, "annotations": [annotation(7, x)]} for n, (sha, x) in enumerate(((A, 10.0), (B, float("nan"))))]

    def answer(asked: OutsideAsked) -> Reply:
        return in_json([{"id": 1, "description": "j"}]) if asked.path == "/api/projects" else (200, {}, json.dumps(tasks).encode())

    with outside(answer) as world:
        found = label_studio(world, monkeypatch).answers(LS_JOB)

    assert [one.sha256 for one in found.answers] == [A]
    assert [(one.sha256, one.what) for one in found.refused] == [(B, "result[0].x: nan is no number")]


def test_people_without_a_number_are_each_somebody_else() -> None:
    made = [annotation(None, 10, id=1), annotation({"email": "x@shop.example"}, 10, id=2)]

    found = read_tasks([{"id": 1, "data": {"sha256": A}, "annotations": made}], LS_JOB, where="x")

    assert len({one.worker for one in found.drawings}) == 2


@pytest.mark.parametrize(("wanted", "state", "done"), [(None, "completed", 2), (1, "completed", 2), (2, "completed", 2), (3, "open", 0)])
def test_a_job_of_label_studio_waits_for_as_many_people_as_its_project_wants(wanted: int | None, state: str, done: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [{"id": n, "data": {"sha256": sha}, "annotations": [annotation(7, 10), annotation(8, 10)]} for n, sha in enumerate((A, B))]

    def answer(asked: OutsideAsked) -> Reply:
        return in_json([{"id": 1, "description": "j", "maximum_annotations": wanted}] if asked.path == "/api/projects" else tasks)

    with outside(answer) as world:
        progress = label_studio(world, monkeypatch).progress(LS_JOB)

    assert (progress.state, progress.done) == (state, done)


# Ground Truth

OUTPUT = "s3://b/x/output/j/manifests/output/output.manifest"
RESPONSES = "x/output/j/annotations/worker-response/"


def response(*answers: tuple[str, Sequence[int]], label_: str = "hammer") -> bytes:
    """The answers of people to one picture, as AWS writes them: hammers, by their left side in a picture of half the size."""
    image = {"width": 200, "height": 150}
    boxes = [[{"label": label_, "left": x, "top": 10, "width": 50, "height": 40} for x in xs] for _, xs in answers]
    content = [{"boundingBox": {"boundingBoxes": some, "inputImageProperties": image}} for some in boxes]
    about = {"acceptanceTime": "2026-01-01T00:00:00.000Z", "workerMetadata": {"identityData": {"sub": "f0", "issuer": "https://idp.example"}}}
    return json.dumps({"answers": [{**about, "workerId": who, "answerContent": one} for (who, _), one in zip(answers, content, strict=True)]}).encode()


class Bucket:
    """S3 with some objects; a key in `denied` may not be read."""

    def __init__(self, objects: dict[str, bytes], denied: str = "", code: str = "AccessDenied") -> None:
        self.objects, self.denied, self.code, self.read = objects, denied, code, list[str]()

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        self.read.append(Key)
        self._check(Key)
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": BytesIO(self.objects[Key])}

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> list[dict[str, Any]]:  # noqa: N803 - boto3's names
        self._check(Prefix)
        return [{"Contents": [{"Key": key}]} for key in self.objects if key.startswith(Prefix)] or [{}]

    def _check(self, key: str) -> None:
        if self.denied and self.denied in key:
            raise ClientError({"Error": {"Code": self.code}}, "GetObject")


def ground_truth(bucket: Bucket, *, people: int = 3) -> GroundTruth:
    """The service with a completed job of two pictures over a bucket, of which the second failed."""
    failed = {"sha256": B, "boxes-metadata": {"failure-reason": "expired"}}
    labelled = {"sha256": A, "boxes": {"image_size": [{"width": 400, "height": 300}], "annotations": []}, "boxes-metadata": {}}
    bucket.objects[OUTPUT.removeprefix("s3://b/")] = f"{json.dumps(failed)}\n{json.dumps(labelled)}\n".encode()
    bucket.objects["x/jobs/j/input.manifest"] = f'{json.dumps({"sha256": B})}\n{json.dumps({"sha256": A})}\n'.encode()
    params = Params(world="live", project=Project(name="tools", bucket="s3://b/x"), categories=CATEGORIES, sources={}, label=label(), labeler=Labeler())
    labeler = GroundTruth(params, Endpoints(aws="http://none"))

    class Jobs:
        exceptions = type("Exceptions", (), {"ResourceNotFound": KeyError})

        def describe_labeling_job(self, **_: str) -> dict[str, Any]:
            return {
                "LabelingJobStatus": "Completed",
                "LabelingJobOutput": {"OutputDatasetS3Uri": OUTPUT},
                "LabelCounters": {},
                "InputConfig": {"DataSource": {"S3DataSource": {"ManifestS3Uri": "s3://b/x/jobs/j/input.manifest"}}},
                "HumanTaskConfig": {"NumberOfHumanWorkersPerDataObject": people},
            }

    labeler._s3, labeler._jobs = bucket, Jobs()
    return labeler


def test_ground_truth_says_who_drew_what_in_pixels_of_the_picture_by_its_place_in_the_manifest() -> None:
    early, late = response(("private.eu.7f", [10])), response(("private.eu.7f", [10]), ("private.eu.8f", [10, 100]))
    files = {"1/2026-01-01_00:00:00.json": early, "1/2026-01-02_00:00:00.json": late, "0/2026-01-01_00:00:00.json": late}
    bucket = Bucket({f"{RESPONSES}iteration-1/{name}": body for name, body in files.items()})

    found = ground_truth(bucket).answers(LS_JOB)

    marks = worker_mark("private.eu.7f"), worker_mark("private.eu.8f")
    drawn = {one.worker: [box.bbox for box in one.boxes] for one in found.drawings}
    assert drawn == {marks[0]: [(20.0, 20.0, 100.0, 80.0)], marks[1]: [(20.0, 20.0, 100.0, 80.0), (200.0, 20.0, 100.0, 80.0)]}
    assert {one.sha256 for one in found.drawings} == {A}
    assert (found.unread, len(found.answers)) == ((), 2)
    assert "idp.example" not in msgspec.json.encode(found.drawings).decode()


def test_a_submit_that_was_killed_after_it_was_sent_leaves_the_running_jobs_files_as_they_are(tmp_path: Path) -> None:
    aws = {"backend": "ground_truth", "bucket": "s3://boxset-embedded/jobs", "role_arn": ROLE, "workteam_arn": TEAM}
    params = Params(world="live", project=Project(name="tools"), categories=CATEGORIES, sources={}, label=label(), labeler=Labeler(**aws))
    pictures = {item.sha256: tmp_path / "picture.jpg" for item in LS_JOB.asked}
    (tmp_path / "picture.jpg").write_bytes(b"x")
    manifest, others = "s3://boxset-embedded/jobs/jobs/j/input.manifest", "s3://boxset-embedded/jobs/jobs/k/input.manifest"
    with serving(tmp_path / "world") as gateway:
        labeler = GroundTruth(params, Endpoints(gateway=gateway, aws=gateway))
        labeler.send(LS_JOB.reserved, LS_JOB.asked[::-1], pictures)
        labeler.send(msgspec.structs.replace(LS_JOB.reserved, job="k"), LS_JOB.asked, pictures)
        sent, same = labeler._object(manifest), labeler._object(others)
        labeler.send(LS_JOB.reserved, LS_JOB.asked[:1], pictures)

        assert labeler._object(manifest) == sent == same


def test_of_a_picture_of_which_a_kill_left_only_some_drawings_the_others_are_read_again() -> None:
    bucket = Bucket({f"{RESPONSES}iteration-1/1/x.json": response(("w1", [1]), ("w2", [1]), ("w3", [1]))})
    torn = replace(LS_JOB, drawings={A: (drawing(worker_mark("w1"), HERE), drawing(worker_mark("w2"), HERE))})

    found = ground_truth(bucket).answers(torn)

    assert {one.worker for one in found.drawings} == {worker_mark(who) for who in ("w1", "w2", "w3")}


def test_what_the_ledger_has_and_what_one_person_drew_is_not_read_from_the_bucket() -> None:
    bucket = Bucket({f"{RESPONSES}iteration-1/1/x.json": response(("w1", [1]), ("w2", [1]))})
    known = replace(LS_JOB, drawings={A: (drawing(ANNA), drawing(BEN))})

    ground_truth(bucket, people=2).answers(known)
    ground_truth(bucket, people=1).answers(LS_JOB)

    assert [key for key in bucket.read if "worker-response" in key] == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "Expecting"),
        (b'{"answers": 3}', "answers: there is no such list"),
        (response(("w1", [1]), ("w2", [190])), "boundingBoxes[0].left + boundingBoxes[0].width: 480 lies outside"),
        (response(("w1", [1]), ("w2", [1]), label_="axe"), "axe: missing"),
        (response(("w1", [1])).replace(b'boundingBox"', b'box"'), "boundingBox: missing"),
        (response(("w1", [1]), ("w2", [1])).replace(b'"height": 150', b'"height": 300'), "inputImageProperties: 200 x 300 is the shape of another picture"),
    ],
)
def test_drawings_that_cannot_be_read_keep_no_answer_back(content: bytes, says: str) -> None:
    found = ground_truth(Bucket({f"{RESPONSES}iteration-1/1/x.json": content})).answers(LS_JOB)

    assert (len(found.answers), found.refused, found.drawings) == (2, (), ())
    assert [(one.where, says in one.what) for one in found.unread] == [(f"s3://b/{RESPONSES}iteration-1/1/x.json", True)], found.unread


def test_answers_of_single_people_that_are_not_there_are_named_and_keep_no_answer_back() -> None:
    found = ground_truth(Bucket({f"{RESPONSES}iteration-1/0/x.json": response(("w1", [1]), ("w2", [1]))})).answers(LS_JOB)

    assert (len(found.answers), found.refused, found.drawings) == (2, (), ())
    assert [str(one) for one in found.unread] == [f"s3://b/{RESPONSES}: who drew what is not there for 1 of 1 answered pictures"]


def test_who_drew_what_is_named_as_missing_where_the_order_of_the_pictures_is_not_there() -> None:
    service = ground_truth(bucket := Bucket({f"{RESPONSES}iteration-1/1/x.json": response(("w1", [1]), ("w2", [1]))}))
    del bucket.objects["x/jobs/j/input.manifest"]

    found = service.answers(LS_JOB)

    assert [str(one) for one in found.unread] == [f"s3://b/{RESPONSES}: who drew what is not there for 1 of 1 answered pictures"]


@pytest.mark.parametrize(
    ("denied", "code"),
    [("worker-response", "AccessDenied"), ("iteration-1/1/x.json", "AccessDenied"), ("input.manifest", "AccessDenied"), *(("input.manifest", code) for code in DENIED[1:])],
)
def test_a_right_that_is_missing_keeps_no_answer_back_and_a_fault_that_passes_is_tried_again(denied: str, code: str) -> None:
    objects = {f"{RESPONSES}iteration-1/1/x.json": response(("w1", [1]), ("w2", [1]))}

    found = ground_truth(Bucket(dict(objects), denied, code)).answers(LS_JOB)

    assert (len(found.answers), found.drawings) == (2, ())
    assert [one.what.startswith(f"who drew what may not be read: {code}: ") for one in found.unread] == [True]
    with pytest.raises(ServiceError, match="SlowDown"):
        ground_truth(Bucket(dict(objects), denied, "SlowDown")).answers(LS_JOB)


# how well they agree


def test_boxes_that_overlap_by_half_are_one_thing_and_each_person_has_one_of_it() -> None:
    found = things([drawing(ANNA, HERE, THERE), drawing(BEN, SHIFTED, (SAW, THERE)), drawing(CARL, HERE)])

    assert sorted((thing.category_id, sorted(thing.people)) for thing in found) == sorted([(HAMMER, sorted([ANNA, BEN, CARL])), (HAMMER, [ANNA]), (SAW, [BEN])])
    (all_three,) = (thing for thing in found if len(thing.people) == 3)
    assert sorted(all_three.overlaps.values()) == pytest.approx([90 / 110, 90 / 110, 1.0])


@pytest.mark.parametrize("spread", [5, 40, 400])
def test_a_few_boxes_are_paired_as_many_are(spread: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(spread)

    def drawn(who: str) -> Drawing:
        return drawing(who, *[(chance.uniform(0, spread), chance.uniform(0, spread), 50.0, 40.0) for _ in range(chance.randrange(6))])

    pictures = [[drawn(who) for who in (ANNA, BEN, CARL)] for _ in range(50)]

    few = [things(drawings) for drawings in pictures]
    monkeypatch.setattr("boxset.labeling.agreement.FEW_PAIRS", 0)

    assert [[thing.boxes for thing in some] for some in few] == [[thing.boxes for thing in things(drawings)] for drawings in pictures]


def test_how_well_people_agree_is_counted_over_the_pictures_that_several_drew_in() -> None:
    pictures = [shared(drawing(ANNA, HERE, THERE), drawing(BEN, SHIFTED), drawing(CARL, HERE)), shared(drawing(ANNA), drawing(BEN))]

    assert agreement(pictures) == Agreement(people=3, pictures=2, boxes=4, alone=1, mean_overlap=pytest.approx((90 / 110 * 2 + 1) / 3))


def crew(seed: int, *, pictures: int, each: int, of: int, bad: str = "", misses: float = 0.06, loose: float = 0.03, extra: float = 0.02) -> list[Shared]:
    """Pictures that some of a crew drew in; `bad` is who misses, draws loosely or makes things up as stated, the others do as people do."""
    chance = random.Random(seed)
    found = []
    for _ in range(pictures):
        true = [(chance.uniform(0, 200), chance.uniform(0, 150), chance.uniform(60, 150), chance.uniform(60, 150)) for _ in range(chance.choice((1, 1, 2)))]
        people = chance.sample([f"w{n}" for n in range(of)], each)
        drawn = [(who, misses if who == bad else 0.06, loose if who == bad else 0.03, extra if who == bad else 0.02) for who in people]
        found.append(shared(*(drawing(who, *_drawn(chance, true, *habits)) for who, *habits in drawn)))
    return found


def _drawn(chance: random.Random, true: list[BBox], misses: float, loose: float, extra: float) -> list[BBox]:
    seen = [box for box in true if chance.random() >= misses]
    moved = [(x + chance.gauss(0, loose * w), y + chance.gauss(0, loose * h), w * chance.gauss(1, loose), h * chance.gauss(1, loose)) for x, y, w, h in seen]
    return [*moved, *([(300.0, 200.0, 30.0, 30.0)] if chance.random() < extra else [])]


BAD: dict[str, tuple[dict[str, float], str]] = {
    "who misses half": ({"misses": 0.5}, "apart"),
    "who makes things up": ({"extra": 0.6}, "apart"),
    "who draws with other edges": ({"loose": 0.1}, "loose"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize(("pictures", "each", "of"), [(100, 3, 3), (150, 3, 8), (300, 2, 5)])
def test_one_who_is_off_is_named_and_nobody_else(case: str, pictures: int, each: int, of: int) -> None:
    habits, how = BAD[case]

    (found,) = off_workers(crew(1, pictures=pictures, each=each, of=of, bad="w0", **habits))

    assert (found.worker, getattr(found, f"is_{how}")) == ("w0", True)


def test_of_people_who_are_equally_good_next_to_none_is_named() -> None:
    named = [one.worker for seed in range(40) for one in off_workers(crew(seed, pictures=60, each=3, of=6))]

    assert len(named) <= 2  # of 240


def test_of_two_who_draw_with_nobody_else_none_can_be_told_to_be_off() -> None:
    assert off_workers(crew(1, pictures=300, each=2, of=2, bad="w0", misses=0.6, loose=0.1)) == []


def test_the_others_are_not_counted_where_one_of_them_drew_with_this_person_alone() -> None:
    with_anna = [shared(drawing(ANNA, *([HERE] if n % 2 else [])), drawing(BEN, HERE)) for n in range(60)]

    (found,) = off_workers([*with_anna, *(shared(drawing(BEN, HERE), drawing(CARL, HERE)) for _ in range(60))])

    own, others = Tally(60, boxes=30, missed=30, together=30, overlap=30.0, overlap_squares=30.0), Tally(120, boxes=120, together=60, overlap=60.0, overlap_squares=60.0)
    assert found == Off(ANNA, own, others, is_apart=True, is_loose=False)


@pytest.mark.parametrize(("people", "boxes"), [(2, 501), (51, 1)])
def test_a_picture_in_which_more_was_drawn_than_can_be_compared_is_left_out(people: int, boxes: int, tmp_path: Path) -> None:
    append(bought(tmp_path, A, B), DRAWINGS, [drawing(worker_mark(str(n)), *[HERE] * boxes) for n in range(people)])
    append(tmp_path, DRAWINGS, [drawing(who, HERE, sha256=B) for who in (ANNA, BEN)])

    found = quality(read_ledger(tmp_path))

    assert found.jobs == {"j": Agreement(people=2, pictures=1, boxes=2, alone=0, mean_overlap=1.0)}


def test_one_bad_picture_names_nobody() -> None:
    pictures = [shared(drawing(ANNA, HERE), drawing(BEN, HERE), drawing(CARL, THERE)), *(shared(drawing(ANNA), drawing(BEN), drawing(CARL)) for _ in range(3))]

    assert off_workers(pictures) == []


# what is shown


def many(folder: Path, pictures: int = 40) -> Ledger:
    """A ledger in which Carl leaves out every second hammer that Anna and Ben drew, and moves the others."""
    shas = [f"{n:064x}" for n in range(1, pictures + 1)]
    append(bought(folder, *shas), DRAWINGS, [drawing(who, *([HERE] if who != CARL or n % 2 else []), sha256=sha) for n, sha in enumerate(shas) for who in (ANNA, BEN, CARL)])
    bought(folder, A, name="alone")
    return read_ledger(folder)


def test_status_shows_how_well_people_agree_and_names_who_is_off_with_the_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = many(tmp_path)

    status_table(ledger, {}, budget_usd=100.0)

    shown = capsys.readouterr().out
    assert ["j", "3", "40", "1.00", "100", "0,", "0%"] in [line.split() for line in shown.splitlines()]
    apart = "0 of their 20 boxes nobody else drew, and 20 things are missing that most others drew (20 of 40, 50%, of the others' 0 of 80, 0%)"
    assert f"worker {CARL} is off from the others, in 40 pictures: {apart}" in shown.splitlines()
    assert sum(line.startswith("worker") for line in shown.splitlines()) == 1


def test_status_says_nothing_of_agreement_where_nobody_knows_who_drew_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status_table(read_ledger(bought(tmp_path, A)), {}, budget_usd=100.0)

    assert "IoU" not in capsys.readouterr().out
    assert quality(read_ledger(tmp_path)).jobs == {}


def test_the_history_of_a_picture_says_how_many_drew_each_thing(tmp_path: Path) -> None:
    append(bought(tmp_path / "ledger", A), DRAWINGS, [drawing(ANNA, HERE, (SAW, THERE)), drawing(BEN, SHIFTED), drawing(CARL, HERE)])
    bought(tmp_path / "ledger", A, name="other")
    append(bought(tmp_path / "ledger", A, name="wild"), DRAWINGS, [drawing(who, *[HERE] * 501, job="wild") for who in (ANNA, BEN)])
    kept = msgspec.structs.replace(row("a"), picture=picture("a", sha256=A))

    (story,) = explain(A, replace(read_records(tmp_path), tried={"crawl hammer": [kept]}))

    told = [step.details for step in story.steps if step.where == "label"]
    assert told == [("answered: 1 hammer", "of 3 people who drew: hammer by 3; saw by 1"), *[("answered: 1 hammer",)] * 2]
