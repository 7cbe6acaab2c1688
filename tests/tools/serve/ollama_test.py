"""Asks the program for answers as clients of Ollama's API do, over HTTP.

What clients need is what counts here: which members lines have, their order, their types, and how faults are told.
Texts are those of the bundled model, whose words are its own.
"""
import json
import re
import sys
import unittest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from asking import ASK, CONTEXT, MODEL, Asking  # noqa: E402

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")


class Ollama(Asking):
    def lines(self, path: str, body: Any) -> list[Any]:
        status, content_type, text = self.ask("POST", path, body)
        self.assertEqual((status, content_type), (200, "application/x-ndjson"), text)
        self.assertTrue(text.endswith("\n"))
        return [json.loads(line) for line in text.splitlines()]

    def refused(self, status: int, method: str, path: str, body: Any, says: str) -> None:
        found, content_type, text = self.ask(method, path, body)
        self.assertEqual((found, content_type), (status, "application/json"), text)
        error = json.loads(text)
        self.assertEqual(list(error), ["error"])
        self.assertIsInstance(error["error"], str)
        self.assertIn(says, error["error"])

    def check_end(self, line: Any, reason: str) -> None:
        self.assertIs(line["done"], True)
        self.assertEqual(line["done_reason"], reason)
        for name in ("total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count",
                     "eval_duration"):
            self.assertIs(type(line[name]), int, name)
            self.assertGreaterEqual(line[name], 0, name)
        self.assertGreaterEqual(line["total_duration"], line["prompt_eval_duration"] + line["eval_duration"])
        self.assertGreater(line["prompt_eval_count"], 0)

    def check_message(self, line: Any, model: str) -> None:
        self.assertEqual(line["model"], model)
        self.assertRegex(line["created_at"], RFC3339)
        self.assertIs(type(line["done"]), bool)
        self.assertEqual(line["message"]["role"], "assistant")
        self.assertIs(type(line["message"]["content"]), str)

    def test_tags_and_running_models(self) -> None:
        for path in ("/api/tags", "/api/ps"):
            models = self.get(path)["models"]
            self.assertEqual(len(models), 1)
            model = models[0]
            self.assertEqual((model["name"], model["model"]), ("story:latest", "story:latest"))
            self.assertEqual(model["size"], MODEL.stat().st_size)
            self.assertRegex(model["digest"], r"^[0-9a-f]{64}$")
            details = model["details"]
            self.assertEqual((details["format"], details["family"], details["families"]), ("gguf", "llama", ["llama"]))
            self.assertEqual(details["quantization_level"], "Q8_0")
            self.assertRegex(details["parameter_size"], r"^[\d.]+[KMB]$")
            if path == "/api/tags":
                self.assertRegex(model["modified_at"], RFC3339)
            else:
                self.assertRegex(model["expires_at"], r"^\d{4}-")
                self.assertEqual((model["size_vram"], model["context_length"]), (0, CONTEXT))

    def test_version(self) -> None:
        self.assertRegex(self.get("/api/version")["version"], r"^\d+\.\d+\.\d+$")

    def test_show(self) -> None:
        for named in ({"model": "story"}, {"name": "story:latest"}):
            shown = self.post("/api/show", named)
            self.assertEqual(shown["details"]["family"], "llama")
            info = shown["model_info"]
            self.assertEqual(info["general.architecture"], "llama")
            self.assertEqual(info["llama.context_length"], CONTEXT)
            self.assertGreater(info["general.parameter_count"], 1_000_000)
            self.assertIn("message", shown["template"])
            self.assertEqual(shown["capabilities"], ["completion"])
            self.assertIn("FROM story\n", shown["modelfile"])
            self.assertIn(f"PARAMETER num_ctx {CONTEXT}\n", re.sub(" +", " ", shown["modelfile"]))
            self.assertIn("num_ctx", shown["parameters"])
        self.refused(404, "POST", "/api/show", {"model": "another"}, "not found")

    def test_chat_streams_unless_told_otherwise(self) -> None:
        lines = self.lines("/api/chat", {"model": "story:latest", "messages": ASK,
                                         "options": {"seed": 1, "num_predict": 12}})
        for line in lines:
            self.check_message(line, "story:latest")
        self.assertEqual(lines[0]["message"]["content"], "")
        self.assertEqual([line["done"] for line in lines], [False] * (len(lines) - 1) + [True])
        self.assertEqual(lines[-1]["message"]["content"], "")
        self.check_end(lines[-1], "length")
        self.assertEqual(lines[-1]["eval_count"], 12)
        text = "".join(line["message"]["content"] for line in lines)

        whole = self.post("/api/chat", {"model": "story", "messages": ASK, "stream": False,
                                        "options": {"seed": 1, "num_predict": 12}})
        self.check_message(whole, "story")
        self.check_end(whole, "length")
        self.assertEqual(whole["message"]["content"], text)

    def test_chat_ends_by_itself(self) -> None:
        whole = self.post("/api/chat", {"model": "story", "messages": [{"role": "user", "content": "hi"}],
                                        "stream": False, "options": {"temperature": 0}, "keep_alive": "5m"})
        self.check_end(whole, "stop")
        self.assertTrue(whole["message"]["content"])

    def test_options_are_heeded(self) -> None:
        def told(**options: Any) -> str:
            body = {"model": "story", "messages": ASK, "stream": False, "options": {"num_predict": 24, **options}}
            return self.post("/api/chat", body)["message"]["content"]
        greedy = told(temperature=0)
        self.assertEqual(told(temperature=1, top_k=1), greedy)
        self.assertEqual(told(temperature=1, top_p=0), greedy)
        self.assertEqual(told(seed=7), told(seed=7))
        self.assertGreater(len({told(temperature=1.5, seed=seed) for seed in range(6)}), 1)
        self.assertNotEqual(told(temperature=0, repeat_penalty=2, repeat_last_n=-1), greedy)
        word = greedy.split()[3]
        self.assertEqual(told(temperature=0, stop=[word]), greedy[:greedy.index(word)])
        self.assertEqual(told(temperature=0, num_ctx=CONTEXT, num_thread=3, use_mmap=True, unheard_of=1), greedy)

    def test_generate(self) -> None:
        body = {"model": "story", "prompt": "Tell me a story.", "options": {"seed": 1, "num_predict": 12}}
        lines = self.lines("/api/generate", body)
        for line in lines:
            self.assertRegex(line["created_at"], RFC3339)
            self.assertIs(type(line["response"]), str)
            self.assertNotIn("message", line)
        self.check_end(lines[-1], "length")
        whole = self.post("/api/generate", {**body, "stream": False, "system": ""})
        self.assertEqual(whole["response"], "".join(line["response"] for line in lines))
        chat = self.post("/api/chat", {"model": "story", "messages": ASK, "stream": False, "options": body["options"]})
        self.assertEqual(chat["message"]["content"], whole["response"])  # the template is in both

    def test_raw_prompts_have_no_template(self) -> None:
        body = {"model": "story", "prompt": "Once upon a time", "raw": True, "stream": False,
                "options": {"temperature": 0, "num_predict": 8}}
        raw = self.post("/api/generate", body)
        plain = self.post("/v1/completions", {"prompt": "Once upon a time", "temperature": 0, "max_tokens": 8})
        self.assertEqual(raw["response"], plain["choices"][0]["text"])
        self.assertEqual(raw["prompt_eval_count"], plain["usage"]["prompt_tokens"])

    def test_nothing_to_answer_loads(self) -> None:
        for path, body in (("/api/generate", {}), ("/api/generate", {"prompt": "", "stream": False}),
                           ("/api/chat", {"messages": []}), ("/api/chat", {})):
            answer = self.post(path, {"model": "story", **body})
            self.assertEqual((answer["done"], answer["done_reason"]), (True, "load"))
            self.assertRegex(answer["created_at"], RFC3339)

    def test_logprobs(self) -> None:
        answer = self.post("/api/chat", {"model": "story", "messages": ASK, "stream": False, "logprobs": True,
                                         "top_logprobs": 2, "options": {"num_predict": 3, "temperature": 0}})
        self.assertEqual(len(answer["logprobs"]), 3)
        for token in answer["logprobs"]:
            self.assertEqual(len(token["top_logprobs"]), 2)
            self.assertEqual(token["logprob"], token["top_logprobs"][0]["logprob"])

    def test_what_is_refused(self) -> None:
        def chat(says: str, status: int = 400, **members: Any) -> None:
            self.refused(status, "POST", "/api/chat", {"model": "story", "messages": ASK, **members}, says)

        def generate(says: str, **members: Any) -> None:
            self.refused(400, "POST", "/api/generate", {"model": "story", "prompt": "hi", **members}, says)
        chat("not found", 404, model="another")
        chat("messages[0].role", messages=[{"role": "king", "content": ""}])
        chat("messages[0].images", messages=[{"role": "user", "content": "hi", "images": ["aGk="]}])
        chat("options.temperature", options={"temperature": "hot"})
        chat("options.num_ctx: expected at most 512", options={"num_ctx": CONTEXT + 1})
        chat("options.num_predict", options={"num_predict": -3})
        chat("format", format="xml")
        chat("format: /properties/a/not: expected", format={"type": "object", "properties": {"a": {"not": {}}}})
        chat("think", think="much")
        chat("keep_alive", keep_alive=[])
        chat("stream", stream="yes")
        chat("prompt: expected at most 512 tokens", messages=[{"role": "user", "content": "a b c " * 1000}])
        generate("suffix", suffix="x")
        generate("template", template="{{ .Prompt }}")
        generate("images", images=["aGk="])
        generate("context", context=[1, 2])
        generate("system", system="Be kind.", raw=True)
        status, _, text = self.ask("POST", "/api/chat")
        self.assertEqual(status, 400)
        self.assertIn("body", json.loads(text)["error"])

    def test_models_stay_as_they_are(self) -> None:
        for path in ("pull", "push", "create", "copy"):
            self.refused(400, "POST", f"/api/{path}", {"model": "story"}, "changes which models")
        self.refused(400, "DELETE", "/api/delete", {"model": "story"}, "changes which models")
        self.refused(404, "POST", "/api/blobs/sha256:00", None, "no blobs")
        self.assertEqual(self.ask("HEAD", "/api/blobs/sha256:00")[0], 404)
        self.refused(405, "GET", "/api/chat", None, "expected POST")
        self.refused(404, "POST", "/api/nothing", {}, "expected a path")


if __name__ == "__main__":
    unittest.main()
