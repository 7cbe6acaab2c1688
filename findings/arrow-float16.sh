#!/usr/bin/env bash
# Software  apache-arrow 21.2.0 (Arrow for JavaScript) on Node.js, with @petamoriken/float16 3.9.3 as the arbiter
# Guess     A Float16 column holds, of each number put into it, the half-precision number next to it, and an infinity of
#           what is too large. At worst the last bit is rounded another way.
# Seen      Of all 31743 pairs of neighbouring halves, a number three quarters of the way up is stored well, but for
#           those just below 16 powers of two, which come out as half of what they are: 1.9998 as 1, 0.49995 as 0.25,
#           32764 as 16384. Below the next 15 powers of two it is right: the rounding's carry is put into the exponent
#           by OR, so it depends on whether the exponent is odd. The smallest of the 16, 6.102e-5, becomes -Infinity,
#           and so does 1e-8, whose half is 0. Of the whole numbers from 65536 to 131071, all that is too large, every
#           one becomes a number between 2 and 4: 100000 is stored as 3.05. A tie goes up, even or not.
# Matters   Embeddings are kept in 16 bits to halve an index, and the entries of unit vectors lie below such powers as
#           often as elsewhere. Neither an error nor a NaN shows it; a vector that lost half of one entry is still found,
#           somewhere else. A converter of 16-bit floats is small enough to be tried on all of them, with the numbers
#           between them: a round trip of halves proves nothing, for each of the 31743 is stored as itself.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" apache-arrow@21.2.0 \
    @petamoriken/float16@3.9.3

cat > halves.mjs <<'JS'
import {Float16, vectorFromArray} from 'apache-arrow';
import {f16round} from '@petamoriken/float16';
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(68)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
function stored(numbers) {
  const column = vectorFromArray(numbers, new Float16());
  return numbers.map((_, at) => column.get(at));
}
const half = (bits) => (bits >> 10 ? (1 + (bits & 1023) / 1024) * 2 ** ((bits >> 10) - 15) : bits * 2 ** -24);
const lower = Array.from({length: 0x7bff}, (_, bits) => half(bits));
const between = (share) => lower.map((low, bits) => low + share * (half(bits + 1) - low));
function misplaced(numbers) {
  const found = stored(numbers);
  return numbers.map((number, at) => ({number, found: found[at]})).filter((one) => one.found !== f16round(one.number));
}
expect('halves that are stored as another number', 0, misplaced(lower).length);
expect('numbers a quarter of the way up that are', 0, misplaced(between(0.25)).length);
const high = misplaced(between(0.75));
expect('numbers three quarters of the way up that are', 16, high.length);
expect('of them, those that are stored as half of what they should be', 15,
       high.filter((one) => one.found * 2 === f16round(one.number)).length);
expect('ties that are not stored as the even neighbour', 15888, misplaced(between(0.5)).length);
const shown = [1.9998, 3.9998, 0.49995, 32764, 6.102e-5, 1e-8, -1e-8, 100000, -100000];
expect(`${shown.slice(0, 4)}`, '1 4 0.25 16384', stored(shown.slice(0, 4)).join(' '));
expect(`${shown.slice(4, 7)}`, '-Infinity -Infinity -Infinity', stored(shown.slice(4, 7)).join(' '));
expect(`${shown.slice(7, 9)}`, '3.05078125 -3.05078125', stored(shown.slice(7, 9)).join(' '));
expect('what they should be', 'Infinity -Infinity', shown.slice(7, 9).map(f16round).join(' '));
const large = Array.from({length: 65536}, (_, at) => 65536 + at);
expect('of 65536 to 131071, those that are stored as 2 to 4', 65536,
       stored(large).filter((found) => found >= 2 && found <= 4).length);
process.exit(changed ? 1 : 0);
JS
node halves.mjs
