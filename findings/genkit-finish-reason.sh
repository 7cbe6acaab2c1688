#!/usr/bin/env bash
# Software  genkit 1.42.0 and @genkit-ai/compat-oai 1.42.0 (Google's Genkit, its plugin for servers with OpenAI's API),
#           on Node.js
# Guess     A call's arguments are the text in function.arguments, parsed, whatever the choice's finish reason is. One
#           that was cut off by max_tokens gives an error. What the model said before its call stays in the history.
# Seen      Unless the finish reason is "tool_calls", Genkit hands the tool the empty string in place of the arguments,
#           which stand complete in the answer. A tool with a schema ends the run with "must be object. Provided data:",
#           one that takes anything runs with "", and the next request tells the model that it had called with "". Of a
#           call that max_tokens has cut off the same is made. In a stream the pieces shown to the reader hold the right
#           arguments all the while. Text beside a call is left out of the history.
# Matters   OpenAI itself gives "stop" where tool_choice names the function, servers and proxies have given it for every
#           call, and the five other clients that were tried take it. The error blames the model's JSON, which was
#           right. A server has to say "tool_calls" whenever there is a call, or this client's tools get nothing.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" \
    genkit@1.42.0 @genkit-ai/compat-oai@1.42.0

cat > finish.mjs <<'JS'
import http from 'node:http';
import {genkit, z} from 'genkit';
import {openAICompatible} from '@genkit-ai/compat-oai';
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(50)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
const right = '{"city":"Rome","amount":100}';
const called = (text) => ({id: 'c1', type: 'function', function: {name: 'pay', arguments: text}});
const head = {id: 'c', created: 1, model: 'm'};
const usage = {prompt_tokens: 1, completion_tokens: 1, total_tokens: 2};
let reason, requests;
function answer(stream) {
  const call = called(reason === 'length' ? right.slice(0, -3) : right);  // cut off after "amount":1
  const message = requests.length > 1 ? {role: 'assistant', content: 'Done.'} :
                                        {role: 'assistant', content: 'I will pay.', tool_calls: [call]};
  const finish_reason = requests.length > 1 ? 'stop' : reason;
  if (!stream) {
    return JSON.stringify({...head, object: 'chat.completion', choices: [{index: 0, message, finish_reason}], usage});
  }
  const delta = {...message, ...(message.tool_calls && {tool_calls: [{index: 0, ...call}]})};
  const chunks = [{delta, finish_reason: null}, {delta: {}, finish_reason}].map(
      (choice) => ({...head, object: 'chat.completion.chunk', choices: [{index: 0, ...choice}]}));
  return chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('') + 'data: [DONE]\n\n';
}
const server = http.createServer(async (request, response) => {
  let text = '';
  for await (const part of request) text += part;
  requests.push(JSON.parse(text));
  const {stream} = requests.at(-1);
  response.writeHead(200, {'content-type': stream ? 'text/event-stream' : 'application/json'});
  response.end(answer(stream));
});
await new Promise((listening) => { server.listen(0, '127.0.0.1', listening); });
const baseURL = `http://127.0.0.1:${server.address().port}/v1`;

async function run(streamed, finishReason, inputSchema) {
  reason = finishReason;
  requests = [];
  const ai = genkit({plugins: [openAICompatible({name: 'local', apiKey: 'none', baseURL, maxRetries: 0})]});
  const seen = {ran: 'nothing', shown: 'nothing', error: 'none'};
  const pay = ai.defineTool({name: 'pay', description: 'Pays', inputSchema}, async (input) => {
    seen.ran = JSON.stringify(input);
    return 'ok';
  });
  const asked = {model: 'local/m', prompt: 'Pay 100 in Rome.', tools: [pay]};
  try {
    if (streamed) {
      const {stream, response} = ai.generateStream(asked);
      response.catch(() => {});
      for await (const chunk of stream) {
        for (const part of chunk.toolRequests) seen.shown = JSON.stringify(part.toolRequest.input);
      }
      await response;
    } else {
      await ai.generate(asked);
    }
  } catch (error) {
    seen.error = error.message.replace(/\s+/g, ' ').match(/must be object Provided data: ""/)?.[0] ?? error.message;
  }
  return {...seen, history: requests[1]?.messages[1]};
}
const strict = z.object({city: z.string(), amount: z.number()});
for (const streamed of [false, true]) {
  const way = streamed ? 'stream' : 'one answer';
  expect(`${way}, "tool_calls": the tool gets`, right, (await run(streamed, 'tool_calls', strict)).ran);
  for (const finish of ['stop', 'length']) {
    const checked = await run(streamed, finish, strict);
    expect(`${way}, "${finish}": the error`, 'must be object Provided data: ""', checked.error);
    if (streamed) expect('  the stream has shown', finish === 'length' ? '{"city":"Rome","amount":1}' : right, checked.shown);
    const free = await run(streamed, finish, z.any());
    expect('  a tool that takes anything gets', '""', free.ran);
    expect('  the next request says', '"\\"\\""', JSON.stringify(free.history?.tool_calls[0].function.arguments));
  }
}
const {history} = await run(false, 'tool_calls', strict);
expect('"I will pay." beside the call, in the history', 'undefined', String(history.content));
server.close();
process.exit(changed ? 1 : 0);
JS
node finish.mjs
