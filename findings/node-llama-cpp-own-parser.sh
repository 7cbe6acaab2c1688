#!/usr/bin/env bash
# Software  node-llama-cpp 3.21.1 with its prebuilt llama.cpp (@node-llama-cpp/linux-x64 3.21.1), on Node.js
# Guess     createGrammarForJsonSchema(schema) makes two things of one schema, the grammar that holds the model and the
#           parse() of its answer, in one package. What the grammar lets through, parse() takes.
# Seen      {"type": "integer"} lets 3e-2 and 25e-1 through, for its exponent may have a minus, and parse() throws on
#           both. {"minLength": 2, "maxLength": 2} counts characters in the grammar and UTF-16 units in parse(): of the
#           surname 𠮷野 it says "Expected exactly 2 characters but got 3", and it takes 𠮷 alone, which the grammar forbids.
#           Where other properties are allowed, a declared name may come again as one of them, {"id":1,"id":null}, and
#           parse() throws on the one that came last. A schema's minimum, maximum and pattern leave no trace in either.
# Matters   The two are called one after the other, so that an exception comes where a valid answer was to be expected,
#           for rare answers and after all the work is done. Ranges that are ignored are the reverse: 7 passes
#           for an integer from 1 to 5. Who makes a grammar of a schema has to test it against a validator, in both
#           directions, with numbers that have exponents and characters beyond the first plane.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --omit=optional --save-exact --prefix "$dir" \
    node-llama-cpp@3.21.1 @node-llama-cpp/linux-x64@3.21.1

cat > agree.mjs <<'JS'
import {getLlama} from 'node-llama-cpp';
const llama = await getLlama({build: 'never', gpu: false, logLevel: 'error', skipDownload: true});
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(52)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
// A grammar without recursion is a regular expression over code points; it is read here as GBNF defines it.
function expression(grammar) {
  const rules = Object.fromEntries(grammar.split('\n').filter((line) => line.includes('::='))
    .map((line) => line.split(/ ::= (.*)/s)));
  const literal = (text) => text.replace(/[$()*+./?[\]^{|}]|\\"/g, (one) => (one === '\\"' ? '"' : `\\${one}`));
  const written = (body) => body.replace(/"((?:[^"\\]|\\.)*)"|\[(?:[^\]\\]|\\.)*\]|[a-z][a-z0-9-]*|\{[0-9,]+\}|\s+/g, (part, text) => {
    if (text !== undefined) return `(?:${literal(text)})`;
    if (/^[a-z]/.test(part)) return `(?:${written(rules[part])})`;
    return /^\s/.test(part) ? '' : part;
  });
  return new RegExp(`^(?:${written(rules.root)})$`, 'u');
}
async function judge(schema, answers) {
  const grammar = await llama.createGrammarForJsonSchema(schema);
  const allowed = expression(grammar.grammar);
  console.log(JSON.stringify(schema));
  for (const [answer, expected] of Object.entries(answers)) {
    let parsed = 'parsed';
    try { grammar.parse(answer); } catch (error) { parsed = `thrown at (${error.message})`; }
    expect(`  ${answer}`, expected, `${allowed.test(`${answer}\n\n\n\n`) ? 'allowed' : 'forbidden'}, ${parsed}`);
  }
}
const number = 'allowed, thrown at (Expected type "integer" but got "number")';
await judge({type: 'integer'}, {3: 'allowed, parsed', '-12': 'allowed, parsed', '3e-2': number, '25e-1': number,
                                '2.5': 'forbidden, thrown at (Expected type "integer" but got "number")'});
await judge({type: 'string', minLength: 2, maxLength: 2}, {
  '"吉野"': 'allowed, parsed',
  '"𠮷野"': 'allowed, thrown at (Expected exactly 2 characters but got 3)',
  '"𠮷"': 'forbidden, parsed',
});
await judge({type: 'object', properties: {id: {type: 'integer'}}, additionalProperties: {type: 'null'}}, {
  '{"id":1}': 'allowed, parsed',
  '{"id":1,"note":null}': 'allowed, parsed',
  '{"id":1,"id":null}': 'allowed, thrown at (Expected type "integer" but got "null")',
});
await judge({type: 'integer', minimum: 1, maximum: 5}, {3: 'allowed, parsed', 7: 'allowed, parsed'});
await judge({type: 'string', pattern: '^a+$'}, {'"aa"': 'allowed, parsed', '"b"': 'allowed, parsed'});
process.exit(changed ? 1 : 0);
JS
node agree.mjs
