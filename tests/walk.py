"""Random walks of a team: clones of one project do random commands in random order, are killed, lost and come back; what must hold is checked after each.

`python -m tests.walk FIRST COUNT` walks so many seeds from the first, and says what did not hold.
"""

import json
import random
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from boxset.dataset import decisions
from boxset.errors import BoxsetError
from boxset.labeling.ledger import Ledger
from boxset.labeling.price import cap_mills
from boxset.labeling.standing import faults
from tests.team import CREW, ROLE, Clone, Fuse, Killed, Team, in_place, known_photos, photos, united

AXE = {"id": 3, "target": 9}
FRESH: dict[str, Any] = {
    "world": "live",
    "project": {"name": "tools", "contact": "a@b.example", "bucket": ""},
    "categories": {"hammer": {"id": 1, "target": 40}, "saw": {"id": 2, "target": 4}},
    "sources": {},
    "label": {"budget_usd": 4.0, "workers": 1, "price": {"usd_per_task": 0.036, "usd_service_fee": 0.08}, "old_pictures": "none"},
    "labeler": {
        "backend": "files", "trial": 2, "url": "http://studio.example", "bucket": "s3://team/jobs", "role_arn": ROLE, "workteam_arn": CREW,
    },
}  # fmt: skip
GOLD = 0.4  # of the walks have known pictures
BACKENDS = ("files", "label_studio", "ground_truth")


