"""Asks the program for embeddings over HTTP: their forms, their order, what is refused, and that company changes nothing."""
import base64
import json
import math
import random
import string
import struct
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
SOURCE = Path(__file__).resolve().parents[3]
sys.path.insert(1, str(SOURCE / "tools" / "story"))
import gguf  # noqa: E402
from server import Server  # noqa: E402

MODEL = SOURCE / "tools" / "story" / "models" / "story.gguf"
TEXTS = ["Once upon a time", "A cat sat on a mat.", "The end", "One day, a boy found a red ball."]


def single(x: float) -> float:
    return struct.unpack("<f", struct.pack("<f", x))[0]


class Embeddings(unittest.TestCase):
    server: Server

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server(str(MODEL), "-t", "1", "--max-waiting", "8")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.end()

    def ask(self, **body: Any) -> Any:
        status, answer = self.server.ask("/v1/embeddings", body)
        self.assertEqual(status, 200, answer)
        return answer

    def vectors(self, **body: Any) -> list[list[float]]:
        return [one["embedding"] for one in self.ask(**body)["data"]]

    def refused(self, status: int, says: str, path: str = "/v1/embeddings", **body: Any) -> None:
        found, answer = self.server.ask(path, body)
        self.assertEqual(found, status, answer)
        self.assertIn(says, json.dumps(answer))

    def test_the_answers_form(self) -> None:
        answer = self.ask(model="story", input=TEXTS)
        self.assertEqual(answer["object"], "list")
        self.assertEqual(answer["model"], "story")
        self.assertEqual([one["index"] for one in answer["data"]], [0, 1, 2, 3])
        self.assertEqual({one["object"] for one in answer["data"]}, {"embedding"})
        tokens = sum(len(self.server.ask("/tokenize", {"content": text, "add_special": True})[1]["tokens"])
                     for text in TEXTS)
        self.assertEqual(answer["usage"], {"prompt_tokens": tokens, "total_tokens": tokens})

    def test_vectors_have_the_length_one_unless_asked_otherwise(self) -> None:
        for vector in self.vectors(input=TEXTS):
            self.assertAlmostEqual(math.hypot(*vector), 1, places=6)
        whole, = self.vectors(input=TEXTS[0], normalize=False)
        self.assertNotAlmostEqual(math.hypot(*whole), 1, places=2)
        some, = self.vectors(input=TEXTS[0], dimensions=16)
        self.assertEqual(len(some), 16)
        length = math.hypot(*whole[:16])
        for a, b in zip(some, whole):
            self.assertAlmostEqual(a, b / length, places=6)

    def test_a_text_has_the_same_vector_in_any_company(self) -> None:
        together = self.vectors(input=TEXTS)
        self.assertEqual(self.vectors(input=TEXTS[::-1]), together[::-1])
        alone = [self.vectors(input=text)[0] for text in TEXTS]
        self.assertEqual(alone, together)
        stream = threading.Thread(target=self.server.stream, args=(
            "/v1/completions", {"prompt": "Once", "max_tokens": 200, "ignore_eos": True}))
        stream.start()
        self.assertEqual(self.vectors(input=TEXTS), together)
        stream.join()

    def test_base64_holds_the_same_floats(self) -> None:
        numbers = self.vectors(input=TEXTS)
        for packed, plain in zip(self.vectors(input=TEXTS, encoding_format="base64"), numbers):
            data = base64.b64decode(packed, validate=True)
            self.assertEqual(list(struct.unpack(f"<{len(data) // 4}f", data)), [single(x) for x in plain])

    def test_tokens_stand_for_their_text(self) -> None:
        lists = [self.server.ask("/tokenize", {"content": text, "add_special": True})[1]["tokens"] for text in TEXTS]
        self.assertEqual(self.vectors(input=lists), self.vectors(input=TEXTS))
        self.assertEqual(self.vectors(input=lists[0]), self.vectors(input=TEXTS[0]))

    def test_pooling(self) -> None:
        ids = self.server.ask("/tokenize", {"content": TEXTS[1], "add_special": True})[1]["tokens"]
        first, = self.vectors(input=TEXTS[1], pooling="cls")
        self.assertEqual(first, self.vectors(input=[ids[0]])[0])
        last, = self.vectors(input=TEXTS[1], pooling="last", normalize=False)
        mean, = self.vectors(input=TEXTS[1], normalize=False)
        self.assertEqual(self.vectors(input=TEXTS[1], pooling="mean", normalize=False)[0], mean)
        prefixes = [self.vectors(input=ids[:n], pooling="last", normalize=False)[0] for n in range(1, len(ids) + 1)]
        self.assertEqual(prefixes[-1], last)
        for i, x in enumerate(mean):
            self.assertAlmostEqual(x, sum(one[i] for one in prefixes) / len(prefixes), places=5)

    def test_more_texts_than_may_wait(self) -> None:
        texts = [f"Text number {i}" for i in range(100)]
        vectors = self.vectors(input=texts)
        self.assertEqual(len(vectors), 100)
        self.assertEqual(vectors[77], self.vectors(input=texts[77])[0])

    def test_what_is_refused(self) -> None:
        self.refused(400, "input: expected", model="story")
        self.refused(400, "input: expected a text or a list", input=[])
        self.refused(400, "input: expected a text or a list", input={"text": "x"})
        self.refused(400, "texts or lists of tokens", input=["a", 1])
        self.refused(400, "at most 2048 texts", input=["a"] * 2049)
        self.refused(400, "expected tokens from 0", input=[1 << 40])
        self.refused(400, "at most 512 tokens (the context)", input=[5] * 600)
        self.refused(400, "encoding_format: expected float or base64", input="a", encoding_format="int8")
        self.refused(400, "dimensions", input="a", dimensions=100000)
        self.refused(400, "pooling: expected mean, last or cls", input="a", pooling="rank")
        self.refused(404, "model: expected story", input="a", model="another")

    def test_ollama(self) -> None:
        expected = self.vectors(input=TEXTS)
        status, answer = self.server.ask("/api/embed", {"model": "story", "input": TEXTS})
        self.assertEqual(status, 200, answer)
        self.assertEqual(list(answer), ["model", "embeddings", "total_duration", "load_duration", "prompt_eval_count"])
        self.assertEqual(answer["embeddings"], expected)
        status, answer = self.server.ask("/api/embed", {"model": "story:latest", "input": TEXTS[0]})
        self.assertEqual(answer["embeddings"], expected[:1])
        status, answer = self.server.ask("/api/embeddings", {"model": "story", "prompt": TEXTS[0]})
        self.assertEqual(answer, {"embedding": self.vectors(input=TEXTS[0], normalize=False)[0]})
        long = "a cat sat " * 600
        self.refused(400, "at most 512 tokens", path="/api/embed", input=long, truncate=False)
        status, answer = self.server.ask("/api/embed", {"input": long})
        self.assertEqual((status, answer["prompt_eval_count"]), (200, 512))
        self.refused(400, "num_ctx", path="/api/embed", input="a", options={"num_ctx": 100000})


