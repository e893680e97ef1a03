"""Work in lanes: in order, never more at once than allowed, and a lane that stands still stops no other."""

import gc
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock

import pytest

from boxset.work import Flow, in_lanes


def lane_of(item: int) -> str:
    """Every third item is of the slow host."""
    return "slow" if item % 3 == 0 else f"host {item % 7}"


class Busy:
    """Counts who is at work."""

    def __init__(self) -> None:
        self._lock, self.now, self.most = Lock(), Counter[str](), Counter[str]()

    def __call__(self, item: int) -> int:
        with self._lock:
            for name in (lane_of(item), "all"):
                self.now[name] += 1
                self.most[name] = max(self.most[name], self.now[name])
        Event().wait(0.001)
        with self._lock:
            for name in (lane_of(item), "all"):
                self.now[name] -= 1
        return item * item


@pytest.mark.parametrize("each", [0, 1, 2])
def test_results_come_in_order_and_no_lane_has_more_than_its_places(each: int) -> None:
    busy = Busy()

    assert list(in_lanes(busy, range(300), lane=lane_of, flow=Flow(8, each))) == [n * n for n in range(300)]
    assert max(busy.most.values()) <= 8
    assert each == 0 or max(most for lane, most in busy.most.items() if lane != "all") <= each


def test_a_host_that_stands_still_stops_no_other() -> None:
    others, free = Counter[str](), Event()

    def do(item: int) -> int:
        if lane_of(item) == "slow":
            assert free.wait(60)
            return item
        others["done"] += 1
        if others["done"] >= 150:
            free.set()
        return item

    assert list(in_lanes(do, range(300), lane=lane_of, flow=Flow(8, 2))) == list(range(300))


def test_no_more_is_taken_than_may_be_in_hand_and_nothing_before_it_is_needed() -> None:
    taken, yielded, most, free = 0, 0, 0, Event()

    def items():  # type: ignore[no-untyped-def]
        nonlocal taken, most
        for item in range(400):
            taken += 1
            most = max(most, taken - yielded)
            if taken == 50:
                free.set()
            yield item

    def do(item: int) -> int:
        assert item or free.wait(60)
        return item

    for _ in in_lanes(do, items(), lane=str, flow=Flow(4, 1, lambda: 50)):
        yielded += 1

    assert (taken, yielded, most) == (400, 400, 50)


def test_ending_early_begins_nothing_more() -> None:
    begun = Counter[str]()

    def do(item: int) -> int:
        begun["all"] += 1
        return item

    results = in_lanes(do, iter(int, 1), lane=str, flow=Flow(4, ahead=lambda: 30))
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    before = begun["all"]
    gc.collect()

    assert begun["all"] == before <= 30


def test_a_failure_is_raised_where_its_result_is_due() -> None:
    def do(item: int) -> int:
        if item == 5:
            raise ValueError("five")
        return item

    results = in_lanes(do, range(10), lane=str, flow=Flow(3))

    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="five"):
        next(results)


def test_a_second_half_elsewhere_frees_the_place() -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting, enough = list[Future[int]](), Event()

        def later(item: int) -> int:
            assert enough.wait(60)
            return item

        def do(item: int) -> "int | Future[int]":
            waiting.append(pool.submit(later, item))
            if len(waiting) == 20:
                enough.set()
            return waiting[-1]

        assert list(in_lanes(do, range(40), lane=lambda _: "one", flow=Flow(2, 1))) == list(range(40))
