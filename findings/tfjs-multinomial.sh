#!/usr/bin/env bash
# Software  @tensorflow/tfjs 4.22.0 with its CPU backend, on Node.js; onnxruntime-node 1.30.0 beside it
# Guess     tf.multinomial(logits, n) draws each row's tokens by that row's probabilities: rows of a batch independently, a
#           token whose logit is -Infinity never, and the seed, if there is one, makes the whole repeatable.
# Seen      Every row of a batch draws with the same random numbers, since the generator is seeded anew for each row,
#           without a seed given as well. Eight rows of equal logits give eight times the same six tokens out of 1000; the
#           chance of that is 1e-126. Among 128256 tokens of which one has 99.63 % and the last has -Infinity, the 0.37 %
#           of the others are never drawn and the forbidden last one is, in 0.4 % of the draws: the running sum is kept in
#           float32, where a probability of 2.9e-8 no longer moves a sum above 0.5, and what is then missing to 1 goes to
#           the last token. ONNX Runtime's Multinomial does neither.
# Matters   Eight samples of one prompt, drawn to be compared or voted on, are one. A mask over logits, the whole of
#           grammar-constrained output, is broken once in 270 tokens in a peaked distribution, at the end of the
#           vocabulary, where the special tokens are. A sampler has to sum in double precision or over the kept tokens
#           only, and fall back on the last token that is possible; a test of it needs a vocabulary of real size.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" \
    @tensorflow/tfjs@4.22.0 onnxruntime-node@1.30.0

cat > draw.mjs <<'JS'
import {createRequire} from 'node:module';
const require = createRequire(import.meta.url);
console.warn = () => {}; // the advice to install another backend
const tf = require('@tensorflow/tfjs');
const ort = require('onnxruntime-node');
await tf.setBackend('cpu');
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(62)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
// A model of the one node Multinomial, written by hand in protobuf's encoding.
const varint = (n) => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >> 7)]);
const int = (field, n) => [...varint(field << 3), ...varint(n)];
const bytes = (field, content) => {
  const all = typeof content === 'string' ? [...Buffer.from(content)] : content;
  return [...varint((field << 3) | 2), ...varint(all.length), ...all];
};
const attribute = (name, value) => bytes(5, [...bytes(1, name), ...int(3, value), ...int(20, 2)]);
const tensor = (field, name, type) => bytes(field, [...bytes(1, name), ...bytes(2, bytes(1, [
  ...int(1, type), ...bytes(2, [0, 1].flatMap((at) => bytes(1, bytes(2, `${name}${at}`))))]))]);
async function onnx(logits, rows, count) {
  const node = [...bytes(1, 'x'), ...bytes(2, 'y'), ...bytes(4, 'Multinomial'),
                ...attribute('dtype', 6), ...attribute('sample_size', count)];
  const graph = [...bytes(1, node), ...bytes(2, 'g'), ...tensor(11, 'x', 1), ...tensor(12, 'y', 6)];
  const model = Uint8Array.from([...int(1, 8), ...bytes(7, graph), ...bytes(8, [...bytes(1, ''), ...int(2, 17)])]);
  const session = await ort.InferenceSession.create(model, {logSeverityLevel: 4});
  return (await session.run({x: new ort.Tensor('float32', logits, [rows, logits.length / rows])})).y.data;
}
async function tensorflow(logits, rows, count, seed) {
  return tf.multinomial(tf.tensor2d(logits, [rows, logits.length / rows]), count, seed).data();
}

const rows = 8;
const draws = 6;
const distinct = (drawn) => new Set(Array.from({length: rows}, (_, row) => drawn.slice(row * draws, (row + 1) * draws).join(' '))).size;
const equal = new Float32Array(rows * 1000);
for (const [name, seed] of [['no seed', undefined], ['seed 7', 7]]) {
  expect(`tfjs, 6 of 1000 tokens in each of 8 rows, ${name}: different rows`, 1, distinct(await tensorflow(equal, rows, draws, seed)));
}
expect('onnxruntime, the same', 8, distinct(await onnx(equal, rows, draws)));

const vocabulary = 128256;
const head = 5;
const logits = new Float32Array(vocabulary);
logits[head] = 17.35;
logits[vocabulary - 1] = -Infinity;
const probability = await tf.softmax(tf.tensor1d(logits)).data();
expect('probability of the head and of the last token', '0.9963 0', `${probability[head].toFixed(4)} ${probability[vocabulary - 1]}`);
function kinds(drawn) {
  const last = drawn.filter((token) => token === vocabulary - 1).length;
  const others = drawn.filter((token) => token !== head && token !== vocabulary - 1).length;
  return {last, others};
}
const count = 20000;
const plain = kinds(await tensorflow(logits, 1, count, 42));
// By chance 75 of 20000 are to be expected for the rest of the probability, between 40 and 110 but once in ten thousand runs.
const some = (n) => (n >= 40 && n <= 110 ? '40 to 110' : n);
expect('tfjs, of 20000 draws: those of the other 128254 tokens', 0, plain.others);
expect('  those of the forbidden last token', '40 to 110', some(plain.last));
const right = kinds(await onnx(logits, 1, count));
expect('onnxruntime, the same: those of the other 128254 tokens', '40 to 110', some(right.others));
expect('  those of the forbidden last token', 0, right.last);
process.exit(changed ? 1 : 0);
JS
node draw.mjs
