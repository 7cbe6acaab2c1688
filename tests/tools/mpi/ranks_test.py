"""llamajit-mpi under mpirun: the texts of one process, and what is said where a rank fails."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

PROGRAM = os.environ["LLAMAJIT_PROGRAM"]
RANKS_PROGRAM = os.environ["LLAMAJIT_MPI_PROGRAM"]
STORY = Path(__file__).resolve().parents[3] / "tools" / "story" / "models" / "story.gguf"
LIMIT = 100  # seconds
# More ranks than cores, in tests and in containers where all is root's.
MPIRUN = ["mpirun", "--oversubscribe"]
ENVIRONMENT = {
    **os.environ,
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    # Open MPI 4.1 keeps memory beyond MPI_Finalize, partly in parts of it that it has unloaded by then, which nothing
    # could name to be passed over. What the ranks themselves do is looked at for leaks in ranks_test.cpp.
    "ASAN_OPTIONS": ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "detect_leaks=0"])),
}
QUIET = ["--temp", "0", "-q", "-t", "1"]
STORY_RUN = ["run", str(STORY), "-p", "Once upon a time", "-n", "24", *QUIET]


def start(command, env=ENVIRONMENT, **more):
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, **more)


def ended(process, text=None):
    try:
        out, err = process.communicate(text, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, out, err


def alone(*arguments, text=None):
    return ended(start([PROGRAM, *arguments], stdin=subprocess.PIPE), text)


def on_ranks(n, *arguments, text=None):
    return ended(start([*MPIRUN, "-np", str(n), RANKS_PROGRAM, *arguments], stdin=subprocess.PIPE), text)


def own_lines(err):
    """What the program says, not mpirun."""
    return [line for line in err.splitlines() if line.startswith("llamajit")]


def ranks_of(launcher):
    """The processes of mpirun, by their ranks."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(re.search(r"\nPPid:\s+(\d+)", (process / "status").read_text())[1])
            variables = (process / "environ").read_bytes().split(b"\0")
        except (OSError, TypeError):
            continue
        rank = [v for v in variables if v.startswith(b"OMPI_COMM_WORLD_RANK=")]
        if parent == launcher and rank:
            found[int(rank[0].split(b"=")[1])] = int(process.name)
    return found


def is_gone(process):
    """Soon: mpirun does not wait for those that it kills, and they may still be there as what was not waited for."""
    for _ in range(50):
        try:
            state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


