// Settings, requests, streams, and words for what came of them.
import assert from "node:assert/strict";
import test from "node:test";

import { errorOf, readChunk, ServerError, streamReply } from "../../../tools/serve/page/api.mjs";
import { sends } from "../../../tools/serve/page/composer.mjs";
import { eventReader } from "../../../tools/serve/page/event_stream.mjs";
import { figuresOf, figuresSoFar, figureTexts } from "../../../tools/serve/page/figures.mjs";
import { kSettings, readNumber, readSettings, requestFor } from "../../../tools/serve/page/settings.mjs";
import { kLanguages, languageOf, say, wordsOf } from "../../../tools/serve/page/words.mjs";

test("events, cut anywhere, with any line ends", () => {
  const stream = ": hello\n\ndata: {\"a\":1}\n\ndata:b\r\ndata: c\r\n\r\nid: 4\ndata: [DONE]\n\n";
  for (let cut = 0; cut <= stream.length; ++cut) {
    const read = eventReader();
    const events = [...read(stream.slice(0, cut)), ...read(stream.slice(cut))];
    assert.deepEqual(events, ['{"a":1}', "b\nc", "[DONE]"], `cut at ${cut}`);
  }
});

test("an event that is not whole is none", () => {
  assert.deepEqual(eventReader()("data: x\n"), []);
});

// A server of one answer.
async function replyOf(response) {
  const chunks = [];
  const real = globalThis.fetch;
  globalThis.fetch = async () => response;
  try {
    await streamReply({}, "", undefined, (chunk) => chunks.push(chunk));
  } finally {
    globalThis.fetch = real;
  }
  return chunks;
}

test("a reply is read to its end", async () => {
  const delta = (text) => `data: {"choices":[{"delta":{"content":"${text}"},"finish_reason":null}]}\n\n`;
  const end = 'data: {"choices":[{"delta":{},"finish_reason":"stop"}],"seed":5,"timings":{"predicted_n":2}}\n\ndata: [DONE]\n\n';
  const chunks = await replyOf(new Response(delta("안") + delta("녕") + end));
  assert.equal(chunks.map(({ content }) => content).join(""), "안녕");
  assert.equal(chunks.at(-1).finish, "stop");
  assert.equal(chunks.at(-1).seed, 5);
  await assert.rejects(replyOf(new Response(delta("a"))), { kind: "broke-off" });
  await assert.rejects(replyOf(new Response('data: {"error":{"message":"oh"}}\n\n')), { kind: "refused", message: "oh" });
});

test("what a server refuses has a kind", async () => {
  const refusal = (status, error, headers = {}) => errorOf(new Response(JSON.stringify({ error }), { status, headers }));
  assert.equal((await refusal(401, {})).kind, "key");
  const busy = await refusal(429, { message: "full" }, { "Retry-After": "2" });
  assert.deepEqual([busy.kind, busy.retryAfter, busy.message], ["busy", 2, "full"]);
  assert.equal((await refusal(503, {})).kind, "ending");
  assert.equal((await refusal(400, { code: "context_length_exceeded" })).kind, "too-long");
  assert.equal((await errorOf(new Response("<html>", { status: 502 }))).kind, "refused");
  assert.throws(() => readChunk('{"error":{}}'), ServerError);
});

test("settings are numbers within their bounds", () => {
  const [temperature, topK] = ["temperature", "top_k"].map((name) => kSettings.find((setting) => setting.name === name));
  assert.equal(readNumber(temperature, " 0.7 "), 0.7);
  assert.equal(readNumber(temperature, ""), null);
  assert.equal(readNumber(temperature, "-1"), undefined);
  assert.equal(readNumber(temperature, "hot"), undefined);
  assert.equal(readNumber(topK, "40"), 40);
  assert.equal(readNumber(topK, "1.5"), undefined);
  assert.deepEqual(readSettings('{"top_p":0.9,"top_k":"x","seed":-1,"other":1,"temperature":0}'), { top_p: 0.9, temperature: 0 });
  assert.deepEqual(readSettings("{"), {});
  assert.deepEqual(readSettings(null), {});
});

test("a request has the system prompt first, and of messages only what the server reads", () => {
  const path = [{ id: "a", role: "user", content: "hi", figures: {} }];
  assert.deepEqual(requestFor("m", "be kind", path, { top_k: 3 }), {
    model: "m", top_k: 3,
    messages: [{ role: "system", content: "be kind" }, { role: "user", content: "hi" }],
  });
  assert.equal(requestFor("m", "  ", path, {}).messages.length, 1);
});

test("Enter sends, but not what an input method is composing", () => {
  const enter = { key: "Enter", keyCode: 13, isComposing: false, shiftKey: false, altKey: false, ctrlKey: false, metaKey: false };
  assert.equal(sends(enter, false), true);
  assert.equal(sends({ ...enter, isComposing: true }, false), false);
  assert.equal(sends({ ...enter, keyCode: 229 }, false), false);
  assert.equal(sends({ ...enter, shiftKey: true }, false), false);
  assert.equal(sends({ ...enter, key: "a" }, false), false);
  assert.equal(sends(enter, true), false, "keyboards of glass have no Shift+Enter");
  assert.equal(sends({ ...enter, ctrlKey: true }, true), true);
});

test("figures", () => {
  const figures = figuresOf({ prompt_n: 4, cache_n: 6, predicted_n: 20, predicted_per_second: 312.4, waiting_ms: 1500 });
  assert.deepEqual(figureTexts({ ended: "stop", figures }, 512),
    ["20 tokens", "312 tok/s", "prompt 10, 6 of them cached", "context 30 of 512", "waited 1.5 s"]);
  assert.deepEqual(figureTexts({ ended: "length", figures }, 30)[0], "cut: the context is full");
  assert.deepEqual(figureTexts({ ended: "length", figures }, 512)[0], "cut at max_tokens");
  assert.deepEqual(figureTexts({ ended: "aborted", figures: figuresSoFar(11, 2) }, 512), ["stopped", "≈ 11 tokens", "5.0 tok/s"]);
  assert.deepEqual(figureTexts({}, 512), []);
});

test("every language says everything, with the same gaps", () => {
  const gaps = (text) => (text.match(/\{\w+\}/g) ?? []).sort();
  for (const language of kLanguages) {
    assert.deepEqual(Object.keys(wordsOf(language)), Object.keys(wordsOf("en")));
    for (const [key, text] of Object.entries(wordsOf(language))) assert.deepEqual(gaps(text), gaps(wordsOf("en")[key]), key);
  }
  assert.equal(languageOf("ko-KR"), "ko");
  assert.equal(languageOf("de"), "en");
  assert.equal(say("tokens", { count: 3 }, "ko"), "토큰 3개");
});
