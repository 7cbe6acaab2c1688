#!/usr/bin/env bash
# Software  zod 4.6.7 (z.fromJSONSchema, said to be experimental) with ajv 8.20.0 as the validator, on Node.js
# Guess     What zod can't express it refuses, as it does "not", "if", dependentRequired and unevaluatedProperties with
#           an error that names the keyword. What it doesn't refuse it checks.
# Seen      {"const": [1, 2]} rejects [1, 2] and takes 1 and 2, one by one. {"const": {"a": 1}} and {"enum": [{"a": 1}]}
#           reject the one value that they allow. "required" counts for names in "properties" alone. Beside a type,
#           anyOf of two lists of required names is dropped, and so are minimum beside a $ref and minLength beside an
#           enum. A minimum without a type is dropped, which is what JSON Schema takes as a condition for numbers. None
#           of them gives an error or a warning.
# Matters   Tools come with a JSON Schema (MCP, OpenAPI) and frameworks check a model's arguments by zod. A call without
#           its required argument passes, and one with the only right constant fails, while the errors for other
#           keywords make believe that the rest is covered. A server that holds its model to the schema hides it, one
#           that doesn't shows it. A conversion has to be tested with values on both sides of each keyword.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" zod@4.6.7 ajv@8.20.0

cat > convert.mjs <<'JS'
import {z} from 'zod';
import {Ajv2020} from 'ajv/dist/2020.js';
const ajv = new Ajv2020({strict: false});
let changed = false;
function expect(what, expected, found) {
  console.log(`  ${what.padEnd(44)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
const word = (accepted) => (accepted ? 'takes' : 'rejects');
function judge(schema, answers) {
  console.log(JSON.stringify(schema));
  const valid = ajv.compile(structuredClone(schema));
  const converted = z.fromJSONSchema(structuredClone(schema));
  for (const [answer, expected] of Object.entries(answers)) {
    const value = JSON.parse(answer);
    expect(answer, expected, `ajv ${word(valid(value))}, zod ${word(converted.safeParse(value).success)}`);
  }
}
const loose = 'ajv rejects, zod takes';
const strict = 'ajv takes, zod rejects';
const both = 'ajv takes, zod takes';
const neither = 'ajv rejects, zod rejects';
judge({const: [1, 2]}, {'[1,2]': strict, 1: loose, 2: loose, 3: neither});
judge({const: {a: 1}}, {'{"a":1}': strict, '{"a":2}': neither});
judge({enum: [{a: 1}, 'none']}, {'{"a":1}': strict, '"none"': both});
judge({type: 'object', properties: {b: {type: 'string'}}, required: ['a']}, {'{"a":1}': both, '{"b":"x"}': loose, '{}': loose});
judge({type: 'object', properties: {city: {type: 'string'}, at: {type: 'string'}}, anyOf: [{required: ['city']}, {required: ['at']}]},
      {'{"city":"Rome"}': both, '{}': loose});
judge({type: 'object', properties: {a: {$ref: '#/$defs/n', maximum: 5}}, $defs: {n: {type: 'number'}}},
      {'{"a":5}': both, '{"a":6}': loose});
judge({type: 'string', enum: ['a', 'ab'], minLength: 2}, {'"ab"': both, '"a"': loose});
judge({minimum: 5}, {5: both, 4: loose, '"text"': both});
judge({type: 'number', minimum: 5}, {5: both, 4: neither});
for (const schema of [{not: {type: 'string'}}, {if: {type: 'string'}, then: {minLength: 2}},
                      {type: 'object', dependentRequired: {a: ['b']}}, {type: 'object', unevaluatedProperties: false}]) {
  console.log(JSON.stringify(schema));
  let refused = 'converted';
  try { z.fromJSONSchema(schema); } catch { refused = 'refused'; }
  expect('', 'refused', refused);
}
process.exit(changed ? 1 : 0);
JS
node convert.mjs
