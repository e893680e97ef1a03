"""Nothing is paid twice or over budget, whatever the workforce does and wherever a run is killed."""

import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from boxset.assemble.merge import boxes_counted, merge
from boxset.cli import cli
from boxset.commands.label import _upstreams
from boxset.compare.sightings import Sightings
from boxset.dataset.decisions import Decision, Verdict, decided, decisions_of
from boxset.dataset.records import Picture, Pool, Refused
from boxset.errors import BudgetError, InputError, ProjectError
from boxset.files import append_lines, write_json
from boxset.history import upstreams
from boxset.labeling.answers import answered_pool, places, unused
from boxset.labeling.ground_truth import read_manifest
from boxset.labeling.labeler import LastLook, Progress, nothing_to_see
from boxset.labeling.ledger import ANSWERS, PURCHASES, Answered, Asked, Closed, Drawn, Job, Ledger, Reserved, Sent, append, read_ledger, whole_lines
from boxset.labeling.plan import Plan, Stock, make_plan, plan_metrics
from boxset.labeling.price import mills, per_picture_mills
from boxset.labeling.purchase import Shop, Upstream, cancel, collect, status, submit
from boxset.labeling.received import Received, Refusal
from boxset.labeling.show import plan_table, status_table, stopped_lines
from boxset.labeling.standing import Standing, check_ids, faults, standing
from boxset.params import Category, Label, Labeler, Merge, Params, Price, Project
from boxset.resolve import Identity, Ids, Target, Targets
from tests.build import IDS, box, picture, pool

TARGETS = Targets(categories={"hammer": Target(target=50, max=0), "saw": Target(target=0, max=0)})
CATEGORIES = {"hammer": Category(id=1, target=50), "saw": Category(id=2, target=0)}
NOTHING = {"hammer": 0, "saw": 0}  # boxes that there are
FIFTYONES_OWN = {"id", "label", "bounding_box", "mask", "mask_path", "confidence", "index", "tags", "attributes"}  # the fields of its `Detection`


class Workforce:
    """A labelling service in memory: it answers what it is told to, and remembers what was sent."""

    takes_corrections = False
    is_shared = True
    takes_once = True

    def __init__(self, states: Sequence[str] = ()) -> None:
        self.refused: list[Refusal] = []
        self.sent: dict[str, list[str]] = {}
        self.states = list(states)
        self.fail_next: str = ""

    def check(self) -> None:
        self._maybe_fail("check")

    def send(self, reserved: Reserved, asked: Sequence[Asked], pictures: Mapping[str, Path], last_look: LastLook = nothing_to_see) -> None:
        self._maybe_fail("before send")
        last_look()
        self.sent.setdefault(reserved.job, [item.sha256 for item in asked])
        self._maybe_fail("after send")

    def jobs(self, prefix: str) -> list[str]:
        self._maybe_fail("jobs")
        return [name for name in self.sent if name.startswith(prefix)]

    def progress(self, job: Job) -> Progress:
        if job.name not in self.sent:
            return Progress("unknown")
        state = self.states.pop(0) if self.states else "completed"
        return Progress(state, len(job.asked))

    def answers(self, job: Job) -> Received:
        drawn = (Drawn(category_id=1, bbox=(1.0, 2.0, 30.0, 40.0)),)
        answers = [
            Answered(job=job.name, sha256=sha, state="failed", why="expired")
            if place % 5 == 4
            else Answered(job=job.name, sha256=sha, state="labelled", boxes=drawn if place % 2 else ())
            for place, sha in enumerate(self.sent[job.name])
        ]
        out = {one.sha256 for one in self.refused}
        return Received(tuple(one for one in answers if one.sha256 not in out), tuple(self.refused))

    def cancel(self, job: Job) -> bool:
        self.states = ["stopped"] * 4
        return False

    def _maybe_fail(self, where: str) -> None:
        if self.fail_next == where:
            self.fail_next = ""
            raise ConnectionError(where)


def label(**more: Any) -> Label:
    """Settings with a budget."""
    return Label(**{"budget_usd": 100.0, "workers": 1, **more})


def shop(folder: Path, workforce: Workforce, settings_: Label, *, trial: int = 0) -> Shop:
    """A shop over a ledger in a folder; every picture's file is there."""
    there = folder / "picture.jpg"
    there.write_bytes(b"x")
    project = Project(name="tools")
    params = Params(world="live", project=project, categories=CATEGORIES, sources={}, label=settings_, labeler=Labeler(trial=trial))
    return Shop(folder / "ledger", params, workforce, lambda _: there)


def crawled(count: int) -> dict[str, tuple[Picture, ...]]:
    """Pictures found for the hammer, in rank order."""
    return {"hammer": tuple(picture(n, source="crawl", category="hammer", rank=n) for n in range(count))}


def plan_of(folder: Path, settings_: Label, count: int = 20) -> Plan:
    """The plan that the ledger in a folder calls for."""
    ledger = read_ledger(folder / "ledger")
    return make_plan(ledger, IDS, TARGETS, settings_, Stock(crawled(count), []), have=NOTHING)


def test_money_is_counted_in_mills_and_rounded_up() -> None:
    assert (mills(0.036), mills(0.0361), mills(40.0)) == (36, 37, 40_000)
    assert per_picture_mills(Label(workers=5)) == 80 + 5 * 36


def test_the_plan_stops_at_the_budget_the_limit_and_the_pictures(tmp_path: Path) -> None:
    few = plan_of(tmp_path, label(budget_usd=1.0))
    limited = plan_of(tmp_path, label(max_images=3))
    all_of_them = plan_of(tmp_path, label())

    assert (len(few.items), few.cost_mills, few.stops_at) == (8, 928, "the budget is used up")
    assert (len(limited.items), limited.stops_at) == (3, "label.max_images is reached")
    assert (len(all_of_them.items), all_of_them.stops_at) == (20, "no pictures are left for hammer: add queries, or raise crawl_images")
    assert plan_of(tmp_path, label(budget_usd=0.0)).items == ()


@pytest.mark.parametrize(("count", "stops_at"), [(3, "label.budget_usd is 0"), (0, "no pictures are left for hammer: add queries, or raise crawl_images")])
def test_a_plan_stops_at_the_budget_only_where_there_is_something_to_buy(count: int, stops_at: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, label(budget_usd=0.0), count)

    assert (plan.stops_at, plan.to_targets_pictures) == (stops_at, count)
    assert plan_metrics(plan, pool(), read_ledger(tmp_path / "ledger"))["images"]["to_targets"] == count


def test_the_plan_counts_boxes_as_targets_do_after_duplicates_are_united(tmp_path: Path) -> None:
    small = picture(500, source="coco")
    copy = msgspec.structs.replace(small, sha256="e" * 64, source="lvis", width=800, height=600)
    pools = {
        "coco": pool(small, box(500, (10, 20, 100, 80)), box(500, (200, 20, 100, 80)), box(500, (0, 0, 400, 300), iscrowd=1)),
        "lvis": pool(copy, box(500, (21, 40, 200, 160), sha256=copy.sha256, source="lvis")),
    }

    have = boxes_counted(merge(pools, {}, answers=Pool(), ids=IDS, settings=Merge()).coco, IDS)
    plan = make_plan(read_ledger(tmp_path / "ledger"), IDS, TARGETS, label(), Stock(crawled(60), list(pools.values())), have=have)

    assert have == {"hammer": 2, "saw": 0}
    assert [(row.category, row.have) for row in plan.rows] == [("hammer", 2), ("saw", 0)]
    assert plan.items[0].why == "hammer: 2 of 50 boxes"


