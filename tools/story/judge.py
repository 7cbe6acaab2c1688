#!/usr/bin/env python3
"""Lets a model tell stories and counts how many hold their thread.

A story of the grammar has exactly two names, the hero's pronoun throughout, one wish from its beginning to its end, only
words that the grammar has, and an end. Each is checked by itself.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from collections import Counter
from itertools import islice
from pathlib import Path

import corpus
import korean
from english_words import BOYS, GIRLS, THINGS

ENDED = "end-of-sequence token"
ENGLISH_NAMES = GIRLS + BOYS
KOREAN_SCENERY = [*korean.HABITS, *(line for lines in korean.PLACES.values() for line in lines), "바다를", "바다는"]
ENGLISH_NOUNS = [thing.noun for thing in THINGS]


def known_words() -> set[str]:
    texts = ("".join(document) for document in islice(corpus.documents(corpus.TRAINING_SEED), 3000))
    return {word for text in texts for word in re.findall(r"[A-Za-z]+|[가-힣]+", text)}


def judge_english(story: str) -> dict[str, bool]:
    words = re.findall(r"[A-Za-z]+", story)
    names = Counter(word for word in words if word in ENGLISH_NAMES)
    hero = next((word for word in words if word in names), None)
    other = r"\b([Hh]e|[Hh]im)\b" if hero in GIRLS else r"\b[Ss]he\b"
    things = {noun for noun in ENGLISH_NOUNS if re.search(rf"\b(the|a|an)\b( \w+)? {noun}\b", story)}
    wish = re.search(r"(?:wanted|wished for|only one wish:) (an? [a-z ]+?)(?: more|, because|\.)", story)
    wished = next((thing.noun for thing in THINGS if wish and wish[1] == thing.name), None)
    return {"two names": len(names) == 2, "one pronoun": re.search(other, story) is None,
            "one wish": wished is None or (story.count(wished) >= 4 and len(things - {wished}) == 0)}


def judge_korean(story: str) -> dict[str, bool]:
    for scenery in KOREAN_SCENERY:  # some names are the sky's, the clouds' and the sea's
        story = story.replace(scenery, "")
    stems = "|".join(sorted(korean.NAMES, key=len, reverse=True))
    particles = "은|는|이|가|을|를|과|와|아|야|의|에게|이라는|라는|였어요|이었어요"
    names = {m[1] for m in re.finditer(rf"(?<![가-힣])({stems})(?:{particles})(?![가-힣])", story)}
    wish = re.search(r"([가-힣]+)[을를] (?:무척 갖고|갖는)", story)
    wished = next((thing.noun for thing in korean.THINGS if wish and wish[1] == thing.noun), None)
    return {"two names": len(names) == 2, "one wish": wished is None or story.count(wished) >= 4}


def tell(program: Path, model: Path, prompt: str, temperature: float, seed: int) -> tuple[str, bool]:
    done = subprocess.run([program, "run", model, "-p", prompt, "--temp", str(temperature), "--seed", str(seed)],
                          check=True, capture_output=True, text=True)
    return done.stdout, ENDED in done.stderr


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--program", type=Path, default=Path("build/release/llamajit"))
    parser.add_argument("--stories", type=int, default=50, help="of each language")
    parser.add_argument("--temp", type=float, default=0.8)
    parser.add_argument("--show", type=int, default=0, help="how many to print")
    options = parser.parse_args()
    words = known_words()
    for language, prompt, judge in [("English", "Once upon a time", judge_english), ("Korean", "옛날 옛적에", judge_korean)]:
        good: Counter[str] = Counter()
        for seed in range(options.stories):
            story, ended = tell(options.program, options.model, prompt, options.temp, seed + 1)
            verdict = judge(story) | {"an end": ended, "known words": words.issuperset(re.findall(r"[A-Za-z]+|[가-힣]+", story))}
            good.update(name for name, fine in verdict.items() if fine)
            good["all of it"] += all(verdict.values())
            if seed < options.show:
                print(story, [name for name, fine in verdict.items() if not fine], sep="\n", end="\n\n")
        print(f"{language}, {options.stories} stories at temperature {options.temp}: "
              + ", ".join(f"{name} {count}" for name, count in good.items()))


if __name__ == "__main__":
    main()
