// Markdown as models write it: CommonMark's paragraphs, headings, lists, quotes, fenced code and rules, and GitHub's tables.
// Left out, since models mean something else by them: indented code, underlined headings, HTML. A line's end is a break.
//
// Blocks: {type: "paragraph", children}, "heading" (level, children), "code" (language, text), "quote" (blocks), "list"
// (ordered, start, items: lists of blocks), "table" (align, head, rows: cells that are lists of inline nodes), "rule".
// Those of the outermost level also have `source`, their lines.
import { parseInline } from "./markdown_inline.mjs";

const kDeepestBlocks = 8; // quotes and lists within each other
const kMostColumns = 64;
const kFence = /^ {0,3}(`{3,}|~{3,})[ \t]*([^`]*)$/;
const kHeading = /^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$/;
const kRule = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const kQuote = /^ {0,3}> ?/;
const kItem = /^( *)([-*+]|\d{1,9}[.)])( {1,4}(?=\S)| *$| +)/;
const kDelimiterRow = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

function isBlank(line) {
  return line.trim() === "";
}

function indentOf(line) {
  return line.length - line.trimStart().length;
}

// Whether it ends a paragraph above it. As in CommonMark, of numbered lists only one that begins with 1 does.
function startsBlock(line) {
  const item = kItem.exec(line);
  const begins = item !== null && !isBlank(line.slice(item[0].length)) && (!/^\d/.test(item[2]) || /^1[.)]/.test(item[2]));
  return begins || kFence.test(line) || kHeading.test(line) || kRule.test(line) || kQuote.test(line);
}

// Whether a line below it that is not indented may be of the same paragraph.
function continuesText(line) {
  return line !== "" && !kFence.test(line) && !kHeading.test(line);
}

// The fence that is open behind a line; null: none.
function fenceBehind(open, line) {
  const mark = kFence.exec(line)?.[1];
  if (mark === undefined) return open;
  if (open === null) return mark;
  return mark[0] === open[0] && mark.length >= open.length ? null : open;
}

class Blocks {
  constructor(lines, depth) {
    this.lines = lines;
    this.depth = depth;
    this.at = 0;
  }

  parse() {
    const blocks = [];
    while (this.at < this.lines.length) {
      const first = this.at;
      const block = this.next();
      if (block === null) continue;
      if (this.depth === 0) block.source = this.lines.slice(first, this.at).join("\n");
      blocks.push(block);
    }
    return blocks;
  }

  // null: an empty line.
  next() {
    const line = this.lines[this.at];
    if (isBlank(line)) {
      ++this.at;
      return null;
    }
    return this.code(line) ?? this.heading(line) ?? this.rule(line) ?? this.nested(line) ?? this.table(line) ?? this.paragraph();
  }

  nested(line) {
    if (this.depth >= kDeepestBlocks) return null;
    return this.quote(line) ?? this.list(line);
  }

  // Without an end it goes on to the last line: so it looks while it is being written.
  code(line) {
    const fence = kFence.exec(line);
    if (fence === null) return null;
    const indent = indentOf(line);
    const closing = new RegExp(`^ {0,3}${fence[1][0]}{${fence[1].length},}[ \\t]*$`);
    const text = [];
    for (++this.at; this.at < this.lines.length; ++this.at) {
      const inner = this.lines[this.at];
      if (closing.test(inner)) {
        ++this.at;
        break;
      }
      text.push(inner.slice(Math.min(indent, indentOf(inner))));
    }
    return { type: "code", language: fence[2].trim().split(/\s/)[0], text: text.join("\n") };
  }

  heading(line) {
    const heading = kHeading.exec(line);
    if (heading === null) return null;
    ++this.at;
    return { type: "heading", level: heading[1].length, children: parseInline(heading[2] ?? "") };
  }

  rule(line) {
    if (!kRule.test(line)) return null;
    ++this.at;
    return { type: "rule" };
  }

  quote(line) {
    if (!kQuote.test(line)) return null;
    const inner = [];
    for (; this.at < this.lines.length; ++this.at) {
      const next = this.lines[this.at];
      if (kQuote.test(next)) inner.push(next.replace(kQuote, ""));
      else if (isBlank(next) || startsBlock(next)) break;
      else inner.push(next);
    }
    return { type: "quote", blocks: new Blocks(inner, this.depth + 1).parse() };
  }

