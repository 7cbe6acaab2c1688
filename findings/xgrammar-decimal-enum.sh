#!/usr/bin/env bash
# Software  @mlc-ai/web-xgrammar 0.1.27 (XGrammar, compiled to WebAssembly), on Node.js
# Guess     {"enum": [0.1, 0.25, 0.7, 1.0]} lets a model write 0.1, 0.25, 0.7 or 1.0 (or 1), as the schema spells
#           them.
# Seen      The numbers go through a double and come out with 17 digits. The one spelling allowed of 0.1 is
#           0.10000000000000001, that of 0.7 is 0.69999999999999996, that of 1e21 is 1e+21; 0.1 and 0.7 are rejected.
#           1.0 may only be written 1, and 0.25, which is exact in binary, stays as it is. A const inside an object
#           fares the same, while {"type": "number"} accepts 0.1 and 0.7.
# Matters   Under the mask the model is forced along 17 digits that it would never choose, one token each where a
#           vocabulary splits numbers into digits. Both spellings parse to one double, so no test that parses the
#           answer notices. A grammar compiler has to copy the literal's text, or print the shortest form that reads
#           back.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" @mlc-ai/web-xgrammar@0.1.27
# The package calls itself an ES module but ships a script that needs `require`; under this name Node.js loads it as it is.
cp node_modules/@mlc-ai/web-xgrammar/lib/index.js xgrammar.cjs

cat > enum.cjs <<'JS'
const {Grammar, Testings} = require('./xgrammar.cjs');
let changed = false;
async function expect(schemaText, verdicts) {
  const grammar = await Grammar.fromJSONSchema(schemaText);
  console.log(schemaText);
  for (const [text, expected] of Object.entries(verdicts)) {
    const found = await Testings.isGrammarAcceptString(grammar, text);
    console.log(`  ${text.padEnd(44)} ${found ? 'accepted' : 'rejected'}`);
    if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
  }
}
(async () => {
  await expect('{"enum": [0.1, 0.25, 0.7, 1.0, 1e21]}', {
    '0.1': false, '0.10000000000000001': true, '0.7': false, '0.69999999999999996': true, '0.25': true,
    '1': true, '1.0': false, '1e21': false, '1e+21': true,
  });
  await expect('{"type": "object", "properties": {"temperature": {"const": 0.7}}, "required": ["temperature"]}', {
    '{"temperature": 0.7}': false, '{"temperature": 0.69999999999999996}': true,
  });
  await expect('{"type": "number"}', {'0.1': true, '0.7': true, '1e21': true});
  process.exit(changed ? 1 : 0);
})();
JS
node enum.cjs
