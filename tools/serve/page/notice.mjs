// A line at the page's foot that goes away by itself.
import { byId, element } from "./dom.mjs";

const kMilliseconds = 8000;
let timer = 0;

// With a button where there is something to do.
export function notice(text, label = null, click = null) {
  const place = byId("notice");
  const hide = () => {
    place.hidden = true;
  };
  const act = () => {
    hide();
    click();
  };
  const button = label === null ? null : element("button", { type: "button", on: { click: act } }, label);
  place.replaceChildren(element("span", {}, text), ...(button === null ? [] : [button]));
  place.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(hide, kMilliseconds);
}
