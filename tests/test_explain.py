"""The history of one picture: every step, or where it was left out."""

import io
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from PIL import Image

from boxset.cli import cli
from boxset.commands.explain import read_records
from boxset.compare.explain import WHY, Bought, Hit, Records, Step, Story, explain
from boxset.dataset.coco import Coco
from boxset.dataset.reasons import Reason
from boxset.dataset.records import KEPT, ImageRow, Seen, State
from boxset.errors import InputError
from boxset.files import write_json, write_jsonl
from boxset.images.prepare import Prepared, prepare
from boxset.labeling.ledger import ANSWERS, PURCHASES, Answered, Asked, Drawn, Reserved, append
from boxset.web.suppliers import Answer
from boxset.web.suppliers import Hit as Named
from tests import build
from tests.build import box, known, picture, pool, sha

URL = "https://shop.example/hammer.jpg"
GONE = "f0" * 32
TWIN = "https://other.example/same.jpg"
HIT = Hit(url=URL, category="hammer", supplier="searxng", query="claw hammer", lang="all", page=1, place=3, engine="bing images")


def row(name: str, **more: Any) -> ImageRow:
    """A row of a picture that was kept."""
    kept = picture(name, **more)
    return ImageRow(source_id=kept.source_id, url=kept.url, outcome=KEPT, picture=kept)


def lost(url: str, reason: Reason, detail: str = "") -> ImageRow:
    """A row of an address that was left out."""
    return ImageRow(source_id=url, url=url, outcome=reason, detail=detail)


def crawled(name: str = "a", url: str = URL) -> ImageRow:
    """A row of a crawl."""
    return row(
        name, source="crawl", source_id=url, url=url, title="A hammer", category="hammer", query="claw hammer", supplier="searxng", engine="bing images", rank=4
    )


def records(**fields: Any) -> Records:
    """A crawl that kept one picture and left out its copy."""
    tried = {"crawl hammer": [crawled(), lost(TWIN, Reason.DUPLICATE, URL)]}
    return Records(**{"tried": tried, "hits": [HIT], **fields})


def test_a_crawled_picture_that_was_labelled_has_its_whole_history() -> None:
    bought = Bought(
        sha256=sha("a"), job="job-1", backend="files", categories=("hammer", "saw"), price_usd=0.116, state="labelled", boxes={"hammer": 1}, why=""
    )
    image = build.image(7, sha256=sha("a"), file_name=f"{sha('a')}.jpg", source="crawl", source_id=URL)
    merged = build.coco([image], [build.annotation(1, 7, source="label")])

    (story,) = explain(URL, records(bought=[bought], merged=merged, dataset={"train": merged}))

    kept = picture("a")
    assert story == Story(
        name=sha("a"),
        verdict="in the data set: train, 1 box",
        steps=(
            Step(
                where="crawl hammer",
                what=f"kept as {kept.file_name[:12]}…, found by searxng for “claw hammer”, rank 4",
                details=(
                    f"from {URL}",
                    "titled “A hammer”",
                    f"{kept.width} x {kept.height}, licence {kept.license or 'unknown'}",
                    "result 3 on page 1 of searxng (bing images) for “claw hammer”, hammer",
                ),
            ),
            Step(where="label", what="asked about hammer, saw in job-1 (files) for $0.116", details=("answered: 1 hammer",)),
            Step(where="merge", what="the only copy"),
            Step(
                where="balance",
                what=f"image 7, data/dataset/images/train/{sha('a')}.jpg",
                details=("hammer [10.0, 20.0, 100.0, 80.0] from label",),
            ),
        ),
    )


