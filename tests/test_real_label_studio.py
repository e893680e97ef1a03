"""A real Label Studio: jobs are bought, drawn in by three people over its API, taken in, given up and finished after a kill as they are with the stand-in."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from PIL import Image

from boxset.endpoints import Endpoints
from boxset.errors import ServiceError
from boxset.labeling import label_studio, studio_tasks
from boxset.labeling.label_studio import LabelStudio
from boxset.labeling.ledger import Answered, Job, Ledger, read_ledger
from boxset.labeling.purchase import Shop, cancel, collect, status, submit
from boxset.labeling.studio_tasks import Tasks
from boxset.params import Labeler, Params, Project
from tests.real_studio import MISSING, Box, Person, joined, running
from tests.studio import Studio
from tests.test_label_studio import EACH, FEE, PAY
from tests.test_labeling import CATEGORIES, label, plan_of

pytestmark = [pytest.mark.xdist_group("label_studio"), pytest.mark.skipif(bool(MISSING), reason=MISSING)]

NONE = 404  # how the server says that it hands out no task


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Person]]:
    """Four people of one server, which all tests of this module share. The first has started it."""
    with running(tmp_path_factory.mktemp("studio")) as ann:
        yield [ann, *(joined(ann.url, name) for name in ("ben", "carl", "dora"))]


class Buyer:
    """A project whose ledger is its own, and so are the names of its jobs; three people are paid to draw each picture."""

    def __init__(self, folder: Path, people: list[Person]) -> None:
        self.folder, self.people, self.ann = folder, people, people[0]
        self.picture, self.token, self.project = folder / "picture.jpg", self.ann.token, Project(name=f"tools-{uuid4().hex[:8]}")
        Image.new("RGB", (400, 300), "orange").save(self.picture)
        self.before: Callable[[str], None] = lambda _: None  # comes before each call, told its first word and path
        self.after: Callable[[str], None] = lambda _: None
        self.loaded = 0  # pictures that came with answers

    def shop(self, trial: int = 0) -> Shop:
        backend = Labeler(backend="label_studio", url=self.ann.url, trial=trial, title='Draw <each> tool & "saw"')
        guideline = self.folder / "hammer.md"
        guideline.write_text("Only <claw> hammers & such.\nNo gavels.")
        categories = {**CATEGORIES, "hammer": msgspec.structs.replace(CATEGORIES["hammer"], guideline=str(guideline))}
        params = Params(world="live", project=self.project, categories=categories, sources={}, label=label(workers=3), labeler=backend)
        service = LabelStudio(params, Endpoints(), self.folder / ".boxset")
        service._token, call = self.token, service._call

        def told(method: str, path: str, body: Any = None) -> Any:
            self.before(f"{method} {path.partition('?')[0]}")
            answer = call(method, path, body)
            self.loaded += json.dumps(answer).count("data:image")
            self.after(f"{method} {path.partition('?')[0]}")
            return answer

        service._call = told  # type: ignore[method-assign]
        return Shop(self.folder / "ledger", params, service, lambda _: self.picture)

    def buy(self, count: int, trial: int = 0) -> tuple[str, ...]:
        shop = self.shop(trial)
        return submit(shop, plan_of(self.folder, shop.params.label, count)).sent

    def is_killed_at(self, path: str, count: int) -> None:
        """Submit, and be killed right before a call."""

        def kill(asked: str) -> None:
            if asked.startswith("POST") and asked.endswith(path):
                raise KeyboardInterrupt

        self.before = kill
        with pytest.raises(KeyboardInterrupt):
            self.buy(count)
        self.before = lambda _: None

    @property
    def ledger(self) -> Ledger:
        return read_ledger(self.folder / "ledger")

    @property
    def job(self) -> Job:
        return list(self.ledger.jobs.values())[-1]

    @property
    def projects(self) -> list[dict[str, Any]]:
        """The server's projects of the latest job, the first made first."""
        found = self.ann.call("GET", "/api/projects?page_size=100")["results"]
        return sorted((one for one in found if one["description"] == self.job.name), key=lambda one: int(one["id"]))

    @property
    def tasks(self) -> list[int]:
        """The tasks of the latest job's project, in the order of the job's pictures."""
        found = self.ann.call("GET", f"/api/projects/{self.projects[0]['id']}/export?exportType=JSON&download_all_tasks=true")
        by_picture = {task["data"]["sha256"]: task["id"] for task in found}
        assert len(by_picture) == len(found)
        return [by_picture[one.sha256] for one in self.job.asked if one.sha256 in by_picture]

    @property
    def answers(self) -> list[Answered | None]:
        """What the ledger holds of the latest job's pictures."""
        return [self.job.answers.get(one.sha256) for one in self.job.asked]

    @property
    def end(self) -> tuple[str, int] | None:
        return self.job.closed and (self.job.closed.state, self.job.closed.cost_mills)

    def standing(self) -> tuple[str, int, str]:
        shop = self.shop()
        found = status(shop.labeler, read_ledger(shop.ledger))[self.job.name]
        return found.state, found.done, found.detail


