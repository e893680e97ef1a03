"""What was built and where to look, in a few lines, from the parameters, `metrics/` and the ledger: true in a clone without data as well."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from boxset.assemble.split import short_words, words_on_test
from boxset.assemble.waiting import unnamed_words
from boxset.dataset.coco import SPLITS
from boxset.labeling.standing import Standing
from boxset.params import Params
from boxset.wording import counted, money, noun

Metrics = Mapping[str, Mapping[str, Any]]
REPORT, TRAINING = "data/report/index.html", "data/dataset/data.yaml"


class CategoryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One category: boxes wanted, brought by public sources, drawn by people, in the data set; addresses found, tried and kept by its crawl; pictures reviewed."""

    name: str
    wanted: int
    public: int
    people: int
    boxes: int
    by_split: dict[str, int]
    found: int
    tried: int
    kept: int
    reviewed: int  # pictures that somebody decided in `boxset review`
    to_review: int


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a project. Money in USD."""

    is_built: bool
    categories: tuple[CategoryStatus, ...]
    pictures: dict[str, int]  # split → pictures
    funnels: dict[str, dict[str, int]]  # crawl, public sources, own pictures → step → addresses or pictures, in order
    labelled: int  # pictures that people have answered
    unused: int  # of them, those that are gone, or that the merge leaves out
    spent_usd: float  # or reserved
    open_usd: float  # of it, in jobs that are not over
    budget_usd: float
    planned: int
    to_targets: int | None  # pictures that would be bought if the budget were no limit; not known of a plan from before
    planned_usd: float
    is_plan_old: bool  # the ledger has what the plan and the data set do not know
    faults: tuple[str, ...]  # what was bought amiss
    frozen: str  # the version that test was held to, and what that kept out; empty where it is not frozen
    test_says: tuple[str, ...]  # what limits the trust in a score on test
    val_says: tuple[str, ...]  # what val has too little of
    waiting: tuple[str, ...]  # own pictures that no category is named for
    is_review_new: bool  # decisions of `boxset review` are not in the plan and the data set
    only_reviewed: bool  # `label.review` is required


def status(params: Params, metrics: Metrics, bought: Standing) -> Status:
    """Return the state of a project, its money as the ledger has it; what was not built yet counts as nothing."""
    dataset, label = metrics.get("dataset", {}), metrics.get("label", {})
    cost, asked = label.get("cost_usd", {}), label.get("images", {})
    pictures = {split: int(dataset.get("images", {}).get(split, 0)) for split in SPLITS}
    return Status(
        is_built=bool(dataset),
        categories=tuple(_category(name, params, metrics, bought.reviewed.get(name, 0)) for name in params.categories),
        pictures=pictures,
        funnels=_funnels(params, metrics),
        labelled=int(asked.get("labelled", 0)),
        unused=int(asked.get("unused", 0)),
        spent_usd=bought.committed_mills / 1000,
        open_usd=(bought.committed_mills - bought.spent_mills) / 1000,
        budget_usd=params.label.budget_usd,
        planned=int(asked.get("planned", 0)),
        to_targets=asked.get("to_targets"),
        planned_usd=float(cost.get("plan", 0)),
        is_plan_old=bought.is_news,
        faults=bought.faults,
        frozen=_frozen(dataset, params),
        test_says=tuple(words_on_test(dataset)),
        val_says=tuple(short_words(dataset, ("val",))),
        waiting=tuple(unnamed_words(label.get("without_category", {}), params.categories)),
        is_review_new=bought.is_review_news,
        only_reviewed=params.label.review == "required",
    )


def _frozen(dataset: Mapping[str, Any], params: Params) -> str:
    held, wanted = dataset.get("frozen", {}), params.split.freeze_test
    if dataset and held.get("name", "") != wanted:
        return f"not as split.freeze_test says ({wanted or 'empty'}): `dvc repro balance`"
    near = f"; {counted(held['near_left_out'], 'picture')} near one of these left out of training" if held.get("near_left_out") else ""
    return f"frozen as {wanted}: {counted(held['images'], 'picture')}, {counted(held['boxes'], 'box')}{near}" if held else ""


def _category(name: str, params: Params, metrics: Metrics, reviewed: int) -> CategoryStatus:
    dataset, crawl = metrics.get("dataset", {}), metrics.get(f"crawl/{name}", {})
    then, waited = (int(metrics.get("label", {}).get(key, {}).get(name, 0)) for key in ("reviewed", "to_review"))
    by_split = dataset.get("boxes_by_split", {})
    return CategoryStatus(
        name=name,
        wanted=params.categories[name].target,
        public=sum(_boxes(metrics, f"extract/{source}", name) for source in params.sources),
        people=_boxes(metrics, "label", name),
        boxes=_boxes(metrics, "dataset", name),
        by_split={split: int(by_split.get(split, {}).get(name, 0)) for split in SPLITS},
        found=sum(crawl.get("found", {}).values()),
        tried=int(crawl.get("seen", 0)),
        kept=int(crawl.get("kept", 0)),
        reviewed=reviewed,
        to_review=max(0, waited + then - reviewed),
    )


def _boxes(metrics: Metrics, stage: str, category: str) -> int:
    return int(metrics.get(stage, {}).get("boxes", {}).get(category, 0))


def _funnels(params: Params, metrics: Metrics) -> dict[str, dict[str, int]]:
    """Return what became of the pictures of each origin; one's own where there are such sources."""
    crawls = [metrics.get(f"crawl/{name}", {}) for name in params.categories]
    own = {name for name, source in params.sources.items() if (source.format or name) == "local"}
    found = {"found by search": sum(sum(crawl.get("found", {}).values()) for crawl in crawls)}
    return {
        "crawl": {**found, **_tried(crawls)},
        "public sources": _tried([metrics.get(f"extract/{name}", {}) for name in params.sources if name not in own]),
        **({"own pictures": _tried([metrics.get(f"extract/{name}", {}) for name in sorted(own)])} if own else {}),
    }


