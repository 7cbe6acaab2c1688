"""Tests of the grammar and the tokenizer. They take Python's standard library alone."""

import hashlib
import re
import unittest
from itertools import islice
from random import Random

import corpus
import english
import korean
import vocabulary
from korean import Word


def first(seed: int, count: int) -> list[corpus.Document]:
    return list(islice(corpus.documents(seed), count))


class CorpusTest(unittest.TestCase):
    def test_same_seed_same_text(self) -> None:
        self.assertEqual(first(3, 50), first(3, 50))
        self.assertNotEqual(first(3, 50), first(4, 50))

    def test_text_is_what_the_bundled_models_were_trained_on(self) -> None:
        text = "\0".join("\0".join(document) for document in first(corpus.TRAINING_SEED, 500))
        self.assertEqual(hashlib.sha256(text.encode()).hexdigest(), TRAINED_ON,
                         "the grammar changed: docs/bundled-model.md and the models need a new training")

    def test_nothing_is_left_to_fill_in(self) -> None:
        for document in first(5, 2000):
            for text in document:
                self.assertNotRegex(text, r"[{}]|  |\bNone\b")

    def test_stories_do_not_repeat(self) -> None:
        stories = [d[0] for d in first(6, 3000) if not d[0].startswith("###")]
        self.assertEqual(len(stories), len(set(stories)))

    def test_shares(self) -> None:
        documents = first(7, 4000)
        asked = sum(d[0].startswith("### Instruction:\n\n") for d in documents) / len(documents)
        in_korean = sum(re.search("[가-힣]", d[0]) is not None for d in documents) / len(documents)
        self.assertAlmostEqual(asked, corpus.INSTRUCTION_SHARE, delta=0.03)
        self.assertAlmostEqual(in_korean, corpus.KOREAN_SHARE, delta=0.03)


class EnglishTest(unittest.TestCase):
    def test_pronouns_are_the_heros(self) -> None:
        rng = Random(1)
        for _ in range(500):
            plot = english.make_plot(rng)
            text = " ".join(plot.sentences).lower()
            # The helper's own pronoun is in one place only.
            others = re.findall(r"\bhe\b|\bhim\b" if plot.girl else r"\bshe\b", text)
            self.assertEqual(others, [], text)

    def test_a_story_has_what_was_asked_for(self) -> None:
        rng = Random(2)
        for _ in range(500):
            plot = english.make_plot(rng)
            text = " ".join(plot.sentences)
            for word in (plot.kind, plot.name, plot.place, plot.helper, plot.helper_name):
                self.assertIn(word, text)


class KoreanTest(unittest.TestCase):
    def test_particles_follow_the_final_consonant(self) -> None:
        for word, spec, expected in [
                ("여우", "은", "여우는"), ("곰", "은", "곰은"), ("여우", "이", "여우가"), ("곰", "이", "곰이"),
                ("나무", "을", "나무를"), ("공", "을", "공을"), ("나래", "과", "나래와"), ("하늘", "과", "하늘과"),
                ("미미", "아", "미미야"), ("보람", "아", "보람아"), ("길", "으로", "길로"), ("집", "으로", "집으로"),
                ("바다", "으로", "바다로"), ("솔이", "이라는", "솔이라는"), ("별", "이라는", "별이라는"),
                ("여우", "이었", "여우였"), ("곰", "이었", "곰이었"), ("여우", "이에요", "여우예요"), ("곰", "이에요", "곰이에요")]:
            self.assertEqual(format(Word(word), spec), expected)

    def test_particles_in_stories(self) -> None:
        rng = Random(3)
        for _ in range(500):
            plot = korean.make_plot(rng)
            text = " ".join(plot.sentences)
            for name in (plot.name, plot.helper_name):
                wrong = "[는가를와]" if korean.final_consonant(name) else "[은을과]"
                self.assertNotRegex(text, rf"(?<![가-힣]){name}{wrong}(?![가-힣])")


class VocabularyTest(unittest.TestCase):
    def test_text_survives(self) -> None:
        texts = ["".join(d) for d in first(8, 200)]
        vocab = vocabulary.Vocabulary(vocabulary.train(texts, 900))
        self.assertEqual(len(vocab), 900)
        for text in [*texts, "  spaces, \ttabs\n", "naïve 漢字 😀"]:
            self.assertEqual(vocab.decode(vocab.encode(text)), text)

    def test_unknown_characters_become_bytes(self) -> None:
        vocab = vocabulary.Vocabulary(["ab", "a", "b"])
        byte = vocabulary.FIRST_BYTE
        self.assertEqual(vocab.encode("abé\n"), [vocabulary.FIRST_PIECE, byte + 0xC3, byte + 0xA9, byte + 10])


TRAINED_ON = "280b92f7015b2dc03fcdd76ba02398064b39ec8da4b5739c99730b95b104557d"

if __name__ == "__main__":
    unittest.main()
