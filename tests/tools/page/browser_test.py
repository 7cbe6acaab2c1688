"""The page of `llamajit serve` in a browser, with the bundled story model behind it.

LLAMAJIT_SCREENSHOTS names a folder in which pictures of the page are left, to be looked at.
"""
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path

from browser import Browser

sys.path.insert(0, str(Path(__file__).parents[1] / "serve"))
from server import Server  # noqa: E402

ATTACKS = [
    "<script>window.attacked = 1</script>",
    "<img src=x onerror='window.attacked = 1'>",
    "[link](javascript:window.attacked=1) <javascript:window.attacked=1>",
    "<svg/onload=window.attacked=1>",
    "```html\n</code></pre><script>window.attacked = 1</script>\n```",
    "| <b onmouseover=window.attacked=1>x</b> |\n|---|\n| `</td><script>window.attacked=1</script>` |",
    "![x](x\" onerror=\"window.attacked=1)",
    "[a](https://x.org/\"onclick=\"window.attacked=1)",
    "&lt;script&gt;window.attacked = 1&lt;/script&gt;",
]
EXAMPLE = """## Dot products, step by step

A **dot product** adds up products of pairs: `sum += x[i] * y[i]`. *Four* sums side by side hide the latency of an \
addition; see [the manual](https://www.agner.org/optimize/).

1. Load eight floats of each.
2. Multiply and add them:
   - `vfmadd231ps` does both;
   - its latency is four cycles.
3. Add up the lanes.

```cpp
float dot(std::span<const float> x, std::span<const float> y) {
  float sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];  // a chain of additions, which the processor has to do one by one
  return sum;
}
```

| Tier | Lanes | Floats per cycle | Remark |
|:-----|------:|-----------------:|:------:|
| SSE2 | 4 | 8 | everywhere |
| AVX2 | 8 | 32 | with FMA |
| AVX-512 | 16 | 64 | servers, mostly |

> Measure before you believe any of this.

한국어 문장도 **"굵게"**는 이렇게 보입니다. Averyveryverylongwordwithoutanyspaces_that_has_to_break_somewhere_0123456789_0123456789_0123456789.
"""


def example_conversation(identity: str, question: str, reply: str, **more: object) -> dict:
    return {"id": identity, "title": question, "named": True, "created": 1, "changed": 2, "system": "", "head": "r",
            "messages": [{"id": "q", "parent": None, "role": "user", "content": question},
                         {"id": "r", "parent": "q", "role": "assistant", "content": reply, **more}]}


# Answers requests for replies with these events, one a time step, until `abort`; others go to the server.
FAKE = """(events, status, headers) => {
  const real = window.realFetch ??= window.fetch;
  window.requests = [];
  window.fetch = async (path, options) => {
    if (!path.endsWith("/chat/completions")) return real(path, options);
    window.requests.push(JSON.parse(options.body));
    if (status !== 200) return new Response(JSON.stringify(events), {status, headers});
    const encoder = new TextEncoder();
    let next = 0;
    return new Response(new ReadableStream({
      async pull(controller) {
        await new Promise((done) => setTimeout(done, 10));
        if (options.signal.aborted) return controller.error(new DOMException("", "AbortError"));
        if (next === events.length) return controller.close();
        controller.enqueue(encoder.encode(`data: ${typeof events[next] === "string" ? events[next] : JSON.stringify(events[next])}\\n\\n`));
        ++next;
      },
    }), {status});
  };
}"""


def delta(**members: str) -> dict:
    return {"choices": [{"index": 0, "delta": members, "finish_reason": None}]}


END = [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "seed": 42,
        "timings": {"cache_n": 0, "prompt_n": 3, "predicted_n": 4, "predicted_per_second": 100.0, "waiting_ms": 0}},
       "[DONE]"]

