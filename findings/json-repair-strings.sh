#!/usr/bin/env bash
# Software  @toolsycc/json-repair 0.1.22, json-repair-js 1.0.0 and jsonrepair 3.15.0 on Node.js
# Guess     Of a document whose last bracket is missing, since the model reached its limit of tokens, a repair of JSON makes
#           the document with that bracket. Strings that were complete are kept.
# Seen      @toolsycc/json-repair goes on repairing within the strings: what follows // is a comment to it, so that
#           "https://example.org/{id}" becomes "https:" and a URL without braces throws; "True or undefined" becomes "true or
#           null", and "one, two: three" throws. json-repair-js leaves every escape as it stands: a line break becomes a
#           backslash and an n, "a\"b" has a backslash afterwards, and true and null are the strings "true" and "null". Both
#           return the right values as long as the bracket is there, for they try JSON.parse first. jsonrepair adds the
#           bracket and changes nothing.
# Matters   These stand between a model and a function that is called with what they return. That a repair was needed at
#           all shows in one answer out of many, the longest, and that one has a truncated link or a file with \n in it
#           for line breaks. A test with sound JSON passes, and so does one with a broken name and age. A server that
#           says finish_reason "length" has to be believed before anything is mended.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" \
    @toolsycc/json-repair@0.1.22 json-repair-js@1.0.0 jsonrepair@3.15.0

cat > repair.mjs <<'JS'
import {createRequire} from 'node:module';
const require = createRequire(import.meta.url);
const toolsycc = require('@toolsycc/json-repair');
const loads = require('json-repair-js').loads;
const {jsonrepair} = require('jsonrepair');
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(26)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
const repairs = {
  jsonrepair: (text) => JSON.parse(jsonrepair(text)),
  '@toolsycc/json-repair': (text) => {
    const result = toolsycc.repairJson(text);
    return typeof result === 'string' ? JSON.parse(result) : result;
  },
  'json-repair-js': (text) => loads(text),
};
function attempt(repair, text) {
  try { return JSON.stringify(repair(text)); } catch { return 'thrown'; }
}
// Each document with what the two repairs make of it without its last bracket.
const documents = [
  [{url: 'https://example.org/{id}'}, '{"url":"https:"}', null],
  [{url: 'https://example.org/a'}, 'thrown', null],
  [{text: 'True or undefined'}, '{"text":"true or null"}', null],
  [{text: 'one, two: three'}, 'thrown', null],
  [{text: 'She said "yes".'}, null, '{"text":"She said \\\\\\"yes\\\\\\"."}'],
  [{code: 'one\ntwo'}, null, '{"code":"one\\\\ntwo"}'],
  [{path: 'C:\\data'}, null, '{"path":"C:\\\\\\\\data"}'],
  [{ok: true, none: null}, null, '{"ok":"true","none":"null"}'],
  [{name: 'Ada', age: 36}, null, null],
];
for (const [document, ...results] of documents) {
  const text = JSON.stringify(document);
  const expected = [null, ...results];
  console.log(text);
  for (const [at, [name, repair]] of Object.entries(repairs).entries()) {
    if (attempt(repair, text) !== text) { console.error(`  CHANGED: ${name} alters the whole document`); changed = true; }
    expect(`  cut, ${name}`, expected[at] ?? text, attempt(repair, text.slice(0, -1)));
  }
}
process.exit(changed ? 1 : 0);
JS
node repair.mjs
