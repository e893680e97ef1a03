"""Thousands of pictures from servers on loopback: our crawl against img2dataset, a requests loop and a pool of requests, in one run.

    python -m bench.crawl [--pictures 5000] [--only boxset,img2dataset] [--memory]

Once as fast as they come and once with 100 ms before each answer. nginx serves where it is installed (with its echo module for the
latency), a small server of our own elsewhere. img2dataset is run from its own environment: `python3.11 -m venv bench/data/img2dataset-venv`
and `bench/data/img2dataset-venv/bin/pip install img2dataset`. Ours decodes, hashes, looks and writes; the others fetch and write.
"""

import argparse
import asyncio
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from threading import Thread

DATA = Path("bench/data/crawl").absolute()
OUT = DATA / "out"
PEER = Path("bench/data/img2dataset-venv/bin/img2dataset").absolute()
HOSTS, LATENCY_S, LIMIT_S = 64, 0.1, 600
FIELD = (1200, 900)
NGINX = """
daemon off; worker_processes 1; pid {run}/nginx.pid; error_log {run}/error.log crit; {modules}
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile on; keepalive_requests 100000; default_type image/jpeg;
client_body_temp_path {run}/b; proxy_temp_path {run}/p; fastcgi_temp_path {run}/f; uwsgi_temp_path {run}/u; scgi_temp_path {run}/s;
server {{ {fast} root {root}; }}
server {{ {slow} root {root}; location / {{ echo_sleep {latency}; echo_exec /now$uri; }} location /now/ {{ internal; alias {root}/; }} }} }}
"""


def generate(pictures: int) -> Path:
    """Draw pictures of about 1024 x 768 pixels and 60 to 120 kB, once."""
    import numpy as np
    from PIL import Image

    folder = DATA / f"drawn-{pictures}"
    if folder.exists():
        return folder
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    octaves = [[_field(rng, cells, height) for _ in range(8)] for cells, height in ((8, 50), (32, 25), (128, 12), (420, 5))]
    for n in range(pictures):
        width, height = int(rng.integers(900, 1150)), int(rng.integers(680, 860))
        pixels = np.full((height, width, 3), 128, np.int16)
        for fields in octaves:
            left, top = int(rng.integers(0, FIELD[0] - width)), int(rng.integers(0, FIELD[1] - height))
            pixels += fields[int(rng.integers(len(fields)))][top : top + height, left : left + width]
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(part / f"{n:05d}.jpg", quality=int(rng.integers(70, 86)))
    part.rename(folder)
    return folder