class Texts(unittest.TestCase):
    def test_are_the_same_on_two_and_three_ranks(self):
        expected = alone(*STORY_RUN)
        self.assertEqual(expected[0], 0, expected[2])
        for n in 2, 3:
            self.assertEqual(on_ranks(n, *STORY_RUN)[:2], expected[:2])

    def test_are_the_same_with_shares_and_more_threads(self):
        drawn = ["run", str(STORY), "-p", "A cat", "-n", "24", "--seed", "7", "-q"]
        expected = alone(*drawn)
        self.assertEqual(on_ranks(2, "--split", "3,1", *drawn, "-t", "2")[:2], expected[:2])

    def test_are_the_same_with_measured_shares(self):
        expected = alone(*STORY_RUN)
        measured = [word for word in STORY_RUN if word != "-q"]
        code, out, err = on_ranks(2, "--split", "auto", *measured)
        self.assertEqual((code, out), expected[:2], err)
        self.assertRegex(err, r"ranks read \d+\.\d, \d+\.\d GB/s; shares: \d+,\d+\n")

    def test_of_a_chat_are_the_same(self):
        chat = ["chat", str(STORY), "-n", "12", *QUIET]
        lines = "Tell me a story.\nAnd then?\n"
        expected = alone(*chat, text=lines)
        self.assertEqual(expected[0], 0, expected[2])
        self.assertEqual(on_ranks(2, *chat, text=lines)[:2], expected[:2])

    def test_are_served_several_at_once(self):
        process = start([*MPIRUN, "-np", "2", RANKS_PROGRAM, "serve", str(STORY), "--port", "0", "-t", "1"])
        try:
            for line in process.stderr:
                if match := re.search(r"at http://127.0.0.1:(\d+)", line):
                    break
            body = {"prompt": ["Once upon a time", "A cat"], "max_tokens": 16, "temperature": 0}
            request = urllib.request.Request(f"http://127.0.0.1:{match[1]}/v1/completions", json.dumps(body).encode())
            with urllib.request.urlopen(request, timeout=LIMIT) as answer:
                texts = [choice["text"] for choice in json.load(answer)["choices"]]
        finally:
            ranks = ranks_of(process.pid)
            os.kill(ranks[0], signal.SIGTERM)
            code, _, err = ended(process)
        self.assertEqual(code, 0, err)
        for prompt, text in zip(body["prompt"], texts):
            expected = alone("run", str(STORY), "-p", prompt, "-n", "16", "--no-echo", *QUIET)
            self.assertEqual(text, expected[1])

    def test_are_predicted_as_well(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as text:
            text.write("Once upon a time there was a little girl who had a cat.")
            text.flush()
            measure = ["perplexity", str(STORY), "-f", text.name, "-t", "1"]
            self.assertEqual(on_ranks(3, *measure)[:2], alone(*measure)[:2])


class Kernels(unittest.TestCase):
    def test_are_verified_by_each_rank(self):
        code, out, err = on_ranks(2, "verify", str(STORY), "--isa", "avx2")
        self.assertEqual(code, 0, err)
        self.assertRegex(out, r"\nrank 1 on \S+: [1-9]\d* values, 0 different; packed weights that are not the file's: 0\n")

    def test_are_measured(self):
        code, out, err = on_ranks(2, "bench", str(STORY), "-p", "8", "-n", "4", "-r", "1", "-t", "1")
        self.assertEqual(code, 0, err)
        self.assertRegex(out, r"\ntg4 ")


class Nodes(unittest.TestCase):
    @unittest.skipUnless({0, 1} <= os.sched_getaffinity(0), "CPUs 0 and 1, which are to be two sockets, are not both ours")
    def test_of_two_sockets_each_have_a_rank_with_their_cpus(self):
        """By a topology of hwloc's in which this machine's first two CPUs are the cores of two sockets."""
        expected = alone(*STORY_RUN)
        words = [word for word in STORY_RUN if word not in ("-q", "-t", "1")]
        command = [*MPIRUN, "-np", "2", "--map-by", "numa", "--report-bindings", RANKS_PROGRAM, *words]
        topology = {"HWLOC_SYNTHETIC": "pack:2 numa:1 core:1 pu:1", "HWLOC_THISSYSTEM": "1"}
        code, out, err = ended(start(command, stdin=subprocess.PIPE, env={**ENVIRONMENT, **topology}))
        self.assertEqual((code, out), expected[:2], err)
        self.assertIn("rank 0 bound to socket 0[core 0[hwt 0]]", err)
        self.assertIn("rank 1 bound to socket 1[core 1[hwt 0]]", err)
        self.assertRegex(err, r"llamajit: tier .*, 1 threads;")
        self.assertNotIn("ranks were bound", err)


class Failures(unittest.TestCase):
    def assert_said_once(self, result, pattern):
        code, out, err = result
        self.assertNotEqual(code, 0)
        self.assertEqual(out, "")
        lines = own_lines(err)
        self.assertEqual(len(lines), 1, err)
        self.assertRegex(lines[0], pattern)

    def on_two_folders(self, first, second):
        run = [RANKS_PROGRAM, "run", "model.gguf", "-p", "A", "-n", "4", *QUIET]
        return ended(start([*MPIRUN, "-np", "1", "--wdir", first, *run, ":", "-np", "1", "--wdir", second, *run]))

    def test_name_the_rank_that_lacks_the_file(self):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            shutil.copy(STORY, Path(one) / "model.gguf")
            self.assert_said_once(self.on_two_folders(one, other), r"^llamajit: rank 1 on \S+: model\.gguf: ")
            damaged = bytearray(STORY.read_bytes())
            damaged[len(damaged) // 512 * 200] ^= 1
            (Path(other) / "model.gguf").write_bytes(damaged)
            self.assert_said_once(self.on_two_folders(one, other),
                                  r"^llamajit: rank 1 on \S+: model\.gguf: expected the content that rank 0 on \S+ has")

    def test_name_what_the_first_rank_lacks(self):
        self.assert_said_once(on_ranks(2, "run", "nothing.gguf", "-p", "A"), r"^llamajit: nothing\.gguf: ")

    def test_name_wrong_arguments_once(self):
        for arguments, pattern in [
                (["--split", "1,2,3", *STORY_RUN], r"--split: expected a share of each rank, 2, found 3"),
                (["--split", "1,x", *STORY_RUN], r"--split: expected even, auto or whole numbers, 1 to 10000, found 'x'"),
                (["quantize", "a", "b"], r"expected one of run, chat, .* found 'quantize'")]:
            self.assert_said_once(on_ranks(2, *arguments), pattern)

    def long_run(self):
        # The text ends nowhere near.
        return start([*MPIRUN, "-np", "2", RANKS_PROGRAM, "--rank-timeout", "2", "run", str(STORY), "-p", "A", "-n",
                      "100000", "--ignore-eos", "-t", "1", "-q"])

    def ranks_at_work(self, process):
        process.stdout.read(40)
        return ranks_of(process.pid)

    def test_name_ranks_with_other_arguments(self):
        """Where each has arguments of its own, none waits for one that ended by itself or has another share."""
        for first, second in ((STORY_RUN, ["inspect", str(STORY)]), (STORY_RUN, ["--help"]), (["--help"], STORY_RUN),
                              (["--split", "3,1", *STORY_RUN], ["--split", "1,3", *STORY_RUN]),
                              (["--split", "auto", *STORY_RUN], STORY_RUN)):
            code, out, err = ended(start([*MPIRUN, "-np", "1", RANKS_PROGRAM, *first, ":", "-np", "1", RANKS_PROGRAM,
                                          *second]))
            self.assertNotEqual(code, 0)
            self.assertEqual(out, "")
            self.assertIn(" expected the arguments of the other ranks, found ", err)

    def test_of_a_rank_that_dies_end_all(self):
        process = self.long_run()
        os.kill(self.ranks_at_work(process)[1], signal.SIGKILL)
        code, _, err = ended(process)
        self.assertNotEqual(code, 0)
        self.assertRegex(err, r"process rank 1 .* on node \S+ exited on signal 9")

    def test_of_a_rank_that_hangs_end_all_and_name_it(self):
        process = self.long_run()
        ranks = self.ranks_at_work(process)
        os.kill(ranks[1], signal.SIGSTOP)
        code, _, err = ended(process)
        self.assertNotEqual(code, 0)
        self.assertEqual([re.sub(r" on \S+:", ":", line) for line in own_lines(err)],
                         ["llamajit-mpi: rank 1: nothing came for 2 s; the run is ended"])
        self.assertTrue(is_gone(ranks[1]), "nothing is left behind")


if __name__ == "__main__":
    if shutil.which("mpirun") is None:
        print("skipped: there is no mpirun")
        sys.exit(0)
    unittest.main()
