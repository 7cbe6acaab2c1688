// Elements out of a parsed text. Text goes into text nodes only.
import { copyButton, element } from "./dom.mjs";
import { parseMarkdown } from "./markdown.mjs";
import { say } from "./words.mjs";

const kTags = { strong: "strong", em: "em", strike: "s" };

function inlineNodes(nodes) {
  return nodes.map((node) => {
    switch (node.type) {
      case "text":
        return document.createTextNode(node.text);
      case "break":
        return element("br");
      case "code":
        return element("code", {}, node.text);
      case "link":
        return element(
          "a",
          { href: node.href, target: "_blank", rel: "noopener noreferrer nofollow" },
          ...inlineNodes(node.children),
        );
      default:
        return element(kTags[node.type], {}, ...inlineNodes(node.children));
    }
  });
}

function codeBlock({ language, text }) {
  return element(
    "figure",
    { class: "code" },
    element(
      "figcaption",
      {},
      element("span", {}, language),
      copyButton(say("copy"), say("copied"), () => text),
    ),
    element("pre", { tabindex: "0" }, element("code", {}, text)),
  );
}

// An item of one paragraph needs none around it.
function listItem(blocks) {
  const [first, ...others] = blocks;
  if (first?.type !== "paragraph") return element("li", {}, ...blocks.map(blockElement));
  const tight = others.every((block) => block.type === "list");
  const start = tight ? inlineNodes(first.children) : [blockElement(first)];
  return element("li", {}, ...start, ...others.map(blockElement));
}

function table({ align, head, rows }) {
  const row = (tag, texts) =>
    element("tr", {}, ...texts.map((text, i) => element(tag, { class: `to-${align[i]}` }, ...inlineNodes(text))));
  return element(
    "div",
    { class: "table", tabindex: "0" },
    element(
      "table",
      {},
      element("thead", {}, row("th", head)),
      element("tbody", {}, ...rows.map((texts) => row("td", texts))),
    ),
  );
}

function blockElement(block) {
  switch (block.type) {
    case "paragraph":
      return element("p", {}, ...inlineNodes(block.children));
    case "heading":
      // The page's own headings stand above these.
      return element(`h${Math.min(block.level + 2, 6)}`, { class: `level-${block.level}` }, ...inlineNodes(block.children));
    case "code":
      return codeBlock(block);
    case "quote":
      return element("blockquote", {}, ...block.blocks.map(blockElement));
    case "list":
      return block.ordered
        ? element("ol", { start: block.start }, ...block.items.map(listItem))
        : element("ul", {}, ...block.items.map(listItem));
    case "table":
      return table(block);
    default:
      return element("hr");
  }
}

// Shows a text that grows: blocks that are as they were stay, and with them what the reader selected or scrolled.
export class MarkdownView {
  constructor() {
    this.element = element("div", { class: "markdown" });
    this.sources = [];
  }

  show(text) {
    const blocks = parseMarkdown(text);
    let same = 0;
    while (same < blocks.length && this.sources[same] === blocks[same].source) ++same;
    while (this.element.children.length > same) this.element.lastElementChild.remove();
    this.element.append(...blocks.slice(same).map(blockElement));
    this.sources = blocks.map((block) => block.source);
  }
}
