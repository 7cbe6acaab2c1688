#include "jit/twins/reference.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "jit/base/scalar_math.h"
#include "jit/formats/packing.h"
#include "jit/kernels/kv_layout.h"

namespace llamajit::jit {
namespace {

// One row of a packed tile of floats times x.
float dot_floats(const MatvecKey& key, const MatvecArgs& args, const std::byte* tile, int lane) {
  float ways[4] = {};
  for (int k = 0; k < key.cols; ++k) {
    ways[k % 4] = fused(packed_value(key.format, key.cols, tile, lane, k, 1), args.x[k], ways[k % 4]);
  }
  return tree_sum(ways, 4);
}

// A number as VDPBF16PS takes and gives it: subnormal ones are zeros.
float flushed(float x) {
  return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0F, x) : x;
}

// One row of a packed tile of bf16_pairs times the rounded x.
float dot_pairs(const MatvecKey& key, const MatvecArgs& args, const std::byte* tile, int lane) {
  float ways[4] = {};
  for (int k = 0; k < key.cols; k += 2) {
    float& sum = ways[k / 2 % 4];
    for (const int col : {k + 1, k}) {
      std::uint16_t x = 0;
      std::memcpy(&x, args.xq.codes + std::ptrdiff_t{2} * col, sizeof x);
      const float weight = packed_value(key.format, key.cols, tile, lane, col, 1);
      sum = flushed(fused(flushed(weight), flushed(bfloat_to_float(x)), sum));
    }
  }
  return tree_sum(ways, 4);
}

// One row of a packed tile of codes times the quantised x.
float dot_codes(const MatvecKey& key, const MatvecArgs& args, const std::byte* tile, int lane) {
  const CodesLayout layout(key.format);
  const int width = layout.padded / layout.subgroups();
  float acc = 0;
  for (int g = 0; g < key.cols / layout.group; ++g) {
    const std::byte* const record = tile + std::ptrdiff_t{g} * layout.group_bytes;
    std::int32_t total = 0, minima = 0;
    for (int s = 0; s < layout.subgroups(); ++s) {
      const std::ptrdiff_t i = std::ptrdiff_t{g} * layout.subgroups() + s;
      std::int32_t sum = layout.zero > 0 ? args.xq.offsets[i] : 0;
      for (int k = s * width; k < (s + 1) * width; ++k) {
        sum += packed_code(layout, record, k, lane) * args.xq.codes[std::ptrdiff_t{g} * layout.padded + k];
      }
      total += packed_subscale(layout, record, s, lane) * sum;
      if (layout.submins) minima += packed_submin(layout, record, s, lane) * args.xq.subsums[i];
    }
    float value = static_cast<float>(total) * packed_scale(layout, record, lane);
    if (layout.sums_inputs()) {
      const float sum = layout.submins ? static_cast<float>(minima) : args.xq.sums[g];
      value = fused(sum, packed_min(layout, record, lane), value);
    }
    acc = fused(value, args.xq.scales[g], acc);
  }
  return acc;
}

// The same, finished: `row` of the result, of the unit's tile number `tile_index`.
float dot(const MatvecKey& key, const MatvecArgs& args, std::int64_t row, int tile_index) {
  const std::int64_t tiles = is_gated(key.epilogue) ? 2 : 1;
  const std::byte* const tile =
      args.w + (row / kLanes * tiles + tile_index) * tile_bytes(key.format, key.cols);
  const auto lane = static_cast<int>(row % kLanes);
  const auto product = has_codes(key.format)                       ? dot_codes
                       : key.format.kind == FormatKind::bf16_pairs ? dot_pairs
                                                                   : dot_floats;
  float sum = product(key, args, tile, lane);
  if (key.affine.scale) sum = sum * args.scales[tile_index];
  if (key.affine.bias) sum = sum + args.bias[tile_index * std::int64_t{key.rows} + row];
  return sum;
}

// The product with one token's x.
void multiply_token(const MatvecKey& key, const MatvecArgs& args) {
  const std::int64_t end = std::min<std::int64_t>(args.unit_end * kLanes, key.rows);
  for (std::int64_t row = args.unit_begin * kLanes; row < end; ++row) {
    float& out = args.out[row];
    const float sum = dot(key, args, row, 0);
    switch (key.epilogue) {
      case Epilogue::store:
        out = sum;
        break;
      case Epilogue::add:
        out = out + sum;
        break;
      case Epilogue::swiglu:
        out = silu(sum) * dot(key, args, row, 1);
        break;
      case Epilogue::relu2glu:
        out = squared_relu(sum) * dot(key, args, row, 1);
        break;
      case Epilogue::geglu:
        out = gelu(sum) * dot(key, args, row, 1);
        break;
      case Epilogue::swiglu_clamped:
        out = swiglu_clamped(sum, dot(key, args, row, 1));
        break;
      case Epilogue::gelu:
        out = gelu(sum);
        break;
      case Epilogue::relu2:
        out = squared_relu(sum);
        break;
    }
  }
}

// Of a product's Args, what concerns token `t`.
template <class Key, class Args>
MatvecArgs token_args(const Key& key, const Args& args, std::int64_t t) {
  MatvecArgs one{args.w,          nullptr,       {},          args.out + t * row_stride(key.rows),
                 args.unit_begin, args.unit_end, args.scales, args.bias};
  const std::optional<InputFormat> input = input_format(key.format);
  if (!input) {
    one.x = args.x + t * row_stride(key.cols);
    return one;
  }
  one.xq.codes = args.xq.codes + t * prepared_stride(input->codes_bytes(key.cols));
  if (!has_codes(key.format)) return one;
  const CodesLayout layout(key.format);
  const std::int64_t subgroups = t * (key.cols / layout.subgroup);
  one.xq.scales = args.xq.scales + t * (key.cols / layout.group);
  if (layout.zero > 0) one.xq.offsets = args.xq.offsets + subgroups;
  if (layout.submins) {
    one.xq.subsums = args.xq.subsums + subgroups;
  } else if (layout.sums_inputs()) {
    one.xq.sums = args.xq.sums + subgroups;
  }
  return one;
}

// The sum of n terms, sixteen lanes, 4 ways; add(i, sum) is the sum with term i.
template <class Add>
float sum_4_ways(int n, Add add) {
  Lanes ways[4];
  for (int i = 0; i < n; ++i) {
    float& acc = ways[i / kLanes % 4].v[i % kLanes];
    acc = add(i, acc);
  }
  Lanes total;
  for (int i = 0; i < kLanes; ++i) {
    total.v[i] = (ways[0].v[i] + ways[1].v[i]) + (ways[2].v[i] + ways[3].v[i]);
  }
  return total.fold_add();
}

}  // namespace

