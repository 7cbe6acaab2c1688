"""Runs the tests of real clients (*.test.mjs) against the built program.

The clients are npm's; package.json and its lock say which. They are installed in LLAMAJIT_CLIENTS, a folder outside
the source tree that is kept for the next run. Says why where it can't run, and exits with 77.
"""
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tools" / "serve"))
from server import Server  # noqa: E402

MODEL = str(HERE.parents[1] / "tools" / "story" / "models" / "story.gguf")
LEAST_NODE = 20  # they ask for 22, and are seen to run with 20, but not with Debian 12's 18
KEY = "a-key"


def skip(why: str) -> None:
    print(f"skipped: {why}")
    sys.exit(77)


def check_programs() -> None:
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            skip(f"there is no {program}")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(re.match(r"v(\d+)", version)[1]) < LEAST_NODE:
        skip(f"the clients need node {LEAST_NODE} or newer, found {version.strip()}")


def installed(cache: Path) -> Path:
    """The folder where the clients are, and copies of the tests, which look for them from where they lie."""
    lock = (HERE / "package-lock.json").read_bytes() + (HERE / "package.json").read_bytes()
    folder = cache / hashlib.sha256(lock).hexdigest()[:16]
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=cache))
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, beside)
        # A cache folder of its own; without scripts, which none of them needs.
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error",
                               f"--cache={cache / 'npm'}"], cwd=beside, capture_output=True, text=True)
        if done.returncode != 0:
            shutil.rmtree(beside)
            text = done.stdout + done.stderr
            if re.search(r"ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ENOTCACHED|\bE[45]\d\d\b", text):
                skip(f"the clients can't be fetched: {text.strip()[:300]}")
            sys.exit(f"npm: {text}")
        beside.rename(folder)
    for old in folder.glob("*.mjs"):
        old.unlink()
    for test in HERE.glob("*.mjs"):
        shutil.copy(test, folder)
    return folder


def main() -> int:
    check_programs()
    folder = installed(Path(os.environ["LLAMAJIT_CLIENTS"]))
    with ExitStack() as stack:
        keys = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".keys"))
        keys.write(KEY + "\n")
        keys.flush()
        servers = {"LLAMAJIT_URL": (), "LLAMAJIT_KEYED_URL": ("--api-key-file", keys.name),
                   "LLAMAJIT_FULL_URL": ("--parallel", "1", "--max-waiting", "1")}
        environment = {**os.environ, "LLAMAJIT_KEY": KEY}
        for name, arguments in servers.items():
            server = stack.enter_context(Server(MODEL, "-t", "1", *arguments))
            environment[name] = f"http://127.0.0.1:{server.port}"
        tests = sorted(folder.glob(sys.argv[1] if len(sys.argv) > 1 else "*.test.mjs"))
        # One at a time: some look at what the server does when it has nothing to do.
        return subprocess.run(["node", "--test", "--test-concurrency=1", *map(str, tests)], cwd=folder,
                              env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
