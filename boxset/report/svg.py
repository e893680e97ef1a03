"""Small plots as inline SVG, drawn by hand: no library, no script, the same bytes every time."""

from collections.abc import Mapping, Sequence

from boxset.dataset.records import PEOPLE
from boxset.report.html import Html, escape

PALETTE = tuple(f"var(--c{number})" for number in range(8))


def colours_of(names: Sequence[str]) -> dict[str, str]:
    """Return a colour for each name; answers of people always have the same one."""
    others = [name for name in names if name != PEOPLE]
    colours = {name: PALETTE[number % len(PALETTE)] for number, name in enumerate(others)}
    return {name: colours.get(name, "var(--answers)") for name in names}


def stacked_bar(parts: Mapping[str, float], colours: Mapping[str, str], *, full: float, mark: float = 0, label: str) -> Html:
    """Return one bar of several parts on a scale up to `full`, with a tick at `mark` (0: none)."""
    across, drawn = 0.0, ['<rect x="0" y="3" width="100" height="10" fill="var(--track)"/>']
    for name, value in parts.items():
        wide = 100 * value / full if full else 0
        title = f"<title>{escape(name)}: {value:,g}</title>"
        drawn.append(f'<rect class="part" x="{across:.3f}" y="3" width="{wide:.3f}" height="10" fill="{colours[name]}">{title}</rect>')
        across += wide
    if mark and full:
        line = f'd="M{min(100 * mark / full, 99.6):.3f} 0V16"'
        drawn.append(f'<path class="around" {line}/><path class="mark" {line}><title>wanted: {mark:,g}</title></path>')
    return Html(f'<svg viewBox="0 0 100 16" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">{"".join(drawn)}</svg>')


def histogram(counts: Mapping[str, int], *, label: str) -> Html:
    """Return upright bars with their names below and their counts above."""
    step, high = 48, 90
    most = max(counts.values(), default=0) or 1
    drawn = []
    for number, (name, count) in enumerate(counts.items()):
        tall, left = high * count / most, number * step
        drawn.append(f'<rect x="{left + 3}" y="{high + 14 - tall:.1f}" width="{step - 6}" height="{tall:.1f}" rx="2" fill="var(--c0)"/>')
        drawn.append(f'<text x="{left + step / 2}" y="{high + 10 - tall:.1f}" text-anchor="middle">{count:,}</text>')
        drawn.append(f'<text x="{left + step / 2}" y="{high + 28}" text-anchor="middle">{escape(name)}</text>')
    wide = max(1, len(counts)) * step
    return Html(f'<svg viewBox="0 0 {wide} {high + 34}" role="img" aria-label="{escape(label)}">{"".join(drawn)}</svg>')


def heat_map(cells: Sequence[Sequence[float]], *, label: str) -> Html:
    """Return a grid of cells from pale to strong; values from 0 to the greatest."""
    most = max((value for row in cells for value in row), default=0) or 1
    drawn = [
        f'<rect x="{x}" y="{y}" width="1" height="1" shape-rendering="crispEdges" fill="var(--c0)" fill-opacity="{value / most:.2f}"/>'
        for y, row in enumerate(cells)
        for x, value in enumerate(row)
        if value
    ]
    wide, high = len(cells[0]) if cells else 1, len(cells) or 1
    back = f'<rect width="{wide}" height="{high}" fill="var(--track)"/>'
    return Html(f'<svg viewBox="0 0 {wide} {high}" role="img" aria-label="{escape(label)}">{back}{"".join(drawn)}</svg>')


def sparkline(counts: Sequence[int], *, label: str) -> Html:
    """Return a row of small bars without words."""
    most = max(counts, default=0) or 1
    bars = f'<path d="M0 16H{len(counts) * 10}" stroke="var(--line)" vector-effect="non-scaling-stroke"/>' + "".join(
        f'<rect x="{i * 10 + 1}" y="{16 - 16 * n / most:.1f}" width="8" height="{16 * n / most:.1f}" fill="var(--c0)"/>' for i, n in enumerate(counts)
    )
    style = "width:110px;height:22px;display:block"
    shape = f'viewBox="0 0 {len(counts) * 10} 16" preserveAspectRatio="none" style="{style}"'
    return Html(f'<svg {shape} role="img" aria-label="{escape(label)}">{bars}</svg>')
