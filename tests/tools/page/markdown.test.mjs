// What Markdown becomes, and that it takes bounded time.
import assert from "node:assert/strict";
import test from "node:test";

import { parseMarkdown } from "../../../tools/serve/page/markdown.mjs";
import { parseInline, safeUrl } from "../../../tools/serve/page/markdown_inline.mjs";

// A short way to write trees: strong(a em(b)) is **a *b***.
function shortInline(nodes) {
  return nodes
    .map((node) => {
      if (node.type === "text") return node.text;
      if (node.type === "break") return "⏎";
      if (node.type === "code") return `code(${node.text})`;
      const inner = shortInline(node.children);
      return node.type === "link" ? `link(${node.href} ${inner})` : `${node.type}(${inner})`;
    })
    .join("");
}

function short(block) {
  switch (block.type) {
    case "paragraph":
      return `p(${shortInline(block.children)})`;
    case "heading":
      return `h${block.level}(${shortInline(block.children)})`;
    case "code":
      return `code[${block.language}](${block.text})`;
    case "quote":
      return `quote(${block.blocks.map(short).join("")})`;
    case "list":
      return `${block.ordered ? `ol${block.start}` : "ul"}(${block.items.map((item) => `li(${item.map(short).join("")})`).join("")})`;
    case "table":
      return `table[${block.align}](${[block.head, ...block.rows].map((row) => row.map(shortInline).join("|")).join("⏎")})`;
    default:
      return block.type;
  }
}

const inline = (text) => shortInline(parseInline(text));
const blocks = (text) => parseMarkdown(text).map(short).join("");

test("emphasis", () => {
  assert.equal(inline("**a** *b* __c__ _d_ ~~e~~"), "strong(a) em(b) strong(c) em(d) strike(e)");
  assert.equal(inline("**a *b* c**"), "strong(a em(b) c)");
  assert.equal(inline("***a***"), "strong(em(a))");
  assert.equal(inline("***a* b**"), "strong(em(a) b)");
  assert.equal(inline("2 * 3 * 4, a_b_c, ~a~"), "2 * 3 * 4, a_b_c, ~a~");
  assert.equal(inline("**open and *never closed"), "**open and *never closed");
  assert.equal(inline("a** b"), "a** b");
});

test("emphasis beside Korean particles", () => {
  assert.equal(inline('**"말"**은 *그*가'), 'strong("말")은 em(그)가');
});

test("code within a line", () => {
  assert.equal(inline("`a*b*` `` ` `` `<b>`"), "code(a*b*) code(`) code(<b>)");
  assert.equal(inline("`open"), "`open");
});

test("backslashes and breaks", () => {
  assert.equal(inline("\\*a\\* \\q\nb"), "*a* \\q⏎b");
});

test("links lead to the web and to mail alone", () => {
  assert.equal(inline("[a *b*](https://x.org/y_(z) \"t\")"), "link(https://x.org/y_(z) a em(b))");
  assert.equal(inline("<mailto:a@b.c>"), "link(mailto:a@b.c mailto:a@b.c)");
  assert.equal(inline("(see https://x.org/a)."), "(see link(https://x.org/a https://x.org/a)).");
  assert.equal(inline("![pic](https://x.org/p.png)"), "link(https://x.org/p.png pic)");
  for (const url of ["javascript:alert(1)", " javascript:alert(1)", "JaVaScRiPt:x", "data:text/html,x", "/v1/models", "//x.org",
    "vbscript:x", "java\tscript:x", "https://x\n.org", "file:///etc/passwd"]) {
    assert.equal(safeUrl(url), null, url);
  }
  assert.equal(inline("[a](javascript:alert`1`)"), "a");
  assert.equal(inline("[a](<javascript:alert(1)>)"), "a");
  assert.equal(inline("[a [b](http://c)](http://d)"), "link(http://d a [b](http://c))");
});

test("HTML is text", () => {
  assert.equal(blocks("<script>alert(1)</script>"), "p(<script>alert(1)</script>)");
  assert.equal(blocks("a &lt; <img src=x onerror=alert(1)>"), "p(a &lt; <img src=x onerror=alert(1)>)");
});

