#!/usr/bin/env bash
# Software  openai 7.55.0 (OpenAI's library for JavaScript), against eventsource-parser 4.1.3, on Node.js
# Guess     The library reads server-sent events as the standard has them, or at least passes over what it needs not. It
#           copes with comments, CRLF, a lone CR, a byte order mark, retry: and id: lines and data in several lines.
# Seen      A block that has a name and no data, "event: ping" and an empty line, ends the stream with a SyntaxError
#           ("malformed server-sent event JSON"). By the standard such a block is no event at all and is dropped, as
#           eventsource-parser does. So an "id: 7" or "retry: 3000" block passes, and one that begins with event: doesn't.
#           With data, "event: ping" and "data: {}", the name is ignored, and the loop gets {} as a chunk of the answer.
# Matters   Servers and proxies send something every few seconds, so that a connection isn't cut while a long prompt is
#           read. A named heartbeat is what other APIs of this kind use; here the answer is lost after minutes of work,
#           and only where the prompt was long enough. The heartbeat that every client passes over is a comment, ": ping".
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" openai@7.55.0 eventsource-parser@4.1.3

cat > heartbeats.mjs <<'JS'
import OpenAI from 'openai';
import {createParser} from 'eventsource-parser';
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(44)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
const choices = [{index: 0, delta: {content: 'Hello'}, finish_reason: null}];
const answer = `data: ${JSON.stringify({id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices})}\n\n` +
               'data: [DONE]\n\n';
async function read(before) {
  const fetch = async () => new Response(before + answer, {headers: {'content-type': 'text/event-stream'}});
  const client = new OpenAI({apiKey: 'k', maxRetries: 0, fetch});
  const seen = [];
  try {
    const stream = await client.chat.completions.create({model: 'm', messages: [], stream: true});
    for await (const chunk of stream) seen.push(chunk.choices?.[0].delta.content ?? JSON.stringify(chunk));
  } catch (error) {
    seen.push(error.constructor.name);
  }
  return seen.join(' ');
}
function events(before) {
  const names = [];
  createParser({onEvent: (event) => names.push(event.event ?? 'message')}).feed(before + answer);
  return names.join(' ');
}
console.error = ((error) => (...words) => { if (!/^(Could not parse|From chunk)/.test(words[0])) error(...words); })(console.error);
for (const [before, expected, expectedEvents] of [
  ['', 'Hello', 'message message'],
  [': ping\n\n', 'Hello', 'message message'],
  ['id: 7\n\n', 'Hello', 'message message'],
  ['retry: 3000\n\n', 'Hello', 'message message'],
  ['event: ping\n\n', 'SyntaxError', 'message message'],
  ['event: ping\r\n\r\n', 'SyntaxError', 'message message'],
  ['event: ping\ndata: {}\n\n', '{} Hello', 'ping message message'],
]) {
  expect(`${JSON.stringify(before)}, the answer by openai`, expected, await read(before));
  expect('  events by eventsource-parser', expectedEvents, events(before));
}
process.exit(changed ? 1 : 0);
JS
node heartbeats.mjs
