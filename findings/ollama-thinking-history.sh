#!/usr/bin/env bash
# Software  ai-sdk-ollama 4.3.0 (the AI SDK's provider for Ollama over the official ollama package),
#           ollama-ai-provider-v2 4.0.1, both with ai 7.0.173, and @langchain/ollama 1.3.0 with @langchain/core 1.4.0,
#           on Node.js (the AI SDK's ask for 22, and run on 20)
# Guess     When a tool's result goes back, the model's turn before it is as the model wrote it: its words in content,
#           its thoughts in thinking, where they came from, or left out. A result says which tool or call it is of.
# Seen      ai-sdk-ollama puts the thoughts into content, behind the words ("I will pay.\nThe user wants Rome."), and
#           sends no thinking; where there were no words, the content is the thoughts. ollama-ai-provider-v2 sends both
#           as they came. LangChain leaves the thoughts out, and a tool's result has neither tool_name nor an id, so
#           that the results of several calls differ by their order alone.
# Matters   A template takes the thoughts out of earlier turns or puts them between their marks. Here the model reads
#           them as what it said to the user, after what it said, and learns from its own history to do so; a server
#           can't tell them apart. What it has kept of that turn doesn't fit any more either, so that the turn is read
#           anew at each step.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --legacy-peer-deps --save-exact --prefix "$dir" \
    ai@7.0.173 ai-sdk-ollama@4.3.0 ollama@0.6.4 ollama-ai-provider-v2@4.0.1 zod@4.6.7 \
    @langchain/ollama@1.3.0 @langchain/core@1.4.0

cat > history.mjs <<'JS'
import http from 'node:http';
import {generateText, isStepCount, tool} from 'ai';
import {createOllama} from 'ai-sdk-ollama';
import {createOllama as createOllamaV2} from 'ollama-ai-provider-v2';
import {ChatOllama} from '@langchain/ollama';
import {HumanMessage} from '@langchain/core/messages';
import {tool as langchainTool} from '@langchain/core/tools';
import {z} from 'zod';
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(44)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
const thinking = 'The user wants Rome.';
const call = {function: {name: 'pay', arguments: {city: 'Rome'}}};
let words, bodies;
const server = http.createServer(async (request, response) => {
  let text = '';
  for await (const part of request) text += part;
  bodies.push(JSON.parse(text));
  const message = bodies.length > 1 ? {role: 'assistant', content: 'Done.'} :
                                      {role: 'assistant', content: words, thinking, tool_calls: [call]};
  response.writeHead(200, {'content-type': 'application/x-ndjson'});
  response.end(JSON.stringify({model: 'm', created_at: '2026-01-01T00:00:00Z', message, done: true, done_reason: 'stop',
                               total_duration: 9, load_duration: 1, prompt_eval_count: 3, prompt_eval_duration: 1,
                               eval_count: 2, eval_duration: 1}) + '\n');
});
await new Promise((listening) => { server.listen(0, '127.0.0.1', listening); });
const host = `http://127.0.0.1:${server.address().port}`;
globalThis.AI_SDK_LOG_WARNINGS = false;
const inputSchema = z.object({city: z.string()});

async function aiSdk(model) {
  const pay = tool({description: 'Pays', inputSchema, execute: async () => 'paid'});
  const {text, steps} = await generateText({model, prompt: 'Pay.', tools: {pay}, stopWhen: isStepCount(3), maxRetries: 0});
  if (text !== 'Done.' || steps[0].reasoningText !== thinking) throw new Error('no answer');
}
async function langchain() {
  const pay = langchainTool(async () => 'paid', {name: 'pay', description: 'Pays', schema: inputSchema});
  const model = new ChatOllama({model: 'm', baseUrl: host, maxRetries: 0}).bindTools([pay]);
  const asked = [new HumanMessage('Pay.')];
  const reply = await model.invoke(asked);
  await model.invoke([...asked, reply, await pay.invoke(reply.tool_calls[0])]);
}
async function history(ask, said) {
  words = said;
  bodies = [];
  await ask();
  const [, {content, thinking: thoughts}, result] = bodies[1].messages;
  return {turn: JSON.stringify({content, thinking: thoughts}), result: Object.keys(result).sort().join()};
}
const wordsFirst = `{"content":"I will pay.\\n${thinking}"}`;
const asWritten = `{"content":"I will pay.","thinking":"${thinking}"}`;
for (const [name, ask, withWords, withoutWords, keys] of [
  ['ai-sdk-ollama', () => aiSdk(createOllama({baseURL: host})('m')), wordsFirst, `{"content":"${thinking}"}`,
   'content,role,tool_name'],
  ['ollama-ai-provider-v2', () => aiSdk(createOllamaV2({baseURL: `${host}/api`})('m')), asWritten,
   `{"content":"","thinking":"${thinking}"}`, 'content,role,tool_call_id'],
  ['LangChain', langchain, '{"content":"I will pay."}', '{"content":""}', 'content,role'],
]) {
  const {turn, result} = await history(ask, 'I will pay.');
  expect(`${name}: words and thoughts`, withWords, turn);
  expect('  thoughts alone', withoutWords, (await history(ask, '')).turn);
  expect('  a result of a tool has', keys, result);
}
server.close();
process.exit(changed ? 1 : 0);
JS
node history.mjs