@pytest.mark.parametrize(("state", "says"), [("labelled", "its answer is newer than this merge"), ("open", "nobody has looked at it yet")])
def test_what_was_answered_after_the_merge_is_not_called_unseen(state: str, says: str) -> None:
    bought = Bought(sha256=sha("a"), job="job-1", backend="files", categories=("hammer",), price_usd=0.116, state=state, boxes={})

    (story,) = explain(URL, records(bought=[bought], dropped={sha("a"): "unlabelled"}))

    assert story.verdict.startswith(f"not in the data set: unlabelled: {says}")
    assert story.steps[-1].what.startswith(f"left out, unlabelled: {says}")


def test_an_address_that_died_since_is_told() -> None:
    dead = msgspec.structs.replace(crawled(), checked=2, died=2)

    (story,) = explain(URL, records(tried={"crawl hammer": [dead]}))

    assert story.steps[1] == Step(where="crawl hammer", what=f"{URL} no longer answered when `crawl.refresh` was 2; the picture stays")


def test_copies_of_a_picture_tell_one_story() -> None:
    tried = {"extract coco": [row("small", source="coco", source_id="9")], "extract lvis": [row("large", source="lvis", source_id="9")]}
    merged = build.coco([build.image(1, sha256=sha("large"), source="lvis", source_id="9", also_in=("coco:9",))], [])
    pools = {"extract coco": pool(picture("small", source="coco"), box("small"), known("small", State.PARTIAL))}
    all_records = Records(tried=tried, merged=merged, dataset={"val": merged}, pools=pools, conflicts={sha("large"): ["presence of hammer"]})

    stories = [explain(name, all_records) for name in ("coco:9", "lvis:9", sha("large"), sha("small"))]

    assert stories[0] == stories[1] == stories[2] == stories[3]
    (story,) = stories[0]
    assert [step.where for step in story.steps] == ["extract coco", "extract lvis", "extract coco", "merge", "balance"]
    assert story.steps[2] == Step(where="extract coco", what="says: 1 hammer", details=("may lack a box: hammer",))
    assert story.steps[3] == Step(where="merge", what="the best of 2 copies: lvis 9", details=("also in coco:9", "contradiction: presence of hammer"))


def test_a_duplicate_names_the_picture_that_was_kept() -> None:
    (story,) = explain(TWIN, records(dropped={sha("a"): "unlabelled"}))

    assert story.verdict == "left out: duplicate: it shows the same as one that was kept"
    assert story.steps == (
        Step(
            where="crawl hammer",
            what="left out, duplicate: it shows the same as one that was kept",
            details=(
                f"what was seen: {URL}",
                f"the one that was kept: {sha('a')}, not in the data set: unlabelled: nobody has looked at it yet: it waits for labels",
            ),
            is_end=True,
        ),
    )


def test_what_balance_leaves_out_is_told() -> None:
    merged = build.coco([build.image(1, sha256=sha("a"), source="crawl", source_id=URL)], [])

    (story,) = explain(sha("a")[:20], records(merged=merged, dataset={"train": build.coco([], [])}))

    assert story.verdict == f"left out by balance: {WHY[Reason.OVER_CAP]}"
    assert story.steps[-1] == Step(where="balance", what=f"left out, over_cap: {WHY[Reason.OVER_CAP]}", is_end=True)


def test_what_is_near_a_frozen_picture_is_told() -> None:
    merged = build.coco([build.image(1, sha256=sha("a"), source="crawl", source_id=URL)], [])

    (story,) = explain(sha("a"), records(merged=merged, dataset={"train": build.coco([], [])}, near_frozen=frozenset({sha("a")})))

    assert story.verdict == f"left out by balance: {WHY[Reason.NEAR_FROZEN]}"


@pytest.mark.parametrize("merged", [build.coco([], []), build.coco([build.image(7, sha256=sha("large"), source="lvis", also_in=(f"crawl:{URL}",))], [])])
def test_a_frozen_picture_is_in_test_whatever_is_merged_now(merged: Coco) -> None:
    test = build.coco([build.image(3, sha256=sha("a"), file_name="a.jpg")], [build.annotation(1, 3)])

    (story,) = explain(sha("a"), records(merged=merged, dropped={sha("a"): "unlabelled"}, dataset={"train": build.coco([], []), "test": test}))

    assert story.verdict == "in the data set: test, 1 box"
    assert story.steps[-1].what == "image 3, data/dataset/images/test/a.jpg"
    assert story.steps[-1].details[0] == "as it was frozen (split.freeze_test), whatever is merged now"


