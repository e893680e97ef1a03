"""What people put into a folder or draw in Label Studio is checked before it is written down, and a job waits for all of its pictures."""

import json
import os
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from boxset.commands.label import _handed_out
from boxset.endpoints import Endpoints
from boxset.errors import ProjectError, ServiceError
from boxset.labeling.files import Folder
from boxset.labeling.ground_truth import GroundTruth
from boxset.labeling.label_studio import LabelStudio, read_tasks
from boxset.labeling.labeler import Progress
from boxset.labeling.ledger import Answered, Asked, Closed, Drawn, Job, Ledger, Reserved, read_ledger
from boxset.labeling.plan import Stock, make_plan
from boxset.labeling.purchase import Shop, cancel, collect, status, submit
from boxset.params import Label, Labeler, Params, Project
from tests.build import IDS
from tests.outside import Asked as OutsideAsked
from tests.outside import Outside, Reply, outside
from tests.studio import Studio
from tests.test_labeling import CATEGORIES, NOTHING, TARGETS, crawled, label

BOX = [10, 5, 20, 30]


class Sent:
    """A job of `count` pictures of 400 x 300 that went out by files."""

    def __init__(self, folder: Path, count: int = 4) -> None:
        self.folder, self.count = folder, count
        there = folder / "picture.jpg"
        there.write_bytes(b"x")
        params = Params(
            world="live", project=Project(name="tools"), categories=CATEGORIES, sources={}, label=label(), labeler=Labeler(trial=0, folder=str(folder / "labelling"))
        )
        self.shop = Shop(folder / "ledger", params, Folder(params), lambda _: there)
        submit(self.shop, make_plan(self.ledger, IDS, TARGETS, Label(budget_usd=100.0, workers=1), Stock(crawled(count), []), have=NOTHING))

    @property
    def ledger(self) -> Ledger:
        return read_ledger(self.folder / "ledger")

    @property
    def job(self) -> Job:
        return next(iter(self.ledger.jobs.values()))

    def put(self, name: str, *boxes: list[Any] | None, at: int = 1, **more: Any) -> Path:
        """Write a COCO result that lists the first pictures, each with one box, or with none for None; written at second `at`."""
        asked = sorted(self.job.asked, key=lambda item: item.sha256)
        images = [{"id": n, "file_name": item.file_name, "width": item.width, "height": item.height} for n, item in enumerate(asked[: len(boxes)], 1)]
        drawn = [{"id": 70 + n, "image_id": n, "category_id": 5, "bbox": box} for n, box in enumerate(boxes, 1) if box is not None]
        coco = {"images": images, "annotations": drawn, "categories": [{"id": 5, "name": "hammer"}], **more}
        return self.put_text(name, json.dumps(coco), at=at)

    def put_text(self, name: str, text: str, *, at: int = 1) -> Path:
        path = self.folder / "labelling" / self.job.name / "results" / name
        path.write_text(text)
        os.utime(path, (at, at))
        return path

    def boxes(self) -> list[list[Any] | None]:
        """What the ledger holds of each picture, in the order of their hashes."""
        answers = [self.job.answers.get(sha256) for sha256 in sorted(item.sha256 for item in self.job.asked)]
        return [None if a is None else [list(drawn.bbox) for drawn in a.boxes] for a in answers]


@pytest.fixture
def sent(tmp_path: Path) -> Sent:
    return Sent(tmp_path)


