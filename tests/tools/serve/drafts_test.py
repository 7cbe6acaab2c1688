"""Asks a server with drafts and one without: answers are the same, for one client and for several at once."""
import json
import sys
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from server import Server  # noqa: E402

MODELS = Path(__file__).resolve().parents[3] / "tools" / "story" / "models"
STORY, TERNARY = str(MODELS / "story.gguf"), str(MODELS / "story-ternary.gguf")
SCHEMA = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}},
          "required": ["name", "age"], "additionalProperties": False}


def requests() -> list[dict]:
    asked = []
    for i in range(10):
        asked.append({"prompt": f"Once upon a time, there was a little {['fox', 'bear', 'cat'][i % 3]}", "seed": i + 1,
                      "max_tokens": 20 + 5 * i, "temperature": [0, 0.7, 1.2][i % 3], "logprobs": i % 2})
    asked[4]["stop"] = ["."]
    asked[5]["frequency_penalty"] = 0.5
    asked[6]["response_format"] = {"type": "json_schema", "json_schema": {"name": "form", "schema": SCHEMA}}
    return asked


def answer(server: Server, body: dict) -> dict:
    status, got = server.ask("/v1/completions", body)
    assert status == 200, got
    return got["choices"][0]


class Drafts(unittest.TestCase):
    def test_the_answers_are_those_without(self) -> None:
        with Server(STORY, "-t", "2") as plain:
            expected = [answer(plain, body) for body in requests()]
        for drafts in (["--lookup", "--draft", "5"], ["-md", TERNARY, "--draft", "3"], ["-md", TERNARY, "--lookup"]):
            with self.subTest(drafts), Server(STORY, "-t", "2", *drafts) as server:
                self.assertEqual([answer(server, body) for body in requests()], expected)
                with ThreadPoolExecutor(5) as clients:
                    self.assertEqual(list(clients.map(lambda body: answer(server, body), requests())), expected)

    def test_a_stream_is_the_same_text(self) -> None:
        body = {"prompt": "Once upon a time", "seed": 3, "temperature": 0.8, "max_tokens": 60}
        with Server(STORY, "-t", "1", "-md", STORY, "--draft", "7") as server:
            whole = answer(server, body)["text"]
            events = [json.loads(event) for event in server.stream("/v1/completions", body) if event != "[DONE]"]
            self.assertEqual("".join(event["choices"][0]["text"] for event in events if event["choices"]), whole)

    def test_what_was_guessed_is_counted(self) -> None:
        body = {"prompt": "Once upon a time", "seed": 3, "temperature": 0.8, "max_tokens": 41, "ignore_eos": True}
        with Server(STORY, "-t", "1", "-md", STORY, "--draft", "7") as server:
            timings = server.ask("/v1/completions", body)[1]["timings"]
            self.assertEqual(timings["draft_n"], timings["draft_n_accepted"], "the same model guesses right")
            self.assertEqual(timings["draft_n"], 35)
            for _ in range(100):  # they are told after the answer
                text = server.ask("/metrics")[1].decode()
                if "llamajit_requests_total 1\n" in text:
                    break
                time.sleep(0.1)
            self.assertIn("llamajit_drafted_tokens_total 35\n", text)
            self.assertIn("llamajit_accepted_tokens_total 35\n", text)
        with Server(STORY, "-t", "1") as plain:
            self.assertNotIn("draft_n", plain.ask("/v1/completions", body)[1]["timings"])


if __name__ == "__main__":
    unittest.main()