def test_an_address_that_nobody_tried_is_told() -> None:
    (story,) = explain(URL, Records(hits=[HIT]))

    assert story.verdict == "found, and not tried"
    assert story.steps[0].details == ("result 3 on page 1 of searxng (bing images) for “claw hammer”, hammer",)


@pytest.mark.parametrize(("wanted", "says"), [
    ({"hammer": 1}, "found, and not tried: enough good pictures came before it (1 of 1)"),
    ({"hammer": 3}, "found, and not tried: the crawl has not come to it (1 kept of 3)"),
    ({}, "found, and not tried: the crawl has not come to it (1 kept)"),
])  # fmt: skip
def test_enough_came_before_only_where_enough_were_kept(wanted: dict[str, int], says: str) -> None:
    other = msgspec.structs.replace(HIT, url="https://shop.example/other.jpg")

    (story,) = explain(other.url, records(hits=[HIT, other], wanted=wanted))

    assert [step.what for step in story.steps] == [says]


def test_an_address_left_out_for_another_spelling_says_what_became_of_that() -> None:
    gone, again = lost("https://www.a.example/1.jpg", Reason.GONE, "HTTP 404"), lost("http://a.example/1.jpg", Reason.DUPLICATE_ADDRESS, "https://www.a.example/1.jpg")
    twice = lost("http://shop.example/hammer.jpg", Reason.DUPLICATE_ADDRESS, URL)
    all_rows = Records(tried={"crawl hammer": [gone, again, crawled(), twice]})

    assert f"that one: left out, gone: {WHY[Reason.GONE]}" in explain(again.url, all_rows)[0].steps[0].details
    assert f"the one that was kept: {sha('a')}, kept; not merged yet" in explain(twice.url, all_rows)[0].steps[0].details


ASKED = {
    "http://pics.example/p/my%20hammer.jpg": ["http://Pics.example/p/my hammer.jpg", "http://pics.example:80/p/my hammer.jpg#top", "HTTP://PICS.EXAMPLE/p/my%20hammer.jpg"],
    "http://pics.example/a.jpg?size%5Bw%5D=1": ["http://pics.example/a.jpg?size[w]=1", "https://www.pics.example/a.jpg?utm_source=x&size[w]=1"],
    "http://xn--bcher-kva.example/a.jpg": ["http://bücher.example/a.jpg", "//BÜCHER.example/a.jpg"],
}  # fmt: skip


@pytest.mark.parametrize(("tried", "spelt"), [(tried, spelt) for tried, all_spelt in ASKED.items() for spelt in all_spelt])
@pytest.mark.parametrize("is_kept", [True, False])
def test_an_address_is_known_in_every_spelling(tried: str, spelt: str, is_kept: bool, tmp_path: Path) -> None:
    kept = crawled(url=tried) if is_kept else lost(tried, Reason.GONE, "HTTP 404")
    write_jsonl(tmp_path / "data/crawl/hammer/images.jsonl", [kept])
    answer = Answer(supplier="searxng", q="claw hammer", lang="all", page=1, hits=(Named(url=ASKED[tried][0], engine="bing images"),))
    write_jsonl(tmp_path / "data/crawl/hammer/results.jsonl", [answer])

    (story,) = explain(spelt, read_records(tmp_path))

    assert story.verdict == ("kept; not merged yet" if is_kept else f"left out: gone: {WHY[Reason.GONE]}")
    assert "result 1 on page 1 of searxng (bing images) for “claw hammer”, hammer" in story.steps[0].details


PUBLISHED = "https://farm3.staticflickr.com/2/77_a_o.jpg"


