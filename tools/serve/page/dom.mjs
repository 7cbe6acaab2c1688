// Elements of the page. Text becomes text nodes, so that nothing of a reply is ever read as HTML.

const kSvg = "http://www.w3.org/2000/svg";

// Properties: `class`, `on` ({event: listener}), and attributes; false, null and undefined ones are left out.
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    } else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, value === true ? "" : value);
    }
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// One of the drawings in index.html.
export function icon(name) {
  const svg = document.createElementNS(kSvg, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(kSvg, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

export function iconButton(name, label, click, properties = {}) {
  return element(
    "button",
    { type: "button", class: "icon-button", title: label, "aria-label": label, on: { click }, ...properties },
    icon(name),
  );
}

export function byId(id) {
  return document.getElementById(id);
}

// navigator.clipboard is there on https and on this machine's own addresses only.
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = element("textarea", { class: "hidden", readonly: true });
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}

// A button that copies what `text` returns and says for a moment that it did.
export function copyButton(label, done, text) {
  const button = iconButton("copy", label, async () => {
    if (!(await copyText(text()))) return;
    button.replaceChildren(icon("check"));
    button.setAttribute("aria-label", done);
    setTimeout(() => {
      button.replaceChildren(icon("copy"));
      button.setAttribute("aria-label", label);
    }, 1500);
  });
  return button;
}
