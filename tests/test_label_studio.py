"""Label Studio asks as many people as are paid, and what they drew is one answer; the money is that of what was drawn."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import msgspec
import pytest
import urllib3
from hypothesis import given, settings
from hypothesis import strategies as st

from boxset.endpoints import Endpoints
from boxset.errors import BudgetError, ProjectError, ServiceError
from boxset.labeling import label_studio
from boxset.labeling.answers import answered_pool
from boxset.labeling.claims import Claims
from boxset.labeling.label_studio import LabelStudio
from boxset.labeling.ledger import ANSWERS, PURCHASES, Answered, Asked, Drawn, Job, Reserved, append, read_ledger
from boxset.labeling.purchase import Shop, cancel, collect, status, submit
from boxset.params import Label, Labeler, Params, Project
from tests.build import IDS
from tests.studio import Studio
from tests.test_labeling import CATEGORIES, crawled, label, plan_of

FEE, PAY = 80, 36  # mills
EACH = FEE + 3 * PAY
ANNA, BEN, CARL, DORA = 7, 8, 9, 10


class Team:
    """A project with a ledger and a server; three people are paid to draw each picture."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch | None = None) -> None:
        self.folder, self.studio, self.s3, self.bucket = folder, Studio(), "", ""
        self.call: Callable[..., Any] = lambda *asked: self.studio.call(*asked)
        folder.mkdir(exist_ok=True)
        self.there = folder / "picture.jpg"
        self.there.write_bytes(b"x")
        if monkeypatch is not None:
            monkeypatch.setenv("LABEL_STUDIO_TOKEN", "t")

    def shop(self, **more: Any) -> Shop:
        asks = label(**{"workers": 3, **more})
        backend = Labeler(backend="label_studio", url="http://studio.test", trial=0)
        params = Params(world="live", project=Project(name="tools", bucket=self.bucket), categories=CATEGORIES, sources={}, label=asks, labeler=backend)
        service = LabelStudio(params, Endpoints(), self.folder / ".boxset")
        service._token, service._call = "t", self.call
        claims = Claims(params, Endpoints(aws=self.s3), self.folder / "claims.json", who=self.folder.name) if self.bucket else None
        return Shop(self.folder / "ledger", params, service, lambda _: self.there, claims)

    def buy(self, count: int, **more: Any) -> tuple[str, ...]:
        shop = self.shop(**more)
        return submit(shop, plan_of(self.folder, shop.params.label, count)).sent

    def reserve_as_before(self) -> str:
        """Leave a reservation of two pictures as the version before wrote it: it does not say how many are to draw."""
        self.studio.fails = "POST /api/projects"
        with pytest.raises(ConnectionError):
            self.buy(2)
        path = self.folder / "ledger" / PURCHASES
        path.write_text(path.read_text().replace(',"workers":3,"worker_mills":36', ""))
        assert self.job.reserved.workers == 0
        return self.job.name

    def make_as_before(self, job: str, pictures: int) -> None:
        """Make a job's project as the version before did, which asked one person, and import so many pictures."""
        self.studio.call("POST", "/api/projects", {"title": job, "description": job, "label_config": ""})
        self.studio.call("POST", "/api/projects/1/import", [{"data": {"sha256": one.sha256, "image": ""}} for one in self.job.asked[:pictures]])

    @property
    def job(self) -> Job:
        return next(iter(read_ledger(self.folder / "ledger").jobs.values()))

    @property
    def tasks(self) -> list[dict[str, Any]]:
        return self.studio.tasks[1]

    @property
    def end(self) -> tuple[str, int] | None:
        return self.job.closed and (self.job.closed.state, self.job.closed.cost_mills)

    def answers(self) -> list[tuple[list[float], int, int]]:
        """What the ledger holds of each picture that is answered: the left sides of its boxes, how many looked, and which revision it is."""
        every = [self.job.answers.get(task["data"]["sha256"]) for task in self.tasks]
        return [([box.bbox[0] for box in one.boxes], one.workers, one.revision) for one in every if one is not None]


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    return Team(tmp_path, monkeypatch)


