"""How each supplier and engine did, from the answers and the rows alone: for `metrics/` and for the terminal."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from boxset.dataset.records import ImageRow
from boxset.web.suppliers import Answer


@dataclass
class Health:
    """What came from one supplier, or from one engine of it."""

    asked: int = 0  # pages
    answered: int = 0  # pages with a picture
    hits: int = 0
    kept: int = 0
    unresponsive: dict[str, int] = field(default_factory=dict)  # reason → pages


@dataclass
class Healths:
    """All suppliers, and the engines of those that ask several. A hit of two engines counts for both; a kept picture for the first."""

    suppliers: dict[str, Health] = field(default_factory=dict)
    engines: dict[tuple[str, str], Health] = field(default_factory=dict)
    blank: int = 0  # results without any address


def healths(answers: Iterable[Answer], rows: Iterable[ImageRow]) -> Healths:
    """Count."""
    found = Healths()
    for answer in answers:
        _count(found, answer)
    for row in rows:
        if row.picture is not None and row.picture.supplier in found.suppliers:
            found.suppliers[row.picture.supplier].kept += 1
            engine = found.engines.get((row.picture.supplier, row.picture.engine))
            if engine is not None:
                engine.kept += 1
    return found


def _count(found: Healths, answer: Answer) -> None:
    found.blank += answer.blank
    supplier = found.suppliers.setdefault(answer.supplier, Health())
    supplier.asked += 1
    supplier.answered += bool(answer.hits)
    supplier.hits += len(answer.hits)
    silent = dict(answer.unresponsive)
    for name in {*answer.asked, *silent, *(answer.engines if answer.asked or silent else ())}:
        engine = found.engines.setdefault((answer.supplier, name), Health())
        engine.asked += 1
        hits = sum(name in (hit.engine, *hit.also) for hit in answer.hits)
        engine.answered += bool(hits)
        engine.hits += hits
        if name in silent:
            why = silent[name] or "no reason given"
            engine.unresponsive[why] = engine.unresponsive.get(why, 0) + 1


def health_metrics(found: Healths) -> dict[str, Any]:
    """Return the part of `metrics/crawl/<c>.json` that tells of suppliers: small, and read line by line in `dvc metrics diff`."""
    silent = {f"{name} ({why})": times for (_, name), health in sorted(found.engines.items()) for why, times in sorted(health.unresponsive.items())}
    return {
        "found": {name: health.hits for name, health in sorted(found.suppliers.items())},
        "suppliers": {name: _numbers(health) for name, health in sorted(found.suppliers.items())},
        "engines": {name: _numbers(health) for (_, name), health in sorted(found.engines.items())},
        "unresponsive": silent,
    }


def _numbers(health: Health) -> dict[str, int]:
    return {"asked": health.asked, "answered": health.answered, "hits": health.hits, "kept": health.kept}


def health_lines(found: Healths) -> list[str]:
    """Return a table for the terminal, engines below their supplier."""
    rows: list[tuple[str, Health]] = []
    for name, health in sorted(found.suppliers.items()):
        rows.append((name, health))
        rows += [(f"  {engine}", own) for (supplier, engine), own in sorted(found.engines.items()) if supplier == name]
    wide = max((len(name) for name, _ in rows), default=0)
    return [f"{'':{wide}}  pages  with pictures    hits    kept", *(_line(name, health, wide) for name, health in rows)] if rows else []


def _line(name: str, health: Health, wide: int) -> str:
    silent = [f"no answer on {times:,}: {why}" for why, times in sorted(health.unresponsive.items())]
    return f"{name:{wide}}  {health.asked:>5,}  {health.answered:>13,}  {health.hits:>6,}  {health.kept:>6,}  {'; '.join(silent)}".rstrip()