@pytest.mark.parametrize("spelt", [PUBLISHED, "http://farm3.staticflickr.com/2/77_a_o.jpg", f"{PUBLISHED}?utm_source=x#a"])
def test_a_picture_is_known_by_the_address_at_which_its_author_published_it(spelt: str, tmp_path: Path) -> None:
    copies = [row(name, source=name, source_id=name, original_url=PUBLISHED, author="Ann", author_url="https://ann.example/") for name in ("open_images", "lvis")]
    other = row("c", source="lvis", source_id="c", original_url=PUBLISHED.replace("77", "78"))
    write_jsonl(tmp_path / "data/extract/open_images/images.jsonl", copies[:1])
    write_jsonl(tmp_path / "data/extract/lvis/images.jsonl", [other, *copies[1:]])
    write_jsonl(tmp_path / "data/crawl/hammer/images.jsonl", [lost(PUBLISHED, Reason.TIMEOUT)])

    stories = explain(spelt, read_records(tmp_path))

    assert {(story.name, story.verdict.partition(":")[0]) for story in stories} == {
        (sha("open_images"), "kept; not merged yet"),
        (sha("lvis"), "kept; not merged yet"),
        (PUBLISHED, "left out"),
    }
    assert stories[0].steps[0].details[1:] == (f"published at {PUBLISHED}", "400 x 300, licence CC-BY-4.0, by Ann https://ann.example/")


def test_an_untried_address_is_known_in_every_spelling_and_a_thumbnail_too(tmp_path: Path) -> None:
    hits = (Named(url="http://Pics.example/my hammer.jpg"), Named(url="ftp://x.example/a", thumbnail="http://T.example/small.jpg"), Named(url="ftp://x.example/b"))
    write_jsonl(tmp_path / "data/crawl/hammer/results.jsonl", [Answer(supplier="searxng", q="q", lang="all", page=1, hits=hits)])
    write_json(tmp_path / "metrics/crawl/hammer.json", {"wanted": 5, "kept": 0})
    project = read_records(tmp_path)

    for place, spelt in enumerate(("http://pics.example/my%20hammer.jpg#a", "http://t.example/small.jpg", "ftp://x.example/b"), 1):
        (story,) = explain(spelt, project)
        assert story.steps[0].what == "found, and not tried: the crawl has not come to it (0 kept of 5)"
        assert story.steps[0].details[0].startswith(f"result {place} on page 1")


@pytest.mark.parametrize(("state", "says"), [("open", "not answered yet"), ("failed", "failed: too dark"), ("labelled", "answered: none of them is there")])
def test_every_state_of_a_purchase_is_told(state: str, says: str) -> None:
    bought = Bought(sha256=sha("a"), job="j", backend="files", categories=("hammer",), price_usd=0.1, state=state, boxes={}, why="too dark")

    (story,) = explain(URL, records(bought=[bought]))

    assert next(step for step in story.steps if step.where == "label").details == (says,)


@pytest.mark.parametrize("name", [GONE, GONE[:12]])
def test_a_picture_that_was_paid_for_is_known_after_it_has_gone(name: str) -> None:
    bought = Bought(sha256=GONE, job="job-1", backend="files", categories=("hammer",), price_usd=0.188, state="labelled", boxes={"hammer": 2})
    step = Step(where="label", what="asked about hammer in job-1 (files) for $0.188", details=("answered: 2 hammer",))

    assert explain(name, records(bought=[bought])) == [
        Story(name=GONE, verdict="not here: its source or category is gone, or a licence or a reject word keeps its address out now", steps=(step,))
    ]


