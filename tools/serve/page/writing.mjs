// A reply that is being written.
import { streamReply } from "./api.mjs";
import { figuresOf, figuresSoFar } from "./figures.mjs";

export class Writing {
  constructor(message) {
    this.message = message;
    this.controller = new AbortController();
    this.pieces = 0;
    this.began = 0; // milliseconds, at the first piece
  }

  stop() {
    this.controller.abort();
  }

  // Until the reply's end, with `grown` called at each piece. Returns what went wrong, or null; stopping is not wrong.
  async run(request, key, grown) {
    const { message } = this;
    try {
      await streamReply(request, key, this.controller.signal, (chunk) => {
        this.take(chunk);
        grown();
      });
      return null;
    } catch (error) {
      message.ended = error.name === "AbortError" ? "aborted" : "broken";
      return message.ended === "aborted" ? null : error;
    }
  }

  take({ content, reasoning, finish, seed, timings }) {
    const { message } = this;
    message.content += content;
    if (reasoning !== "") message.reasoning = (message.reasoning ?? "") + reasoning;
    if (content !== "" || reasoning !== "") {
      if (++this.pieces === 1) this.began = performance.now();
      message.figures = figuresSoFar(this.pieces, (performance.now() - this.began) / 1e3);
    }
    if (finish !== null) message.ended = finish;
    if (seed !== undefined) message.seed = seed;
    if (timings !== undefined) message.figures = figuresOf(timings);
  }
}