# what is asked


def test_as_many_people_are_handed_a_picture_as_are_paid(team: Team) -> None:
    team.buy(2)

    drew = {person: [team.studio.draw(task, person) for task in team.studio.handed_to(person)] for person in (ANNA, BEN, CARL, DORA)}

    assert {person: len(made) for person, made in drew.items()} == {ANNA: 2, BEN: 2, CARL: 2, DORA: 0}
    assert team.job.reserved.worst_mills == 2 * EACH
    assert (team.job.reserved.workers, team.job.reserved.worker_mills) == (3, PAY)
    assert status(team.shop().labeler, read_ledger(team.shop().ledger))[team.job.name].state == "completed"


@pytest.mark.parametrize("people", [1, 5])
def test_a_server_that_asks_another_number_of_people_is_sent_no_picture_until_it_is_set_right(people: int, team: Team) -> None:
    team.studio.people = people
    says = rf"project 1 of job tools-\w+ asks {people} p\w+ a picture, and label\.workers is 3.*PATCH /api/projects/1/.*`boxset label cancel tools-"

    for _ in range(2):
        with pytest.raises(ServiceError, match=says):
            team.buy(2)

    assert (len(team.studio.projects), team.tasks, team.job.is_sent) == (1, [], False)
    team.studio.call("PATCH", "/api/projects/1/", {"maximum_annotations": 3})
    assert team.buy(2) == (team.job.name,)
    assert (len(team.studio.projects), len(team.tasks)) == (1, 2)


def test_a_job_that_the_server_would_ask_too_few_people_about_is_given_up_at_no_cost(team: Team) -> None:
    team.studio.people = 1
    with pytest.raises(ServiceError):
        team.buy(2)

    cancel(team.shop(), [team.job.name])
    team.studio.people = None
    again = team.buy(2)

    assert (team.end, len(again), [len(tasks) for tasks in team.studio.tasks.values()]) == (("stopped", 0), 1, [0, 2])
    assert read_ledger(team.folder / "ledger").committed_mills == 2 * EACH


@pytest.mark.parametrize("where", ["GET /api/tasks", "POST /api/projects/1/import"])
def test_a_submit_that_was_killed_once_the_project_was_made_goes_on_in_it(where: str, team: Team) -> None:
    team.studio.fails = where
    with pytest.raises(ConnectionError):
        team.buy(2)

    assert team.buy(2) == (team.job.name,)
    assert team.buy(2) == ()
    assert [(one["maximum_annotations"], len(team.studio.tasks[one["id"]])) for one in team.studio.projects] == [(3, 2)]
    assert team.job.committed_mills == 2 * EACH


@pytest.mark.parametrize("pictures", [0, 1])
def test_into_a_project_of_the_version_before_that_asks_one_person_no_picture_is_sent(pictures: int, team: Team) -> None:
    team.make_as_before(team.reserve_as_before(), pictures)

    with pytest.raises(ServiceError, match=r"project 1 of job .* asks 1 person a picture, and label\.workers is 3: no picture was sent"):
        team.buy(2)

    assert len(team.tasks) == pictures


def test_a_job_that_the_version_before_sent_ends_with_one_person_and_costs_what_it_did(team: Team) -> None:
    team.make_as_before(team.reserve_as_before(), 2)

    assert team.buy(2) == (team.job.name,)  # all of its pictures are there: it had been sent
    for task in team.tasks:
        team.studio.draw(task, ANNA, 10)
    collect(team.shop())

    assert (team.answers(), team.end) == ([([40.0], 0, 0)] * 2, ("completed", 2 * EACH))


