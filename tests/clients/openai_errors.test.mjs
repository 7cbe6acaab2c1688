import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { expectIdle, fullUrl, key, keyedUrl, messages, model, recorded, url } from './support.mjs';

const ask = { model, messages, max_tokens: 4 };

// The client with its own habits, such as when to ask again.
function usual(base, apiKey = 'none') {
  const { fetch, statuses } = recorded();
  return { chat: new OpenAI({ baseURL: `${base}/v1`, apiKey, fetch }).chat.completions, statuses };
}

test('what is wrong with a request is told at once, for plain answers and streams', async () => {
  const wrong = [
    [{ temperature: 'hot' }, 'temperature'], [{ messages: [] }, 'messages'], [{ n: 1000 }, 'n'],
    [{ response_format: { type: 'xml' } }, 'response_format.type'], [{ tool_choice: 'required' }, 'tool_choice'],
    [{ messages: [{ role: 'king', content: '' }] }, 'messages[0].role'],
  ];
  for (const [members, param] of wrong) {
    for (const stream of [false, true]) {
      const { chat, statuses } = usual(url);
      await assert.rejects(chat.create({ ...ask, ...members, stream }), (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError);
        assert.equal(error.param, param);
        assert.equal(error.type, 'invalid_request_error');
        assert.match(error.message, /^400 .*expected/);
        return true;
      });
      assert.deepEqual(statuses, [400]);
    }
  }
});

test('too long a prompt', async () => {
  const { chat, statuses } = usual(url);
  const long = [{ role: 'user', content: 'a b c '.repeat(1000) }];
  await assert.rejects(chat.create({ ...ask, messages: long }), { status: 400, code: 'context_length_exceeded' });
  assert.deepEqual(statuses, [400]);
});

test('another model', async () => {
  const { chat, statuses } = usual(url);
  await assert.rejects(chat.create({ ...ask, model: 'gpt-5' }), OpenAI.NotFoundError);
  assert.deepEqual(statuses, [404]);
});

test('a key', async () => {
  const stranger = usual(keyedUrl);
  await assert.rejects(stranger.chat.create(ask), OpenAI.AuthenticationError);
  assert.deepEqual(stranger.statuses, [401]);
  assert.ok((await usual(keyedUrl, key).chat.create(ask)).choices[0].message.content);
});

test('too many requests: asked again after a while', async () => {
  // One text is written and one waits, all the time: others ask at once where one ends.
  const long = { ...ask, max_tokens: 480, ignore_eos: true };
  const busy = new OpenAI({ baseURL: `${fullUrl}/v1`, apiKey: 'none', maxRetries: 0 });
  const control = new AbortController();
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const hold = async () => {
    while (!control.signal.aborted) {
      await busy.chat.completions.create(long, { signal: control.signal }).catch(() => pause(2));
    }
  };
  const held = [1, 2, 3, 4].map(hold);

  // Some come between two of them.
  for (let tries = 0; !control.signal.aborted; ++tries) {
    assert.ok(tries < 50, 'nobody is refused');
    const { chat, statuses } = usual(fullUrl);
    const began = Date.now();
    const answer = chat.create(ask);
    while (statuses.length === 0) await pause(2);
    if (statuses[0] === 429) control.abort();
    assert.ok((await answer).choices[0].message.content);
    if (statuses[0] !== 429) continue;
    assert.ok(Date.now() - began >= 1900, 'Retry-After is heeded');
    assert.equal(statuses.at(-1), 200);
  }
  await Promise.all(held);
  await expectIdle(fullUrl);
});
