#!/usr/bin/env bash
# Software  @huggingface/gguf 0.4.6 on Node.js
# Guess     buildGgufHeader gives the header of a GGUF file with one value changed: the rest stays as it was, and the
#           tensors' data lies where the package's own reader, gguf(), looks for it.
# Seen      Two other things change. Where general.alignment is 64, the header is padded to 32 all the same, unless the
#           caller repeats the 64 as an option. Depending on the new value's length the data then begins 32 bytes before
#           the place where every reader looks by the file's own key, gguf() among them. And tokens that begin with U+FEFF
#           lose it, since strings are read with a decoder that drops a byte order mark: of "//" and "\ufeff//", two tokens
#           of Gemma 3, the file has "//" twice afterwards, and the mark alone, a token of Llama 2, is empty.
# Matters   This is how a model's name or chat template is edited without its weights being sent again. A shift of 32 bytes
#           makes each weight the one eight floats further on, in a file whose sizes and names are all in order. Lost marks
#           give two ids to one text. Who writes a container has to write back an untouched file first and compare bytes.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" @huggingface/gguf@0.4.6

cat > rewrite.mjs <<'JS'
import {writeFileSync} from 'node:fs';
import {buildGgufHeader, gguf} from '@huggingface/gguf';
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(64)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
const u32 = (n) => { const bytes = Buffer.alloc(4); bytes.writeUInt32LE(n); return bytes; };
const u64 = (n) => { const bytes = Buffer.alloc(8); bytes.writeBigUInt64LE(BigInt(n)); return bytes; };
const string = (text) => Buffer.concat([u64(Buffer.byteLength(text)), Buffer.from(text)]);
const padded = (bytes, to) => Buffer.concat([bytes, Buffer.alloc(-bytes.length & (to - 1))]);
const data = Buffer.from(new Float32Array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]).buffer);
function file(alignment, list) { // GGUF version 3 with one tensor of 16 floats
  const values = [
    [string('general.architecture'), u32(8), string('gemma3')], [string('general.name'), u32(8), string('a')],
    [string('general.alignment'), u32(4), u32(alignment)],
    [string('tokenizer.ggml.tokens'), u32(9), u32(8), u64(list.length), ...list.map(string)]];
  const tensor = [string('output_norm.weight'), u32(1), u64(16), u32(0), u64(0)];
  const head = Buffer.concat([Buffer.from('GGUF'), u32(3), u64(1), u64(values.length), ...values.flat(), ...tensor]);
  return Buffer.concat([padded(head, alignment), data]);
}
async function read(bytes, options = {}) {
  writeFileSync('model.gguf', bytes);
  return gguf('model.gguf', {allowLocalFile: true, ...options});
}
async function renamed(bytes, name, options = {}) {
  const {typedMetadata, tensorDataOffset, tensorInfoByteRange} = await read(bytes, {typedMetadata: true});
  typedMetadata['general.name'].value = name;
  const header = await buildGgufHeader(new Blob([bytes]), typedMetadata, {littleEndian: true, tensorInfoByteRange, ...options});
  return Buffer.concat([Buffer.from(await header.arrayBuffer()), bytes.subarray(Number(tensorDataOffset))]);
}
async function firstWeight(bytes) { return bytes.readFloatLE(Number((await read(bytes)).tensorDataOffset)); }

const tokens = ['a', '//', '#', '\ufeff', '\ufeff//', '\ufeff#'];
const whole = file(32, tokens);
const after = await renamed(whole, 'b');
expect('of 6 tokens, those that are in the bytes before a renaming', 6,
       tokens.filter((token) => whole.includes(string(token))).length);
expect('  afterwards', 3, tokens.filter((token) => after.includes(string(token))).length);
const listed = JSON.stringify((await read(after)).metadata['tokenizer.ggml.tokens']);
expect('  the list that is read', '["a","//","#","","//","#"]', listed);

const aligned = file(64, ['a', 'b']);
const weights = {before: [], plain: [], told: []};
for (const length of [1, 20, 40, 60]) {
  const name = 'n'.repeat(length);
  weights.before.push(await firstWeight(aligned));
  weights.plain.push(await firstWeight(await renamed(aligned, name)));
  weights.told.push(await firstWeight(await renamed(aligned, name, {alignment: 64})));
}
expect('general.alignment 64, first weight before it is renamed', '1 1 1 1', weights.before.join(' '));
expect('  afterwards, with names of 1, 20, 40 and 60 characters', '1 9 9 1', weights.plain.join(' '));
expect('  the same, with {alignment: 64}', '1 1 1 1', weights.told.join(' '));
process.exit(changed ? 1 : 0);
JS
node rewrite.mjs
