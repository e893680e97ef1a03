"""Clones of one project that share what a team shares, all in this process: git, a bucket, labelling services and their people.

The stand-ins keep books of their own: what people were truly asked, did and are paid for (`Truth`). Every request to a stand-in and every write of
the ledger passes `Team.request`, where a walk can kill the command, let the request fail, or let another clone act in between.
"""

import hashlib
import io
import json
import os
import random
import subprocess
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
import urllib3
from botocore.exceptions import ClientError

import boxset.history
import boxset.labeling.claims
import boxset.labeling.files
import boxset.labeling.ground_truth
import boxset.labeling.label_studio
import boxset.labeling.labeler
import boxset.labeling.ledger
import stages.label
from boxset.commands import label as command
from boxset.dataset.records import Annotation, ImageRow, Picture, Pool, Presence, State, write_pool
from boxset.files import append_lines, write_json, write_jsonl
from boxset.labeling.files import Folder
from boxset.labeling.ground_truth import GroundTruth
from boxset.labeling.label_studio import LabelStudio
from boxset.labeling.ledger import Ledger, read_ledger
from boxset.params import Params
from boxset.resolve import Freeze, Identity, Ids, Target, Targets

TRACKED = ("ledger/purchases.jsonl", "ledger/answers.jsonl", "ledger/drawings.jsonl", "decisions/review.jsonl")
ROLE, CREW = "arn:aws:iam::123456789012:role/GroundTruth", "arn:aws:sagemaker:us-east-1:123456789012:workteam/private-crowd/team"


class Killed(BaseException):
    """The process ends here; nothing of it is cleaned up."""


@dataclass
class Fuse:
    """What happens at the so-many-th request of a command: `kill`, `error`, or another clone acts (`then`); before or after the request has its effect."""

    left: int
    does: str
    is_after: bool = False
    then: Callable[[], object] = lambda: None


# what is true


@dataclass
class Ask:
    """One picture in one task that people have, or had.

    `state`: open, answered, failed, refused (done, and given up as it could not be taken in), over (nobody
    will do it) or late (done after its job was given up).
    """

    place: tuple[str, str]  # which service or folder, and the job
    sha256: str
    what: str  # the picture, whichever copy
    ids: frozenset[int]
    version: int
    mills: int
    witness: str  # who tells other clones of it: the bucket, else the service; "": nobody
    by: str
    state: str = "open"
    boxes: int = 0
    is_raced: bool = False  # it went out between another clone's last look and the moment after
    turn: int = 0  # of the walk
    done_at: int = 0  # the turn in which people did it, or handed it in
    is_handed_in: bool = True  # where whoever is asked to collect can find it

    @property
    def job(self) -> str:
        return self.place[1]

    @property
    def is_paid(self) -> bool:
        return self.state in ("answered", "failed", "refused", "late")


@dataclass
class Truth:
    """What people were asked, whatever any ledger says."""

    asks: list[Ask] = field(default_factory=list)
    stated: set[str] = field(default_factory=set)  # jobs of which somebody stated what was not so
    doubles: list[tuple[Ask, Ask]] = field(default_factory=list)  # that the documents name as possible
    wrong: list[str] = field(default_factory=list)

    def add(self, ask: Ask, known: Container[str]) -> None:
        """Take an ask down, and hold it against those of before. `known`: the jobs of which who asks knew."""
        if any(other.place == ask.place and other.sha256 == ask.sha256 for other in self.asks):
            return  # the same task
        before = [other for other in self.asks if other.what == ask.what and other.version == ask.version and other.state in ("open", "answered")]
        wanted = ask.ids - {number for other in before if other.job in known for number in other.ids} or ask.ids  # what is old comes along for nothing
        for other in before:
            if other.ids & wanted:
                may = (ask.by != other.by and (not ask.witness or ask.witness != other.witness or self._raced(other, ask))) or {ask.job, other.job} & self.stated
                self.doubles.append((other, ask)) if may else self.wrong.append(f"asked twice: {ask.what} by {other.place} ({other.state}) and {ask.place}")
        self.asks.append(ask)

    def _raced(self, first: Ask, second: Ask) -> bool:
        """Whether each looked before the other was to be seen; a bucket keeps them from one picture even then, not from copies."""
        return first.is_raced and first.turn == second.turn and (not first.witness.startswith("s3:") or first.sha256 != second.sha256)

    def of(self, place: tuple[str, str]) -> list[Ask]:
        return [ask for ask in self.asks if ask.place == place]


