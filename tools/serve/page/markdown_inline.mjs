// What stands within a paragraph: emphasis, code, links. Text becomes a tree of plain values, which holds no HTML; what
// is none of these stays text, tags among it.
//
// Nodes: {type: "text", text}, "code" (text), "break", "strong", "em", "strike" (children), "link" (href, children).
// Takes time that grows as the text does: a model may write anything.

const kDeepestMarks = 24; // marks within each other
const kLongestLinkTitle = 500;
const kEscaped = /[!-/:-@[-`{-~]/;
const kScheme = /^(https?:\/\/|mailto:)/i;
const kBareUrl = /https?:\/\/[^\s<>"'`*\\]+/iy;
const kAngleUrl = /<((?:https?:\/\/|mailto:)[^\s<>]+)>/iy;
const kTarget = new RegExp(
  String.raw`\(\s{0,9}(?:<([^<>\n]*)>|((?:[^\s()<>]|\([^\s()<>]*\))*))(?:\s{1,9}(?:"[^"]{0,${kLongestLinkTitle}}"|'[^']{0,${kLongestLinkTitle}}'))?\s{0,9}\)`,
  "y",
);
const kLetter = /[\p{L}\p{N}_]/u;

// Only these lead anywhere: no javascript:, no data:, no path on this server.
export function safeUrl(url) {
  const trimmed = url.trim();
  return kScheme.test(trimmed) && !/[\u0000-\u0020]/.test(trimmed) ? trimmed : null;
}

// Where the bracket closes that opens at each '['.
function closingBrackets(text) {
  const closing = new Map();
  const open = [];
  for (let i = 0; i < text.length; ++i) {
    if (text[i] === "\\") ++i;
    else if (text[i] === "[") open.push(i);
    else if (text[i] === "]" && open.length > 0) closing.set(open.pop(), i);
  }
  return closing;
}

// The length of the run of `text[at]` that begins there.
function runLength(text, at) {
  let end = at + 1;
  while (end < text.length && text[end] === text[at]) ++end;
  return end - at;
}

// Marks that are open, outermost first. Each has the nodes behind it; the first has those before any mark.
class Marks {
  constructor() {
    this.open = [{ mark: "", nodes: [] }];
  }

  get nodes() {
    return this.open.at(-1).nodes;
  }

  add(node) {
    const last = this.nodes.at(-1);
    if (node.type === "text" && last?.type === "text") last.text += node.text;
    else this.nodes.push(node);
  }

  text(text) {
    this.add({ type: "text", text });
  }

  has(mark) {
    return this.open.some((open) => open.mark === mark);
  }

  start(mark) {
    if (this.open.length > kDeepestMarks) this.text(mark);
    else this.open.push({ mark, nodes: [] });
  }

  // The innermost such mark closes; those within it that are still open are text.
  close(mark, type) {
    const at = this.open.findLastIndex((open) => open.mark === mark);
    const children = this.leave(at);
    this.add({ type, children });
  }

  // Takes all from open[at] on away, and returns its nodes with the marks behind it as text.
  leave(at) {
    const [first, ...others] = this.open.splice(at);
    const whole = new Marks();
    whole.open[0].nodes = first.nodes;
    for (const { mark, nodes } of others) {
      whole.text(mark);
      for (const node of nodes) whole.add(node);
    }
    return whole.nodes;
  }

  end() {
    return this.leave(0);
  }
}

const kTypes = { "*": "em", "**": "strong", _: "em", __: "strong", "~~": "strike" };

class Inline {
  constructor(text, links) {
    this.text = text;
    this.links = links;
    this.brackets = closingBrackets(text);
    this.unclosedCode = new Set(); // lengths of runs of ` that nothing closes from here on
    this.marks = new Marks();
    this.at = 0;
  }

  parse() {
    while (this.at < this.text.length) {
      const length = this.take(this.text[this.at]);
      if (length === 0) this.marks.text(this.text[this.at]);
      this.at += length || 1;
    }
    return this.marks.end();
  }

  // The length of what it found at this.at, which it added; 0: nothing but text.
  take(character) {
    switch (character) {
      case "\\":
        return this.takeEscaped();
      case "\n":
        this.marks.add({ type: "break" });
        return 1;
      case "`":
        return this.takeCode();
      case "*":
      case "_":
      case "~":
        return this.takeMarks(character);
      case "!":
        return this.text[this.at + 1] === "[" ? this.takeLink(this.at + 1) : 0;
      case "[":
        return this.takeLink(this.at);
      case "<":
        return this.takeUrl(kAngleUrl, 1);
      case "h":
      case "H":
        return this.takeUrl(kBareUrl, 0);
      default:
        return 0;
    }
  }

  takeEscaped() {
    const next = this.text[this.at + 1];
    if (next === undefined || !kEscaped.test(next)) return 0;
    this.marks.text(next);
    return 2;
  }

  takeCode() {
    const length = runLength(this.text, this.at);
    let end = this.unclosedCode.has(length) ? -1 : this.text.indexOf("`", this.at + length);
    while (end >= 0) {
      const closing = runLength(this.text, end);
      if (closing === length) break;
      end = this.text.indexOf("`", end + closing);
    }
    if (end < 0) {
      this.unclosedCode.add(length);
      this.marks.text("`".repeat(length));
      return length;
    }
    const inner = this.text.slice(this.at + length, end).replaceAll("\n", " ");
    const padded = inner.startsWith(" ") && inner.endsWith(" ") && inner.trim() !== "";
    this.marks.add({ type: "code", text: padded ? inner.slice(1, -1) : inner });
    return end + length - this.at;
  }

  // Looser than CommonMark beside punctuation, so that **"말"**은 is bold: no space stands between words there.
  takeMarks(character) {
    const length = runLength(this.text, this.at);
    const before = this.text[this.at - 1] ?? " ";
    const after = this.text[this.at + length] ?? " ";
    const inWord = character === "_" && kLetter.test(before) && kLetter.test(after);
    const opens = !/\s/.test(after) && !inWord;
    const closes = !/\s/.test(before) && !inWord;
    const most = character === "~" ? 2 : 3;
    if (length > most || (character === "~" && length < 2)) {
      this.marks.text(character.repeat(length));
      return length;
    }
    let left = length;
    for (let size = 2; closes && size > 0; --size) {
      const mark = character.repeat(size);
      // ***x***: what was opened last is closed first
      const single = left === 3 && this.marks.open.at(-1).mark === character;
      if (single) {
        this.marks.close(character, kTypes[character]);
        left -= 1;
      }
      if (left >= size && this.marks.has(mark)) {
        this.marks.close(mark, kTypes[mark]);
        left -= size;
      }
    }
    if (left === 0) return length;
    if (!opens) this.marks.text(character.repeat(left));
    else if (left === 3) {
      this.marks.start(character.repeat(2));
      this.marks.start(character);
    } else if (kTypes[character.repeat(left)]) this.marks.start(character.repeat(left));
    else this.marks.text(character.repeat(left));
    return length;
  }

  // A picture becomes a link to it: the page shows nothing from elsewhere.
  takeLink(bracket) {
    const closing = this.brackets.get(bracket);
    if (closing === undefined || !this.links || this.text[closing + 1] !== "(") return 0;
    kTarget.lastIndex = closing + 1;
    const target = kTarget.exec(this.text);
    if (target === null) return 0;
    const href = safeUrl((target[1] ?? target[2]).replace(/\\([!-/:-@[-`{-~])/g, "$1"));
    const children = new Inline(this.text.slice(bracket + 1, closing), false).parse();
    if (href === null) for (const child of children) this.marks.add(child);
    else this.marks.add({ type: "link", href, children: children.length > 0 ? children : [{ type: "text", text: href }] });
    return kTarget.lastIndex - this.at;
  }

  takeUrl(pattern, group) {
    pattern.lastIndex = this.at;
    if (!this.links || kLetter.test(this.text[this.at - 1] ?? " ")) return 0;
    const found = pattern.exec(this.text);
    if (found === null) return 0;
    let url = found[group];
    let length = found[0].length;
    if (group === 0) {
      url = withoutTail(url);
      length = url.length;
    }
    if (safeUrl(url) === null) return 0;
    this.marks.add({ type: "link", href: url, children: [{ type: "text", text: url }] });
    return length;
  }
}

// A sentence's end is none of the address's, nor is a parenthesis that opened before it.
function withoutTail(url) {
  const bare = url.replace(/[.,;:!?]+$/, "");
  return bare.endsWith(")") && !bare.includes("(") ? bare.replace(/\)+[.,;:!?)]*$/, "") : bare;
}

export function parseInline(text) {
  return new Inline(text, true).parse();
}
