"""Releasing what a lost machine claimed: only what was never sent, and of a release and a submit exactly one wins. The server is moto's, or the stand-in."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import msgspec
import pytest

from boxset.endpoints import Endpoints
from boxset.errors import BoxsetError, ProjectError, ServiceError
from boxset.labeling.claims import Claim, Claims, Read, Ticket
from boxset.labeling.files import Folder as Files
from boxset.labeling.ground_truth import GroundTruth
from boxset.labeling.ledger import PURCHASES, Ledger, Reserved, append, read_ledger
from boxset.labeling.plan import Stock, make_plan
from boxset.labeling.purchase import Shop, cancel, submit
from boxset.labeling.release import release, unsettled
from boxset.params import Label, Labeler, Params, Project
from boxset.world.server import serving
from tests.buckets import bucket_of, claimed, without_conditional_deletes
from tests.build import IDS
from tests.outside import Asked as OutsideAsked
from tests.outside import Reply, outside
from tests.project import Project as Folder
from tests.test_check import ROLE, TEAM
from tests.test_claims import asked
from tests.test_labeling import CATEGORIES, NOTHING, TARGETS, Workforce, crawled, label
from tests.test_results import in_json, label_studio

PRICE = 36 + 80  # mills a picture


class Hooked(Workforce):
    """A service of which a test may do something in the middle of a call."""

    def __init__(self) -> None:
        super().__init__()
        self.when_listed: Callable[[], None] = lambda: None
        self.when_told: Callable[[], None] = lambda: None

    def jobs(self, prefix: str) -> list[str]:
        found, then, self.when_listed = super().jobs(prefix), self.when_listed, lambda: None
        then()
        return found

    def send(self, reserved: Reserved, asked: Any, pictures: Any, last_look: Callable[[], None] = lambda: None) -> None:
        then, self.when_told = self.when_told, lambda: None
        then()
        super().send(reserved, asked, pictures, last_look)


class Team:
    """Clones of a project that share a bucket and a service."""

    def __init__(self, server: str, folder: Path, *, deletes: bool) -> None:
        self.server, self.folder, self.deletes = server, folder, deletes
        self.s3, self.bucket = bucket_of(server)
        self.service = Hooked()

    def clone(self, name: str, **labeler: Any) -> Shop:
        """A clone with a ledger of its own, which nobody else has."""
        root = self.folder / name
        root.mkdir(exist_ok=True)
        (root / "picture.jpg").write_bytes(b"x")
        set_ = Labeler(**{"trial": 0, "backend": "label_studio", "url": "http://studio.example", **labeler})
        project = Project(name="tools", bucket=f"s3://{self.bucket}/team")
        params = Params(world="live", project=project, categories=CATEGORIES, sources={}, label=label(), labeler=set_)
        claims = Claims(params, Endpoints(aws=self.server), root / "claims.json", who=name, at="2026-11-26T10:00:00Z")
        claims = claims if self.deletes else without_conditional_deletes(claims)
        return Shop(root / "ledger", params, self.service, lambda _: root / "picture.jpg", claims)

    def keys(self) -> list[str]:
        """What is claimed, by the last part of its key."""
        return claimed(self.s3, self.bucket)

    def ticket(self, job: str) -> Ticket:
        return msgspec.json.decode(self.s3.get_object(Bucket=self.bucket, Key=f"team/claims/jobs/{job}")["Body"].read(), type=Ticket)


@pytest.fixture(params=[True, False], ids=["deletes on a condition", "cannot delete on a condition"])
def team(request: pytest.FixtureRequest, s3_server: str, tmp_path: Path) -> Iterator[Team]:
    team = Team(s3_server, tmp_path, deletes=request.param)
    yield team
    team.s3.close()


def ledger(shop: Shop) -> Ledger:
    return read_ledger(shop.ledger)


def buy(shop: Shop, count: int) -> tuple[str, ...]:
    """Submit a plan of so many pictures; plans of other sizes have the same pictures and other names."""
    plan = make_plan(ledger(shop), IDS, TARGETS, Label(budget_usd=100.0, workers=1), Stock(crawled(count), []), have=NOTHING)
    return submit(shop, plan).sent


def pull(shop: Shop, other: Shop) -> None:
    """Merge another clone's ledger."""
    with (shop.ledger / PURCHASES).open("ab") as out:
        out.write((other.ledger / PURCHASES).read_bytes())


