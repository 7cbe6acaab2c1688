#!/usr/bin/env bash
# Software  genkit 1.42.0 and @genkit-ai/compat-oai 1.42.0 (Google's Genkit, its plugin for servers with OpenAI's API),
#           on Node.js
# Guess     The options of a request go out as they were given. What a model isn't known to support is refused or warned
#           of.
# Seen      Every option whose value is 0 or false is left out, without a word: temperature 0, top_p 0, seed 0,
#           parallel_tool_calls false, store false. 0.1, 1 and true are sent. toolChoice "required" and "none" are left
#           out too, for a model that the plugin itself calls one that has toolChoice. A user's message of three texts
#           becomes three messages, unless there is a picture among them.
# Matters   Temperature 0 is what everybody sets for answers that can be repeated; here it means the server's default, 1
#           by OpenAI's API, and 0.01 would have worked. Who forbids parallel calls gets them. A server sees none of it.
#           Templates that demand turns by turns, as Gemma's and Mistral's do, raise an error for three user messages.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" \
    genkit@1.42.0 @genkit-ai/compat-oai@1.42.0

cat > options.mjs <<'JS'
import http from 'node:http';
import {genkit, z} from 'genkit';
import {openAICompatible} from '@genkit-ai/compat-oai';
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(40)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
let body;
const server = http.createServer(async (request, response) => {
  let text = '';
  for await (const part of request) text += part;
  body = JSON.parse(text);
  response.writeHead(200, {'content-type': 'application/json'});
  const choices = [{index: 0, message: {role: 'assistant', content: 'Yes.'}, finish_reason: 'stop'}];
  const usage = {prompt_tokens: 1, completion_tokens: 1, total_tokens: 2};
  response.end(JSON.stringify({id: 'c', object: 'chat.completion', created: 1, model: 'm', choices, usage}));
});
await new Promise((listening) => { server.listen(0, '127.0.0.1', listening); });
const baseURL = `http://127.0.0.1:${server.address().port}/v1`;
const ai = genkit({plugins: [openAICompatible({name: 'local', apiKey: 'none', baseURL, maxRetries: 0})]});
const clock = ai.defineTool({name: 'clock', description: 'The time', inputSchema: z.object({})}, async () => '12:00');
async function sent(asked) {
  const response = await ai.generate({model: 'local/m', prompt: 'Is it noon?', ...asked});
  if (response.text !== 'Yes.') throw new Error('no answer');
  return body;
}
async function option(name, value, expected, key = name) {
  const found = (await sent({config: {[name]: value}}))[key];
  expect(`${name}: ${JSON.stringify(value)}`, expected, JSON.stringify(found) ?? 'left out');
}
await option('temperature', 0, 'left out');
await option('temperature', 0.1, '0.1');
await option('topP', 0, 'left out', 'top_p');
await option('topP', 0.1, '0.1', 'top_p');
await option('seed', 0, 'left out');
await option('seed', 1, '1');
await option('parallel_tool_calls', false, 'left out');
await option('parallel_tool_calls', true, 'true');
await option('store', false, 'left out');
await option('store', true, 'true');
const {supports} = (await ai.registry.lookupAction('/model/local/m')).__action.metadata.model;
expect('the model\'s own toolChoice', 'true', String(supports.toolChoice));
for (const toolChoice of ['required', 'none']) {
  const {tools, tool_choice: choice} = await sent({tools: [clock], toolChoice});
  expect(`toolChoice: "${toolChoice}"`, '1 tool, left out', `${tools.length} tool, ${choice ?? 'left out'}`);
}
const texts = [{text: 'The clock says 12.'}, {text: 'The sun is up.'}, {text: 'Is it noon?'}];
const parts = (content) => (Array.isArray(content) ? ` of ${content.length}` : '');
const shape = (messages) => messages.map(({role, content}) => role + parts(content)).join(', ');
expect('a prompt of three texts', 'user, user, user', shape((await sent({prompt: texts})).messages));
const picture = {media: {url: 'data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=', contentType: 'image/gif'}};
expect('a picture and three texts', 'user of 4', shape((await sent({prompt: [picture, ...texts]})).messages));
server.close();
process.exit(changed ? 1 : 0);
JS
node options.mjs
