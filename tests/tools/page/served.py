"""`llamajit serve` as a process, on a port that is free."""
import os
import re
import subprocess
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[3]
PROGRAM = os.environ["LLAMAJIT_PROGRAM"]


class Server:
    def __init__(self, *options: str) -> None:
        model = SOURCE / "tools" / "story" / "models" / "story.gguf"
        self._process = subprocess.Popen([PROGRAM, "serve", str(model), "--port", "0", *options],
                                         stderr=subprocess.PIPE, text=True)
        told = []
        assert self._process.stderr is not None
        for line in self._process.stderr:
            told.append(line)
            if match := re.search(r"serving \S+ at (http://127\.0\.0\.1:\d+);", line):
                self.url = match[1]
                return
        raise RuntimeError("llamajit serve: expected its address, found: " + "".join(told))

    def close(self) -> None:
        early = self._process.poll()
        self._process.terminate()
        try:
            _, told = self._process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise
        if early is not None or self._process.returncode != 0:
            raise RuntimeError(f"llamajit serve: expected it to end when told, found {self._process.returncode}: {told}")
