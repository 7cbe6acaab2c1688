"""Asks the program for answers as clients of Ollama's API and of OpenAI's /v1/responses do, over HTTP.

What clients need is what counts here: which members lines and events have, their order, their types, and how faults
are told. Texts are those of the bundled model, whose words are its own.
"""
import json
import re
import socket
import sys
import time
import unittest
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).parent))
from server import Server  # noqa: E402

SOURCE = Path(__file__).resolve().parents[3]
MODEL = SOURCE / "tools" / "story" / "models" / "story.gguf"
CONTEXT = 512
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
ASK = [{"role": "user", "content": "Tell me a story."}]


def start() -> Server:
    return Server(str(MODEL), "-t", "1")


class Ending(unittest.TestCase):
    def test_without_connections(self) -> None:
        start().end()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as listener:
            listener.bind(("::1", 0))
        return True
    except OSError:
        return False


class Addresses(unittest.TestCase):
    @unittest.skipUnless(has_ipv6(), "there is no ::1")
    def test_of_ipv6_are_told_as_clients_take_them(self) -> None:
        with Server(str(MODEL), "-t", "1", "--host", "::1") as server, \
                urlopen(server.told_url + "/health", timeout=60) as answer:
            self.assertEqual(answer.status, 200)


class Leaving(unittest.TestCase):
    """A client that goes away takes its conversation's rendering with it, so that readers are free for others."""

    TEMPLATE = ("{% for a in range(messages[0].content|int) %}{% for b in range(100) %}{{ '' if b else '' }}{% endfor %}"
                "{% endfor %}{{ messages[0].content }}")

    def test_while_a_template_is_rendered(self) -> None:
        def request(rounds: int) -> str:
            return json.dumps({"messages": [{"role": "user", "content": str(rounds)}]})

        with Server(str(MODEL), "-t", "1", "--template", self.TEMPLATE) as server:
            rounds, whole = 500, 0.0
            while whole < 0.5 and rounds < 12000:  # more than that is refused
                rounds *= 2
                begin = time.monotonic()
                status, _ = server.ask("/apply-template", request(rounds))
                whole = time.monotonic() - begin
                self.assertEqual(status, 200)
            connections = [server.connect() for _ in range(24)]  # of which four are read at once
            for connection in connections:
                connection.request("POST", "/apply-template", request(rounds))
            for connection in connections:
                connection.close()
            begin = time.monotonic()
            self.assertEqual(server.ask("/tokenize", '{"content": "Once"}')[0], 200)
            self.assertLess(time.monotonic() - begin, 2 * whole)