class Walk:
    """One walk: a seed says who does what, and when it is killed."""

    def __init__(self, seed: int, root: Path, *, steps: int = 30) -> None:
        self.rng, self.steps, self.log = random.Random(seed), steps, list[str]()
        rng = self.rng
        self.backends = rng.sample(BACKENDS, 2) if rng.random() < 0.25 else [rng.choice(BACKENDS)]
        params = json.loads(json.dumps(FRESH))
        params["project"]["bucket"] = rng.choice(["", "s3://team/project"])
        params["labeler"]["backend"] = self.backends[0]
        params["labeler"]["trial"] = rng.choice([0, 0, 2])
        params["label"]["budget_usd"] = rng.choice([0.9, 1.6, 4.0])
        params["label"]["old_pictures"] = rng.choice(["none", "all"])
        every = [*photos("hammer", 7), *photos("saw", 2), *photos("axe", 2)]
        same = rng.random() < 0.6
        names = ["ann", "bob", "eve"][: rng.choice([1, 2, 2, 3])]
        crawls = {name: [one for one in every if one.sha256[-1] == "0" or (not same and rng.random() < 0.5)] for name in names}
        if not same:
            crawls = {name: [one for one in some if not (one.sha256[-1] == "0" and rng.random() < 0.3)] for name, some in crawls.items()}
        self.team = Team(root, params, crawls)
        if random.Random(f"gold {seed}").random() < GOLD:  # a chance of its own: the other walks stay what they were
            for clone in self.team.clones.values():
                clone.params["label"]["gold_share"] = 0.2
                self.team.put_known(clone, known_photos(4))
        self.clock = datetime(2026, 1, 1, tzinfo=UTC)
        self.cap = cap_mills(params["label"]["budget_usd"])
        self.depth = 0
        self.habits = {name: rng.choice([0, 1, 1, 4]) for name in ("cancel", "release", "branch", "edit", "lose", "come_back", "adopt", "collect")}
        self.is_ending = False
        self.longest: Counter[str] = Counter()  # how many requests a command made of late
        self.seen: Counter[str] = Counter()

    @property
    def live(self) -> list[Clone]:
        return [clone for clone in self.team.clones.values() if not clone.is_lost]

    @property
    def has_bucket(self) -> bool:
        return bool(self.team.current.params["project"]["bucket"])

    def wrong(self, words: str) -> None:
        self.team.truth.wrong.append(words)

    def go(self) -> list[str]:
        """Walk, come to an end, and return what did not hold."""
        with in_place(self.team):
            for _ in range(self.steps):
                self.team.turn += 1
                self.step(self.rng.choice(self.live))
                self.check()
                if self.team.truth.wrong:
                    return self.team.truth.wrong
            self.end()
        return self.team.truth.wrong

    # commands

    def say(self, clone: Clone, *words: str) -> str:
        """Run a command; a plain refusal is an answer, anything else is wrong."""
        try:
            answer = self.team.run(clone, *words)
        except BoxsetError as err:
            answer = f"REFUSED {err}"
            self.seen[f"refused: {err.what[:40]}"] += 1
            if not err.do:
                self.wrong(f"no next step: {' '.join(words)}: {err}")
        except Killed:
            answer = "KILLED"
        except Exception:  # noqa: BLE001 - whatever it is, it is wrong
            answer = traceback.format_exc()
            self.wrong(f"traceback of {' '.join(words)}: {answer}")
        self.log.append(f"{'  ' * self.depth}{clone.name}: {' '.join(words)} -> {answer.strip()}")
        self.given_up(clone)
        return answer

    def given_up(self, clone: Clone) -> None:
        """Take down what a clone's ledger has given up: nobody waits for it."""
        try:
            jobs = clone.ledger.jobs
        except BoxsetError:
            return
        for ask in self.team.truth.asks:
            job = jobs.get(ask.job)
            answer = job.answers.get(ask.sha256) if job else None
            if answer is not None and answer.why.startswith("refused") and ask.state == "answered":
                ask.state = "refused"
            if job is not None and job.closed is not None and not ask.place[0].startswith("ground"):
                is_late = not ask.is_handed_in or (ask.done_at == self.team.turn and ask.sha256 not in job.answers)
                ask.state = "over" if ask.state == "open" else "late" if ask.state == "answered" and is_late else ask.state

    def fuse(self, word: str) -> Fuse | None:
        rng = self.rng
        if self.depth or self.is_ending or rng.random() < (0.3 if word == "submit" else 0.6):
            return None
        others = [clone for clone in self.live if clone is not self.team.current]
        does = rng.choice(["kill", "kill", "error", "meanwhile"])
        return Fuse(rng.randint(1, self.longest[word] or 20), does, rng.random() < 0.5, lambda: self.meanwhile(rng.choice(others)) if others else None)

    def meanwhile(self, clone: Clone) -> None:
        self.depth += 1
        try:
            for _ in range(self.rng.choice([1, 2])):
                self.buy(clone) if self.rng.random() < 0.5 else self.step(clone)
        finally:
            self.depth -= 1

    def fused(self, clone: Clone, *words: str) -> str:
        before = self.team.current
        self.team.current = clone
        armed = self.fuse(words[0])
        self.team.current = before
        if self.depth:
            return self.say(clone, *words)
        self.team.fuse = armed
        if armed:
            self.log.append(f"  [{armed.does} {'after' if armed.is_after else 'before'} request {armed.left}]")
        before_it = self.team.requests
        answer = self.say(clone, *words)
        self.team.fuse = None
        if not armed or armed.left > 0:
            self.longest[words[0]] = max(self.longest[words[0]] * 3 // 4, self.team.requests - before_it)
        return answer

    # steps

    def step(self, clone: Clone) -> None:
        steps: dict[Callable[[Clone], None], int] = {
            self.buy: 30, self.collect: 12, self.cancel: 9, self.release: 8, self.work: 22, self.share: 18, self.fetch: 3, self.branch: 4,
            self.edit: 8, self.review: 3, self.adopt: 2, self.look: 2, self.miss: 2, self.lose: 2, self.come_back: 2, self.clean: 1,
        }  # fmt: skip
        weights = [weight * self.habits.get(do.__name__, 1) for do, weight in steps.items()]
        self.rng.choices(list(steps), weights)[0](clone)

    def buy(self, clone: Clone) -> None:
        rng = self.rng
        if rng.random() < 0.9 or not (clone.root / "data/label/plan.json").exists():
            self.repro(clone)
        more = [*(["--max-usd", str(rng.choice([0.2, 0.4, 0.7]))] if rng.random() < 0.4 else []), *(["--no-trial"] if rng.random() < 0.3 else [])]
        self.fused(clone, "submit", "--yes", *more)

    def repro(self, clone: Clone) -> bool:
        try:
            self.team.repro(clone)
        except BoxsetError as err:
            self.log.append(f"{clone.name}: repro -> REFUSED {err}")
            if not err.do:
                self.wrong(f"no next step: repro: {err}")
            return False
        return True

    def collect(self, clone: Clone) -> None:
        self.fused(clone, "collect", *(["--again"] if self.rng.random() < 0.3 else []))

    def cancel(self, clone: Clone) -> None:
        jobs = [name for name, job in self.ledger_of(clone).jobs.items() if job.closed is None]
        self.give_up(clone, *([self.rng.choice(jobs)] if jobs and self.rng.random() < 0.7 else []))

    def give_up(self, clone: Clone, *jobs: str) -> str:
        """Cancel; one whose folder is another clone's is stated to be over, whatever people do with it."""
        folders = {ask.job for ask in self.team.truth.asks if ask.place[0].startswith("files of ") and ask.place[0] != f"files of {clone.name}"}
        answer = self.fused(clone, "cancel", "--yes", *jobs)
        self.team.truth.stated |= folders.intersection(jobs)
        return answer

    def ledger_of(self, clone: Clone) -> Ledger:
        try:
            return clone.ledger
        except BoxsetError:
            return Ledger({}, "")

    def release(self, clone: Clone) -> None:
        if not clone.params["project"]["bucket"]:
            return
        listed = self.say(clone, "release")
        jobs = [line.split()[0] for line in listed.splitlines() if line.startswith("tools-")]
        if jobs:
            job = self.rng.choice(jobs)
            lost = self.rng.random() < 0.3
            answer = self.fused(clone, "release", job, "--yes", *(["--lost"] if lost else []))
            if lost and not answer.startswith("REFUSED"):
                self.team.truth.stated.add(job)

    def adopt(self, clone: Clone) -> None:
        jobs = sorted({ask.job for ask in self.team.truth.asks} - self.ledger_of(clone).jobs.keys())
        if jobs:
            self.fused(clone, "adopt", self.rng.choice(jobs))

    def work(self, _: Clone) -> None:
        """People draw in some of their tasks."""
        rng, truth = self.rng, self.team.truth
        asks = [ask for ask in truth.asks if ask.state == "open" or (ask.state == "over" and not ask.place[0].startswith("ground") and rng.random() < 0.1)]
        for ask in rng.sample(asks, rng.randint(0, len(asks))):
            if ask.place[0] == "ground_truth" and self.team.sagemaker.jobs[ask.job.lower()]["status"] not in ("InProgress", "Stopping"):
                continue
            is_vain = ask.place[0] == "ground_truth" and rng.random() < 0.25
            ask.state, ask.boxes = "late" if ask.state == "over" else "failed" if is_vain else "answered", rng.randint(0, 2)
            ask.is_handed_in, ask.done_at = not ask.place[0].startswith("files"), self.team.turn
        for ask in truth.asks:
            if ask.state == "answered" and ask.place[0].startswith("files") and rng.random() < 0.1:
                ask.boxes = rng.randint(0, 2)
        if rng.random() < 0.8:
            self.hand_in()
        if rng.random() < 0.8:
            self.team.sagemaker.move_on()
        self.log.append(f"work: {Counter(ask.state for ask in truth.asks)}")

    def hand_in(self) -> None:
        """Whoever draws in files puts what they have into the folder of results."""
        places = {ask.place for ask in self.team.truth.asks if ask.place[0].startswith("files of ")}
        for where, job in sorted(places):
            root = self.team.clones[where.removeprefix("files of ")].root
            done = [ask for ask in self.team.truth.of((where, job)) if ask.state in ("answered", "refused", "late")]
            if not done:
                continue
            for ask in done:
                ask.done_at = ask.done_at if ask.is_handed_in else self.team.turn
                ask.is_handed_in = True
            images = [{"id": n, "file_name": f"{ask.sha256}.jpg", "width": 400, "height": 300} for n, ask in enumerate(done)]
            left = -300 if not self.is_ending and self.rng.random() < 0.1 else 10  # a box outside of its picture is refused
            boxes = [{"id": 1, "image_id": n, "category_id": 1, "bbox": [left + 20 * k, 10, 15, 15]} for n, ask in enumerate(done) for k in range(ask.boxes)]
            path = root / "labelling" / job / "results" / "coco.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "hammer"}]}))

    def share(self, clone: Clone) -> None:
        way = self.rng.choice(["pull", "push", "both", "both", "commit"])
        if way == "commit":
            self.team.commit(clone)
        if way in ("pull", "both"):
            self.team.pull(clone)
        if way in ("push", "both"):
            self.team.push(clone)
        self.log.append(f"{clone.name}: git {way}")

    def fetch(self, clone: Clone) -> None:
        self.team.fetch(clone)

    def branch(self, clone: Clone) -> None:
        """Begin a branch, or merge the main one, or go back to it with what the branch has."""
        if clone.branch == "main":
            self.team.commit(clone)
            clone.branch, clone.follows = f"of-{clone.name}", ""
        elif self.rng.random() < 0.4:
            self.team.fetch(clone)
            self.team.take(clone, clone.fetched["main"])
        elif self.rng.random() < 0.4:
            self.check_out(clone)
        else:
            clone.branch, clone.follows = "main", "main"
            self.team.pull(clone)
        self.log.append(f"{clone.name}: on {clone.branch}")

    def check_out(self, clone: Clone) -> None:
        """Go to another branch and leave what this one has on it, or come back."""
        self.team.commit(clone)
        left, clone.left = clone.head, clone.left or clone.fetched["main"]
        clone.head, clone.left = clone.left, left
        self.team.put(clone)

    def edit(self, clone: Clone) -> None:
        rng, params = self.rng, clone.params
        kind = rng.choice(["workers", "price", "budget", "version", "backend", "category", "without", "limit", "back"])
        if kind == "workers":
            params["label"]["workers"] = rng.choice([1, 2])
        elif kind == "price":
            params["label"]["price"]["usd_per_task"] = rng.choice([0.036, 0.048])
        elif kind == "budget":
            params["label"]["budget_usd"] = rng.choice([0.5, 0.9, 1.6, 4.0])
            self.cap = max(self.cap, cap_mills(params["label"]["budget_usd"]))
        elif kind == "version":
            params["label"]["instructions_version"] = rng.choice([1, 2])
        elif kind == "backend":
            params["labeler"]["backend"] = rng.choice(self.backends)
        elif kind == "category":
            params["categories"]["axe"] = dict(AXE)
        elif kind == "without":
            params["categories"].pop(rng.choice(["axe", "saw"]), None)
        elif kind == "limit":
            params["label"]["max_images"] = rng.choice([0, 3])
        else:
            params["categories"]["saw"] = {"id": 2, "target": 4}
        self.team.set_params(clone)
        self.log.append(f"{clone.name}: edits {kind}")

    def look(self, clone: Clone) -> None:
        self.say(clone, self.rng.choice(["status", "costs", "plan"]))

    def miss(self, clone: Clone) -> None:
        """The pictures of a category are not pulled, or are here again."""
        here, away = (clone.root / "data/crawl/hammer" / name for name in ("images", "away"))
        here.rename(away) if here.is_dir() else away.rename(here)
        self.log.append(f"{clone.name}: pictures {'here' if here.is_dir() else 'away'}")

    def review(self, clone: Clone) -> None:
        picture, verdict = self.rng.choice(clone.pictures), self.rng.choice(list(decisions.Verdict))
        reason = "other" if verdict is decisions.Verdict.UNUSABLE else ""
        self.clock += timedelta(minutes=1)
        said = decisions.decided(picture, self.rng.choice([1, 2]), verdict, by=clone.name, at=self.clock, **({"reason": reason} if reason else {}))
        with self.team.at(clone):
            decisions.append_lines(Path("decisions/review.jsonl"), [decisions.as_line(said, what="a decision", where="")])
        self.log.append(f"{clone.name}: review {verdict}")

    def lose(self, clone: Clone) -> None:
        if len(self.live) > 1 and not self.depth:
            clone.is_lost = True
            self.log.append(f"{clone.name}: lost")

    def come_back(self, _: Clone) -> None:
        lost = [clone for clone in self.team.clones.values() if clone.is_lost]
        if lost:
            lost[0].is_lost = False
            self.log.append(f"{lost[0].name}: back")

    def clean(self, clone: Clone) -> None:
        """The machine forgets what git does not keep, but for the folder of tasks."""
        if not self.depth:
            shutil.rmtree(clone.root / ".boxset", ignore_errors=True)
            self.log.append(f"{clone.name}: without .boxset")

    # what must hold

    def merged(self, clones: list[Clone]) -> Ledger:
        left = [self.team.lay(clone.left, self.team.root / f"left of {clone.name}") for clone in clones if clone.left]
        return united([*(clone.root / "ledger" for clone in clones), *left], self.team.root / "united")

    def check(self) -> None:
        truth, clones = self.team.truth, list(self.team.clones.values())
        for clone in clones:
            try:
                self.seen["jobs"] += len(clone.ledger.jobs)
            except BoxsetError as err:
                self.wrong(f"{clone.name}'s ledger cannot be read: {err}")
                return
        ledger = self.merged(clones)
        known = sum(ask.mills for ask in truth.asks if ask.is_paid and ask.state != "late")
        if known > ledger.committed_mills:
            self.wrong(f"{known} mills were spent, and the ledger of all clones says {ledger.committed_mills}")
        held = sum(ask.mills for ask in truth.asks if ask.state in ("open", "answered", "refused", "failed"))
        witnesses = {ask.witness for ask in truth.asks}
        if held > self.cap and len(witnesses) == 1 and "" not in witnesses and not truth.stated and not any(ask.is_raced for ask in truth.asks):
            self.wrong(f"{held} mills are spent or may be, over {self.cap}, in spite of a witness")
        late = sum(ask.mills for ask in truth.asks if ask.state == "late")
        if len(clones) == 1 and ledger.committed_mills - late > self.cap:
            self.wrong(f"{ledger.committed_mills} mills are spent or reserved, over {self.cap}")

    def end(self) -> None:
        """Some lost machines stay lost, the others share all they have; then everything that is held must come free."""
        for clone in self.team.clones.values():
            clone.is_lost = clone.is_lost and self.rng.random() < 0.5
        self.is_ending = True
        for clone in self.live:
            if clone.left:
                self.team.take(clone, clone.left)
                clone.left = None
            if (clone.root / "data/crawl/hammer/away").is_dir():
                self.miss(clone)
        self.settle()
        self.take_over()
        self.check()
        if not self.team.truth.wrong:
            self.all_is_in()
        if not self.team.truth.wrong:
            self.all_is_named()
        if not self.team.truth.wrong:
            self.all_comes_free()

    def settle(self) -> None:
        """Everybody collects everything, twice, and all clones merge; on one set of parameters."""
        for clone in self.live:
            clone.params["labeler"] = {**clone.params["labeler"]}
        self.hand_in()
        for _ in range(2):
            self.team.sagemaker.move_on()
            for clone in self.live:
                for backend in self.backends:
                    clone.params["labeler"]["backend"] = backend
                    self.team.set_params(clone)
                    self.say(clone, "submit", "--yes", "--max-usd", "0")  # takes back what was given up here and sent elsewhere
                    self.say(clone, "collect", "--again")
                self.team.commit(clone)
            for _ in range(2):
                for clone in self.live:
                    clone.branch = "main"
                    clone.follows = "main"
                    self.team.pull(clone)
                    self.team.push(clone)
            for clone in self.live:
                self.team.pull(clone)

    def take_over(self) -> None:
        """What only lost machines have in their ledgers is adopted, where anybody can know of it."""
        clone, ledger = self.live[0], self.merged(self.live)
        jobs = {ask.place: ask for ask in self.team.truth.asks if ask.witness and ask.job not in ledger.jobs}
        for ask in jobs.values():
            clone.params["labeler"]["backend"] = next(one for one in BACKENDS if one[0] == ask.place[0][0] or (one, ask.place[0][0]) == ("label_studio", "s"))
            self.team.set_params(clone)
            if self.say(clone, "adopt", ask.job).startswith("REFUSED") and ask.job not in clone.ledger.jobs:
                self.wrong(f"lost for good: {ask.place}")
        if jobs:
            self.settle()

    def is_known(self, place: tuple[str, str]) -> bool:
        """Whether somebody who is not lost can look at a place."""
        return not place[0].startswith("files of ") or not self.team.clones[place[0].removeprefix("files of ")].is_lost

    def all_is_in(self) -> None:
        ledger = self.merged(self.live)
        if any(clone.ledger.jobs != ledger.jobs for clone in self.live):
            self.wrong("the clones have merged all and differ")
        waiting = {ask.job for ask in self.team.truth.asks if ask.state == "open" and ask.job in ledger.jobs and not ledger.jobs[ask.job].is_sent}
        for ask in self.team.truth.asks:
            if ask.state in ("answered", "late") and self.is_known(ask.place) and ask.job in ledger.jobs.keys() - waiting:
                answer = ledger.jobs[ask.job].answers.get(ask.sha256)
                if answer is None or answer.state != "labelled" or len(answer.boxes) != ask.boxes:
                    rivals = [one for one in self.team.truth.asks if one.job == ask.job and one.sha256 == ask.sha256 and one is not ask]
                    if not rivals:
                        self.wrong(f"an answer is missing: {ask} {answer}")
        known = [ask for ask in self.team.truth.asks if ask.is_paid and ask.job in ledger.jobs and (ask.state != "late" or self.is_known(ask.place))]
        paid = sum(ask.mills for ask in known)
        if paid > ledger.committed_mills:
            self.wrong(f"{paid} mills were spent, and the merged ledger says {ledger.committed_mills}")

    def all_is_named(self) -> None:
        ledger = self.merged(self.live)
        named = faults(ledger, cap_mills=self.cap)
        for first, second in self.team.truth.doubles:
            both = {first.job, second.job}
            is_held = both <= ledger.jobs.keys() and self.is_known(first.place) and self.is_known(second.place) and {first.state, second.state} <= {"open", "answered", "late"}
            if is_held and (len(both) == 1 or not any(second.job in fault for fault in named)):  # of three jobs two may be named
                self.wrong(f"asked twice and not named: {first} and {second}; named: {named}")
        if ledger.committed_mills > self.cap and not any("over the cap" in fault for fault in named):
            self.wrong(f"the cap is passed, and not named: {named}")

    def all_comes_free(self) -> None:
        """By documented commands alone nothing is held any more, and all that may be bought can be."""
        clone = self.live[0]
        for backend in self.backends:
            clone.params["labeler"]["backend"] = backend
            self.team.set_params(clone)
            for name, job in clone.ledger.jobs.items():
                if job.closed is None and job.reserved.backend == backend:
                    for _ in range(2):
                        if self.give_up(clone, name).startswith("REFUSED"):
                            continue
                        break
        self.team.sagemaker.move_on()
        for backend in self.backends:
            clone.params["labeler"]["backend"] = backend
            self.team.set_params(clone)
            self.say(clone, "collect")
            if clone.params["project"]["bucket"]:
                listed = self.say(clone, "release")
                for job in [line.split()[0] for line in listed.splitlines() if line.startswith("tools-")]:
                    self.say(clone, "release", job, "--yes", "--lost")
        open_ = [name for name, job in clone.ledger.jobs.items() if job.closed is None]
        if open_:
            self.wrong(f"cannot be given up: {open_}")
        clone.params["label"].update(budget_usd=900.0, max_images=0)
        clone.params["labeler"]["trial"] = 0
        clone.params["categories"] = {"hammer": {"id": 1, "target": 4000}, "saw": {"id": 2, "target": 4000}}
        self.team.set_params(clone)
        if not self.repro(clone):
            self.wrong("no plan can be made")
        answer = self.say(clone, "submit", "--yes")
        if "that the ledger does not know" in answer:
            job = answer.partition("has a job ")[2].split()[0]
            if self.say(clone, "adopt", job).startswith("REFUSED"):
                self.team.studio.delete_empty()  # as it says
            else:
                self.give_up(clone, job)
            self.repro(clone)
            answer = self.say(clone, "submit", "--yes")
        if not answer.startswith(("sent", "nothing to buy", "Other clones")) and "REFUSED" not in answer:
            self.wrong(f"odd: {answer}")
        if "REFUSED" in answer:
            self.wrong(f"held for good: {answer}")


def walk(seed: int, *, steps: int = 30) -> Walk:
    """Walk a seed, and return the walk; `wrong` of its truth says what did not hold."""
    with tempfile.TemporaryDirectory(prefix="walk", dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        found = Walk(seed, Path(folder), steps=steps)
        found.go()
        return found


def main() -> None:
    first, count, steps = (int(word) for word in (*sys.argv[1:], "30")[:3])
    seen: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for seed in range(first, first + count):
        found = walk(seed, steps=steps)
        seen.update(found.seen)
        if seed % 50 == 49:
            print(f"… {seed}", flush=True)
        if found.team.truth.wrong:
            words = found.team.truth.wrong[0]
            kinds[words[:25]] += 1
            print(f"seed {seed}: {words[:400]}", flush=True)
            if count == 1:
                print("\n".join(found.log))
    print(kinds)
    if "-v" in sys.argv or count > 1:
        for words, times in seen.most_common():
            print(f"{times:6} {words}")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
