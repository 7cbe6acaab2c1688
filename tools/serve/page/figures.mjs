// What a reply cost, and what it takes to get it again.
import { say } from "./words.mjs";

// Of the timings that the server sends at a reply's end.
export function figuresOf(timings) {
  return {
    prompt: timings.prompt_n + timings.cache_n,
    cached: timings.cache_n,
    tokens: timings.predicted_n,
    speed: timings.predicted_per_second,
    waited: timings.waiting_ms / 1e3,
  };
}

// Of pieces that came so far; `seconds` since the first. A piece is a token, but for those that end within a character.
export function figuresSoFar(pieces, seconds) {
  return { about: pieces, speed: pieces > 1 && seconds > 0 ? (pieces - 1) / seconds : 0 };
}

function speedText(speed) {
  return speed < 10 ? speed.toFixed(1) : String(Math.round(speed));
}

export function endText(message, figures, context) {
  switch (message.ended) {
    case "aborted":
      return say("stopped");
    case "broken":
      return say("brokenOff");
    case "length":
      return say(context > 0 && figures.prompt + figures.tokens >= context ? "cutByContext" : "cutByLimit");
    default:
      return null;
  }
}

// Short texts, in the order in which they are shown; `context`: tokens that the model holds, 0: not known.
export function figureTexts(message, context) {
  const figures = message.figures ?? {};
  const texts = [endText(message, figures, context)];
  if (figures.tokens !== undefined) texts.push(say("tokens", { count: figures.tokens }));
  if (figures.about !== undefined) texts.push(say("tokensAbout", { count: figures.about }));
  if (figures.speed > 0) texts.push(say("speed", { speed: speedText(figures.speed) }));
  if (figures.prompt !== undefined) {
    const key = figures.cached > 0 ? "promptCached" : "prompt";
    texts.push(say(key, { count: figures.prompt, cached: figures.cached }));
    const used = figures.prompt + figures.tokens;
    if (context > 0) texts.push(say("contextUse", { used, all: context }));
  }
  if (figures.waited >= 0.5) texts.push(say("waited", { seconds: figures.waited.toFixed(1) }));
  return texts.filter((text) => text !== null);
}
