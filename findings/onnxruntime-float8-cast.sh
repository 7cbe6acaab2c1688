#!/usr/bin/env bash
# Software  onnxruntime-node 1.30.0 (ONNX Runtime's CPU kernels, built for Node.js)
# Guess     Cast from float32 to an 8-bit float with saturate=0 rounds to the nearest number, and gives what lies beyond
#           the largest one as the format's infinity (E5M2) or NaN (E4M3FN, which has none). Whatever the rule at the
#           edge is, it is monotonic: the larger number never comes out smaller, nor as a number after a NaN.
# Seen      With growing inputs E5M2 gives 57344, then NaN from 61440 on, then Infinity from 65536 on. A finite number,
#           nearer to the largest than 65536 is, becomes NaN. E4M3FN gives 448, NaN above 464, again 448 from 480 on,
#           and NaN from 496 on: 470 and 500 are NaN, and 490 is 448. Of 327680 inputs (all upper halves of a float32,
#           each with five lower ones) these alone are wrong, 160 and 80 with both signs; with saturate=1, which is the
#           default, and in the two formats without a negative zero none is.
# Matters   Without saturation is how a mixed-precision trainer finds an overflow: it looks for an infinity and scales
#           down. 61440 passes as NaN, which means a bug elsewhere, and 490 passes for fine. The rounding carries out of
#           the mantissa at just these values, where the exponent was compared before. Of all floats they are
#           one in two thousand or fewer, so that random tests miss them; a sweep over all upper halves takes a second.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" onnxruntime-node@1.30.0

cat > casts.mjs <<'JS'
import {createRequire} from 'node:module';
const ort = createRequire(import.meta.url)('onnxruntime-node');
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(52)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
// A model of two nodes, float32 to 8 bits and back, written by hand in protobuf's encoding.
const varint = (n) => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >> 7)]);
const int = (field, n) => [...varint(field << 3), ...varint(n)];
const bytes = (field, content) => {
  const all = typeof content === 'string' ? [...Buffer.from(content)] : content;
  return [...varint((field << 3) | 2), ...varint(all.length), ...all];
};
const attribute = (name, n) => bytes(5, [...bytes(1, name), ...int(3, n), ...int(20, 2)]);
const cast = (from, to, type, saturate) => bytes(1, [
  ...bytes(1, from), ...bytes(2, to), ...bytes(4, 'Cast'), ...attribute('to', type), ...attribute('saturate', saturate)]);
const floats = (name) =>
  [...bytes(1, name), ...bytes(2, bytes(1, [...int(1, 1), ...bytes(2, bytes(1, bytes(2, 'n')))]))];
const model = (type, saturate) => Uint8Array.from([
  ...int(1, 10),
  ...bytes(7, [...cast('x', 'byte', type, saturate), ...cast('byte', 'y', 1, 1), ...bytes(2, 'g'),
               ...bytes(11, floats('x')), ...bytes(12, floats('y'))]),
  ...bytes(8, [...bytes(1, ''), ...int(2, 21)])]);
async function casted(type, saturate, numbers) {
  const options = {logSeverityLevel: 4, graphOptimizationLevel: 'disabled'};
  const session = await ort.InferenceSession.create(model(type, saturate), options);
  return (await session.run({x: new ort.Tensor('float32', numbers, [numbers.length])})).y.data;
}

// The nearest number of a format, the even one of two, and `beyond` past the largest.
function nearest(number, {mantissa, least, largest, negativeZero}, beyond) {
  if (Number.isNaN(number)) return NaN;
  const sign = number < 0 || Object.is(number, -0) ? -1 : 1;
  const size = Math.abs(number);
  if (size === Infinity) return sign * beyond;
  let power = least;
  while (2 ** (power + 1) <= size) power += 1;
  const unit = 2 ** (power - mantissa);
  let units = Math.floor(size / unit);
  const rest = size / unit - units;
  if (rest > 0.5 || (rest === 0.5 && units % 2 === 1)) units += 1;
  const rounded = units * unit > largest ? beyond : units * unit;
  return rounded === 0 && !negativeZero ? 0 : sign * rounded;
}
const formats = {
  E4M3FN: {type: 17, mantissa: 3, least: -6, largest: 448, beyond: NaN, negativeZero: true},
  E4M3FNUZ: {type: 18, mantissa: 3, least: -7, largest: 240, beyond: NaN, negativeZero: false},
  E5M2: {type: 19, mantissa: 2, least: -14, largest: 57344, beyond: Infinity, negativeZero: true},
  E5M2FNUZ: {type: 20, mantissa: 2, least: -15, largest: 57344, beyond: NaN, negativeZero: false},
};
const numbers = new Float32Array(65536 * 5);
const bits = new Uint32Array(numbers.buffer);
for (let at = 0; at < bits.length; at += 1) bits[at] = Math.floor(at / 5) * 65536 + [0, 1, 0x7fff, 0x8000, 0xffff][at % 5];
const wrongOnes = {E4M3FN: '80 from 480 to 495.99', E5M2: '160 from 61440 to 65535.99'};
for (const [name, format] of Object.entries(formats)) {
  for (const saturate of [1, 0]) {
    const beyond = saturate ? format.largest : format.beyond;
    const found = await casted(format.type, saturate, numbers);
    const wrong = [...numbers].filter((number, at) => !Object.is(nearest(number, format, beyond), found[at])).map(Math.abs);
    const [low, high] = [Math.min(...wrong), Math.floor(Math.max(...wrong) * 100) / 100];
    const summary = wrong.length === 0 ? 'none' : `${wrong.length} from ${low} to ${high}`;
    expect(`${name}, saturate=${saturate}: inputs cast wrongly`, saturate ? 'none' : wrongOnes[name] ?? 'none', summary);
  }
}
const edges = {E5M2: [57344, 61000, 61440, 65000, 65536, 1e6], E4M3FN: [448, 464, 470, 480, 490, 496, 500]};
for (const [name, expected] of [['E5M2', '57344 57344 NaN NaN Infinity Infinity'],
                                ['E4M3FN', '448 448 NaN 448 448 NaN NaN']]) {
  const found = await casted(formats[name].type, 0, Float32Array.from(edges[name]));
  expect(`${name} of ${edges[name].join(' ')}`, expected, found.join(' '));
}
process.exit(changed ? 1 : 0);
JS
node casts.mjs
