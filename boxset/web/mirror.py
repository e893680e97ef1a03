"""Pictures out of a folder that stands in for a site (`mirrors`)."""

import errno
import stat
from pathlib import Path
from urllib.parse import unquote

from boxset.dataset.reasons import Reason, Refusal
from boxset.endpoints import Endpoints

NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL}


def from_folder(endpoints: Endpoints, url: str, *, max_bytes: int) -> bytes | Refusal | None:
    """Return the file that stands in for an address, or why there is none; None where no folder is named for it.

    A file may be named as the address spells it or with its escapes read, with or without its query. Nothing outside the folder is read,
    nor asked for where the mirror is another address.
    """
    mirror = endpoints.mirror_of(url)
    if mirror is None:
        return None
    folder, rest = mirror
    bare = rest.partition("?")[0]
    if _leads_out(bare) or _leads_out(unquote(bare)):
        return Refusal(Reason.BAD_ADDRESS, "it leads out of its mirror")
    if "://" in folder:
        return None
    for name in dict.fromkeys((rest, unquote(rest), bare, unquote(bare))):
        if _leads_out(name):
            return Refusal(Reason.BAD_ADDRESS, "it leads out of its mirror")
        found = _read(Path(folder + name), max_bytes)
        if found is not None:
            return found
    return Refusal(Reason.GONE, "not in the mirror")


def _leads_out(name: str) -> bool:
    return ".." in name.replace("\\", "/").split("/") or "\0" in name


def _read(path: Path, max_bytes: int) -> bytes | Refusal | None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with path.open("rb") as file:
            raw = file.read(max_bytes + 1)
    except OSError as err:
        return None if err.errno in NOT_THERE else Refusal(Reason.UNREACHABLE, f"the mirror: {err.strerror}")
    return raw if len(raw) <= max_bytes else Refusal(Reason.TOO_LARGE, f"more than {max_bytes} bytes")
