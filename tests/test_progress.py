"""How far a crawl is, in words."""

import pytest

from boxset.web.progress import Progress
from tests.outside import Clock


def test_without_a_terminal_a_line_comes_every_half_minute_and_none_for_each_picture(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Progress("hammer", 1000, now=clock.now) as progress:
        for second in range(1, 91):
            clock.at = second
            progress.show(second * 4, second * 6)

    assert capsys.readouterr().out.splitlines() == [
        "hammer: 120 of 1,000 kept, 60 dropped, 4.0 pictures/s, 3:40 left",
        "hammer: 240 of 1,000 kept, 120 dropped, 4.0 pictures/s, 3:10 left",
        "hammer: 360 of 1,000 kept, 180 dropped, 4.0 pictures/s, 2:40 left",
    ]


def test_the_rate_is_that_of_the_last_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Progress("hammer", 7400, now=clock.now) as progress:
        progress.show(5000, 5000)  # known from an earlier run
        for second in range(1, 121):
            clock.at = second
            progress.show(5000 + second * 10, 5000 + second * 10)

    assert capsys.readouterr().out.splitlines()[-1] == "hammer: 6,200 of 7,400 kept, 0 dropped, 10.0 pictures/s, 2:00 left"