def write_bert(path: Path) -> None:
    """A layer of random weights, and a piece for each letter."""
    draw = random.Random(7)
    dim, hidden, context = 32, 64, 300
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"] + [mark + c for c in string.ascii_lowercase for mark in ("\u2581", "")]
    tensors: dict[str, tuple[list[int], bytes]] = {}

    def tensor(name: str, *shape: int) -> None:
        n = math.prod(shape)
        tensors[name] = list(shape), struct.pack(f"<{n}f", *(draw.uniform(-1, 1) for _ in range(n)))

    def affine(name: str, *shape: int) -> None:
        tensor(f"{name}.weight", *shape)
        tensor(f"{name}.bias", shape[0])

    for name, rows in ("token_embd", len(pieces)), ("token_types", 2), ("position_embd", context):
        tensor(f"{name}.weight", rows, dim)
    for name in "attn_q", "attn_k", "attn_v", "attn_output":
        affine(f"blk.0.{name}", dim, dim)
    affine("blk.0.ffn_up", hidden, dim)
    affine("blk.0.ffn_down", dim, hidden)
    for name in "token_embd_norm", "blk.0.attn_output_norm", "blk.0.layer_output_norm":
        affine(name, dim)
    gguf.write(path, {
        "general.architecture": "bert", "bert.context_length": context, "bert.embedding_length": dim,
        "bert.block_count": 1, "bert.feed_forward_length": hidden, "bert.attention.head_count": 4,
        "bert.attention.layer_norm_epsilon": 1e-12, "bert.attention.causal": False, "bert.pooling_type": 2,
        "tokenizer.ggml.model": "bert", "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.token_type": [3] * 4 + [1] * (len(pieces) - 4), "tokenizer.ggml.unknown_token_id": 1,
        "tokenizer.ggml.cls_token_id": 2, "tokenizer.ggml.seperator_token_id": 3}, tensors)


class Encoder(unittest.TestCase):
    def test_makes_embeddings_and_writes_no_text(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            write_bert(Path(folder) / "bert.gguf")
            server = Server(f"{folder}/bert.gguf", "-t", "2")
            self.addCleanup(server.end)
            texts = ["a cat", "b", "a long one " * 27, "cat a"]
            together = server.ask("/v1/embeddings", {"input": texts})
            self.assertEqual(together[0], 200, together)
            for text, one in zip(texts, together[1]["data"]):
                alone = server.ask("/v1/embeddings", {"input": text})[1]["data"][0]["embedding"]
                self.assertEqual(alone, one["embedding"])
                self.assertAlmostEqual(math.hypot(*alone), 1, places=6)
            self.assertNotEqual(together[1]["data"][0]["embedding"], together[1]["data"][3]["embedding"])
            status, answer = server.ask("/v1/embeddings", {"input": "a " * 299})
            self.assertEqual(status, 400)
            self.assertIn("expected at most 300 tokens (the context), found 301", json.dumps(answer))
            status, answer = server.ask("/api/embed", {"input": "a " * 299})
            self.assertEqual((status, answer["prompt_eval_count"]), (200, 300))
            chat = {"messages": [{"role": "user", "content": "a"}]}
            for path, body in (("/v1/chat/completions", chat), ("/api/chat", {"model": "bert", **chat}),
                               ("/v1/completions", {"prompt": "a"}), ("/v1/responses", {"input": "a"}),
                               ("/api/generate", {"model": "bert", "prompt": "a"})):
                status, answer = server.ask(path, body)
                self.assertEqual(status, 400, (path, answer))
                self.assertIn("found 'bert', an encoder", json.dumps(answer), path)


if __name__ == "__main__":
    unittest.main()
