"""Requests that nobody should send: the server answers each with what is valid, or closes, and goes on.

Requests that work are changed at random: members of their JSON, schemas, grammars and tools; their bytes; how HTTP
frames them. None may be answered with 5xx. LLAMAJIT_FUZZ_SECONDS (20) and LLAMAJIT_FUZZ_SEED (1) say how long, and
which requests. A request that failed is printed.
"""
import copy
import json
import os
import random
import re
import socket
import sys
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from server import Server  # noqa: E402

SECONDS = float(os.environ.get("LLAMAJIT_FUZZ_SECONDS", "20"))
SEED = int(os.environ.get("LLAMAJIT_FUZZ_SEED", "1"))
CLIENTS = 4
TIMEOUT = 240  # seconds for an answer: grammars that take long hold up others, the more so on a busy machine
MODEL = Path(__file__).resolve().parents[3] / "tools" / "story" / "models" / "story.gguf"

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z]{1,8}$"}, "age": {"type": "integer", "minimum": 0, "maximum": 9},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 1, "maxItems": 3},
        "kind": {"anyOf": [{"const": "cat"}, {"enum": ["dog", 7, None]}]}, "when": {"type": "string", "format": "date"}},
    "required": ["name", "tags"], "additionalProperties": False, "$defs": {"tag": {"type": "string", "maxLength": 3}}}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Tells it", "parameters": SCHEMA}},
         {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}]
GRAMMAR = 'root ::= "a" [b-d]{1,3} (list | word)* "."\nlist ::= "," word\nword ::= [^\\x00-\\x1f]{0,4}'
MESSAGES = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "weather", "arguments": "{\"name\":\"x\"}"}}]},
            {"role": "tool", "tool_call_id": "a", "content": "warm"}, {"role": "user", "content": "Tell me more."}]
SAMPLING = {"temperature": 0.8, "top_p": 0.9, "top_k": 40, "min_p": 0.05, "seed": 7, "presence_penalty": 0.1,
            "frequency_penalty": 0.1, "repeat_penalty": 1.1, "repeat_last_n": 64, "logit_bias": {"5": -100}}

# Each works as it stands.
REQUESTS: list[tuple[str, dict]] = [
    ("/v1/chat/completions", {"model": "story", "messages": MESSAGES, "max_tokens": 12, "n": 2, "stop": ["the"],
                              "logprobs": True, "top_logprobs": 2, "stream": True,
                              "stream_options": {"include_usage": True}, **SAMPLING}),
    ("/v1/chat/completions", {"messages": MESSAGES[1:2], "max_tokens": 40, "response_format": {
        "type": "json_schema", "json_schema": {"name": "pet", "strict": True, "schema": SCHEMA}}}),
    ("/v1/chat/completions", {"messages": MESSAGES, "max_tokens": 40, "tools": TOOLS, "stream": True, "tool_choice": {
        "type": "function", "function": {"name": "weather"}}, "chat_template_kwargs": {"enable_thinking": False}}),
    ("/v1/completions", {"prompt": ["Once", [5, 6, 7]], "max_tokens": 12, "echo": True, "logprobs": 1, **SAMPLING}),
    ("/v1/completions", {"prompt": "Once", "max_tokens": 20, "grammar": GRAMMAR, "stream": True}),
    ("/v1/completions", {"prompt": "Once", "max_tokens": 20, "json_schema": SCHEMA}),
    ("/v1/responses", {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
                                 {"type": "function_call", "call_id": "a", "name": "weather", "arguments": "{}"},
                                 {"type": "function_call_output", "call_id": "a", "output": "warm"}],
                       "instructions": "Be kind.", "max_output_tokens": 12, "stream": True, "tool_choice": "auto",
                       "tools": [{"type": "function", "name": "weather", "parameters": SCHEMA}],
                       "text": {"format": {"type": "text"}}, "reasoning": {"effort": "low"}, "metadata": {"a": "b"}}),
    ("/api/chat", {"model": "story", "messages": [{"role": "user", "content": "hi", "images": []}], "think": False,
                   "format": SCHEMA, "keep_alive": "5m", "options": {"num_predict": 30, "num_ctx": 512, **SAMPLING}}),
    ("/api/generate", {"model": "story", "prompt": "hi", "system": "Be kind.", "raw": False, "stream": False,
                       "options": {"num_predict": 12}}),
    ("/api/show", {"model": "story"}),
    ("/v1/embeddings", {"model": "story", "input": ["Once", [5, 6, 7]], "encoding_format": "base64", "dimensions": 8,
                        "pooling": "last", "normalize": True}),
    ("/api/embed", {"model": "story", "input": ["Once", "upon"], "truncate": True, "options": {"num_ctx": 64}}),
    ("/tokenize", {"content": "Once upon", "add_special": True, "with_pieces": True}),
    ("/detokenize", {"tokens": [5, 6, 7]}),
    ("/apply-template", {"messages": MESSAGES}),
]