@pytest.mark.parametrize(
    ("box", "says"),
    [
        (["a", 1, 2, 3], "bbox[0]: Expected `float`, got `str`"),
        ([1, 2, -5, float("nan")], "bbox[3]: nan is no number"),
        ([1, 2, float("inf"), 3], "bbox[2]: inf is no number"),
        ([10**400, 1, 2, 3], "bbox[0]: Number out of range"),
        ([1, 2, -5, 4], "bbox[2]: -5 is not more than 0"),
        ([1, 2, 0, 4], "bbox[2]: 0 is not more than 0"),
        ([-10, 5, 99999, 50], "bbox[0]: -10 lies outside the picture"),
        ([10, 5, 99999, 50], "bbox[0] + bbox[2]: 100009 lies outside the picture of 400 pixels"),
        ([10, 299, 5, 5], "bbox[1] + bbox[3]: 304 lies outside the picture of 300 pixels"),
        ([400.5, 10, 1, 5], "bbox[2], bbox[3]: nothing of the box lies inside the picture of 400 x 300"),
        ([1, 2, 3], "bbox: Expected `array` of length 4"),
        ("a box", "bbox: Expected `array`"),
    ],
)
def test_a_bad_box_is_refused_by_file_annotation_and_field_and_the_other_pictures_are_taken_in(sent: Sent, box: Any, says: str) -> None:
    path = sent.put("r.json", BOX, box, None)

    found = collect(sent.shop)

    assert [(one.where, one.what.startswith(says)) for one in found.refused] == [(f"{path}: annotation 72", True)], found.refused
    assert sent.boxes() == [[BOX], None, [], None]
    assert path.exists()
    assert status(sent.shop.labeler, sent.ledger) == {sent.job.name: Progress("open", 2)}


def test_a_box_that_sticks_out_by_a_little_is_clipped(sent: Sent) -> None:
    sent.put("r.json", [-1.5, -1, 403, 302.5])

    assert collect(sent.shop).refused == ()
    assert sent.boxes()[0] == [[0, 0, 400, 300]]


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"annotations": [{"id": 8, "image_id": 99, "category_id": 5, "bbox": BOX}]}, "annotation 8"),
        ({"annotations": [{"id": 8, "image_id": 1, "category_id": 6, "bbox": BOX}]}, "annotation 8"),
        ({"annotations": [7]}, "annotations[0]"),
        ({"annotations": [{"image_id": [1], "category_id": 5, "bbox": BOX}]}, "annotations[0]"),
        ({"images": [{"id": 1, "file_name": "other.jpg"}]}, "images[0]"),
        ({"images": [{"id": 1}]}, "images[0]"),
        ({"images": {}}, ""),
        ({"categories": [{"id": {}, "name": "hammer"}]}, ""),
    ],
)
def test_a_record_that_cannot_be_used_is_named_and_stops_neither_the_ledger_nor_other_files(sent: Sent, more: dict[str, Any], where: str) -> None:
    sent.put("good.json", None, None, None, BOX)
    path = sent.put("bad.json", BOX, at=2, **more)

    refused = collect(sent.shop).refused

    assert [one.where for one in refused] == [f"{path}: {where}" if where else str(path)]
    assert sent.boxes()[3] == [BOX]


@pytest.mark.parametrize("text", ["", "<html>", "[]", "[" * 100_000, '{"images": [], "annotations": []}', "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")])
def test_a_file_that_is_no_result_is_named_and_the_others_are_read(sent: Sent, text: str) -> None:
    sent.put("good.json", BOX, BOX, BOX, BOX)
    path = sent.put_text("bad.json", text, at=2)

    refused = collect(sent.shop).refused

    assert [(one.where, one.what.startswith("not a COCO result of this job: ")) for one in refused] == [(str(path), True)]
    assert sent.boxes() == [[BOX]] * 4


def test_a_result_of_pictures_in_another_size_is_refused(sent: Sent) -> None:
    item = min(sent.job.asked, key=lambda one: one.sha256)
    sent.put("r.json", images=[{"id": 1, "file_name": item.file_name, "width": 800, "height": 600}])

    (refusal,) = collect(sent.shop).refused

    assert refusal.what == "width, height: 800 x 600, and the picture was sent with 400 x 300"
    assert sent.boxes()[0] is None


def test_a_job_stays_open_until_every_picture_is_listed(sent: Sent) -> None:
    sent.put("half.json", BOX, None)

    collect(sent.shop)
    assert (sent.job.closed, sent.boxes(), sent.ledger.committed_mills) == (None, [[BOX], [], None, None], 4 * 116)
    assert make_plan(sent.ledger, IDS, TARGETS, label(), Stock(crawled(4), []), have=NOTHING).items == ()

    sent.put("rest.json", BOX, None, BOX, None, at=2)
    collect(sent.shop)
    assert (sent.job.closed and sent.job.closed.state, sent.boxes()) == ("completed", [[BOX], [], [BOX], []])