def test_a_copy_of_a_picture_that_a_source_refuses_is_not_bought_unless_it_states_a_licence(tmp_path: Path) -> None:
    first, second, third = (msgspec.structs.replace(one, flickr_id=str(n), license="CC-BY-2.0" if n == 2 else "") for n, one in enumerate(crawled(3)["hammer"], 1))

    def planned(refused: Refused) -> set[str]:
        found = {"hammer": (first, second, third)}
        plan = make_plan(read_ledger(tmp_path / "ledger"), IDS, TARGETS, label(), Stock(found, [], refused=refused), have=NOTHING)
        assert plan.rows[0].candidates == len(plan.items)
        return {item.sha256 for item in plan.items}

    assert planned(Refused()) == {first.sha256, second.sha256, third.sha256}
    assert planned(Refused(flickr_ids=("1", "2"))) == {second.sha256, third.sha256}


def test_a_copy_of_a_picture_is_not_asked_again_until_the_version_rises(tmp_path: Path) -> None:
    submit(shop(tmp_path, Workforce(), label()), plan_of(tmp_path, label(), 1))
    copy = msgspec.structs.replace(crawled(1)["hammer"][0], sha256="e" * 64, width=200, height=150)

    def planned(settings_: Label) -> int:
        return len(
            make_plan(read_ledger(tmp_path / "ledger"), IDS, TARGETS, settings_, Stock({"hammer": (copy,)}, []), have=NOTHING).items
        )

    assert planned(label()) == 0
    assert planned(label(instructions_version=2)) == 1


def test_a_second_submit_buys_nothing(tmp_path: Path) -> None:
    workforce, settings_ = Workforce(), label()
    plan = plan_of(tmp_path, settings_)

    first = submit(shop(tmp_path, workforce, settings_), plan)
    with pytest.raises(ProjectError, match=r"nothing bought: the plan is older than the ledger, which stands at \$2.32 spent or reserved. `dvc repro label`"):
        submit(shop(tmp_path, workforce, settings_), plan)
    third = submit(shop(tmp_path, workforce, settings_), plan_of(tmp_path, settings_))

    assert (first.pictures, third.pictures) == (20, 0)
    assert len(workforce.sent) == 1


def test_a_trial_goes_first_and_the_rest_when_it_is_answered(tmp_path: Path) -> None:
    workforce, settings_ = Workforce(["open"]), label()
    buying = shop(tmp_path, workforce, settings_, trial=5)

    trial = submit(buying, plan_of(tmp_path, settings_))
    too_soon = submit(buying, plan_of(tmp_path, settings_))
    collect(buying)
    rest = submit(buying, plan_of(tmp_path, settings_))

    assert (trial.pictures, too_soon.pictures, rest.pictures) == (5, 0, 16)  # one of the trial failed and may be asked again
    assert "trial is not answered" in too_soon.says


@pytest.mark.parametrize("where", ["check", "jobs", "before send", "after send"])
def test_a_kill_anywhere_in_submit_buys_nothing_twice(tmp_path: Path, where: str) -> None:
    workforce, settings_ = Workforce(), label()
    workforce.fail_next = where
    plan = plan_of(tmp_path, settings_)

    with pytest.raises(ConnectionError):
        submit(shop(tmp_path, workforce, settings_), plan)
    submit(shop(tmp_path, workforce, settings_), plan)
    submit(shop(tmp_path, workforce, settings_), plan_of(tmp_path, settings_))

    bought = Counter(sha for shas in workforce.sent.values() for sha in shas)
    assert len(bought) == 20
    assert max(bought.values()) == 1
    assert read_ledger(tmp_path / "ledger").committed_mills == 20 * 116


def test_pictures_of_a_cancelled_job_are_bought_again_in_a_job_of_their_own(tmp_path: Path) -> None:
    workforce, settings_ = Workforce(), label()
    buying = shop(tmp_path, workforce, settings_)
    first = submit(buying, plan_of(tmp_path, settings_)).sent
    workforce.states = ["stopped"] * 9
    workforce.sent[first[0]].clear()  # nobody had drawn anything
    cancel(buying)

    second = submit(buying, plan_of(tmp_path, settings_)).sent

    assert len({*first, *second}) == 2
    assert read_ledger(tmp_path / "ledger").jobs[second[0]].committed_mills == 20 * 116


def test_a_trial_that_was_cancelled_or_came_to_nothing_is_repeated(tmp_path: Path) -> None:
    workforce, settings_ = Workforce(), label()
    buying = shop(tmp_path, workforce, settings_, trial=5)
    trial = submit(buying, plan_of(tmp_path, settings_)).sent[0]
    workforce.states = ["failed"] * 9
    workforce.sent[trial].clear()
    collect(buying)

    again = submit(buying, plan_of(tmp_path, settings_))

    assert again.pictures == 5
    assert "a trial of 5" in again.says


@pytest.mark.parametrize("changed", [{"workers": 9}, {"price": Price(usd_per_task=0.5)}, {"instructions_version": 2}])
def test_a_plan_that_is_older_than_the_parameters_buys_nothing(tmp_path: Path, changed: dict[str, Any]) -> None:
    workforce = Workforce()
    plan = plan_of(tmp_path, label())

    with pytest.raises(ProjectError, match=rf"nothing bought: the plan is older than label\.{next(iter(changed))}.*`dvc repro label`"):
        submit(shop(tmp_path, workforce, label(**changed)), plan, max_mills=600)

    assert workforce.sent == {}


def test_a_plan_without_a_category_that_was_added_since_buys_nothing(tmp_path: Path) -> None:
    workforce = Workforce()
    buying = shop(tmp_path, workforce, label())
    more = msgspec.structs.replace(buying.params, categories={**CATEGORIES, "axe": Category(id=3, target=9)})

    with pytest.raises(ProjectError, match="older than categories"):
        submit(replace(buying, params=more), plan_of(tmp_path, label()))

    assert workforce.sent == {}


def test_what_was_reserved_at_a_lower_price_is_not_sent_at_a_higher_one_and_can_be_given_up(tmp_path: Path) -> None:
    workforce, plan = Workforce(), plan_of(tmp_path, label())
    workforce.fail_next = "before send"
    with pytest.raises(ConnectionError):
        submit(shop(tmp_path, workforce, label()), plan)
    (name,) = read_ledger(tmp_path / "ledger").jobs
    dearer = shop(tmp_path, workforce, label(workers=9))

    with pytest.raises(BudgetError, match=rf"{name} was reserved at \$0\.116 a picture and not sent; params\.yaml now says at \$0\.404 a picture.*cancel {name}"):
        submit(dearer, plan)
    assert workforce.sent == {}

    assert cancel(dearer, [name]) == [name]
    again = submit(dearer, plan_of(tmp_path, label(workers=9)))
    assert (again.pictures, again.worst_mills, read_ledger(tmp_path / "ledger").committed_mills) == (20, 20 * 404, 20 * 404)
    assert again.sent != (name,)


def test_what_one_clone_gave_up_and_another_had_sent_counts_as_sent(tmp_path: Path) -> None:
    buying = shop(tmp_path, Workforce(), label())
    (name,) = submit(buying, plan_of(tmp_path, label())).sent
    append(buying.ledger, PURCHASES, [Closed(job=name, state="withdrawn", cost_mills=0)])

    assert read_ledger(tmp_path / "ledger").committed_mills == 20 * 116
    assert submit(buying, plan_of(tmp_path, label())).pictures == 0