# git


@dataclass(frozen=True)
class Commit:
    """A version of the tracked files."""

    parents: tuple["Commit", ...]
    files: Mapping[str, bytes]

    def past(self) -> list["Commit"]:
        """This commit and all before it, each once, the nearest first."""
        found, queue = {id(self): self}, [self]
        for one in queue:
            for parent in one.parents:
                if id(parent) not in found:
                    found[id(parent)] = parent
                    queue.append(parent)
        return queue


def merged(ours: Commit, theirs: Commit) -> Commit:
    """Merge as git does with `merge=union`."""
    ours_past, theirs_past = ours.past(), theirs.past()
    if any(one is theirs for one in ours_past):
        return ours
    if any(one is ours for one in theirs_past):
        return theirs
    known = {id(one) for one in ours_past}
    base = max((one for one in theirs_past if id(one) in known), key=lambda one: len(one.past()))
    names = sorted({*ours.files, *theirs.files})
    return Commit((ours, theirs), {name: _merged_file(*(side.files.get(name, b"") for side in (ours, base, theirs))) for name in names})


def _merged_file(ours: bytes, base: bytes, theirs: bytes) -> bytes:
    if theirs in (base, ours):
        return ours
    if ours == base:
        return theirs
    folder = Path(".boxset")
    folder.mkdir(exist_ok=True)
    sides = [folder / f"merge-{name}" for name in ("ours", "base", "theirs")]
    for path, content in zip(sides, (ours, base, theirs), strict=True):
        path.write_bytes(content)
    return subprocess.run(["git", "merge-file", "-p", "--union", *map(str, sides)], check=True, capture_output=True).stdout


# the outside


def refusal(code: str, operation: str = "Call") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


class Bucket:
    """S3, as boto3's client: conditional writes, ETags that are those of the content."""

    exceptions = SimpleNamespace(ClientError=ClientError)

    def __init__(self, team: "Team") -> None:
        self._team, self.objects = team, dict[str, bytes]()

    def _etag(self, key: str) -> str:
        return f'"{hashlib.md5(self.objects[key]).hexdigest()}"'

    def put_object(self, **asked: Any) -> dict[str, str]:
        key = asked["Key"]
        with self._team.request("s3 put", refusal("SlowDown")):
            if "IfNoneMatch" in asked and key in self.objects:
                raise refusal("PreconditionFailed")
            self._check(key, asked.get("IfMatch", ""))
            self.objects[key] = asked["Body"]
            return {"ETag": self._etag(key)}

    def get_object(self, **asked: Any) -> dict[str, Any]:
        with self._team.request("s3 get", refusal("SlowDown")):
            if asked["Key"] not in self.objects:
                raise refusal("NoSuchKey")
            return {"Body": io.BytesIO(self.objects[asked["Key"]]), "ETag": self._etag(asked["Key"])}

    def head_object(self, **asked: Any) -> None:
        with self._team.request("s3 head", refusal("SlowDown")):
            if asked["Key"] not in self.objects:
                raise refusal("404")

    def delete_object(self, **asked: Any) -> None:
        with self._team.request("s3 delete", refusal("SlowDown")):
            self._check(asked["Key"], asked.get("IfMatch", ""))
            self.objects.pop(asked["Key"], None)

    def get_bucket_cors(self, **_: Any) -> dict[str, Any]:
        return {"CORSRules": [{"AllowedMethods": ["GET"]}]}

    def get_paginator(self, _: str) -> Any:
        return SimpleNamespace(paginate=self._pages)

    def _pages(self, **asked: Any) -> Iterator[dict[str, Any]]:
        with self._team.request("s3 list", refusal("SlowDown")):
            found = {"Contents": [{"Key": key} for key in sorted(self.objects) if key.startswith(asked["Prefix"])]}
        yield found

    def _check(self, key: str, if_match: str) -> None:
        if if_match and key not in self.objects:
            raise refusal("NoSuchKey")
        if if_match and if_match != self._etag(key):
            raise refusal("PreconditionFailed")


