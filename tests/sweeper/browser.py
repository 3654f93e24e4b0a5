"""A headless Chromium that a test drives: what it asks for, what it complains of, real keys.

Over Chromium's own debugging pipe, so that nothing listens on a port and no library is needed.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium")
QUIET = (  # asks nobody for anything but its page
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
FLAGS = ("--headless=new", *QUIET, "--hide-scrollbars", "--remote-debugging-pipe")
RETRY_S = 60.0
KEYS = {"Tab": 9, "Enter": 13, " ": 32}


class Browser:
    """One tab."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        """Attach to the first tab."""
        self._out, self._in = to_browser, from_browser
        self._number, self._session = 0, ""
        self._rest = b""
        self.requests: list[str] = []
        self.complaints: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the answer to a command of the DevTools protocol."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        rest = json.dumps(message).encode() + b"\0"
        while rest:
            rest = rest[os.write(self._out, rest) :]
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])

    def open(self, page: Path, width: int = 1400, dark: bool = False) -> None:
        """Load a file and wait until it is drawn."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Page.navigate", url=page.as_uri())
        self.run("new Promise(done => document.readyState === 'complete' ? done() : onload = done)")
        self.settle()

    def run(self, code: str) -> Any:
        """Return the value of an expression, awaited."""
        how = {"awaitPromise": True, "returnByValue": True}
        answer = self.call("Runtime.evaluate", expression=code, **how)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{code}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def settle(self) -> None:
        """Wait for two frames: layout, then what was drawn because of it."""
        self.run("new Promise(d => requestAnimationFrame(() => requestAnimationFrame(() => d())))")

    def press(self, key: str) -> None:
        """Press a key as a person would."""
        code = {"key": key, "windowsVirtualKeyCode": KEYS[key], "code": key.strip() or "Space"}
        text = {"Enter": "\r", " ": " "}.get(key)
        down = {**code, "text": text} if text else code
        self.call("Input.dispatchKeyEvent", type="keyDown", **down)
        self.call("Input.dispatchKeyEvent", type="keyUp", **code)
        self.settle()

    def picture(self, whole: bool = True) -> bytes:
        """Return a PNG of the page."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=whole, clip=clip)
        return base64.b64decode(answer["data"])

    def close(self) -> None:
        """Let go of the pipe."""
        os.close(self._out)
        os.close(self._in)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], RETRY_S)
            part = os.read(self._in, 1 << 20) if ready else b""
            if not part:
                raise RuntimeError("Chromium has ended" if ready else "Chromium does not answer")
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        answer = dict(json.loads(message))
        self._note(answer.get("method", ""), answer.get("params", {}))
        return answer

    def _note(self, event: str, given: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(given["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(str(given["exceptionDetails"]))
        elif event == "Log.entryAdded" and given["entry"]["level"] in ("error", "warning"):
            self.complaints.append(given["entry"]["text"])
        elif event == "Runtime.consoleAPICalled" and given["type"] in ("error", "warning"):
            self.complaints.append(str([each.get("value") for each in given["args"]]))


@contextmanager
def browsing(folder: Path) -> Iterator[Browser]:
    """Yield a browser with a profile of its own, and end it."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    flags = " ".join((*FLAGS, f"--user-data-dir={folder}"))
    command = f"exec {CHROMIUM} {flags} 3<&{theirs_in} 4>&{theirs_out}"
    process = subprocess.Popen(
        ["bash", "-c", command], pass_fds=(theirs_in, theirs_out), stderr=subprocess.DEVNULL
    )
    os.close(theirs_in)
    os.close(theirs_out)
    browser = Browser(ours_out, ours_in)
    try:
        yield browser
        browser.call("Page.close")
    finally:
        process.terminate()
        process.wait(timeout=30)
        browser.close()