def lose(team: Team, shop: Shop, count: int = 2, *, where: str = "before send") -> str:
    """Let a submit be killed where it has claimed and reserved and not sent yet; return its job."""
    team.service.fail_next = where
    with pytest.raises(ConnectionError, match=where):
        buy(shop, count)
    return next(iter(ledger(shop).jobs))


def test_what_a_lost_machine_claimed_is_listed_released_and_bought_by_another_and_never_paid_twice(team: Team) -> None:
    ann, bob = team.clone("ann"), team.clone("bob")
    job = lose(team, ann)
    with pytest.raises(ProjectError, match=f"claimed by job {job}.*boxset label release {job}"):
        buy(bob, 3)

    (shown,) = unsettled(bob)
    assert (shown.job, shown.state, shown.who, shown.at, shown.pictures, shown.worst_mills) == (job, "claimed", "ann", "2026-11-26T10:00:00Z", 2, 2 * PRICE)
    release(bob, [job])
    assert len(team.keys()) == 4
    release(bob, [job], is_sure=True)

    assert (team.keys(), unsettled(bob)) == ([], ())
    (bought,) = buy(bob, 3)
    pull(ann, bob)
    with pytest.raises(ProjectError, match=f"job {job} is not sent: its claims were released by bob at 2026-11-26 10:00 UTC.*boxset label cancel {job}"):
        buy(ann, 2)
    assert list(team.service.sent) == [bought]
    cancel(ann, [job])
    assert (ledger(ann).jobs[job].is_withdrawn, ledger(ann).committed_mills) == (True, 3 * PRICE)
    assert list(team.service.sent) == [bought]


def test_folders_that_somebody_made_in_the_bucket_hide_no_claim(team: Team) -> None:
    ann, bob = team.clone("ann"), team.clone("bob")
    job = lose(team, ann)
    for folder in ("team/claims/", "team/claims/jobs/", "team/claims/1/"):
        team.s3.put_object(Bucket=team.bucket, Key=folder, Body=b"")

    assert [one.job for one in unsettled(bob)] == [job]
    release(bob, [job], is_sure=True)

    assert unsettled(bob) == ()


def test_a_job_that_the_ledger_has_is_not_released(team: Team) -> None:
    ann = team.clone("ann")
    job = lose(team, ann)

    with pytest.raises(ProjectError, match=f"the ledger has this job, reserved and not sent yet. `boxset label cancel {job}`"):
        release(ann, [job], is_sure=True)
    assert [ticket.job for ticket in unsettled(ann)] == [job]
    buy(ann, 2)
    with pytest.raises(ProjectError, match="the ledger has this job, sent"):
        release(ann, [job], is_sure=True)

    assert (unsettled(ann), len(team.keys()), team.ticket(job).state) == ((), 4, "sent")


def test_a_job_that_the_service_has_is_not_released_whatever_is_stated(team: Team) -> None:
    ann, bob = team.clone("ann"), team.clone("bob")
    job = lose(team, ann, where="after send")

    with pytest.raises(ProjectError, match=f"{job}: the service has this job"):
        release(bob, [job], lost=True, is_sure=True)

    assert (len(team.keys()), team.ticket(job).state) == (4, "sending")
    assert buy(ann, 2) == (job,)
    assert (list(team.service.sent), team.ticket(job).state) == ([job], "sent")


def test_nothing_is_released_while_the_service_cannot_be_asked(team: Team) -> None:
    ann, bob = team.clone("ann"), team.clone("bob")
    job = lose(team, ann)

    def down() -> None:
        raise ServiceError("does not answer")

    team.service.when_listed = down
    with pytest.raises(ServiceError, match="does not answer"):
        release(bob, [job], lost=True, is_sure=True)

    assert len(team.keys()) == 4


def test_nothing_is_released_at_another_service_than_it_was_claimed_for(team: Team) -> None:
    job = lose(team, team.clone("ann"))
    bob = team.clone("bob", url="http://other.example")

    with pytest.raises(ProjectError, match=r"it is one of label_studio \(http://studio.example\), and labeler in params.yaml is label_studio \(http://other"):
        release(bob, [job], lost=True, is_sure=True)


def test_nothing_is_released_while_the_upstream_has_purchases_that_are_not_here(team: Team) -> None:
    from boxset.labeling.purchase import Upstream

    job = lose(team, team.clone("ann"))
    bob = replace(team.clone("bob"), upstreams=(Upstream("origin/main", frozenset({b'{"a":1}'})),))

    with pytest.raises(ProjectError, match="origin/main has 1 line that this clone's ledger has not"):
        release(bob, [job], is_sure=True)