def _tried(stages: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {step: sum(int(metrics.get(key, 0)) for metrics in stages) for step, key in (("tried", "seen"), ("kept", "kept"))}


def next_step(state: Status) -> str:
    """Return the most useful thing to do now; `…` are commands."""
    missing = [c.name for c in state.categories if c.boxes < c.wanted]
    or_train = "; or train as it is" if any(c.boxes for c in state.categories) else ""
    if not state.is_built:
        return "`dvc repro` builds the data set"
    if state.open_usd > 0.0005:
        return "`boxset label collect` takes in what people have answered so far, then `dvc repro`"
    if state.is_plan_old:
        return "`dvc repro label` plans from the ledger as it is now; `dvc repro` builds with its answers"
    if state.is_review_new:
        return "`dvc repro` takes in what was decided in `boxset review`: commit it"
    waiting = sorted((c for c in state.categories if c.to_review and c.boxes < c.wanted), key=lambda c: -c.to_review)
    if state.planned:
        first = f"`boxset review {waiting[0].name}` sorts pictures before you pay; " if waiting else ""
        plan = f"{counted(state.planned, 'picture')} to buy next, for {money(state.planned_usd)}"
        return first + f"`boxset label plan` shows the {plan}; `boxset label submit` buys {noun(state.planned, 'it', 'them')}"
    if state.only_reviewed and waiting:
        return f"`boxset review {waiting[0].name}` shows the {counted(waiting[0].to_review, 'picture')} that wait for a yes before they are bought"
    if missing and state.waiting:
        return "name a category for the pictures that wait, as it says above, then `dvc repro`"
    if missing and _waits_for_money(state):
        names = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        return f"raise `label.budget_usd` and `dvc repro` for a plan that brings boxes of {names}{or_train}"
    if missing and not state.funnels["crawl"]["tried"]:
        bring = f"a folder of your own, public boxes (`boxset coverage {missing[0]}`), or a crawl (`queries` and `crawl_images`)"
        return f"more pictures of {missing[0]} are needed: {bring}{or_train}"
    if missing:
        return f"raise `crawl_images` or add queries for {missing[0]}, then `dvc repro`; `boxset coverage {missing[0]}` looks for public boxes"
    return f"train: `yolo detect train data={TRAINING}`"


def _waits_for_money(state: Status) -> bool:
    """Return whether there are pictures that a larger budget would buy."""
    return state.to_targets > 0 if state.to_targets is not None else state.budget_usd <= state.spent_usd