def _field(rng, cells: int, height: float):
    """Return a smooth random field in three channels, of so many cells across: photographs have the less of it the finer it is."""
    import numpy as np
    from PIL import Image

    values = rng.normal(0, height, (cells * 3 // 4, cells, 3)).clip(-127, 127)
    spread = Image.fromarray((values + 128).astype(np.uint8)).resize(FIELD, Image.Resampling.BICUBIC)
    return np.asarray(spread, dtype=np.int16) - 128


def free_port() -> int:
    """Find a port nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def serving(root: Path):
    """Serve a folder on 64 addresses of loopback, at once on one port and late on another."""
    fast, slow, run = free_port(), free_port(), DATA / "server"
    run.mkdir(parents=True, exist_ok=True)
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    echo = Path("/usr/lib/nginx/modules/ngx_http_echo_module.so")
    if nginx and echo.exists():
        listen = {port: " ".join(f"listen 127.0.0.{n}:{port} backlog=1024;" for n in range(1, HOSTS + 1)) for port in (fast, slow)}
        config = NGINX.format(run=run, root=root, fast=listen[fast], slow=listen[slow], latency=LATENCY_S, modules=f"load_module {echo};")
        (run / "nginx.conf").write_text(config)
        command = [nginx, "-c", str(run / "nginx.conf"), "-p", str(run), "-e", str(run / "error.log")]
    else:
        command = [sys.executable, "-m", "bench.crawl", "serve", str(root), str(fast), str(slow)]
    server = subprocess.Popen(command)
    try:
        _wait_for(slow)
        print(f"served by {Path(command[0]).name}")
        yield fast, slow
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("the server does not start")


class Late(asyncio.Protocol):
    """The smallest server that keeps connections open: a GET is answered with a file after a while."""

    def __init__(self, root: Path, latency_s: float) -> None:
        self.root, self.latency_s, self.received = root, latency_s, b""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            request, _, self.received = self.received.partition(b"\r\n\r\n")
            asyncio.get_running_loop().call_later(self.latency_s, self.answer, request.split(b" ", 2)[1].decode())

    def answer(self, path: str) -> None:
        file = self.root / path.lstrip("/")
        body = file.read_bytes() if file.is_file() else b""
        status = "200 OK" if body else "404 Not Found"
        self.transport.write(f"HTTP/1.1 {status}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


async def serve(root: Path, fast: int, slow: int) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    hosts = [f"127.0.0.{n}" for n in range(1, HOSTS + 1)]
    await loop.create_server(lambda: Late(root, 0), hosts, fast, backlog=1024)
    await loop.create_server(lambda: Late(root, LATENCY_S), hosts, slow, backlog=1024)
    await asyncio.Event().wait()


def boxset(urls: Path, out: Path, connections: int) -> None:
    """Our way whole: addresses vetted, robots asked, decoded, hashed twice, looked at, told from near copies, written, written down."""
    from urllib.parse import urlsplit

    from boxset.dataset.records import Picture
    from boxset.endpoints import Endpoints
    from boxset.images.look import looks
    from boxset.web.fetcher import Fetched, Fetcher, FetchPolicy
    from boxset.web.judge import Kept
    from boxset.web.pictures import Journal, Shelf, Wanted, fetch_all
    from boxset.work import Flow

    lines = urls.read_text().split()
    places = frozenset((parts.hostname or "", parts.port or 80) for parts in map(urlsplit, lines[: HOSTS * 2]))
    policy = FetchPolicy(connections=connections, per_host=2, pace_s=0, allowed=places)
    kept = Kept(6)
    with Journal(out / "journal.jsonl") as journal, Fetcher(Endpoints(), contact="bench@shop.example", policy=policy) as fetcher:

        def get(item: Wanted):
            answer = fetcher.get(item.url)
            return answer.body if isinstance(answer, Fetched) else answer

        shelf = Shelf(out / "images", look=looks)
        for outcome in fetch_all(map(Wanted, lines), get, shelf=shelf, journal=journal, elsewhere={}, flow=Flow(connections, 2)):
            if outcome.stored is not None:
                names = ("sha256", "file_name", "width", "height", "phash", "grid")
                picture = Picture(**{n: getattr(outcome.stored, n) for n in names}, source="crawl", source_id=outcome.url, url=outcome.url)
                if kept.twin(picture) is None:
                    kept.add(picture)
    print(len(kept.pictures), "told apart")


def requests_loop(urls: Path, out: Path, connections: int) -> None:  # noqa: ARG001 - one after the other
    """A session, one picture after the other."""
    import requests

    with requests.Session() as session:
        for url in urls.read_text().split():
            (out / _name(url)).write_bytes(session.get(url, timeout=30).content)


def requests_pool(urls: Path, out: Path, connections: int) -> None:
    """A pool of threads with a session each."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import local

    import requests

    mine = local()

    def one(url: str) -> None:
        if not hasattr(mine, "session"):
            mine.session = requests.Session()
        (out / _name(url)).write_bytes(mine.session.get(url, timeout=30).content)

    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(one, urls.read_text().split()))


def _name(url: str) -> str:
    return url.rpartition("/")[2]


def peer(name: str, urls: Path, out: Path, connections: int) -> list[str]:
    """img2dataset without resizing, on both cores, with as many connections; `bytes` neither decodes nor encodes, as nothing else it can do."""
    options = {
        "url_list": urls, "output_folder": out / "images", "output_format": "files", "resize_mode": "no", "disable_all_reencoding": name.endswith("bytes"),
        "processes_count": 2, "thread_count": connections // 2, "number_sample_per_shard": 250, "enable_wandb": False, "retries": 0,
    }  # fmt: skip
    return [str(PEER), *(f"--{name}={value}" for name, value in options.items())]


OURS = {"boxset": boxset, "requests loop": requests_loop, "requests pool": requests_pool}


def measure(name: str, urls: list[str], connections: int) -> dict[str, float]:
    """Run one client in a process of its own; return pictures a second, CPU seconds and peak memory of it and what it started.

    Each has a folder of its own, and nothing is deleted before the end: for minutes after thousands of files have gone, ext4 takes most of
    a millisecond to make one.
    """
    listed = DATA / "urls.txt"
    OUT.mkdir(parents=True, exist_ok=True)
    out = Path(mkdtemp(dir=OUT))
    listed.write_text("\n".join(urls))
    command = peer(name, listed, out, connections) if name.startswith("img2dataset") else [sys.executable, "-m", "bench.crawl", name, str(listed), str(out), str(connections)]
    start = time.monotonic()
    with (DATA / "client.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    peak = Peak(process.pid)
    ender = Thread(target=lambda: peak.done.wait(LIMIT_S) or os.killpg(process.pid, signal.SIGKILL), daemon=True)
    ender.start()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    peak.done.set()
    wall = time.monotonic() - start
    files = sum(1 for path in out.rglob("*.jpg"))
    assert status == 0, (DATA / "client.log").read_text()[-2000:]
    return {"files": files, "rate": files / wall, "wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak": peak.bytes / 2**20}


class Peak(Thread):
    """Watches the memory of a process and all that it starts, shared pages counted once."""

    def __init__(self, pid: int) -> None:
        from threading import Event

        super().__init__(daemon=True)
        self.pid, self.bytes, self.done = pid, 0, Event()
        self.start()

    def run(self) -> None:
        import psutil

        while not self.done.wait(0.5):
            try:
                root = psutil.Process(self.pid)
                self.bytes = max(self.bytes, sum(_pss(p) for p in [root, *root.children(recursive=True)]))
            except psutil.Error:
                continue


def _pss(process) -> int:
    import psutil

    try:
        return process.memory_full_info().pss
    except psutil.Error:
        return 0


def table(title: str, rows: list[tuple[str, int, list[str]]]) -> None:
    """Measure and print; ratios are ours to theirs."""
    print(f"\n{title}\n{'':36}{'files':>7}{'pictures/s':>12}{'CPU ms each':>13}{'peak MiB':>10}{'ours ÷':>8}")
    first = 0.0
    for name, connections, urls in rows:
        found = measure(name, urls, connections)
        first = first or found["rate"]
        each = 1000 * found["cpu"] / max(1, found["files"])
        label = f"{name}, {connections} connections" if name != "requests loop" else name
        print(f"{label:36}{found['files']:7.0f}{found['rate']:12.0f}{each:13.2f}{found['peak']:10.0f}{first / found['rate']:8.1f}", flush=True)


def memory(root: Path, port: int) -> None:
    """How much memory an address takes: few and many addresses, of which nothing is kept."""
    small = encoded_dot()
    (root / "dot.jpg").write_bytes(small)
    for many in (2_000, 20_000):
        found = measure("boxset", [f"http://127.0.0.{1 + n % HOSTS}:{port}/dot.jpg?{n}" for n in range(many)], 32)
        print(f"{many:7} addresses: {found['peak']:6.0f} MiB at the peak, {found['wall']:.0f} s")


def encoded_dot() -> bytes:
    """A picture of 64 pixels."""
    from PIL import Image

    out = io.BytesIO()
    Image.linear_gradient("L").resize((64, 64)).save(out, "JPEG")
    return out.getvalue()


def main() -> None:
    """Generate, serve, measure, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--only", default="boxset,img2dataset,img2dataset bytes,requests pool,requests loop")
    parser.add_argument("--part", default="loop,late,memory")
    options = parser.parse_args()
    names = [name for name in options.only.split(",") if not name.startswith("img2dataset") or PEER.exists()]
    root = generate(options.pictures)
    files = sorted(path.name for path in root.glob("0*.jpg"))
    with serving(root) as (fast, slow):
        at = {port: [f"http://127.0.0.{1 + n % HOSTS}:{port}/{name}" for n, name in enumerate(files)] for port in (fast, slow)}
        if "loop" in options.part:
            table("as fast as they come", [(name, 32, at[fast]) for name in names])
        if "late" in options.part:
            late = [(name, 32, at[slow]) for name in names if name != "requests loop"]
            table(f"{LATENCY_S * 1000:.0f} ms before each answer", [*late, ("boxset", 128, at[slow])])
        if "memory" in options.part:
            memory(root, fast)
    shutil.rmtree(OUT, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
    elif sys.argv[1:2] and sys.argv[1] in OURS:
        OURS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