REPLIES = "document.querySelectorAll('.reply').length"
TEXT = "document.querySelector('.reply:last-of-type .markdown').textContent"
DONE = "document.querySelector('.reply .seed') !== null && document.querySelector('#stop').hidden"


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server()
        cls.addClassCleanup(cls.server.end)
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def setUp(self) -> None:
        self.browser.errors.clear()
        self.browser.look(1200, 800)
        self.browser.open(self.server.url + "/health")  # the page itself would write what it shows
        self.browser.run("localStorage.clear()")
        self.open()

    def tearDown(self) -> None:
        self.assertEqual(self.browser.errors, [])

    def open(self) -> None:
        self.browser.open(self.server.url + "/")
        self.browser.wait("document.querySelector('#model')?.textContent === 'story'")

    def fake(self, events: object, status: int = 200, headers: dict | None = None) -> None:
        self.browser.run(f"({FAKE})({json.dumps(events)}, {status}, {json.dumps(headers or {})})")

    def ask(self, text: str) -> None:
        self.browser.run("document.querySelector('#input').focus()")
        self.browser.write(text)
        self.browser.press("Enter")

    def answer(self, text: str) -> None:
        """Has a question answered with that text."""
        self.fake([delta(content=text), *END])
        self.ask("question")
        self.browser.wait(DONE)

    def imported(self, *conversations: dict) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "export.json"
            file.write_text(json.dumps({"format": "llamajit-conversations", "version": 1,
                                        "conversations": conversations}), encoding="utf-8")
            node = self.browser.call("Runtime.evaluate", expression="document.querySelector('#file')")
            self.browser.call("DOM.setFileInputFiles", files=[str(file)], objectId=node["result"]["objectId"])
            self.browser.wait(f"document.querySelectorAll('#conversations li').length >= {len(conversations)}")

    def picture(self, name: str) -> None:
        if folder := os.environ.get("LLAMAJIT_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.browser.screenshot(Path(folder) / f"{name}.png")

    # --- with the model

    def test_sends_and_shows_what_the_reply_cost(self) -> None:
        self.picture("empty")
        self.ask("Tell me a story about a cat")
        self.browser.wait(DONE)
        self.assertEqual(self.browser.run("document.querySelector('.user .text').textContent"),
                         "Tell me a story about a cat")
        self.assertGreater(len(self.browser.run(TEXT)), 20)
        self.assertRegex(self.browser.run("document.querySelector('.figures').innerText"),
                         r"^\d+ tokens\s+\d+ tok/s\s+prompt 20(, \d+ of them cached)?\s+context \d+ of 512\s+seed \d+$")
        self.assertEqual(self.browser.run("document.querySelector('#input').value"), "")
        self.assertEqual(self.browser.run("document.title"), "Tell me a story about a cat – llamajit")
        self.assertIn("The reply is there.", self.browser.run("document.querySelector('#announcer').textContent"))

    def test_a_seed_gives_the_same_reply_again(self) -> None:
        self.ask("Tell me a story about a cat")
        self.browser.wait(DONE)
        first = self.browser.run(TEXT)
        self.browser.click(".seed")
        self.browser.click("[aria-label='Write another reply']")
        self.browser.wait("document.querySelector('.versions')?.textContent === '2/2'")
        self.browser.wait(DONE)
        self.assertEqual(self.browser.run(TEXT), first)

    def test_regenerates_and_goes_back(self) -> None:
        self.ask("Tell me a story about a cat")
        self.browser.wait(DONE)
        first = self.browser.run(TEXT)
        self.browser.click("[aria-label='Write another reply']")
        self.browser.wait("document.querySelector('.versions')?.textContent === '2/2'")
        self.browser.wait(DONE)
        self.assertNotEqual(self.browser.run(TEXT), first)
        self.browser.click("[aria-label='Earlier version']")
        self.assertEqual(self.browser.run(TEXT), first)

    def test_an_edited_message_begins_another_version(self) -> None:
        self.ask("Tell me a story about a cat")
        self.browser.wait(DONE)
        first = self.browser.run(TEXT)
        self.browser.click(".user [aria-label='Edit']")
        self.browser.run("document.activeElement.select()")
        self.browser.write("Tell me a story about a dog")
        self.picture("edit")
        self.browser.press("Enter")
        self.browser.wait("document.querySelector('.user .text')?.textContent.endsWith('dog')")
        self.browser.wait(DONE)
        self.assertEqual(self.browser.run(REPLIES), 1)
        self.browser.click(".user [aria-label='Earlier version']")
        self.assertEqual(self.browser.run("document.querySelector('.user .text').textContent"),
                         "Tell me a story about a cat")
        self.assertEqual(self.browser.run(TEXT), first)

    def test_a_conversation_outlives_the_page(self) -> None:
        self.ask("Tell me a story about a cat")
        self.browser.wait(DONE)
        text = self.browser.run(TEXT)
        self.browser.reload()
        self.browser.wait(DONE)
        self.assertEqual(self.browser.run(TEXT), text)
        self.assertEqual(self.browser.run("document.querySelector('#conversations .open').textContent"),
                         "Tell me a story about a cat")

    def test_settings_reach_the_server(self) -> None:
        self.browser.click("#open-settings")
        self.browser.run("document.querySelector('[name=max_tokens]').focus()")
        self.browser.write("5")
        self.browser.run("document.querySelector('[name=top_p]').focus()")
        self.browser.write("2")
        self.assertEqual(self.browser.run("document.querySelector('[name=top_p]').ariaInvalid"), "true")
        self.picture("settings")
        self.browser.press("Escape")
        self.browser.wait("!document.querySelector('#settings').open")
        self.ask("Tell me a story about a cat")
        self.browser.wait(DONE)
        self.assertRegex(self.browser.run("document.querySelector('.figures').innerText"), r"^cut at max_tokens\s+5 tokens")

    # --- with replies as these tests want them

    def test_escape_and_the_button_stop(self) -> None:
        for stop in (lambda: self.browser.press("Escape"), lambda: self.browser.click("#stop")):
            self.browser.click("#new")
            self.fake([delta(content=f"{i} ") for i in range(10000)])
            self.ask("count")
            self.browser.wait(f"{TEXT}.includes('10 ')")
            self.picture("writing")
            stop()
            self.browser.wait("document.querySelector('#stop').hidden")
            self.assertRegex(self.browser.run("document.querySelector('.figures').innerText"), "^stopped")
            text = self.browser.run(TEXT)
            self.assertTrue(text.startswith("0 1 2 "))
            self.assertEqual(self.browser.run("document.activeElement.id"), "input")

    def test_history_goes_with_the_next_question(self) -> None:
        self.answer("first reply")
        self.ask("and then?")
        self.browser.wait("window.requests.length === 2")
        self.assertEqual(self.browser.run("window.requests[1].messages"), [
            {"role": "user", "content": "question"}, {"role": "assistant", "content": "first reply"},
            {"role": "user", "content": "and then?"}])

    def test_replies_are_never_read_as_html(self) -> None:
        self.answer("\n\n".join(ATTACKS))
        self.browser.run("for (const found of document.querySelectorAll('.markdown :not(a)')) found.click?.()")
        self.browser.run("new Promise((done) => setTimeout(done, 200))")
        self.assertIsNone(self.browser.run("window.attacked ?? null"))
        self.assertEqual(self.browser.run(
            "document.querySelectorAll('.markdown :is(script, img, iframe, b, [onclick], [onerror])').length"), 0)
        self.assertIn(ATTACKS[0], self.browser.run("document.querySelector('.markdown').innerText"))
        links = self.browser.run("[...document.querySelectorAll('.markdown a')].map((a) => [a.protocol, a.rel])")
        for protocol, rel in links:  # type: ignore[union-attr]
            self.assertEqual((protocol, rel), ("https:", "noopener noreferrer nofollow"))

    def test_imports_are_never_read_as_html(self) -> None:
        attack = "<img src=x onerror='window.attacked = 1'>"
        self.imported(example_conversation("i", attack, attack, reasoning=attack, ended=attack, figures={"tokens": 1}))
        self.browser.click("#conversations .open")
        self.browser.run("new Promise((done) => setTimeout(done, 200))")
        self.assertIsNone(self.browser.run("window.attacked ?? null"))
        self.assertEqual(self.browser.run("document.querySelector('#title').textContent"), attack)

    def test_enter_within_a_composition_does_not_send(self) -> None:
        self.fake([delta(content="네"), *END])
        self.browser.run("document.querySelector('#input').focus()")
        self.browser.call("Input.imeSetComposition", text="안녕", selectionStart=2, selectionEnd=2)
        self.browser.press("Enter")
        self.browser.run("document.querySelector('#input').dispatchEvent(new KeyboardEvent('keydown',"
                         "{key: 'Enter', keyCode: 229, bubbles: true, cancelable: true}))")
        self.assertEqual(self.browser.run(REPLIES), 0)
        self.assertEqual(self.browser.run("window.requests.length"), 0)
        self.browser.run("document.querySelector('#input').value = ''")
        self.browser.write("안녕")
        self.browser.press("Enter", shift=True)
        self.browser.write("하세요")
        self.browser.press("Enter")
        self.browser.wait(DONE)
        self.assertEqual(self.browser.run("window.requests[0].messages[0].content"), "안녕\n하세요")

    def test_reasoning_is_folded(self) -> None:
        self.fake([delta(reasoning_content="Let me "), delta(reasoning_content="see."), delta(content="Four."), *END])
        self.ask("2+2?")
        self.browser.wait(DONE)
        self.assertFalse(self.browser.run("document.querySelector('.reasoning').open"))
        self.assertEqual(self.browser.run("document.querySelector('.thoughts').textContent"), "Let me see.")
        self.assertEqual(self.browser.run(TEXT), "Four.")

    def test_a_busy_server_is_asked_again(self) -> None:
        self.fake({"error": {"message": "full"}}, 429, {"Retry-After": "2"})
        self.ask("hello")
        self.browser.wait("document.querySelector('.failure') !== null")
        self.assertIn("try again in 2 s", self.browser.run("document.querySelector('.failure').innerText"))
        self.picture("busy")
        self.fake([delta(content="Hello."), *END])
        self.browser.click(".failure button")
        self.browser.wait(DONE)
        self.assertEqual(self.browser.run(REPLIES), 1)
        self.assertEqual(self.browser.run("document.querySelectorAll('.user').length"), 1)

    def test_a_reply_that_breaks_off_is_kept(self) -> None:
        self.fake([delta(content="Half of")])
        self.ask("hello")
        self.browser.wait("document.querySelector('.failure') !== null")
        self.assertEqual(self.browser.run(TEXT), "Half of")
        self.fake([delta(content="Half of it and more."), *END])
        self.browser.click(".failure button")
        self.browser.wait(DONE)
        self.assertEqual(self.browser.run(TEXT), "Half of it and more.")
        self.assertEqual(self.browser.run("document.querySelector('.versions').textContent"), "2/2")
        self.assertEqual(self.browser.run("window.requests[0].messages.length"), 1)

    def test_a_question_that_nobody_hears_is_kept(self) -> None:
        self.browser.run("window.fetch = async () => { throw new TypeError('no network'); }")
        self.ask("hello")
        self.browser.wait("document.querySelector('.failure')?.innerText.includes('answer')")
        self.open()
        self.assertEqual(self.browser.run("document.querySelector('.user .text').textContent"), "hello")
        self.fake([delta(content="Hello."), *END])
        self.browser.click(".missing button")
        self.browser.wait(DONE)

    def test_scrolling_up_is_not_fought(self) -> None:
        self.fake([delta(content=f"line {i}\n\n") for i in range(10000)])
        self.ask("count")
        scroller = "document.querySelector('#scroller')"
        self.browser.wait(f"{scroller}.scrollHeight > 2 * {scroller}.clientHeight")
        self.browser.wait(f"{scroller}.scrollHeight - {scroller}.clientHeight - {scroller}.scrollTop < 40")
        self.browser.call("Input.dispatchMouseEvent", type="mouseWheel", x=600, y=300, deltaX=0, deltaY=-300)
        self.browser.wait("!document.querySelector('#to-end').hidden")
        self.browser.run("new Promise((done) => setTimeout(done, 300))")
        top = self.browser.run(f"{scroller}.scrollTop")
        self.browser.run("new Promise((done) => setTimeout(done, 300))")
        self.assertEqual(self.browser.run(f"{scroller}.scrollTop"), top)
        self.browser.click("#to-end")
        self.browser.run("new Promise((done) => setTimeout(done, 200))")
        self.assertLess(self.browser.run(f"{scroller}.scrollHeight - {scroller}.clientHeight - {scroller}.scrollTop"), 60)
        self.browser.press("Escape")
        self.browser.wait("document.querySelector('#stop').hidden")

    def test_conversations_are_renamed_and_deleted_and_brought_back(self) -> None:
        self.answer("reply")
        self.browser.click("#conversations [aria-label='Rename']")
        self.browser.run("document.activeElement.select()")
        self.browser.write("My talk")
        self.browser.press("Enter")
        self.assertEqual(self.browser.run("document.querySelector('#title').textContent"), "My talk")
        self.browser.click("#conversations [aria-label='Delete']")
        self.assertEqual(self.browser.run("document.querySelectorAll('#conversations li').length"), 0)
        self.browser.click("#notice button")
        self.assertEqual(self.browser.run("document.querySelector('#title').textContent"), "My talk")
        self.assertEqual(self.browser.run(TEXT), "reply")

    def test_full_storage_is_said(self) -> None:
        self.browser.run("Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError'); }")
        self.answer("reply")
        self.assertEqual(self.browser.run(TEXT), "reply")
        self.assertIn("full", self.browser.run("document.querySelector('#notice').innerText"))

    # --- how it looks

    def test_light_dark_and_either_by_hand(self) -> None:
        self.imported(example_conversation(
            "e", "How is a dot product computed fast? 빠르게 계산하려면?", EXAMPLE, ended="stop", seed=6509758226541216,
            reasoning="The reader wants steps.", figures={"prompt": 31, "cached": 20, "tokens": 312, "speed": 48.3}))
        self.browser.click("#conversations .open")
        background = "getComputedStyle(document.body).backgroundColor"
        for dark in (False, True):
            self.browser.look(1200, 1000, dark)
            self.browser.run("document.querySelector('#scroller').scrollTop = 0; document.querySelector('#notice').hidden = true")
            self.browser.wait(f"document.documentElement.dataset.theme === '{'dark' if dark else 'light'}'")
            self.picture("desktop-dark" if dark else "desktop-light")
        night = self.browser.run(background)
        self.browser.click("#theme")  # light, by hand
        self.assertNotEqual(self.browser.run(background), night)
        self.browser.reload()
        self.browser.wait("document.documentElement.dataset.theme === 'light'")

    def test_a_phone_scrolls_up_and_down_alone(self) -> None:
        self.imported(example_conversation("e", "How is a dot product computed fast? " + "x" * 120, EXAMPLE,
                                           ended="stop", seed=6509758226541216, reasoning="Steps.",
                                           figures={"prompt": 31, "cached": 20, "tokens": 312, "speed": 48.3}))
        self.browser.click("#conversations .open")
        self.browser.look(360, 740)
        wide = "[...document.querySelectorAll('html, body, main, #scroller')].filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.tagName)"
        self.browser.run("document.querySelector('#notice').hidden = true")
        for name, top in (("phone", 0), ("phone-code", 700), ("phone-end", 100000)):
            self.browser.run(f"document.querySelector('#scroller').scrollTop = {top}")
            self.browser.run("new Promise((done) => setTimeout(done, 100))")
            self.assertEqual(self.browser.run(wide), [])
            self.picture(name)
        self.browser.click("#menu")
        self.browser.run("new Promise((done) => setTimeout(done, 400))")
        self.picture("phone-menu")
        self.assertEqual(self.browser.run("document.querySelector('#sidebar').getBoundingClientRect().x"), 0)
        self.browser.press("Escape")
        self.browser.wait("document.querySelector('#sidebar').getBoundingClientRect().right <= 0")
        self.browser.click("#open-settings")
        self.picture("phone-settings")
        self.assertEqual(self.browser.run(wide), [])


class PageWithKey(unittest.TestCase):
    def test_asks_for_the_key_and_speaks_korean(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            keys = Path(folder) / "keys"
            keys.write_text("secret\n", encoding="utf-8")
            server = Server("--api-key-file", str(keys))
        self.addCleanup(server.end)
        browser = Browser("ko-KR")
        self.addCleanup(browser.close)
        browser.look(1200, 800)
        browser.open(server.url + "/")
        browser.wait("document.querySelector('#key-dialog').open")
        self.assertEqual(browser.run("document.documentElement.lang"), "ko")
        self.assertEqual(browser.run("document.querySelector('#input').placeholder"), "메시지를 입력하세요")
        if folder := os.environ.get("LLAMAJIT_SCREENSHOTS"):
            browser.screenshot(Path(folder) / "korean-key.png")
        browser.write("secret")
        browser.press("Enter")
        browser.wait("document.querySelector('#model').textContent === 'story'")
        self.assertIsNone(browser.run("localStorage.getItem('llamajit.key')"))
        browser.run("document.querySelector('#input').focus()")
        browser.write("Tell me a story about a cat")
        browser.press("Enter")
        browser.wait(DONE)
        self.assertEqual(browser.errors, [])


if __name__ == "__main__":
    unittest.main()
