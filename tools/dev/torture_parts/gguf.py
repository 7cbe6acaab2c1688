"""A small model as a GGUF file, and where in it everything stands."""
import random
import struct

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
FORMATS = {U8: "<B", I8: "<b", U16: "<H", I16: "<h", U32: "<I", I32: "<i", F32: "<f", BOOL: "<B", U64: "<Q", I64: "<q",
           F64: "<d"}
DIM, HIDDEN, HEADS, KV_HEADS, LAYERS, CONTEXT = 32, 48, 4, 2, 1, 64


def string(text) -> bytes:
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(data)) + data


def value(kind: int, of) -> bytes:
    if kind == STRING:
        return string(of)
    if kind == ARRAY:
        element, values = of
        return struct.pack("<IQ", element, len(values)) + b"".join(value(element, one) for one in values)
    return struct.pack(FORMATS[kind], of)


class Model:
    """Keys and tensors may be changed before the bytes are asked for."""

    def __init__(self):
        numbers = random.Random(7)
        pieces = ["<unk>", "<s>", "</s>", "▁", *"abcdefghijklmnopqrstuvwxyz.\n", "▁a", "th", "he", "▁the"]
        self.vocab = len(pieces)
        self.keys = {
            "general.architecture": (STRING, "llama"),
            "general.name": (STRING, "torture"),
            "general.alignment": (U32, 32),
            "llama.context_length": (U32, CONTEXT),
            "llama.embedding_length": (U32, DIM),
            "llama.block_count": (U32, LAYERS),
            "llama.feed_forward_length": (U32, HIDDEN),
            "llama.attention.head_count": (U32, HEADS),
            "llama.attention.head_count_kv": (U32, KV_HEADS),
            "llama.attention.key_length": (U32, DIM // HEADS),
            "llama.attention.value_length": (U32, DIM // HEADS),
            "llama.attention.layer_norm_rms_epsilon": (F32, 1e-5),
            "llama.rope.dimension_count": (U32, DIM // HEADS),
            "llama.rope.freq_base": (F32, 10000.0),
            "llama.rope.scaling.type": (STRING, "linear"),
            "llama.rope.scaling.factor": (F32, 2.0),
            "llama.vocab_size": (U32, self.vocab),
            "tokenizer.ggml.model": (STRING, "llama"),
            "tokenizer.ggml.tokens": (ARRAY, (STRING, pieces)),
            "tokenizer.ggml.scores": (ARRAY, (F32, [-float(i) for i in range(self.vocab)])),
            "tokenizer.ggml.token_type": (ARRAY, (I32, [2, 3, 3] + [1] * (self.vocab - 3))),
            "tokenizer.ggml.bos_token_id": (U32, 1),
            "tokenizer.ggml.eos_token_id": (U32, 2),
            "tokenizer.ggml.add_bos_token": (BOOL, 1),
            "tokenizer.chat_template": (STRING, "{% for m in messages %}{{ m.content }}{% endfor %}"),
        }
        kv = DIM // HEADS * KV_HEADS
        shapes = {"token_embd.weight": (DIM, self.vocab), "output_norm.weight": (DIM,), "output.weight": (DIM, self.vocab)}
        for layer in range(LAYERS):
            shapes |= {f"blk.{layer}.{name}.weight": shape for name, shape in {
                "attn_norm": (DIM,), "attn_q": (DIM, DIM), "attn_k": (DIM, kv), "attn_v": (DIM, kv),
                "attn_output": (DIM, DIM), "ffn_norm": (DIM,), "ffn_gate": (DIM, HIDDEN), "ffn_up": (DIM, HIDDEN),
                "ffn_down": (HIDDEN, DIM)}.items()}
        self.tensors = {}  # name -> [dims, type, offset or None, data]
        for name, dims in shapes.items():
            count = dims[0] * (dims[1] if len(dims) > 1 else 1)
            floats = [1.0 if len(dims) == 1 else numbers.uniform(-0.2, 0.2) for _ in range(count)]
            self.tensors[name] = [list(dims), 0, None, struct.pack(f"<{count}f", *floats)]
        self.counts = [None, None]  # of tensors and keys, where the header says others

    def metadata(self) -> bytes:
        counts = [len(found) if said is None else said for said, found in zip(self.counts, (self.tensors, self.keys))]
        out = b"GGUF" + struct.pack("<IQQ", 3, *counts)
        for key, (kind, of) in self.keys.items():
            out += string(key) + struct.pack("<I", kind) + (of if kind == ARRAY and isinstance(of, bytes) else value(kind, of))
        offset = 0
        for name, (dims, kind, said, data) in self.tensors.items():
            out += string(name) + struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
            out += struct.pack("<IQ", kind, offset if said is None else said)
            offset += -(-len(data) // 32) * 32
        return out.ljust(-(-len(out) // 32) * 32, b"\0")

    def bytes(self) -> bytes:
        return self.metadata() + b"".join(data.ljust(-(-len(data) // 32) * 32, b"\0") for *_, data in self.tensors.values())