def test_the_file_that_was_written_last_corrects_what_was_taken_in_also_of_a_job_that_is_over(sent: Sent) -> None:
    sent.put("a.json", BOX, BOX, BOX, BOX)
    collect(sent.shop)
    once = sent.ledger
    collect(sent.shop)
    assert sent.ledger == once

    sent.put("b.json", [1, 2, 3, 4], at=2)
    collect(sent.shop)
    collect(sent.shop)
    assert sent.boxes() == [[[1, 2, 3, 4]], [BOX], [BOX], [BOX]]
    assert sorted(answer.revision for answer in sent.job.answers.values()) == [0, 0, 0, 1]
    assert len((sent.folder / "ledger/answers.jsonl").read_text().splitlines()) == 5

    sent.put("a.json", BOX, at=3)
    collect(sent.shop)
    assert sent.boxes() == [[BOX]] * 4


def test_a_job_that_is_closed_by_name_gives_up_what_is_missing_and_a_late_answer_still_counts(sent: Sent) -> None:
    sent.put("half.json", BOX, ["a", 1, 2, 3], None)

    with pytest.raises(ProjectError, match="no open job has this name"):
        cancel(sent.shop, ["tools-0"])
    assert cancel(sent.shop, [sent.job.name]) == [sent.job.name]

    states = [answer.state for _, answer in sorted(sent.job.answers.items())]
    assert (sent.job.closed and (sent.job.closed.state, sent.job.closed.cost_mills)) == ("stopped", 3 * 116)
    assert states == ["labelled", "failed", "labelled"]
    assert collect(sent.shop).refused == ()
    wanted = make_plan(sent.ledger, IDS, TARGETS, label(), Stock(crawled(4), []), have=NOTHING).items
    assert len(wanted) == 2

    sent.put("late.json", BOX, BOX, None, BOX, at=2)
    collect(sent.shop)
    assert (sent.boxes(), sent.ledger.committed_mills) == ([[BOX], [BOX], [], [BOX]], 4 * 116)


def test_a_job_whose_folder_lies_elsewhere_is_stopped_by_its_name_alone_and_counts_at_its_worst(sent: Sent) -> None:
    (sent.folder / "labelling").rename(sent.folder / "elsewhere")

    assert cancel(sent.shop) == []
    assert sent.job.closed is None
    assert cancel(sent.shop, [sent.job.name]) == [sent.job.name]
    assert (sent.job.closed and (sent.job.closed.state, sent.job.closed.cost_mills)) == ("stopped", 4 * 116)


ASKED = Asked(job="tools-1", sha256="a" * 64, file_name="a.jpg", width=200, height=100, phash="0" * 16)
OTHER = Asked(job="tools-1", sha256="b" * 64, file_name="b.jpg", width=200, height=100, phash="0" * 16)
RESERVED = Reserved(job="tools-1", backend="label_studio", version=1, categories={"hammer": 4}, pictures=2, worst_mills=1)
LS_JOB = Job(RESERVED, (ASKED, OTHER), is_sent=True, closed=None, answers={})


def task(sha256: str, **value: Any) -> dict[str, Any]:
    """An exported task with one rectangle."""
    rectangle = {"x": 10, "y": 20, "width": 30, "height": 40, "rectanglelabels": ["hammer"], **value}
    return {"id": 7, "data": {"sha256": sha256}, "annotations": [{"was_cancelled": False, "result": [{"value": rectangle}]}]}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (task("a" * 64, x="a"), "result[0].x: Expected `float`, got `str`"),
        (task("a" * 64, height=None), "result[0].height: Expected `float`, got `null`"),
        (task("a" * 64, width=0), "result[0].width: 0 is not more than 0"),
        (task("a" * 64, x=95), "result[0].x + result[0].width: 250 lies outside the picture of 200 pixels"),
        (task("a" * 64, rectanglelabels=["saw"]), "result[0].rectanglelabels: saw is none of this job's categories"),
        ({"id": 7, "data": {"sha256": "a" * 64}, "annotations": [{"result": 3}]}, "result: there is no such list"),
        ({"id": 7, "data": {"sha256": "a" * 64}, "annotations": [3]}, "AttributeError"),
    ],
)
def test_a_bad_rectangle_refuses_its_task_alone(bad: dict[str, Any], says: str) -> None:
    found = read_tasks([bad, task("b" * 64)], LS_JOB, where="Label Studio, tools-1")

    assert found.answers == (Answered(job="tools-1", sha256="b" * 64, state="labelled", boxes=(Drawn(category_id=4, bbox=(20, 20, 60, 40)),)),)
    assert [str(one).startswith(f"Label Studio, tools-1, task 7: {says}") for one in found.refused] == [True], found.refused