def test_what_was_given_up_here_and_another_clone_sent_is_not_bought_again(tmp_path: Path) -> None:
    service = Workforce()
    mine, theirs = (tmp_path / name for name in ("mine", "theirs"))
    for folder in (mine, theirs):
        folder.mkdir()
        service.fail_next = "before send"
        with pytest.raises(ConnectionError):
            submit(shop(folder, service, label()), plan_of(folder, label(), 4))
    (name,) = read_ledger(mine / "ledger").jobs
    cancel(shop(mine, service, label()), [name])
    submit(shop(theirs, service, label()), plan_of(theirs, label(), 4))

    with pytest.raises(ProjectError, match=r"another clone has sent this job.*dvc repro label"):
        submit(shop(mine, service, label()), plan_of(mine, label(), 4))

    job = read_ledger(mine / "ledger").jobs[name]
    assert (list(service.sent), job.is_sent, job.closed, job.committed_mills) == ([name], True, None, 4 * 116)
    assert submit(shop(mine, service, label()), plan_of(mine, label(), 4)).sent == ()


def test_answers_of_a_stopped_job_that_come_later_count_at_their_price(tmp_path: Path) -> None:
    class GoesOn(Workforce):
        def progress(self, job: Job) -> Progress:
            return Progress("open", len(self.sent[job.name]))

        def cancel(self, job: Job) -> bool:
            return True

    service = GoesOn()
    buying = shop(tmp_path, service, label())
    (name,) = submit(buying, plan_of(tmp_path, label(), 4)).sent
    everybody, service.sent[name] = service.sent[name], service.sent[name][:1]
    cancel(buying, [name])
    stopped = read_ledger(buying.ledger).committed_mills

    service.sent[name] = everybody[:3]
    collect(buying, again=True)
    collect(buying, again=True)

    job = read_ledger(buying.ledger).jobs[name]
    assert (stopped, len(job.answers), job.committed_mills) == (116, 3, 3 * 116)
    assert len((buying.ledger / PURCHASES).read_bytes().splitlines()) == 1 + 4 + 1 + 2


def test_a_job_of_a_project_whose_name_begins_alike_stops_nothing(tmp_path: Path) -> None:
    workforce = Workforce()
    workforce.sent["tools-v2-0123456789abcdef"] = []

    assert submit(shop(tmp_path, workforce, label()), plan_of(tmp_path, label())).pictures == 20


def test_status_has_the_ledgers_money_and_knows_that_the_plan_and_the_build_are_older(tmp_path: Path) -> None:
    settings_ = label()
    plan = plan_of(tmp_path, settings_)
    built = plan_metrics(plan, Pool(), read_ledger(tmp_path / "ledger"))
    buying = shop(tmp_path, Workforce(["open"]), settings_)

    def now() -> list[Standing]:
        ledger = read_ledger(tmp_path / "ledger")
        return [standing(ledger, cap_mills=100_000, planned_from=mark, built=built) for mark in (plan.ledger, None)]

    assert now() == [Standing(0, 0, is_news=False)] * 2
    submit(buying, plan)
    assert now() == [Standing(2320, 0, is_news=True)] * 2
    collect(buying)
    plan, built = plan_of(tmp_path, settings_), plan_metrics(plan_of(tmp_path, settings_), Pool(), read_ledger(tmp_path / "ledger"))
    assert now() == [Standing(2320, 0, is_news=False)] * 2
    cancel(buying)
    assert now() == [Standing(2320, 2320, is_news=True)] * 2


def test_a_torn_line_of_a_killed_append_is_passed_over_and_cut_off(tmp_path: Path) -> None:
    submit(shop(tmp_path, Workforce(), label()), plan_of(tmp_path, label()))
    before = read_ledger(tmp_path / "ledger")
    with (tmp_path / "ledger" / PURCHASES).open("ab") as file:
        file.write(b'{"event":"reserved","job":"half')

    assert read_ledger(tmp_path / "ledger").jobs == before.jobs
    append(tmp_path / "ledger", PURCHASES, [])
    assert read_ledger(tmp_path / "ledger") == before


def test_a_torn_line_is_cut_off_and_a_whole_one_kept_however_long_it_is(tmp_path: Path) -> None:
    path, long = tmp_path / "lines.jsonl", b'{"x":"' + b"x" * 3_000_000
    for last, kept in ((long, []), (long + b'"}', [long + b'"}'])):
        path.write_bytes(b"{}\n" + last)

        append_lines(path, [b"[]"])

        assert path.read_bytes().splitlines() == [b"{}", *kept, b"[]"]


def test_a_line_of_the_ledger_that_is_no_text_is_named(tmp_path: Path) -> None:
    submit(shop(tmp_path, Workforce(), label()), plan_of(tmp_path, label(), 1))
    with (tmp_path / "ledger" / PURCHASES).open("ab") as file:
        file.write(b'{"event":"sent","job":"M\xfcller"}\n')

    with pytest.raises(InputError, match=rf"{PURCHASES}:4: not a line of the ledger"):
        read_ledger(tmp_path / "ledger")


def test_lines_of_two_branches_in_any_order_and_twice_are_one_ledger(tmp_path: Path) -> None:
    submit(shop(tmp_path, Workforce(), label()), plan_of(tmp_path, label()))
    path = tmp_path / "ledger" / PURCHASES
    before = read_ledger(tmp_path / "ledger").jobs
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(reversed(lines)) + "".join(lines))

    after = read_ledger(tmp_path / "ledger").jobs

    assert {n: (j.reserved, set(map(str, j.asked)), j.is_sent) for n, j in after.items()} == {
        n: (j.reserved, set(map(str, j.asked)), j.is_sent) for n, j in before.items()
    }


def test_lines_that_speak_of_a_lost_reservation_stop_everything(tmp_path: Path) -> None:
    append(tmp_path / "ledger", PURCHASES, [Sent(job="gone")])

    with pytest.raises(InputError, match="gone"):
        read_ledger(tmp_path / "ledger")


def test_a_purchase_that_git_does_not_know_stops_the_next(tmp_path: Path) -> None:
    workforce = Workforce()
    workforce.sent["tools-0123456789abcdef"] = ["f" * 64]

    with pytest.raises(ProjectError, match="the ledger does not know"):
        submit(shop(tmp_path, workforce, label()), plan_of(tmp_path, label()))


def test_the_cap_holds_and_zero_contacts_nobody(tmp_path: Path) -> None:
    workforce = Workforce()
    plan = plan_of(tmp_path, label())

    with pytest.raises(BudgetError, match="would pass the cap"):
        submit(shop(tmp_path, workforce, label(budget_usd=1.0)), plan)
    workforce.fail_next = "check"
    with pytest.raises(BudgetError, match="nobody is contacted"):
        submit(shop(tmp_path, workforce, label(budget_usd=0.0)), plan)
    assert workforce.sent == {}


def test_collecting_twice_takes_nothing_in_twice_and_answers_become_boxes(tmp_path: Path) -> None:
    workforce, settings_ = Workforce(["open"]), label()
    buying = shop(tmp_path, workforce, settings_)
    submit(buying, plan_of(tmp_path, settings_))

    collect(buying)
    collect(buying)
    once = read_ledger(tmp_path / "ledger")
    collect(buying)

    assert read_ledger(tmp_path / "ledger") == once
    pool = answered_pool(once, IDS, crawled=crawled(20), extracted=[])
    assert Counter(str(p.state) for p in pool.presence if p.category == "hammer") == {"present": 8, "absent": 8}
    assert len(pool.annotations) == 8
    names = [picture.sha256 for picture in crawled(20)["hammer"]]
    assert unused(once, names, crawled=crawled(20), extracted=[]) == 0
    assert unused(once, names[2:], crawled=crawled(20), extracted=[]) == 2  # left out of the merge
    assert unused(once, names, crawled={"hammer": crawled(20)["hammer"][1:]}, extracted=[]) == 1  # gone
    assert plan_metrics(plan_of(tmp_path, settings_), pool, once, unused=2)["images"] == {"asked": 20, "labelled": 16, "planned": 4, "to_targets": 4, "unused": 2}
    metrics = plan_metrics(plan_of(tmp_path, settings_), pool, once)
    assert metrics["images"] == {"asked": 20, "labelled": 16, "planned": 4, "to_targets": 4}
    assert metrics["cost_usd"]["spent"] == 2.32


