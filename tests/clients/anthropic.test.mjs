import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAnthropic } from '@ai-sdk/anthropic';
import Anthropic from '@anthropic-ai/sdk';
import { generateText, jsonSchema, Output, stepCountIs, streamText, tool } from 'ai';
import { city, expectCity, expectIdle, key, keyedUrl, messages, model, url } from './support.mjs';

const client = new Anthropic({ baseURL: url, apiKey: 'none', maxRetries: 0 });
const weather = { name: 'weather', description: 'Tells the weather.', input_schema: city };
const ask = { model, messages, max_tokens: 16, temperature: 0 };

test('anthropic: an answer, and the same one as a stream', async () => {
  const plain = await client.messages.create(ask);
  assert.equal(plain.stop_reason, 'max_tokens');
  assert.deepEqual(plain.content.map((block) => block.type), ['text']);
  assert.equal(plain.usage.output_tokens, 16);
  const stream = client.messages.stream(ask);
  let text = '';
  stream.on('text', (piece) => { text += piece; });
  const streamed = await stream.finalMessage();
  assert.equal(text, plain.content[0].text);
  assert.deepEqual(streamed.content, plain.content);
  assert.equal(streamed.stop_reason, 'max_tokens');
  const read = ({ usage }) => usage.input_tokens + usage.cache_read_input_tokens;
  assert.equal(read(streamed), read(plain));
  assert.equal((await client.messages.countTokens({ model, messages })).input_tokens, read(plain));
});

test('anthropic: what ends an answer', async () => {
  const { content, stop_reason, stop_sequence } =
    await client.messages.create({ ...ask, max_tokens: 100, stop_sequences: ['upon', 'nowhere'] });
  assert.deepEqual([stop_reason, stop_sequence], ['stop_sequence', 'upon']);
  assert.deepEqual(content, [{ type: 'text', text: 'Once ' }]);
});

test('anthropic: tools', async () => {
  const forced = { ...ask, max_tokens: 100, tools: [weather], tool_choice: { type: 'tool', name: 'weather' } };
  const plain = await client.messages.create(forced);
  const stream = client.messages.stream(forced);
  for (const { content, stop_reason } of [plain, await stream.finalMessage()]) {
    assert.equal(stop_reason, 'tool_use');
    assert.deepEqual(content.map(({ type, name }) => [type, name]), [['tool_use', 'weather']]);
    expectCity(content[0].input);
  }
  const result = { type: 'tool_result', tool_use_id: plain.content[0].id, content: 'warm' };
  const after = [...messages, { role: 'assistant', content: plain.content }, { role: 'user', content: [result] }];
  const answer = await client.messages.create({ ...ask, messages: after, tools: [weather] });
  assert.equal(answer.content[0].type, 'text');
});

test('anthropic: tools that are run', async () => {
  const asked = [];
  const runner = client.beta.messages.toolRunner({
    ...ask, max_tokens: 100, tool_choice: { type: 'any' }, max_iterations: 2,
    unsupportedRequestBehavior: 'continue_unthreaded',  // nothing is stored here
    tools: [{ ...weather, parse: (it) => it, run: (it) => { asked.push(it); return 'warm'; } }],
  });
  await runner.runUntilDone();
  assert.equal(asked.length, 2);
  asked.forEach(expectCity);
});

test('anthropic: errors, keys, and leaving', async () => {
  await assert.rejects(client.messages.create({ ...ask, temperature: 'hot' }), Anthropic.BadRequestError);
  await assert.rejects(client.messages.create({ ...ask, model: 'another' }), Anthropic.NotFoundError);
  const unknown = new Anthropic({ baseURL: keyedUrl, apiKey: 'none', maxRetries: 0 });
  await assert.rejects(unknown.messages.create(ask), Anthropic.AuthenticationError);
  const known = new Anthropic({ baseURL: keyedUrl, apiKey: key, maxRetries: 0 });
  assert.equal((await known.messages.create(ask)).usage.output_tokens, 16);
  for await (const event of await client.messages.create({ ...ask, max_tokens: 400, stream: true })) {
    if (event.type === 'content_block_delta') break;
  }
  await expectIdle();
});

const provider = createAnthropic({ baseURL: `${url}/v1`, apiKey: 'none' });

test('ai: text, tools and a form', async () => {
  const common = { model: provider(model), prompt: messages[0].content, temperature: 0, maxRetries: 0 };
  const brief = { ...common, maxOutputTokens: 16 };
  const { text, finishReason, usage } = await generateText(brief);
  assert.equal(finishReason, 'length');
  assert.equal(usage.outputTokens, 16);
  let streamed = '';
  for await (const piece of streamText(brief).textStream) streamed += piece;
  assert.equal(streamed, text);

  const asked = [];
  const { steps } = await generateText({
    ...common, maxOutputTokens: 100, toolChoice: 'required', stopWhen: stepCountIs(2),
    tools: { weather: tool({ inputSchema: jsonSchema(city), execute: (it) => { asked.push(it); return 'warm'; } }) },
  });
  assert.deepEqual(steps.map((step) => step.toolCalls.length), [1, 1]);
  asked.forEach(expectCity);

  const { output } =
    await generateText({ ...common, maxOutputTokens: 100, output: Output.object({ schema: jsonSchema(city) }) });
  expectCity(output);
});
