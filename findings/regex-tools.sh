#!/usr/bin/env bash
# Software  regexp-tree 0.1.27 (optimize) and refa 0.12.1 (JS.Parser and JS.toLiteral), the libraries of many linters,
#           on Node.js
# Guess     A tool that simplifies a regular expression, or writes it anew from its syntax tree, writes it in another
#           way, but it matches the same strings: people's code is rewritten by them.
# Seen      regexp-tree makes x{0} into x*, so that \d{0}5 takes 2025, writes \]|\^ as []^], which takes nothing,
#           [\^a]|- as [^a-], its opposite, and \0{1}1 as \01, another character. refa adds the flag i where a class has
#           both cases and another is negated: [^a][A-Za-z] becomes /[^a][A-Z]/i, by which the first may not be an A
#           either. With the flag u, and with [b-z] in place of [^a], it doesn't.
# Matters   Such a tool stands before a grammar that is made of a schema's pattern, or before a schema that is made of
#           code. The model is then held to another pattern than the one that its answer is checked by, and neither the
#           pattern nor the answer looks wrong. A rewritten pattern has to be tried with strings that each of the two
#           should take.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" \
    regexp-tree@0.1.27 refa@0.12.1

cat > tools.mjs <<'JS'
import regexpTree from 'regexp-tree';
import {JS} from 'refa';
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(36)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
const optimized = (pattern) => regexpTree.optimize(pattern).toRegExp();
function rewritten(pattern) {
  const {source, flags} = JS.toLiteral(JS.Parser.fromLiteral(pattern).parse().expression);
  return new RegExp(source, flags);
}
const takes = (pattern, text) => new RegExp(`^(?:${pattern.source})$`, pattern.flags).test(text);
function judge(name, rewrite, pattern, text, expected) {
  const other = rewrite(pattern);
  const word = (one) => (takes(one, text) ? 'takes' : 'rejects');
  expect(`${name}, ${pattern}`, expected, `${other}, ${JSON.stringify(text)}: ${word(pattern)}, then ${word(other)}`);
}
judge('regexp-tree', optimized, /ab{0}c/, 'abbbc', '/ab*c/, "abbbc": rejects, then takes');
judge('regexp-tree', optimized, /\d{0}5/, '2025', '/\\d*5/, "2025": rejects, then takes');
judge('regexp-tree', optimized, /[\^a]|-/, 'a', '/[^a-]/, "a": takes, then rejects');
judge('regexp-tree', optimized, /[\^a]|-/, 'z', '/[^a-]/, "z": rejects, then takes');
judge('regexp-tree', optimized, /\]|\^/, ']', '/[]^]/, "]": takes, then rejects');
judge('regexp-tree', optimized, /\0{1}1/, '\x001', '/\\01/, "\\u00001": takes, then rejects');
judge('refa', rewritten, /[^a][A-Za-z]/, 'Ab', '/[^a][A-Z]/i, "Ab": takes, then rejects');
judge('refa', rewritten, /[^x][0-9A-Fa-f]+/, 'XFF', '/[^x][\\dA-F]+/i, "XFF": takes, then rejects');
judge('refa', rewritten, /[^a][A-Za-z]/u, 'Ab', '/[^a][A-Za-z]/u, "Ab": takes, then takes');
judge('refa', rewritten, /[b-z][A-Za-z]/, 'bB', '/[b-z][A-Za-z]/, "bB": takes, then takes');
process.exit(changed ? 1 : 0);
JS
node tools.mjs
