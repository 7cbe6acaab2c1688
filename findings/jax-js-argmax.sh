#!/usr/bin/env bash
# Software  @jax-js/jax 0.1.25, its backends "cpu" and "wasm", on Node.js
# Guess     What carries JAX's names does what JAX does: argmax() of a row with a NaN is the place of the NaN, oneHot() of a
#           number outside of the classes is all zeros, 0 ** 0 is 1, and an index outside of an array is an error or has
#           some rule.
# Seen      argmax() and argmin() of a row with a NaN are the length of the row, wherever the NaN is, for they look for the
#           first element that equals the maximum, and nothing equals NaN. So is what random.categorical() draws, which
#           takes the largest of the logits with noise: 1000 draws out of four tokens are 1000 times token 4. lax.topK()
#           and argsort() of the same row do find the NaN. Row 4 of a table of four rows is an error on the backend "cpu";
#           on "wasm" it is the table's first number in every column. oneHot(-1, 3) is [1, 1, 1] and oneHot(5, 3) is
#           [0, 1, 0] on both. 0 ** 0 is NaN, and so is the logsumexp() of a row that is masked as a whole, -Infinity in JAX.
# Matters   A greedy or a random sampler over logits that hold one NaN hands out a token that the vocabulary doesn't have,
#           always the same one. On the fast backend its embedding is a vector of equal, ordinary numbers, so that the
#           model goes on without any NaN and the fault shows up as text. -1 is the usual label for padding, and a one-hot
#           row of ones adds all embeddings up. What comes out of a sampler has to be compared with the vocabulary's size.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" @jax-js/jax@0.1.25

cat > rows.mjs <<'JS'
import {defaultDevice, init, lax, nn, numpy as np, random} from '@jax-js/jax';

let changed = false;
async function expect(what, expected, compute) {
  let found;
  try {
    const all = [await compute()].flat();
    const plain = all.map((one) => (one && typeof one.js === 'function' ? one.js() : one));
    found = JSON.stringify(plain.length === 1 ? plain[0] : plain,
                           (_, value) => (typeof value === 'number' && !Number.isFinite(value) ? String(value) : value));
  } catch {
    found = 'an error';
  }
  console.log(`${what.padEnd(62)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
const integers = (values) => np.array(values, {dtype: np.int32});

await init('wasm');
for (const device of ['cpu', 'wasm']) {
  console.log(`backend ${device}`);
  defaultDevice(device);
  // 1. One NaN among four logits, at each place.
  for (let place = 0; place < 4; place += 1) {
    const logits = () => np.array([1, 2, 4, 3].map((logit, at) => (at === place ? NaN : logit)));
    await expect(`a NaN at ${place}: argmax, argmin`, '[4,4]', () => [np.argmax(logits()), np.argmin(logits())]);
    await expect('  the first index of topK(logits, 2)', String(place), () => lax.topK(logits(), 2)[1].js()[0]);
    await expect('  the last index of argsort', String(place), () => np.argsort(logits()).js().at(-1));
    await expect('  how often each token is drawn, of 1000, and no token', '[[0,0,0,0],1000]', () => {
      const drawn = random.categorical(random.key(1), logits(), {shape: [1000]}).js();
      return [[0, 1, 2, 3].map((token) => drawn.filter((one) => one === token).length),
              drawn.filter((one) => one === 4).length];
    });
  }
  await expect('argmax of (1, 2, 4, 3)', '2', () => np.argmax(np.array([1, 2, 4, 3])));
  await expect('how often each token is drawn out of (-Infinity, 0)', '[0,1000]', () => {
    const drawn = random.categorical(random.key(1), np.array([-Infinity, 0]), {shape: [1000]}).js();
    return [[0, 1].map((token) => drawn.filter((one) => one === token).length)];
  });
  // 2. The embedding of such a token.
  await expect('the row of an embedding for the argmax of (1, NaN, 2, 3)', device === 'cpu' ? 'an error' : '[10,10]', () =>
    np.array([[10, 11], [20, 21], [30, 31], [40, 41]]).slice(np.argmax(np.array([1, NaN, 2, 3]))));
  // 3. Classes that there aren't.
  await expect('oneHot(0, 3), oneHot(2, 3)', '[[1,0,0],[0,0,1]]', () => nn.oneHot(integers([0, 2]), 3));
  await expect('oneHot(-1, 3), oneHot(5, 3)', '[[1,1,1],[0,1,0]]', () => nn.oneHot(integers([-1, 5]), 3));
  // 4. The corners of a power and of a sum of exponentials.
  await expect('0 ** 0, 2 ** 0', '["NaN",1]', () => np.power(np.array([0, 2]), np.array([0, 0])));
  await expect('logsumexp(-Infinity, -Infinity), (-Infinity, 1)', '["NaN",1]', () =>
    [[-Infinity, -Infinity], [-Infinity, 1]].map((row) => nn.logsumexp(np.array(row))));
}
process.exit(changed ? 1 : 0);
JS
node rows.mjs
