// What the tests of all clients share: where the servers are, and what they are asked.
import assert from 'node:assert/strict';

// Of the servers that clients_test.py starts: one for all, one that wants a key, one where a single request may wait.
export const url = process.env.LLAMAJIT_URL;
export const keyedUrl = process.env.LLAMAJIT_KEYED_URL;
export const fullUrl = process.env.LLAMAJIT_FULL_URL;
export const key = process.env.LLAMAJIT_KEY;
export const model = 'story';
export const messages = [{ role: 'user', content: 'Tell me a story.' }];

// A small model says anything: what it says is bounded by the schema alone.
export const city = {
  type: 'object',
  properties: { city: { type: 'string', maxLength: 12 }, celsius: { type: 'boolean' } },
  required: ['city', 'celsius'],
  additionalProperties: false,
};

export function expectCity(value) {
  assert.deepEqual(Object.keys(value).sort(), ['celsius', 'city']);
  assert.equal(typeof value.city, 'string');
  assert.equal(typeof value.celsius, 'boolean');
}

async function metric(name, base) {
  const text = await (await fetch(`${base}/metrics`)).text();
  return Number(text.match(new RegExp(`^llamajit_${name} (\\S+)$`, 'm'))[1]);
}

export const generated = (base = url) => metric('generated_tokens_total', base);

// Waits for what a server does within a step, which is some milliseconds (and more where others use the cores).
export async function expectIdle(base = url) {
  for (let tries = 0; tries < 100; ++tries) {
    if (await metric('texts_at_work', base) === 0 && await metric('texts_waiting', base) === 0) return;
    await new Promise((done) => setTimeout(done, 20));
  }
  assert.fail('texts that nobody reads go on');
}

// A fetch for clients that take one, which keeps what the server answered with.
export function recorded() {
  const statuses = [];
  const record = async (...asked) => {
    const answer = await fetch(...asked);
    statuses.push(answer.status);
    return answer;
  };
  return { fetch: record, statuses };
}