def test_with_files_somebody_must_state_that_nobody_was_given_the_tasks(team: Team) -> None:
    ann, bob = team.clone("ann", backend="files"), team.clone("bob", backend="files")
    team.service.is_shared = False
    job = lose(team, ann)

    with pytest.raises(ProjectError, match=r"with `files` nobody can look whether its tasks went out\. Ask ann; if its machine is lost.*--lost"):
        release(bob, [job], is_sure=True)
    release(bob, [job], lost=True, is_sure=True)

    assert team.keys() == []
    with pytest.raises(ProjectError, match="released by bob"):
        buy(ann, 2)


def test_a_job_whose_owner_was_about_to_tell_the_service_needs_a_statement(team: Team) -> None:
    ann, bob = team.clone("ann"), team.clone("bob")
    job = lose(team, ann)
    assert ann.claims is not None
    owned = ledger(ann).jobs[job]
    ann.claims.going(owned.reserved, owned.asked, goes_on=False)

    with pytest.raises(ProjectError, match="its owner was about to tell the service"):
        release(bob, [job], is_sure=True)
    release(bob, [job], lost=True, is_sure=True)

    assert team.keys() == []


def test_another_projects_job_and_a_name_that_is_none_are_refused(team: Team) -> None:
    bob = team.clone("bob")
    lost = lose(team, team.clone("ann"))

    with pytest.raises(ProjectError, match=r"this is no job of this project.*begin with tools-"):
        release(bob, ["other-0123456789abcdef"])
    with pytest.raises(ProjectError, match="nothing is claimed for a job of this name; did you mean"):
        release(bob, [f"{lost[:-1]}{'0' if lost[-1] != '0' else '1'}"])


def test_without_a_teams_bucket_there_is_nothing_to_release(team: Team) -> None:
    with pytest.raises(ProjectError, match=r"project\.bucket is empty"):
        unsettled(replace(team.clone("bob"), claims=None))


# a release and a submit at once


def test_an_owner_who_goes_on_while_the_service_is_asked_wins(team: Team) -> None:
    ann, bob = team.clone("ann"), team.clone("bob")
    job = lose(team, ann)
    team.service.when_listed = lambda: _went(ann, job)

    with pytest.raises(ProjectError, match="is not released: somebody has gone on with it just now"):
        release(bob, [job], is_sure=True)

    assert (list(team.service.sent), len(team.keys()), team.ticket(job).state) == ([job], 4, "sent")


def _went(shop: Shop, job: str) -> None:
    assert buy(shop, 2) == (job,)


def test_a_release_while_the_owner_hands_the_pictures_over_wins_and_nothing_is_sent(team: Team) -> None:
    ann, bob = team.clone("ann"), team.clone("bob")
    job = lose(team, ann)
    team.service.when_told = lambda: _released(bob, job)

    with pytest.raises(ProjectError, match="is not sent: its claims were released by bob"):
        buy(ann, 2)

    assert (team.service.sent, team.keys()) == ({}, [])


def _released(shop: Shop, job: str) -> None:
    release(shop, [job], is_sure=True)


