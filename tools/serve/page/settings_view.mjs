// The dialog of settings: the system prompt, how replies are drawn, and the key.
import { byId, element } from "./dom.mjs";
import { kSettings, readNumber } from "./settings.mjs";
import { say } from "./words.mjs";

function label(name) {
  return say(name === "seed" ? "seedField" : name);
}

function standard(setting) {
  return typeof setting.standard === "number" ? String(setting.standard) : say(setting.standard);
}

// `changed(settings)` is called as fields change; those that hold no such number are marked and count as empty.
export class SettingsView {
  constructor(changed) {
    this.fields = kSettings.map((setting) => this.field(setting, changed));
    byId("sampling").append(...this.fields.map((field) => field.element));
    byId("restore").addEventListener("click", () => {
      this.show({});
      changed({});
    });
  }

  field(setting, changed) {
    const input = element("input", {
      type: "text",
      inputmode: setting.step === 1 ? "numeric" : "decimal",
      autocomplete: "off",
      name: setting.name,
      placeholder: standard(setting),
      title: `${setting.least} – ${setting.most}`,
    });
    input.addEventListener("input", () => {
      const good = readNumber(setting, input.value) !== undefined;
      input.setAttribute("aria-invalid", String(!good));
      changed(this.read());
    });
    return { setting, input, element: element("label", {}, element("span", {}, label(setting.name)), input) };
  }

  show(settings) {
    for (const { setting, input } of this.fields) {
      input.value = settings[setting.name] ?? "";
      input.removeAttribute("aria-invalid");
    }
  }

  read() {
    const settings = {};
    for (const { setting, input } of this.fields) {
      const number = readNumber(setting, input.value);
      if (typeof number === "number") settings[setting.name] = number;
    }
    return settings;
  }
}
