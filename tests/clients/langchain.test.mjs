import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AIMessage, HumanMessage, SystemMessage, ToolMessage } from '@langchain/core/messages';
import { ChatOpenAI } from '@langchain/openai';
import { z } from 'zod';
import { city, expectCity, model, recorded, url } from './support.mjs';

const chat = (settings = {}) => new ChatOpenAI({
  model, apiKey: 'none', temperature: 0, maxRetries: 0, ...settings,
  configuration: { baseURL: `${url}/v1`, ...settings.configuration },
});
const ask = [new SystemMessage('Be kind.'), new HumanMessage('Tell me a story.')];

for (const api of ['chat', 'responses']) {
  test(`${api}: an answer, and the same one as a stream`, async () => {
    const it = chat({ maxTokens: 16, useResponsesApi: api === 'responses' });
    const whole = await it.invoke(ask);
    assert.ok(AIMessage.isInstance(whole));
    assert.ok(whole.text);
    assert.equal(whole.usage_metadata.output_tokens, 16);
    let all;
    for await (const chunk of await it.stream(ask)) all = all ? all.concat(chunk) : chunk;
    assert.equal(all.text, whole.text);
    assert.equal(all.usage_metadata.output_tokens, 16);
  });

  test(`${api}: tools`, async () => {
    const tools = [{ type: 'function', function: { name: 'weather', description: 'Tells it', parameters: city } }];
    const it = chat({ useResponsesApi: api === 'responses' });
    // For /v1/responses it leaves out every choice but a name.
    for (const choice of api === 'chat' ? ['any', 'weather'] : ['weather']) {
      const bound = it.bindTools(tools, { tool_choice: choice });
      const whole = await bound.invoke(ask);
      assert.deepEqual(whole.invalid_tool_calls ?? [], []);
      assert.deepEqual(whole.tool_calls.map((call) => call.name), ['weather']);
      expectCity(whole.tool_calls[0].args);
      let all;
      for await (const chunk of await bound.stream(ask)) all = all ? all.concat(chunk) : chunk;
      assert.deepEqual(all.tool_calls.map((call) => call.args), whole.tool_calls.map((call) => call.args));
      const told = [...ask, whole, new ToolMessage({ tool_call_id: whole.tool_calls[0].id, content: 'warm' })];
      assert.ok(AIMessage.isInstance(await it.invoke(told)));
    }
  });

  test(`${api}: forms`, async () => {
    const Pet = z.object({ name: z.string().max(8), kind: z.enum(['cat', 'dog']) });
    const it = chat({ useResponsesApi: api === 'responses' });
    for (const method of ['jsonSchema', 'functionCalling']) {
      Pet.parse(await it.withStructuredOutput(Pet, { method }).invoke(ask));
      expectCity(await it.withStructuredOutput({ title: 'city', ...city }, { method, name: 'city' }).invoke(ask));
    }
  });
}

// Any object will do: which members it has is left to the model, and whether it ends in time.
test('chat: a form in JSON mode', async () => {
  const { fetch, statuses } = recorded();
  const it = chat({ configuration: { fetch }, maxTokens: 400 });
  const any = { title: 'any', type: 'object', properties: {} };
  const told = [new HumanMessage('Answer with {} as JSON.')];
  const answer = await it.withStructuredOutput(any, { method: 'jsonMode', name: 'any' }).invoke(told)
    .catch((error) => error);
  assert.deepEqual(statuses, [200]);
  if (answer instanceof Error) assert.match(answer.message, /JSON|parse/i);
  else assert.equal(typeof answer, 'object');
});

test('an error is told, once', async () => {
  const { fetch, statuses } = recorded();
  const wrong = new ChatOpenAI({ model: 'gpt-5', apiKey: 'none', configuration: { baseURL: `${url}/v1`, fetch } });
  await assert.rejects(wrong.invoke(ask), /story/);
  assert.deepEqual(statuses, [404]);
});
