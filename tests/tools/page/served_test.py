"""What `llamajit serve` answers at /: the page, whole, with headers that let it do no more than it must."""
import base64
import hashlib
import re
import sys
import tempfile
import unittest
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "serve"))
from server import Server  # noqa: E402


class ServedPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        with tempfile.TemporaryDirectory() as folder:
            keys = Path(folder) / "keys"
            keys.write_text("secret\n", encoding="utf-8")
            cls.server = Server("--api-key-file", str(keys))
        cls.addClassCleanup(cls.server.end)
        with urllib.request.urlopen(cls.server.url + "/") as answer:
            cls.headers = answer.headers
            cls.html = answer.read().decode("utf-8")

    def test_is_open_where_the_rest_wants_a_key(self) -> None:
        with self.assertRaises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(self.server.url + "/v1/models")
        self.assertEqual(refusal.exception.code, 401)
        refusal.exception.close()
        self.assertIn("<title>llamajit</title>", self.html)

    def test_headers(self) -> None:
        self.assertEqual(self.headers["Content-Type"], "text/html; charset=utf-8")
        self.assertEqual(self.headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(self.headers["Referrer-Policy"], "no-referrer")
        self.assertEqual(self.headers["Cache-Control"], "no-cache")

    def test_policy_allows_its_own_script_and_style_alone(self) -> None:
        policy = dict(part.strip().split(" ", 1) for part in self.headers["Content-Security-Policy"].split(";"))
        for tag in ("script", "style"):
            texts = re.findall(rf"<{tag}>(.*?)</{tag}>", self.html, re.DOTALL)
            self.assertEqual(len(texts), 1)
            digest = base64.b64encode(hashlib.sha256(texts[0].encode("utf-8")).digest()).decode("ascii")
            self.assertEqual(policy[f"{tag}-src"], f"'sha256-{digest}'")
        self.assertEqual(policy["default-src"], "'none'")
        self.assertEqual(policy["connect-src"], "'self'")
        self.assertEqual(policy["frame-ancestors"], "'none'")

    def test_needs_nothing_from_elsewhere(self) -> None:
        addresses = set(re.findall(r"https?://[\w.]+\w", self.html))
        namespaces = {"http://www.w3.org"}
        comments = {"https://html.spec.whatwg.org"}
        self.assertEqual(addresses - namespaces - comments, set())
        self.assertNotRegex(self.html, r"<(link[^>]*stylesheet|script [^>]*src|img|iframe)")
        self.assertNotRegex(self.html, r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(")


if __name__ == "__main__":
    unittest.main()
