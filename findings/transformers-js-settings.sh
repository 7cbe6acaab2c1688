#!/usr/bin/env bash
# Software  @huggingface/transformers 4.3.1 (Transformers.js) with onnxruntime-node, on Node.js
# Guess     Version 3 left out top_p; version 4, whose GenerationConfig describes it, applies it, or says that it doesn't.
#           That several returned sequences and beams are left out too was seen in the sources before it was run.
# Seen      top_p, typical_p and epsilon_cutoff are read, described and kept, and change nothing. Of probabilities 0.4, 0.2,
#           3 times 0.1 and twice 0.05, top_p = 0.5 still draws all seven tokens, where Python's draws two. Three sequences
#           (num_return_sequences) are one, and a beam search with three beams is the greedy answer, even where the better
#           continuation starts with the second token. All without a word. top_k and temperature do what they say, and a
#           misspelt setting is as quiet as these. The class TopPLogitsWarper is exported, checks its argument and has no
#           method that would apply it.
# Matters   Files of models carry top_p = 0.8 or 0.9 in their generation_config.json, tuned to a temperature that isn't
#           safe without it. The same model with the same settings writes worse in the browser than on any other runtime,
#           from the tail that top_p should have cut, and one takes it for the fault of the quantised file. Who compares
#           two runtimes' samples has to see each setting at work in a distribution first.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" @huggingface/transformers@4.3.1

cat > settings.mjs <<'JS'
import {PreTrainedModel, PretrainedConfig, Tensor, TopPLogitsWarper} from '@huggingface/transformers';

let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(66)} ${found}`);
  if (String(found) !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
// A model whose next token has the given probabilities, whatever came before, or a function of what came before.
class Fixed extends PreTrainedModel {
  constructor(next) {
    super(new PretrainedConfig({model_type: 'gpt2', architectures: ['GPT2LMHeadModel'], n_head: 1, n_layer: 1, n_embd: 4}), {}, {});
    this.can_generate = true;
    this.next = next;
  }
  prepare_inputs_for_generation(ids, inputs) { this.ids = ids; return inputs; }
  async forward() {
    const rows = this.ids.map((row) => this.next(row.map(Number)));
    return {logits: new Tensor('float32', Float32Array.from(rows.flat(), Math.log), [rows.length, 1, rows[0].length])};
  }
  _update_model_kwargs_for_generation({model_inputs}) { return model_inputs; }
}
const generate = (model, settings) =>
  model.generate({inputs: new Tensor('int64', BigInt64Array.of(0n), [1, 1]), top_k: 0, ...settings});

// 1. Which tokens are drawn at all, in 600 draws. A token of 0.05 is missed with a chance of 4e-14.
const flat = new Fixed(() => [0.4, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05]);
async function drawn(settings) {
  const output = await generate(flat, {do_sample: true, max_new_tokens: 600, ...settings});
  return [...new Set([...output.data].slice(1).map(Number))].sort().join(' ');
}
const all = '0 1 2 3 4 5 6';
for (const [settings, expected] of [
  [{}, all], [{top_k: 2}, '0 1'], [{temperature: 0.01}, '0'],
  [{top_p: 0.5}, all], [{top_p: 0.1}, all], [{typical_p: 0.2}, all], [{epsilon_cutoff: 0.15}, all], [{topp: 0.5}, all],
]) expect(`drawn with ${JSON.stringify(settings)}`, expected, await drawn(settings));

// 2. The class that should apply it.
let answer;
try {
  answer = new TopPLogitsWarper(0.5)([], new Tensor('float32', Float32Array.of(1, 0), [1, 2]));
} catch (error) { answer = error.message; }
expect('TopPLogitsWarper(0.5) of two logits', '`_call` should be implemented in a subclass', answer);

// 3. Three sequences, and a beam search: token 1 is less likely at first, but what follows it is sure.
const three = await generate(flat, {do_sample: true, num_return_sequences: 3, max_new_tokens: 4});
expect('sequences for num_return_sequences = 3', '1', three.dims[0]);
const detour = new Fixed((before) => {
  if (before.length === 1) return [0.55, 0.45, 1e-9, 1e-9];
  return before[1] === 1 ? [1e-9, 1e-9, 1, 1e-9] : [0.25, 0.25, 0.25, 0.25];
});
for (const num_beams of [1, 3]) {
  const output = await generate(detour, {do_sample: false, num_beams, max_new_tokens: 2});
  // 0 1 2 has a probability of 0.45, and 0 0 with any other 0.14.
  expect(`tokens with num_beams = ${num_beams}`, '0 0 0', [...output.data].join(' '));
}
process.exit(changed ? 1 : 0);
JS
node settings.mjs
