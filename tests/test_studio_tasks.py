"""The tasks of Label Studio's projects: each is seen once, whatever happens meanwhile, and no picture is loaded that need not be."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxset.errors import ServiceError
from boxset.labeling import label_studio, studio_tasks
from boxset.labeling.ledger import read_ledger, reservation_lines
from boxset.labeling.purchase import collect, status
from boxset.labeling.studio_tasks import NotOfferedError, Tasks
from tests.outside import Asked as OutsideAsked
from tests.outside import Reply, outside
from tests.studio import Studio
from tests.test_label_studio import ANNA, BEN, CARL, Team
from tests.test_results import LS_JOB, in_json
from tests.test_results import label_studio as service_of

IMAGE = "data:image/jpeg;base64,eHh4"


class Reader:
    """A server with a project of one job, who reads its tasks there, and what was asked of it."""

    def __init__(self, folder: Path) -> None:
        self.studio, self.folder, self.asked = Studio(), folder, list[str]()
        self.answer: Callable[[str, str], Any] = self.studio.call
        self.studio.call("POST", "/api/projects", {"description": "j", "maximum_annotations": 2})

    def call(self, method: str, path: str) -> Any:
        self.asked.append(path)
        return json.loads(json.dumps(self.answer(method, path)))

    def puts(self, *shas: str, as_before: bool = False) -> None:
        """Import tasks, as this version does or the one before."""
        tasks = [{"data": {"sha256": sha, "image": IMAGE}, **({} if as_before else {"meta": {"sha256": sha}})} for sha in shas]
        self.studio.call("POST", "/api/projects/1/import", tasks)

    @property
    def tasks(self) -> Tasks:
        return Tasks(self.call, "http://studio.test", self.folder / ".boxset")

    def read(self) -> list[tuple[int, str, int]]:
        """Return of each task that is given its number, its picture, and how many annotations it has."""
        return [(task["id"], task["data"]["sha256"], len(task["annotations"])) for task in self.tasks.of(1, "j")]

    @property
    def pages(self) -> int:
        return sum(path.startswith("/api/tasks") for path in self.asked)

    @property
    def exports(self) -> int:
        return sum("/export" in path for path in self.asked)

    @property
    def with_pictures(self) -> int:
        return sum(",data&" in path for path in self.asked)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Pages of three tasks, and of two where pictures come along."""
    monkeypatch.setattr(studio_tasks, "PAGE", 3)
    monkeypatch.setattr(studio_tasks, "WITH_PICTURES", 2)
    return Reader(tmp_path)


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    return Team(tmp_path, monkeypatch)


def after(reader: Reader, page: int, then: Callable[[], object]) -> None:
    """Let something happen right after the server has given a page."""

    def call(method: str, path: str) -> Any:
        found = json.loads(json.dumps(reader.studio.call(method, path)))
        if reader.pages == page:
            then()
        return found

    reader.answer = call


# what is loaded


def test_no_look_at_a_job_loads_its_pictures_nor_does_sending_it(team: Team) -> None:
    answers, call = list[Any](), team.studio.call
    team.call = lambda *asked: answers.append(json.dumps(found := call(*asked))) or found
    team.buy(3)
    for task in team.tasks:
        for person in (ANNA, BEN, CARL):
            team.studio.draw(task, person, 10)

    assert status(team.shop().labeler, read_ledger(team.shop().ledger))[team.job.name].done == 3
    collect(team.shop())

    assert "data:image" in json.dumps(team.tasks)
    assert [answer for answer in answers if "data:image" in answer] == []
    assert team.answers() == [([40.0], 3, 0)] * 3


def test_every_task_comes_once_over_all_pages_with_what_was_drawn_in_it(reader: Reader) -> None:
    reader.puts(*"abcdefgh")
    reader.studio.draw(reader.studio.tasks[1][4], ANNA, 10)
    reader.studio.draw(reader.studio.tasks[1][4], BEN, 10)

    assert reader.read() == [(n, sha, 2 if sha == "e" else 0) for n, sha in enumerate("abcdefgh", 1)]
    assert (reader.pages, reader.exports, reader.with_pictures) == (4, 0, 0)


def test_a_project_without_tasks_has_none(reader: Reader) -> None:
    assert reader.read() == []
    assert reader.exports == 0


def test_pictures_of_a_project_that_the_version_before_filled_are_loaded_once(reader: Reader) -> None:
    reader.puts(*"abcde", as_before=True)
    reader.puts("f")
    reader.studio.draw(reader.studio.tasks[1][1], ANNA, 10)

    first, loaded = reader.read(), reader.with_pictures
    again = reader.read()

    assert first == again == [(n, sha, int(sha == "b")) for n, sha in enumerate("abcdef", 1)]
    assert (loaded, reader.with_pictures, reader.exports) == (3, 3, 0)