WRONG = [None, True, False, 0, -1, 1, 2 ** 31, 2 ** 32, -2 ** 63, 2 ** 63, 2 ** 64, 10 ** 40, 0.5, -1e308, 1e-320, "", "x", "auto",
         "\x00", "\ud800", "\U0001f600", "é" * 300, "a" * 5000, "^(a+)+$", "[", "(" * 2000, "#/$defs/tag", "#", "#/", "root ::= root",
         [], [[]], {}, {"": ""}, [None] * 1000, {"type": "object"}, {"$ref": "#"}, {"type": ["string", "null"]},
         {"pattern": "(a{1,100}){1,100}"}, {"not": {}}, {"minLength": 10 ** 9}, {"maxItems": 10 ** 9, "type": "array"},
         {"minimum": 1e300}, {"enum": []}, {"allOf": [{"$ref": "#"}]}, {"multipleOf": 0}, "json", "required"]
WORDS = ["pattern", "minItems", "maxLength", "minimum", "$ref", "type", "allOf", "oneOf", "not", "if", "enum", "const", "format",
         "properties", "items", "prefixItems", "required", "additionalProperties", "patternProperties", "role", "stop", "n"]


def places(value, found: list) -> list:
    """Each container with a key or an index in it."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        found.append((value, key))
        places(member, found)
    return found


def nested(r: random.Random):
    depth = r.choice([5, 60, 200, 1000])
    value = r.choice(WRONG)
    kind = r.randrange(4)
    for _ in range(depth):
        value = [[value], {"a": value}, {"type": "array", "items": value}, {"anyOf": [value, {"type": "null"}]}][kind]
    return value


def changed_text(text: str, r: random.Random) -> str:
    at = r.randrange(len(text) + 1)
    return r.choice([text[:at], text[:at] + r.choice(['"', "\\", "(", "{9999999}", "[^", "|", "\n", "::=", "*", "\U0001f600", "]"]) + text[at:],
                     text * 50, text[at:] + text[:at]])


def changed(body: dict, r: random.Random) -> dict:
    body = copy.deepcopy(body)
    for _ in range(r.choice([1, 1, 1, 2, 3])):
        found = places(body, [])
        if not found:
            break
        holder, key = r.choice(found)
        kind = r.random()
        if kind < 0.45:
            holder[key] = copy.deepcopy(r.choice(WRONG))
        elif kind < 0.55:
            holder[key] = nested(r)
        elif kind < 0.7 and isinstance(holder[key], str):
            holder[key] = changed_text(holder[key], r)
        elif kind < 0.8:
            del holder[key]
        elif isinstance(holder, dict):
            holder[r.choice(WORDS)] = copy.deepcopy(r.choice([*WRONG, holder[key]]))
        else:
            holder.extend([copy.deepcopy(holder[key])] * r.choice([1, 5, 300]))
    return body


def text_of(body: dict, r: random.Random) -> bytes:
    """As JSON, which may be damaged."""
    sys.setrecursionlimit(20000)
    text = bytearray(json.dumps(body, ensure_ascii=r.random() < 0.5).encode("utf-8", "surrogatepass"))
    kind = r.random()
    if kind < 0.1:
        del text[r.randrange(len(text)):]
    elif kind < 0.2:
        for _ in range(r.randint(1, 4)):
            text[r.randrange(len(text))] = r.randrange(256)
    elif kind < 0.23:
        return b"[" * r.choice([10, 100000])
    elif kind < 0.26:
        return re.sub(rb"\d+", b"9" * 400, bytes(text), count=1)
    return bytes(text)


def framed(method: str, path: str, body: bytes, r: random.Random) -> tuple[list[bytes], bool]:
    """The bytes of a request, in pieces, and whether the server can know where it ends."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".encode()
    kind = r.random()
    whole = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    if kind < 0.7:
        at = r.randrange(len(whole))
        return r.choice([[whole], [whole[:at], whole[at:]]]), True
    if kind < 0.76:  # in chunks
        pieces = [body[i:i + 100] for i in range(0, len(body), 100)]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        return [head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks], True
    if kind < 0.82:
        return [head + r.choice([
            b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Content-Length: 5\r\nContent-Length: 6",
            b"Content-Length: x", b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked\r\nContent-Length: 3",
            b"Content-Length: 17000000", b"Expect: 100-continue\r\nContent-Length: 4", b"Expect: something",
            b"Content-Encoding: gzip\r\nContent-Length: 2", b": x", b"A" * 20000, b"A: " + b"b" * 100000]) + b"\r\n\r\n" + body], False
    if kind < 0.88:  # chunks that are none
        return [head + b"Transfer-Encoding: chunked\r\n\r\n" + r.choice(
            [b"zz\r\n", b"-1\r\n", b"ffffffffffffffff\r\nab", b"fffffff\r\nab", b"5\r\nab\r\n", b"3;" + b"x" * 20000 + b"\r\nabc\r\n"])], False
    if kind < 0.94:  # bytes that are other ones
        damaged = bytearray(whole)
        for _ in range(r.randint(1, 6)):
            damaged[r.randrange(min(len(damaged), len(head) + 30))] = r.choice(b"\r\n\x00 :/\xff?%x") if r.random() < 0.7 else r.randrange(256)
        return [bytes(damaged)], False
    return [whole[:r.randrange(len(whole))]], False


