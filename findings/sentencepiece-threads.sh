#!/usr/bin/env bash
# Software  sentencepiece 0.1.97-3+b1 (spm_train)
# Guess     --num_threads decides how long training takes, not what comes out: the licences that every Debian has,
#           trained with any number of threads, give one vocabulary.
# Seen      With --model_type=bpe they do. With unigram, which is the default, each number of threads gives another
#           model. A repeat with the same number is the same to the byte, so it is no race: the sums are split by
#           thread, and pruning by rank turns a last bit into a piece kept or lost. With 1000 pieces, 2 threads keep
#           "▁mechani" where 1 keeps "▁power", and the corpus itself comes out at 27889 pieces instead of 27896.
# Matters   The number of threads, 16 unless said, is a part of the model's definition. Someone who retrains a
#           tokenizer with a flag that fits a smaller machine gets other pieces, and other ids after the first that
#           differs. Order of sums is a part of the result, even where the result is a list of strings.
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
spm=$dir/root/usr/bin

cat /usr/share/common-licenses/{GPL-2,GPL-3,Apache-2.0,Artistic,LGPL-2.1,MPL-2.0} > corpus.txt
train() { # model type, threads, name
    "$spm/spm_train" --input=corpus.txt --model_prefix="$3" --vocab_size=1000 --model_type="$1" --num_threads="$2" \
        --minloglevel=2 2> /dev/null
}
distinct() { md5sum "$@" | cut -d' ' -f1 | sort -u | wc -l; }

fail=0
expect() { # what, expected, found
    printf '%-62s %s\n' "$1" "$3"
    [[ $3 == "$2" ]] || { echo "  CHANGED: expected $2" >&2; fail=1; }
}
for threads in 1 2 3 4; do
    train bpe "$threads" "bpe-$threads"
    train unigram "$threads" "unigram-$threads"
    train unigram "$threads" "again-$threads"
    cut -f1 "unigram-$threads.vocab" | LC_ALL=C sort > "pieces-$threads"
    runs=$(distinct "unigram-$threads.vocab" "again-$threads.vocab")
    expect "unigram, $threads threads: distinct models of two runs" 1 "$runs"
done
expect "bpe: distinct models of 1, 2, 3 and 4 threads" 1 "$(distinct bpe-?.vocab)"
expect "unigram: distinct models of 1, 2, 3 and 4 threads" 4 "$(distinct unigram-?.vocab)"
for threads in 2 3 4; do
    echo "pieces of 1 thread that $threads threads lack: $(LC_ALL=C comm -23 pieces-1 "pieces-$threads" | tr '\n' ' ')"
done
for threads in 1 2 3 4; do
    pieces=$("$spm/spm_encode" --model="unigram-$threads.model" < corpus.txt | wc -w)
    echo "pieces in the corpus by the model of $threads threads: $pieces"
done
[[ $(distinct pieces-?) -gt 1 ]] || { echo "CHANGED: expected that the pieces differ, not only their scores" >&2; fail=1; }
exit "$fail"
