// The list of conversations.
import { element, iconButton } from "./dom.mjs";
import { say } from "./words.mjs";

export function shownTitle(conversation) {
  return conversation.title === "" ? say("untitled") : conversation.title;
}

// `act`: open(conversation), rename(conversation, title), exportOne(conversation), remove(conversation).
export class Sidebar {
  constructor(list, act) {
    this.list = list;
    this.act = act;
  }

  // `busy`: has(id) of those that are being written.
  show(conversations, current, busy) {
    if (this.list.querySelector("input") !== null) return; // a title is being written
    this.list.replaceChildren(...conversations.map((conversation) => this.entry(conversation, current, busy)));
  }

  entry(conversation, current, busy) {
    const isCurrent = conversation.id === current.id;
    const open = element(
      "button",
      { type: "button", class: "open", "aria-current": isCurrent ? "true" : null, on: { click: () => this.act.open(conversation) } },
      shownTitle(conversation),
    );
    const entry = element(
      "li",
      { class: busy.has(conversation.id) ? "busy" : null },
      open,
      element(
        "span",
        { class: "actions" },
        iconButton("edit", say("rename"), () => this.rename(conversation, entry)),
        iconButton("export", say("exportOne"), () => this.act.exportOne(conversation)),
        iconButton("remove", say("remove"), () => this.act.remove(conversation)),
      ),
    );
    return entry;
  }

  rename(conversation, entry) {
    const input = element("input", { type: "text", maxlength: 200, "aria-label": say("rename") });
    input.value = shownTitle(conversation);
    let over = false;
    const end = (title) => {
      if (over) return;
      over = true;
      input.remove();
      this.act.rename(conversation, title);
    };
    input.addEventListener("keydown", (event) => {
      if (event.isComposing || event.keyCode === 229) return;
      if (event.key === "Escape") event.stopPropagation();
      if (event.key === "Enter") end(input.value.trim());
      else if (event.key === "Escape") end("");
    });
    input.addEventListener("blur", () => end(input.value.trim()));
    entry.replaceChildren(input);
    input.select();
    input.focus();
  }
}
