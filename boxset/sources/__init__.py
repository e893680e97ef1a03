"""The public annotated data sets and one's own pictures: readers, index tables, class search, extraction."""

import os

os.environ.setdefault("MIMALLOC_PURGE_DELAY", "100")  # ms; read where pyarrow is loaded: with its 10 ms, what comes and goes is fetched anew each time