def test_a_release_while_the_owner_is_still_claiming_stops_the_purchase_before_the_ledger(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = team.clone("ann"), team.clone("bob")
    take, taken = Claims._take, list[str]()

    def slowly(self: Claims, key: str, own: Claim) -> None:
        taken.append(key)
        if len(taken) == 2:
            _released(bob, own.job)
        take(self, key, own)

    monkeypatch.setattr(Claims, "_take", slowly)
    with pytest.raises(ProjectError, match="is not sent: its claims were released by bob"):
        buy(ann, 2)

    assert (ledger(ann).jobs, team.service.sent, team.keys(), unsettled(bob)) == ({}, {}, [], ())


def test_of_a_release_and_a_submit_at_the_same_moment_exactly_one_wins(tmp_path: Path) -> None:
    with serving(tmp_path / "world") as server:
        team = Team(server, tmp_path, deletes=True)
        ann, bob = team.clone("ann"), team.clone("bob")
        assert ann.claims is not None
        assert bob.claims is not None
        for round_ in range(12):
            reserved, pictures = Reserved(job=f"tools-{round_:016x}", backend="files", version=1, categories={"hammer": 1}, pictures=1, worst_mills=1), asked(f"p{round_}")
            with ann.claims.held(reserved, pictures):
                pass
            (read,) = [one for one in bob.claims.unsettled([], []) if one.ticket.state == "claimed"]
            won = _both(lambda reserved=reserved, pictures=pictures: ann.claims.going(reserved, pictures, goes_on=False), lambda read=read: bob.claims.release(read))

            assert sorted(won) in ([False, True],)
            assert team.ticket(reserved.job).state == ("sending" if won[0] else "released")
        team.s3.close()


def _both(*calls: Callable[[], None]) -> list[bool]:
    """Call at the same moment, each in a thread; return which ended well."""
    start, won = Barrier(len(calls)), [False] * len(calls)

    def run(place: int) -> None:
        start.wait()
        try:
            calls[place]()
            won[place] = True
        except BoxsetError:
            pass

    threads = [Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


def refuse() -> None:
    raise ProjectError("released")


def test_no_service_is_told_of_a_job_that_was_released_at_the_last_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def answer(asked_: OutsideAsked) -> Reply:
        told.append(asked_.path)
        return in_json([])

    there, reserved = tmp_path / "picture.jpg", Reserved(job="tools-1", backend="files", version=1, categories={"hammer": 1}, pictures=1, worst_mills=1)
    there.write_bytes(b"x")
    aws = {"backend": "ground_truth", "bucket": "s3://boxset-embedded/jobs", "role_arn": ROLE, "workteam_arn": TEAM}
    params = Params(
        world="live", project=Project(name="tools"), categories=CATEGORIES, sources={}, label=label(), labeler=Labeler(folder=str(tmp_path / "out"), **aws)
    )
    with outside(answer) as world, serving(tmp_path / "world") as gateway:
        services = {"label_studio": label_studio(world, monkeypatch), "files": Files(params), "ground_truth": GroundTruth(params, Endpoints(gateway=gateway, aws=gateway))}
        for service in services.values():
            with pytest.raises(ProjectError, match="released"):
                service.send(reserved, asked("p1"), {"p1": there}, refuse)

        assert {path for path in told if path != "/api/projects"} == set()
        assert (services["files"].jobs("tools-"), services["ground_truth"].jobs("tools-")) == ([], [])
        for name in ("files", "ground_truth"):
            services[name].send(reserved, asked("p1"), {"p1": there})
        assert (services["files"].jobs("tools-"), services["ground_truth"].jobs("tools-")) == (["tools-1"], ["tools-1"])


# what was left half done


def test_a_release_that_was_killed_is_ended_by_the_next_and_the_owner_sends_nothing_meanwhile(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob, eve = team.clone("ann"), team.clone("bob"), team.clone("eve")
    job = lose(team, ann)
    delete, deleted = Claims._free, list[str]()

    def dies(self: Claims, key: str, etag: str) -> None:
        if deleted:
            raise KeyboardInterrupt
        deleted.append(key)
        delete(self, key, etag)

    monkeypatch.setattr(Claims, "_free", dies)
    with pytest.raises(KeyboardInterrupt):
        release(bob, [job], is_sure=True)
    monkeypatch.setattr(Claims, "_free", delete)
    assert ([one.state for one in unsettled(eve)], len(team.keys())) == (["releasing"], 3)
    with pytest.raises(ProjectError, match="released by bob"):
        buy(ann, 2)

    release(eve, [job], is_sure=True)

    assert (team.keys(), unsettled(eve), team.ticket(job).state) == ([], (), "released")


def test_a_release_takes_away_no_claim_that_is_another_jobs_by_now(team: Team) -> None:
    ann, bob = team.clone("ann"), team.clone("bob")
    job = lose(team, ann)
    (read,) = _read(bob)
    key = read.ticket.keys[0]
    team.s3.put_object(Bucket=team.bucket, Key=key, Body=msgspec.json.encode(Claim("tools-other", "x")))

    release(bob, [job], is_sure=True)

    assert team.keys() == [key.rpartition("/")[2]]


def test_a_claim_that_changes_hands_while_it_is_released_stays(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    bob = team.clone("bob")
    job = lose(team, team.clone("ann"))
    delete, other = Claims._free, msgspec.json.encode(Claim("tools-other", "x"))

    def late(self: Claims, key: str, etag: str) -> None:
        team.s3.put_object(Bucket=team.bucket, Key=key, Body=other)
        delete(self, key, etag)

    monkeypatch.setattr(Claims, "_free", late)
    release(bob, [job], is_sure=True)

    assert len(team.keys()) == 4


def _read(shop: Shop) -> list[Read]:
    assert shop.claims is not None
    return shop.claims.unsettled([], [])


def test_claims_of_a_version_before_tickets_are_listed_and_need_a_statement(team: Team) -> None:
    ann, bob = team.clone("ann"), team.clone("bob")
    job = lose(team, ann)
    team.s3.delete_object(Bucket=team.bucket, Key=f"team/claims/jobs/{job}")

    (shown,) = unsettled(bob)
    assert (shown.job, shown.who, shown.service, shown.pictures) == (job, "", "", 2)
    with pytest.raises(ProjectError, match="a version of Boxset before tickets claimed it"):
        release(bob, [job], is_sure=True)
    release(bob, [job], lost=True, is_sure=True)

    assert (team.keys(), unsettled(bob)) == ([], ())
    with pytest.raises(ProjectError, match="released by bob"):
        buy(ann, 2)


def test_a_reservation_of_a_version_before_tickets_goes_on_while_its_claims_are_there(team: Team) -> None:
    ann = team.clone("ann")
    job = lose(team, ann)
    team.s3.delete_object(Bucket=team.bucket, Key=f"team/claims/jobs/{job}")

    assert buy(ann, 2) == (job,)

    assert team.ticket(job).state == "sent"


def test_a_reservation_without_ticket_or_claims_is_not_sent(team: Team) -> None:
    ann = team.clone("ann")
    reserved = Reserved(job="tools-0123456789abcdef", backend="label_studio", version=1, categories={"hammer": 1}, pictures=1, worst_mills=PRICE)
    append(ann.ledger, PURCHASES, [reserved, *(msgspec.structs.replace(one, job=reserved.job) for one in asked("p1"))])

    with pytest.raises(ProjectError, match=r"its claims are not there: released, or reserved before project\.bucket was set"):
        buy(ann, 2)

    assert team.service.sent == {}


def test_a_job_of_a_released_name_may_be_claimed_anew(team: Team) -> None:
    ann, bob = team.clone("ann"), team.clone("bob")
    job = lose(team, ann)
    release(bob, [job], is_sure=True)

    assert buy(bob, 2) == (job,)

    assert team.ticket(job).who == "bob"
    assert buy(ann, 2) == (job,)
    assert list(team.service.sent) == [job]


def test_a_submit_that_fails_leaves_nothing_to_release(team: Team) -> None:
    ann, bob = team.clone("ann"), team.clone("bob")
    job = lose(team, ann)

    with pytest.raises(ProjectError, match="claimed by job"):
        buy(bob, 3)

    assert [one.job for one in unsettled(bob)] == [job]


@pytest.mark.parametrize("backend", ["label_studio", "files"])
def test_what_one_clone_gave_up_no_other_sends_nor_buys_before_it_has_that_ledger(team: Team, backend: str) -> None:
    ann, bob, eve = (team.clone(name, backend=backend) for name in ("ann", "bob", "eve"))
    team.service.is_shared = backend != "files"
    job = lose(team, ann)
    bob.ledger.mkdir(parents=True)
    pull(bob, ann)

    cancel(bob, [job])
    with pytest.raises(ProjectError, match=f"job {job} is not sent: its claims were released by bob"):
        buy(ann, 2)
    with pytest.raises(ProjectError, match="was given up, released by bob"):
        buy(eve, 2)
    with pytest.raises(ProjectError, match=f"claimed by job {job}"):
        buy(eve, 3)
    with pytest.raises(ProjectError, match=r"its owner gave it up.*Ask bob.*--lost"):
        release(eve, [job], is_sure=True)
    bobs = buy(bob, 2)
    cancel(ann, [job])

    assert (team.service.sent.keys(), len(ledger(ann).jobs)) == ({*bobs}, 1)
    assert ledger(bob).committed_mills == 2 * PRICE


def test_a_job_that_another_clone_has_sent_is_not_given_up_as_never_sent(team: Team) -> None:
    ann, bob = team.clone("ann", backend="files"), team.clone("bob", backend="files")
    job = lose(team, ann)
    bob.ledger.mkdir(parents=True)
    pull(bob, ann)
    buy(ann, 2)
    here = replace(bob, labeler=Hooked())  # the tasks are in ann's folder

    with pytest.raises(ProjectError, match=r"another clone has sent this job.*`git pull`"):
        cancel(here, [job])

    assert (ledger(bob).jobs[job].is_sent, ledger(bob).committed_mills) == (True, 2 * PRICE)
    assert cancel(here, [job]) == [job]


def test_a_reservation_that_two_clones_have_is_sent_by_one(team: Team) -> None:
    ann, bob = team.clone("ann", backend="files"), team.clone("bob", backend="files")
    job = lose(team, ann)
    bob.ledger.mkdir(parents=True)
    pull(bob, ann)
    anns = Hooked()  # the folder of tasks on her machine
    assert buy(bob, 2) == (job,)

    with pytest.raises(ProjectError, match=r"another clone has sent this job.*`git pull`"):
        buy(replace(ann, labeler=anns), 2)

    assert (anns.sent, ledger(ann).jobs[job].is_sent) == ({}, True)
    assert buy(replace(ann, labeler=anns), 2) == ()


def test_what_another_clone_was_about_to_hand_out_is_neither_handed_out_nor_given_up_as_never_sent(team: Team) -> None:
    ann, bob = (replace(team.clone(name, backend="files"), labeler=Hooked()) for name in ("ann", "bob"))
    for one in (ann, bob):
        one.labeler.is_shared = False
    ann.labeler.fail_next = "before send"
    with pytest.raises(ConnectionError):
        buy(ann, 2)
    (job,) = ledger(ann).jobs
    bob.ledger.mkdir(parents=True)
    pull(bob, ann)
    ann.labeler.fail_next = "after send"
    with pytest.raises(ConnectionError):
        buy(ann, 2)

    with pytest.raises(ProjectError, match=rf"another clone has sent job {job}, or was about to.*label cancel"):
        buy(bob, 2)
    with pytest.raises(ProjectError, match="it counts as sent here from now on"):
        cancel(bob, [job])

    assert (bob.labeler.sent, ledger(bob).jobs[job].is_sent) == ({}, True)
    assert buy(ann, 2) == (job,)  # her own tasks are there


def test_what_a_lost_clone_gave_up_is_released_by_a_statement(team: Team) -> None:
    ann, eve = team.clone("ann"), team.clone("eve")
    job = lose(team, ann)
    cancel(ann, [job])

    release(eve, [job], lost=True, is_sure=True)

    assert buy(eve, 2) == (job,)


def test_what_its_owner_has_sent_is_listed_and_never_released(team: Team) -> None:
    ann, bob = team.clone("ann", backend="files"), team.clone("bob", backend="files")
    team.service.is_shared = False
    (job,) = buy(ann, 2)

    assert [(one.job, one.state) for one in unsettled(bob)] == [(job, "sent")]
    with pytest.raises(ProjectError, match="its owner has sent it"):
        release(bob, [job], lost=True, is_sure=True)

    assert len(team.keys()) == 4


# the command


@pytest.mark.pipeline
def test_the_command_lists_asks_releases_and_lets_the_pictures_be_bought(small: Folder) -> None:
    params = small.params()
    params["project"]["bucket"] = "s3://boxset-embedded/team"
    small.set_params(params)
    small.commit("Share")
    small.repro()
    images = sorted((small.root / "data/crawl").glob("*/images"))
    for folder in images:
        folder.rename(folder.with_name("elsewhere"))
    assert "the picture is not here" in small.run("boxset", "label", "submit", "--yes", check=False).stderr
    for folder in images:
        folder.with_name("elsewhere").rename(folder)
    small.run("git", "checkout", "-q", "--", "ledger")

    listed = small.run("boxset", "label", "release").stdout.splitlines()
    job = listed[1].split()[0]
    asked_ = small.run("boxset", "label", "release", job).stdout
    sure = small.run("boxset", "label", "release", job, "--yes").stdout

    assert listed[0].split() == ["job", "state", "by", "at", "service", "pictures", "cost"]
    assert "claimed  Tester" in listed[1]
    assert f"Nothing was released. `boxset label release {job} --yes` releases it." in asked_
    assert sure == f"released  {job}: its 10 pictures can be bought again; `dvc repro label` plans that\n"
    assert small.run("boxset", "label", "release").stdout == "nothing is claimed but what the ledger knows\n"
    assert "sent  " in small.run("boxset", "label", "submit", "--yes").stdout
