#!/usr/bin/env python3
"""Writes stories in English and Korean from a grammar, without end and without repeating itself.

A document is a list of turns; the model ends each with its end-of-text token. Most documents are a story alone. The
others are a conversation in the form that chat uses, which asks for a story or says hello.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import islice
from random import Random

import english
import korean
import small_talk

TRAINING_SEED = 20261122
HELD_OUT_SEED = 1

KOREAN_SHARE = 0.3
INSTRUCTION_SHARE = 0.24
SMALL_TALK_SHARE = 0.3  # of the instructions
SHORT_SHARE = 0.3  # of the stories that are asked for
QUESTION_SHARE = 0.4  # of the short stories

Document = list[str]


def turn(instruction: str, response: str) -> str:
    return f"### Instruction:\n\n{instruction}\n\n### Response:\n\n{response}"


def _english_request(rng: Random, plot: english.Plot, short: bool) -> str:
    size = rng.choice(["short ", "very short "]) if short else ""
    tell = rng.choice(["Tell me {} story", "Tell {} story", "Write {} story", "Please tell me {} story"])
    tell = tell.format("a " + size.rstrip() if size else "a")
    kind, named = english.a(plot.kind), f"{english.a(plot.kind)} named {plot.name}"
    about = rng.choice(["", f" about {kind}", f" about {kind}", f" about {kind} {plot.wish}", f" about {kind} {plot.wish}",
                        f" about {named}", f" about {named} {plot.wish}", f" about {plot.name} the {plot.kind}",
                        f" about {english.a(plot.adjective)} {plot.kind}",
                        f" about {kind}" if short else f" about {kind} in {plot.place}", f" about {kind} and {english.a(plot.helper)}"])
    return tell + about + "."


def _korean_request(rng: Random, plot: korean.Plot, short: bool) -> str:
    about = rng.choice(["", f"{plot.kind} ", f"{plot.kind} ", f"{plot.wish} {plot.kind} ", f"{plot.wish} {plot.kind} ",
                        f"{plot.name:이라는} {plot.kind} ", f"{plot.adjective} {plot.kind} ", f"{plot.kind} " if short else f"{plot.place}에 사는 {plot.kind} ",
                        f"{plot.kind:과} {plot.helper} "])
    size = "짧은 " if short else ""
    return size + about + rng.choice(["이야기를 들려줘.", "이야기를 해 줘.", "이야기를 써 줘.", "이야기 하나 해 주세요.", "동화를 들려줘."])


def _english_question(rng: Random, plot: english.Plot) -> tuple[str, str]:
    return rng.choice([("Who helped " + plot.name + "?", f"{plot.helper_name} the {plot.helper} helped {plot.name}."),
                       (f"What did {plot.name} want?", plot.wanted.format(N=plot.name)),
                       (f"Who was {plot.name}?", f"{plot.name} was {english.a(plot.adjective)} {plot.kind}."),
                       ("What was the name of the " + plot.kind + "?", f"The name of the {plot.kind} was {plot.name}.")])


def _korean_question(rng: Random, plot: korean.Plot) -> tuple[str, str]:
    return rng.choice([(f"누가 {plot.name:을} 도와주었어?", f"{plot.helper_name:이라는} {plot.helper:이} {plot.name:을} 도와주었어요."),
                       (f"{plot.name:은} 무엇을 하고 싶었어?", plot.wanted),
                       (f"{plot.name:은} 누구야?", f"{plot.name:은} {plot.adjective} {plot.kind:이에요}."),
                       (f"{plot.kind}의 이름은 뭐야?", f"{plot.kind}의 이름은 {plot.name:이에요}.")])


def _asked_story(rng: Random, is_korean: bool) -> Document:
    grammar, request, question = ((korean, _korean_request, _korean_question) if is_korean
                                  else (english, _english_request, _english_question))
    plot, short = grammar.make_plot(rng), rng.random() < SHORT_SHARE
    document = [turn(request(rng, plot, short), " ".join(plot.short if short else plot.sentences))]
    if short and rng.random() < QUESTION_SHARE:
        document += [turn(*question(rng, plot))]
    return document


def _conversation(rng: Random) -> Document:
    is_korean = rng.random() < KOREAN_SHARE
    if rng.random() >= SMALL_TALK_SHARE:
        turns = _asked_story(rng, is_korean)
    else:
        turns = [turn(*small_talk.exchange(rng, is_korean)) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
        if rng.random() < 0.25:
            turns += _asked_story(rng, is_korean)
    # What stands between turns is up to the program that speaks to the model.
    between = rng.choice(["", "\n\n"])
    return turns[:1] + [between + later for later in turns[1:]]


def documents(seed: int, instruction_share: float = INSTRUCTION_SHARE) -> Iterator[Document]:
    """The documents of a seed, without end."""
    rng = Random(seed)
    while True:
        if rng.random() < instruction_share:
            yield _conversation(rng)
        else:
            grammar = korean if rng.random() < KOREAN_SHARE else english
            yield [" ".join(grammar.make_plot(rng).sentences)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=HELD_OUT_SEED, help="the model is trained on %d" % TRAINING_SEED)
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--separator", default="\n\n\n", help="between documents")
    parser.add_argument("--end", default="", help="after each turn")
    options = parser.parse_args()
    texts = ("".join(turn_ + options.end for turn_ in document) for document in islice(documents(options.seed), options.documents))
    sys.stdout.write(options.separator.join(texts))


if __name__ == "__main__":
    main()