class Closed(Exception):
    """No answer, or none that is whole."""


class Answers:
    """What comes over a connection, read strictly."""

    def __init__(self, connection: socket.socket):
        self.file = connection.makefile("rb")

    def line(self) -> bytes:
        line = self.file.readline(100000)
        if not line:
            raise Closed()
        assert line.endswith(b"\r\n"), line
        return line[:-2]

    def exactly(self, size: int) -> bytes:
        data = self.file.read(size)
        assert len(data) == size, "an answer ends early"
        return data

    def next(self) -> tuple[int, dict[str, str], bytes]:
        status_line = self.line()
        found = re.fullmatch(rb"HTTP/1\.[01] (\d{3}) [\x20-\x7e]+", status_line)
        assert found, status_line
        status = int(found[1])
        headers: dict[str, str] = {}
        while line := self.line():
            name, value = line.decode().split(": ", 1)
            headers[name.lower()] = value
        if status == 100:
            return self.next()
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.line(), 16):
                body += self.exactly(size)
                assert self.line() == b""
            assert self.line() == b""
        elif "content-length" in headers:
            body = self.exactly(int(headers["content-length"]))
        else:
            body = self.file.read()
        return status, headers, body


def check(status: int, headers: dict[str, str], body: bytes) -> None:
    assert 200 <= status < 500, f"{status} {body[:500]!r}"
    kind = headers["content-type"]
    if kind == "text/event-stream":
        assert body.endswith(b"\n\n")
        for event in body.decode()[:-2].split("\n\n"):
            data = re.sub(r"^event: .*\n", "", event)
            assert data.startswith("data: "), event
            if data != "data: [DONE]":
                assert "server_error" not in json.dumps(json.loads(data[6:])), data
    elif kind == "application/x-ndjson":
        for line in body.decode().splitlines():
            assert "error" not in json.loads(line), line
    elif kind == "application/json" and body:
        answer = json.loads(body)
        assert status == 200 or answer["error"], body


class Framing(unittest.TestCase):
    def test_what_ends_where(self) -> None:
        """Nothing of a request is taken for the next one."""
        body = b'{"prompt":"Once","max_tokens":2}'
        length = b"Content-Length: %d" % len(body)
        chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        post, path = "POST /v1/completions HTTP/1.1", "/v1/completions"
        for line, headers, rest, statuses in [
                (post, [length], body, [200]), (post, [length, length], body, [200]),
                (post, [b"Transfer-Encoding: chunked"], chunks, [200]),
                (post, [b"Transfer-Encoding: gzip"], body, [400]), (post, [b"Transfer-Encoding: gzip, chunked"], chunks, [400]),
                (post, [b"Transfer-Encoding: chunked", length], chunks, [400]),
                (post, [b"Content-Length: 5", b"Content-Length: 6"], body, [400]),
                (post, [b"Content-Encoding: gzip", length], body, [415]),
                (post, [b"Content-Encoding: identity", length], body, [200]),
                (post, [b"Expect: 100-continue", length], body, [100, 200]),
                ("POST /v1/completions HTTP/1.0", [b"Expect: 100-continue", length], body, [200]),
                (f"POST http://127.0.0.1:80{path} HTTP/1.1", [length], body, [200]),
                ("GET HTTP://x HTTP/1.1", [], b"", [200]), ("GET /health HTTP/2.0", [], b"", [400]),
                (post, [length], body + b"GET /health HTTP/1.1\r\nHost: y\r\n\r\n", [200, 200]),
                (post, [b"Host: x", b"Host: y", length], body, [400]),
                (post, [b"Host: [::1]:80", length], body, [200]), (post, [b"Host:", length], body, [200]),
                (post, [b"Host: a, b", length], body, [400]), (post, [b"Host: a@b", length], body, [400]),
                (post, [length], body + b"GET /health HTTP/1.1\r\n\r\n", [200, 400]),
                (post, [length], body + b"GET /health HTTP/1.0\r\n\r\n", [200, 200])]:
            with self.subTest(line=line, headers=headers):
                host = [] if any(header.startswith(b"Host:") for header in headers) else [b"Host: x"]
                whole = b"\r\n".join([line.encode(), *host, *headers]) + b"\r\n\r\n" + rest
                self.assertEqual(self.statuses(whole), statuses)

    def test_too_large_a_body(self) -> None:
        for path, kind in (("/api/chat", str), ("/v1/chat/completions", dict)):
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=TIMEOUT) as connection:
                connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 30}\r\n\r\n".encode())
                status, _, body = Answers(connection).next()
            self.assertEqual((status, type(json.loads(body)["error"])), (413, kind))

    def test_an_answer_that_is_there_is_sent_to_who_sends_no_more(self) -> None:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=TIMEOUT) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                connection.shutdown(socket.SHUT_WR)
                status, _, body = Answers(connection).next()
            self.assertEqual(status, 200)
            self.assertIn(b"</html>", body[-20:])

    def statuses(self, whole: bytes) -> list[int]:
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=TIMEOUT) as connection:
            connection.sendall(whole)
            connection.settimeout(0.5)
            received = b""
            try:
                while more := connection.recv(65536):
                    received += more
            except TimeoutError:
                pass
        return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)]

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server(str(MODEL), "-t", "1")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.end()