  list(line) {
    const first = kItem.exec(line);
    if (first === null || kRule.test(line)) return null;
    const mark = first[2].at(-1);
    const ordered = /^\d/.test(first[2]);
    const items = [];
    while (this.at < this.lines.length) {
      const item = kItem.exec(this.lines[this.at]);
      const another = item !== null && item[2].at(-1) === mark && item[1].length < first[1].length + 2;
      if (!another || kRule.test(this.lines[this.at])) break;
      items.push(new Blocks(this.itemLines(item), this.depth + 1).parse());
      this.skipBlankBeforeItem();
    }
    return { type: "list", ordered, start: ordered ? Number.parseInt(first[2], 10) : 1, items };
  }

  // Models indent what belongs to an item by two spaces as often as by the width of its mark: both do.
  itemLines(item) {
    const outer = item[1].length;
    const width = item[0].length;
    const inner = [this.lines[this.at].slice(width)];
    let fence = kFence.exec(inner[0])?.[1] ?? null;
    for (++this.at; this.at < this.lines.length; ++this.at) {
      const line = this.lines[this.at];
      const belongs = indentOf(line) >= outer + 2;
      if (isBlank(line)) {
        if (!this.goesOn(outer)) break;
        inner.push("");
        continue;
      }
      const lazy = fence === null && continuesText(inner.at(-1)) && !startsBlock(line) && !kItem.test(line);
      if (!belongs && !lazy) break;
      const stripped = line.slice(Math.min(width, indentOf(line)));
      inner.push(stripped);
      fence = fenceBehind(fence, stripped);
    }
    return inner;
  }

  // Whether text of the item stands behind the empty lines here.
  goesOn(outer) {
    let next = this.at;
    while (next < this.lines.length && isBlank(this.lines[next])) ++next;
    return next < this.lines.length && indentOf(this.lines[next]) >= outer + 2;
  }

  skipBlankBeforeItem() {
    let next = this.at;
    while (next < this.lines.length && isBlank(this.lines[next])) ++next;
    if (next < this.lines.length && kItem.test(this.lines[next])) this.at = next;
  }

  table(line) {
    const delimiters = this.lines[this.at + 1];
    if (!line.includes("|") || delimiters === undefined || !kDelimiterRow.test(delimiters)) return null;
    const head = cells(line);
    const align = cells(delimiters).map(alignment);
    if (head.length !== align.length || head.length > kMostColumns) return null;
    const rows = [];
    for (this.at += 2; this.at < this.lines.length; ++this.at) {
      const row = this.lines[this.at];
      if (isBlank(row) || startsBlock(row)) break;
      const texts = cells(row);
      rows.push(align.map((_, i) => parseInline(texts[i] ?? "")));
    }
    return { type: "table", align, head: head.map(parseInline), rows };
  }

  paragraph() {
    const lines = [this.lines[this.at].trim()];
    for (++this.at; this.at < this.lines.length; ++this.at) {
      const line = this.lines[this.at];
      if (isBlank(line) || startsBlock(line)) break;
      lines.push(line.trim());
    }
    return { type: "paragraph", children: parseInline(lines.join("\n")) };
  }
}

// Between bars, but for those behind a backslash or in code.
function cells(row) {
  const inner = row.trim().replace(/^\|/, "");
  const texts = [""];
  let code = false;
  for (let i = 0; i < inner.length; ++i) {
    if (inner[i] === "\\" && inner[i + 1] === "|") texts[texts.length - 1] += inner[++i];
    else if (inner[i] === "|" && !code) texts.push("");
    else {
      if (inner[i] === "`") code = !code;
      texts[texts.length - 1] += inner[i];
    }
  }
  if (isBlank(texts.at(-1)) && texts.length > 1) texts.pop();
  return texts.map((text) => text.trim());
}

function alignment(delimiter) {
  if (!delimiter.endsWith(":")) return "left";
  return delimiter.startsWith(":") ? "center" : "right";
}

export function parseMarkdown(text) {
  const lines = text.replace(/\r\n?/g, "\n").replaceAll("\t", "    ").split("\n");
  return new Blocks(lines, 0).parse();
}