@pytest.fixture
def buyer(tmp_path: Path, people: list[Person]) -> Buyer:
    return Buyer(tmp_path, people)


def hammer(x: float) -> Box:
    return (x, 10, 25, 20, 0, "hammer")


def drawn(answer: Answered | None) -> tuple[list[tuple[int, tuple[float, ...], int]], int, int] | None:
    """Return an answer's boxes with how many drew each, how many looked, and which revision it is."""
    if answer is None:
        return None
    return [(one.category_id, tuple(round(side, 6) for side in one.bbox), one.workers) for one in answer.boxes], answer.workers, answer.revision


def test_a_trial_and_the_rest_are_handed_to_three_people_each_and_fused(buyer: Buyer) -> None:
    ann, ben, carl, dora = buyer.people
    (trial,) = buyer.buy(4, trial=2)
    (project,), tasks = buyer.projects, buyer.tasks
    asked = project["maximum_annotations"], len(tasks), project["label_config"].count("<Label value=")
    told = project["show_instruction"], project["expert_instruction"].partition("<br><br>")[2]
    image = ann.call("GET", f"/api/tasks/{tasks[0]}/")["data"]["image"]
    waits = [buyer.standing()]

    turned: Box = (50, 20, 10, 20, 90, "saw")  # 40 by 60 pixels about their top left corner at (200, 60)
    for person, x in ((ann, 10.0), (ben, 11.0), (carl, 12.0)):
        while (task := person.handed(project["id"])) != NONE:
            person.draw(task, *((hammer(x), turned) if task == tasks[0] else ()))
        waits.append(buyer.standing())
    found = collect(buyer.shop())
    ((left, top, right, bottom),) = [(min(at[::2]), min(at[1::2]), max(at[::2]), max(at[1::2])) for at in ann.corners(project["id"], "saw")]
    first = [drawn(answer) for answer in buyer.answers], buyer.end, len(buyer.job.drawings), dora.handed(project["id"])
    (rest,) = buyer.buy(4, trial=2)

    assert asked == (3, 2, len(CATEGORIES))
    assert told == (True, "hammer:<br>Only &lt;claw&gt; hammers &amp; such.<br>No gavels.")
    assert base64.b64decode(image.partition(",")[2]) == buyer.picture.read_bytes()
    so_far = "fewer than 3 people have drawn in 2 pictures so far"
    assert waits == [("open", 0, ""), ("open", 0, so_far), ("open", 0, so_far), ("completed", 2, "")]
    assert (found.refused, found.unread) == ((), ())
    hammer_id, saw_id = (CATEGORIES[name].id for name in ("hammer", "saw"))
    both = [(hammer_id, (44.0, 30.0, 100.0, 60.0), 3), (saw_id, (140.0, 60.0, 60.0, 40.0), 3)]
    assert (left * 400, top * 300, (right - left) * 400, (bottom - top) * 300) == pytest.approx(both[1][1])
    assert first == ([(both, 3, 0), ([], 3, 0)], ("completed", 2 * EACH), 2, NONE)
    assert (rest != trial, len(buyer.job.asked), len(buyer.tasks)) == (True, 2, 2)
    assert buyer.buy(4, trial=2) == ()
    assert buyer.ledger.committed_mills == 4 * EACH