def test_a_turned_rectangle_becomes_the_box_round_it() -> None:
    (answer,) = read_tasks([task("a" * 64, x=50, rotation=90)], LS_JOB, where="x").answers

    assert answer.boxes[0].bbox == pytest.approx((60, 20, 40, 60))


def label_studio(world: Outside, monkeypatch: pytest.MonkeyPatch) -> LabelStudio:
    monkeypatch.setenv("LABEL_STUDIO_TOKEN", "t")
    params = Params(world="live", project=Project(name="tools"), categories=CATEGORIES, sources={}, label=label(), labeler=Labeler(backend="label_studio", url="http://studio.test"))
    return LabelStudio(params, world.endpoints)


def test_of_two_clones_that_send_a_job_to_label_studio_at_once_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with outside(lambda _: in_json([])) as world:
        ann, bob = label_studio(world, monkeypatch), label_studio(world, monkeypatch)
    studio = Studio()
    for one in (ann, bob):
        monkeypatch.setattr(one, "_call", studio.call)
    (there := tmp_path / "p.jpg").write_bytes(b"x")
    sent = LS_JOB.reserved, LS_JOB.asked, {item.sha256: there for item in LS_JOB.asked}
    studio.between = lambda: bob.send(*sent)

    with pytest.raises(ServiceError, match="another clone has just made project 1"):
        ann.send(*sent)
    ann.send(*sent)

    assert {number: len(tasks) for number, tasks in studio.tasks.items()} == {1: 2, 2: 0}


def in_json(value: Any) -> Reply:
    return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()