test("headings, rules and paragraphs", () => {
  assert.equal(blocks("# a\nb\nc\n\n---\n### d ###\n#e"), "h1(a)p(b⏎c)ruleh3(d)p(#e)");
});

test("fenced code", () => {
  assert.equal(blocks("```js\n*a*\n\n<b>\n```\nx"), "code[js](*a*\n\n<b>)p(x)");
  assert.equal(blocks("~~~~\n```\n~~~\n~~~~"), "code[](```\n~~~)");
  assert.equal(blocks("```py\nnot yet closed"), "code[py](not yet closed)");
});

test("lists", () => {
  assert.equal(blocks("- a\n- b\n  - c\n- d"), "ul(li(p(a))li(p(b)ul(li(p(c))))li(p(d)))");
  assert.equal(blocks("3. a\n4. b\n\n5. c"), "ol3(li(p(a))li(p(b))li(p(c)))");
  assert.equal(blocks("1. a\n  - b\n2. c"), "ol1(li(p(a)ul(li(p(b))))li(p(c)))");
  assert.equal(blocks("1. a\n   ```\n   - x\n   ```\n2. b"), "ol1(li(p(a)code[](- x))li(p(b)))");
  assert.equal(blocks("- a\n\n  b\n\nc"), "ul(li(p(a)p(b)))p(c)");
  assert.equal(blocks("- a\n* b"), "ul(li(p(a)))ul(li(p(b)))");
  assert.equal(blocks("In\n1990. It was"), "p(In⏎1990. It was)");
});

test("quotes", () => {
  assert.equal(blocks("> a\n> - b\nlazy\n\nc"), "quote(p(a)ul(li(p(b⏎lazy))))p(c)");
});

test("tables", () => {
  assert.equal(blocks("| a | b |\n|:--|--:|\n| `|` | *c* |\n| d \\| e |\n\nf"), "table[left,right](a|b⏎code(|)|em(c)⏎d | e|)p(f)");
  assert.equal(blocks("a | b\n--"), "p(a | b⏎--)");
});

test("a text that grows keeps the source of its first blocks", () => {
  const whole = "# a\n\nb **c**\n\n- d\n- e\n\n```\nf\n```\nend";
  const sources = parseMarkdown(whole).map((block) => block.source);
  assert.equal(sources.length, 5);
  assert.deepEqual(parseMarkdown(`${whole} more`).slice(0, 4).map((block) => block.source), sources.slice(0, 4));
});

test("hostile texts take no longer than others", () => {
  const times = (text, count) => text.repeat(count);
  const hostile = [
    times("[", 1e5), times("![", 5e4) + times("](http://a)", 5e4), times("[a](b \"", 3e4), times("[](", 5e4),
    times("*a ", 1e5), times("**a *b __c ", 3e4), times("*a* ", 1e5), times("*a **b ", 3e4) + times("c** d* ", 3e4),
    times("`", 1e5), Array.from({ length: 600 }, (_, i) => times("`", i + 1)).join(" "),
    times("> ", 5e4), times("- ", 5e4), times("- a\n", 5e4), times("- a\n\n", 5e4), times("> a\n", 5e4),
    times("http://", 4e4), times("<http://", 4e4), `# ${times(" #", 5e4)}x`, `# ${times("\t ", 5e4)}x`,
    `|a|b|\n|-|-|\n${times("|a\n", 5e4)}`, times("|-", 5e4) + "\n" + times("|-", 5e4) + "x", times(" ", 1e5) + "x",
    times("~~~\n", 5e4), times("\n", 1e5), times("\\", 1e5), times("* ", 5e4) + "x", "- a\n" + times("\n", 1e5) + "b",
  ];
  for (const text of hostile) {
    const began = performance.now();
    parseMarkdown(text);
    const took = performance.now() - began;
    assert.ok(took < 3000, `${JSON.stringify(text.slice(0, 20))}…: ${took} ms`);
  }
});

test("any text is read, cut anywhere", () => {
  const text = "# a **b\n- [c](http://d \"e\n  > `f` | g\n|-|\n1. ~~h~~ ***i\n```\n<j>\n~~~ \\";
  for (let end = 0; end <= text.length; ++end) parseMarkdown(text.slice(0, end));
});
