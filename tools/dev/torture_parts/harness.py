"""Runs the program, and says what it may not do: end by a signal, fail without a word, take long, take much memory."""
import collections
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

MIB = 1 << 20
LONGEST_SECONDS = 10
MEMORY_BESIDE_FILE = 512 * MIB  # 1.5 times the file may be taken, and so much


def has_ended(process) -> bool:
    """Without taking its status, which says how much memory it had."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


class Torture:
    """Counts runs and faults; a fault is printed once as a command line that may be tried again."""

    def __init__(self, program: Path, quick: bool, seed: int, interposer: Path | None):
        self.program = program.resolve()
        self.quick = quick
        self.seed = seed
        self.interposer = interposer  # of failing calls
        self.folder = Path(tempfile.mkdtemp(prefix="llamajit-torture-"))
        self.runs = 0
        self.longest = 0.0
        self.most_memory = 0
        self.faults: list[str] = []
        self.kinds: collections.Counter = collections.Counter()  # of faults

    def path(self, name: str, content: bytes | None = None) -> Path:
        path = self.folder / name
        if content is not None:
            path.write_bytes(content)
        return path

    def fault(self, what: str, command: list[str], text: str = "") -> None:
        self.faults.append(what)
        kind = re.sub(r"\d+", "N", what)
        self.kinds[kind] += 1
        if self.kinds[kind] <= 3:
            print(f"fault: {what}: {shlex.join(command)}\n  {text.strip()[:300]}", file=sys.stderr, flush=True)

    # Runs the program with these arguments. `during` is called with its process while it runs; `file_bytes` is what
    # its input takes; one that is `silent` cannot say what is wrong. What takes too long is tried once more, as other
    # processes may have had the CPUs. Returns its exit code.
    def run(self, what: str, arguments: list, *, seconds: float = LONGEST_SECONDS, **options) -> int:
        code = self._run(what, arguments, seconds=seconds, last=False, **options)
        return code if code is not None else self._run(what, arguments, seconds=seconds, last=True, **options)

    def _run(self, what: str, arguments: list, *, environment: dict | None = None, prepare=None, during=None,
             file_bytes: int = 0, may_fail: bool = True, must_fail: bool = False, silent: bool = False, stdin=subprocess.DEVNULL,
             seconds: float, last: bool) -> int | None:
        command = [str(self.program), *map(str, arguments)]
        self.runs += 1
        begin = time.monotonic()
        with subprocess.Popen(command, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              env={**os.environ, **(environment or {})}, preexec_fn=prepare) as process:
            late = threading.Timer(seconds, os.kill, (process.pid, signal.SIGKILL))
            late.start()
            if during:
                during(process)
            text = process.stderr.read().decode(errors="replace")
            _, status, usage = os.wait4(process.pid, 0)
            timed_out = not late.is_alive()
            late.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
        taken = time.monotonic() - begin
        self.longest = max(self.longest, taken)
        memory = usage.ru_maxrss * 1024
        self.most_memory = max(self.most_memory, memory)
        code = process.returncode
        if timed_out and not last:
            return None
        if timed_out:
            self.fault(f"{what}: not over after {seconds} s", command, text)
        elif code < 0:
            self.fault(f"{what}: ended by {signal.Signals(-code).name}", command, text)
        elif code > 0 and not text.strip() and not silent:
            self.fault(f"{what}: exit code {code} without a word", command)
        elif code > 0 and not may_fail:
            self.fault(f"{what}: exit code {code}", command, text)
        elif code == 0 and must_fail:
            self.fault(f"{what}: it went well", command, text)
        if memory > 1.5 * file_bytes + MEMORY_BESIDE_FILE:
            self.fault(f"{what}: {memory // MIB} MiB of memory", command)
        return code

    def has_interposer(self, part: str) -> bool:
        if self.interposer is not None and self.interposer.exists():
            return True
        print(f"{part}: left out, as there is no {self.interposer} (--interposer)")
        return False

    # A part's cases: all, or in a quick run some of them, the same each time.
    def some(self, cases: list, quick: int) -> list:
        if not self.quick or len(cases) <= quick:
            return cases
        step = len(cases) / quick
        return [cases[int(i * step)] for i in range(quick)]
