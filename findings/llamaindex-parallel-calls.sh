#!/usr/bin/env bash
# Software  @llamaindex/openai 0.4.23 (the last release, no longer maintained, still fetched 300 thousand times a month) and
#           @llamaindex/core 0.6.23, with openai 5.23.2 beneath, on Node.js
# Guess     A stream brings each tool call in parts, each with the call's index, and a client puts the parts together by
#           that index, as the openai package does. How a server cuts the parts doesn't matter.
# Seen      Of each delta, LlamaIndex reads the first entry of tool_calls alone and never its index. Three calls in one
#           delta become one call, without a word; the finish reason is "tool_calls" and no error is raised. If the
#           end of one call and the beginning of the next share a delta, or two calls come in turns, the parts of the one
#           are appended to the other, and JSON.parse throws in the middle of the stream. Where each delta has one entry
#           and the calls come one after the other, all is well. openai itself, beneath it, reads all four streams alike.
# Matters   A server that reads a model's calls when they are complete sends several in one delta, and one that writes a
#           chunk for each token has the token "},{" that ends one and begins the next. Both are right by the format and an
#           agent loses tool calls by them. Who serves should put one entry into a delta and finish a call before the next.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --legacy-peer-deps --save-exact --prefix "$dir" \
    @llamaindex/openai@0.4.23 @llamaindex/core@0.6.23 @llamaindex/env@0.1.31 openai@5.23.2 zod@4.6.7

cat > calls.mjs <<'JS'
import http from 'node:http';
import {OpenAI as Client} from 'openai';
import {OpenAI} from '@llamaindex/openai';
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(46)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
const calls = [['first', '{"city":"Rome"}'], ['second', '{"city":"Oslo"}'], ['third', '{"city":"Lima"}']];
const whole = (index) => ({index, id: calls[index][0], type: 'function', function: {name: 'weather', arguments: calls[index][1]}});
const begun = (index) => ({index, id: calls[index][0], type: 'function', function: {name: 'weather', arguments: '{"city":'}});
const ended = (index) => ({index, function: {arguments: calls[index][1].slice('{"city":'.length)}});
const streams = { // each a list of deltas, each a list of entries of tool_calls
  'one entry in a delta': [[whole(0)], [whole(1)], [begun(2)], [ended(2)]],
  'three entries in one delta': [[whole(0), whole(1), whole(2)]],
  'an end and a beginning in one delta': [[begun(0)], [ended(0), begun(1)], [ended(1), begun(2)], [ended(2)]],
  'in turns, one entry in a delta': [[begun(0)], [begun(1)], [begun(2)], [ended(0)], [ended(1)], [ended(2)]],
};
function events(deltas) {
  const chunk = (delta, reason) => `data: ${JSON.stringify({id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm',
    choices: [{index: 0, delta, finish_reason: reason}]})}\n\n`;
  return [chunk({role: 'assistant', content: null}, null), ...deltas.map((entries) => chunk({tool_calls: entries}, null)),
          chunk({}, 'tool_calls'), 'data: [DONE]\n\n'].join('');
}
let answer = '';
const server = http.createServer((request, response) => {
  request.resume();
  response.writeHead(200, {'content-type': 'text/event-stream'});
  response.end(answer);
});
await new Promise((listening) => { server.listen(0, '127.0.0.1', listening); });
const options = {apiKey: 'none', baseURL: `http://127.0.0.1:${server.address().port}/v1`, maxRetries: 0};
const messages = [{role: 'user', content: 'The weather in Rome, Oslo and Lima?'}];
const words = (list) => list.map((call) => `${call.id} ${call.city}`).join(', ');

async function plain() {
  const message = await new Client(options).chat.completions.stream({model: 'm', messages}).finalMessage();
  return words(message.tool_calls.map((call) => ({id: call.id, ...JSON.parse(call.function.arguments)})));
}
async function llamaindex() {
  const tool = {metadata: {name: 'weather', description: 'Weather', parameters: {type: 'object', properties: {}}}, call: () => ''};
  const found = new Map();
  try {
    for await (const part of await new OpenAI({model: 'gpt-4o', ...options}).chat({messages, stream: true, tools: [tool]})) {
      for (const call of part.options?.toolCall ?? []) if (typeof call.input === 'object') found.set(call.id, call);
    }
  } catch (error) { return error.name; }
  return words([...found.values()].map((call) => ({id: call.id, ...call.input})));
}
const all = 'first Rome, second Oslo, third Lima';
const expected = [all, 'first Rome', 'SyntaxError', 'SyntaxError'];
for (const [at, [name, deltas]] of Object.entries(streams).entries()) {
  answer = events(deltas);
  expect(`${name}: openai`, all, await plain());
  expect('  LlamaIndex', expected[at], await llamaindex());
}
server.close();
process.exit(changed ? 1 : 0);
JS
node calls.mjs
