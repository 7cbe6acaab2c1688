import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { messages, model, url } from './support.mjs';

const run = promisify(execFile);
const curl = async (path, ...options) => (await run('curl', ['-sS', '--max-time', '60', url + path, ...options])).stdout;
const ask = { model, messages, max_tokens: 12, temperature: 0 };
const body = (more = {}) => ['-H', 'Content-Type: application/json', '-d', JSON.stringify({ ...ask, ...more })];
const path = '/v1/chat/completions';

function found() {
  try {
    return execFileSync('curl', ['--version']).length > 0;
  } catch {
    return false;
  }
}

test('curl', { skip: found() ? false : 'there is no curl' }, async (all) => {
  const text = JSON.parse(await curl(path, ...body())).choices[0].message.content;

  await all.test('plain, HTTP/1.0', async () => {
    const answer = await curl(path, '-i', '--http1.0', ...body());
    assert.match(answer, /^HTTP\/1.0 200 OK\r\n/);
    assert.equal(JSON.parse(answer.split('\r\n\r\n')[1]).choices[0].message.content, text);
  });

  for (const version of ['--http1.1', '--http1.0']) {
    await all.test(`a stream, ${version}`, async () => {
      const [head, events] = (await curl(path, '-N', '-i', version, ...body({ stream: true }))).split('\r\n\r\n');
      assert.match(head, /content-type: text\/event-stream/i);
      assert.equal(/transfer-encoding/i.test(head), version === '--http1.1');
      const data = events.split('\n\n').filter(Boolean).map((event) => event.replace(/^data: /, ''));
      assert.equal(data.pop(), '[DONE]');
      assert.equal(data.map((one) => JSON.parse(one).choices[0].delta.content ?? '').join(''), text);
    });
  }

  await all.test('a large body, which is sent once it was asked for', async () => {
    const large = JSON.stringify({ ...ask, user: 'x'.repeat(3 << 20) });
    const asking = run('curl', ['-sS', '-v', '--max-time', '60', url + path, '-H', 'Content-Type: application/json',
      '-H', 'Expect: 100-continue', '--data-binary', '@-'], { maxBuffer: 16 << 20 });
    asking.child.stdin.end(large);
    const { stdout, stderr } = await asking;
    assert.match(stderr, /HTTP\/1.1 100 Continue/);
    assert.equal(JSON.parse(stdout).choices[0].message.content, text);
  });

  await all.test('too large a body is refused before it is sent', async () => {
    const asking = run('curl', ['-sS', '-i', '--max-time', '60', url + path, '-H', 'Expect: 100-continue',
      '--data-binary', '@-'], { maxBuffer: 16 << 20 });
    asking.child.stdin.on('error', () => {});
    asking.child.stdin.end('x'.repeat(20 << 20));
    const { stdout } = await asking;
    assert.match(stdout, /^HTTP\/1.1 413 /);
  });

  await all.test('heads alone', async () => {
    for (const it of ['/v1/models', '/health', '/']) {
      const head = await curl(it, '-I');
      assert.match(head, /^HTTP\/1.1 200 OK\r\n/);
      assert.match(head, /content-length: [1-9]/i);
    }
  });

  await all.test('one connection for several requests', async () => {
    const { stderr } = await run('curl', ['-sS', '-v', `${url}/health`, `${url}/v1/models`, `${url}/health`]);
    assert.equal(stderr.match(/Re-using existing connection/g)?.length, 2);
  });
});