class InUseError(ClientError):
    """A job of this name is there."""


class NotFoundError(ClientError):
    """No job of this name is there."""


class SageMaker:
    """Ground Truth's jobs, as boto3's client."""

    exceptions = SimpleNamespace(ResourceInUse=InUseError, ResourceNotFound=NotFoundError)

    def __init__(self, team: "Team") -> None:
        self._team, self.jobs = team, dict[str, dict[str, Any]]()

    def create_labeling_job(self, **request: Any) -> None:
        name, task = request["LabelingJobName"], request["HumanTaskConfig"]
        with self._team.request("create job", refusal("ThrottlingException")):
            if name.lower() in self.jobs:
                raise InUseError({"Error": {"Code": "ResourceInUse", "Message": name}}, "CreateLabelingJob")
            lines = [json.loads(line) for line in self._read(request["InputConfig"]["DataSource"]["S3DataSource"]["ManifestS3Uri"]).splitlines()]
            self.jobs[name.lower()] = {"request": request, "status": "InProgress", "lines": lines}
            self._team.ask(("ground_truth", name), [line["sha256"] for line in lines], workers=task["NumberOfHumanWorkersPerDataObject"])

    def _read(self, address: str) -> bytes:
        return self._team.bucket.objects[address.removeprefix("s3://team/")]

    def describe_labeling_job(self, **asked: Any) -> dict[str, Any]:
        name = asked["LabelingJobName"]
        with self._team.request("describe job", refusal("ThrottlingException")):
            job = self.jobs.get(name.lower())
            if job is None:
                raise NotFoundError({"Error": {"Code": "ResourceNotFound", "Message": name}}, "DescribeLabelingJob")
        output = f"{job['request']['OutputConfig']['S3OutputPath']}/{name}/manifests/output/output.manifest"
        asks = {ask.sha256: ask for ask in self._team.truth.of(("ground_truth", name))}
        lines = [self._line(line, asks[line["sha256"]]) for line in job["lines"]]
        self._team.bucket.objects[output.removeprefix("s3://team/")] = "".join(json.dumps(line) + "\n" for line in lines).encode()
        counts = {word: sum(ask.state == state for ask in asks.values()) for word, state in (("TotalLabeled", "answered"), ("FailedNonRetryableError", "failed"))}
        return {
            "LabelingJobStatus": job["status"],
            "LabelCounters": counts,
            "LabelingJobOutput": {"OutputDatasetS3Uri": output},
            **{name: job["request"][name] for name in ("HumanTaskConfig", "InputConfig")},
        }

    def _line(self, line: dict[str, str], ask: Ask) -> dict[str, Any]:
        about = {"type": "groundtruth/object-detection"}
        if ask.state == "failed":
            return {**line, "boxes-metadata": {**about, "failure-reason": "ClientError: Annotation tasks expired"}}
        if ask.state != "answered":
            return line
        drawn = [{"class_id": 0, "left": 10 + 20 * n, "top": 10, "width": 15, "height": 15} for n in range(ask.boxes)]
        return {**line, "boxes": {"image_size": [{"width": 400, "height": 300}], "annotations": drawn}, "boxes-metadata": {**about, "objects": []}}

    def get_paginator(self, _: str) -> Any:
        return SimpleNamespace(paginate=self._pages)

    def _pages(self, **asked: Any) -> Iterator[dict[str, Any]]:
        with self._team.request("list jobs", refusal("ThrottlingException")):
            names = [job["request"]["LabelingJobName"] for name, job in self.jobs.items() if asked["NameContains"].lower() in name]
        yield {"LabelingJobSummaryList": [{"LabelingJobName": name} for name in names]}

    def stop_labeling_job(self, **asked: Any) -> None:
        with self._team.request("stop job", refusal("ThrottlingException")):
            job = self.jobs[asked["LabelingJobName"].lower()]
            if job["status"] == "InProgress":
                job["status"] = "Stopping"

    def move_on(self) -> None:
        """What was told to stop has stopped; what is done is completed."""
        for job in self.jobs.values():
            asks = self._team.truth.of(("ground_truth", job["request"]["LabelingJobName"]))
            if job["status"] == "Stopping":
                job["status"] = "Stopped"
                for ask in asks:
                    ask.state = "over" if ask.state == "open" else ask.state
            elif job["status"] == "InProgress" and all(ask.is_paid for ask in asks):
                job["status"] = "Completed"