class Asking(unittest.TestCase):
    server: Server
    port: int

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = start()
        cls.port = cls.server.port

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.end()

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, str, str]:
        """Gives the status, the type and the text."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.getheader("Content-Type", ""), response.read().decode()
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        status, content_type, text = self.ask("GET", path)
        self.assertEqual((status, content_type), (200, "application/json"), text)
        return json.loads(text)

    def post(self, path: str, body: Any) -> Any:
        status, content_type, text = self.ask("POST", path, body)
        self.assertEqual((status, content_type), (200, "application/json"), text)
        return json.loads(text)


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


class Completions(Asking):
    def test_offsets_point_into_the_text(self) -> None:
        """Whole and streamed, behind an echoed prompt, in characters."""
        body = {"prompt": ["Once upon a time", "옛날"], "max_tokens": 8, "temperature": 0, "logprobs": 0, "echo": True}
        for choice in self.post("/v1/completions", body)["choices"]:
            logprobs = choice["logprobs"]
            self.assertEqual(len(logprobs["tokens"]), 8)
            for token, offset in zip(logprobs["tokens"], logprobs["text_offset"]):
                self.assertTrue(choice["text"][offset:].startswith(token), (choice["text"], token, offset))
            status, _, events = self.ask("POST", "/v1/completions", {**body, "stream": True})
            self.assertEqual(status, 200)
            chunks = [json.loads(line[6:])["choices"][0] for line in events.splitlines() if line.startswith("data: {")]
            streamed = [offset for chunk in chunks if chunk["index"] == choice["index"] and chunk.get("logprobs")
                        for offset in chunk["logprobs"]["text_offset"]]
            self.assertEqual(streamed, logprobs["text_offset"])


class Responses(Asking):
    def stream(self, body: Any) -> list[Any]:
        status, content_type, text = self.ask("POST", "/v1/responses", {**body, "stream": True})
        self.assertEqual((status, content_type), (200, "text/event-stream"), text)
        self.assertTrue(text.endswith("\n\n"))
        events = []
        for block in text[:-2].split("\n\n"):
            name, data = block.split("\n")
            events.append(json.loads(data.removeprefix("data: ")))
            self.assertEqual(name, "event: " + events[-1]["type"])
        self.assertEqual([event["sequence_number"] for event in events], list(range(len(events))))
        return events

    def refused(self, says: str, status: int = 400, **members: Any) -> None:
        found, content_type, text = self.ask("POST", "/v1/responses", {"input": "hi", **members})
        self.assertEqual((found, content_type), (status, "application/json"), text)
        self.assertIn(says, json.loads(text)["error"]["message"])

    def check_response(self, response: Any, status: str) -> None:
        self.assertEqual((response["object"], response["status"]), ("response", status))
        self.assertRegex(response["id"], "^resp_")
        self.assertIs(type(response["created_at"]), int)
        self.assertEqual(response["model"], "story")
        for name in ("error", "incomplete_details", "instructions", "max_output_tokens", "metadata", "output",
                     "parallel_tool_calls", "previous_response_id", "reasoning", "store", "temperature", "text",
                     "tool_choice", "tools", "top_p", "truncation", "usage"):
            self.assertIn(name, response)

    def test_whole(self) -> None:
        response = self.post("/v1/responses", {"model": "story", "input": "hi", "temperature": 0, "top_p": 0.5,
                                               "metadata": {"a": "b"}, "store": True, "parallel_tool_calls": False,
                                               "reasoning": {"effort": "low"}, "truncation": "auto",
                                               "include": ["reasoning.encrypted_content"]})
        self.check_response(response, "completed")
        self.assertEqual((response["temperature"], response["top_p"]), (0, 0.5))
        self.assertEqual((response["metadata"], response["parallel_tool_calls"]), ({"a": "b"}, False))
        self.assertEqual(response["reasoning"]["effort"], "low")
        self.assertEqual(len(response["output"]), 1)
        item = response["output"][0]
        self.assertEqual((item["type"], item["role"], item["status"]), ("message", "assistant", "completed"))
        self.assertRegex(item["id"], "^msg_")
        part = item["content"][0]
        self.assertEqual((part["type"], part["annotations"]), ("output_text", []))
        usage = response["usage"]
        self.assertEqual(usage["total_tokens"], usage["input_tokens"] + usage["output_tokens"])
        self.assertIs(type(usage["input_tokens_details"]["cached_tokens"]), int)
        self.assertEqual(usage["output_tokens_details"], {"reasoning_tokens": 0})
        chat = self.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}], "temperature": 0})
        self.assertEqual(part["text"], chat["choices"][0]["message"]["content"])

    def test_stream(self) -> None:
        events = self.stream({"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
                              "temperature": 0})
        names = [event["type"].removeprefix("response.") for event in events]
        deltas = names.count("output_text.delta")
        self.assertGreater(deltas, 1)
        self.assertEqual(names, ["created", "in_progress", "output_item.added", "content_part.added",
                                 *["output_text.delta"] * deltas, "output_text.done", "content_part.done",
                                 "output_item.done", "completed"])
        for event, status in ((events[0], "in_progress"), (events[1], "in_progress"), (events[-1], "completed")):
            self.check_response(event["response"], status)
            self.assertEqual(event["response"]["id"], events[0]["response"]["id"])
        added, done = events[2]["item"], events[-2]["item"]
        self.assertEqual((added["content"], added["status"], events[2]["output_index"]), ([], "in_progress", 0))
        for event in events[3:-2]:
            self.assertEqual((event["item_id"], event["output_index"], event["content_index"]), (added["id"], 0, 0))
        text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
        self.assertEqual(events[-4]["text"], text)
        self.assertEqual(events[-3]["part"]["text"], text)
        self.assertEqual((done["id"], done["content"][0]["text"]), (added["id"], text))
        self.assertEqual(events[-1]["response"]["output"], [done])
        self.assertGreater(events[-1]["response"]["usage"]["output_tokens"], 0)

    def test_cut_off(self) -> None:
        last = self.stream({"input": "Tell me a story.", "max_output_tokens": 3})[-1]
        self.assertEqual(last["type"], "response.incomplete")
        response = self.post("/v1/responses", {"input": "Tell me a story.", "max_output_tokens": 3})
        for response in (last["response"], response):
            self.check_response(response, "incomplete")
            self.assertEqual(response["incomplete_details"], {"reason": "max_output_tokens"})
            self.assertEqual(response["output"][0]["status"], "incomplete")
            self.assertEqual(response["usage"]["output_tokens"], 3)

    def test_items_may_be_named_by_their_ids(self) -> None:
        first = self.stream({"input": "hi"})[-1]["response"]["output"][0]
        ask = {"role": "user", "content": "Tell me a story."}

        def tokens(item: Any) -> int:
            asked = {"input": [{"role": "user", "content": "hi"}, item, ask], "max_output_tokens": 1}
            return self.post("/v1/responses", asked)["usage"]["input_tokens"]
        self.assertEqual(tokens({"type": "item_reference", "id": first["id"]}), tokens(first))
        unkept = self.post("/v1/responses", {"input": "hi", "store": False})["output"][0]
        self.refused("input[0].id", input=[{"type": "item_reference", "id": unkept["id"]}])

    def test_what_is_refused(self) -> None:
        self.refused("previous_response_id: expected none", previous_response_id="resp_1")
        self.refused("conversation", conversation="conv_1")
        self.refused("background", background=True)
        self.refused("input", input=None)
        self.refused("input", input=[])
        self.refused("input[0].type", input=[{"type": "web_search_call"}])
        self.refused("max_output_tokens", max_output_tokens=0)
        self.refused("temperature", temperature="hot")
        self.refused("metadata.a", metadata={"a": 1})
        self.refused("truncation", truncation="some")
        self.refused("tools[0].type", tools=[{"type": "web_search"}])
        self.refused("text.format.type", text={"format": {"type": "xml"}})
        self.refused("model", 404, model="another")
        self.assertEqual(self.ask("GET", "/v1/responses")[0], 405)
        self.assertEqual(self.ask("GET", "/v1/responses/resp_1")[0], 404)


if __name__ == "__main__":
    unittest.main()