def test_a_job_that_is_given_up_half_drawn_pays_those_who_drew_and_takes_in_later_what_came_since(buyer: Buyer) -> None:
    ann, ben, carl, _ = buyer.people
    buyer.buy(4)
    whole, skipped, twice, _ = buyer.tasks
    for person in (ann, ben, carl):
        person.draw(whole, hammer(10))
    ann.draw(skipped, hammer(10))
    ben.draw(skipped, skips=True)
    for x in (10, 50):
        ann.draw(twice, hammer(x))
    ben.draw(twice, hammer(12))
    collect(buyer.shop())
    early = [drawn(answer) for answer in buyer.answers], buyer.end

    cancel(buyer.shop())
    given_up = [drawn(answer) for answer in buyer.answers], buyer.end
    carl.draw(skipped, hammer(14))
    collect(buyer.shop())
    unseen = buyer.end
    for _ in range(2):
        collect(buyer.shop(), again=True)

    one = ([(1, (40.0, 30.0, 100.0, 60.0), 3)], 3, 0)
    alone, two = ([(1, (40.0, 30.0, 100.0, 60.0), 1)], 1, 0), ([(1, (44.0, 30.0, 100.0, 60.0), 2)], 2, 0)
    assert early == ([one, None, None, None], None)
    assert given_up == ([one, alone, two, None], ("stopped", 3 * FEE + 6 * PAY))
    assert unseen == ("stopped", 3 * FEE + 6 * PAY)
    later = ([(1, (48.0, 30.0, 100.0, 60.0), 2)], 2, 1)
    assert [drawn(answer) for answer in buyer.answers] == [one, later, two, None]
    assert buyer.end == ("stopped", 3 * FEE + 7 * PAY)


def test_who_draws_twice_takes_the_place_of_another_and_status_says_so(buyer: Buyer) -> None:
    ann, ben, carl, _ = buyer.people
    buyer.buy(1)
    (task,), (project,) = buyer.tasks, buyer.projects
    for x in (10, 50):
        ann.draw(task, hammer(x))
    ben.draw(task, hammer(11))
    handed, waits = carl.handed(project["id"]), buyer.standing()

    carl.draw(task, hammer(12))  # opened by hand
    collect(buyer.shop())

    assert handed == NONE
    assert (waits[:2], "in 1 of them somebody drew more than once" in waits[2]) == (("open", 0), True)
    assert (drawn(buyer.answers[0]), buyer.end) == (([(1, (44.0, 30.0, 100.0, 60.0), 3)], 3, 0), ("completed", EACH))


def test_a_submit_that_is_killed_before_its_pictures_go_out_goes_on_in_the_project_that_it_had_made(buyer: Buyer) -> None:
    buyer.is_killed_at("/import", 2)
    before = len(buyer.projects), len(buyer.tasks), buyer.job.is_sent

    sent = buyer.buy(2)

    assert before == (1, 0, False)
    assert (sent, len(buyer.projects), len(buyer.tasks), buyer.buy(2)) == ((buyer.job.name,), 1, 2, ())
    assert buyer.ledger.committed_mills == 2 * EACH


def test_a_project_that_asks_another_number_of_people_is_sent_no_picture(buyer: Buyer) -> None:
    buyer.is_killed_at("/import", 2)
    (project,) = buyer.projects
    path = f"/api/projects/{project['id']}/"
    buyer.ann.call("PATCH", path, {"maximum_annotations": 1})

    with pytest.raises(ServiceError, match=rf"asks 1 person a picture, and label\.workers is 3.*PATCH {path}"):
        buyer.buy(2)

    assert buyer.tasks == []
    buyer.ann.call("PATCH", path, {"maximum_annotations": 3})
    assert (buyer.buy(2), len(buyer.tasks)) == ((buyer.job.name,), 2)


def test_of_two_clones_that_make_a_jobs_project_at_once_the_later_one_stops(buyer: Buyer) -> None:
    def colleague(asked: str) -> None:
        if asked == "POST /api/projects":
            made = {"title": "a colleague's", "description": buyer.job.name, "maximum_annotations": 3, "label_config": "<View></View>"}
            assert isinstance(buyer.ann.call("POST", "/api/projects", made), dict)

    buyer.before = colleague
    with pytest.raises(ServiceError, match="another clone has just made project"):
        buyer.buy(2)

    assert ([one["task_number"] for one in buyer.projects], buyer.job.is_sent) == ([0, 0], False)


