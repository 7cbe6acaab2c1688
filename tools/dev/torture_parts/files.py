"""Files that are wrong: cut, flipped, with other values, with sizes that wrap, no files at all, too large, shrinking."""
import os
import random
import socket
import struct
import time

from . import gguf
from .harness import Torture

RUN = ["-p", "ab", "-n", "2", "-t", "1", "-q"]


def whole(t: Torture) -> None:
    path = t.path("model.gguf", gguf.Model().bytes())
    t.run("the model as it is", ["run", path, *RUN], may_fail=False)


def truncated(t: Torture) -> None:
    content, metadata = gguf.Model().bytes(), len(gguf.Model().metadata())
    path = t.path("cut.gguf", content)
    sizes = list(range(metadata)) + [metadata + (len(content) - metadata - 33) * i // 1000 for i in range(1000)]
    for size in t.some(sizes, 12):
        path.write_bytes(content[:size])
        t.run(f"cut to {size} bytes", ["run", path, *RUN], must_fail=True)


def flipped(t: Torture) -> None:
    content, metadata = gguf.Model().bytes(), len(gguf.Model().metadata())
    path = t.path("flipped.gguf")
    for bit in t.some(list(range(metadata * 8)), 12):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        t.run(f"bit {bit % 8} of byte {bit // 8}", ["run", path, *RUN])


def values_of(kind: int) -> list:
    if kind == gguf.STRING:
        return ["", "x" * 70000, b"\xff\xfe\0", "llama", "{{ 1 }}" * 1000, "\n" * 100]
    if kind == gguf.ARRAY:
        return [(gguf.U32, []), (gguf.STRING, ["a"] * 3), (gguf.F32, [float("nan")] * 40), (gguf.I32, [-1] * 40),
                (gguf.ARRAY, [(gguf.U8, [1])] * 2), (gguf.STRING, [b"\xff" * 300] * 39), (gguf.I64, [1 << 62] * 39)]
    if kind in (gguf.F32, gguf.F64):
        return [0.0, -0.0, 1e-45, 3e38, -1.0, float("inf"), float("-inf"), float("nan"), 1.0]
    if kind == gguf.BOOL:
        return [0, 1, 2, 255]
    bits = struct.calcsize(gguf.FORMATS[kind]) * 8
    if kind in (gguf.I8, gguf.I16, gguf.I32, gguf.I64):
        return [0, 1, -1, 7, -(1 << bits - 1), (1 << bits - 1) - 1]
    return [0, 1, 3, 33, (1 << bits - 1) - 1, 1 << bits - 1, (1 << bits) - 1]


def keys(t: Torture) -> None:
    """Every key with values of every type, and missing."""
    cases = [(key, kind, of) for key in gguf.Model().keys for kind in range(13) for of in values_of(kind)]
    cases += [(key, None, None) for key in gguf.Model().keys]
    path = t.path("key.gguf")
    for key, kind, of in t.some(cases, 24):
        model = gguf.Model()
        if kind is None:
            del model.keys[key]
        else:
            model.keys[key] = (kind, of)
        path.write_bytes(model.bytes())
        t.run(f"{key} of type {kind}: {str(of)[:40]}", ["run", path, *RUN])


def wrapping(t: Torture) -> None:
    """Counts, dimensions, offsets and lengths whose sums and products wrap in 32 or 64 bits."""
    numbers = [0, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 32, 1 << 33, 1 << 60, 1 << 61,
               1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 32, (1 << 64) - 1]
    cases = [("tensors", n) for n in numbers] + [("keys", n) for n in numbers]
    cases += [("offset", n) for n in numbers] + [("type", n) for n in (*range(64), 137, 200, (1 << 31), (1 << 32) - 1)]
    cases += [("dims", dims) for dims in [(a, b) for a in numbers for b in numbers] +
              [(n,) for n in numbers] + [(n, n, n, n) for n in numbers] + [(1, 1, 1, 1, 1), ()]]
    cases += [("string", n) for n in numbers] + [("array", n) for n in numbers]
    path = t.path("wrap.gguf")
    for what, n in t.some(cases, 16):
        model = gguf.Model()
        tensor = model.tensors["blk.0.attn_q.weight"]
        if what in ("tensors", "keys"):
            model.counts[what == "keys"] = n
        elif what == "offset":
            tensor[2] = n
        elif what == "type":
            tensor[1] = n
        elif what == "dims":
            tensor[0] = list(n)
        content = model.bytes()
        if what in ("string", "array"):
            key = "general.name" if what == "string" else "tokenizer.ggml.scores"
            at = content.index(gguf.string(key)) + len(gguf.string(key)) + (4 if what == "string" else 8)
            content = content[:at] + struct.pack("<Q", n) + content[at + 8:]
        path.write_bytes(content)
        t.run(f"{what}: {n}", ["run", path, *RUN])


def no_files(t: Torture) -> None:
    """What is no regular file, or much too large a one, in the place of each file that a command takes."""
    model = t.path("model.gguf", gguf.Model().bytes())
    folder = t.path("folder")
    folder.mkdir(exist_ok=True)
    fifo, loop, empty, there, sparse = (t.path(name) for name in ("fifo", "loop", "empty", "socket", "sparse"))
    if not fifo.exists():
        os.mkfifo(fifo)
        loop.symlink_to(loop)
        empty.write_bytes(b"")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(there))
        with sparse.open("wb") as file:
            file.truncate(5 << 30)
    odd = [folder, fifo, loop, empty, there, sparse, t.path("missing"), "/dev/zero", "/dev/null", "/dev/full", "/proc/self/mem",
           "/proc/kmsg", "/"]
    out = t.path("out")
    # Of models, and of what somebody wrote; a text may be long, and what is read of a pipe may come late.
    uses = [lambda f: ["run", f, *RUN], lambda f: ["inspect", f], lambda f: ["tokenize", f, "-p", "a"],
            lambda f: ["quantize", f, out, "Q8_0"], lambda f: ["pack", f, out], lambda f: ["verify", f],
            lambda f: ["run", model, *RUN, "-z", f], lambda f: ["run", model, *RUN, "--packed", f],
            lambda f: ["run", model, *RUN, "--ngrams", f], lambda f: ["quantize", model, out, "F16", "--imatrix", f],
            lambda f: ["convert", f, out], lambda f: ["chat", model, "-p", "a", "--single-turn", "--session", f],
            lambda f: ["quantize", model, f, "Q8_0"] if str(f).startswith("/dev/null") or f == folder else ["inspect", f]]
    texts = [lambda f: ["run", model, *RUN, "--grammar", f], lambda f: ["run", model, *RUN, "--json-schema", f],
             lambda f: ["chat", model, "-p", "a", "--single-turn", "--chat-template-file", f],
             lambda f: ["run", model, "-n", "1", "-f", f], lambda f: ["perplexity", model, "-f", f],
             lambda f: ["imatrix", model, "-f", f, "-o", out], lambda f: ["ngrams", f, out, "-m", model]]
    waiting, long = (fifo, "/proc/kmsg"), (sparse,)
    cases = [(use, file) for use in uses for file in odd]
    cases += [(use, file) for i, use in enumerate(texts) for file in odd
              if file not in waiting and (i < 3 or file not in long)]
    for use, file in t.some(cases, 16):
        t.run(f"{file} as a file", use(file))


