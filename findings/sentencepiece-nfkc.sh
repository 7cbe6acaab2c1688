#!/usr/bin/env bash
# Software  sentencepiece 0.1.97-3+b1 (spm_normalize), against python3's unicodedata
# Guess     --normalization_rule_name=nfkc is Unicode's NFKC.
# Seen      It replaces the longest match in a fixed table from left to right and never reorders, so it composes only
#           what the table lists. "ê" and a dot below, as Vietnamese is typed on some layouts, stays two characters,
#           where NFKC is the one "ệ"; of 10773 Hangul syllables spelled as an open syllable and a final consonant,
#           which NFKC composes without exception, not one is composed. Written with three parts each (initial, vowel
#           and final), all 10773 are, so the table looks complete to whoever tries that.
# Matters   The table travels inside the model file, beside its name. A runtime that sees the name "nfkc" and calls a
#           Unicode library gets other ids than the model was trained with, and only on text that was not composed
#           before. It has to run the table as it stands, longest match by longest match.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir debs root
packages=(sentencepiece=0.1.97-3+b1 libsentencepiece0=0.1.97-3+b1 libprotobuf-lite32=3.21.12-3+deb12u1)
download() { (cd debs && apt-get download -qq -o APT::Sandbox::User=root "${packages[@]}"); }
download || { apt-get update -qq && download; }
for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
export LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu

cat > compare.py <<'PY'
import subprocess, sys, unicodedata
def sentencepiece(lines):
    command = [sys.argv[1], '--normalization_rule_name=nfkc', '--minloglevel=2']
    done = subprocess.run(command, input='\n'.join(lines) + '\n', capture_output=True, check=True, encoding='utf-8')
    return done.stdout.splitlines()
changed = False
def expect(what, lines, expected):
    global changed
    unlike = sum(a != unicodedata.normalize('NFKC', b) for a, b in zip(sentencepiece(lines), lines, strict=True))
    print(f'{what:66} {unlike:5} of {len(lines):5} differ from NFKC')
    if unlike != expected:
        print(f'  CHANGED: expected {expected}', file=sys.stderr)
        changed = True
syllables = [chr(c) for c in range(0xAC00, 0xD7A4) if (c - 0xAC00) % 28]
expect('Hangul, composed', syllables, 0)
expect('Hangul, initial + vowel + final', [unicodedata.normalize('NFD', s) for s in syllables], 0)
halves = [chr(ord(s) - (ord(s) - 0xAC00) % 28) + unicodedata.normalize('NFD', s)[-1] for s in syllables]
expect('Hangul, open syllable + final', halves, 10773)
marked = [base + '\u0302\u0323' for base in 'aeoAEO']
expect('Vietnamese letters, NFD order (dot below, circumflex)', [unicodedata.normalize('NFD', s) for s in marked], 0)
typed = [unicodedata.normalize('NFC', s[:2]) + s[2] for s in marked]
expect('Vietnamese letters, circumflex composed, then dot below', typed, 6)
word = 'Vi\u00ea\u0323t'
print(f'{word!a}: spm_normalize {sentencepiece([word])[0]!a}, NFKC {unicodedata.normalize("NFKC", word)!a}')
sys.exit(changed)
PY
python3 compare.py root/usr/bin/spm_normalize
