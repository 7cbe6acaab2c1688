#!/usr/bin/python3
"""Writes a trained checkpoint as a GGUF file in F32, its tokenizer inside, for `llamajit quantize`."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import gguf
from model import Shape, round_to_ternary
from vocabulary import BOS, CONTROL, EOS, FIRST_PIECE, UNKNOWN, Vocabulary

# Turns as corpus.py has them.
CHAT_TEMPLATE = (
    r"{{- bos_token }}{%- for message in messages %}"
    r"{%- if message.role == 'user' %}{{ '### Instruction:\n\n' ~ message.content ~ '\n\n### Response:\n\n' }}"
    r"{%- elif message.role == 'assistant' %}{{ message.content ~ eos_token ~ '\n\n' }}{%- endif %}{%- endfor %}")
NORMAL, UNKNOWN_TYPE, CONTROL_TYPE, BYTE = 1, 2, 3, 6


def metadata(shape: Shape, vocab: Vocabulary, name: str, description: str) -> dict[str, gguf.Value]:
    types = [UNKNOWN_TYPE] + [CONTROL_TYPE] * (len(CONTROL) - 1) + [BYTE] * 256 + [NORMAL] * (len(vocab) - FIRST_PIECE)
    return {
        "general.architecture": "llama", "general.name": name, "general.description": description,
        "general.license": "mit", "general.languages": ["en", "ko"], "general.alignment": gguf.ALIGNMENT,
        "llama.context_length": shape.context, "llama.embedding_length": shape.dim, "llama.block_count": shape.layers,
        "llama.feed_forward_length": shape.hidden, "llama.attention.head_count": shape.heads,
        "llama.attention.head_count_kv": shape.kv_heads, "llama.attention.layer_norm_rms_epsilon": shape.epsilon,
        "llama.rope.freq_base": shape.rope_theta, "llama.rope.dimension_count": shape.head_dim,
        "llama.vocab_size": shape.vocab, "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": vocab.tokens(),
        "tokenizer.ggml.scores": vocab.scores(), "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.unknown_token_id": UNKNOWN, "tokenizer.ggml.bos_token_id": BOS, "tokenizer.ggml.eos_token_id": EOS,
        "tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.add_eos_token": False,
        "tokenizer.ggml.add_space_prefix": False, "tokenizer.chat_template": CHAT_TEMPLATE,
    }


def tensors(state: dict[str, torch.Tensor], ternary: bool) -> dict[str, tuple[list[int], bytes]]:
    result = {}
    for name, tensor in state.items():
        is_embedding = name == "token_embd"
        if ternary and tensor.dim() == 2 and not is_embedding:
            tensor = round_to_ternary(tensor)
        result["token_embd.weight" if is_embedding else name] = (list(tensor.shape), tensor.contiguous().numpy().tobytes())
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--vocabulary", type=Path, help="default: vocabulary.txt beside the checkpoint")
    parser.add_argument("--name", default="llamajit story")
    parser.add_argument("--description", default="tells stories, in English and Korean")
    parser.add_argument("--round", action="store_true", help="round the matrices to ternary although they were not trained so")
    options = parser.parse_args()
    state = torch.load(options.checkpoint, map_location="cpu")
    vocab = Vocabulary.load(options.vocabulary or options.checkpoint.parent / "vocabulary.txt")
    gguf.write(options.out, metadata(Shape(**state["shape"]), vocab, options.name, options.description),
               tensors(state["model"], state["ternary"] or options.round))


if __name__ == "__main__":
    main()
