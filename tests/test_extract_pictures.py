"""Pictures are fetched once, verified and normalised; what cannot be had is counted, and tried again when that is asked for."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from boxset.dataset.records import ImageRow, read_pool
from boxset.endpoints import Endpoints
from boxset.errors import InputError
from boxset.files import read_jsonl
from boxset.params import ClassTerm, FlagPolicies, Licences
from boxset.resolve import ExtractOrder, IndexOrder
from boxset.sources.extract import extract
from boxset.sources.index import build_index

FOLDER = "ILSVRC/Data/CLS-LOC/train/n00000001"
OUT = Path("data/extract/imagenet")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def photo(number: int, *, mode: str = "RGB", kind: str = "JPEG") -> bytes:
    """A picture of some mode and true type."""
    out = io.BytesIO()
    Image.effect_noise((200, 150), 20 + number).point(lambda v: (v + number * 40) % 256).convert("RGB").convert(mode).save(out, kind)
    return out.getvalue()


def indexed(numbers: range) -> None:
    """Index ImageNet rows of hammers."""
    rows = "".join(f"n00000001_{n},n00000001 0 0 200 150 n00000001 -5 10 30 40 n00000001 0 0 200 150 n00000001 9 9 9 30 \n" for n in numbers)
    Path("boxes.csv").write_text(f"ImageId,PredictionString\n{rows}")
    Path("synsets.txt").write_text("n00000001 hammer\n")
    files = {"boxes_train": "boxes.csv", "synsets": "synsets.txt"}
    order = IndexOrder(
        name="imagenet", on=True, format="imagenet", path="raw", files=files, sha256={}, splits=("train",), annotations="", license="", max_lost_share=0
    )
    build_index(order, Path("data/index/imagenet"), endpoints=Endpoints(), contact="", version=1)


def take(path: str, **more: Any) -> dict[str, Any]:
    """Extract hammers from where the pictures lie."""
    fields: dict[str, Any] = {"max_images_per_category": 0, "negatives": 0, "max_missing_share": 1.0, "retry": 0, "category": "", "annotations": ""}
    fields |= {"use": "research", "licences": Licences(), "flags": FlagPolicies(), "classes": {"hammer": (ClassTerm(name="hammer"),)}, **more}
    order = ExtractOrder(name="imagenet", on=True, format="imagenet", path=path, **fields)
    return extract(order, Path("data/index/imagenet"), OUT, endpoints=Endpoints(), contact="", version=1)


def tar(path: str, members: dict[str, bytes]) -> None:
    """Write a tar.gz."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"{FOLDER}/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def looks(file_name: str) -> tuple[str | None, str, tuple[int, int]]:
    """True type, mode and size of a stored picture."""
    with Image.open(OUT / "images" / file_name) as image:
        return image.format, image.mode, image.size


def outcomes() -> dict[str, str]:
    """Image → what became of it."""
    return {row.source_id: row.outcome for row in read_jsonl(OUT / "images.jsonl", ImageRow)}


def test_cmyk_and_a_png_that_calls_itself_jpeg_are_stored_as_what_they_are() -> None:
    indexed(range(4))
    tar("a.tar.gz", {f"n00000001_{n}.JPEG": p for n, p in enumerate((photo(0), photo(1, mode="CMYK"), photo(2, kind="PNG"), photo(3, mode="L")))})

    metrics = take("a.tar.gz")

    pictures = {p.source_id: p for p in read_pool(OUT / "annotations.json").pictures}
    assert {name: looks(p.file_name) for name, p in pictures.items()} == {
        "n00000001_0": ("JPEG", "RGB", (200, 150)),
        "n00000001_1": ("JPEG", "RGB", (200, 150)),
        "n00000001_2": ("PNG", "RGB", (200, 150)),
        "n00000001_3": ("JPEG", "L", (200, 150)),
    }
    assert {Path(p.file_name).suffix for p in pictures.values()} == {".jpg", ".png"}
    assert metrics["boxes"] == {"hammer": 8}
    assert (metrics["boxes_dropped"], metrics["boxes_clipped"]) == ({"duplicate": 4, "empty_box": 4}, 4)
    assert all(p.license == "LicenseRef-research-only" for p in pictures.values())


def test_research_only_pictures_do_not_enter_commercial_sets_and_none_is_read() -> None:
    indexed(range(2))

    metrics = take("nowhere", use="commercial")

    assert (metrics["seen"], metrics["kept"], metrics["dropped"], metrics["boxes"]) == (2, 0, {"licence": 2}, {"hammer": 0})
    assert metrics["boxes_dropped"] == {"licence": 8}