def test_a_personal_access_token_does_and_a_legacy_one_only_where_the_organisation_allows_it(buyer: Buyer) -> None:
    legacy, kinds = buyer.token, "/api/jwt/settings"
    buyer.buy(1)
    buyer.ann.draw(buyer.tasks[0], hammer(10))
    buyer.token = buyer.people[-1].call("POST", "/api/token/")["token"]
    bearer = Person(buyer.ann.url, buyer.ann.call("POST", "/api/token/refresh/", {"refresh": buyer.token})["access"])

    buyer.ann.call("POST", kinds, {"api_tokens_enabled": True, "legacy_api_tokens_enabled": False})
    buyer.shop().labeler.check()
    by_bearer = buyer.standing()
    buyer.token = legacy
    with pytest.raises(ServiceError, match="of a kind that the server does not take"):
        buyer.shop().labeler.check()

    bearer.call("POST", kinds, {"api_tokens_enabled": True, "legacy_api_tokens_enabled": True}, kind="Bearer")
    buyer.shop().labeler.check()
    assert by_bearer == buyer.standing() == ("open", 0, "fewer than 3 people have drawn in 1 picture so far")


# how tasks are read


def fills_as_before(buyer: Buyer, count: int) -> None:
    """Buy a job whose tasks are as the version before made them: which picture one asks about stands beside the picture alone."""
    buyer.is_killed_at("/import", count)
    old = [{"data": {"sha256": one.sha256, "image": f"data:image/jpeg;base64,{base64.b64encode(buyer.picture.read_bytes()).decode()}"}} for one in buyer.job.asked]
    assert isinstance(buyer.ann.call("POST", f"/api/projects/{buyer.projects[0]['id']}/import", old), dict)
    assert buyer.buy(count) == (buyer.job.name,)


def test_a_look_loads_no_picture_and_of_a_job_that_the_version_before_filled_each_one_once(buyer: Buyer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio_tasks, "PAGE", 2)
    monkeypatch.setattr(studio_tasks, "WITH_PICTURES", 2)
    (tmp_path / "old").mkdir()
    old = Buyer(tmp_path / "old", buyer.people)
    buyer.buy(5)
    fills_as_before(old, 5)
    loaded = []

    for one in (buyer, old):
        loaded.append(one.loaded)
        for person in buyer.people[:3]:
            for task in one.tasks:
                person.draw(task, hammer(10))
        collect(one.shop())
        loaded.append(one.loaded)

    assert loaded == [0, 0, 5, 5]
    for one in (buyer, old):
        assert ([drawn(answer) for answer in one.answers], one.end) == ([([(1, (40.0, 30.0, 100.0, 60.0), 3)], 3, 0)] * 5, ("completed", 5 * EACH))


def test_what_is_drawn_deleted_and_imported_between_two_pages_hides_no_task(buyer: Buyer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio_tasks, "PAGE", 2)
    buyer.buy(5)
    ann, ben, carl, _ = buyer.people
    tasks, project = buyer.tasks, buyer.projects[0]["id"]
    for person in (ann, ben, carl):
        for task in tasks[1:4]:
            person.draw(task, hammer(10))
    ann.draw(tasks[4], hammer(10))
    rest: list[Callable[[], Any]] = [
        lambda: [person.draw(tasks[4], hammer(10)) for person in (ben, carl)],
        lambda: ann.call("DELETE", f"/api/tasks/{tasks[0]}/"),
        lambda: ann.call("POST", f"/api/projects/{project}/import", [{"data": {"sha256": "f" * 64, "image": "x"}}]),
    ]

    def meanwhile(asked: str) -> None:
        if asked == "GET /api/tasks":
            while rest:
                rest.pop(0)()

    buyer.after = meanwhile
    waits = buyer.standing()

    assert waits == ("open", 4, "")
    assert sorted(buyer.tasks) == sorted(tasks[1:])


def test_of_two_clones_that_import_the_same_pictures_at_once_the_later_one_stops(buyer: Buyer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_studio, "BATCH", 2)
    buyer.is_killed_at("/import", 5)
    project = buyer.projects[0]["id"]
    rest = [[{"data": {"sha256": one.sha256, "image": "data:image/jpeg;base64,"}} for one in buyer.job.asked[:2]]]

    def colleague(asked: str) -> None:
        if asked.endswith("/import") and rest:
            buyer.ann.call("POST", f"/api/projects/{project}/import", rest.pop())

    buyer.before = colleague
    with pytest.raises(ServiceError, match="2 pictures went out twice, and no more goes out from here"):
        buyer.buy(5)
    stopped = buyer.projects[0]["task_number"], buyer.job.is_sent

    assert stopped == (4, False)
    assert (buyer.buy(5), buyer.projects[0]["task_number"]) == ((buyer.job.name,), 7)
    assert buyer.standing()[2].startswith("2 pictures there twice")


