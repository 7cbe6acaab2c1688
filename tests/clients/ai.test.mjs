import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateObject, generateText, jsonSchema, stepCountIs, streamObject, streamText, tool } from 'ai';
import { city, expectCity, expectIdle, generated, model, recorded, url } from './support.mjs';

const prompt = 'Tell me a story.';
const compatible = (settings = {}) => createOpenAICompatible({ name: 'llamajit', baseURL: `${url}/v1`, ...settings });
const chats = {
  'openai-compatible': compatible({ includeUsage: true, supportsStructuredOutputs: true })(model),
  'openai, chat': createOpenAI({ baseURL: `${url}/v1`, apiKey: 'none' }).chat(model),
};

for (const [name, chat] of Object.entries(chats)) {
  const ask = { model: chat, prompt, temperature: 0, maxRetries: 0 };

  test(`${name}: text`, async () => {
    const { text, finishReason, usage } = await generateText({ ...ask, maxOutputTokens: 16, system: 'Be kind.' });
    assert.equal(finishReason, 'length');
    assert.equal(usage.outputTokens, 16);
    const stream = streamText({ ...ask, maxOutputTokens: 16, system: 'Be kind.' });
    const pieces = [];
    for await (const piece of stream.textStream) pieces.push(piece);
    assert.equal(pieces.join(''), text);
    assert.ok(pieces.length > 5);
    assert.equal(await stream.finishReason, 'length');
    assert.equal((await stream.usage).outputTokens, 16);
  });

  test(`${name}: an object`, async () => {
    const { object } = await generateObject({ ...ask, schema: jsonSchema(city) });
    expectCity(object);
    const stream = streamObject({ ...ask, schema: jsonSchema(city) });
    let partial = 0;
    for await (const _ of stream.partialObjectStream) ++partial;
    assert.ok(partial > 1);
    assert.deepEqual(await stream.object, object);
  });

  test(`${name}: tools`, async () => {
    const asked = [];
    const execute = (it) => { asked.push(it); return { sky: 'blue' }; };
    const tools = { weather: tool({ description: 'Tells it', inputSchema: jsonSchema(city), execute }),
                    now: tool({ inputSchema: jsonSchema({ type: 'object', properties: {} }), execute: () => 'noon' }) };
    for (const toolChoice of ['required', { type: 'tool', toolName: 'weather' }]) {
      const { steps } = await generateText({ ...ask, tools, toolChoice, stopWhen: stepCountIs(2) });
      assert.deepEqual(steps.map((step) => [step.finishReason, step.toolCalls.length, step.toolResults.length]),
                       [['tool-calls', 1, 1], ['tool-calls', 1, 1]]);
      const stream = streamText({ ...ask, tools, toolChoice });
      const kinds = new Set();
      for await (const part of stream.fullStream) kinds.add(part.type);
      for (const kind of ['tool-input-start', 'tool-call', 'tool-result']) assert.ok(kinds.has(kind), kind);
      assert.ok(!kinds.has('error'));
      assert.equal((await stream.toolCalls)[0].toolName, steps[0].toolCalls[0].toolName);
    }
    assert.ok(asked.length >= 3);
    asked.forEach(expectCity);
  });
}

test('completions', async () => {
  const ask = { model: compatible().completionModel(model), prompt, temperature: 0, maxOutputTokens: 8, maxRetries: 0 };
  const { text } = await generateText(ask);
  let streamed = '';
  for await (const piece of streamText(ask).textStream) streamed += piece;
  assert.equal(streamed, text);
});

test('an error is told, once', async () => {
  const { fetch, statuses } = recorded();
  const wrong = { model: compatible({ fetch })('gpt-5'), prompt };
  await assert.rejects(generateText(wrong), (error) => {
    assert.ok(APICallError.isInstance(error));
    assert.match(error.message, /model.*story/);
    return true;
  });
  let told;
  await streamText({ ...wrong, onError: ({ error }) => { told = error; } }).consumeStream();
  assert.match(told.message, /model.*story/);
  assert.deepEqual(statuses, [404, 404]);
});

test('who aborts is written for no longer', async () => {
  const before = await generated();
  const control = new AbortController();
  const transformRequestBody = (body) => ({ ...body, ignore_eos: true, n: 16 });
  const stream = streamText({ model: compatible({ transformRequestBody })(model), prompt,
                              abortSignal: control.signal });
  for await (const part of stream.fullStream) if (part.type === 'text-delta') control.abort();
  await expectIdle();
  assert.ok(await generated() - before < 16 * 480);
});
