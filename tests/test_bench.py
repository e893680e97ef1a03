"""The comparisons of docs/speed.md still run: small ones, of which nothing is timed."""

from pathlib import Path

import pytest

from bench import crawl, sources


@pytest.mark.parametrize("reader", ["open_images", "coco", "visual_genome", "imagenet"])
def test_every_reader_indexes_what_the_bench_generates(reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)

    exec(sources.ours(reader, {name: str(path) for name, path in sources.generate(0.0001).items()}), {})  # which the bench runs in a process of its own

    assert int(capsys.readouterr().out.split()[-1]) > 50


def test_the_crawl_of_the_bench_keeps_its_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    monkeypatch.setattr(crawl.shutil, "which", lambda *_, **__: None)  # its own server, which may read what is only ours
    monkeypatch.setattr(crawl, "DATA", tmp_path)
    drawn = crawl.generate(6)

    with crawl.serving(drawn) as (fast, _):
        (tmp_path / "urls.txt").write_text("\n".join(f"http://127.0.0.{n}:{fast}/{path.name}" for n, path in enumerate(sorted(drawn.iterdir()), 1)))
        crawl.boxset(tmp_path / "urls.txt", tmp_path / "out", 4)

    assert len(list((tmp_path / "out/images").glob("*.jpg"))) == 6
