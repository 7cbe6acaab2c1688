#!/usr/bin/env bash
# Software  @langchain/openai 1.6.0, @langchain/core 1.4.0, on Node 20.20
# Guess     bindTools(tools, {tool_choice: "required"}) makes the model call a tool through either of OpenAI's APIs: a
#           member of that name is in the request's body, as both APIs document it.
# Seen      Through chat completions the body has tool_choice "required", for "any", too. Through the Responses API
#           (useResponsesApi) the body has no tool_choice at all for "required" and "any"; a tool that is named is sent.
#           The server then takes its default, auto, so that a model is free to answer with text. No warning is given.
# Matters   A server, or an agent, that is tested with chat completions looks as if it broke its promise once the API is
#           switched by one flag: the answer is text, with finish reason stop, where a call was demanded.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund @langchain/openai@1.6.0 @langchain/core@1.4.0
cat > ask.mjs <<'JS'
import { ChatOpenAI } from '@langchain/openai';

const tool = { type: 'function', function: { name: 'clock', description: 'The time', parameters: { type: 'object', properties: {} } } };

async function sent(useResponsesApi, choice) {
  let body;
  const fetch = async (_, options) => {
    body = JSON.parse(options.body);
    return new Response('{"error":{"message":"enough"}}', { status: 400, headers: { 'content-type': 'application/json' } });
  };
  const model = new ChatOpenAI({ model: 'm', apiKey: 'k', useResponsesApi, maxRetries: 0, configuration: { fetch } });
  await model.bindTools([tool], { tool_choice: choice }).invoke('now?').catch(() => {});
  return JSON.stringify(body.tool_choice ?? null);
}

for (const api of [false, true]) {
  for (const choice of ['required', 'any', 'clock']) {
    console.log(`${api ? 'responses' : 'chat'} ${choice} ${await sent(api, choice)}`);
  }
}
JS
node ask.mjs | tee seen.txt
cat > expected.txt <<'TXT'
chat required "required"
chat any "required"
chat clock {"type":"function","function":{"name":"clock"}}
responses required null
responses any null
responses clock {"type":"function","name":"clock"}
TXT
diff expected.txt seen.txt || { echo "CHANGED" >&2; exit 1; }
