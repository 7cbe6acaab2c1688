// Fields in which messages are written.
import { element } from "./dom.mjs";
import { say } from "./words.mjs";

// Enter that ends a syllable of Hangul, or picks a candidate, is the input method's: it says so by isComposing, Safari
// by the key code alone. On keyboards of glass, which have no Shift+Enter, Enter is a new line.
export function sends(event, glass) {
  if (event.key !== "Enter" || event.isComposing || event.keyCode === 229) return false;
  if (event.ctrlKey || event.metaKey) return true;
  return !event.shiftKey && !event.altKey && !glass;
}

export function hasGlassKeyboard() {
  return matchMedia("(pointer: coarse)").matches && !matchMedia("(any-pointer: fine)").matches;
}

// As high as its text, within what the style allows.
export function fitHeight(area) {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + area.offsetHeight - area.clientHeight}px`;
}

// Makes a field of `area`: `send` gets its text, but for an empty one, and says whether it was taken.
export function composeIn(area, send) {
  const submit = () => {
    if (area.value.trim() !== "" && send(area.value.trim())) {
      area.value = "";
      fitHeight(area);
    }
  };
  area.addEventListener("input", () => fitHeight(area));
  area.addEventListener("keydown", (event) => {
    if (!sends(event, hasGlassKeyboard())) return;
    event.preventDefault();
    submit();
  });
  return submit;
}

// A field in a message's place, for another version of it.
export function messageEditor(text, send, cancel) {
  const area = element("textarea", { class: "edit", rows: 1, "aria-label": say("edit") });
  area.value = text;
  const submit = composeIn(area, send);
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing) return;
    event.stopPropagation();
    cancel();
  });
  const buttons = element(
    "div",
    { class: "buttons" },
    element("button", { type: "button", class: "quiet", on: { click: cancel } }, say("cancel")),
    element("button", { type: "button", class: "strong", on: { click: submit } }, say("send")),
  );
  return {
    element: element("div", { class: "editor" }, area, buttons),
    focus() {
      fitHeight(area);
      area.focus();
    },
  };
}
