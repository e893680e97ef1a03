"""pyarrow made lean, for processes that read much: without pandas, and with an allocator that wastes little of what it holds."""

import sys
from contextlib import suppress
from importlib.abc import MetaPathFinder
from typing import Any


class _Without(MetaPathFinder):
    def find_spec(self, name: str, *_: Any) -> None:
        if name == "pandas":
            raise ImportError("not needed here")


def lean_arrow() -> None:
    """Let pyarrow use mimalloc where it has it, which holds a third less than the system's allocator at the same speed, and not import pandas.

    At the first list it is given it would import pandas, to see whether that is a Series: 0.25 s and 40 MB. pandas itself can be
    imported afterwards; only pyarrow's conversions to and from it are off. Where pandas is loaded already, that stays.
    """
    import pyarrow as pa

    with suppress(NotImplementedError):
        pa.set_memory_pool(pa.mimalloc_memory_pool())
    if "pandas" in sys.modules:
        return
    finder = _Without()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(finder)
