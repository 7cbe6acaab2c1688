#!/usr/bin/env bash
# Software  onnxruntime-node 1.30.0 (ONNX Runtime's CPU kernels, built for Node.js)
# Guess     A NaN among the numbers of a maximum comes out of it, as in NumPy and PyTorch, or is passed over, as by C's
#           fmax. Whichever it is, one library has one rule, and the place of the NaN doesn't matter.
# Seen      Five operators have five rules. Of 64 numbers with one NaN, Softmax and Max (of two tensors) hand it on from
#           all 64 places and MaxPool from none. ReduceMax and ArgMax hand it on from the first place alone, whatever the
#           length is, and ReduceMax over columns from the first row alone. GlobalMaxPool hands it on from the 64th place
#           alone; of 67 numbers that is still the 64th, of 6 it is the 4th: the last lane of the last whole vector of four.
# Matters   An int8 quantiser takes its scale from a ReduceMax, and a sampler its token from an ArgMax. A row with a NaN
#           has a fine scale or a fine token 63 times out of 64, so that the fault shows up later and elsewhere, and a test
#           that puts its NaN at index 0 sees it handed on. A test of special values has to move them through all places.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" onnxruntime-node@1.30.0

cat > maxima.mjs <<'JS'
import {createRequire} from 'node:module';
const ort = createRequire(import.meta.url)('onnxruntime-node');
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(58)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
// A model of one node, written by hand in protobuf's encoding.
const varint = (n) => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >> 7)]);
const int = (field, n) => [...varint(field << 3), ...varint(n)];
const bytes = (field, content) => {
  const all = typeof content === 'string' ? [...Buffer.from(content)] : content;
  return [...varint((field << 3) | 2), ...varint(all.length), ...all];
};
const attribute = ([name, value]) => bytes(5, [...bytes(1, name), ...(Array.isArray(value)
  ? [...value.flatMap((one) => int(8, one)), ...int(20, 7)] : [...int(3, value), ...int(20, 2)])]);
const tensor = (field, name, type, rank) => bytes(field, [...bytes(1, name), ...bytes(2, bytes(1, [
  ...int(1, type), ...bytes(2, Array.from({length: rank}, (_, at) => bytes(1, bytes(2, `${name}${at}`))).flat())]))]);
function model(op, inputs, attributes, rank, outputType, outputRank) {
  const node = [...inputs.flatMap((input) => bytes(1, input)), ...bytes(2, 'y'), ...bytes(4, op),
                ...Object.entries(attributes).flatMap(attribute)];
  const graph = [...bytes(1, node), ...bytes(2, 'g'), ...inputs.flatMap((input) => tensor(11, input, 1, rank)),
                 ...tensor(12, 'y', outputType, outputRank)];
  return Uint8Array.from([...int(1, 8), ...bytes(7, graph), ...bytes(8, [...bytes(1, ''), ...int(2, 17)])]);
}

// Which places of a tensor, counted from 1, hand on a NaN that stands there alone. The other numbers grow.
async function places(op, shape, {attributes = {}, second = false, indices = false, outputRank = shape.length} = {}) {
  const inputs = second ? ['x', 'z'] : ['x'];
  const session = await ort.InferenceSession.create(
    model(op, inputs, attributes, shape.length, indices ? 7 : 1, outputRank), {logSeverityLevel: 4});
  const size = shape.reduce((a, b) => a * b);
  const handing = [];
  for (let place = 1; place <= size; place += 1) {
    const numbers = Float32Array.from({length: size}, (_, at) => (at === place - 1 ? NaN : at));
    const feeds = {x: new ort.Tensor('float32', numbers, shape)};
    if (second) feeds.z = new ort.Tensor('float32', new Float32Array(size), shape);
    const found = [...(await session.run(feeds)).y.data];
    const noticed = indices ? found.some((one) => Number(one) === place - 1) : found.some(Number.isNaN);
    if (noticed) handing.push(place);
  }
  if (handing.length === size) return 'all';
  return handing.join(' ') || 'none';
}
expect('Softmax of 64, places that hand a NaN on', 'all', await places('Softmax', [1, 64], {attributes: {axis: 1}}));
expect('Max of 64 and 64 zeros', 'all', await places('Max', [64], {second: true}));
expect('MaxPool of 64, windows of 3', 'none', await places('MaxPool', [1, 1, 64], {attributes: {kernel_shape: [3]}}));
for (const length of [6, 64, 67]) {
  expect(`ReduceMax of ${length}`, '1', await places('ReduceMax', [1, length], {attributes: {axes: [1]}}));
}
expect('ReduceMin of 64', '1', await places('ReduceMin', [1, 64], {attributes: {axes: [1]}}));
expect('ReduceMax of 10 rows of 3, over the columns', '1 2 3', await places('ReduceMax', [10, 3], {attributes: {axes: [0]}}));
// ArgMax hands a NaN on by naming its place.
expect('ArgMax of 64', '1', await places('ArgMax', [1, 64], {attributes: {axis: 1}, indices: true}));
for (const [length, expected] of [[3, 'none'], [6, '4'], [64, '64'], [67, '64']]) {
  expect(`GlobalMaxPool of ${length}`, expected, await places('GlobalMaxPool', [1, 1, length]));
}
process.exit(changed ? 1 : 0);
JS
node maxima.mjs
