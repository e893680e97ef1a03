"""Boxset builds training sets for object detection from a list of categories."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from boxset.api import Dataset

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy starts threads for large matrices as it is loaded; there are none here

__version__ = "0.1.0"


def open(path: str | Path = ".", rev: str | None = None) -> "Dataset":  # noqa: A001 - it reads `boxset.open(…)`
    """Open the data set of a project, in its work tree or at a git revision: `.images` and `.boxes` are pandas tables."""
    from boxset.api import open_dataset

    return open_dataset(path, rev)