class Studio:
    """A Label Studio server, as urllib3's pool of connections."""

    def __init__(self, team: "Team") -> None:
        self._team, self.projects, self.tasks = team, list[dict[str, Any]](), dict[int, list[dict[str, Any]]]()

    def request(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None) -> Any:
        path = url.removeprefix("http://studio.example/api/")
        with self._team.request(f"studio {method}", urllib3.exceptions.ProtocolError("cut")):
            found = self._answer(method, path, json.loads(body) if body else None)
        return SimpleNamespace(status=200, data=json.dumps(found).encode())

    def _answer(self, method: str, path: str, body: Any) -> Any:
        if path.startswith("tasks?"):
            return self._page(dict(parse_qsl(urlsplit(path).query)))
        number = int("".join(filter(str.isdigit, path.partition("?")[0])) or 0)
        if method == "GET":
            return [self._shown(task, number) for task in self.tasks.get(number, [])] if number else {"results": self.projects, "count": len(self.projects)}
        if not number:
            self.projects.append({"maximum_annotations": 1, **body, "id": len(self.projects) + 1})
            return self.projects[-1]
        if method == "PATCH":
            self.projects[number - 1].update(body)
            return self.projects[number - 1]
        self.tasks.setdefault(number, []).extend({"id": 100 * number + n, "project": number, **task} for n, task in enumerate(body, len(self.tasks.get(number, []))))
        self._team.ask((f"studio {number}", self.projects[number - 1]["description"]), [task["data"]["sha256"] for task in body])
        return {}

    def _page(self, asks: dict[str, str]) -> dict[str, Any]:
        number, (behind,) = int(asks["project"]), json.loads(asks["query"])["filters"]["items"]
        found = [self._shown(task, number) for task in self.tasks.get(number, []) if task["id"] > behind["value"]]
        return {"total": len(found), "tasks": found[: int(asks["page_size"])]}

    def delete_empty(self) -> bool:
        """Delete projects that no task came into; return whether there was one."""
        empty = [project for project in self.projects if project["id"] not in self.tasks and project["description"]]
        for project in empty:
            project["description"] = ""
        return bool(empty)

    def _shown(self, task: dict[str, Any], number: int) -> dict[str, Any]:
        place = f"studio {number}", self.projects[number - 1]["description"]
        ask = next(ask for ask in self._team.truth.of(place) if ask.sha256 == task["data"]["sha256"])
        values = [{"value": {"x": 10 + 5 * n, "y": 10, "width": 4, "height": 4, "rectanglelabels": ["hammer"]}} for n in range(ask.boxes)]
        people = range(self.projects[number - 1]["maximum_annotations"])
        return {**task, "annotations": [{"id": n, "completed_by": n, "was_cancelled": False, "result": values} for n in people] if ask.state in ("answered", "late") else []}


# the team


@dataclass
class Clone:
    """A clone of the project, and the machine that it is on."""

    name: str
    root: Path
    params: dict[str, Any]
    head: Commit
    branch: str = "main"
    follows: str = ""  # the branch of the remote that this one follows
    fetched: dict[str, Commit] = field(default_factory=dict)
    pictures: list[Picture] = field(default_factory=list)
    is_lost: bool = False
    left: Commit | None = None  # what is on the branch that this clone went away from

    @property
    def ledger(self) -> Ledger:
        return read_ledger(self.root / "ledger")


