import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { city, expectCity, expectIdle, generated, messages, model, url } from './support.mjs';

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
const chat = client.chat.completions;
const named = (name) => ({ type: 'function', function: { name, description: 'Tells it', parameters: city } });

test('chat: an answer', async () => {
  const answer = await chat.create({ model, messages, max_tokens: 8, temperature: 0 });
  assert.equal(answer.object, 'chat.completion');
  assert.equal(answer.choices.length, 1);
  assert.equal(answer.choices[0].finish_reason, 'length');
  assert.equal(answer.choices[0].message.role, 'assistant');
  assert.ok(answer.choices[0].message.content);
  assert.equal(answer.usage.completion_tokens, 8);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + 8);
});

test('chat: the same answer in all forms of the messages and as a stream', async () => {
  const ask = { model, max_tokens: 12, temperature: 0 };
  const { content } = (await chat.create({ ...ask, messages })).choices[0].message;
  const parts = [{ role: 'user', content: [{ type: 'text', text: 'Tell me' }, { type: 'text', text: ' a story.' }] }];
  assert.equal((await chat.create({ ...ask, messages: parts })).choices[0].message.content, content);
  const rootless = new OpenAI({ baseURL: url, apiKey: 'none' });
  const late = await rootless.chat.completions.create({ model, messages, temperature: 0, max_completion_tokens: 12 });
  assert.equal(late.choices[0].message.content, content);

  let text = '', chunks = 0, reason, usage;
  for await (const chunk of await chat.create(
    { ...ask, messages, stream: true, stream_options: { include_usage: true } })) {
    ++chunks;
    assert.equal(chunk.object, 'chat.completion.chunk');
    text += chunk.choices[0]?.delta.content ?? '';
    reason = chunk.choices[0]?.finish_reason ?? reason;
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, content);
  assert.ok(chunks > 5, 'pieces come as they are made');
  assert.equal(reason, 'length');
  assert.equal(usage.completion_tokens, 12);
});

test('chat: the stream helper', async () => {
  const seen = [];
  const stream = chat.stream({ model, messages, max_tokens: 12, temperature: 0 })
    .on('content', (delta) => seen.push(delta));
  const answer = await stream.finalChatCompletion();
  assert.equal(await stream.finalContent(), answer.choices[0].message.content);
  assert.equal(seen.join(''), answer.choices[0].message.content);
});

test('chat: several answers, and how likely their tokens were', async () => {
  const ask = { model, messages, max_tokens: 4, n: 3, logprobs: true, top_logprobs: 2 };
  const whole = await chat.create(ask);
  const streamed = await chat.stream(ask).finalChatCompletion();
  for (const answer of [whole, streamed]) {
    assert.deepEqual(answer.choices.map((choice) => choice.index), [0, 1, 2]);
    for (const choice of answer.choices) {
      assert.equal(choice.logprobs.content.length, 4);
      for (const token of choice.logprobs.content) {
        assert.equal(token.top_logprobs.length, 2);
        assert.ok(token.logprob <= 0);
      }
    }
  }
  assert.equal(whole.usage.completion_tokens, 12);
});

test('tools: called if they must be, one of them, or the one that is named', async () => {
  const tools = [named('weather'), named('climate')];
  for (const choice of ['required', { type: 'function', function: { name: 'climate' } }]) {
    const ask = { model, messages, tools, tool_choice: choice, temperature: 0, max_tokens: 200 };
    const plain = (await chat.create(ask)).choices[0];
    const pieces = [];
    const helper = chat.stream(ask).on('tool_calls.function.arguments.delta', (piece) => pieces.push(piece));
    const streamed = (await helper.finalChatCompletion()).choices[0];
    assert.equal(plain.finish_reason, 'tool_calls');
    assert.equal(plain.message.content, null);
    assert.equal(plain.message.tool_calls.length, 1);
    const call = plain.message.tool_calls[0];
    assert.equal(call.type, 'function');
    if (choice !== 'required') assert.equal(call.function.name, 'climate');
    expectCity(JSON.parse(call.function.arguments));
    assert.equal(streamed.finish_reason, 'tool_calls');
    assert.equal(streamed.message.tool_calls[0].function.name, call.function.name);
    assert.equal(streamed.message.tool_calls[0].function.arguments, call.function.arguments);
    assert.ok(pieces.length > 2, 'arguments come as they are made');
    // What was called is told back, and its result.
    const told = [...messages, plain.message, { role: 'tool', tool_call_id: call.id, content: 'warm' }];
    const after = await chat.create({ model, messages: told, tools, tool_choice: 'none', max_tokens: 4 });
    assert.equal(after.choices[0].message.tool_calls, undefined);
  }
});

