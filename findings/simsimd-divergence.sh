#!/usr/bin/env bash
# Software  simsimd 6.5.5 from npm, its prebuilt binary for x86-64 and its fallback in JavaScript, on Node.js
# Guess     kullbackleibler(p, q) is the sum of p * log(p / q), to the last places of a float or so, and the binary and the
#           fallback agree. Where they part, it is at probabilities of zero.
# Seen      The binary's logarithm is x - x^2 / 2 + x^3 / 3 with x = p / q - 1, the first three terms of Taylor's series at
#           1. It is good for ratios of 0.8 to 1.2, gives -1.83 for a ratio of 0 and grows as a cube: log(2) is 0.833, log(9)
#           147 and log(1000) 3.3e8. Of two distributions over 32000 tokens whose logits differ by noise of 0.1 the
#           divergence is right to 1 %; with noise of 1 it is 0.49 and the binary says 163, with noise of 3 it is 4.06 and
#           the binary says 6.8e9. The Jensen-Shannon distance, 0.33 and 0.70, comes out as 0.35 and 0.77, which nobody
#           would notice. By its sources a CPU with AVX-512 takes another kernel for Float32Array, with a proper logarithm;
#           that has not been run. The fallback is right, but gives NaN where p has a zero, and throws where q has one.
# Matters   The divergence of next-token distributions tells how far a quantised model is from its original. As long as the
#           damage is small the numbers are right, and once it is worth noticing they are off by orders of magnitude, on
#           one kind of CPU and perhaps not on another. Of two models the worse one may get the lower number: (.1, .9)
#           diverges from (.02, .98) by 0.084 and from (.6, .4) by 0.551, and the binary says 1.66 and 0.87. A measure has
#           to be checked where it is large, not only where both sides are nearly equal.
set -euo pipefail

[[ $(uname -m) == x86_64 ]] || { echo 'This needs a CPU of x86-64.' >&2; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" simsimd@6.5.5

cat > divergence.cjs <<'JS'
const {readFileSync} = require('node:fs');
const binary = require('simsimd');
const fallback = require('./node_modules/simsimd/javascript/dist/cjs/fallback.js');

let changed = false;
function expect(what, expected, found) {
  const shown = typeof found === 'number' ? String(Number(found.toPrecision(3))) : found;
  console.log(`${what.padEnd(60)} ${shown}`);
  if (shown !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
const attempt = (compute) => { try { return compute(); } catch (error) { return error.message; } };
const series = (p, q) => p.reduce((sum, one, at) => {
  const x = (one + 1e-7) / (q[at] + 1e-7) - 1;
  return sum + one * (x - x * x / 2 + x * x * x / 3);
}, 0);

// 1. The logarithm by itself: of the one probability 1, against 1 / ratio.
for (const [ratio, expected] of [[1, '0'], [1.1, '0.0953'], [2, '0.833'], [9, '147'], [1000, '332000000']]) {
  expect(`log(${ratio}) = ${Math.log(ratio).toPrecision(3)}, by the binary`, expected,
         binary.kullbackleibler(Float64Array.of(1), Float64Array.of(1 / ratio)));
}

// 2. Next-token distributions over 32000 tokens, whose logits differ by noise of growing size.
let state = 1;
const uniform = () => { state = Math.imul(state, 1103515245) + 12345 & 0x7fffffff; return (state + 0.5) / 0x80000000; };
const gauss = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
function softmax(logits) {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const powers = logits.map((logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}
const logits = Float64Array.from({length: 32000}, () => 2 * gauss());
const noise = logits.map(gauss);
const p = softmax(logits);
for (const [size, right, seen, rightDistance, seenDistance] of JSON.parse(readFileSync('expected.json', 'utf8'))) {
  const q = softmax(logits.map((logit, at) => logit + size * noise[at]));
  expect(`noise of ${size}: divergence by the fallback`, right, fallback.kullbackleibler(p, q));
  expect('  by the binary', seen, binary.kullbackleibler(p, q));
  expect('  by the sum of three terms', seen, series(p, q));
  expect('  Jensen-Shannon by the fallback', rightDistance, fallback.jensenshannon(p, q));
  expect('  by the binary', seenDistance, binary.jensenshannon(p, q));
}

// 3. The same in 32 bits, which depends on the CPU.
const q = softmax(logits.map((logit, at) => logit + noise[at]));
const avx512 = /\bavx512vl\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
console.log(`noise of 1, Float32Array, on this CPU ${avx512 ? 'with' : 'without'} AVX-512: `
  + binary.kullbackleibler(Float32Array.from(p), Float32Array.from(q)).toPrecision(3));

// 4. Where the worse of two models gets the lower number.
const peaked = Float64Array.of(0.1, 0.9);
const near = Float64Array.of(0.02, 0.98), far = Float64Array.of(0.6, 0.4);
expect('divergence of (.1, .9) from (.02, .98)', '0.0843', fallback.kullbackleibler(peaked, near));
expect('  by the binary', '1.66', binary.kullbackleibler(peaked, near));
expect('divergence of (.1, .9) from (.6, .4)', '0.551', fallback.kullbackleibler(peaked, far));
expect('  by the binary', '0.87', binary.kullbackleibler(peaked, far));

// 5. A token that has no probability, as those beyond top-k.
const masked = Float64Array.of(0, 0.5, 0.5), full = Float64Array.of(0.5, 0.25, 0.25);
expect('divergence of (0, .5, .5) from (.5, .25, .25), log 2', 'NaN', fallback.kullbackleibler(masked, full));
expect('  by the binary', '0.833', binary.kullbackleibler(masked, full));
expect('the other way round', 'Division by zero encountered in KL divergence calculation',
       attempt(() => fallback.kullbackleibler(full, masked)));
process.exit(changed ? 1 : 0);
JS
cat > expected.json <<'JSON'
[[0.1, "0.00503", "0.00509", "0.0354", "0.0355"], [1, "0.49", "163", "0.329", "0.354"],
 [3, "4.06", "6750000000", "0.698", "0.772"]]
JSON
node divergence.cjs