def test_what_is_remembered_of_a_task_is_not_taken_for_another_of_its_number(reader: Reader) -> None:
    reader.puts("a", as_before=True)
    reader.read()
    reader.studio.tasks[1][0] |= {"created_at": "2027-01-01T00:00:00.000001Z", "data": {"sha256": "z"}}

    assert reader.read() == [(1, "z", 0)]


@pytest.mark.parametrize("content", ["", "[]", '{"1": 2}', "<<<<<<< HEAD"])
def test_a_damaged_memory_is_made_again(content: str, reader: Reader) -> None:
    reader.puts("a", as_before=True)
    reader.read()
    (memory,) = (reader.folder / ".boxset").iterdir()
    memory.write_text(content)

    assert [reader.read() for _ in range(2)] == [[(1, "a", 0)]] * 2
    assert reader.with_pictures == 2


@pytest.mark.parametrize("data", [{}, {"sha256": 3}, {"image": IMAGE}])
def test_a_task_that_somebody_made_by_hand_is_nobodys_and_looked_at_once(data: dict[str, Any], reader: Reader) -> None:
    reader.puts("a")
    reader.studio.call("POST", "/api/projects/1/import", [{"data": data}])

    assert [reader.read() for _ in range(2)] == [[(1, "a", 0), (2, "", 0)]] * 2
    assert reader.with_pictures == 1


def test_a_job_of_the_version_before_that_was_half_sent_is_finished_and_collected(team: Team) -> None:
    team.buy(3)
    for task in team.tasks[:2]:
        task["meta"] = {}
    del team.tasks[2]
    path = team.folder / "ledger" / "purchases.jsonl"
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if '"sent"' not in line))
    assert not team.job.is_sent

    assert team.buy(3) == (team.job.name,)
    for task in team.tasks:
        for person in (ANNA, BEN, CARL):
            team.studio.draw(task, person, 10)
    collect(team.shop())

    assert [task["data"]["sha256"] for task in team.tasks] == [one.sha256 for one in team.job.asked]
    assert (team.answers(), team.end and team.end[0]) == ([([40.0], 3, 0)] * 3, "completed")


def test_the_lines_that_a_job_went_out_with_are_read_a_few_pictures_at_a_time(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio_tasks, "WITH_PICTURES", 2)
    team.buy(5)
    most, call = list[int](), team.studio.call

    def told(*asked: Any) -> Any:
        found = call(*asked)
        most.append(json.dumps(found).count("data:image"))
        return found

    team.call = told

    lines = team.shop().labeler.lines(team.job.name)

    assert lines == "".join(reservation_lines(team.job.reserved, [one]) for one in team.job.asked)
    assert max(most) == 2


# while others are at it


def test_a_task_that_is_deleted_between_two_pages_hides_none_behind_it(reader: Reader) -> None:
    reader.puts(*"abcdefgh")
    after(reader, 1, lambda: reader.studio.tasks[1].pop(0))

    assert [sha for _, sha, _ in reader.read()] == list("abcdefgh")


def test_a_task_that_is_deleted_before_its_page_comes_is_gone_and_the_others_come_once(reader: Reader) -> None:
    reader.puts(*"abcdefgh")
    after(reader, 1, lambda: reader.studio.tasks[1].pop(6))

    assert [sha for _, sha, _ in reader.read()] == list("abcdefh")
    assert reader.exports == 0


def test_tasks_that_come_between_two_pages_are_seen_and_so_is_what_is_drawn_meanwhile(reader: Reader) -> None:
    reader.puts(*"abcd")
    after(reader, 1, lambda: (reader.puts("e"), reader.studio.draw(reader.studio.tasks[1][3], ANNA, 10), reader.studio.draw(reader.studio.tasks[1][0], ANNA, 10)))

    assert reader.read() == [(1, "a", 0), (2, "b", 0), (3, "c", 0), (4, "d", 1), (5, "e", 0)]


def test_a_task_that_is_gone_before_its_picture_was_known_is_left_out(reader: Reader) -> None:
    reader.puts(*"abc", as_before=True)
    after(reader, 1, lambda: reader.studio.tasks[1].pop(0))

    assert reader.read() == [(2, "b", 0), (3, "c", 0)]


