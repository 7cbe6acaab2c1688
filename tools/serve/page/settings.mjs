// How replies are drawn. A setting that is missing is the server's.

// `standard`: what the server does without it, a number or one of words.mjs.
export const kSettings = [
  { name: "temperature", least: 0, most: 100, step: 0.05, standard: 1 },
  { name: "top_p", least: 0, most: 1, step: 0.01, standard: "off" },
  { name: "top_k", least: 0, most: 1e6, step: 1, standard: "off" },
  { name: "min_p", least: 0, most: 1, step: 0.01, standard: "off" },
  { name: "repeat_penalty", least: 0.1, most: 100, step: 0.05, standard: "off" },
  { name: "max_tokens", least: 1, most: 1e6, step: 1, standard: "noLimit" },
  { name: "seed", least: 0, most: Number.MAX_SAFE_INTEGER, step: 1, standard: "random" },
];

// What a field holds: a number, null for an empty one, undefined for what is none of the setting's.
export function readNumber(setting, text) {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  const number = Number(trimmed);
  const whole = setting.step === 1;
  if (!Number.isFinite(number) || number < setting.least || number > setting.most) return undefined;
  return whole && !Number.isInteger(number) ? undefined : number;
}

// Of stored text, which may be anything.
export function readSettings(text) {
  let stored = null;
  try {
    stored = JSON.parse(text ?? "null");
  } catch {
    // as if there were none
  }
  const settings = {};
  for (const setting of kSettings) {
    const value = stored?.[setting.name];
    if (typeof value === "number" && readNumber(setting, String(value)) === value) settings[setting.name] = value;
  }
  return settings;
}

// The body of a request for the next message behind `path`, a conversation's messages from the first on.
export function requestFor(model, system, path, settings) {
  const messages = path.map(({ role, content }) => ({ role, content }));
  if (system.trim() !== "") messages.unshift({ role: "system", content: system });
  return { model, messages, ...settings };
}
