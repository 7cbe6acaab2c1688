"""What takes long: kernels of thousands of shapes, valgrind, and runs in which memory may not grow nor answers change."""
import hashlib
import os
import random
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .harness import MIB, Torture

ROOT = Path(__file__).resolve().parents[3]
STORY = ROOT / "tools" / "story" / "models" / "story.gguf"


def test_program(t: Torture) -> Path:
    return t.program.parent / "jit_test"


def kernels(t: Torture, options) -> None:
    """Random shapes of every kernel on every tier of the CPU, between guarded pages, beside its twin."""
    command = [str(test_program(t)), "--gtest_filter=RandomShapes.*", "--gtest_brief=1"]
    shapes = {"LLAMAJIT_RANDOM_SHAPES": str(options.shapes), "LLAMAJIT_RANDOM_SEED": str(t.seed)}
    done = subprocess.run(command, env={**os.environ, **shapes}, capture_output=True, text=True, check=False)
    listed = subprocess.run([*command, "--gtest_list_tests"], capture_output=True, text=True, check=True).stdout
    t.runs += options.shapes * sum(line.startswith("  ") for line in listed.splitlines())
    if done.returncode != 0:
        t.fault(f"LLAMAJIT_RANDOM_SEED={t.seed}: exit code {done.returncode}", command, done.stdout[-2000:] + done.stderr[-1000:])


def valgrind(t: Torture, options) -> None:
    """The avx2 tier alone, as valgrind knows no AVX-512: kernels of some shapes, and runs of small models. Without the
    sandbox, in which it can't make code of its own."""
    del options
    program = ["valgrind", "--error-exitcode=9", "-q", "--smc-check=all"]
    story = [t.program, "run", "--isa", "avx2", "--no-sandbox", "-p", "Once", "-n", "8", "-q"]
    for arguments in ([*story, "-m", STORY, "-t", "2", "-s", "1"],
                      [*story, "-m", STORY.with_name("story-ternary.gguf"), "-t", "1"],
                      [test_program(t), "--gtest_filter=RandomShapes.*", "--gtest_brief=1"]):
        command = [*program, *map(str, arguments)]
        shapes = {"LLAMAJIT_RANDOM_SHAPES": "5", "LLAMAJIT_RANDOM_SEED": str(t.seed)}
        done = subprocess.run(command, env={**os.environ, **shapes}, capture_output=True, text=True, check=False)
        t.runs += 1
        if done.returncode != 0:
            t.fault(f"valgrind: exit code {done.returncode}", command, done.stdout[-1000:] + done.stderr[-2000:])


def resident(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
    return int(found[1]) * 1024 if found else 0


def expect_flat(t: Torture, what: str, samples: list[int], command: list[str]) -> None:
    """Memory of the last third is that of the second one, but for a little."""
    third = len(samples) // 3
    if third == 0:
        return
    before, after = max(samples[third:2 * third]), max(samples[2 * third:])
    print(f"  {what}: {before / MIB:.1f} MiB, then {after / MIB:.1f} MiB")
    t.most_memory = max(t.most_memory, after)
    if after > before * 1.03 + 4 * MIB:
        t.fault(f"{what}: memory grew from {before // MIB} to {after // MIB} MiB", command)


def conversation(t: Torture, threads: int, tokens: int) -> str:
    """A chat that forgets its beginning again and again; the hash of what it said."""
    reply = 100
    command = [str(t.program), "chat", str(STORY), "--context-shift", "--ignore-eos", "-n", str(reply), "-s", "7", "--temp", "0.9",
               "-q", "-t", str(threads)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    t.runs += 1
    samples, said, size = [], hashlib.sha256(), 0

    def read():
        nonlocal size
        while piece := process.stdout.read1(1 << 16):
            said.update(piece)
            size += len(piece)
            if process.poll() is None:
                samples.append(resident(process.pid))
    reader = threading.Thread(target=read)
    reader.start()
    asked = random.Random(3)
    for i in range(tokens // reply):
        process.stdin.write(f"Tell me of {asked.choice(['a cat', 'the sea', 'Anna', 'snow'])} number {i}.\n".encode())
    process.stdin.close()
    reader.join()
    if process.wait() != 0:
        t.fault(f"exit code {process.returncode}", command)
    print(f"  {tokens} tokens on {threads} threads: {size} bytes")
    expect_flat(t, "chat", samples, command)
    return said.hexdigest()


def mixed_load(t: Torture, minutes: float) -> None:
    """Requests of many kinds from many clients at once, of which some go away; each answer is what it was alone."""
    os.environ["LLAMAJIT_PROGRAM"] = str(t.program)
    sys.path.insert(0, str(ROOT / "tests" / "tools" / "serve"))
    import load_test  # noqa: PLC0415: it reads the environment
    load = load_test.Load()
    requests = [load_test.some_request(number) for number in range(200)]
    with load_test.Server("-m", str(STORY), "--parallel", "1", "-t", "1") as server:
        load.alone = [load_test.texts_of(server.ask(path, body)[1]) for path, body in requests]
    samples: list[int] = []
    with load_test.Server("-m", str(STORY), "--parallel", "8") as server:
        load.server = server
        end = time.monotonic() + 60 * minutes
        with ThreadPoolExecutor(load_test.CLIENTS) as clients:
            while time.monotonic() < end:
                order = random.sample(range(len(requests)), len(requests))
                for done in [clients.submit(load.one, number, *requests[number]) for number in order]:
                    t.runs += 1
                    try:
                        done.result()
                    except Exception as error:  # noqa: BLE001: whatever is wrong with an answer is a fault
                        t.fault(f"an answer: {error!r}"[:300], ["serve"])
                samples.append(resident(server.process.pid))
        load.expect_idle()
        expect_flat(t, "serve", samples, ["serve"])


def long(t: Torture, options) -> None:
    said = {threads: conversation(t, threads, options.tokens) for threads in (2, 1)}
    if len(set(said.values())) != 1:
        t.fault("what was said depends on the number of threads", ["chat"])
    mixed_load(t, options.minutes)
