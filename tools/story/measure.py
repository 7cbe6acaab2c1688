#!/usr/bin/env python3
"""Measures models' perplexity on stories of the grammar that they were not trained on, with `llamajit perplexity`.

Each story is a text of its own, as each was in training.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import corpus

RESULT = re.compile(r"perplexity ([0-9.e+-]+) .*\((\d+) predictions")


@dataclass
class Measurement:
    label: str
    bytes: int
    predictions: int
    loss: float  # nats a token

    @property
    def perplexity(self) -> float:
        return math.exp(self.loss)


def measure(program: Path, label: str, model: Path, stories: list[Path]) -> Measurement:
    loss, predictions = 0.0, 0
    for story in stories:
        done = subprocess.run([program, "perplexity", model, "-f", story], check=True, capture_output=True, text=True)
        found = RESULT.search(done.stdout)
        if found is None:
            raise RuntimeError(f"{model}: expected 'perplexity …', found {done.stdout!r}")
        count = int(found[2])
        loss, predictions = loss + count * math.log(float(found[1])), predictions + count
    return Measurement(label, model.stat().st_size, predictions, loss / predictions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", metavar="LABEL=MODEL")
    parser.add_argument("--program", type=Path, default=Path("build/release/llamajit"))
    parser.add_argument("--seed", type=int, default=corpus.HELD_OUT_SEED)
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        stories = []
        for number, document in enumerate(islice(corpus.documents(options.seed), options.documents)):
            stories.append(Path(folder) / f"{number}.txt")
            stories[-1].write_text("".join(document), encoding="utf-8")
        print("| model | bytes | loss (nats a token) | perplexity |\n|---|---:|---:|---:|")
        for argument in options.models:
            label, _, model = argument.partition("=")
            result = measure(options.program, label, Path(model), stories)
            results.append(result)
            print(f"| {label} | {result.bytes} | {result.loss:.4f} | {result.perplexity:.4f} |", flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(r) for r in results], indent=1) + "\n")


if __name__ == "__main__":
    main()