def test_a_refused_picture_loses_no_other_and_keeps_its_job_open_until_it_is_given_up(tmp_path: Path) -> None:
    workforce, settings_ = Workforce(), label()
    buying = shop(tmp_path, workforce, settings_)
    submit(buying, plan_of(tmp_path, settings_, 3))
    name = next(iter(workforce.sent))
    bad = workforce.sent[name][1]
    workforce.refused = [Refusal("manifest:2", "left: nan is no number", bad)]

    assert collect(buying).refused == collect(buying).refused == tuple(workforce.refused)
    held = read_ledger(tmp_path / "ledger").jobs[name]
    assert (held.closed, len(held.answers), plan_of(tmp_path, settings_, 3).items) == (None, 2, ())

    cancel(buying, [name])
    given_up = read_ledger(tmp_path / "ledger").jobs[name]
    assert given_up.answers[bad] == Answered(job=name, sha256=bad, state="failed", why="refused: manifest:2: left: nan is no number")
    assert given_up.closed == Closed(job=name, state="completed", cost_mills=3 * 116)
    assert [item.sha256 for item in plan_of(tmp_path, settings_, 3).items] == [bad]


def test_the_ledger_takes_in_nothing_that_it_could_not_read_again(tmp_path: Path) -> None:
    submit(shop(tmp_path, Workforce(), label()), plan_of(tmp_path, label(), 1))
    before = read_ledger(tmp_path / "ledger")
    good = Answered(job=next(iter(before.jobs)), sha256="0" * 64, state="labelled")
    bad = msgspec.structs.replace(good, boxes=(Drawn(category_id=1, bbox=(float("nan"), 1.0, 2.0, 3.0)),))

    with pytest.raises(InputError, match="could be read again"):
        append(tmp_path / "ledger", ANSWERS, [good, bad])
    assert read_ledger(tmp_path / "ledger") == before


def test_what_a_box_tells_of_those_who_drew_it_takes_no_name_that_fiftyone_keeps_for_itself() -> None:
    (asked,) = crawled(1)["hammer"]
    one = Asked(job="tools-1", sha256=asked.sha256, file_name=asked.file_name, width=400, height=300, phash=asked.phash)
    drawn = (Drawn(category_id=1, bbox=(1.0, 2.0, 30.0, 40.0), workers=2, confidence=0.6667), Drawn(category_id=1, bbox=(90.0, 2.0, 30.0, 40.0)))
    answer = Answered(job="tools-1", sha256=asked.sha256, state="labelled", boxes=drawn, workers=3)
    reserved = Reserved(job="tools-1", backend="files", version=1, categories={"hammer": 1}, pictures=1, worst_mills=1)
    ledger = Ledger({"tools-1": Job(reserved, (one,), is_sent=True, closed=None, answers={asked.sha256: answer})}, "")

    said = [box.attributes for box in answered_pool(ledger, IDS, crawled=crawled(1), extracted=[]).annotations]

    assert said == [{"job": "tools-1", "workers": 2, "of_workers": 3, "service_confidence": 0.667}, {"job": "tools-1"}]
    assert FIFTYONES_OWN.isdisjoint(name for attributes in said for name in attributes)


def test_answers_find_their_picture_when_only_a_copy_of_it_is_left(tmp_path: Path) -> None:
    buying = shop(tmp_path, Workforce(), label())
    submit(buying, plan_of(tmp_path, label(), 2))
    collect(buying)
    copies = {"hammer": tuple(msgspec.structs.replace(p, sha256=str(n) * 64, width=800, height=600) for n, p in enumerate(crawled(2)["hammer"]))}

    pool = answered_pool(read_ledger(tmp_path / "ledger"), IDS, crawled=copies, extracted=[])

    assert [(a.sha256, a.bbox) for a in pool.annotations] == [("1" * 64, (2.0, 4.0, 60.0, 80.0))]


def test_a_cancelled_job_costs_what_was_done(tmp_path: Path) -> None:
    buying = shop(tmp_path, Workforce(["open", "open"]), label())
    submit(buying, plan_of(tmp_path, label()))

    assert len(cancel(buying)) == 1
    assert [job.closed and job.closed.state for job in read_ledger(tmp_path / "ledger").jobs.values()] == ["stopped"]


@pytest.fixture
def clones(tmp_path: Path) -> list[Path]:
    """Two clones of one repository whose ledgers merge by keeping the lines of both."""
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "origin")
    for name in ("ann", "bob"):
        git(tmp_path, "clone", "-q", "origin", name)
        for key, value in (("user.name", name), ("user.email", "x@y"), ("pull.rebase", "false")):
            git(tmp_path / name, "config", key, value)
    (tmp_path / "ann/.gitattributes").write_text("ledger/*.jsonl merge=union\n")
    (tmp_path / "ann/ledger").mkdir()
    (tmp_path / "ann/ledger/.gitkeep").touch()
    commit(tmp_path / "ann")
    git(tmp_path / "ann", "push", "-q", "-u", "origin", "HEAD:main")
    git(tmp_path / "bob", "pull", "-q")
    return [tmp_path / "ann", tmp_path / "bob"]


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path) -> None:
    git(folder, "add", "-A", "ledger", ".gitattributes")
    git(folder, "commit", "-q", "-m", "Buy")


def test_what_two_clones_bought_twice_and_over_the_cap_is_named_and_nothing_more_is_bought(clones: list[Path]) -> None:
    cap = label(budget_usd=1.5)
    ann, bob = clones
    first = submit(shop(ann, Workforce(), cap), plan_of(ann, cap, 8), max_mills=600).sent[0]
    second = submit(shop(bob, Workforce(), cap), plan_of(bob, cap, 8)).sent[0]
    assert faults(read_ledger(bob / "ledger"), cap_mills=1500) == ()
    for clone in clones:
        commit(clone)
    git(ann, "push", "-q", "origin", "HEAD:main")
    git(bob, "pull", "-q", "--no-edit")

    one, other = sorted([first, second])
    assert faults(read_ledger(bob / "ledger"), cap_mills=1500) == (
        f"5 pictures were asked more than once, by {one} and {other}; `boxset label cancel {one}` stops one",
        f"$1.508 spent or reserved, over the cap of $1.50 in label.budget_usd: {second} $0.928, {first} $0.58",
    )
    assert faults(read_ledger(bob / "ledger"), cap_mills=0) == faults(read_ledger(bob / "ledger"), cap_mills=1508) != ()
    workforce = Workforce()
    with pytest.raises(BudgetError, match=r"over the cap of \$1\.50 in label\.budget_usd"):
        submit(shop(bob, workforce, cap), plan_of(bob, cap, 20))
    assert workforce.sent == {}


def test_a_picture_that_is_tried_again_after_it_came_to_nothing_was_not_bought_twice(tmp_path: Path) -> None:
    buying = shop(tmp_path, Workforce(["open", "stopped"]), label())
    submit(buying, plan_of(tmp_path, label(), 5))
    collect(buying)
    cancel(buying)
    again = submit(buying, plan_of(tmp_path, label(), 5))

    assert again.pictures == 1
    assert faults(read_ledger(tmp_path / "ledger"), cap_mills=100_000) == ()