@pytest.mark.parametrize(("times", "given"), [(1, ["a", "c", "d", "b"]), (9, None)])
def test_tasks_that_are_fewer_than_counted_are_looked_for_again_and_never_passed_over_silently(times: int, given: list[str] | None, reader: Reader) -> None:
    reader.puts(*"abcd")
    left = [times]

    def call(method: str, path: str) -> Any:
        found = reader.studio.call(method, path)
        hidden = [task for task in found["tasks"] if left[0] and task["id"] == 2]
        left[0] -= len(hidden)
        return {**found, "tasks": [task for task in found["tasks"] if task not in hidden]}

    reader.answer = call

    if given is None:
        with pytest.raises(ServiceError, match=r"Label Studio at http://studio\.test: j: it counts 4 tasks and gives 3\. Nothing was bought or taken in: run it again"):
            reader.read()
    else:
        assert [sha for _, sha, _ in reader.read()] == given


# servers that answer otherwise


def refuse(_: str, __: str) -> Any:
    raise NotOfferedError("HTTP 404")


Page = Callable[[Any], Any]
OTHERWISE: dict[str, Page] = {
    "a list": lambda page: page["tasks"],
    "no tasks": lambda page: {"results": page["tasks"]},
    "a number": lambda _: 7,
    "no total": lambda page: {"tasks": page["tasks"]},
    "a total that is none": lambda page: {**page, "total": -1},
    "tasks that are none": lambda page: {**page, "tasks": [7]},
    "no number": lambda page: each(page, id=None),
    "a number in words": lambda page: each(page, id="1"),
    "a number beyond all": lambda page: each(page, id=1e400),
    "no project": lambda page: each(page, project=None),
    "no annotations": lambda page: each(page, annotations=None),
    "annotations without boxes": lambda page: annotated(page, "result"),
    "annotations that do not say who skipped": lambda page: annotated(page, "was_cancelled"),
    "annotations that do not say who drew": lambda page: annotated(page, "completed_by"),
    "another order": lambda page: {**page, "tasks": page["tasks"][::-1]},
    "one twice": lambda page: {**page, "tasks": page["tasks"][:1] * 2},
}


def each(page: Any, **changed: Any) -> Any:
    return {**page, "tasks": [{**task, **changed} for task in page["tasks"]]}


def annotated(page: Any, without: str) -> Any:
    return {**page, "tasks": [{**task, "annotations": [{name: one[name] for name in one if name != without} for one in task["annotations"]]} for task in page["tasks"]]}


@pytest.mark.parametrize("how", OTHERWISE)
def test_a_server_that_gives_its_tasks_otherwise_is_asked_for_the_export(how: str, reader: Reader) -> None:
    reader.puts(*"abcd")
    reader.studio.draw(reader.studio.tasks[1][0], ANNA, 10)
    reader.answer = lambda method, path: OTHERWISE[how](reader.studio.call(method, path)) if "/api/tasks" in path else reader.studio.call(method, path)
    tasks = reader.tasks

    first, again = (sorted(task["data"]["sha256"] for task in tasks.of(1, "j")) for _ in range(2))

    assert first == again == list("abcd")
    assert (reader.pages, reader.exports) == (1, 2)
    assert tasks.since(1, "j", 0) == []


def test_a_server_without_such_an_address_is_asked_for_the_export(reader: Reader) -> None:
    reader.puts(*"ab")
    reader.answer = lambda method, path: refuse(method, path) if "/api/tasks" in path else reader.studio.call(method, path)

    assert reader.read() == [(1, "a", 0), (2, "b", 0)]


def test_a_server_that_gives_the_first_page_always_is_asked_for_the_export_of_the_others(reader: Reader) -> None:
    reader.puts(*"abcde")
    first = reader.studio.call("GET", f"/api/tasks?project=1&page_size=3&fields=all&include={studio_tasks.DRAWN.include}")
    reader.answer = lambda method, path: first if "/api/tasks" in path else reader.studio.call(method, path)

    assert [sha for _, sha, _ in reader.read()] == list("abcde")
    assert (reader.pages, reader.exports) == (2, 1)


def test_a_server_that_knows_of_no_fields_gives_the_pictures_too_and_they_are_not_asked_for_again(reader: Reader) -> None:
    reader.puts(*"abcd", as_before=True)
    reader.answer = lambda method, path: reader.studio.call(method, path.replace("include=id,", "include=id,data,"))

    assert [sha for _, sha, _ in reader.read()] == list("abcd")
    assert (reader.with_pictures, reader.exports) == (0, 0)


