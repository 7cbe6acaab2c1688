"""Asks the program for answers as clients of Anthropic's /v1/messages do, over HTTP."""
import json
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from asking import ASK, MODEL, Asking  # noqa: E402
from server import Server  # noqa: E402

PATH = "/v1/messages"
BODY = {"model": "story", "max_tokens": 12, "temperature": 0, "messages": ASK}


class Messages(Asking):
    def refused(self, says: str, status: int = 400, kind: str = "invalid_request_error", **members: Any) -> None:
        found, content_type, text = self.ask("POST", PATH, {**BODY, **members})
        self.assertEqual((found, content_type), (status, "application/json"), text)
        answer = json.loads(text)
        self.assertEqual((answer["type"], answer["error"]["type"]), ("error", kind))
        self.assertIn(says, answer["error"]["message"])

    def test_whole_and_streamed(self) -> None:
        whole = self.post(PATH, BODY)
        self.assertEqual(list(whole), ["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"])
        self.assertRegex(whole["id"], "^msg_[a-z0-9]{24}$")
        self.assertEqual((whole["stop_reason"], whole["usage"]["output_tokens"]), ("max_tokens", 12))
        (block,) = whole["content"]
        events = self.events(PATH, BODY)
        texts = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
        self.assertEqual("".join(texts), block["text"])
        self.assertEqual([event["type"] for event in events],
                         ["message_start", "content_block_start", *["content_block_delta"] * len(texts),
                          "content_block_stop", "message_delta", "message_stop"])
        usage = whole["usage"]
        self.assertEqual(events[0]["message"]["usage"]["input_tokens"],
                         usage["input_tokens"] + usage["cache_read_input_tokens"])

    def test_what_ends_it(self) -> None:
        answer = self.post(PATH, {**BODY, "stop_sequences": ["nowhere", "upon"]})
        self.assertEqual((answer["stop_reason"], answer["stop_sequence"]), ("stop_sequence", "upon"))
        answer = self.post(PATH, {**BODY, "max_tokens": 500})
        self.assertEqual((answer["stop_reason"], answer["stop_sequence"]), ("end_turn", None))

    def test_tokens_are_counted(self) -> None:
        usage = self.post(PATH, BODY)["usage"]
        asked = {"model": "story", "messages": ASK}
        self.assertEqual(self.post(PATH + "/count_tokens", asked),
                         {"input_tokens": usage["input_tokens"] + usage["cache_read_input_tokens"]})

    def test_a_key_may_come_in_a_header_of_its_own(self) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".keys") as keys:
            keys.write("a-key\n")
            keys.flush()
            with Server(str(MODEL), "-t", "1", "--api-key-file", keys.name) as server:
                body = json.dumps(BODY)
                self.assertEqual(server.ask(PATH, body, headers={"x-api-key": "a-key"})[0], 200)
                self.assertEqual(server.ask(PATH, body, headers={"Authorization": "Bearer a-key"})[0], 200)
                for headers in ({}, {"x-api-key": "b-key"}, {"x-api-key": "a-key", "Authorization": "Bearer b-key"}):
                    status, answer = server.ask(PATH, body, headers=headers)
                    self.assertEqual((status, answer["error"]["type"]), (401, "authentication_error"))

    def test_what_is_refused(self) -> None:
        self.refused("max_tokens", max_tokens=None)
        self.refused("max_tokens", max_tokens=0)
        self.refused("stop_sequences", stop_sequences=[3])
        self.refused("mcp_servers: expected none", mcp_servers=[{"type": "url"}])
        self.refused("thread: expected none", thread={"type": "create"})
        thread = self.ask("POST", PATH, {**BODY, "thread": {"type": "create"}})[2]
        self.assertEqual(json.loads(thread)["error"]["details"], {"error_code": "thread_unsupported_request"})
        self.refused("messages[0].role", messages=[{"role": "king", "content": ""}])
        self.refused("tool_choice: expected one of tools", tool_choice={"type": "any"})
        self.refused("model", 404, "not_found_error", model="another")
        no_schema = {"type": "json_schema", "schema": {"properties": {"a": {"not": {}}}}}
        self.refused("output_config.format.schema: /properties/a/not: expected", output_config={"format": no_schema})
        counted = {"model": "story", "messages": ASK, "output_config": {"format": no_schema}}
        status, _, text = self.ask("POST", PATH + "/count_tokens", counted)
        self.assertEqual(status, 400)
        self.assertIn("output_config.format.schema: /properties/a/not: expected", json.loads(text)["error"]["message"])
        self.refused("output_format.schema: /properties/a/not: expected", output_format=no_schema)
        self.assertEqual(self.ask("GET", PATH)[0], 405)


if __name__ == "__main__":
    unittest.main()
