#!/usr/bin/env bash
# Software  @mlc-ai/web-xgrammar 0.1.27 (XGrammar, compiled to WebAssembly), on Node.js
# Guess     A grammar made of {"type": "integer", "minimum": LO, "maximum": HI} accepts the integers LO to HI and no
#           other; one of {"type": "number", "minimum": 0, "maximum": 1} accepts the decimals in that range, if
#           perhaps not those with exponents. That is what constrained decoding is for.
# Seen      Every integer within 600 of the bounds was tried. 0..100 and -32768..32767 are exact, but the int8 range
#           -128..127 accepts -129, 128 and 129, 0..127 accepts 128 and 129, and 8..1025 accepts 1026 to 1029: some
#           bounds leak as far as the next ten. Of decimals, 0..1 accepts 1.9 and 1.999999, and both bounds exclusive
#           accept 0, 1 and 1.5; 0..0.95 rejects 0.5 and 0.9 but accepts 0.95; 0..2.25 rejects 2 and 2.2 but accepts
#           2.0. No more than 6 decimals pass, so the seventh digit of a probability is out of reach.
# Matters   A runtime that masks logits with such a grammar promises its user that no check of the answer is needed.
#           Here a probability of 1.9 or an int8 of 129 comes out as valid, and 0.5 can't be said at all, without any
#           warning.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" @mlc-ai/web-xgrammar@0.1.27
# The package calls itself an ES module but ships a script that needs `require`; under this name Node.js loads it as it is.
cp node_modules/@mlc-ai/web-xgrammar/lib/index.js xgrammar.cjs

cat > bounds.cjs <<'JS'
const {Grammar, Testings} = require('./xgrammar.cjs');
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(54)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
const grammarOf = (schema) => Grammar.fromJSONSchema(JSON.stringify(schema));

async function integersLeaked(minimum, maximum) {
  const grammar = await grammarOf({type: 'integer', minimum, maximum});
  const wrong = [];
  for (let value = minimum - 600; value <= maximum + 600; value += 1) {
    if (value === minimum + 700 && maximum - 700 > value) value = maximum - 700; // the middle of a long range is skipped
    const inRange = value >= minimum && value <= maximum;
    if (await Testings.isGrammarAcceptString(grammar, String(value)) !== inRange) wrong.push(value);
  }
  return wrong.join(' ') || 'exact';
}
async function verdicts(schema, texts) {
  const grammar = await grammarOf({type: 'number', ...schema});
  const words = [];
  for (const text of texts.split(' ')) {
    words.push(text + (await Testings.isGrammarAcceptString(grammar, text) ? ':yes' : ':no'));
  }
  return words.join(' ');
}
(async () => {
  for (const [low, high, expected] of [[0, 100, 'exact'], [-32768, 32767, 'exact'], [-128, 127, '-129 128 129'],
                                       [0, 127, '128 129'], [8, 1025, '1026 1027 1028 1029']]) {
    expect(`integers misjudged for ${low}..${high}`, expected, await integersLeaked(low, high));
  }
  for (const [schema, expected] of [
    [{minimum: 0, maximum: 1}, '0.5:yes 1:yes 1.9:yes 1.999999:yes 2:no 0.123456:yes 0.1234567:no'],
    [{exclusiveMinimum: 0, exclusiveMaximum: 1}, '0:yes 0.5:yes 1:yes 1.5:yes'],
    [{minimum: 0, maximum: 0.95}, '0:yes 0.5:no 0.9:no 0.94:no 0.95:yes'],
    [{minimum: 0, maximum: 2.25}, '1.99:yes 2:no 2.0:yes 2.2:no 2.25:yes'],
  ]) {
    expect(`numbers of ${JSON.stringify(schema)}`, expected, await verdicts(schema, expected.replace(/:\w+/g, '')));
  }
  process.exit(changed ? 1 : 0);
})();
JS
node bounds.cjs
