"""A system that refuses: calls that fail, system calls that are denied, disks that are full."""
import errno
import os
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

from . import gguf
from .harness import Torture, has_ended

CALLS = ["malloc", "mmap", "mprotect", "pthread_create", "open", "read", "write", "ftruncate", "fsync"]
QUICK = [("run", "malloc"), ("inspect", "malloc"), ("run", "mmap"), ("quantize", "write"), ("chat", "open"), ("serve", "pthread_create")]


def stop_when_serving(process) -> None:
    """A server is asked to end once it answers, or has had its time."""
    for _ in range(30):
        time.sleep(0.02)
        if has_ended(process):
            return
    for _ in range(10):  # a signal is lost where the call fails that hands it on
        os.kill(process.pid, signal.SIGTERM)
        time.sleep(0.1)
        if has_ended(process):
            return


# Each with what is called while it runs; with further options of those that have a sandbox.
def commands(t: Torture, sandboxed: tuple = ()) -> list:
    model, out = t.path("model.gguf", gguf.Model().bytes()), t.path("out")
    text = t.path("text", b"the cat and the hat and the mat. " * 8)
    run = ["-p", "the cat", "-n", "4", "-t", "2", "-q"]
    return [("run", ["run", model, *run, "--packed", "none", *sandboxed], None),
            ("inspect", ["inspect", model], None),
            ("quantize", ["quantize", model, out, "Q8_0", "-t", "2"], None),
            ("pack", ["pack", model, out], None),
            ("verify", ["verify", model, "-q"], None),
            ("chat", ["chat", model, "-p", "the cat", "-n", "4", "--single-turn", "-q", "-t", "2", *sandboxed], None),
            ("perplexity", ["perplexity", model, "-f", text, "-t", "2", *sandboxed], None),
            ("imatrix", ["imatrix", model, "-f", text, "-o", out], None),
            ("ngrams", ["ngrams", text, out, "-m", model], None),
            ("serve", ["serve", model, "--port", "0", "-t", "2", *sandboxed], stop_when_serving)]


def counted(t: Torture, arguments: list, during, call: str) -> int:
    counts = t.path("count")
    counts.unlink(missing_ok=True)
    # A call that never comes so often fails nowhere.
    t.run(f"{call} counted", arguments, during=during,
          environment={"LD_PRELOAD": str(t.interposer), "LLAMAJIT_FAIL": f"{call}:999999999", "LLAMAJIT_FAIL_COUNT": str(counts)})
    return int(counts.read_text()) if counts.exists() else 0


