import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ollama } from 'ollama';
import { city, expectCity, expectIdle, generated, messages, model, url } from './support.mjs';

const client = new Ollama({ host: url });
const options = { temperature: 0, num_predict: 12 };

test('models', async () => {
  const { models } = await client.list();
  assert.deepEqual(models.map((one) => one.name), [`${model}:latest`]);
  assert.equal((await client.ps()).models.length, 1);
  const shown = await client.show({ model });
  assert.equal(shown.details.format, 'gguf');
  assert.equal((await client.show({ model: `${model}:latest` })).template, shown.template);
  assert.ok((await client.version()).version);
  await assert.rejects(client.show({ model: 'another' }), { status_code: 404 });
  await assert.rejects(client.pull({ model: 'another' }), { status_code: 400 });
  await assert.rejects(client.delete({ model }), { status_code: 400 });
});

test('chat, whole and as a stream', async () => {
  const whole = await client.chat({ model, messages, options });
  assert.equal(whole.message.role, 'assistant');
  assert.equal(whole.done_reason, 'length');
  assert.equal(whole.eval_count, 12);
  let text = '', last;
  for await (last of await client.chat({ model, messages, options, stream: true })) text += last.message.content;
  assert.equal(text, whole.message.content);
  assert.equal(last.eval_count, 12);
});

test('generate, whole and as a stream', async () => {
  const whole = await client.generate({ model, prompt: 'Tell me a story.', options });
  let text = '';
  for await (const line of await client.generate({ model, prompt: 'Tell me a story.', options, stream: true })) {
    text += line.response;
  }
  assert.equal(text, whole.response);
});

test('a form', async () => {
  const ask = { model, messages, format: city, options: { temperature: 0 } };
  expectCity(JSON.parse((await client.chat(ask)).message.content));
  expectCity(JSON.parse((await client.generate({ ...ask, prompt: 'hi' })).response));
});

test('tools are offered, and their results are told', async () => {
  const tools = [{ type: 'function', function: { name: 'weather', description: 'Tells it', parameters: city } }];
  const { message } = await client.chat({ model, messages, tools, options });
  assert.equal(message.role, 'assistant');
  const calls = [{ function: { name: 'weather', arguments: { city: 'Seoul', celsius: true } } }];
  const told = [...messages, { role: 'assistant', content: '', tool_calls: calls },
    { role: 'tool', tool_name: 'weather', content: 'warm' }];
  for await (const line of await client.chat({ model, messages: told, tools, options, stream: true })) {
    assert.equal(line.message.role, 'assistant');
  }
});

test('errors', async () => {
  await assert.rejects(client.chat({ model: 'another', messages }), { status_code: 404, message: /another/ });
  await assert.rejects(client.chat({ model, messages, options: { temperature: 'hot' }, stream: true }),
                       { status_code: 400, message: /options.temperature/ });
});

test('who aborts is written for no longer', async () => {
  const asked = { model, messages, stream: true, options: { temperature: 0 } };
  const { eval_count: whole } = await client.chat({ ...asked, stream: false });
  const before = await generated();
  const streams = await Promise.all(Array.from({ length: 16 }, () => client.chat(asked)));
  await assert.rejects(Promise.all(streams.map(async (stream) => {
    for await (const line of stream) if (line.message.content) client.abort();
  })), { name: 'AbortError' });
  await expectIdle();
  assert.ok(await generated() - before < 16 * whole);
});
