"""A real browser for tests: Chromium through chromedriver's own protocol (W3C WebDriver), on loopback, with nothing but the standard library."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

PATIENCE_MS = 20_000
MISSING = (
    ""
    if shutil.which("chromium") and shutil.which("chromedriver")
    else "chromium and chromedriver are not installed (apt-get install chromium chromium-driver): no page was tried in a browser"
)
ENDS_WITH_US = ["setpriv", "--pdeathsig", "TERM"]  # so that no browser is left where a test run is killed
QUIET = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--remote-debugging-pipe", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "PageUp": "\ue00e", "PageDown": "\ue00f", "End": "\ue010", "Home": "\ue011", "Tab": "\ue004",
        "Left": "\ue012", "Up": "\ue013", "Right": "\ue014", "Down": "\ue015"}  # fmt: skip
UNTIL = """
const [expression, patience] = arguments, started = performance.now(), holds = new Function(`return (${expression});`);
return new Promise((resolve) => {
  (function look() {
    const found = holds();
    if (found || performance.now() - started > patience) resolve(found);
    else requestAnimationFrame(look);
  })();
});
"""


class Browser:
    """One window."""

    def __init__(self, port: int, folder: Path) -> None:
        """Open the window; what it keeps lies in a folder."""
        self.port, self.session = port, ""
        args = [*QUIET, f"--user-data-dir={folder}", "--window-size=1280,860", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        options = {"binary": shutil.which("chromium"), "args": args}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}, "timeouts": {"script": 2 * PATIENCE_MS}}
        self.session = "/session/" + self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a command; return its value. Raises AssertionError with what the driver said where it failed."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, self.session + path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            value = json.loads(answer.read())["value"]
        finally:
            connection.close()
        assert answer.status == 200, f"{method} {path}: {value['error']}: {value['message']}"
        return value

    def go(self, address: str) -> None:
        """Open an address, and wait until it is loaded."""
        self.ask("POST", "/url", {"url": address})

    def resize(self, width: int, height: int) -> None:
        """Give the window's page a size, also one that no window of a desktop has."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.ask("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of a function in the page, and return what it returns."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": arguments})

    def until(self, expression: str) -> Any:
        """Return the value of an expression once it is true; fail with what the page shows where it does not become so."""
        value = self.run(UNTIL, expression, PATIENCE_MS)
        assert value, f"{expression} did not come true; the page says:\n{self.run('return document.body.innerText')}"
        return value

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, as a person does: into whatever has the focus."""
        codes = [KEYS.get(key, key) for key in keys]
        strokes = [{"type": kind, "value": code} for code in codes for kind in ("keyDown", "keyUp")]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": strokes}]})

    def click(self, selector: str, times: int = 1) -> None:
        """Click the first element that a selector finds, where its middle is."""
        element = self.ask("POST", "/element", {"using": "css selector", "value": selector})
        there = {"type": "pointerMove", "duration": 0, "origin": element, "x": 0, "y": 0}
        clicks = [{"type": kind, "button": 0} for _ in range(times) for kind in ("pointerDown", "pointerUp")]
        self.ask("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": [there, *clicks]}]})

    def picture(self, file: Path) -> None:
        """Write what the window shows as a PNG, for a person to look at."""
        file.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))

    def complaints(self) -> list[str]:
        """Return what the page's console got since it was last asked: errors of scripts, of the policy, of loading."""
        return [entry["message"] for entry in self.ask("POST", "/se/log", {"type": "browser"}) if entry["level"] in ("SEVERE", "WARNING")]


@contextmanager
def browsing(folder: Path) -> Iterator[Browser]:
    """Start a driver with one window; both end with the block, however that ends."""
    environment = {**os.environ, "HOME": str(folder)}
    command = [*ENDS_WITH_US, "chromedriver", "--port=0"]
    driver = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert driver.stdout is not None
    with driver.stdout:
        try:
            said = next(line for line in driver.stdout if "started successfully on port" in line)
            browser = Browser(int(said.rstrip(".\n").rpartition(" ")[2]), folder / "profile")
            try:
                yield browser
            finally:
                browser.ask("DELETE", "")
        finally:
            driver.terminate()
            driver.wait(timeout=30)
