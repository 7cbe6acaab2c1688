#!/usr/bin/env bash
# Software  @langchain/openai 1.6.0 (useResponsesApi) with @langchain/core 1.4.0 and openai 7.59.0, on Node.js
# Guess     An answer that the server couldn't finish is an error, by either of OpenAI's APIs, as it is in the AI SDK,
#           OpenAI's agents and TanStack AI. A call in an answer that max_output_tokens has cut off isn't a valid call.
# Seen      A stream that ends with response.failed ends as if it were complete: the text so far, no error, and neither
#           a status nor the server's message in what is returned. The same failure raises an error as one answer of
#           status "failed", as an event "error", and through chat completions. Of a call that is cut off at "amount":1
#           of 100, streams of both APIs make a valid call with the amount 1, and no invalid one, though the status is
#           "incomplete"; the same response in one piece gives an invalid call and no valid one.
# Matters   Text breaks off in the midst and nobody learns that the server ran out of memory or stopped; a retry or a
#           fallback model, which LangChain has for errors, isn't tried. An agent pays 1 in place of 100 where only the
#           limit of tokens was too small. A server had better follow response.failed by an event "error", and callers
#           have to look at the status before they run a call.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" \
    @langchain/openai@1.6.0 @langchain/core@1.4.0 openai@7.59.0

cat > failure.mjs <<'JS'
import {ChatOpenAI} from '@langchain/openai';
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(50)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
const answer = (status, output, more = {}) => ({
  id: 'resp_1', object: 'response', created_at: 1700000000, model: 'm', status, output, error: null,
  incomplete_details: null, parallel_tool_calls: true, tool_choice: 'auto', tools: [], metadata: {}, ...more});
const error = {code: 'server_error', message: 'out of memory'};
const part = (text) => ({type: 'output_text', text, annotations: [], logprobs: []});
const message = (status, text) => ({id: 'msg_1', type: 'message', status, role: 'assistant', content: text ? [part(text)] : []});
const call = (status, text) => ({id: 'fc_1', type: 'function_call', status, call_id: 'call_1', name: 'pay', arguments: text});
const begun = [{type: 'response.created', response: answer('in_progress', [])},
               {type: 'response.output_item.added', output_index: 0, item: message('in_progress', '')},
               {type: 'response.content_part.added', item_id: 'msg_1', output_index: 0, content_index: 0, part: part('')},
               ...['You should ', 'take '].map((delta) => ({type: 'response.output_text.delta', item_id: 'msg_1',
                                                            output_index: 0, content_index: 0, delta, logprobs: []}))];
const whole = [...begun, {type: 'response.output_item.done', output_index: 0, item: message('completed', 'You should take ')},
               {type: 'response.completed', response: answer('completed', [message('completed', 'You should take ')])}];
const unfinished = answer('failed', [message('incomplete', 'You should take ')], {error});
const failed = [...begun, {type: 'response.failed', response: unfinished}];
const broken = [...begun, {type: 'error', ...error, param: null}];
const cut = '{"city":"Rome","amount":1';  // of 100
const limited = answer('incomplete', [call('incomplete', cut)], {incomplete_details: {reason: 'max_output_tokens'}});
const limit = [begun[0], {type: 'response.output_item.added', output_index: 0, item: call('in_progress', '')},
               {type: 'response.function_call_arguments.delta', item_id: 'fc_1', output_index: 0, delta: cut},
               {type: 'response.output_item.done', output_index: 0, item: call('incomplete', cut)},
               {type: 'response.incomplete', response: limited}];
const chunk = (delta, reason) => ({id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm',
                                   choices: [{index: 0, delta, finish_reason: reason}]});
const named = (event, at) => `event: ${event.type}\ndata: ${JSON.stringify({...event, sequence_number: at})}\n\n`;
const sse = (events) => events.map((event, at) =>
    (event.type ? named(event, at) : `data: ${JSON.stringify(event)}\n\n`)).join('');

function model(body, useResponsesApi = true) {
  const type = typeof body === 'string' ? 'text/event-stream' : 'application/json';
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const fetch = async () => new Response(text, {headers: {'content-type': type}});
  return new ChatOpenAI({model: 'm', apiKey: 'none', maxRetries: 0, useResponsesApi, configuration: {fetch}});
}
const state = (found) => `${JSON.stringify(found.text)}, status ${found.response_metadata.status}, ` +
    `calls ${JSON.stringify(found.tool_calls.map((one) => one.args))}, invalid ${found.invalid_tool_calls.length}`;
async function read(body, useResponsesApi) {
  try {
    let found;
    for await (const piece of await model(body, useResponsesApi).stream('Hello')) found = found?.concat(piece) ?? piece;
    return state(found);
  } catch (thrown) { return `error: ${thrown.message}`; }
}
async function ask(body) {
  try { return state(await model(body).invoke('Hello')); } catch (thrown) { return `error: ${thrown.message}`; }
}
const half = '"You should take "';
const ended = (status) => `${half}, status ${status}, calls [], invalid 0`;
const valid = 'calls [{"city":"Rome","amount":1}], invalid 0';
expect('a stream that is whole', ended('completed'), await read(sse(whole)));
expect('a stream with response.failed', ended('undefined'), await read(sse(failed)));
expect('a stream with error', 'error: out of memory', await read(sse(broken)));
expect('one by chat completions', 'error: out of memory',
       await read(sse([chunk({role: 'assistant', content: 'You should '}, null), {error}]), false));
expect('one answer of status failed', 'error: out of memory', await ask(unfinished));
expect('a call cut off by max_output_tokens, a stream', `"", status incomplete, ${valid}`, await read(sse(limit)));
expect('  one answer', '"", status incomplete, calls [], invalid 1', await ask(limited));
const tool_calls = [{index: 0, id: 'call_1', type: 'function', function: {name: 'pay', arguments: cut}}];
expect('  by chat completions, a stream', `"", status undefined, ${valid}`,
       await read(sse([chunk({role: 'assistant', content: '', tool_calls}, null), chunk({}, 'length')]) + 'data: [DONE]\n\n', false));
process.exit(changed ? 1 : 0);
JS
node failure.mjs
