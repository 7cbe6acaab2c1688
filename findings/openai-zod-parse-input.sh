#!/usr/bin/env bash
# Software  openai 7.55.0 (its helper zodResponseFormat) with zod 4.6.7, on Node.js
# Guess     One Zod type is the schema that the server holds the answer to and the parser of that answer. So each answer
#           that the schema allows gets through the parser; a type that can't be said in JSON Schema is refused, as dates
#           and transformations are.
# Seen      For types that read a string and return something else, the schema describes what is returned. z.stringbool()
#           is sent as {"type": "boolean"}, and the one answer that a model may write, true or false, is rejected by
#           parse() ("expected string, received boolean"), while "true", which would be taken, is forbidden by the
#           schema. A pipe from a string to a number is the same. The flag of a pattern is dropped: /^[a-f]+$/i goes out
#           as ^[a-f]+$, though the parser takes capitals. Nothing is refused or warned of.
# Matters   With a server that keeps its promise to the letter every single answer fails, and with one that doesn't
#           enforce schemas a model that writes "yes" succeeds: the better the server, the worse it looks. Zod's function
#           can describe the input as well ({io: "input"}), and then says string for both.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" openai@7.55.0 zod@4.6.7

cat > roundtrip.mjs <<'JS'
import {zodResponseFormat} from 'openai/helpers/zod';
import * as z from 'zod';
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(44)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
const fromText = z.string().transform(Number).pipe(z.number());
const types = {
  'z.stringbool()': [z.stringbool(), '{"type":"boolean"}', {true: 'rejected', false: 'rejected', '"yes"': 'true'}],
  'a pipe of string and number': [fromText, '{"type":"number"}', {2.5: 'rejected', '"2.5"': '2.5'}],
  'z.string().regex(/^[a-f]+$/i)': [z.string().regex(/^[a-f]+$/i), '{"type":"string","pattern":"^[a-f]+$"}',
                                    {'"abc"': '"abc"', '"ABC"': '"ABC"'}],
  'z.boolean()': [z.boolean(), '{"type":"boolean"}', {true: 'true', false: 'false'}],
};
for (const [name, [type, schema, answers]] of Object.entries(types)) {
  const format = zodResponseFormat(z.object({value: type}), 'answer');
  expect(`${name}, sent`, schema, JSON.stringify(format.json_schema.schema.properties.value));
  for (const [answer, expected] of Object.entries(answers)) {
    let parsed;
    try {
      parsed = JSON.stringify(format.$parseRaw(`{"value": ${answer}}`).value);
    } catch (error) {
      if (error.name !== 'ZodError' && !/invalid_type/.test(error.message)) throw error;
      parsed = 'rejected';
    }
    expect(`  parse of ${answer}`, expected, parsed);
  }
}
for (const [name, type] of [['z.stringbool()', z.stringbool()], ['the pipe', fromText]]) {
  expect(`${name}, by zod as input`, 'string', z.toJSONSchema(type, {io: 'input'}).type);
}
let refusal = 'sent';
try { zodResponseFormat(z.object({value: z.date()}), 'answer'); } catch (error) { refusal = error.message; }
expect('z.date()', 'Date cannot be represented in JSON Schema', refusal);
process.exit(changed ? 1 : 0);
JS
node roundtrip.mjs
