import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOpenAI } from '@ai-sdk/openai';
import { generateText, jsonSchema, Output, stepCountIs, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { city, expectCity, expectIdle, model, url } from './support.mjs';

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
const input = 'Tell me a story.';
const weather = { type: 'function', name: 'weather', parameters: city, strict: true };

test('openai: an answer, and the same one as a stream', async () => {
  const ask = { model, input, max_output_tokens: 16, temperature: 0 };
  const plain = await client.responses.create(ask);
  assert.ok(plain.output_text);
  assert.equal(plain.status, 'incomplete');
  assert.equal(plain.usage.output_tokens, 16);
  const stream = client.responses.stream(ask);
  let text = '';
  for await (const event of stream) if (event.type === 'response.output_text.delta') text += event.delta;
  assert.equal(text, plain.output_text);
  assert.equal((await stream.finalResponse()).output_text, text);
});

test('openai: tools', async () => {
  const ask = { model, input, tools: [weather], tool_choice: 'required', temperature: 0 };
  const plain = await client.responses.parse(ask);
  const stream = client.responses.stream(ask);
  for await (const event of stream) assert.ok(event.type);
  const streamed = await stream.finalResponse();
  for (const { status, output } of [plain, streamed]) {
    assert.equal(status, 'completed');
    assert.deepEqual(output.map((item) => [item.type, item.name]), [['function_call', 'weather']]);
    expectCity(JSON.parse(output[0].arguments));
  }
  const after = [{ role: 'user', content: input }, ...plain.output.map(({ parsed_arguments: _, ...item }) => item),
    { type: 'function_call_output', call_id: plain.output[0].call_id, output: 'warm' }];
  assert.ok((await client.responses.create({ model, input: after, max_output_tokens: 8 })).output_text);
});

test('openai: a form', async () => {
  const Pet = z.object({ name: z.string().max(8), kind: z.enum(['cat', 'dog']) });
  const { output_parsed: pet } = await client.responses.parse(
    { model, input, text: { format: zodTextFormat(Pet, 'pet') }, temperature: 0 });
  Pet.parse(pet);
});

test('openai: errors, and leaving', async () => {
  await assert.rejects(client.responses.create({ model, input, temperature: 'hot' }), OpenAI.BadRequestError);
  await assert.rejects(client.responses.create({ model, input, previous_response_id: 'resp_1' }),
                       OpenAI.BadRequestError);
  await assert.rejects(client.responses.retrieve('resp_1'), OpenAI.NotFoundError);
  for await (const event of await client.responses.create({ model, input, stream: true })) {
    if (event.type === 'response.output_text.delta') break;
  }
  await expectIdle();
});

const provider = createOpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });

test('ai: text', async () => {
  const ask = { model: provider(model), prompt: input, temperature: 0, maxOutputTokens: 16, maxRetries: 0 };
  const { text, finishReason, usage } = await generateText(ask);
  assert.equal(finishReason, 'length');
  assert.equal(usage.outputTokens, 16);
  const stream = streamText(ask);
  let streamed = '';
  for await (const piece of stream.textStream) streamed += piece;
  assert.equal(streamed, text);
  assert.equal(await stream.finishReason, 'length');
});

test('ai: tools', async () => {
  const asked = [];
  const ask = {
    model: provider(model), prompt: input, temperature: 0, maxRetries: 0, toolChoice: 'required',
    tools: { weather: tool({ inputSchema: jsonSchema(city), execute: (it) => { asked.push(it); return 'warm'; } }) },
    stopWhen: stepCountIs(2),
  };
  const { steps } = await generateText(ask);
  assert.deepEqual(steps.map((step) => step.toolCalls.length), [1, 1]);
  const stream = streamText(ask);
  await stream.consumeStream();
  assert.equal((await stream.steps).length, 2);
  assert.equal(asked.length, 4);
  asked.forEach(expectCity);
});

test('ai: a form', async () => {
  const { output } = await generateText({ model: provider(model), prompt: input, temperature: 0, maxRetries: 0,
                                          output: Output.object({ schema: jsonSchema(city) }) });
  expectCity(output);
});
