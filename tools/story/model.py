"""The Llama architecture in PyTorch, as small as it goes; its matrices may be trained as ternary ones.

Everything is named and laid out as GGUF has it: rows of q and k in pairs (2i, 2i + 1) that RoPE turns.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TERNARY_BLOCK = 256  # the weights that share a scale in TQ2_0


@dataclass(frozen=True)
class Shape:
    vocab: int = 2048
    dim: int = 256
    hidden: int = 512
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    context: int = 512
    rope_theta: float = 10000.0
    epsilon: float = 1e-5

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def round_to_ternary(weight: Tensor) -> Tensor:
    """Each block of 256 as a scale times -1, 0 or 1. The scale, the mean magnitude, has bfloat16's eight bits, so
    that training sees it as the file's float16 will have it."""
    blocks = weight.view(-1, TERNARY_BLOCK)
    scale = blocks.abs().mean(1, keepdim=True).bfloat16().float().clamp(min=1e-4)
    return ((blocks / scale).round().clamp(-1, 1) * scale).view_as(weight)


class Matrix(nn.Module):
    """A product with a matrix, computed in bfloat16."""

    def __init__(self, rows: int, cols: int, deviation: float, ternary: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(rows, cols) * deviation)
        self.ternary = ternary

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight
        if self.ternary:
            # Straight through: the gradient of the rounded weight is taken for the weight's own.
            weight = weight + (round_to_ternary(weight.detach()) - weight.detach())
        return x @ weight.t().to(torch.bfloat16, memory_format=torch.contiguous_format)


class Norm(nn.Module):
    def __init__(self, dim: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon) * self.weight).bfloat16()


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """x: (batch, tokens, heads, head_dim); angles: (tokens, head_dim / 2), as complex numbers."""
    pairs = torch.view_as_complex(x.float().view(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * angles[:, None, :]).flatten(-2).bfloat16()


class Layer(nn.Module):
    def __init__(self, shape: Shape, ternary: bool) -> None:
        super().__init__()
        deviation = 0.04
        narrow = deviation / (2 * shape.layers) ** 0.5  # of what adds to the residual stream
        kv = shape.kv_heads * shape.head_dim
        self.shape = shape
        self.attn_norm = Norm(shape.dim, shape.epsilon)
        self.attn_q = Matrix(shape.dim, shape.dim, deviation, ternary)
        self.attn_k = Matrix(kv, shape.dim, deviation, ternary)
        self.attn_v = Matrix(kv, shape.dim, deviation, ternary)
        self.attn_output = Matrix(shape.dim, shape.dim, narrow, ternary)
        self.ffn_norm = Norm(shape.dim, shape.epsilon)
        self.ffn_gate = Matrix(shape.hidden, shape.dim, deviation, ternary)
        self.ffn_up = Matrix(shape.hidden, shape.dim, deviation, ternary)
        self.ffn_down = Matrix(shape.dim, shape.hidden, narrow, ternary)

    def forward(self, x: Tensor, angles: Tensor, mask: Tensor) -> Tensor:
        # Operations on mixed types are slow in PyTorch, hence the conversions.
        x = x + self._attention(self.attn_norm(x), angles, mask).float()
        h = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(h).float()).bfloat16() * self.ffn_up(h)).float()

    def _attention(self, h: Tensor, angles: Tensor, mask: Tensor) -> Tensor:
        batch, tokens, _ = h.shape
        s, group = self.shape, self.shape.heads // self.shape.kv_heads
        q = rotate(self.attn_q(h).view(batch, tokens, s.heads, s.head_dim), angles) * s.head_dim ** -0.5
        k = rotate(self.attn_k(h).view(batch, tokens, s.kv_heads, s.head_dim), angles).transpose(1, 2)
        v = self.attn_v(h).view(batch, tokens, s.kv_heads, s.head_dim).transpose(1, 2)
        # The query heads of one K/V head side by side: (batch, kv_heads, group, tokens, head_dim)
        q = q.view(batch, tokens, s.kv_heads, group, s.head_dim).permute(0, 2, 3, 1, 4)
        # In two halves, the first of which needs no keys of the second.
        half = tokens // 2
        mixed = torch.cat([self._mix(q[..., :half, :], k[..., :half, :], v[..., :half, :], mask[:half, :half]),
                           self._mix(q[..., half:, :], k, v, mask[half:])], dim=3)
        return self.attn_output(mixed.permute(0, 3, 1, 2, 4).reshape(batch, tokens, s.dim))

    @staticmethod
    def _mix(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        batch, kv_heads, group, queries, head_dim = q.shape
        scores = q.reshape(batch, kv_heads, group * queries, head_dim) @ k.transpose(-1, -2)
        weights = (scores.view(batch, kv_heads, group, queries, -1) + mask).softmax(-1)
        return (weights.view(batch, kv_heads, group * queries, -1) @ v).view_as(q)


class Model(nn.Module):
    """The classifier is the embedding, which is never ternary."""

    def __init__(self, shape: Shape, ternary: bool) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Parameter(torch.randn(shape.vocab, shape.dim) * 0.04)
        self.blk = nn.ModuleList(Layer(shape, ternary) for _ in range(shape.layers))
        self.output_norm = Norm(shape.dim, shape.epsilon)
        turns = shape.rope_theta ** (-torch.arange(0, shape.head_dim, 2) / shape.head_dim)
        angles = torch.outer(torch.arange(shape.context), turns)
        self.register_buffer("angles", torch.polar(torch.ones_like(angles), angles), persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        tokens = ids.shape[1]
        mask = torch.full((tokens, tokens), float("-inf"), dtype=torch.bfloat16).triu(1)
        x = F.embedding(ids, self.token_embd)
        for layer in self.blk:
            x = layer(x, self.angles[:tokens], mask)
        return self.output_norm(x) @ self.token_embd.t().to(torch.bfloat16, memory_format=torch.contiguous_format)

    @torch.no_grad()
    def generate(self, ids: list[int], count: int, end: int) -> list[int]:
        """The most likely tokens."""
        begin = len(ids)
        while len(ids) < min(begin + count, self.shape.context):
            ids = [*ids, int(self(torch.tensor([ids]))[0, -1].argmax())]
            if ids[-1] == end:
                break
        return ids[begin:]