def test_projects_on_a_later_page_are_known_so_that_no_job_is_made_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = {"1": ["tools-1", "other"], "2": ["tools-2"], "3": ["tools-3"]}

    def answer(asked: OutsideAsked) -> Reply:
        page = asked.query.get("page", "1")
        results = [{"id": 10 * int(page) + n, "description": name} for n, name in enumerate(pages[page])]
        more = f"http://inside:8080/api/projects?page={int(page) + 1}" if page != "3" else None
        return in_json({"count": 4, "next": more, "previous": None, "results": results})

    with outside(answer) as world:
        assert label_studio(world, monkeypatch).jobs("tools-") == ["tools-1", "tools-2", "tools-3"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 3, "next": None, "results": [{"id": 1, "description": "tools-1"}]},
        {"count": 3, "next": "http://inside/api/projects?page=2", "results": []},
        {"detail": "Invalid page."},
        [7],
        {"results": "none", "next": None},
    ],
)
def test_a_list_of_projects_that_is_not_whole_stops_the_purchase(wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    says = r"Label Studio at http://studio\.test: the list of projects is not (whole|what it should be)"
    with outside(lambda _: in_json(wrong)) as world, pytest.raises(ServiceError, match=says):
        label_studio(world, monkeypatch).jobs("tools-")


def test_tasks_that_are_no_list_are_an_error_and_not_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(asked: OutsideAsked) -> Reply:
        return in_json([{"id": 1, "description": "tools-1"}] if asked.path == "/api/projects" else {"detail": "export failed"})

    with outside(answer) as world, pytest.raises(ServiceError, match=r"tools-1: the export is not what it should be"):
        label_studio(world, monkeypatch).answers(LS_JOB)


@pytest.mark.parametrize("tasks", [[7], [{"id": 7, "data": {"sha256": "a" * 64}, "annotations": 3}]])
def test_a_task_that_is_none_stops_no_other(tasks: list[Any]) -> None:
    found = read_tasks([*tasks, task("b" * 64)], LS_JOB, where="x")

    assert [answer.sha256 for answer in found.answers] == ["b" * 64]


def test_a_turned_box_of_cvat_becomes_the_box_round_it(sent: Sent) -> None:
    drawn = {"id": 1, "image_id": 1, "category_id": 5, "bbox": [100, 100, 80, 20], "attributes": {"occluded": False, "rotation": 90.0}}
    sent.put("x.json", [0, 0, 1, 1], [10, 5, 20, 30], annotations=[drawn, {**drawn, "id": 2, "image_id": 2, "attributes": {"rotation": 0.0}}])

    collect(sent.shop)

    assert sent.boxes()[:2] == [[[130, 70, 20, 80]], [[100, 100, 80, 20]]]


def test_a_packed_result_is_named_while_nothing_else_is_there_and_what_systems_hide_in_a_folder_is_passed_over(sent: Sent) -> None:
    for name in ("._good.json", "annotations.zip", "notes.txt"):
        sent.put_text(name, "PK")

    assert [str(one).rpartition("/")[2] for one in collect(sent.shop).refused] == ["annotations.zip: packed: put what is in it here"]
    sent.put("good.json", BOX, BOX)
    assert collect(sent.shop).refused == ()
    assert sent.boxes()[:2] == [[BOX], [BOX]]


@pytest.mark.parametrize(
    ("state", "body", "answers", "refused"),
    [
        ("Completed", None, 0, ["the job is completed, and its manifest has 0 of 2 lines: what is missing is not taken for unanswered, nor bought again"]),
        ("Completed", [ASKED], 1, ["the job is completed, and its manifest has 1 of 2 lines: what is missing is not taken for unanswered, nor bought again"]),
        ("Completed", [ASKED, OTHER], 2, []),
        ("InProgress", None, 0, []),
        ("InProgress", [ASKED], 1, []),
    ],
)
def test_a_manifest_of_a_completed_job_that_is_gone_or_torn_buys_nothing_again(state: str, body: list[Asked] | None, answers: int, refused: list[str]) -> None:
    lines = [{"sha256": one.sha256, "boxes": {"image_size": [{"width": 200, "height": 100}], "annotations": []}, "boxes-metadata": {}} for one in body or ()]
    project = Project(name="tools", bucket="s3://b/x")
    params = Params(world="live", project=project, categories=CATEGORIES, sources={}, label=label(), labeler=Labeler())
    labeler = GroundTruth(params, Endpoints(aws="http://none"))
    output = {"OutputDatasetS3Uri": "s3://b/x/output.manifest"}

    class Bucket:
        def get_object(self, **_: str) -> dict[str, Any]:
            if body is None:
                raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
            return {"Body": BytesIO("\n".join(map(json.dumps, lines)).encode())}

    class Jobs:
        exceptions = type("Exceptions", (), {"ResourceNotFound": KeyError})

        def describe_labeling_job(self, **_: str) -> dict[str, Any]:
            return {"LabelingJobStatus": state, "LabelingJobOutput": output, "LabelCounters": {}}

    labeler._s3, labeler._jobs = Bucket(), Jobs()

    found, over = labeler.answers(LS_JOB), labeler.answers(replace(LS_JOB, closed=Closed(job="j", state="completed", cost_mills=2)))

    assert (len(found.answers), [one.what for one in found.refused]) == (answers, refused)
    assert (len(over.answers), over.refused) == (answers, ())  # looked at again long after, when the bucket was tidied up


def test_whoever_buys_by_files_is_told_where_the_tasks_lie_and_the_results_go() -> None:
    said = _handed_out(Labeler(backend="files", folder="tasks here"), "job-1")

    assert said == ": tasks in tasks here/job-1/tasks; put results into tasks here/job-1/results, then `boxset label collect`"
    assert _handed_out(Labeler(backend="label_studio"), "job-1") == ""
