"""Nothing is paid twice or over budget, for the whole team: random walks of clones, and what the walks have found, each alone."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from boxset.errors import ProjectError
from boxset.labeling.ledger import PURCHASES
from boxset.labeling.price import cap_mills
from boxset.labeling.standing import faults
from tests.team import Clone, Fuse, Killed, Team, in_place, photos
from tests.walk import FRESH, walk

PRICE = 116  # mills a picture
Play = Callable[..., Team]


@pytest.mark.parametrize("seed", range(24))
def test_a_team_that_does_anything_in_any_order_pays_nothing_twice_and_loses_nothing(seed: int) -> None:
    found = walk(seed)

    assert found.team.truth.wrong == [], "\n".join(found.log)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """Let ann and bob share a project with a backend, and a bucket or none."""
    with ExitStack() as stack:

        def begin(backend: str, bucket: str = "") -> Team:
            params = json.loads(json.dumps(FRESH))
            params["project"]["bucket"], params["labeler"] = bucket, {**params["labeler"], "backend": backend, "trial": 0}
            pictures = [one for one in photos("hammer", 7) if one.sha256[-1] == "0"]
            team = Team(tmp_path, params, {"ann": pictures, "bob": pictures})
            stack.enter_context(in_place(team))
            return team

        yield begin


def buy(team: Team, clone: Clone, *more: str) -> str:
    """Plan and submit; return the job that was sent."""
    team.repro(clone)
    said = team.run(clone, "submit", "--yes", *more)
    return next(line.split()[1].rstrip(":") for line in said.splitlines() if line.startswith("sent"))


def share(team: Team, *clones: Clone) -> None:
    """Pull and push, in this order."""
    for clone in clones:
        team.pull(clone)
        team.push(clone)


def killed(team: Team, clone: Clone, where: str) -> str:
    """Submit, and be killed right before a request; return the job that is reserved."""
    team.repro(clone)
    request = team.request

    def dies(what: str, error: Exception | None = None) -> object:
        if what == where:
            raise Killed
        return request(what, error)

    team.request = dies  # type: ignore[assignment, method-assign]
    with pytest.raises(Killed):
        team.run(clone, "submit", "--yes")
    team.request = request  # type: ignore[method-assign]
    return next(name for name, job in clone.ledger.jobs.items() if not job.is_sent and not job.closed)


def test_a_line_that_a_kill_cut_short_stops_nobody_after_a_merge(play: Play) -> None:
    team = play("files")
    ann, bob = team.clones.values()
    buy(team, bob)
    (ann.root / "ledger").mkdir()
    (ann.root / "ledger" / PURCHASES).write_bytes(b'{"event":"reserved","job":"tools-0123456789abcdef","back')
    share(team, bob, ann, bob)

    lines = (bob.root / "ledger" / PURCHASES).read_bytes().splitlines()
    assert sum(line.endswith(b"back") for line in lines[:-1]) == 1
    assert len(bob.ledger.jobs) == 1


@pytest.mark.parametrize("backend", ["files", "ground_truth", "label_studio"])
def test_a_job_that_is_given_up_where_nobody_can_look_counts_at_its_worst(play: Play, backend: str) -> None:
    team = play(backend)
    ann, bob = team.clones.values()
    job = buy(team, ann)
    share(team, ann, bob)
    team.sagemaker.jobs.clear()  # of another account, as it were
    team.studio.projects.clear()

    team.run(bob, "cancel", "--yes", job)

    assert (bob.ledger.jobs[job].closed is not None, bob.ledger.committed_mills) == (True, 7 * PRICE)


def test_copies_of_one_picture_that_two_clones_bought_are_named(play: Play) -> None:
    team = play("files")
    ann, bob = team.clones.values()
    bob.pictures = [one for one in photos("hammer", 7) if one.sha256[-1] == "1"]
    team.put_pictures(bob)
    jobs = sorted(buy(team, clone) for clone in (ann, bob))
    share(team, ann, bob)

    assert faults(bob.ledger, cap_mills=cap_mills(9)) == (
        f"7 pictures were asked more than once, by {jobs[0]} and {jobs[1]}; `boxset label cancel {jobs[0]}` stops one",
    )


def test_a_copy_that_is_asked_about_a_new_category_is_not_named(play: Play) -> None:
    team = play("files")
    ann, _ = team.clones.values()
    ann.params["label"]["old_pictures"] = "all"
    buy(team, ann)
    ann.pictures = [one for one in photos("hammer", 7) if one.sha256[-1] == "1"]
    team.put_pictures(ann)
    ann.params["categories"]["axe"] = {"id": 3, "target": 9}
    team.set_params(ann)

    buy(team, ann)

    assert len(ann.ledger.jobs) == 2
    assert faults(ann.ledger, cap_mills=cap_mills(9)) == ()


def test_a_reservation_is_not_sent_of_which_another_job_has_asked_pictures_meanwhile(play: Play) -> None:
    team = play("ground_truth")
    ann, bob = team.clones.values()
    job = killed(team, ann, "create job")
    buy(team, bob, "--max-usd", "0.4")
    share(team, bob, ann)

    with pytest.raises(ProjectError, match=rf"job {job} was reserved and not sent, and another one has asked 3 of its pictures meanwhile.*`boxset label cancel {job}`"):
        team.run(ann, "submit", "--yes")
    team.run(ann, "cancel", "--yes", job)

    buy(team, ann)
    assert team.truth.wrong == []


@pytest.mark.parametrize("backend", ["ground_truth", "label_studio"])
def test_what_a_colleague_buys_while_the_pictures_go_out_stops_the_purchase(play: Play, backend: str) -> None:
    team = play(backend)
    ann, bob = team.clones.values()
    team.repro(ann)
    team.fuse = Fuse(3, "meanwhile", then=lambda: buy(team, bob, "--max-usd", "0.4"))

    with pytest.raises(ProjectError, match=r"the service has a job \S+ that the ledger does not know"):
        team.run(ann, "submit", "--yes")

    assert {ask.by for ask in team.truth.asks} == {"bob"}


@pytest.mark.parametrize(("backend", "bucket"), [("files", "s3://team/project"), ("ground_truth", ""), ("label_studio", ""), ("label_studio", "s3://team/project")])
def test_a_job_that_a_lost_machine_has_sent_can_be_adopted_and_is_the_same_when_it_comes_back(play: Play, backend: str, bucket: str) -> None:
    team = play(backend, bucket)
    ann, bob = team.clones.values()
    job = buy(team, ann)
    team.repro(bob)
    with pytest.raises(ProjectError, match=rf"{job}\b"):
        team.run(bob, "submit", "--yes")

    assert team.run(bob, "adopt", job) == f"adopted  {job}: 7 pictures in ledger/ : commit it, then `boxset label collect`\n"

    assert bob.ledger == ann.ledger
    with pytest.raises(ProjectError, match="the ledger has this job, sent"):
        team.run(bob, "adopt", job)
    for ask in team.truth.asks:
        ask.state = "answered"
    team.run(bob, "collect")
    assert (len(bob.ledger.jobs[job].answers), bob.ledger.committed_mills) == (7 * (backend != "files"), 7 * PRICE)
    share(team, ann, bob, ann)
    assert ann.ledger == bob.ledger


def test_what_nobody_has_sent_is_not_adopted(play: Play) -> None:
    team = play("ground_truth", "s3://team/project")
    ann, bob = team.clones.values()
    job = killed(team, ann, "create job")

    with pytest.raises(ProjectError, match=rf"{job}: neither project.bucket nor ground_truth has the lines of a job of this name that was sent.*boxset label release"):
        team.run(bob, "adopt", job)


def test_with_files_alone_a_reservation_is_sent_by_the_clone_that_made_it_and_holds_up_no_other(play: Play) -> None:
    team = play("files")
    ann, bob = team.clones.values()
    ann.params["label"]["max_images"] = 3
    team.set_params(ann)
    job = killed(team, ann, "tasks")
    share(team, ann, bob)

    team.repro(bob)
    said = team.run(bob, "submit", "--yes")

    assert f"job {job} of files (3 pictures, $0.35) was reserved in another clone, and is sent there; `boxset label cancel {job}` gives it up" in said
    assert [ask.job for ask in team.truth.asks] == [line.split()[1].rstrip(":") for line in said.splitlines() if line.startswith("sent")] * 4
    assert buy(team, ann) == job
    share(team, bob, ann)
    assert (team.truth.wrong, ann.ledger.committed_mills) == ([], 7 * PRICE)


def test_two_clones_that_asked_old_pictures_about_different_new_categories_are_named(play: Play) -> None:
    team = play("files")
    ann, bob = team.clones.values()
    for clone in (ann, bob):
        clone.params["label"]["old_pictures"] = "all"
        buy(team, clone)
        clone.params["categories"] |= {"ann": {"axe": {"id": 3, "target": 9}}, "bob": {"rake": {"id": 4, "target": 9}}}[clone.name]
        team.set_params(clone)
    jobs = [*ann.ledger.jobs, *bob.ledger.jobs, buy(team, ann), buy(team, bob)]
    team.run(bob, "cancel", "--yes", jobs[1])
    share(team, ann, bob, ann)

    assert all(job in "".join(faults(ann.ledger, cap_mills=cap_mills(9))) for job in (jobs[2], jobs[3]))


def test_what_a_killed_submit_had_handed_out_is_collected_when_it_is_done_though_no_submit_may_run(play: Play) -> None:
    team = play("ground_truth")
    ann, _ = team.clones.values()
    team.repro(ann)
    create = team.sagemaker.create_labeling_job

    def dies(**request: object) -> None:
        create(**request)
        raise Killed

    team.sagemaker.create_labeling_job = dies  # type: ignore[method-assign]
    with pytest.raises(Killed):
        team.run(ann, "submit", "--yes")
    for ask in team.truth.asks:
        ask.state = "answered"
    team.sagemaker.move_on()

    team.run(ann, "collect")

    (job,) = ann.ledger.jobs.values()
    assert (len(job.answers), job.closed and job.closed.state) == (7, "completed")


def test_pictures_of_an_adopted_job_can_be_claimed_anew_though_what_its_machine_had_given_up_is_lost(play: Play) -> None:
    team = play("ground_truth", "s3://team/project")
    ann, bob = team.clones.values()
    given_up = killed(team, ann, "create job")
    team.run(ann, "cancel", "--yes", given_up)
    job = buy(team, ann)
    team.run(bob, "adopt", job)
    team.run(bob, "cancel", "--yes", job)
    team.sagemaker.move_on()
    team.run(bob, "collect")
    team.run(bob, "release", given_up, "--yes", "--lost")

    assert buy(team, bob) != job
    assert team.truth.wrong == []


def test_a_job_that_two_clones_reserved_at_different_prices_costs_what_was_done_at_the_higher(play: Play) -> None:
    team = play("ground_truth")
    ann, bob = team.clones.values()
    killed(team, ann, "create job")
    bob.params["label"]["workers"] = 2
    team.set_params(bob)
    buy(team, bob)
    for ask in team.truth.asks:
        ask.state = "answered"
    team.sagemaker.move_on()
    team.run(ann, "collect")
    share(team, ann, bob)

    assert (len(bob.ledger.jobs), bob.ledger.committed_mills) == (1, 7 * 152)


def test_the_same_pictures_bought_from_two_services_are_two_jobs(play: Play) -> None:
    team = play("ground_truth")
    ann, bob = team.clones.values()
    job = killed(team, ann, "create job")
    bob.params["labeler"]["backend"] = "label_studio"
    team.set_params(bob)

    assert buy(team, bob) != job
