#!/usr/bin/python3
"""Trains a story model on the grammar's text, and continues where it was stopped.

Text is generated as it is needed and never repeats. A step's text follows from the seed and the step's number alone, and
so a training that was interrupted sees what it would have seen.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F

import corpus
import vocabulary
from model import Model, Shape
from vocabulary import BOS, EOS, Vocabulary

VOCABULARY_DOCUMENTS = 8000
EVALUATION_ROWS = 32
PROMPTS = ["Once upon a time", "옛날 옛적에", corpus.turn("Tell me a story about a fox who wants a red kite.", ""),
           corpus.turn("안녕?", "")]


def load_vocabulary(folder: Path, size: int) -> Vocabulary:
    path = folder / "vocabulary.txt"
    if not path.exists():
        texts = ("".join(d) for d in islice(corpus.documents(corpus.TRAINING_SEED), VOCABULARY_DOCUMENTS))
        Vocabulary(vocabulary.train(texts, size)).save(path)
    return Vocabulary.load(path)


def encode(vocab: Vocabulary, document: corpus.Document) -> list[int]:
    ids = [BOS]
    for turn in document:
        ids += [*vocab.encode(turn), EOS]
    return ids


def rows(vocab: Vocabulary, documents: Iterator[corpus.Document], n_rows: int, length: int) -> torch.Tensor:
    """Each row begins with a document; its last one may be cut off."""
    result = []
    for _ in range(n_rows):
        row: list[int] = []
        while len(row) <= length:
            row += encode(vocab, next(documents))
        result.append(row[:length + 1])
    return torch.tensor(result)


def batch_of_step(options: argparse.Namespace, vocab: Vocabulary, step: int) -> torch.Tensor:
    length = options.context if step >= options.steps * options.long_from else options.short_context
    documents = corpus.documents(corpus.TRAINING_SEED * 1_000_003 + options.first_batch + step, options.instructions)
    return rows(vocab, documents, options.tokens // length, length)


def rate_at(options: argparse.Namespace, step: int) -> float:
    """Linear warm-up, then a cosine down to a twentieth."""
    warm_up = options.warm_up
    if step < warm_up:
        return options.rate * (step + 1) / warm_up
    progress = (step - warm_up) / max(1, options.steps - warm_up)
    return options.rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * progress)))


def loss_of(model: Model, batch: torch.Tensor) -> torch.Tensor:
    logits = model(batch[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())


def make_optimizer(model: Model, options: argparse.Namespace) -> torch.optim.Optimizer:
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and name != "token_embd"]
    others = [p for name, p in model.named_parameters() if p.dim() != 2 or name == "token_embd"]
    return torch.optim.AdamW([{"params": matrices, "weight_decay": options.weight_decay},
                              {"params": others, "weight_decay": 0.0}], lr=options.rate, betas=(0.9, 0.98), foreach=True)


def save(path: Path, state: dict) -> None:
    unfinished = path.with_suffix(".part")
    torch.save(state, unfinished)
    os.replace(unfinished, path)


def show_samples(model: Model, vocab: Vocabulary) -> None:
    for prompt in PROMPTS:
        text = vocab.decode(model.generate([BOS, *vocab.encode(prompt)], 70, EOS))
        print(f"    {prompt!r} -> {text!r}", flush=True)


def train(options: argparse.Namespace) -> None:
    torch.manual_seed(corpus.TRAINING_SEED)
    torch.set_num_threads(options.threads)
    options.folder.mkdir(parents=True, exist_ok=True)
    vocab = load_vocabulary(options.folder, options.vocab)
    shape = Shape(vocab=len(vocab), dim=options.dim, hidden=options.hidden, layers=options.layers, context=options.context)
    model = Model(shape, options.ternary)
    optimizer = make_optimizer(model, options)
    checkpoint, step, seconds = options.folder / f"{options.name}.pt", 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, seconds = state["step"], state["seconds"]
    elif options.begin_with:
        model.load_state_dict(torch.load(options.folder / f"{options.begin_with}.pt")["model"])
    print(f"{sum(p.numel() for p in model.parameters())} parameters, step {step} of {options.steps}", flush=True)
    held_out = rows(vocab, corpus.documents(corpus.HELD_OUT_SEED), EVALUATION_ROWS, options.short_context)

    begun, counted, total = time.time(), 0, 0.0
    while step < options.steps:
        batch = batch_of_step(options, vocab, step)
        for group in optimizer.param_groups:
            group["lr"] = rate_at(options, step)
        loss = loss_of(model, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step, counted, total = step + 1, counted + 1, total + loss.item()
        if step % options.report == 0 or step == options.steps:
            elapsed = time.time() - begun
            print(f"step {step:5d}  loss {total / counted:.4f}  rate {rate_at(options, step - 1):.5f}  "
                  f"{counted * batch[:, 1:].numel() / elapsed:6.0f} tok/s  {seconds + elapsed:6.0f} s", flush=True)
            seconds, begun, counted, total = seconds + elapsed, time.time(), 0, 0.0
        if step % options.save == 0 or step == options.steps:
            with torch.no_grad():
                held_out_loss = loss_of(model, held_out).item()
            print(f"step {step:5d}  held out: loss {held_out_loss:.4f}, perplexity {math.exp(held_out_loss):.4f}", flush=True)
            show_samples(model, vocab)
            save(checkpoint, {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step,
                              "seconds": seconds, "shape": shape.to_dict(), "ternary": options.ternary})
            begun = time.time()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("name", help="of the checkpoint")
    parser.add_argument("--folder", type=Path, default=Path("build/story"), help="of checkpoints and the vocabulary")
    parser.add_argument("--ternary", action="store_true", help="matrices of -1, 0 and 1")
    parser.add_argument("--begin-with", help="the checkpoint whose weights come first")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--first-batch", type=int, default=0, help="the number of the first step's text")
    parser.add_argument("--instructions", type=float, default=corpus.INSTRUCTION_SHARE, help="their share of the documents")
    parser.add_argument("--tokens", type=int, default=2048, help="of a step")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--warm-up", type=int, default=100, help="steps")
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--vocab", type=int, default=2048)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--short-context", type=int, default=288, help="which most steps are trained with")
    parser.add_argument("--long-from", type=float, default=0.85, help="the share of steps after which the context is whole")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--report", type=int, default=10, help="steps between lines of the log")
    parser.add_argument("--save", type=int, default=200, help="steps between checkpoints")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
