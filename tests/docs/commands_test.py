"""Runs the commands that README.md and docs/ show, and compares what they print.

A console block begins with a line "$ command"; lines "> more" go on with it, and what follows up to the next "$ "
is what it prints. A line "…" stands for any lines, "…" within a line for any text. Where a comment
"<!-- not run: REASON -->" stands before the block, it is not run. Blocks of one page run one after the other in one
folder, which has the models that the pages name.

Figures of time and of this machine's speed are compared by their shape: see MEASURED.
"""
import os
import re
import subprocess
import sys
import tempfile
import unittest
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
PAGES = [SOURCE / "README.md", *sorted((SOURCE / "docs").glob("*.md"))]
PROGRAM = Path(os.environ["LLAMAJIT_PROGRAM"])
DATA = Path(os.environ.get("LLAMAJIT_TEST_DATA", SOURCE.parent / "shared" / "data"))
MODELS = ["stories260K.bin", "tok512.bin", "tokenizer.bin"]
TIMEOUT = 600  # seconds for one command

NOT_RUN = re.compile(r"<!-- not run: (.+?) -->")
# Commands whose figures are measured: all numbers in what they print count as the same.
MEASURED = re.compile(r"llamajit (bench|kernels [^|&]*$)")
# What /proc/cpuinfo calls what a tier needs.
TIERS = {"avx2": "avx2", "avxvnni": "avx_vnni", "avx512": "avx512f", "avx512vnni": "avx512_vnni",
         "avx512bf16": "avx512_bf16", "avx512amx": "amx_int8"}
UNITS = re.compile(r"[\d.,]+(?= ?(ms|µs|us|tok/s|GB/s|GOP/s|MiB/s|s)\b)")


@dataclass
class Command:
    page: Path
    line: int
    text: str
    prints: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.page.relative_to(SOURCE)}:{self.line}: {self.text.splitlines()[0]}"


def commands_of(page: Path) -> list[Command]:
    commands: list[Command] = []
    fenced = skipped = False
    reason = None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
            first_of_block = fenced
            skipped = fenced and reason is not None
            if fenced:
                reason = None
            continue
        if not fenced:
            if match := NOT_RUN.search(line):
                reason = match[1]
            elif line.strip():
                reason = None
            continue
        if first_of_block:
            console = line.startswith("$ ")
            first_of_block = False
        if not console or skipped:
            continue
        if line.startswith("$ "):
            commands.append(Command(page, number, line[2:]))
        elif line.startswith("> ") and not commands[-1].prints:
            commands[-1].text += "\n" + line[2:]
        else:
            commands[-1].prints.append(line)
    return commands


def tiers_this_cpu_lacks(command: Command) -> list[str]:
    match = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    flags = match[1].split() if match else []
    return [tier for tier, flag in TIERS.items() if re.search(rf"\b{tier}\b", command.text) and flag not in flags]


def masked(line: str, command: Command) -> str:
    line = re.sub(r"\s+", " ", line).strip()
    if MEASURED.search(command.text) and "--isa" not in command.text:
        line = re.sub(r"\btier \w+", "tier #", line)  # of the machine, as what is measured
    return re.sub(r"\d+([.,]\d+)*", "#", line) if MEASURED.search(command.text) else UNITS.sub("#", line)


def pattern_of(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.split("…"))


def matches(expected: list[str], found: list[str]) -> bool:
    """Whether the lines found are those expected, where "…" stands for any lines."""
    if not expected:
        return not found
    if expected[0].strip() == "…":
        return any(matches(expected[1:], found[at:]) for at in range(len(found) + 1))
    return bool(found) and re.fullmatch(pattern_of(expected[0]), found[0]) is not None and matches(expected[1:], found[1:])


class Pages(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        for name in MODELS:
            if not (DATA / name).exists():
                self.skipTest(f"{DATA / name} is absent; LLAMAJIT_TEST_DATA names its folder")
            (Path(self.folder.name) / name).symlink_to((DATA / name).resolve())
        (Path(self.folder.name) / "llamajit").symlink_to(SOURCE)
        (Path(self.folder.name) / "tools").symlink_to(SOURCE / "tools")

    def run_one(self, command: Command) -> list[str]:
        environment = {**os.environ, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
        result = subprocess.run(["bash", "-c", command.text], cwd=self.folder.name, env=environment, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                timeout=TIMEOUT, check=False)
        return result.stdout.splitlines()

    def check_page(self, page: Path) -> None:
        for command in commands_of(page):
            with self.subTest(str(command)):
                if lacking := tiers_this_cpu_lacks(command):
                    self.skipTest(f"{command}: this CPU lacks {', '.join(lacking)}")
                expected = [masked(line, command) for line in command.prints]
                while expected and not expected[-1]:
                    expected.pop()
                printed = self.run_one(command)
                found = [masked(line, command) for line in printed]
                shown = "\n".join(printed[:60])
                self.assertTrue(matches(expected, found), f"{command}\nexpected what the page shows, found:\n{shown}")


def add_tests() -> None:
    for page in PAGES:
        if commands_of(page):
            name = "test_" + re.sub(r"\W", "_", page.stem.lower())
            setattr(Pages, name, lambda self, page=page: self.check_page(page))


class Links(unittest.TestCase):
    def test_installed_pages_link_to_what_is_installed(self) -> None:
        roots = {"README.md", "README.ko.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"}
        pages = [SOURCE / name for name in sorted(roots)] + sorted((SOURCE / "docs").rglob("*.md"))
        for page in pages:
            text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
                if re.match(r"[a-z]+:", target):
                    continue
                with self.subTest(f"{page.relative_to(SOURCE)}: {target}"):
                    path = (page.parent / target).resolve()
                    self.assertTrue(path.exists(), "there is no such file")
                    relative = path.relative_to(SOURCE)
                    self.assertTrue(str(relative) in roots or relative.parts[0] == "docs", "it is not installed")


class Rules(unittest.TestCase):
    """The comparison itself can fail."""

    def test_dots_stand_for_lines_and_text(self) -> None:
        self.assertTrue(matches(["a", "…", "c … e"], ["a", "b", "b", "c d e"]))
        self.assertTrue(matches(["…"], []))
        for wrong in (["a"], ["a", "b"], ["a", "c d"], ["x", "c d e"]):
            self.assertFalse(matches(["a", "…", "c … e"], wrong), wrong)

    def test_only_measured_figures_are_masked(self) -> None:
        run = Command(SOURCE / "README.md", 1, "llamajit run m")
        bench = Command(SOURCE / "README.md", 1, "llamajit bench m")
        self.assertEqual(masked("37 tokens, 1.5 tok/s in 3 ms", run), "37 tokens, # tok/s in # ms")
        self.assertEqual(masked("pp128   1,024", bench), "pp# #")


add_tests()

if __name__ == "__main__":
    sys.exit(unittest.main())
