#!/usr/bin/env bash
# Software  @sourcemeta/jsonschema 16.11.0 (Sourcemeta's command, over its validator Blaze in C++), with ajv 8.20.0
#           beside it, on Node.js
# Guess     A pattern means what it means in JavaScript with the flag u, as JSON Schema recommends. If anything differs,
#           it is "." and the line feed.
# Seen      "." takes line feeds and all other ends of a line, so that ^.+$ takes two lines. [\s\S], the usual way to
#           write any character, doesn't take U+180E, which Mongolian writes before a final vowel, nor does [\S], while
#           \S, [^\s], [^] and "." do. \s takes U+0085 and \S doesn't. \v is any end of a line and the form feed. 57
#           patterns were tried on 44 strings: the others agree with JavaScript.
# Matters   A name, a title or a header that ^.+$ holds to one line passes with two. A model's answer in Mongolian fails
#           at the pattern that was written to allow everything, and a server that holds it to the schema gets the
#           blame; the same text passes in ajv. For one line [^\n]+ is safe, and for any character [^] or no pattern.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" \
    @sourcemeta/jsonschema@16.11.0 ajv@8.20.0
chmod +x node_modules/@sourcemeta/jsonschema/build/github-releases/jsonschema-linux-*

cat > patterns.mjs <<'JS'
import {spawnSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {Ajv2020} from 'ajv/dist/2020.js';
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(34)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
const word = (accepted) => (accepted ? 'takes' : 'rejects');
function sourcemeta(schema, value) {
  writeFileSync('schema.json', JSON.stringify(schema));
  writeFileSync('value.json', JSON.stringify(value));
  const command = 'node_modules/@sourcemeta/jsonschema/npm/cli.js';
  const {status, stderr} = spawnSync('node', [command, 'validate', 'schema.json', 'value.json'], {encoding: 'utf8'});
  if (status !== 0 && status !== 2) throw new Error(stderr);  // 2: the value isn't valid
  return status === 0;
}
function judge(pattern, value, ajvs, sourcemetas) {
  const schema = {$schema: 'https://json-schema.org/draft/2020-12/schema', type: 'string', pattern};
  const valid = new Ajv2020().compile(schema)(value);
  const shown = JSON.stringify(value).replace(/[^ -~]/gu, (one) => `U+${one.codePointAt(0).toString(16).padStart(4, '0')} `);
  expect(`${pattern}, ${shown}`, `ajv ${ajvs}, sourcemeta ${sourcemetas}`,
         `ajv ${word(valid)}, sourcemeta ${word(sourcemeta(schema, value))}`);
}
judge('^.+$', 'one line', 'takes', 'takes');
judge('^.+$', 'Subject: a\nTo: b', 'rejects', 'takes');
judge('^[^\\n]+$', 'Subject: a\nTo: b', 'rejects', 'rejects');
judge('^.$', '\u2028', 'rejects', 'takes');
const vowel = '\u182d\u180e\u1820';  // the end of a word: ga, the separator, a
judge('^[\\s\\S]+$', vowel, 'takes', 'rejects');
judge('^[\\S]+$', vowel, 'takes', 'rejects');
judge('^\\S+$', vowel, 'takes', 'takes');
judge('^[^\\s]+$', vowel, 'takes', 'takes');
judge('^[^]+$', vowel, 'takes', 'takes');
judge('^\\s$', '\u0085', 'rejects', 'takes');
judge('^\\S$', '\u0085', 'takes', 'rejects');
judge('^\\v$', '\v', 'takes', 'takes');
judge('^\\v$', '\n', 'rejects', 'takes');
process.exit(changed ? 1 : 0);
JS
node patterns.mjs