def test_a_job_of_the_version_before_whose_project_was_set_by_hand_waits_for_all_and_its_answers_are_corrected(team: Team) -> None:
    team.make_as_before(team.reserve_as_before(), 2)
    team.studio.call("PATCH", "/api/projects/1", {"maximum_annotations": 3})
    team.buy(2)
    first = [Answered(job=team.job.name, sha256=one.sha256, state="labelled", boxes=(Drawn(category_id=1, bbox=(40.0, 30.0, 100.0, 60.0)),)) for one in team.job.asked]
    append(team.folder / "ledger", ANSWERS, first)
    for task in team.tasks:
        team.studio.draw(task, ANNA, 10)
    collect(team.shop())
    before = team.answers(), team.end

    for task in team.tasks:
        team.studio.draw(task, BEN, 11)
        team.studio.draw(task, CARL, 12)
    collect(team.shop())

    assert before == ([([40.0], 0, 0)] * 2, None)
    assert (team.answers(), team.end) == ([([44.0], 3, 1)] * 2, ("completed", 2 * EACH))


@pytest.mark.parametrize(("each", "sizes"), [(1, [3, 3, 1]), (4, [2, 2, 2, 1]), (11, [1] * 7)])
def test_no_import_has_more_pictures_or_more_bytes_than_a_server_takes(each: int, sizes: list[int], team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_studio, "BATCH", 3)
    monkeypatch.setattr(label_studio, "BATCH_BYTES", 10)
    team.there.write_bytes(b"x" * each)
    imports, call = list[int](), team.studio.call

    def counted(method: str, path: str, body: Any = None) -> Any:
        imports.extend([len(body)] if "/import" in path else [])
        return call(method, path, body)

    team.call = counted
    team.buy(7)

    assert (imports, [task["data"]["sha256"] for task in team.tasks]) == (sizes, [one.sha256 for one in team.job.asked])


# two clones of one reservation, and a bucket