def test_a_server_that_gives_other_tasks_than_those_whose_pictures_are_asked_for_is_asked_for_the_export(reader: Reader) -> None:
    reader.puts(*"abcd", as_before=True)
    reader.answer = lambda method, path: reader.studio.call(method, path.replace("selectedItems", "picked"))

    assert [sha for _, sha, _ in reader.read()] == list("abcd")
    assert reader.exports == 1


@pytest.mark.parametrize("task", [7, None, {}, {"id": [], "project": 1}, {"id": "1", "project": {}}])
def test_an_export_may_hold_what_is_no_task(task: Any, reader: Reader) -> None:
    reader.puts("a")
    reader.answer = lambda method, path: refuse(method, path) if "/api/tasks" in path else [task, *reader.studio.call(method, path)]

    found = list(reader.tasks.of(1, "j"))

    assert (found[0], [one["data"]["sha256"] for one in found[1:]]) == (task, ["a"])


@pytest.mark.parametrize(("code", "is_read"), [(400, True), (403, True), (404, True), (405, True), (500, True), (429, False), (502, False), (503, False)])
def test_what_a_server_cannot_do_is_had_from_the_export_and_what_passes_by_is_waited_for(code: int, is_read: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(asked: OutsideAsked) -> Reply:
        if asked.path == "/api/projects":
            return in_json([{"id": 1, "description": "tools-1"}])
        return (code, {}, b"") if asked.path == "/api/tasks" else in_json([])

    with outside(answer) as world:
        service = service_of(world, monkeypatch)
        if is_read:
            assert service.progress(LS_JOB).state == "open"
        else:
            with pytest.raises(ServiceError, match=f"HTTP {code}"):
                service.progress(LS_JOB)

    assert [asked.path for asked in world.asked].count("/api/projects/1/export") == is_read


# servers that answer what cannot be


def endless(reader: Reader) -> Callable[[str, str], Any]:
    def call(_: str, path: str) -> Any:
        behind = int(path.split("value%22%3A%20")[1].split("%")[0])
        return {"total": 3, "tasks": [{"id": behind + n, "project": 1, "meta": {"sha256": "a"}, "annotations": []} for n in (1, 2, 3)]}

    return call


def another(reader: Reader) -> Callable[[str, str], Any]:
    return lambda method, path: each(reader.studio.call(method, path), project=9)


def counting(total: int) -> Callable[[Reader], Callable[[str, str], Any]]:
    return lambda reader: lambda method, path: {**reader.studio.call(method, path), "total": total}


def exporting(*tasks: Any) -> Callable[[Reader], Callable[[str, str], Any]]:
    return lambda reader: lambda method, path: refuse(method, path) if "/api/tasks" in path else list(tasks)


@pytest.mark.parametrize(
    ("server", "says"),
    [
        (endless, r"its tasks do not end: 1,\d\d\d so far"),
        (another, "task 1 that it gives is one of project 9, not of 1"),
        (counting(10**30), r"it counts 1(,000){10} tasks"),
        (counting(1_000_000), "it counts 1,000,000 tasks and gives 2"),
        (exporting({"id": 1, "project": 1}, {"id": 5, "project": 9}), "task 5 that it gives is one of project 9, not of 1"),
        (lambda _: lambda _, __: {"detail": "no"}, r"the export is not what it should be: Expected `array`, got `object`"),
    ],
)
def test_what_cannot_be_is_said_and_not_taken_in(server: Callable[[Reader], Callable[[str, str], Any]], says: str, reader: Reader) -> None:
    reader.puts(*"ab")
    reader.answer = server(reader)

    with pytest.raises(ServiceError, match=rf"^Label Studio at http://studio\.test: j: {says}\. Nothing was bought or taken in"):
        reader.read()


@pytest.mark.parametrize(
    "reply",
    [
        (200, {"Content-Type": "text/html"}, b"\n<!DOCTYPE html><html><title>Log in</title>"),
        (302, {"Location": "/user/login/?next=/api/projects"}, b""),
    ],
)
@pytest.mark.parametrize("place", ["/api/projects", "/api/tasks"])
def test_a_page_to_log_in_is_called_that(place: str, reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(asked: OutsideAsked) -> Reply:
        return reply if asked.path.startswith(place) else in_json([{"id": 1, "description": "tools-1"}])

    says = rf"Label Studio at http://studio\.test: HTTP {reply[0]}: a page for people, as of a login, or the way to one, and no data\. Correct labeler\.url"
    with outside(answer) as world, pytest.raises(ServiceError, match=says):
        service_of(world, monkeypatch).answers(LS_JOB)


# two clones that finish one submit at once


def meanwhile(team: Team, which: int, then: Callable[[], object]) -> None:
    """Let something happen right before one of this clone's imports, counted from 1."""
    call, imports = team.studio.call, [0]

    def told(method: str, path: str, body: Any = None) -> Any:
        imports[0] += "/import" in path
        if "/import" in path and imports == [which]:
            then()
        return call(method, path, body)

    team.call = told


def of_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Team, Team]:
    """Two clones, without a bucket, of a submit of six pictures that was killed before any went out; two go out at once."""
    monkeypatch.setattr(label_studio, "BATCH", 2)
    ann, bob = Team(tmp_path / "ann", monkeypatch), Team(tmp_path / "bob")
    ann.studio.fails = "POST /api/projects/1/import"
    with pytest.raises(ConnectionError):
        ann.buy(6)
    (bob.folder / "ledger").mkdir()
    for path in (ann.folder / "ledger").iterdir():
        (bob.folder / "ledger" / path.name).write_bytes(path.read_bytes())
    bob.studio = ann.studio
    return ann, bob


def test_pictures_that_another_clone_has_sent_meanwhile_do_not_go_out_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = of_two(tmp_path, monkeypatch)
    looks, call = [0], ann.studio.call

    def told(method: str, path: str, body: Any = None) -> Any:
        found = call(method, path, body)
        looks[0] += path.startswith("/api/tasks")
        if looks == [1] and path.startswith("/api/tasks"):  # right after the first look at what is there
            bob.buy(6)
        return found

    ann.call = told

    assert ann.buy(6) == (ann.job.name,)
    assert [len(tasks) for tasks in ann.studio.tasks.values()] == [6]
    assert (ann.job.is_sent, bob.job.is_sent) == (True, True)


@pytest.mark.parametrize(("which", "there"), [(1, 4), (3, 8)])
def test_of_two_clones_that_send_the_same_pictures_at_once_the_later_one_stops_and_nothing_is_deleted(
    which: int, there: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = of_two(tmp_path, monkeypatch)

    same = [{"data": {"sha256": one.sha256, "image": IMAGE}} for one in ann.job.asked[2 * which - 2 : 2 * which]]
    meanwhile(ann, which, lambda: bob.studio.call("POST", "/api/projects/1/import", same))

    says = rf"another clone sends job {ann.job.name} at this moment: 2 pictures went out twice, and no more goes out from here\. Let it finish, and submit again"
    with pytest.raises(ServiceError, match=says):
        ann.buy(6)
    stopped = len(ann.tasks), ann.job.is_sent
    ann.call = ann.studio.call

    assert bob.buy(6) == (bob.job.name,)
    assert ann.buy(6) == (ann.job.name,)
    assert (stopped, len(ann.tasks)) == ((there, False), 8)
    detail = status(ann.shop().labeler, read_ledger(ann.shop().ledger))[ann.job.name].detail
    assert detail == "2 pictures there twice, so that people may be asked twice: delete the task in which nobody drew, in the project's list"


def test_a_clone_whose_lower_numbers_are_there_later_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, _ = of_two(tmp_path, monkeypatch)
    ann.studio.tasks[2] = [{"id": n} for n in range(10)]  # another project's, so that there are numbers below ann's
    late = [ann.studio._task(9, 1, {"data": {"sha256": ann.job.asked[0].sha256, "image": IMAGE}})]
    looks, call = [0], ann.studio.call

    def told(method: str, path: str, body: Any = None) -> Any:
        found = call(method, path, body)
        if path.startswith("/api/tasks") and ann.tasks:
            looks[0] += 1
            ann.tasks.extend(late if looks == [2] else [])  # once ann has looked behind her first import
        return found

    ann.call = told

    with pytest.raises(ServiceError, match="1 picture went out twice"):
        ann.buy(6)
    assert len(ann.tasks) == 5


def test_the_earlier_of_two_clones_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = of_two(tmp_path, monkeypatch)
    call = ann.studio.call

    def told(method: str, path: str, body: Any = None) -> Any:
        found = call(method, path, body)
        if "/import" in path and len(ann.tasks) == 2:  # a moment later
            bob.studio.call("POST", path, body)
        return found

    ann.call = told

    assert ann.buy(6) == (ann.job.name,)
    assert len(ann.tasks) == 8


def test_what_a_server_does_not_say_of_an_import_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, _ = of_two(tmp_path, monkeypatch)
    call = ann.studio.call
    ann.call = lambda method, path, body=None: {"task_ids": 7} if (found := call(method, path, body)) and "/import" in path else found

    assert ann.buy(6) == (ann.job.name,)
    assert len(ann.tasks) == 6