def _said(call: Callable[..., Any], draw: Callable[[int, int, bool], Any], people: list[int], folder: Path) -> list[Any]:
    """Return what a server says to all that Boxset asks of a project's tasks. What each server counts and dates itself is told by its place."""
    config = '<View><Image name="image" value="$image"/><RectangleLabels name="boxes" toName="image"><Label value="hammer"/></RectangleLabels></View>'
    project = call("POST", "/api/projects", {"title": folder.name, "description": folder.name, "label_config": config, "maximum_annotations": 3})
    new, old = ({"data": {"sha256": sha, "image": "data:image/jpeg;base64,eHh4"}} for sha in "ab")
    made = call("POST", f"/api/projects/{project['id']}/import?return_task_ids=true", [{**new, "meta": {"sha256": "a"}}, old, old])
    for person, task, skips in ((0, 0, False), (1, 0, True), (2, 0, False), (0, 2, False), (0, 2, False)):
        draw(person, made["task_ids"][task], skips)
    heard = list[Any]()

    def told(method: str, path: str) -> Any:
        heard.append(call(method, path))
        return heard[-1]

    tasks = Tasks(told, "x", folder / ".boxset")
    for fields in (studio_tasks.DRAWN, studio_tasks.NAMES, studio_tasks.DATA):
        list(tasks.of(project["id"], "x", fields))
    tasks.since(project["id"], "x", made["task_ids"][1])
    told("GET", f"/api/projects/{project['id']}/export?exportType=JSON&download_all_tasks=true")
    pages = [{**page, "tasks": [_plain(task, project["id"], made["task_ids"], people) for task in page["tasks"]]} for page in heard[:-1]]
    fields = {"id", "data", "meta", "created_at", "project", "annotations"}
    export = [_plain({name: task[name] for name in fields}, project["id"], made["task_ids"], people) for task in heard[-1]]
    return [*pages, sorted(export, key=lambda task: int(task["id"])), {**made, "task_ids": len(made["task_ids"]), "duration": 0}]


def _plain(task: dict[str, Any], project: int, tasks: list[int], people: list[int]) -> dict[str, Any]:
    """Return a task, and its annotations in the order in which they were made, without what a server counts and dates itself."""
    said = {"id", "project", "result", "completed_by", "was_cancelled", "created_at"}  # of an annotation; an export says more
    own = {"id": tasks.index(task["id"]), **_masked(task, project)}
    if "annotations" in task:
        made = sorted(task["annotations"], key=lambda one: int(one["id"]))
        shown = [{**{name: one[name] for name in said & one.keys()}, **_masked(one, project)} for one in made]
        own["annotations"] = [{**one, "id": n, "completed_by": people.index(one["completed_by"])} for n, one in enumerate(shown)]
    return {**task, **own}


def _masked(one: dict[str, Any], project: int) -> dict[str, Any]:
    dates = {"created_at": re.sub(r"\d", "0", one["created_at"])} if "created_at" in one else {}
    return {"project": one["project"] == project, **dates}


def test_the_stand_in_answers_as_this_server_does(buyer: Buyer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests elsewhere rely on: both are asked the same, and what they say is compared field by field."""
    monkeypatch.setattr(studio_tasks, "PAGE", 2)
    monkeypatch.setattr(studio_tasks, "WITH_PICTURES", 1)
    crew, studio = buyer.people[:3], Studio()
    numbers = [person.call("GET", "/api/current-user/whoami")["id"] for person in crew]

    def draws(person: int, task: int, skips: bool) -> None:
        studio.draw(studio.tasks[1][task - 1], numbers[person], *([] if skips else [10]), skips=skips)

    real = _said(buyer.ann.call, lambda person, task, skips: crew[person].draw(task, *([] if skips else [hammer(10)]), skips=skips), numbers, tmp_path / buyer.project.name)
    stand_in = _said(studio.call, draws, numbers, tmp_path / "stand-in")

    assert len(real) == 16
    assert stand_in == real