def test_the_same_plan_bought_in_two_clones_by_files_is_named_and_counts_twice(clones: list[Path]) -> None:
    ann, bob = clones
    for clone in clones:
        workforce = Workforce()
        workforce.is_shared = False
        submit(replace(shop(clone, workforce, label()), mark=clone.name), plan_of(clone, label(), 3))
        commit(clone)
    git(ann, "push", "-q", "origin", "HEAD:main")
    git(bob, "pull", "-q", "--no-edit")

    ledger = read_ledger(bob / "ledger")
    assert ledger.committed_mills == 2 * 3 * 116
    assert [fault.partition(", by")[0] for fault in faults(ledger, cap_mills=100_000)] == ["3 pictures were asked more than once"]


def test_the_same_plan_bought_in_two_clones_of_one_service_is_one_job(clones: list[Path]) -> None:
    workforce = Workforce()
    names = [submit(replace(shop(clone, workforce, label()), mark=clone.name), plan_of(clone, label(), 3)).sent for clone in clones[:1]]
    workforce.sent.clear()  # the other submit had looked before
    names += [submit(replace(shop(clone, workforce, label()), mark=clone.name), plan_of(clone, label(), 3)).sent for clone in clones[1:]]

    assert names[0] == names[1]


def test_an_old_picture_that_is_asked_about_a_new_category_was_not_bought_twice(tmp_path: Path) -> None:
    buying = shop(tmp_path, Workforce(), label(old_pictures="all"))
    submit(buying, plan_of(tmp_path, buying.params.label, 3))
    collect(buying)
    ids = Ids(categories={**IDS.categories, "axe": Identity(id=3, supercategory="object")})
    targets = Targets(categories={**TARGETS.categories, "axe": Target(target=9, max=0)})
    more = msgspec.structs.replace(buying.params, categories={**CATEGORIES, "axe": Category(id=3, target=9)})
    plan = make_plan(read_ledger(buying.ledger), ids, targets, more.label, Stock(crawled(3), []), have={**NOTHING, "axe": 0})

    assert submit(replace(buying, params=more), plan).pictures == 3
    collect(buying)
    assert faults(read_ledger(buying.ledger), cap_mills=100_000) == ()


def test_a_submit_waits_for_what_the_upstream_branch_has_bought(clones: list[Path]) -> None:
    ann, bob = clones
    submit(shop(ann, Workforce(), label()), plan_of(ann, label(), 3))
    commit(ann)
    git(ann, "push", "-q", "origin", "HEAD:main")
    workforce = Workforce()

    def buying() -> Shop:
        found = upstreams(bob, [f"ledger/{PURCHASES}", "ledger/answers.jsonl"]).items()
        return replace(shop(bob, workforce, label()), upstreams=tuple(Upstream(name, frozenset[bytes]().union(*map(whole_lines, files.values()))) for name, files in found))

    assert upstreams(bob, ["ledger/none"]) == {"origin/main": {}}
    git(bob, "fetch", "-q")
    with pytest.raises(ProjectError, match=r"origin/main has 5 lines that this clone's ledger has not.*`git pull`"):
        submit(buying(), plan_of(bob, label(), 6))
    assert workforce.sent == {}

    git(bob, "pull", "-q")
    assert submit(buying(), plan_of(bob, label(), 6)).pictures == 3


def test_a_submit_waits_for_what_the_upstream_branch_has_sorted_out(clones: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = clones
    (ann / "decisions").mkdir()
    (ann / "decisions/review.jsonl").write_text('{"a":1}\n{"b":2}\n')
    git(ann, "add", "-A")
    git(ann, "commit", "-qm", "Review")
    git(ann, "push", "-q", "origin", "HEAD:main")
    workforce = Workforce()
    monkeypatch.chdir(bob)

    git(bob, "fetch", "-q")
    with pytest.raises(ProjectError, match=r"decisions: origin/main has 2 decisions of `boxset review` that this clone has not.*`git pull`"):
        submit(replace(shop(bob, workforce, label()), upstreams=_upstreams()), plan_of(bob, label(), 3))
    assert workforce.sent == {}

    git(bob, "pull", "-q")
    assert submit(replace(shop(bob, workforce, label()), upstreams=_upstreams()), plan_of(bob, label(), 3)).pictures == 3


def test_a_branch_of_ones_own_waits_for_what_the_remotes_main_branch_has_bought(clones: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = clones
    git(bob, "checkout", "-q", "-b", "feature")
    git(bob, "push", "-q", "-u", "origin", "feature")
    submit(shop(ann, Workforce(), label()), plan_of(ann, label(), 3))
    commit(ann)
    git(ann, "push", "-q", "origin", "HEAD:main")
    git(bob, "fetch", "-q")
    monkeypatch.chdir(bob)
    workforce = Workforce()

    with pytest.raises(ProjectError, match=r"origin/main has 5 lines that this clone's ledger has not.*`git merge origin/main`"):
        submit(replace(shop(bob, workforce, label()), upstreams=_upstreams()), plan_of(bob, label(), 3))
    assert [one.name for one in _upstreams()] == ["origin/feature", "origin/main"]
    git(bob, "branch", "-q", "--unset-upstream")
    assert [one.name for one in _upstreams()] == ["origin/main"]
    assert workforce.sent == {}

    git(bob, "merge", "-q", "origin/main")
    assert submit(replace(shop(bob, workforce, label()), upstreams=_upstreams()), plan_of(bob, label(), 6)).pictures == 3


def test_a_project_without_a_remote_has_no_upstream(tmp_path: Path) -> None:
    assert upstreams(tmp_path, [f"ledger/{PURCHASES}"]) == {}
    git(tmp_path, "init", "-q")
    assert upstreams(tmp_path, [f"ledger/{PURCHASES}"]) == {}


def test_a_job_of_another_service_is_neither_sent_nor_given_up_by_this_one(tmp_path: Path) -> None:
    workforce, plan = Workforce(), plan_of(tmp_path, label(), 3)
    buying = shop(tmp_path, workforce, label())
    workforce.fail_next = "before send"
    with pytest.raises(ConnectionError):
        submit(buying, plan)
    (name,) = read_ledger(buying.ledger).jobs
    other = replace(buying, params=msgspec.structs.replace(buying.params, labeler=Labeler(backend="label_studio")))

    assert submit(other, plan_of(tmp_path, label(), 3)).sent == ()
    with pytest.raises(ProjectError, match=f"job {name} is one of files, and labeler.backend is label_studio. Set it to files for that"):
        cancel(other, [name])

    assert (workforce.sent, read_ledger(buying.ledger).jobs[name].closed) == ({}, None)


STEPS: tuple[Callable[[Shop, Path, Label], object], ...] = (
    lambda buying, folder, settings_: submit(buying, plan_of(folder, settings_, 40)),
    lambda buying, folder, settings_: submit(buying, plan_of(folder, settings_, 40), max_mills=500),
    lambda buying, folder, settings_: collect(buying),
    lambda buying, folder, settings_: cancel(buying),
)


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["", "jobs", "before send", "after send"])), max_size=8), st.floats(0.1, 6))
@settings(max_examples=40)
def test_spending_never_passes_the_cap(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]], cap: float) -> None:
    folder = tmp_path_factory.mktemp("shop")
    workforce, settings_ = Workforce(["open", "stopped", "failed", "completed"] * 4), label(budget_usd=round(cap, 2))

    for step, fault in steps:
        workforce.fail_next = fault
        with suppress(ConnectionError, BudgetError):
            STEPS[step](shop(folder, workforce, settings_), folder, settings_)
        assert read_ledger(folder / "ledger").committed_mills <= mills(settings_.budget_usd)

    versions = Counter(
        sha for job in read_ledger(folder / "ledger").jobs.values() for a in job.asked if (sha := a.sha256) not in job.answers and not job.closed
    )
    assert max(versions.values(), default=1) == 1