def failing_calls(t: Torture) -> None:
    """The Nth call of each name fails, and for every eighth N all calls behind it, too. Without the sandbox, whose
    library does not survive all of them."""
    if not t.has_interposer("failing_calls"):
        return
    for name, arguments, during in commands(t, ("--no-sandbox",)):
        for call in CALLS:
            if t.quick and (name, call) not in QUICK:
                continue
            count = counted(t, arguments, during, call)
            numbers = list(range(1, count + 1))
            if len(numbers) > 400:  # of many alike, some
                numbers = numbers[:150] + numbers[150::max(1, (count - 150) // 250)]
            for n in t.some(numbers, 6):
                plan = f"{call}:{n}{'+' if n % 8 == 0 else ''}"
                t.run(f"{name} with LLAMAJIT_FAIL={plan}", arguments, during=during, silent=call == "write",
                      environment={"LD_PRELOAD": str(t.interposer), "LLAMAJIT_FAIL": plan})


# x86-64's numbers of what nothing can do without, to return from a signal and to end, and of what glibc itself takes for
# impossible to fail, and ends the process; its malloc() faults where brk is denied once it has been given memory.
UNDENIED = {15: "rt_sigreturn", 59: "execve", 60: "exit", 231: "exit_group", 202: "futex", 12: "brk", 11: "munmap", 334: "rseq"}
WRITES = (1, 20)  # write and writev: without them nothing can be said
# What a server waits for its sockets by: it has to say so, not to turn in circles.
EVENTS = {232: "epoll_wait", 233: "epoll_ctl", 291: "epoll_create1"}


def denied_calls(t: Torture) -> None:
    """Every system call is denied in turn from main() on, with EPERM and with ENOMEM."""
    if not t.has_interposer("denied_calls"):
        return
    cases = [(number, error) for number in range(0, 460) if number not in UNDENIED for error in (errno.EPERM, errno.ENOMEM)]
    for name, arguments, during in t.some(commands(t), 2):
        for number, error in t.some(cases, 10):
            t.run(f"{name}, system call {number} denied ({errno.errorcode[error]})", arguments, during=during,
                  silent=number in WRITES,
                  environment={"LD_PRELOAD": str(t.interposer), "LLAMAJIT_DENY": f"{number}:{error}"})
    serve, during = next((arguments, during) for name, arguments, during in commands(t) if name == "serve")
    for number, call in EVENTS.items():
        t.run(f"serve, {call} denied", serve, during=during, must_fail=True,
              environment={"LD_PRELOAD": str(t.interposer), "LLAMAJIT_DENY": f"{number}:{errno.EPERM}"})


def limited(size: int):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def writers(t: Torture) -> list:
    model, text = t.path("model.gguf", gguf.Model().bytes()), t.path("text", b"the cat and the hat. " * 8)
    return [lambda out: ["quantize", model, out, "Q8_0"], lambda out: ["quantize", model, out, "F16"],
            lambda out: ["pack", model, out], lambda out: ["convert", model, out],
            lambda out: ["imatrix", model, "-f", text, "-o", out], lambda out: ["ngrams", text, out, "-m", model],
            lambda out: ["perplexity", model, "-f", text, "--save-logits", out],
            lambda out: ["chat", model, "-p", "a", "-n", "2", "--single-turn", "--session", out],
            lambda out: ["kernels", model, "--dump", out], lambda out: ["report", model, "-o", out]]


def full_disk(t: Torture) -> None:
    """Files may grow to so many bytes only; and a file system of 16 KiB, where there may be one. What was there stays."""
    out = t.path("kept")
    sizes = [0, 1, 24, 100, 1000, 4095, 4096, 5000, 8192, 20000, 30000]
    for write, size in t.some([(write, size) for write in writers(t) for size in sizes], 8):
        if out.is_dir():
            shutil.rmtree(out)
        out.unlink(missing_ok=True)
        arguments = write(out)
        t.run(f"files of {size} bytes at most", arguments, prepare=limited(size))
        left = [name for name in os.listdir(t.folder) if name.startswith("kept") and name != "kept"]
        if left:
            t.fault(f"files of {size} bytes at most: {left[0]} was left", list(map(str, arguments)))
            for name in left:
                (t.folder / name).unlink()
    disk = t.path("disk")
    disk.mkdir(exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode != 0:
        print("full_disk: no file system was mounted, as that takes root")
        return
    try:
        for write in t.some(writers(t), 4):
            t.run("a disk of 16 KiB", write(disk / "out"))
            for name in os.listdir(disk):
                path = Path(disk / name)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    finally:
        subprocess.run(["umount", disk], check=True)


def killed(t: Torture) -> None:
    """SIGKILL while a file is replaced: the one that was there is whole."""
    model, out = t.path("model.gguf", gguf.Model().bytes()), t.path("kept.gguf")
    t.run("quantize", ["quantize", model, out, "Q8_0"], may_fail=False)
    before = out.read_bytes()
    for i in range(5 if t.quick else 300):
        process = subprocess.Popen([t.program, "quantize", model, out, "Q8_0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(i % 60 / 2000)
        process.kill()
        process.wait()
        t.runs += 1
        if out.read_bytes() != before:
            t.fault("killed while it wrote: the file is another", ["quantize"])
    for name in os.listdir(t.folder):
        if name.startswith("kept.gguf") and name != "kept.gguf":
            (t.folder / name).unlink()


PARTS = [failing_calls, denied_calls, full_disk, killed]
