#!/usr/bin/env bash
# Software  ollama-ai-provider-v2 3.6.0 (the AI SDK's provider for Ollama, fetched 600 thousand times a month; 4.0.1 for
#           ai 7 does the same), ai 6.0.326, on Node.js
# Guess     temperature, topP and maxOutputTokens arrive where Ollama's API has them, in "options", as temperature,
#           top_p and num_predict; the README says that the AI SDK's standard parameters work. An error in the midst of
#           a stream is an error.
# Seen      They are sent beside "model", as temperature, top_p and max_output_tokens, where neither Ollama nor any
#           server that follows it looks, and no warning is given. Of seed, topK and stopSequences, which Ollama has, it
#           warns that they aren't supported. All work where they are written as providerOptions.ollama.options, by
#           Ollama's names. A line {"error": "out of memory"}, as Ollama ends a stream that failed, is dropped, but for
#           a note on the console without the message: the stream ends as if it were complete, with finish reason
#           "other", and if it is the first line with an empty answer.
# Matters   At temperature 0 an answer differs each time (Ollama's default is 0.8), and without a limit a small model
#           that loops writes to the end of its context. All this looks like a server that ignores its options and stops
#           in the midst of a sentence. A server can't tell: it passes over fields that it doesn't know.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" \
    ollama-ai-provider-v2@3.6.0 ai@6.0.326 zod@4.6.7

cat > options.mjs <<'JS'
import http from 'node:http';
import {generateText, streamText} from 'ai';
import {createOllama} from 'ollama-ai-provider-v2';
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(38)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
const created_at = '2026-01-01T00:00:00Z';
const line = (content) => ({model: 'm', created_at, message: {role: 'assistant', content}, done: false});
const last = {...line(''), done: true, done_reason: 'stop', total_duration: 9, load_duration: 1, prompt_eval_count: 3,
              prompt_eval_duration: 1, eval_count: 2, eval_duration: 1};
let body, lines;
const server = http.createServer(async (request, response) => {
  let text = '';
  for await (const part of request) text += part;
  body = JSON.parse(text);
  response.writeHead(200, {'content-type': 'application/x-ndjson'});
  response.end(body.stream ? lines.map((one) => JSON.stringify(one) + '\n').join('') :
                             JSON.stringify({...last, message: line('Yes.').message}));
});
await new Promise((listening) => { server.listen(0, '127.0.0.1', listening); });
const model = createOllama({baseURL: `http://127.0.0.1:${server.address().port}/api`})('m');
globalThis.AI_SDK_LOG_WARNINGS = false;
console.warn = () => {};  // 20 lines for each line that it drops, without the server's message

async function sent(settings) {
  const {text, warnings} = await generateText({model, prompt: 'Is it noon?', maxRetries: 0, ...settings});
  if (text !== 'Yes.') throw new Error('no answer');
  const {model: name, messages, stream, think, ...rest} = body;
  return `${JSON.stringify(rest)}, ${warnings.map((one) => `${one.details} ${one.type}`).join() || 'no warning'}`;
}
expect('temperature: 0', '{"temperature":0}, no warning', await sent({temperature: 0}));
expect('topP: 0.9', '{"top_p":0.9}, no warning', await sent({topP: 0.9}));
expect('maxOutputTokens: 20', '{"max_output_tokens":20}, no warning', await sent({maxOutputTokens: 20}));
expect('seed: 1', '{}, seed unsupported', await sent({seed: 1}));
expect('topK: 1', '{}, topK unsupported', await sent({topK: 1}));
expect('stopSequences: ["END"]', '{}, stopSequences unsupported', await sent({stopSequences: ['END']}));
const options = {temperature: 0, seed: 1, stop: ['END'], num_predict: 20, top_k: 1};
const native = await sent({providerOptions: {ollama: {options}}});
expect('providerOptions.ollama.options', `{"options":${JSON.stringify(options)}}, no warning`, native);

async function read(...streamed) {
  lines = streamed;
  let errors = 0;
  const answer = streamText({model, prompt: 'Is it noon?', maxRetries: 0, onError() { errors += 1; }});
  let text = '';
  try {
    for await (const part of answer.textStream) text += part;
    return `"${text}", ${errors} errors, ${await answer.finishReason}`;
  } catch (error) { return error.name; }
}
const failed = {error: 'out of memory'};
expect('a whole stream', '"It is.", 0 errors, stop', await read(line('It '), line('is.'), last));
expect('a stream that fails', '"It ", 0 errors, other', await read(line('It '), failed));
expect('a stream that fails at once', '"", 0 errors, other', await read(failed));
server.close();
process.exit(changed ? 1 : 0);
JS
node options.mjs