def job(*names: str) -> Job:
    """A job about two pictures."""
    reserved = Reserved(job="tools-1", backend="ground_truth", version=1, categories={"hammer": 4, "saw": 9}, pictures=2, worst_mills=1)
    asked = tuple(Asked(job="tools-1", sha256=n * 64, file_name=f"{n * 64}.jpg", width=200, height=100, phash="0" * 16) for n in names)
    return Job(reserved, asked, is_sent=True, closed=None, answers={})


LABELLED = (
    b'{"source-ref":"s3://b/a.jpg","sha256":"' + b"a" * 64 + b'","boxes":{"image_size":[{"width":400,"height":200,"depth":3}],'
    b'"annotations":[{"class_id":1,"left":10.5,"top":20,"width":40,"height":60}]},'
    b'"boxes-metadata":{"objects":[{"confidence":0}],"class-map":{"1":"saw"},"type":"groundtruth/object-detection"}}'
)


def test_a_manifest_line_is_labelled_failed_empty_or_not_yet_there() -> None:
    failed = b'{"source-ref":"s3://b/x","sha256":"' + b"b" * 64 + b'","boxes-metadata":{"failure-reason":"ClientError: Annotation tasks expired"}}'
    waiting = b'{"source-ref":"s3://b/x","sha256":"' + b"c" * 64 + b'"}'
    empty = LABELLED.replace(b"a" * 64, b"d" * 64).replace(b'{"class_id":1,"left":10.5,"top":20,"width":40,"height":60}', b"")

    found = read_manifest(b"\n".join([LABELLED, failed, waiting, b"", empty]), job("a", "b", "c", "d"), where="m", attribute="boxes")

    assert found.refused == ()
    assert list(found.answers) == [
        Answered(job="tools-1", sha256="a" * 64, state="labelled", boxes=(Drawn(category_id=9, bbox=(5.25, 10, 20, 30)),)),
        Answered(job="tools-1", sha256="b" * 64, state="failed", why="ClientError: Annotation tasks expired"),
        Answered(job="tools-1", sha256="d" * 64, state="labelled"),
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"<html>", "JSONDecodeError Expecting value"),
        (b"[" * 100_000, "RecursionError"),
        (LABELLED.replace(b"object-detection", b"image-classification"), "type: groundtruth/image-classification"),
        (LABELLED.replace(b'"class_id":1', b'"class_id":7'), "annotations[0].class_id: 7 is none of the job's 2 labels"),
        (LABELLED.replace(b'"class_id":1', b'"class_id":-1'), "annotations[0].class_id: -1"),
        (LABELLED.replace(b"a" * 64, b"e" * 64), "sha256: a picture that was not asked about"),
        (LABELLED.replace(b'"left":10.5', b'"left":"a"'), "annotations[0].left: Expected `float`, got `str`"),
        (LABELLED.replace(b'"left":10.5', b'"left":NaN'), "annotations[0].left: nan is no number"),
        (LABELLED.replace(b'"left":10.5', b'"left":-50'), "annotations[0].left: -25 lies outside the picture"),
        (LABELLED.replace(b'"width":40,', b'"width":0,'), "annotations[0].width: 0 is not more than 0"),
        (LABELLED.replace(b'"width":40,', b'"width":90000,'), "annotations[0].left + annotations[0].width: 45005.2 lies outside the picture of 200"),
        (LABELLED.replace(b'"width":400', b'"width":0'), "image_size: 0 x 200"),
        (LABELLED.replace(b'"objects":[{"confidence":0}]', b'"objects":3'), "objects: Expected `array`"),
    ],
)
def test_what_is_no_line_of_this_job_is_refused_by_number_and_field_and_the_others_are_taken_in(line: bytes, says: str) -> None:
    good = LABELLED.replace(b"a" * 64, b"b" * 64)

    found = read_manifest(b"\n".join([line, good]), job("a", "b"), where="m", attribute="boxes")

    assert [answer.sha256 for answer in found.answers] == ["b" * 64]
    assert len(found.refused) == 1
    assert str(found.refused[0]).startswith(f"m:1: not a bounding-box line of this job: {says}")


def test_predictions_order_the_plan_and_move_neither_the_cap_nor_what_was_asked(tmp_path: Path) -> None:
    pictures = crawled(6)
    shas = [one.sha256 for one in pictures["hammer"]]
    sees = Sightings(
        models=dict.fromkeys([shas[0], shas[1], shas[3], shas[5]], "v1"),
        boxes={(shas[1], 1): 0.3, (shas[3], 1): 0.9, (shas[5], 1): 2.8},
        sure=frozenset({(shas[3], 1), (shas[5], 1)}),
        recall=0.8,
    )

    def planned(settings_: Label) -> Plan:
        return make_plan(read_ledger(tmp_path / "ledger"), IDS, TARGETS, settings_, Stock(pictures, [], sees=sees), have=NOTHING)

    plan, few = planned(label()), planned(label(budget_usd=0.3))
    without = make_plan(read_ledger(tmp_path / "ledger"), IDS, TARGETS, label(), Stock(pictures, []), have=NOTHING)
    submit(shop(tmp_path, Workforce(), label()), few)

    assert [shas.index(item.sha256) for item in plan.items] == [5, 3, 2, 4, 1, 0]
    assert [item.why.partition("; ")[2] for item in plan.items] == ["v1 sees 2.8 here", "v1 sees 0.9 here", "", "", "v1 sees 0.3 here", "v1 sees none here"]
    assert plan.rows[0].expected == round(2.8 + 0.9 + 0.3 + 4 * 0.2 + 2)
    assert isinstance(plan.predictions, str)
    assert plan.predictions.startswith("Predictions of v1 were used on 4 of 6 pictures")
    assert plan.predictions.endswith("Of the 6 to buy, 1 shows none by them; label.max_images leaves such pictures for later. No prediction becomes a label.")
    assert (len(few.items), few.stops_at) == (2, "the budget is used up")
    assert [shas.index(item.sha256) for item in planned(label()).items] == [2, 4, 1, 0]
    assert [shas.index(item.sha256) for item in without.items] == [0, 1, 2, 3, 4, 5]
    assert b"predictions" not in msgspec.json.encode(without)


def test_pictures_are_not_bought_in_which_a_detector_that_overlooks_little_sees_none_unless_a_person_said_yes(tmp_path: Path) -> None:
    pictures = crawled(6)
    shas = [one.sha256 for one in pictures["hammer"]]
    seen: dict[str, Any] = {"models": dict.fromkeys(shas, "v1"), "boxes": {(shas[2], 1): 1.0}, "sure": frozenset({(shas[2], 1)})}

    def planned(recall: float, *said: Decision) -> Plan:
        sees = Sightings(**seen, recall=recall)
        ledger = read_ledger(tmp_path / "ledger")
        return make_plan(ledger, IDS, TARGETS, label(), Stock(pictures, [], sees=sees, decisions=decisions_of(said)), have=NOTHING)

    good, fair = planned(0.95), planned(0.85)
    reviewed = planned(0.95, decided(pictures["hammer"][4], 1, Verdict.YES, by="Anna", at=datetime(2026, 1, 1, tzinfo=UTC)))

    assert [shas.index(item.sha256) for item in good.items] == [2]
    assert (good.rows[0].candidates, good.rows[0].waiting, good.stops_at.partition(":")[0]) == (1, 6, "no pictures are left for hammer")
    assert "Not bought: 5 in which it sees none of a category of which it overlooks less than a tenth." in str(good.predictions)
    assert [shas.index(item.sha256) for item in fair.items] == [2, 0, 1, 3, 4, 5]
    assert [shas.index(item.sha256) for item in reviewed.items] == [4, 2]