test('tools: text if the model may choose and has no use for them', async () => {
  const ask = { model, messages, tools: [named('weather')], tool_choice: 'auto', max_tokens: 6, temperature: 0 };
  const { choices } = await chat.create(ask);
  assert.ok(choices[0].message.content);
  assert.equal((await chat.stream(ask).finalContent()), choices[0].message.content);
});

test('tools: run by the client', async () => {
  const asked = [];
  const tool = { type: 'function', function: {
    name: 'weather', parameters: city, parse: JSON.parse, function: (it) => { asked.push(it); return 'warm'; } } };
  const choice = { type: 'function', function: { name: 'weather' } };
  for (const stream of [false, true]) {
    const runner = chat.runTools({ model, messages, tools: [tool], tool_choice: choice, temperature: 0, stream });
    await runner.done();
  }
  assert.equal(asked.length, 2);
  asked.forEach(expectCity);
});

test('a form: by zod, parsed', async () => {
  const Pet = z.object({
    name: z.string().max(8), kind: z.enum(['cat', 'dog']), age: z.int().min(0).max(99),
    tags: z.array(z.string().max(4)).max(2), home: z.object({ warm: z.boolean() }).nullable(),
  });
  const ask = { model, messages, response_format: zodResponseFormat(Pet, 'pet'), max_tokens: 300, temperature: 0 };
  const plain = await chat.parse(ask);
  Pet.parse(plain.choices[0].message.parsed);
  const streamed = await chat.stream(ask).finalChatCompletion();
  assert.deepEqual(streamed.choices[0].message.parsed, plain.choices[0].message.parsed);
});

test('completions', async () => {
  const ask = { model, prompt: 'Once upon a time', max_tokens: 8, temperature: 0 };
  const { choices, usage } = await client.completions.create({ ...ask, logprobs: 1 });
  assert.equal(choices[0].logprobs.tokens.length, 8);
  assert.equal(usage.completion_tokens, 8);
  let text = '';
  for await (const chunk of await client.completions.create({ ...ask, stream: true })) text += chunk.choices[0].text;
  assert.equal(text, choices[0].text);
  const two = await client.completions.create({ ...ask, prompt: ['One day', 'Anna'], n: 2, echo: true });
  assert.deepEqual(two.choices.map((choice) => choice.text.slice(0, 4)), ['One ', 'One ', 'Anna', 'Anna']);
});

test('models', async () => {
  const list = [];
  for await (const one of client.models.list()) list.push(one);
  assert.deepEqual(list.map((one) => [one.id, one.object]), [[model, 'model']]);
  assert.equal((await client.models.retrieve(model)).id, model);
  await assert.rejects(client.models.retrieve('a/b'), OpenAI.NotFoundError);
});

test('who leaves is written for no longer', async () => {
  const long = { model, messages, ignore_eos: true, max_tokens: 480, n: 16, stream: true };
  for (const leave of ['abort', 'break']) {
    const before = await generated();
    const stream = await chat.create(long);
    for await (const chunk of stream) {
      if (!chunk.choices[0].delta.content) continue;
      if (leave === 'break') break;
      stream.controller.abort();
    }
    await expectIdle();
    assert.ok(await generated() - before < 16 * 480, leave);
  }
  const control = new AbortController();
  const before = await generated();
  const plain = chat.create({ ...long, stream: false }, { signal: control.signal });
  const ended = assert.rejects(plain, OpenAI.APIUserAbortError);
  while (await generated() === before) ;
  control.abort();
  await ended;
  await expectIdle();
  assert.ok(await generated() - before < 16 * 480);
});
