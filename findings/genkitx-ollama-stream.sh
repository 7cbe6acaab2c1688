#!/usr/bin/env bash
# Software  genkitx-ollama 1.42.0 (Google's Genkit, its own plugin for Ollama) with genkit 1.42.0, on Node.js
# Guess     A stream is lines of JSON, and the plugin puts lines together from whatever the network hands it. Tools work
#           in a stream as they do without one. Stop sequences are a list. An answer cut off by num_predict says so.
# Seen      What one read from the network holds is taken for one line: two lines that arrive together throw a
#           SyntaxError, and so does half a line. Where each line comes alone, a tool call is shown to the reader of the
#           stream, and then dropped: the tool doesn't run and the final text is "undefined", the word. Two stop
#           sequences are sent as one text, joined ("END" and "###" as "END###"), which no model ever writes. The finish
#           reason is always "stop".
# Matters   It works on a developer's machine with a slow model, one line for each read, and throws as soon as a model
#           is fast, the reader busy or a proxy in between; a server can't prevent it by flushing each line. An agent
#           that streams calls no tools and says "undefined".
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" \
    genkit@1.42.0 genkitx-ollama@1.42.0

cat > stream.mjs <<'JS'
import http from 'node:http';
import {setTimeout as pause} from 'node:timers/promises';
import {genkit, z} from 'genkit';
import {ollama} from 'genkitx-ollama';
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(44)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
const created_at = '2026-01-01T00:00:00Z';
const head = (message) => ({model: 'm', created_at, message: {role: 'assistant', content: '', ...message}});
const line = (message) => JSON.stringify({...head(message), done: false}) + '\n';
const last = (reason) => JSON.stringify({...head({}), done: true, done_reason: reason, eval_count: 2}) + '\n';
const call = line({tool_calls: [{function: {name: 'pay', arguments: {city: 'Rome'}}}]});
const done = [line({content: 'Done.'}), last('stop')];
let bodies, writes, shownPart;
const server = http.createServer(async (request, response) => {
  let text = '';
  for await (const part of request) text += part;
  bodies.push(JSON.parse(text));
  const parts = bodies.length > 1 ? done : writes;
  if (!bodies.at(-1).stream) {
    const {message} = JSON.parse(parts[0]);
    return response.end(JSON.stringify({...JSON.parse(parts.at(-1)), message}));
  }
  response.writeHead(200, {'content-type': 'application/x-ndjson'});
  for (const part of parts) {
    const read = new Promise((resolve) => { shownPart = resolve; });
    response.write(part);
    await Promise.race([read, pause(1000)]);  // so that each is a read of its own
  }
  response.end();
});
await new Promise((listening) => { server.listen(0, '127.0.0.1', listening); });
const serverAddress = `http://127.0.0.1:${server.address().port}`;
const ai = genkit({plugins: [ollama({models: [{name: 'm', type: 'chat', supports: {tools: true}}], serverAddress})]});
let ran = 0;
const pay = ai.defineTool({name: 'pay', description: 'Pays', inputSchema: z.object({city: z.string()})},
                          async () => { ran += 1; return 'ok'; });

async function ask(streamed, parts, asked = {}) {
  writes = parts;
  bodies = [];
  ran = 0;
  let shown = 0;
  try {
    const request = {model: 'ollama/m', prompt: 'Pay.', config: {}, ...asked};
    let response;
    if (streamed) {
      const answer = ai.generateStream(request);
      answer.response.catch(() => {});
      for await (const chunk of answer.stream) {
        shown += chunk.toolRequests.length;
        shownPart();
      }
      response = await answer.response;
    } else {
      response = await ai.generate(request);
    }
    return {text: response.text, reason: response.finishReason, ran, shown};
  } catch (error) { return {text: /JSON/.test(error.message) ? 'JSON error' : error.message}; }
}
const [first, second, end] = [line({content: 'It '}), line({content: 'is.'}), last('stop')];
expect('each line in a read of its own', 'It is.', (await ask(true, [first, second, end])).text);
expect('two lines in one read', 'JSON error', (await ask(true, [first + second, end])).text);
expect('a line in two reads', 'JSON error', (await ask(true, [first, second.slice(0, 30), second.slice(30), end])).text);
const whole = await ask(false, [call], {tools: [pay]});
expect('a tool call, no stream', 'ran 1, "Done."', `ran ${whole.ran}, "${whole.text}"`);
const streamed = await ask(true, [call, last('stop')], {tools: [pay]});
expect('a tool call in a stream', 'shown 1, ran 0, "undefined"',
       `shown ${streamed.shown}, ran ${streamed.ran}, "${streamed.text}"`);
const cut = await ask(false, [first, last('length')], {config: {stopSequences: ['END', '###'], maxOutputTokens: 2}});
expect('done_reason "length"', 'stop', cut.reason);
expect('stop sequences "END" and "###"', '"END###"', JSON.stringify(bodies[0].options.stop));
server.close();
process.exit(changed ? 1 : 0);
JS
node stream.mjs