def too_large(t: Torture) -> None:
    """A model larger than memory, most of it a hole in its file, and one of which the file has nothing."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for factor in (0.3, 0.9, 1.5, 8):
        model = gguf.Model()
        rows = int(memory * factor) // (4 * gguf.DIM) // 32 * 32
        model.tensors["token_embd.weight"][0] = [gguf.DIM, rows]
        size = len(model.metadata()) + rows * gguf.DIM * 4
        model.tensors.pop("output.weight")
        embedding = model.tensors.pop("token_embd.weight")
        model.tensors["token_embd.weight"] = embedding  # last, so that nothing stands behind it
        path = t.path("large.gguf", model.bytes())
        os.truncate(path, size + (1 << 20))
        for command in (["inspect", path], ["run", path, *RUN]):
            t.run(f"a model of {factor} times the memory", command, file_bytes=size)
        path.unlink()


def shrinking(t: Torture) -> None:
    """A file that is cut while it is mapped, at moments by chance."""
    moments = random.Random(t.seed)
    content = gguf.Model().bytes()
    path, out = t.path("shrinking.gguf"), t.path("out.gguf")
    commands = [["run", path, "-p", "ab", "-n", "40", "-t", "1", "-q"], ["quantize", path, out, "Q8_0"], ["pack", path, out],
                ["inspect", path], ["verify", path, "-q"]]
    for i in range(10 if t.quick else 600):
        path.write_bytes(content)
        size = moments.choice([0, 1, 100, 4096, len(content) // 2, len(content) - 100])

        def cut(_process, size=size):
            time.sleep(moments.uniform(0, 0.02))
            os.truncate(path, size)
        t.run(f"cut to {size} bytes while it is read", commands[i % len(commands)], during=cut)


PARTS = [whole, truncated, flipped, keys, wrapping, no_files, too_large, shrinking]