void reference(const EmbedKey& key, const EmbedArgs& args) {
  const std::int64_t row = key.which == EmbedRow::first      ? 0
                           : key.which == EmbedRow::position ? args.at->pos
                                                             : args.at->token;
  for (int k = 0; k < key.dim; ++k) {
    const float value = packed_value(key.format, key.dim, args.table, row, k, 1) * key.scale;
    args.out[k] = key.adds() ? args.out[k] + value : value;
  }
}

void reference(const NormKey& key, const NormArgs& args) {
  for (std::int64_t vector = 0; vector < args.vectors; ++vector) {
    const float* const x = args.x + vector * key.n;
    float* const out = args.out + vector * key.n;
    const float* const weight = args.weight + (key.own_weights ? vector * key.n : 0);
    const bool layer = key.kind == NormKind::layer;
    const float mean =
        layer ? sum_4_ways(key.n, [&](int i, float acc) { return acc + x[i]; }) / static_cast<float>(key.n)
              : 0.0F;
    const auto centred = [&](int i) { return layer ? x[i] - mean : x[i]; };
    const float squares =
        sum_4_ways(key.n, [&](int i, float acc) { return fused(centred(i), centred(i), acc); });
    const float scale = 1.0F / std::sqrt(squares / static_cast<float>(key.n) + key.eps);
    for (int i = 0; i < key.n; ++i) {
      const float scaled = centred(i) * scale;
      const float result = layer ? fused(scaled, weight[i], args.bias[i]) : scaled * weight[i];
      out[i] = key.adds ? out[i] + result : result;
    }
  }
}

