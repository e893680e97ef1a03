"""Claims in a team's bucket: what one clone is buying no other buys, and nobody is kept from buying what nobody bought. The server is moto's, or the one that S3_SERVER names."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from boxset.endpoints import Endpoints
from boxset.errors import ProjectError, ServiceError
from boxset.labeling.claims import Claims
from boxset.labeling.ledger import Asked, Reserved
from boxset.params import Label, Labeler, Params, Project
from tests.buckets import bucket_of, claimed, without_conditional_deletes


class Team:
    """Clones that share a bucket, which may or may not delete on a condition."""

    def __init__(self, server: str, folder: Path, *, deletes: bool) -> None:
        self.server, self.folder, self.deletes = server, folder, deletes
        self.s3, self.bucket = bucket_of(server)

    def clone(self, name: str) -> Claims:
        project = Project(name="tools", bucket=f"s3://{self.bucket}/team")
        params = Params(world="live", project=project, categories={}, sources={}, label=Label(), labeler=Labeler())
        claims = Claims(params, Endpoints(aws=self.server), self.folder / name / "claims.json")
        return claims if self.deletes else without_conditional_deletes(claims)

    def claimed(self) -> list[str]:
        """What is claimed, by the last part of its key."""
        return claimed(self.s3, self.bucket)


@pytest.fixture(params=[True, False], ids=["deletes on a condition", "cannot delete on a condition"])
def team(request: pytest.FixtureRequest, s3_server: str, tmp_path: Path) -> Iterator[Team]:
    team = Team(s3_server, tmp_path, deletes=request.param)
    yield team
    team.s3.close()


def reserved(job: str) -> Reserved:
    return Reserved(job=job, backend="files", version=1, categories={"hammer": 1}, pictures=2, worst_mills=2)


def asked(*names: str, attempt: int = 0) -> list[Asked]:
    return [Asked(job="", sha256=name, file_name=name, width=4, height=3, phash="0" * 16, attempt=attempt) for name in names]


def test_what_another_job_has_claimed_is_refused_and_what_was_claimed_with_it_is_given_back(team: Team) -> None:
    with team.clone("ann").held(reserved("a"), asked("p1", "p2")):
        pass

    with pytest.raises(ProjectError, match=r"claimed by job a.*`git pull`"), team.clone("bob").held(reserved("b"), asked("p9", "p2")):
        pytest.fail("bought what is another's")

    assert team.claimed() == ["p1", "p2"]
    with team.clone("ann").held(reserved("a2"), asked("p9")):
        pass


def test_the_same_job_may_claim_again_and_a_failure_gives_back_only_what_it_took(team: Team) -> None:
    with team.clone("ann").held(reserved("a"), asked("p1")):
        pass

    with pytest.raises(OSError, match="full"), team.clone("bob").held(reserved("a"), asked("p1", "p2")):
        raise OSError("the disk is full")

    assert team.claimed() == ["p1"]


def test_a_killed_submit_gives_back_nothing_that_another_clone_claimed_for_the_same_job(team: Team) -> None:
    ann, bob = team.clone("ann"), team.clone("bob")
    with pytest.raises(KeyboardInterrupt), bob.held(reserved("a"), asked("p1")):
        raise KeyboardInterrupt
    bob.give_back_leftover({})
    with ann.held(reserved("a"), asked("p1", "p2")):
        pass
    with pytest.raises(KeyboardInterrupt), bob.held(reserved("a"), asked("p1", "p2", "p3")):
        raise KeyboardInterrupt
    assert team.claimed() == ["p1", "p2", "p3"]

    bob.give_back_leftover({})

    assert team.claimed() == ["p1", "p2"]


def test_what_a_killed_submit_had_claimed_is_given_back_by_the_next_unless_the_ledger_has_the_job(team: Team) -> None:
    ann = team.clone("ann")
    for job, picture in (("a", "p1"), ("b", "p2")):
        with pytest.raises(KeyboardInterrupt), ann.held(reserved(job), asked(picture)):
            raise KeyboardInterrupt
        ann.give_back_leftover({"a"})

    assert team.claimed() == ["p1"]
    ann.give_back_leftover({})
    assert team.claimed() == ["p1"]


def test_a_picture_that_came_back_without_an_answer_can_be_claimed_again_by_one(team: Team) -> None:
    with team.clone("ann").held(reserved("a"), asked("p1")):
        pass
    with team.clone("bob").held(reserved("b"), asked("p1", attempt=1)):
        pass

    with pytest.raises(ProjectError, match="claimed by job b"), team.clone("ann").held(reserved("c"), asked("p1", attempt=1)):
        pass

    assert msgspec.json.decode(team.s3.get_object(Bucket=team.bucket, Key="team/claims/1/1/p1")["Body"].read())["job"] == "a"


@pytest.mark.parametrize("condition", ["IfNoneMatch", "IfMatch"])
def test_nothing_is_bought_by_a_bucket_that_takes_no_notice_of_conditions(team: Team, condition: str) -> None:
    ann = team.clone("ann")
    put = ann._s3.put_object
    ann._s3.put_object = lambda **asked_: put(**{name: value for name, value in asked_.items() if name != condition})

    with pytest.raises(ServiceError, match="takes no notice of the conditions"), ann.held(reserved("a"), asked("p1")):
        pytest.fail("bought without a claim that holds")

    assert team.claimed() == []


def test_a_write_of_which_the_answer_was_lost_is_known_again(team: Team) -> None:
    ann = team.clone("ann")
    with ann.held(reserved("a"), asked("p1")):
        pass
    put = ann._s3.put_object
    ann._s3.put_object = lambda **asked_: [put(**asked_) for _ in range(2)]  # as boto tries again

    ann.going(reserved("a"), asked("p1"), goes_on=False)

    with pytest.raises(ProjectError, match="or was about to"):
        team.clone("bob").going(reserved("a"), asked("p1"), goes_on=False)


def test_a_bucket_without_etags_is_named(team: Team) -> None:
    ann = team.clone("ann")
    get = ann._s3.get_object
    ann._s3.get_object = lambda **asked_: {"Body": get(**asked_)["Body"]}

    with pytest.raises(ServiceError, match="no ETag"), ann.held(reserved("a"), asked("p1")):
        pytest.fail("bought without a ticket")


def test_a_claim_that_was_given_back_is_taken_by_one_of_two_and_hides_from_a_release(team: Team) -> None:
    ann, bob = team.clone("ann"), team.clone("bob")
    with pytest.raises(OSError, match="full"), ann.held(reserved("a"), asked("p1")):
        raise OSError("the disk is full")
    assert ann.unsettled([], []) == []

    with bob.held(reserved("b"), asked("p1")):
        pass

    with pytest.raises(ProjectError, match="claimed by job b"), ann.held(reserved("a"), asked("p1")):
        pytest.fail("bought what is another's")
    assert team.claimed() == ["p1"]
