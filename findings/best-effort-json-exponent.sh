#!/usr/bin/env bash
# Software  best-effort-json-parser 1.5.1, against partial-json 0.1.7, on Node.js
# Guess     A parser of unfinished JSON, made for what a model is still writing, reads what is there already as a JSON
#           parser does. It may guess wrongly at the last value, which is cut, and at no other.
# Seen      A number with an exponent that is long complete breaks what follows: of {"rate":1e-5,"name":"te it makes
#           {"rate":1,"e-5,\"name\"":"te"}, in which the number is 100000 times too large, a key is made of the exponent
#           and the next key, and "name" is missing. [1e5,2e5,3 becomes [1,"e5",2,"e5",3]. Once the last bracket has come
#           the whole text is right, since then JSON.parse gets it first.
# Matters   The arguments of a tool call come in fragments and are shown, or acted on, before they end: each step but the
#           last has the wrong rate under the wrong keys. Learning rates and tolerances are where a model writes 1e-5.
#           Tests with complete texts can't fail; a test has to parse every prefix, and demand that what is behind the
#           cut agrees with the end.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" best-effort-json-parser@1.5.1 \
    partial-json@0.1.7

cat > prefixes.cjs <<'JS'
const bestEffort = require('best-effort-json-parser').parse;
const partial = require('partial-json').parse;
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(48)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
for (const [text, expected, right] of [
  ['{"rate":1e-5,"name":"te', '{"rate":1,"e-5,\\"name\\"":"te"}', '{"rate":0.00001,"name":"te"}'],
  ['{"rate":1E5,"name":"te', '{"rate":1,"E5,\\"name\\"":"te"}', '{"rate":100000,"name":"te"}'],
  ['[1e5,2e5,3', '[1,"e5",2,"e5",3]', '[100000,200000,3]'],
  ['{"rate":0.00001,"name":"te', '{"rate":0.00001,"name":"te"}', '{"rate":0.00001,"name":"te"}'],
  ['{"rate":1e-5,"name":"test"}', '{"rate":0.00001,"name":"test"}', '{"rate":0.00001,"name":"test"}'],
]) {
  expect(`best-effort-json-parser of ${text}`, expected, JSON.stringify(bestEffort(text)));
  expect(`partial-json of ${text}`, right, JSON.stringify(partial(text)));
}
// Of a call's arguments, the prefixes behind the number whose "lr" isn't the one written there.
const call = JSON.stringify({lr: 0, epochs: 3, layers: [64, 64], note: 'a first run'}).replace('"lr":0', '"lr":3e-4');
const from = call.indexOf(',') + 1;
for (const [name, parse, expected] of [['best-effort-json-parser', bestEffort, call.length - from], ['partial-json', partial, 0]]) {
  let wrong = 0;
  for (let end = from; end < call.length; end += 1) wrong += parse(call.slice(0, end)).lr !== 3e-4;
  expect(`${name}: wrong of ${call.length - from} prefixes`, expected, wrong);
}
process.exit(changed ? 1 : 0);
JS
node prefixes.cjs
