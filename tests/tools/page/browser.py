"""A Chromium without windows, driven over its DevTools protocol.

The protocol (https://chromedevtools.github.io/devtools-protocol/) runs over two pipes, JSON with a NUL behind each
message, so that Python's standard library is enough.
"""
import base64
import fcntl
import json
import os
import select
import subprocess
import tempfile
import time
from pathlib import Path

TIMEOUT = 60  # seconds for whatever the page is waited for

KEYS = {"Enter": 13, "Escape": 27, "Tab": 9}


class Browser:
    def __init__(self, language: str = "en-US") -> None:
        self._home = tempfile.TemporaryDirectory(prefix="llamajit-browser-")
        read_by_it, self._write = os.pipe()
        self._read, written_by_it = os.pipe()
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (read_by_it, written_by_it)]
        os.close(read_by_it)
        os.close(written_by_it)

        def place_pipes() -> None:
            os.dup2(theirs[0], 3)
            os.dup2(theirs[1], 4)

        self._process = subprocess.Popen(
            [os.environ.get("LLAMAJIT_CHROMIUM", "chromium"), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--remote-debugging-pipe", "--no-first-run", "--hide-scrollbars", f"--user-data-dir={self._home.name}",
             f"--lang={language}", f"--accept-lang={language}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False, preexec_fn=place_pipes,
            env={**os.environ, "LANGUAGE": language})
        for end in theirs:
            os.close(end)
        self._number = 0
        self._unread = b""
        self._session: str | None = None
        self.errors: list[str] = []  # that scripts threw, or the browser logged
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setLocaleOverride", locale=language)

    def close(self) -> None:
        os.close(self._write)
        os.close(self._read)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for _ in range(20):  # its children write on for a moment
            try:
                self._home.cleanup()
                return
            except OSError:
                time.sleep(0.1)

    def call(self, method: str, **params: object) -> dict:
        self._number += 1
        message: dict = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + TIMEOUT
        while True:
            answer = self._next(until)
            self._note(answer)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _next(self, until: float) -> dict:
        while b"\0" not in self._unread:
            if not select.select([self._read], [], [], max(0, until - time.monotonic()))[0]:
                raise TimeoutError("chromium: expected an answer, found none")
            piece = os.read(self._read, 1 << 20)
            if not piece:
                raise RuntimeError("chromium: it ended")
            self._unread += piece
        message, self._unread = self._unread.split(b"\0", 1)
        return json.loads(message)

    def _note(self, message: dict) -> None:
        params = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif message.get("method") == "Log.entryAdded" and params["entry"]["level"] == "error":
            entry = params["entry"]
            if entry["source"] != "network":  # a refusal that a test provokes
                self.errors.append(entry["text"])

    # --- the page

    def open(self, url: str) -> None:
        self.run("window.isOld = true")
        if error := self.call("Page.navigate", url=url).get("errorText"):
            raise RuntimeError(f"{url}: {error}")
        self._wait_for_new()

    def reload(self) -> None:
        self.run("window.isOld = true")
        self.call("Page.reload")
        self._wait_for_new()

    def _wait_for_new(self) -> None:
        self.wait("window.isOld === undefined && document.readyState === 'complete'")

    def run(self, script: str) -> object:
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True,
                           userGesture=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise RuntimeError(f"{script}: {details.get('exception', {}).get('description', details['text'])}")
        return result["result"].get("value")

    def wait(self, condition: str, seconds: float = TIMEOUT) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if self.run(condition):
                    return
            except RuntimeError as error:
                if "context" not in str(error):  # the page that asked is gone
                    raise
            time.sleep(0.03)
        raise TimeoutError(f"{condition}: expected it to become true within {seconds} s")

    def click(self, selector: str) -> None:
        """As a finger or mouse would: where the element is, whatever lies above it."""
        place = self.run(f"""(() => {{
            const found = document.querySelector({json.dumps(selector)});
            found.scrollIntoView({{block: "nearest"}});
            const box = found.getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2];
        }})()""")
        x, y = place  # type: ignore[misc]
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def write(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def press(self, key: str, shift: bool = False) -> None:
        code = KEYS[key]
        text = {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=code,
                  modifiers=8 if shift else 0, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)

    def look(self, width: int, height: int, dark: bool = False) -> None:
        """Of a phone, where it is narrow."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