class Fuzz(unittest.TestCase):
    def test_requests(self) -> None:
        with Server(str(MODEL), "--parallel", "4", "-t", "1") as server:
            self.server = server
            for path, body in REQUESTS:
                status, answer = server.ask(path, body)
                self.assertEqual(status, 200, answer)
            before = self.story()
            self.until = time.monotonic() + SECONDS
            self.faults: list[str] = []
            self.statuses: dict[str, int] = {}
            threads = [threading.Thread(target=self.client, args=(number,)) for number in range(CLIENTS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            print("answers:", dict(sorted(self.statuses.items())), file=sys.stderr)
            self.assertEqual(self.faults, [])
            self.assertIsNone(server.process.poll(), "".join(server.log))
            self.expect_idle()
            self.assertEqual(self.story(), before)
            server.end()

    def client(self, number: int) -> None:
        r = random.Random(SEED * 1000 + number)
        while time.monotonic() < self.until and not self.faults:
            sent: list[bytes] = []
            began = time.monotonic()
            try:
                self.one(r, sent)
            except Exception as error:  # noqa: BLE001: whatever it is, the request is to be seen
                seconds = time.monotonic() - began
                whole = b"".join(sent)[:3000]
                self.faults.append(f"{type(error).__name__}: {error}\nafter {seconds:.1f} s of\n{whole!r}")

    def one(self, r: random.Random, sent: list[bytes]) -> None:
        """A connection, with a request or some."""
        known, requests = True, 0
        for _ in range(r.choice([1, 1, 1, 3])):
            path, body = r.choice(REQUESTS)
            method = "POST"
            if r.random() < 0.05:
                path = r.choice(["/v1/models/%ff%00", "/v1/" + "a" * 9000, "/%", "*", "/v1/models/", "//", "http://x", path + "?b"])
                method = r.choice(["POST", "GET", "OPTIONS", "DELETE", "PUT", "CONNECT", "X" * 30, "get"])
            pieces, known = framed(method, path, text_of(changed(body, r) if r.random() < 0.9 else body, r), r)
            sent.extend(pieces)
            requests += 1
            if not known:
                break
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=TIMEOUT) as connection:
            try:
                for piece in sent:
                    connection.sendall(piece)
                if r.random() < 0.1:
                    return
                if not known:
                    connection.shutdown(socket.SHUT_WR)
                answers = Answers(connection)
                for _ in range(requests):
                    status, headers, body = answers.next()
                    self.count(str(status))
                    check(status, headers, body)
                    if headers.get("connection") == "close":
                        break
            except (ConnectionError, Closed):
                assert not known, "no answer"
                self.count("closed")

    def count(self, what: str) -> None:
        self.statuses[what] = self.statuses.get(what, 0) + 1

    def story(self) -> str:
        status, answer = self.server.ask("/v1/completions", {"prompt": "Once upon a time", "max_tokens": 30, "temperature": 0})
        self.assertEqual(status, 200)
        return answer["choices"][0]["text"]

    def expect_idle(self) -> None:
        for _ in range(200):
            metrics = self.server.ask("/metrics")[1].decode()
            if "llamajit_texts_at_work 0\n" in metrics and "llamajit_texts_waiting 0\n" in metrics:
                return
            time.sleep(0.05)
        self.fail("texts go on that nobody reads:\n" + metrics)


if __name__ == "__main__":
    unittest.main()
