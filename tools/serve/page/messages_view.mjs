// A conversation as it is read.
import { messageEditor } from "./composer.mjs";
import { versions } from "./conversations.mjs";
import { copyButton, element, iconButton } from "./dom.mjs";
import { figureTexts } from "./figures.mjs";
import { MarkdownView } from "./markdown_view.mjs";
import { say } from "./words.mjs";

// `act` has what buttons do: edit(message, text), regenerate(message), show(message), keepSeed(seed), reply(), retry().
export class MessagesView {
  constructor(place, act) {
    this.place = place;
    this.act = act;
    this.views = new Map(); // by the message's id
  }

  // `state`: {conversation, path, writing: the message that is being written or null, failure: a text or null, context}
  show(state) {
    this.state = state;
    const shown = state.path.map((message) => this.messageElement(message));
    this.views = new Map(shown.map((view) => [view.message.id, view]));
    this.place.replaceChildren(...shown.map((view) => view.element), ...this.ends());
    this.place.classList.toggle("empty", state.path.length === 0);
    if (state.path.length === 0) this.place.append(greeting());
  }

  // Once a frame at most, while a reply is being written.
  grow(message) {
    const view = this.views.get(message.id);
    if (view === undefined) return;
    view.showText();
    view.showFigures();
  }

  // Behind the last message: what went wrong, or that a reply is missing.
  ends() {
    const { failure, writing, path } = this.state;
    const button = (key, click) => element("button", { type: "button", class: "strong", on: { click } }, say(key));
    if (failure !== null) {
      return [element("div", { class: "failure", role: "alert" }, element("p", {}, failure), button("tryAgain", this.act.retry))];
    }
    const unanswered = writing === null && path.at(-1)?.role === "user";
    return unanswered ? [element("div", { class: "missing" }, button("getReply", this.act.reply))] : [];
  }

  messageElement(message) {
    return message.role === "user" ? this.userMessage(message) : this.reply(message);
  }

  userMessage(message) {
    const text = element("div", { class: "text" }, message.content);
    const article = element("article", { class: "message user", "aria-label": say("you") }, text);
    const footer = this.footer(message, [
      copyButton(say("copy"), say("copied"), () => message.content),
      iconButton("edit", say("edit"), () => this.edit(message, article), { disabled: this.state.writing !== null }),
    ]);
    article.append(footer);
    return { element: article, message, showText() {}, showFigures() {} };
  }

  edit(message, article) {
    const cancel = () => this.show(this.state);
    const editor = messageEditor(message.content, (text) => this.act.edit(message, text), cancel);
    article.classList.add("edited");
    article.replaceChildren(editor.element);
    editor.focus();
  }

  reply(message) {
    const writing = this.state.writing === message;
    const thoughts = element("div", { class: "thoughts" });
    const summary = element("summary");
    const details = element("details", { class: "reasoning" }, summary, thoughts);
    const markdown = new MarkdownView();
    const waiting = element("p", { class: "waiting" }, writing ? say("writing") : say("emptyReply"));
    const figures = element("span", { class: "figures" });
    const showText = () => {
      const reasoning = message.reasoning ?? "";
      details.hidden = reasoning === "";
      summary.textContent = writing && message.content === "" ? say("thinking") : say("thoughts");
      thoughts.textContent = reasoning;
      markdown.show(message.content);
      waiting.hidden = message.content !== "" || (writing && reasoning !== "");
    };
    const showFigures = () => {
      figures.replaceChildren(...this.figureElements(message));
    };
    showText();
    showFigures();
    const buttons = writing ? [] : [
      copyButton(say("copy"), say("copied"), () => message.content),
      iconButton("again", say("regenerate"), () => this.act.regenerate(message), { disabled: this.state.writing !== null }),
    ];
    const article = element(
      "article",
      { class: writing ? "message reply writing" : "message reply", "aria-label": say("model"), "aria-busy": writing },
      details, markdown.element, waiting, this.footer(message, buttons, figures),
    );
    return { element: article, message, showText, showFigures };
  }

  figureElements(message) {
    const texts = figureTexts(message, this.state.context).map((text) => element("span", {}, text));
    if (message.seed === undefined) return texts;
    const keep = () => this.act.keepSeed(message.seed);
    const seed = say("seed", { seed: message.seed });
    return [...texts, element("button", { type: "button", class: "seed", title: say("keepSeed"), on: { click: keep } }, seed)];
  }

  footer(message, buttons, ...others) {
    return element("footer", {}, this.versionSwitch(message), element("span", { class: "actions" }, ...buttons), ...others);
  }

  // ‹ 2/3 ›, where there is more than one.
  versionSwitch(message) {
    const all = versions(this.state.conversation, message);
    if (all.length < 2) return null;
    const at = all.indexOf(message);
    const step = (icon, key, to) =>
      iconButton(icon, say(key), () => this.act.show(all[to]), { disabled: all[to] === undefined || this.state.writing !== null });
    return element(
      "span",
      { class: "versions" },
      step("back", "earlier", at - 1), `${at + 1}/${all.length}`, step("forward", "later", at + 1),
    );
  }
}

function greeting() {
  return element(
    "div",
    { class: "greeting" },
    element("h2", {}, say("empty")),
    element("p", {}, say("emptyHint")),
    element("p", { class: "keys" }, say("keysHint")),
  );
}
