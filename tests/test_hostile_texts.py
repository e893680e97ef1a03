"""What strangers write, however long and odd, costs its own row and no more; and what a killed run left is cleared away."""

import csv
from pathlib import Path

import pytest

from boxset.dataset.reasons import Reason, Refusal
from boxset.errors import InputError
from boxset.files import read_jsonl, write_csv
from boxset.params import Crawl, Licences, Query, Searxng
from boxset.resolve import CrawlOrder
from boxset.web.addresses import vetted
from boxset.web.crawl import crawl
from boxset.web.pictures import Journal, Outcome, Shelf, Stored, Wanted, fetch_all, stored_elsewhere
from boxset.web.rounds import Memory, Rounds
from boxset.web.suppliers.answers import page_address, plain, web_address
from boxset.web.words import folded
from boxset.work import Flow
from tests.outside import Search, outside, photo


@pytest.mark.parametrize("many", ["<", "<a ", "+", "#%", "&#", "&lt;<"])
def test_a_title_and_an_address_of_a_megabyte_are_read_as_far_as_is_of_use(many: str) -> None:
    texts = [plain(many * 1_000_000), plain("A claw hammer " + many * 1_000_000), folded("C++ " + many * 4_000)]
    page_address("https://a.example/" + many * 1_000_000)
    assert all(len(text) <= 20_000 for text in texts)
    assert texts[1].startswith("A claw hammer")
    assert texts[2].startswith("c++")


def test_an_address_that_is_too_long_has_one_row_and_is_cut_where_it_comes_in() -> None:
    found = web_address("https://a.example/" + "x" * 100_000)
    assert len(found) < 5000
    assert isinstance(vetted(found), Refusal)
    assert page_address("https://a.example/" + "x" * 100_000) == ""


def test_an_address_of_a_source_that_cannot_be_read_is_one_row(tmp_path: Path) -> None:
    wanted = [Wanted(url=url) for url in ("http://a.example/1.jpg", "http://[bad/2.jpg", "http://a.example/3.jpg")]
    with Journal(tmp_path / "j.jsonl") as journal:
        tried = fetch_all(wanted, lambda _: Refusal(Reason.GONE), shelf=Shelf(tmp_path / "s"), journal=journal, elsewhere={}, flow=Flow(4))
        assert [outcome.outcome for outcome in tried] == ["gone"] * 3


def test_a_picture_that_another_stage_takes_away_at_this_moment_is_fetched_and_stored(tmp_path: Path) -> None:
    """A folder stands for it: it is there, and cannot be read or linked to."""
    raw = photo(1)
    first = Shelf(tmp_path / "first").put(raw)
    assert isinstance(first, Stored)
    shelf = Shelf(tmp_path / "second", twins={first.file_name: tmp_path})

    with Journal(tmp_path / "j.jsonl") as journal:
        tried = fetch_all([Wanted(url="http://a.example/1")], lambda _: raw, shelf=shelf, journal=journal, elsewhere={"http://a.example/1": tmp_path}, flow=Flow(4))
        assert [outcome.stored for outcome in tried] == [first]

    assert [path.name for path in (tmp_path / "second").iterdir()] == [first.file_name]


def test_half_written_pictures_of_a_killed_run_leave_the_shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shelf, inner = Path(".boxset/shelf/hammer"), Path("data/crawl/hammer/images")
    for folder in (shelf, inner):
        folder.mkdir(parents=True)
        (folder / f".{'ab' * 32}.jpg.4711.part").write_bytes(b"half")

    order = CrawlOrder(category="hammer", crawl_images=2, use="research", licences=Licences(), queries=(Query(q="x"),), confusers=(), reject_words=())
    settings = Crawl(pace_s=0.0, searxng=Searxng(url="http://sx.example"))
    with outside(Search({"x": [f"https://a.example/{n}.jpg" for n in range(5)]})) as world:
        crawl(order, settings, Path("data/crawl/hammer"), endpoints=world.endpoints, contact="a@shop.example")

    assert [path for folder in (shelf, inner) for path in folder.iterdir() if path.name.endswith(".part")] == []


def test_a_journal_is_read_while_another_process_writes_its_next_line(tmp_path: Path) -> None:
    path = tmp_path / ".boxset/journal/crawl-hammer.0.jsonl"
    with Journal(path) as journal:
        journal.add(Outcome(url="http://a.example/1.jpg", outcome="gone"))
        with path.open("ab") as file:
            file.write(b'{"url": "http://a.ex')
        stored_elsewhere(tmp_path, tmp_path)
    assert path.read_bytes().endswith(b'{"url": "http://a.ex')
    with Journal(path) as journal:
        journal.add(Outcome(url="http://a.example/2.jpg", outcome="gone"))
    with Journal(path) as journal:
        assert list(journal.known) == ["http://a.example/1.jpg", "http://a.example/2.jpg"]


def test_bytes_that_are_no_text_cost_their_own_line_of_a_journal_and_are_named_in_an_output(tmp_path: Path) -> None:
    outcome = b'{"url":"http://a.example/%s","outcome":"gone"}\n'
    journal, output = tmp_path / "j.jsonl", tmp_path / "images.jsonl"
    journal.write_bytes(outcome % b"\xff\xfe" + b"\0" * 50 + b"\n" + outcome % b"2.jpg")
    output.write_bytes(outcome % b"1.jpg" + outcome % b"\xff\xfe")

    with Journal(journal) as read:
        assert list(read.known) == ["http://a.example/2.jpg"]
    assert list(Rounds([], [], Memory(tmp_path / "results.jsonl", journal), refresh=0, say=print)) == []
    with pytest.raises(InputError, match=r"images.jsonl:2: not what was expected"):
        read_jsonl(output, Outcome)


def test_no_title_or_author_is_a_formula_where_a_spreadsheet_opens_the_list(tmp_path: Path) -> None:
    titles = ['=HYPERLINK("https://a.example/","see")', "+1", "-2", "@SUM(A1)", "\t=1", "a hammer", "Ann = Ben", ""]

    write_csv(tmp_path / "list.csv", ("title", "width"), [(title, -1) for title in titles])

    with (tmp_path / "list.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    assert [title for title, _ in rows] == [f"'{title}" for title in titles[:5]] + titles[5:]
    assert {width for _, width in rows} == {"-1"}
