"""Asks the program for answers as clients of OpenAI's /v1/completions and /v1/responses do, over HTTP.

What clients need is what counts here: which members events have, their order, their types, and how faults are told.
Texts are those of the bundled model, whose words are its own.
"""
import json
import socket
import sys
import time
import unittest
from pathlib import Path
from typing import Any
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).parent))
from asking import MODEL, Asking, start  # noqa: E402
from server import Server  # noqa: E402


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
        events = self.events("/v1/responses", body)
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
        no_schema = {"type": "json_schema", "name": "a", "schema": {"properties": {"a": {"not": {}}}}}
        self.refused("text.format.schema: /properties/a/not: expected", text={"format": no_schema})
        add = {"type": "function", "name": "add", "parameters": {"type": "object"}}
        self.refused("text.format: expected none beside a tool that must be called",
                     text={"format": {"type": "json_object"}}, tools=[add], tool_choice="required")
        self.refused("model", 404, model="another")
        self.assertEqual(self.ask("GET", "/v1/responses")[0], 405)
        self.assertEqual(self.ask("GET", "/v1/responses/resp_1")[0], 404)


if __name__ == "__main__":
    unittest.main()
