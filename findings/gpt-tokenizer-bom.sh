#!/usr/bin/env bash
# Software  gpt-tokenizer 4.0.0, against tiktoken 1.0.22 (the original, compiled to WebAssembly), on Node.js
# Guess     Each entry of a byte-pair vocabulary that is a whole text encodes to itself in both, whatever it holds:
#           the two packages read the same tables, and for that text no more is needed than to look it up.
# Seen      The 100256 and 199998 ordinary tokens of cl100k_base and o200k_base were decoded to text where they are
#           text, and encoded again by both. They agree on all but 8 and 9, which are those that begin with U+FEFF,
#           the byte order mark. gpt-tokenizer never gives one of them: "\ufeffusing" is one token of both
#           vocabularies, made for C# files, and comes out as three. Decoding also loses: token 3305 of cl100k_base,
#           the mark alone, decodes to "".
# Matters   A count of tokens for a source file with a mark is high by 2, and ids made by the one package are never
#           those that the model was trained on. The package looks bytes up as strings, and makes the strings with a
#           TextDecoder, which drops a leading mark unless it is told not to. No sentence used as a test shows that; a
#           sweep over the whole vocabulary does, in seconds.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" gpt-tokenizer@4.0.0 tiktoken@1.0.22

cat > sweep.cjs <<'JS'
const tiktoken = require('tiktoken');
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(62)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
const utf8 = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true});
for (const [name, tokens, misfits] of [['cl100k_base', 100256, 8], ['o200k_base', 199998, 9]]) {
  const original = tiktoken.get_encoding(name);
  const ported = require(`gpt-tokenizer/encoding/${name}`);
  const differing = [];
  for (let id = 0; id < tokens; id += 1) {
    let text;
    try { text = utf8.decode(original.decode_single_token_bytes(id)); } catch { continue; } // part of a character
    if (original.encode(text, [], []).join() !== ported.encode(text).join()) differing.push(text);
  }
  expect(`${name}: tokens that the two encode differently`, misfits, differing.length);
  const marked = differing.filter((text) => text.startsWith('\ufeff'));
  expect(`${name}: of them, those that begin with U+FEFF`, misfits, marked.length);
  const source = '\ufeffusing System;\n';
  expect(`${name}: tokens of a C# file's first line, tiktoken`, 3, original.encode(source, [], []).length);
  expect(`${name}: tokens of the same line, gpt-tokenizer`, 5, ported.encode(source).length);
}
const {decode} = require('gpt-tokenizer/encoding/cl100k_base');
expect('cl100k_base: characters in gpt-tokenizer\'s decode([3305])', 0, decode([3305]).length);
expect('cl100k_base: bytes of token 3305, tiktoken', 'efbbbf',
       Buffer.from(tiktoken.get_encoding('cl100k_base').decode_single_token_bytes(3305)).toString('hex'));
process.exit(changed ? 1 : 0);
JS
node sweep.cjs