def test_a_pass_over_a_broken_archive_keeps_what_it_found_and_the_next_reads_only_what_is_missing() -> None:
    indexed(range(6))
    members = {f"n00000001_{n}.JPEG": photo(n) for n in range(6)}
    tar("whole.tar.gz", members)
    Path("cut.tar.gz").write_bytes(Path("whole.tar.gz").read_bytes()[: Path("whole.tar.gz").stat().st_size // 2])
    with pytest.raises(InputError, match=r"cut\.tar\.gz: broken archive.*what was found so far is kept"):
        take("cut.tar.gz")
    had = {path.name for path in (OUT / "images").iterdir()}
    tar("rest.tar.gz", dict(list(members.items())[len(had) :]))

    metrics = take("rest.tar.gz")

    assert 0 < len(had) < 6
    assert (metrics["kept"], metrics["dropped"]) == (6, {})


def test_a_missing_picture_is_counted_and_tried_again_only_when_retry_is_raised() -> None:
    indexed(range(3))
    Path("raw", FOLDER).mkdir(parents=True)
    for number, content in ((1, photo(1)), (2, b"")):
        Path("raw", FOLDER, f"n00000001_{number}.JPEG").write_bytes(content)
    take("raw")
    assert outcomes() == {"n00000001_0": "gone", "n00000001_1": "kept", "n00000001_2": "not_an_image"}

    for number in (0, 2):
        Path("raw", FOLDER, f"n00000001_{number}.JPEG").write_bytes(photo(number))
    take("raw")
    assert set(outcomes().values()) == {"gone", "kept", "not_an_image"}
    take("raw", retry=1)
    assert set(outcomes().values()) == {"kept"}
    assert [path.stat().st_size > 0 for path in (OUT / "images").iterdir()] == [True] * 3


def test_a_second_run_gives_the_same_bytes_and_reads_no_archive() -> None:
    indexed(range(3))
    tar("a.tar.gz", {f"n00000001_{n}.JPEG": photo(n) for n in range(3)})
    first = take("a.tar.gz")
    before = {path: path.read_bytes() for path in OUT.rglob("*") if path.is_file()}
    Path("a.tar.gz").write_bytes(b"gone bad")

    assert take("a.tar.gz") == first
    assert {path: path.read_bytes() for path in OUT.rglob("*") if path.is_file()} == before


def test_pictures_may_lie_elsewhere_than_the_tables() -> None:
    indexed(range(1))
    Path("elsewhere/train/n00000001").mkdir(parents=True)
    Path("elsewhere/train/n00000001/n00000001_0.JPEG").write_bytes(photo(0))

    assert take("raw", pictures="elsewhere")["kept"] == 1


def test_of_a_folder_without_any_wanted_picture_each_is_missing_and_no_archive_is_asked_for() -> None:
    indexed(range(2))
    Path("raw", "ILSVRC/Data/CLS-LOC/train").mkdir(parents=True)

    assert take("raw")["dropped"] == {"gone": 2}


def test_a_picture_that_the_journal_knows_but_the_disk_lost_is_taken_again() -> None:
    indexed(range(1))
    tar("a.tar.gz", {"n00000001_0.JPEG": photo(0)})
    take("a.tar.gz")
    next((OUT / "images").iterdir()).unlink()

    assert take("a.tar.gz")["kept"] == 1
    assert len(list((OUT / "images").iterdir())) == 1


def test_a_picture_larger_than_stated_scales_its_boxes(tmp_path: Path) -> None:
    Path("own").mkdir()
    out = io.BytesIO()
    Image.linear_gradient("L").resize((200, 150)).convert("RGB").save(out, "JPEG")
    Path("own/a.jpg").write_bytes(out.getvalue())
    image = {"id": 1, "file_name": "a.jpg", "width": 400, "height": 300}
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [40, 30, 100, 60]}
    Path("own/c.json").write_text(json.dumps({"images": [image], "annotations": [box], "categories": [{"id": 1, "name": "hammer"}]}))
    order = IndexOrder(
        name="own", on=True, format="local", path="own", files={}, sha256={}, splits=(), annotations="", license="CC0-1.0", max_lost_share=0
    )
    build_index(order, Path("data/index/own"), endpoints=Endpoints(), contact="", version=1)
    fields: dict[str, Any] = {"max_images_per_category": 0, "negatives": 0, "max_missing_share": 0.0, "retry": 0, "category": "", "annotations": ""}
    fields |= {"use": "research", "licences": Licences(), "flags": FlagPolicies(), "classes": {"hammer": (ClassTerm(name="hammer"),)}}
    asked = ExtractOrder(name="own", on=True, format="local", path="own", **fields)
    extract(asked, Path("data/index/own"), Path("data/extract/own"), endpoints=Endpoints(), contact="", version=1)

    assert [a.bbox for a in read_pool(Path("data/extract/own/annotations.json")).annotations] == [(20, 15, 50, 30)]