class Team:
    """All clones, and all that is outside of them."""

    def __init__(self, root: Path, params: dict[str, Any], pictures: Mapping[str, list[Picture]]) -> None:
        self.root, self.truth = root, Truth()
        self.bucket, self.sagemaker, self.studio = Bucket(self), SageMaker(self), Studio(self)
        self.remote: dict[str, Commit] = {"main": Commit((), {})}
        self.clones = {name: self._clone(name, params, some) for name, some in pictures.items()}
        self.current = next(iter(self.clones.values()))
        self.fuse: Fuse | None = None
        self.requests = 0
        self.is_race = False
        self.turn = 0

    def _clone(self, name: str, params: dict[str, Any], pictures: list[Picture]) -> Clone:
        root, start = self.root / name, self.remote["main"]
        clone = Clone(name, root, deepcopy(params), start, follows="main", fetched={"main": start}, pictures=pictures)
        self.put_pictures(clone)
        return clone

    def put_pictures(self, clone: Clone) -> None:
        """Let the crawl have a clone's pictures, and no others."""
        for category in ("hammer", "saw", "axe"):
            some, folder = [one for one in clone.pictures if one.category == category], clone.root / f"data/crawl/{category}"
            write_jsonl(folder / "images.jsonl", [ImageRow(source_id=p.source_id, url=p.url, outcome="kept", picture=p) for p in some])
            (folder / "images").mkdir(exist_ok=True)
            for one in some:
                (folder / "images" / one.file_name).write_bytes(b"x")

    def put_known(self, clone: Clone, known: Pool) -> None:
        """Let a public source have pictures and what is known of them."""
        folder = clone.root / "data/extract/public"
        write_pool(folder / "annotations.json", known)
        (folder / "images").mkdir(exist_ok=True)
        for one in known.pictures:
            (folder / "images" / one.file_name).write_bytes(b"x")

    # the world around a command

    @contextmanager
    def request(self, what: str, error: Exception | None = None) -> Iterator[None]:
        """Go on with a request, unless it is the one at which something happens."""
        self.requests += 1
        fuse = self.fuse
        if fuse is not None:
            fuse.left -= 1
        is_due = fuse is not None and fuse.left == 0
        if is_due and fuse is not None and not fuse.is_after:
            self._blow(fuse, error, is_race=what in ("create job", "studio POST") or what.startswith("s3"))
        yield
        if is_due and fuse is not None and fuse.is_after:
            self._blow(fuse, error, is_race=what in ("list jobs", "studio GET") or what.startswith("s3"))

    def _blow(self, fuse: Fuse, error: Exception | None, *, is_race: bool) -> None:
        self.fuse = None
        if fuse.does == "kill":
            raise Killed
        if fuse.does == "error" and error is not None:
            raise error
        if fuse.does == "meanwhile":
            self.is_race = is_race
            fuse.then()
            self.is_race = False

    @contextmanager
    def at(self, clone: Clone) -> Iterator[None]:
        """Be in a clone."""
        before, self.current = self.current, clone
        os.chdir(clone.root)
        try:
            yield
        finally:
            self.current = before
            os.chdir(before.root)

    def labeler(self, params: Params, endpoints: Any) -> Any:
        if params.labeler.backend == "files":
            return Folder(params)
        if params.labeler.backend == "ground_truth":
            return GroundTruth(params, endpoints)
        labeler = LabelStudio(params, endpoints)
        labeler._pools = self.studio  # type: ignore[assignment]
        return labeler

    def client(self, service: str, endpoints: Any, *, region: str | None) -> Any:
        return self.bucket if service == "s3" else self.sagemaker

    def git(self, root: Path, *words: str, stdin: bytes | None = None) -> bytes | None:
        """Answer as git would."""
        clone = self.current
        if words[0] == "remote":
            return b"origin\n"
        if words[0] == "config":
            return clone.name.encode()
        if words[0] == "rev-parse":
            name = {"@{upstream}": clone.follows, "origin/HEAD": "main"}.get(words[-1], words[-1].removeprefix("origin/"))
            return f"origin/{name}\n".encode() if name in clone.fetched else None
        if words[0] == "cat-file":
            name, _, path = words[2].partition(":./")
            return clone.fetched[name.removeprefix("origin/")].files.get(path)
        if words[0] == "merge-base":
            return b"" if any(one is clone.fetched[words[2].removeprefix("origin/")] for one in clone.head.past()) else None
        raise NotImplementedError(words)

    def append(self, path: Path, lines: Sequence[bytes]) -> None:
        """Append to the ledger; a kill may come at any byte."""
        fuse = self.fuse
        if fuse is not None and fuse.left == 1 and fuse.does == "kill":
            whole = b"".join(line + b"\n" for line in lines)
            append_lines(path, [])
            with path.open("ab") as out:
                out.write(whole[: len(whole) * (self.requests % 5) // 4])
        with self.request("ledger"):
            append_lines(path, lines)

    def hand_out(self, path: Path, value: Any) -> None:
        """Write a file of tasks; with the last of them people have them."""
        with self.request("tasks"):
            write_json(path, value)
            shas = [image["file_name"].partition(".")[0] for image in value["images"]]
            self.ask((f"files of {self.current.name}", path.parts[-4]), shas)

    def ask(self, place: tuple[str, str], shas: Sequence[str], *, workers: int = 0) -> None:
        """People have tasks now."""
        clone, job = self.current, place[1]
        rows = [json.loads(line) for line in (clone.root / TRACKED[0]).read_bytes().splitlines() if job.encode() in line and b'"reserved"' in line]
        label = clone.params["label"]
        price, known = 80 + round(1000 * label["price"]["usd_per_task"]) * (workers or label["workers"]), clone.ledger.jobs.keys() - {job}
        backend = clone.params["labeler"]["backend"]
        witness = clone.params["project"]["bucket"] or ("" if backend == "files" else backend)
        ids = frozenset(rows[-1]["categories"].values())
        for sha256 in shas:
            self.truth.add(Ask(place, sha256, what(sha256), ids, rows[-1]["version"], price, witness, clone.name, is_raced=self.is_race, turn=self.turn), known)

    # what people do in a clone

    def run(self, clone: Clone, *words: str) -> str:
        """Run `boxset label …` in a clone and return what it prints. Any error but a plain refusal goes up."""
        out = io.StringIO()
        with self.at(clone), redirect_stdout(out):
            command.command.main(list(words), standalone_mode=False)
        return out.getvalue()

    def repro(self, clone: Clone) -> None:
        """`dvc repro label`."""
        with self.at(clone):
            categories = clone.params["categories"]
            write_json(Path("data/resolve/ids.json"), Ids(categories={name: Identity(id=c["id"], supercategory="object") for name, c in categories.items()}))
            write_json(Path("data/resolve/targets.json"), Targets(categories={name: Target(target=c["target"], max=0) for name, c in categories.items()}))
            write_json(Path("data/resolve/freeze.json"), Freeze(freeze_test=""))
            stages.label.main()

    def set_params(self, clone: Clone) -> None:
        (clone.root / "params.yaml").write_text(json.dumps(clone.params))

    def commit(self, clone: Clone) -> None:
        files = {name: (clone.root / name).read_bytes() for name in TRACKED if (clone.root / name).exists()}
        if files != dict(clone.head.files):
            clone.head = Commit((clone.head,), files)

    def take(self, clone: Clone, head: Commit) -> None:
        """Merge a commit into a clone."""
        self.commit(clone)
        with self.at(clone):
            clone.head = merged(clone.head, head)
        self.put(clone)

    def put(self, clone: Clone) -> None:
        """Let the work tree be as what is checked out."""
        for name in TRACKED:
            (clone.root / name).unlink(missing_ok=True)
        self.lay(clone.head, clone.root)

    def lay(self, commit: Commit, root: Path) -> Path:
        """Write a version's files into a folder; return its ledger's."""
        for name, content in commit.files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        return root / "ledger"

    def fetch(self, clone: Clone) -> None:
        clone.fetched = dict(self.remote)

    def pull(self, clone: Clone) -> None:
        self.fetch(clone)
        if clone.follows in clone.fetched:
            self.take(clone, clone.fetched[clone.follows])

    def push(self, clone: Clone) -> None:
        self.commit(clone)
        there = self.remote.get(clone.branch)
        if there is None or any(one is there for one in clone.head.past()):
            self.remote[clone.branch] = clone.head
            clone.fetched[clone.branch], clone.follows = clone.head, clone.branch


def what(sha256: str) -> str:
    """Which picture this is: copies have all but their last digit in common."""
    return sha256[:-1]


def photos(category: str, count: int) -> list[Picture]:
    """Pictures of a category, each with a copy of it."""
    found = []
    for n in range(count):
        digest = hashlib.sha256(f"{category} {n}".encode()).hexdigest()
        for copy in "01":
            sha256 = digest[:-1] + copy
            found.append(
                Picture(
                    sha256=sha256,
                    file_name=f"{sha256}.jpg",
                    width=400,
                    height=300,
                    phash=digest[:16],
                    source="crawl",
                    source_id=sha256,
                    url=f"http://photos.example/{sha256}.jpg",
                    license="CC-BY-4.0",
                    category=category,
                    rank=n,
                )
            )
    return found


def known_photos(count: int) -> Pool:
    """Pictures of a public source, without copies, in each of which is one hammer; nobody looked for a saw."""
    pictures = [msgspec.structs.replace(one, source="public", category="", rank=0) for one in photos("known", count) if one.sha256[-1] == "0"]
    boxes = [Annotation(sha256=one.sha256, category="hammer", bbox=(10.0, 10.0, 100.0, 80.0), source="public") for one in pictures]
    presence = [Presence(sha256=one.sha256, category="hammer", state=State.PRESENT, source="public") for one in pictures]
    return Pool(pictures=tuple(pictures), annotations=tuple(boxes), presence=tuple(presence))


@contextmanager
def in_place(team: Team) -> Iterator[None]:
    """Put the stand-ins where the code reaches for the outside."""
    patches = pytest.MonkeyPatch()
    marks = random.Random(1)
    before = Path.cwd()
    patches.setenv("LABEL_STUDIO_TOKEN", "x")
    patches.setattr(os, "fsync", lambda _: None)
    patches.setattr("uuid.uuid4", lambda: SimpleNamespace(hex=f"{marks.getrandbits(128):032x}"))
    patches.setattr(boxset.labeling.claims, "uuid4", lambda: SimpleNamespace(hex=f"{marks.getrandbits(128):032x}"))
    patches.setattr(boxset.history, "_git_or_none", team.git)
    patches.setattr(boxset.labeling.labeler, "labeler_of", team.labeler)
    patches.setattr(boxset.labeling.ground_truth, "client", team.client)
    patches.setattr(boxset.labeling.claims, "client", team.client)
    patches.setattr(boxset.labeling.ledger, "append_lines", team.append)
    patches.setattr(boxset.labeling.files, "write_json", team.hand_out)
    try:
        for clone in team.clones.values():
            team.set_params(clone)
        os.chdir(team.current.root)
        yield
    finally:
        os.chdir(before)
        patches.undo()


def united(folders: Sequence[Path], into: Path) -> Ledger:
    """The ledger of all clones, merged."""
    into.mkdir(parents=True, exist_ok=True)
    for name in (path.partition("/")[2] for path in TRACKED[:3]):
        lines = [line for folder in folders if (folder / name).exists() for line in (folder / name).read_bytes().split(b"\n")]
        (into / name).write_bytes(b"".join(line + b"\n" for line in dict.fromkeys(lines) if line and _is_whole(line)))
    return read_ledger(into)


def _is_whole(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except msgspec.DecodeError:
        return False
    return True
