"""A headless Chromium over its debugging socket, for tests and for foreign readers of our files."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# software GL, so that pictures do not depend on the machine
FLAGS = "--headless=new --no-sandbox --disable-gpu-sandbox --use-gl=angle --use-angle=swiftshader --enable-unsafe-swiftshader --hide-scrollbars --no-first-run --mute-audio --disable-background-networking"  # noqa: E501


def chromium_path() -> str | None:
    """Path of a Chromium, from TOOLKIT_CHROMIUM or the usual names."""
    return os.environ.get("TOOLKIT_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page. `errors` and `requests` collect what happened in it."""

    def __init__(self, width: int = 400, height: int = 460):
        """Start Chromium with one empty page of this size in pixels."""
        from websocket import create_connection

        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        command = [chromium_path(), *FLAGS.split(), f"--user-data-dir={self.folder.name}"]
        command += ["--remote-debugging-port=0", f"--window-size={width},{height}", "about:blank"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        port = self._wait_for(Path(self.folder.name) / "DevToolsActivePort")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=20) as answer:
            page = next(t for t in json.load(answer) if t["type"] == "page")
        self.socket = create_connection(
            page["webSocketDebuggerUrl"], timeout=60, suppress_origin=True
        )
        self.number, self.errors, self.requests = 0, [], []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    @staticmethod
    def _wait_for(file: Path) -> str:
        for _ in range(300):
            if file.exists() and (text := file.read_text().split()):
                return text[0]
            time.sleep(0.1)
        raise TimeoutError("Chromium did not start")

    def call(self, method: str, **parameters: Any) -> dict:
        """One command of the DevTools protocol, and its result."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.number:
                assert "error" not in message, message["error"]
                return message["result"]
            self._note(message)

    def _note(self, message: dict) -> None:
        kind, body = message.get("method"), message.get("params", {})
        if kind == "Runtime.exceptionThrown":
            details = body["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif kind == "Log.entryAdded" and body["entry"]["level"] == "error":
            self.errors.append(body["entry"]["text"])
        elif kind == "Network.requestWillBeSent":
            self.requests.append(body["request"]["url"])

    def open(self, url: str) -> None:
        """Go to an address and wait until it is loaded."""
        self.call("Page.navigate", url=url)
        for _ in range(200):
            if self.js("document.readyState === 'complete' && location.href !== 'about:blank'"):
                return
            time.sleep(0.05)
        raise TimeoutError(url)

    def js(self, expression: str) -> Any:
        """Value of an expression; promises are awaited."""
        result = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"].get("description"))
        return result["result"].get("value")

    def screenshot(self) -> bytes:
        """The page as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        """End Chromium and remove what it wrote."""
        self.socket.close()
        self.process.terminate()
        self.process.wait(20)
        self.folder.cleanup()
