"""The built program as a server, for tests."""
import http.client
import json
import os
import re
import subprocess
import threading
from pathlib import Path

PROGRAM = os.environ["LLAMAJIT_PROGRAM"]


class Server:
    """`llamajit serve` with these arguments, on a port that is free."""

    def __init__(self, *arguments: str):
        self.process = subprocess.Popen([PROGRAM, "serve", "--port", "0", *arguments], stderr=subprocess.PIPE, text=True)
        self.log: list[str] = []
        for line in self.process.stderr:
            self.log.append(line)
            if found := re.search(r"serving (\S+) at (http://\S+:(\d+));", line):
                self.model, self.told_url, self.port = found[1], found[2], int(found[3])
                break
        else:
            raise RuntimeError("llamajit serve: expected its address, found: " + "".join(self.log))
        self.url = f"http://127.0.0.1:{self.port}"
        self.lines_at_start = len(self.log)
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        self.reader.start()

    def connect(self, timeout: float = 120) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, path: str, body=None, method: str | None = None, headers: dict | None = None):
        """The status, and the body as JSON where it is."""
        connection = self.connect()
        text = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
        connection.request(method or ("GET" if body is None else "POST"), path, text, headers or {})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        return answer.status, json.loads(content) if is_json and content else content

    def stream(self, path: str, body: dict) -> list[str]:
        """What stands behind `data: ` in each event."""
        connection = self.connect()
        connection.request("POST", path, json.dumps({**body, "stream": True}))
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        assert answer.status == 200, text
        assert text.endswith("\n\n"), "the last event is one, too"
        return [event.removeprefix("data: ") for event in text.split("\n\n") if event.startswith("data: ")]

    def resident_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def end(self) -> None:
        """Tells it to end, which it has not done before, and does well."""
        early = self.process.poll()
        self.process.terminate()
        try:
            self.process.wait(timeout=60)
        finally:
            self.process.kill()
            self.reader.join()
            self.process.stderr.close()
        if early is not None or self.process.returncode != 0:
            raise RuntimeError(f"llamajit serve: expected it to end well when told, found {early}, "
                               f"{self.process.returncode}: {''.join(self.log)}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.process.stderr.closed:
            self.end()
