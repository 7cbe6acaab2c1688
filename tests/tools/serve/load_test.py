"""Many clients at once: each answer is what the same request gets alone, and nothing is left behind.

Some clients vanish in the middle, some send nonsense. LLAMAJIT_LOAD_REQUESTS says how many requests there are (1000).
"""
import json
import os
import random
import socket
import sys
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from server import Server  # noqa: E402

REQUESTS = int(os.environ.get("LLAMAJIT_LOAD_REQUESTS", "1000"))
CLIENTS = 32
TEXTS = ["Once upon a time", "옛날 옛적에", "One day, Anna saw a bird that could not fly. " * 8]
SYSTEM = "You tell stories to children, in short sentences, with friendly animals. " * 6


def some_request(number: int) -> tuple[str, dict]:
    r = random.Random(number)
    if r.random() < 0.1:
        return "/v1/embeddings", {"input": [f"{r.choice(TEXTS)} {i}" for i in range(r.randint(1, 12))]}
    body: dict = {"max_tokens": r.randint(1, 60), "seed": r.randrange(1 << 40)}
    body["temperature"] = r.choice([0, 0.7, 1, 1.5])
    if r.random() < 0.3:
        body["stop"] = r.choice([["."], ["the", "\n"], [" and"]])
    if r.random() < 0.3:
        body |= {"top_p": 0.9, "presence_penalty": 0.5, "frequency_penalty": 0.3}
    if r.random() < 0.1:
        body["n"] = r.randint(2, 3)
    if r.random() < 0.2:
        body["cache_prompt"] = False
    if r.random() < 0.5:
        if r.random() < 0.2:
            body["logprobs"] = 2
        return "/v1/completions", body | {"prompt": r.choice(TEXTS)}
    messages = [{"role": "system", "content": SYSTEM}] if r.random() < 0.7 else []
    messages.append({"role": "user", "content": r.choice(["Tell me a story.", "Who are you?", "안녕", "hello"])})
    return "/v1/chat/completions", body | {"messages": messages}


def texts_of(answer: dict) -> list:
    if "data" in answer:
        return [one["embedding"] for one in answer["data"]]
    return [(choice["finish_reason"], choice.get("text", choice.get("message")), choice["logprobs"])
            for choice in answer["choices"]]


def texts_of_stream(events: list[str]) -> list:
    assert events[-1] == "[DONE]", events[-1]
    choices: dict = {}
    for event in map(json.loads, events[:-1]):
        for choice in event["choices"]:
            text, reason = choices.get(choice["index"], ("", None))
            text += choice["text"] if "text" in choice else choice["delta"].get("content", "")
            choices[choice["index"]] = (text, choice["finish_reason"] or reason)
    return [choices[i] for i in sorted(choices)]


NONSENSE = [("/v1/chat/completions", b"{"), ("/v1/chat/completions", b"[]"), ("/v1/completions", b'{"prompt":7}'),
            ("/v1/completions", b'{"prompt":"x","temperature":"hot"}'), ("/v1/completions", b'{"prompt":"x","n":0}'),
            ("/v1/chat/completions", b'{"messages":[{"role":"king","content":""}]}'),
            ("/v1/chat/completions", b"[" * 100000), ("/v1/completions", b'{"prompt":[999999]}')]


class Load(unittest.TestCase):
    def test_answers_are_those_alone(self):
        requests = [some_request(number) for number in range(REQUESTS)]
        with Server("--parallel", "1", "-t", "1") as server:
            alone = [texts_of(server.ask(path, body)[1]) for path, body in requests]
        with Server("--parallel", "8") as server:
            self.server, self.alone = server, alone
            resident = []
            for _ in range(2):
                self.load(requests)
                resident.append(server.resident_mib())
            self.assertLess(resident[1], resident[0] * 1.1 + 8, f"MiB after each round: {resident}")
            self.expect_idle()
            server.end()
        said = server.log[server.lines_at_start:]
        self.assertEqual(len(said), 1, "nothing is logged of requests")
        self.assertIn("ending: requests at work are finished", said[0])

    def load(self, requests: list):
        order = list(range(len(requests)))
        random.Random(1).shuffle(order)
        with ThreadPoolExecutor(CLIENTS) as clients:
            for done in [clients.submit(self.one, number, *requests[number]) for number in order]:
                done.result()

    def one(self, number: int, path: str, body: dict):
        kind = random.Random(number).random()
        if kind < 0.1:
            return self.vanish(path, body, number)
        if kind < 0.15:
            status, answer = self.server.ask(*NONSENSE[number % len(NONSENSE)])
            self.assertEqual(status, 400)
            self.assertTrue(answer["error"]["message"])
            return None
        if kind < 0.5 and path != "/v1/embeddings":
            expected = [(text if isinstance(text, str) else text["content"], reason)
                        for reason, text, _ in self.alone[number]]
            self.assertEqual(texts_of_stream(self.server.stream(path, body)), expected, f"request {number}")
            return None
        status, answer = self.server.ask(path, body)
        self.assertEqual(status, 200)
        self.assertEqual(texts_of(answer), self.alone[number], f"request {number}")
        return None

    def vanish(self, path: str, body: dict, number: int):
        text = json.dumps(body | {"stream": number % 2 == 0, "max_tokens": 400}).encode()
        with socket.create_connection(("127.0.0.1", self.server.port)) as connection:
            connection.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(text)))
            connection.sendall(text[:len(text) // 2] if number % 3 == 0 else text)
            time.sleep(random.Random(number).random() * 0.02)

    def expect_idle(self):
        for _ in range(100):
            metrics = self.server.ask("/metrics")[1].decode()
            if "llamajit_texts_at_work 0\n" in metrics and "llamajit_texts_waiting 0\n" in metrics:
                return
            time.sleep(0.05)
        self.fail("texts of those who vanished go on:\n" + metrics)


if __name__ == "__main__":
    unittest.main()
