// Words for what went wrong.
import { say } from "./words.mjs";

export function failureText(error) {
  switch (error.kind) {
    case "busy":
      return say("busy", { seconds: error.retryAfter || 1 });
    case "ending":
      return say("ending");
    case "key":
      return say("keyWanted");
    case "too-long":
      return say("tooLong");
    case "unreachable":
      return say("unreachable");
    case "broke-off":
      return say("brokeOff");
    default:
      return say("refused", { status: error.status ?? "?", message: error.message });
  }
}