def test_a_reservation_of_a_service_that_is_gone_holds_up_no_purchase_from_another(tmp_path: Path) -> None:
    workforce = Workforce()
    buying = shop(tmp_path, workforce, label())
    workforce.fail_next = "before send"
    with pytest.raises(ConnectionError):
        submit(buying, plan_of(tmp_path, label(), 3))
    (name,) = read_ledger(buying.ledger).jobs
    other = replace(buying, params=msgspec.structs.replace(buying.params, labeler=Labeler(backend="label_studio", trial=0)))

    bought = submit(other, plan_of(tmp_path, label(), 8))

    assert (bought.pictures, list(workforce.sent)) == (5, list(bought.sent))
    assert bought.says == (
        f"job {name} of files (3 pictures, $0.35) is reserved and was never sent: with labeler.backend: files, "
        f"`boxset label submit --yes` sends it and `boxset label cancel {name}` gives it up"
    )
    assert read_ledger(buying.ledger).committed_mills == 8 * 116
    with pytest.raises(BudgetError, match=r"would pass the cap|over the cap"):
        submit(replace(other, params=msgspec.structs.replace(other.params, label=label(budget_usd=0.9))), plan_of(tmp_path, label(), 9))


def test_what_an_interrupted_submit_had_reserved_is_not_sent_past_the_limit_of_this_one(tmp_path: Path) -> None:
    workforce, plan = Workforce(), plan_of(tmp_path, label())
    buying = shop(tmp_path, workforce, label())
    workforce.fail_next = "before send"
    with pytest.raises(ConnectionError):
        submit(buying, plan)
    (name,) = read_ledger(buying.ledger).jobs

    with pytest.raises(BudgetError, match=rf"--max-usd: \$2\.32 is reserved for {name} and not sent yet, more than \$1\.00\. .*without --max-usd.*`boxset label cancel {name}`"):
        submit(buying, plan, max_mills=1000)
    assert workforce.sent == {}
    assert submit(buying, plan, max_mills=2320).sent == (name,)


@pytest.mark.parametrize(
    ("most", "pictures", "says"),
    [
        (50, 0, "nothing bought: a picture costs $0.116"),
        (232, 2, "a trial of 2; look at its answers, then submit again for the other 18"),
        (None, 5, "a trial of 5; look at its answers, then submit again for the other 15"),
    ],
)
def test_a_trial_says_how_many_pictures_were_really_bought(tmp_path: Path, most: int | None, pictures: int, says: str) -> None:
    bought = submit(shop(tmp_path, Workforce(), label(), trial=5), plan_of(tmp_path, label()), max_mills=most)

    assert (bought.pictures, bought.says) == (pictures, says)


def test_lines_that_were_lost_after_they_were_merged_are_to_be_put_back_and_not_pulled(clones: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    ann, _ = clones
    submit(shop(ann, Workforce(), label()), plan_of(ann, label(), 3))
    commit(ann)
    git(ann, "push", "-q", "origin", "HEAD:main")
    git(ann, "fetch", "-q")
    (ann / "ledger" / PURCHASES).unlink()
    monkeypatch.chdir(ann)
    workforce = Workforce()

    says = r"origin/main has 5 lines.*`git diff origin/main -- ledger` shows them: they were here and are lost; put them back, or push what you took out"
    with pytest.raises(ProjectError, match=says) as raised:
        submit(replace(shop(ann, workforce, label()), upstreams=_upstreams()), plan_of(ann, label(), 6))
    assert "git pull" not in str(raised.value)
    assert workforce.sent == {}


def test_pictures_of_jobs_that_were_stopped_before_anybody_drew_can_be_bought_however_often_that_was(tmp_path: Path) -> None:
    workforce = Workforce()
    buying = shop(tmp_path, workforce, label())
    for _ in range(3):
        (name,) = submit(buying, plan_of(tmp_path, label(), 4)).sent
        workforce.sent[name].clear()
        workforce.states = ["open", "open"]
        cancel(buying)

    assert len(plan_of(tmp_path, label(), 4).items) == 4


def test_two_lines_on_one_picture_of_a_job_are_read_alike_in_any_order(tmp_path: Path) -> None:
    submit(shop(tmp_path, Workforce(), label()), plan_of(tmp_path, label(), 2))
    path = tmp_path / "ledger" / PURCHASES
    lines = path.read_text().splitlines(keepends=True)
    lines.append(lines[1].replace('"width":400', '"width":800'))
    assert lines[-1] != lines[1]

    found = []
    for some in (lines, lines[::-1]):
        path.write_text("".join(some))
        found.append({asked.sha256: asked.width for job in read_ledger(tmp_path / "ledger").jobs.values() for asked in job.asked})

    assert found[0] == found[1]


@pytest.mark.parametrize("event", ["closed", "billed", "reserved"])
def test_a_line_that_would_give_money_back_is_refused_by_file_and_line(tmp_path: Path, event: str) -> None:
    submit(shop(tmp_path, Workforce(), label()), plan_of(tmp_path, label(), 2))
    path = tmp_path / "ledger" / PURCHASES
    text, (name,) = path.read_text(), read_ledger(tmp_path / "ledger").jobs
    line = {
        "closed": f'{{"event":"closed","state":"completed","cost_mills":-90000,"job":"{name}"}}\n',
        "billed": f'{{"event":"billed","cost_mills":-1,"job":"{name}"}}\n',
        "reserved": text.splitlines(keepends=True)[0].replace('"worst_mills":232', '"worst_mills":-232'),
    }[event]
    path.write_text(text + line)

    with pytest.raises(InputError, match=rf"{PURCHASES}:5: not a line of the ledger: Expected `int` >= 0"):
        read_ledger(tmp_path / "ledger")


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ({"car": Category(id=1, target=9), "saw": Category(id=2, target=0)}, "asked about hammer under the id 1, which is car's in params.yaml"),
        ({"hammer": Category(id=7, target=9), "saw": Category(id=2, target=0)}, "asked about hammer under the id 1, and hammer has 7 in params.yaml"),
    ],
)
def test_a_ledger_in_which_an_id_is_another_categorys_is_refused(tmp_path: Path, names: dict[str, Category], says: str) -> None:
    (name,) = submit(shop(tmp_path, Workforce(), label()), plan_of(tmp_path, label(), 2)).sent
    ledger = read_ledger(tmp_path / "ledger")

    check_ids(ledger, {word: one.id for word, one in CATEGORIES.items()})
    check_ids(ledger, {"saw": 2, "axe": 3})  # the hammer was given up
    with pytest.raises(InputError, match=f"ledger: job {name} {says}"):
        check_ids(ledger, {word: one.id for word, one in names.items()})