def test_a_picture_that_was_looked_at_and_left_out_is_known_by_its_content() -> None:
    seen = Seen(sha256=sha("bad"), file_name=f"{sha('bad')}.jpg", width=90, height=60, phash="0" * 16, grid="")
    left_out = msgspec.structs.replace(lost(TWIN, Reason.TOO_SMALL, "90x60"), seen=seen)

    (story,) = explain(sha("bad"), records(tried={"crawl hammer": [left_out]}))

    assert story.verdict == f"left out: too_small: {WHY[Reason.TOO_SMALL]}"
    assert [(step.where, step.details) for step in story.steps] == [("crawl hammer", ("what was seen: 90x60",))]


def test_nothing_known_suggests_what_is_near() -> None:
    with pytest.raises(InputError) as error:
        explain("https://shop.example/hamer.jpg", records())

    assert str(error.value).startswith(f"https://shop.example/hamer.jpg: nothing is known of it; did you mean {URL}")


def test_the_command_reads_a_project_and_knows_a_picture_file_by_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    raw = io.BytesIO()
    Image.effect_noise((300, 200), 50).convert("RGB").save(raw, "JPEG", comment=b"from a phone")
    (tmp_path / "mine.jpg").write_bytes(raw.getvalue())
    stored = prepare(raw.getvalue())
    assert isinstance(stored, Prepared)
    kept = row("a", sha256=stored.sha256, file_name=stored.file_name, source="lvis", source_id="9")
    write_jsonl(tmp_path / "data/extract/lvis/images.jsonl", [kept])
    answer = Answered(job="j", sha256=stored.sha256, state="labelled", boxes=(Drawn(category_id=1, bbox=(1, 1, 5, 5)),))
    reserved = Reserved(job="j", backend="files", version=1, categories={"hammer": 1}, pictures=1, worst_mills=116)
    asked = Asked(job="j", sha256=stored.sha256, file_name="a.jpg", width=300, height=200, phash="0" * 16)
    append(tmp_path / "ledger", PURCHASES, [reserved, asked])
    append(tmp_path / "ledger", ANSWERS, [answer])

    done = CliRunner().invoke(cli, ["explain", "mine.jpg"])

    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        stored.sha256,
        "kept; not merged yet",
        f"  • extract lvis  kept as {stored.sha256[:12]}… 9",
        f"      from {kept.url}",
        f"      {kept.picture.width} x {kept.picture.height}, licence {kept.picture.license or 'unknown'}",
        "  • label  asked about hammer in j (files) for $0.116",
        "      answered: 1 hammer",
        "",
    ]


@pytest.mark.parametrize("command", ["explain", "takedown"])
def test_where_what_was_built_is_not_here_nothing_known_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """A takedown that knows an address alone would let the picture's copies stay."""
    monkeypatch.chdir(tmp_path)
    outs = "".join(f"    - path: {path}\n" for path in ("data/crawl/hammer", "data/crawl/gone", "data/extract/lvis", "data/report"))
    (tmp_path / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n  all:\n    cmd: x\n    outs:\n{outs}")

    (tmp_path / "params.yaml").write_text("world: live\nproject: {name: tools}\ncategories: {hammer: {id: 1, target: 5}}\nsources: {lvis: {on: false}}\n")

    done = CliRunner().invoke(cli, [command, URL])

    assert str(done.exception) == f"{URL}: nothing is known of it. 2 folders of data/ that may know it are not here: `dvc pull`, then try again"
    assert not (tmp_path / "decisions/takedown.jsonl").exists()


@pytest.mark.parametrize("command", [["explain"], ["takedown", "--by", "Anna"]], ids=" ".join)
@pytest.mark.parametrize("name", ["a" * 300, f"openverse:{'a' * 300}", f"https://shop.example/{'a' * 5000}"], ids=["name", "number", "address"])
def test_a_name_that_no_file_can_have_is_one_that_nothing_is_known_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").touch()

    error = CliRunner().invoke(cli, [*command, name]).exception

    assert isinstance(error, InputError)
    assert (error.where, error.what) in {(name, "nothing is known of it"), (name, "is no address that is ever asked, and no picture")}


def test_every_reason_has_words() -> None:
    assert set(WHY) == set(Reason)
