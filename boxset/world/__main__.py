"""`python -m boxset.world`: serve the world until stopped, for people who want to look."""

import sys
from pathlib import Path
from threading import Event

from boxset.world.server import serving

with serving(Path(".boxset/world")) as address:
    sys.stdout.write(f"the embedded world answers at {address}, for every host by the Host header\n")
    sys.stdout.flush()
    try:
        Event().wait()
    except KeyboardInterrupt:
        sys.stdout.write("\n")
