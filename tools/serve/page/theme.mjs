// Light, dark, or as the system has it.
import { byId, icon } from "./dom.mjs";
import { say } from "./words.mjs";

const kThemes = ["auto", "light", "dark"];

export function followTheme(storage) {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const button = byId("theme");
  let theme = kThemes.includes(storage.read("theme")) ? storage.read("theme") : "auto";
  const show = () => {
    const isDark = theme === "dark" || (theme === "auto" && dark.matches);
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
    button.replaceChildren(icon(`theme-${theme}`));
    button.title = say("theme", { theme: say(theme) });
    button.setAttribute("aria-label", button.title);
  };
  button.addEventListener("click", () => {
    theme = kThemes[(kThemes.indexOf(theme) + 1) % kThemes.length];
    storage.write("theme", theme);
    show();
  });
  dark.addEventListener("change", show);
  show();
}