@pytest.fixture
def clones(s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Team, Team]:
    """Two clones of one project that share the server and a bucket."""
    ann, bob = Team(tmp_path / "ann", monkeypatch), Team(tmp_path / "bob")
    bucket = f"ls-{abs(hash(str(tmp_path))) % 10**12}"
    s3 = boto3.client("s3", endpoint_url=s3_server, aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    s3.create_bucket(Bucket=bucket)
    s3.close()
    for one in (ann, bob):
        one.studio, one.s3, one.bucket = ann.studio, s3_server, f"s3://{bucket}/team"
    return ann, bob


def killed(team: Team, where: str, clone: Team) -> None:
    """Let a submit be killed at a call, its reservation pushed, and pulled by another clone."""
    team.studio.fails = where
    with pytest.raises(ConnectionError):
        team.buy(2)
    shutil.copytree(team.folder / "ledger", clone.folder / "ledger", dirs_exist_ok=True)


def raced(team: Team, path: str, then: Callable[[], object]) -> None:
    """Let something happen once, right after the server has answered this clone a call."""
    call = team.studio.call
    rest = [then]

    def late(method: str, address: str, body: Any = None) -> Any:
        found = list(answer) if isinstance(answer := call(method, address, body), list) else answer
        if path in f"{method} {address}" and rest:
            rest.pop()()
        return found

    team.call = late


@pytest.mark.parametrize("where", ["POST /api/projects", "GET /api/tasks", "POST /api/projects/1/import"])
def test_of_two_clones_that_go_on_with_a_killed_job_at_once_the_one_that_was_sending_it_does(where: str, clones: tuple[Team, Team]) -> None:
    ann, bob = clones
    killed(ann, where, bob)

    def bob_goes_on() -> None:
        with pytest.raises(ProjectError, match=r"another clone has sent job tools-\w+, or was about to.*`boxset label cancel tools-"):
            bob.buy(2)

    raced(ann, "GET /api/tasks", bob_goes_on)
    assert ann.buy(2) == (ann.job.name,)

    assert [len(tasks) for tasks in ann.studio.tasks.values()] == [2]
    with pytest.raises(ProjectError, match="another clone has sent this job"):
        bob.buy(2)
    assert (bob.job.is_sent, bob.buy(2), len(ann.tasks)) == (True, (), 2)


def test_a_job_that_a_colleague_gave_up_while_it_was_sent_gets_no_more_pictures(clones: tuple[Team, Team], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_studio, "BATCH", 1)
    ann, bob = clones
    killed(ann, "POST /api/projects/1/import", bob)
    raced(ann, "POST /api/projects/1/import", lambda: cancel(bob.shop(), [bob.job.name]))

    for _ in range(2):
        with pytest.raises(ProjectError, match=r"its claims were released by bob.*`boxset label cancel tools-"):
            ann.buy(2)

    assert (len(ann.tasks), bob.end) == (1, ("stopped", 0))
    cancel(ann.shop())
    assert ann.end == ("stopped", 0)


# what is answered


def test_a_picture_waits_until_all_have_drawn_and_then_most_of_them_decide(team: Team) -> None:
    team.buy(2)
    one, other = team.tasks
    team.studio.draw(one, ANNA, 10, 60)
    team.studio.draw(one, BEN, 11)
    team.studio.draw(other, ANNA, skips=True)
    shop = team.shop()
    collect(shop)
    waits = status(shop.labeler, read_ledger(shop.ledger))[team.job.name]
    early = team.answers()

    team.studio.draw(one, CARL, 12)
    for person in (ANNA, BEN, CARL):
        team.studio.draw(other, person)
    collect(shop)
    collect(shop, again=True)

    assert (early, waits.state, waits.done, waits.detail) == ([], "open", 0, "fewer than 3 people have drawn in 1 picture so far")
    assert team.answers() == [([44.0], 3, 0), ([], 3, 0)]
    assert team.end == ("completed", 2 * EACH)
    assert len(team.job.drawings) == 2
    assert len((team.folder / "ledger" / ANSWERS).read_text().splitlines()) == 2


def test_boxes_say_how_many_drew_them_and_a_category_of_which_one_was_left_out_is_left_open(team: Team) -> None:
    team.buy(2)
    one, other = team.tasks
    for person, xs in ((ANNA, (10, 60)), (BEN, (10,)), (CARL, ())):
        team.studio.draw(one, person, *xs)
        team.studio.draw(other, person, *xs[1:], label="saw")
    collect(team.shop())

    pool = answered_pool(read_ledger(team.folder / "ledger"), IDS, crawled=crawled(2), extracted=[])

    assert [box.attributes for box in pool.annotations] == [{"job": team.job.name, "workers": 2, "of_workers": 3}]
    assert [(known.category, known.state) for known in sorted(pool.presence, key=lambda known: known.sha256)] == [
        ("hammer", "partial"),
        ("saw", "absent"),
        ("hammer", "absent"),
    ]


def test_one_who_draws_thrice_is_one_person_and_the_first_drawing_is_theirs(team: Team) -> None:
    team.buy(2)
    task, other = team.tasks
    for x in (10, 30, 50):
        team.studio.draw(task, ANNA, x)
    for person in (ANNA, BEN):
        team.studio.draw(other, person)
    collect(team.shop())
    alone, handed, waits = team.answers(), team.studio.handed_to(CARL), status(team.shop().labeler, read_ledger(team.shop().ledger))[team.job.name].detail

    team.studio.draw(task, BEN, 10)
    for one in team.tasks:
        team.studio.draw(one, CARL)
    collect(team.shop())

    assert (alone, handed) == ([], [other])
    assert waits.startswith("fewer than 3 people have drawn in 2 pictures so far; in 1 of them somebody drew more than once, and Label Studio hands it to nobody")
    assert (team.answers(), team.end) == ([([40.0], 3, 0), ([], 3, 0)], ("completed", 2 * EACH))


def test_a_picture_that_was_imported_twice_is_answered_by_all_who_drew_in_either(team: Team) -> None:
    team.buy(1)
    (task,) = team.tasks
    team.studio.call("POST", "/api/projects/1/import", [{"data": task["data"]}])
    team.studio.draw(task, ANNA, 10)
    for person in (BEN, CARL):
        team.studio.draw(team.tasks[1], person, 11)

    assert collect(team.shop()).refused == ()
    assert team.job.answers[task["data"]["sha256"]].workers == 3


@pytest.mark.parametrize(("asks", "drew", "cost"), [(2, (ANNA, BEN), EACH - PAY), (5, (ANNA, BEN, CARL), EACH)])
def test_a_project_that_was_set_otherwise_later_waits_for_nobody_it_does_not_ask_nor_for_more_than_are_paid(
    asks: int, drew: tuple[int, ...], cost: int, team: Team
) -> None:
    team.buy(1)
    team.studio.call("PATCH", "/api/projects/1", {"maximum_annotations": asks})
    for person in drew[:-1]:
        team.studio.draw(team.tasks[0], person, 10)
    collect(team.shop())
    early = team.end

    team.studio.draw(team.tasks[0], drew[-1], 10)
    collect(team.shop())

    assert (early, team.end) == (None, ("completed", cost))


@pytest.mark.parametrize(("people", "boxes"), [(51, 1), (2, 2501)])
def test_a_picture_in_which_more_was_drawn_than_can_be_united_is_refused(people: int, boxes: int, team: Team) -> None:
    team.buy(2)
    for person in range(people):
        team.studio.draw(team.tasks[0], person, *[10] * boxes)
    for person in (ANNA, BEN, CARL):
        team.studio.draw(team.tasks[1], person, 10)

    found = collect(team.shop())

    assert [one.what for one in found.refused] == [f"more was drawn than can be united: {people * boxes:,} boxes of {people} people"]
    assert team.answers() == [([40.0], 3, 0)]


# what is given up


def test_a_job_that_is_stopped_takes_what_those_drew_who_did_and_costs_just_that(team: Team) -> None:
    team.buy(4)
    for task, people in zip(team.tasks, ((ANNA, BEN, CARL), (ANNA, BEN), (ANNA,)), strict=False):
        for person in people:
            team.studio.draw(task, person, 10)

    cancel(team.shop())

    assert team.answers() == [([40.0], people, 0) for people in (3, 2, 1)]
    assert team.end == ("stopped", 3 * FEE + 6 * PAY)
    assert [item.sha256 for item in plan_of(team.folder, label(workers=3), 4).items] == [team.tasks[3]["data"]["sha256"]]


def test_what_comes_after_a_job_was_stopped_is_fused_and_paid_when_it_is_looked_at_again(team: Team) -> None:
    team.buy(2)
    team.studio.draw(team.tasks[0], ANNA, 10)
    cancel(team.shop())
    team.studio.draw(team.tasks[0], BEN, 12)
    team.studio.draw(team.tasks[1], BEN, 10)
    collect(team.shop())
    unseen = team.answers(), team.end

    collect(team.shop(), again=True)
    collect(team.shop(), again=True)

    assert unseen == ([([40.0], 1, 0)], ("stopped", FEE + PAY))
    assert (team.answers(), team.end) == ([([44.0], 2, 1), ([40.0], 1, 0)], ("stopped", 2 * FEE + 3 * PAY))


def test_a_drawing_that_was_taken_back_was_paid_all_the_same(team: Team) -> None:
    team.buy(2)
    task = team.tasks[0]
    for person in (ANNA, BEN, CARL):
        team.studio.draw(task, person, 10)
    collect(team.shop())

    del task["annotations"][0]
    cancel(team.shop())

    assert team.answers() == [([40.0], 2, 1)]
    assert team.end == ("stopped", EACH)


def test_a_drawing_that_cannot_be_read_keeps_its_picture_back_until_it_is_corrected(team: Team) -> None:
    team.buy(1)
    (task,) = team.tasks
    for person in (ANNA, BEN):
        team.studio.draw(task, person, 10)
    bad = team.studio.draw(task, CARL, 95)
    found = collect(team.shop())
    early = team.answers(), team.end

    bad["result"][0]["value"]["x"] = 12
    collect(team.shop())

    assert [str(one).partition(": ")[::2] for one in found.refused] == [
        (f"Label Studio, {team.job.name}, task 1, annotation 3", "result[0].x + result[0].width: 480 lies outside the picture of 400 pixels")
    ]
    assert early == ([], None)
    assert (team.answers(), team.end) == ([([40.0], 3, 0)], ("completed", EACH))


def test_where_a_job_is_given_up_the_others_drawings_hold_without_one_that_cannot_be_read_and_it_is_paid(team: Team) -> None:
    team.buy(2)
    for person in (ANNA, BEN):
        team.studio.draw(team.tasks[0], person, 10)
    for task in team.tasks:
        team.studio.draw(task, CARL, 95)

    cancel(team.shop())
    again = collect(team.shop(), again=True)

    states = [team.job.answers[task["data"]["sha256"]].state for task in team.tasks]
    assert (states, team.answers()[0]) == (["labelled", "failed"], ([40.0], 3, 0))
    assert team.end == ("stopped", 2 * EACH)
    assert (again.refused, [one.sha256 for one in again.unread]) == ((), [team.tasks[0]["data"]["sha256"]])


# the money


def test_people_beyond_those_who_are_paid_have_a_voice_and_cost_nothing(team: Team) -> None:
    team.buy(2)
    for person, x in ((ANNA, 10), (BEN, 10), (CARL, 14), (DORA, 14)):
        team.studio.draw(team.tasks[0], person, x)
    team.studio.draw(team.tasks[1], ANNA, 10)

    cancel(team.shop())

    assert team.answers() == [([48.0], 4, 0), ([40.0], 1, 0)]
    assert team.end == ("stopped", 2 * FEE + 4 * PAY)


@pytest.mark.parametrize("changed", [{"workers": 2}, {"workers": 2, "price": {"usd_per_task": 0.05}}, {"price": {"usd_per_task": 0.01}}])
def test_what_was_reserved_for_other_workers_or_pay_is_not_sent(changed: dict[str, Any], team: Team) -> None:
    team.studio.fails = "POST /api/projects"
    with pytest.raises(ConnectionError):
        team.buy(2)
    now = msgspec.convert({**msgspec.to_builtins(label(workers=3)), **changed}, Label)
    shop = team.shop()
    other = replace(shop, params=msgspec.structs.replace(shop.params, label=now))

    says = r"job tools-\w+ was reserved for 3 workers a picture at \$0\.036 each and not sent; params\.yaml now says for [23] workers a picture at \$0\.0\d+ each.*cancel"
    with pytest.raises(BudgetError, match=says):
        submit(other, plan_of(team.folder, now, 2))

    assert team.studio.projects == []
    assert team.buy(2) == (team.job.name,)


def test_of_two_answers_that_two_clones_took_in_that_of_more_people_holds(tmp_path: Path) -> None:
    reserved = Reserved(job="j", backend="label_studio", version=1, categories={"hammer": 1}, pictures=1, worst_mills=EACH, workers=3, worker_mills=PAY)
    asked = Asked(job="j", sha256="a" * 64, file_name="a.jpg", width=40, height=30, phash="0" * 16)
    early = Answered(job="j", sha256="a" * 64, state="labelled", workers=1)
    late = Answered(job="j", sha256="a" * 64, state="labelled", boxes=(Drawn(category_id=1, bbox=(9.0, 9.0, 9.0, 9.0), workers=2),), workers=3)
    append(tmp_path, PURCHASES, [reserved, asked])
    append(tmp_path, ANSWERS, [late, early])

    assert read_ledger(tmp_path).jobs["j"].answers == {"a" * 64: late}


steps = st.lists(
    st.one_of(
        st.tuples(st.just("draw"), st.integers(0, 2), st.sampled_from((ANNA, BEN, CARL, DORA))),
        st.tuples(st.sampled_from(("collect", "again", "cancel")), st.just(0), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_no_job_ever_costs_less_than_was_drawn_when_it_was_looked_at_nor_more_than_was_reserved(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    team = Team(tmp_path_factory.mktemp("team"))
    team.buy(3)
    shop = team.shop()
    do: dict[str, Callable[[], Any]] = {"collect": lambda: collect(shop), "again": lambda: collect(shop, again=True), "cancel": lambda: cancel(shop)}
    before = 0
    for verb, place, person in steps:
        if verb == "draw":
            team.studio.draw(team.tasks[place], person, 10)
            continue
        was_open = team.end is None
        do[verb]()
        if team.end is None:
            assert team.job.committed_mills == 3 * EACH
            continue
        drew = [len({one["completed_by"] for one in task["annotations"]}) for task in team.tasks]
        seen = sum(FEE + PAY * min(people, 3) for people in drew if people)
        now = team.job.committed_mills
        assert before <= now <= 3 * EACH
        if was_open or verb == "again":
            assert now == seen
        before = now


# the token


PERSONAL = "head.body.signature"


class Doorman:
    """A server that takes a legacy token, or for a personal access token gives others, of which only the latest is taken, and that for one call."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.given, self.holds = 0, False

    def request(self, method: str, url: str, *, headers: dict[str, str], body: bytes | None) -> urllib3.HTTPResponse:
        says, path = headers.get("Authorization", ""), url.removeprefix("http://studio.test")
        self.asked.append((path.partition("?")[0], says))
        if path.startswith("/api/token/refresh"):
            is_known = body is not None and msgspec.json.decode(body) == {"refresh": PERSONAL}
            self.given, self.holds = self.given + 1, True
            return self._answer(200, {"access": f"a{self.given}"}) if is_known else self._answer(401, {"detail": "Token is invalid"})
        is_good = says == "Token legacy" or (says == f"Bearer a{self.given}" and self.holds)
        self.holds = False
        return self._answer(200, []) if is_good else self._answer(401, {"detail": "Invalid token."})

    def _answer(self, status: int, body: Any) -> urllib3.HTTPResponse:
        return urllib3.HTTPResponse(msgspec.json.encode(body), status=status)


def visitor(token: str, monkeypatch: pytest.MonkeyPatch) -> tuple[LabelStudio, Doorman]:
    """Return a service with a token, and the server that it asks."""
    monkeypatch.setenv("LABEL_STUDIO_TOKEN", token)
    backend = Labeler(backend="label_studio", url="http://studio.test")
    service = LabelStudio(Params(world="live", project=Project(name="tools"), categories=CATEGORIES, sources={}, label=label(), labeler=backend), Endpoints())
    server = Doorman()
    monkeypatch.setattr(service._pools, "request", server.request)
    return service, server


def test_a_personal_access_token_gives_another_that_is_asked_for_again_once_it_holds_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    service, server = visitor(PERSONAL, monkeypatch)

    assert [service.jobs("tools-") for _ in range(2)] == [[], []]

    refresh, projects = ("/api/token/refresh/", ""), "/api/projects"
    assert server.asked == [refresh, (projects, "Bearer a1"), (projects, "Bearer a1"), refresh, (projects, "Bearer a2")]


def test_a_legacy_token_goes_out_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    service, server = visitor("legacy", monkeypatch)

    assert (service.jobs("tools-"), server.asked) == ([], [("/api/projects", "Token legacy")])


@pytest.mark.parametrize("token", ["other", "a.b.c"])
def test_a_token_that_is_not_taken_is_called_that(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service, _ = visitor(token, monkeypatch)

    with pytest.raises(ServiceError, match=r"the token is wrong, or of a kind that the server does not take.*LABEL_STUDIO_TOKEN=… with a personal access token"):
        service.check()
