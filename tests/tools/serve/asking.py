"""What tests that ask the server over HTTP have in common: a server of the bundled model for each class of them."""
import json
import sys
import unittest
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from server import Server  # noqa: E402

SOURCE = Path(__file__).resolve().parents[3]
MODEL = SOURCE / "tools" / "story" / "models" / "story.gguf"
CONTEXT = 512
ASK = [{"role": "user", "content": "Tell me a story."}]


def start() -> Server:
    return Server(str(MODEL), "-t", "1")


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

    def events(self, path: str, body: Any) -> list[Any]:
        """Of a stream whose events have the name that is their data's type."""
        status, content_type, text = self.ask("POST", path, {**body, "stream": True})
        self.assertEqual((status, content_type), (200, "text/event-stream"), text)
        self.assertTrue(text.endswith("\n\n"))
        events = []
        for block in text[:-2].split("\n\n"):
            name, data = block.split("\n")
            events.append(json.loads(data.removeprefix("data: ")))
            self.assertEqual(name, "event: " + events[-1]["type"])
        return events

    def get(self, path: str) -> Any:
        status, content_type, text = self.ask("GET", path)
        self.assertEqual((status, content_type), (200, "application/json"), text)
        return json.loads(text)

    def post(self, path: str, body: Any) -> Any:
        status, content_type, text = self.ask("POST", path, body)
        self.assertEqual((status, content_type), (200, "application/json"), text)
        return json.loads(text)
