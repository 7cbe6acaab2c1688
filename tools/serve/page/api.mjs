// Requests to the server that this page came from.
import { eventReader } from "./event_stream.mjs";

// kind: "key" (one is wanted, or another one), "busy", "ending", "too-long", "unreachable", "broke-off", or "refused".
export class ServerError extends Error {
  constructor(kind, message, details = {}) {
    super(message);
    this.kind = kind;
    this.status = details.status ?? 0;
    this.retryAfter = details.retryAfter ?? 0; // seconds
  }
}

function kindOf(status, code) {
  if (status === 401) return "key";
  if (status === 429) return "busy";
  if (status === 503) return "ending";
  return code === "context_length_exceeded" ? "too-long" : "refused";
}

export async function errorOf(response) {
  const text = await response.text().catch(() => "");
  let error = {};
  try {
    error = JSON.parse(text).error ?? {};
  } catch {
    // Not the server's own: a proxy's page, say.
  }
  return new ServerError(kindOf(response.status, error.code), error.message ?? response.statusText, {
    status: response.status,
    retryAfter: Number(response.headers.get("Retry-After")) || 0,
  });
}

async function ask(path, key, options) {
  const headers = { ...options.headers };
  if (key !== "") headers.Authorization = `Bearer ${key}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("unreachable", error.message);
  }
  if (!response.ok) throw await errorOf(response);
  return response;
}

// {name, context}: what the server runs, and how many tokens that holds.
export async function readModel(key) {
  const response = await ask("/v1/models", key, {});
  const model = (await response.json()).data[0];
  return { name: model.id, context: model.meta?.n_ctx ?? 0 };
}

// A chunk's part in a reply: {content, reasoning, finish, seed, timings}, each of them only where it has one.
export function readChunk(text) {
  const chunk = JSON.parse(text);
  if (chunk.error) throw new ServerError("refused", chunk.error.message ?? "", { status: 500 });
  const choice = chunk.choices?.[0] ?? {};
  return {
    content: choice.delta?.content ?? "",
    reasoning: choice.delta?.reasoning_content ?? "",
    finish: choice.finish_reason ?? null,
    seed: chunk.seed,
    timings: chunk.timings,
  };
}

// Calls `take` with each chunk. Throws ServerError, and AbortError once `signal` says so.
export async function streamReply(request, key, signal, take) {
  const response = await ask("/v1/chat/completions", key, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...request, stream: true }),
    signal,
  });
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  const read = eventReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      for (const event of read(decoder.decode(value, { stream: true }))) {
        if (event === "[DONE]") return;
        take(readChunk(event));
      }
    }
  } catch (error) {
    if (error.name === "AbortError" || error instanceof ServerError) throw error;
    throw new ServerError("broke-off", error.message);
  }
  throw new ServerError("broke-off", "the stream ended without [DONE]");
}