def test_status_writes_whole_names_and_says_what_becomes_of_jobs_that_nobody_has(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    workforce = Workforce()
    buying = shop(tmp_path, workforce, label())
    (gone,) = submit(buying, plan_of(tmp_path, label(), 2)).sent
    workforce.sent.clear()
    workforce.fail_next = "before send"
    with pytest.raises(ConnectionError):
        submit(buying, plan_of(tmp_path, label(), 4))
    (kept,) = set(read_ledger(buying.ledger).jobs) - {gone}

    status_table(read_ledger(buying.ledger), status(workforce, read_ledger(buying.ledger)), budget_usd=100.0)

    shown = capsys.readouterr().out
    rows = [line.split() for line in shown.splitlines() if line.endswith("$0.23")]
    assert [row[:3] for row in rows] == sorted([[gone, "elsewhere", "2"], [kept, "reserved", "2"]])
    assert f"{kept} is reserved and was never sent: `boxset label submit --yes` sends it, `boxset label cancel {kept}` gives it up" in shown
    do = f"collect it in the clone or with the settings that bought it, or give it up with `boxset label cancel {gone}`"
    assert f"{gone} was sent with labeler.backend: files, which does not know it here: {do}" in shown


def test_status_says_why_a_job_failed_in_the_services_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    buying = shop(tmp_path, Workforce(), label())
    (name,) = submit(buying, plan_of(tmp_path, label(), 2)).sent

    status_table(read_ledger(buying.ledger), {name: Progress("failed", detail="ClientError: [cannot] read the manifest")}, budget_usd=100.0)

    assert f"{name} (failed): ClientError: [cannot] read the manifest" in capsys.readouterr().out


def test_a_shown_plan_says_its_cost_and_what_it_would_be_without_its_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan_table(plan_of(tmp_path, label(budget_usd=0.25)))

    shown = capsys.readouterr().out
    assert [line.split()[-3:-1] for line in shown.splitlines() if line.startswith("hammer")] == [["$0.23", "$0.116"]]
    assert "2 pictures, 1 worker each, $0.116 a picture: $0.23 at the most\n" in shown
    assert "budget $0.25, spent or reserved $0.00. It stops because the budget is used up.\n" in shown
    wanting = "no pictures are left for hammer: add queries, or raise crawl_images"
    assert f"without that limit it would be 20 pictures, $2.32 at the most, and stop because {wanting}\n" in shown
    plan_table(plan_of(tmp_path, label()))
    assert "without that limit" not in capsys.readouterr().out


@pytest.mark.parametrize("state", ["open", "completed"])
def test_cancel_tells_what_is_stopped_from_what_the_service_is_still_stopping(tmp_path: Path, state: str) -> None:
    workforce = Workforce()
    buying = shop(tmp_path, workforce, label())
    (name,) = submit(buying, plan_of(tmp_path, label(), 2)).sent
    workforce.states = ["open", "open"]
    workforce.cancel = lambda job: bool(workforce.states.extend([state] * 9))  # type: ignore[method-assign]

    cancel(buying)

    says = {"open": [f"stopping  {name}: the service has been told; `boxset label collect` closes it"], "completed": [f"stopped  {name}"]}
    assert stopped_lines(read_ledger(buying.ledger), [name]) == says[state]


def test_a_plans_sentences_are_not_broken_where_no_terminal_is(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")

    plan_table(plan_of(tmp_path, label()))

    shown = capsys.readouterr().out.splitlines()
    assert "budget $100.00, spent or reserved $0.00. It stops because no pictures are left for hammer: add queries, or raise crawl_images." in shown
    assert "20 pictures, 1 worker each, $0.116 a picture: $2.32 at the most" in shown


def test_cancel_names_what_it_would_stop_before_it_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("world: live\nproject: {name: tools}\ncategories: {hammer: {id: 1, target: 5}}\nsources: {}\n")
    nothing = CliRunner().invoke(cli, ["label", "cancel"], input="n\n").output
    (name,) = submit(shop(tmp_path, Workforce(), label()), plan_of(tmp_path, label(), 2)).sent
    before = read_ledger(Path("ledger"))

    asked = CliRunner().invoke(cli, ["label", "cancel"], input="n\n").output

    assert asked.splitlines()[:2] == [f"{name}: 0 of 2 pictures answered", "Stop this job? [y/N]: n"]
    assert "Stop" not in nothing
    assert read_ledger(Path("ledger")) == before


def test_who_waits_for_answers_sees_how_far_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("world: live\nproject: {name: tools}\ncategories: {hammer: {id: 1, target: 5}, saw: {id: 2, target: 5}}\nsources: {}\n")
    (name,) = submit(shop(tmp_path, Workforce(), label()), plan_of(tmp_path, label(), 2)).sent
    Path("labelling", name, "tasks/annotations").mkdir(parents=True)
    images = enumerate(read_ledger(Path("ledger")).jobs[name].asked, 1)
    asked = [{"id": n, "file_name": one.file_name, "width": one.width, "height": one.height} for n, one in images]
    waits = iter([[], asked[:1], asked])

    def work(_: float) -> None:
        write_json(Path("labelling", name, "results/a.json"), {"images": next(waits), "annotations": [], "categories": []})

    monkeypatch.setattr("time.sleep", work)

    said = CliRunner().invoke(cli, ["label", "collect", "--wait"]).output.splitlines()

    assert said[:2] == [f"{name}: 0 of 2 pictures answered", f"{name}: 1 of 2 pictures answered"]
    assert said[-1] == "2 new answers in ledger/ : commit it, then `dvc repro`"
    assert not [line for line in said[2:] if "pictures answered" in line]


def test_cancel_without_anything_to_stop_says_so(tmp_path: Path) -> None:
    workforce = Workforce()
    buying = shop(tmp_path, workforce, label())
    assert stopped_lines(read_ledger(buying.ledger), cancel(buying)) == ["nothing to stop: no job is open"]

    (name,) = submit(buying, plan_of(tmp_path, label(), 2)).sent
    workforce.sent.clear()
    words = f"nothing was stopped: the service does not know {name}. By name they can be given up: `boxset label cancel {name}`"
    assert stopped_lines(read_ledger(buying.ledger), cancel(buying)) == [words]


def test_a_branch_of_ones_own_waits_for_the_main_branch_of_a_remote_of_any_name_and_no_other_remotes(clones: list[Path]) -> None:
    _, bob = clones
    git(bob, "checkout", "-q", "-b", "feature", "--no-track")

    git(bob, "remote", "rename", "origin", "github")
    assert list(upstreams(bob, [])) == ["github/main"]
    git(bob, "remote", "add", "template", "../ann")
    git(bob, "fetch", "-q", "template")
    assert list(upstreams(bob, [])) == []
    git(bob, "branch", "-q", "-u", "github/main")
    assert list(upstreams(bob, [])) == ["github/main"]
    git(bob, "remote", "rename", "github", "origin")
    assert list(upstreams(bob, [])) == ["origin/main"]


GREY_GRID = "80" * 48


@pytest.mark.parametrize(
    ("bits", "more", "boxes"),
    [
        (4, {}, 1),
        (6, {}, 1),  # as far as a copy is not bought again
        (6, {"width": 800, "height": 600}, 1),
        (6, {"height": 290}, 0),  # cut: its boxes would lie beside
        (6, {"grid": "8b" * 48}, 0),  # another light, or another moment
        (4, {"height": 290}, 1),
        (7, {}, 0),
    ],
)
def test_what_was_paid_reaches_a_copy_as_far_off_as_keeps_it_from_being_bought_again(tmp_path: Path, bits: int, more: dict[str, Any], boxes: int) -> None:
    paid = picture(1, source="crawl", category="hammer", grid=GREY_GRID)
    copy = msgspec.structs.replace(paid, sha256="e" * 64, phash=f"{int(paid.phash, 16) ^ sum(1 << 7 * n for n in range(bits)):016x}", **more)
    nearest = msgspec.structs.replace(copy, sha256="f" * 64, phash=f"{int(paid.phash, 16) ^ 1:016x}")
    asked = Asked(job="tools-1", sha256=paid.sha256, file_name="a", width=400, height=300, phash=paid.phash, grid=paid.grid)

    assert len(places([asked], [copy])) == boxes
    assert places([asked], [copy, nearest]) == {paid.sha256: nearest}