void reference(const QuantizeKey& key, const QuantizeArgs& args) {
  const auto padded = static_cast<int>(round_up(key.group, 4));
  for (int g = 0; g < key.n / key.group; ++g) {
    const float* const x = args.x + std::ptrdiff_t{g} * key.group;
    const Q8Scale q8 = q8_scale(x, key.group);
    args.out.scales[g] = q8.scale;
    std::vector<std::int32_t> sums(static_cast<std::size_t>(key.group / key.subgroup));
    for (int k = 0; k < padded; ++k) {
      const std::int8_t code = k < key.group ? q8_code(x[k] * q8.inverse) : std::int8_t{0};
      args.out.codes[std::ptrdiff_t{g} * padded + k] = code;
      if (k < key.group) sums[static_cast<std::size_t>(k / key.subgroup)] += code;
    }
    for (std::size_t s = 0; s < sums.size(); ++s) {
      const auto at = static_cast<std::size_t>(g) * sums.size() + s;
      if (key.zero > 0) {
        args.out.offsets[at] = -key.zero * sums[s];
      } else if (key.has_subsums()) {
        args.out.subsums[at] = static_cast<std::int16_t>(sums[s]);
      } else {
        args.out.sums[at] = static_cast<float>(sums[s]);
      }
    }
  }
}

void reference(const RoundKey& key, const QuantizeArgs& args) {
  for (int i = 0; i < round_up(key.n, 2); ++i) {
    const std::uint16_t rounded = i < key.n ? float_to_bfloat(args.x[i]) : std::uint16_t{0};
    std::memcpy(args.out.codes + std::ptrdiff_t{2} * i, &rounded, sizeof rounded);
  }
}

void reference(const MatvecKey& key, const MatvecArgs& args) {
  for (std::int64_t t = 0; t < key.tokens; ++t) multiply_token(key, token_args(key, args, t));
}

void reference(const MatmulKey& key, const MatmulArgs& args) {
  const MatvecKey product{key.format, key.rows, key.cols, key.epilogue, 1, key.affine};
  for (std::int64_t t = 0; t < round_up(args.n_tokens, kTokenBlock); ++t) {
    multiply_token(product, token_args(key, args, t));
  }
}

void reference(const RopeKey& key, const RopeArgs& args) {
  for (std::int64_t i = 0; i < args.n_tokens * args.n_heads; ++i) {
    const std::int64_t token = i / args.n_heads;
    const float* cosine = args.table + std::int64_t{args.at[token].pos} * 2 * key.head_dim;
    const float* sine = cosine + key.head_dim;
    const std::int64_t head = token * args.token_stride + i % args.n_heads * key.head_dim;
    const float* x = args.x + head;
    float* out = args.out + head;
    for (int d = 0; d < key.head_dim; d += 2) {
      const float a = x[d];
      const float b = x[d + 1];
      out[d] = fused(b, sine[d], a * cosine[d]);
      out[d + 1] = fused(a, sine[d + 1], b * cosine[d + 1]);
    }
  }
}

void reference(const KvAppendKey& key, const KvAppendArgs& args) {
  const KvLayout layout(key);
  for (std::int64_t i = 0; i < args.n_tokens * args.n_kv_heads; ++i) {
    const std::int64_t token = i / args.n_kv_heads;
    const std::int64_t head = i % args.n_kv_heads;
    const std::int64_t from = token * args.token_stride + head * key.head_dim;
    const Cursor& at = args.at[token];
    std::byte* const page = at.pages[at.pos / kKvPage];
    std::byte* const keys = page + args.keys_at + head * layout.keys_bytes();
    std::byte* const values = page + args.values_at + head * layout.values_bytes();
    layout.write_key(keys, at.pos % kKvPage, args.k + from);
    layout.write_value(values, at.pos % kKvPage, args.v + from);
  }
}

void reference(const SoftmaxKey& key, const SoftmaxArgs& args) {
  const auto n = static_cast<std::size_t>(key.n);
  std::vector<float> padded(n + kLanes);
  for (std::size_t i = 0; i < n; ++i) padded[i] = args.x[i] * args.scale;
  const float inverse = 1.0F / exponentials(padded.data(), key.n).sum;
  for (std::size_t i = 0; i < n; ++i) args.x[i] = padded[i] * inverse;
}

void reference(const CapKey& key, const CapArgs& args) {
  for (std::int64_t i = args.begin; i < args.end; ++i) args.x[i] = capped(args.x[i], key.cap);
}

void reference(const ArgmaxKey& /*key*/, const ArgmaxArgs& args) {
  *args.best = {-kInfinity, static_cast<std::int32_t>(args.begin)};
  for (std::int64_t i = args.begin; i < args.end; ++i) {
    if (args.x[i] > args.best->value) *args.best = {args.x[i], static_cast<std::int32_t>(i)};
  }
}

}  // namespace llamajit::jit
