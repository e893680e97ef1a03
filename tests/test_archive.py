"""Pictures come out of whatever holds them, in one pass that stops when all were found, and a broken archive is no end."""

import gzip
import io
import tarfile
import tracemalloc
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from boxset.errors import InputError
from boxset.images.archive import pictures_in
from boxset.sources.raw import read_text

ROOT = "ILSVRC/Data/CLS-LOC"
NAMES = [f"{ROOT}/train/n{n % 3:08d}/n{n % 3:08d}_{n}.JPEG" for n in range(30)]


def content(name: str) -> bytes:
    """What a picture holds here: its name, many times."""
    return name.encode() * 50


def tar_of(names: Iterable[str], *, mode: str = "w") -> bytes:
    """A tar with folders among its members, as Kaggle's has."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name in names:
            folder = tarfile.TarInfo(name.rpartition("/")[0])
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
            info = tarfile.TarInfo(name)
            info.size = len(content(name))
            archive.addfile(info, io.BytesIO(content(name)))
    return out.getvalue()


def zip_of(path: Path, names: Iterable[str]) -> None:
    """A zip of the pictures."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, content(name))


def place(kind: str, tmp_path: Path) -> Path:
    """The pictures in one of the ways that people keep them."""
    path = tmp_path / kind.replace(" ", "_")
    if kind.startswith("folder"):
        for name in NAMES:
            target = path / name.removeprefix(f"{ROOT}/" if kind.endswith("CLS-LOC") else "")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content(name))
    elif kind == "zip":
        zip_of(path, NAMES)
    elif kind == "tar.gz in zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("LOC_val_solution.csv", "ImageId,PredictionString\n")
            archive.writestr("imagenet_object_localization_patched2019.tar.gz", tar_of(NAMES, mode="w:gz"))
    elif kind == "tar below folders":
        path.write_bytes(tar_of(f"./kaggle/{name}" for name in NAMES))
    else:
        path.write_bytes(tar_of(NAMES, mode="w:gz" if kind == "tar.gz" else "w"))
    return path


@pytest.mark.parametrize("kind", ["folder", "folder CLS-LOC", "zip", "tar", "tar.gz", "tar.gz in zip"])
def test_wanted_pictures_come_out_of_every_kind_of_place(kind: str, tmp_path: Path) -> None:
    wanted = [NAMES[28], NAMES[3], f"{ROOT}/train/n00000000/never.JPEG"]

    assert dict(pictures_in(place(kind, tmp_path), wanted)) == {name: content(name) for name in wanted[:2]}


def test_members_may_lie_below_further_folders(tmp_path: Path) -> None:
    path = place("tar below folders", tmp_path)

    assert [name for name, _ in pictures_in(path, NAMES[:2])] == NAMES[:2]


def test_the_pass_stops_when_all_were_found(tmp_path: Path) -> None:
    whole = tar_of(NAMES, mode="w:gz")
    path = tmp_path / "a.tar.gz"
    path.write_bytes(whole[: len(whole) // 2] + b"rubbish" * 1000)

    assert [name for name, _ in pictures_in(path, NAMES[:2])] == NAMES[:2]


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_an_archive_that_breaks_off_says_so_after_what_it_had(kind: str, share: float, tmp_path: Path) -> None:
    path = place(kind, tmp_path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])

    with pytest.raises(InputError, match="broken archive"):
        list(pictures_in(path, NAMES))


def test_a_tar_that_ends_between_two_members_is_broken_too(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of(NAMES[:1])[: 512 + 512 + -(-len(content(NAMES[0])) // 512) * 512])
    found = pictures_in(path, NAMES)

    assert next(found)[0] == NAMES[0]
    with pytest.raises(InputError, match="it has no end"):
        next(found)


def test_turned_bytes_in_the_middle_are_an_error(tmp_path: Path) -> None:
    raw = bytearray(gzip.compress(tar_of(NAMES)))
    raw[len(raw) // 2] ^= 255
    (tmp_path / "a.tar.gz").write_bytes(raw)

    with pytest.raises(InputError, match="broken archive"):
        list(pictures_in(tmp_path / "a.tar.gz", [*NAMES, "never"]))


def test_memory_does_not_grow_with_the_members_that_nobody_wants(tmp_path: Path) -> None:
    def peak(members: int) -> int:
        path = tmp_path / f"{members}.tar"
        path.write_bytes(tar_of(f"train/n{n}/x.JPEG" for n in range(members)))
        tracemalloc.start()
        list(pictures_in(path, ["never"]))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    small = peak(50)

    assert peak(2000) < small * 1.5


def test_a_member_that_is_encrypted_is_refused_by_name(tmp_path: Path) -> None:
    zip_of(tmp_path / "a.zip", NAMES[:1])
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[6] = content[content.rindex(b"PK\x01\x02") + 8] = 1
    (tmp_path / "a.zip").write_bytes(content)

    with pytest.raises(InputError, match=r"a\.zip: ILSVRC/.*JPEG in it is encrypted\. Unpack it"):
        list(pictures_in(tmp_path / "a.zip", NAMES[:1]))


def spoilt(path: Path, mark: bytes, offset: int, byte: int) -> None:
    """Change one byte behind the last place of a mark."""
    raw = bytearray(path.read_bytes())
    raw[raw.rindex(mark) + offset] = byte
    path.write_bytes(raw)


@pytest.mark.parametrize(("mark", "offset", "byte"), [(b"PK\x01\x02", 6, 200), (b"PK\x01\x02", 8, 32), (b"ILSVRC", 0, 255)], ids=["version", "patch", "name"])
def test_a_zip_that_was_changed_on_its_way_is_broken(tmp_path: Path, mark: bytes, offset: int, byte: int) -> None:
    zip_of(tmp_path / "a.zip", ["ILSVRC/\u00e9.JPEG"])  # its name is marked as UTF-8
    spoilt(tmp_path / "a.zip", mark, offset, byte)

    with pytest.raises(InputError, match=r"a\.zip: broken archive: .*\. Fetch it again"):
        list(pictures_in(tmp_path / "a.zip", ["\u00e9.JPEG"]))


def test_a_member_whose_lzma_was_changed_is_broken_for_pictures_and_for_lists(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.csv", b"ImageId\n" * 100)
    raw = bytearray((tmp_path / "a.zip").read_bytes())
    raw[raw.index(b"a.csv") + 9] = 255  # the head of its packed content
    (tmp_path / "a.zip").write_bytes(raw)

    with pytest.raises(InputError, match="broken archive"):
        list(pictures_in(tmp_path / "a.zip", ["a.csv"]))
    with pytest.raises(InputError, match="broken archive"):
        read_text(tmp_path / "a.zip", "a.csv")
