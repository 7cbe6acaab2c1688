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

// A number as VDPBF16PS takes and gives it: subnormal ones are zeros.
float flushed(float x) {
  return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0F, x) : x;
}

// One row of a packed tile, unpacked once for all tokens that it is multiplied with.
class TileRow {
 public:
  TileRow(Format format, int cols) : format_(format), cols_(cols), layout_(format) {
    const bool pairs = format.kind == FormatKind::bf16_pairs;  // the last may be with a zero
    if (!has_codes(format)) weights_.resize(static_cast<std::size_t>(pairs ? round_up(cols, 2) : cols));
  }

  void unpack(const std::byte* tile, int lane) {
    if (has_codes(format_)) return unpack_codes(tile, lane);
    packed_row(format_, tile, lane, 1, weights_);
  }

  float dot(const MatvecArgs& args) const {
    if (has_codes(format_)) return dot_codes(args.xq);
    return format_.kind == FormatKind::bf16_pairs ? dot_pairs(args.xq.codes) : dot_floats(args.x);
  }

 private:
  void unpack_codes(const std::byte* tile, int lane) {
    for (std::vector<int>* numbers : {&subscales_, &submins_}) numbers->clear();
    for (std::vector<float>* floats : {&scales_, &mins_}) floats->clear();
    const auto padded = static_cast<std::size_t>(layout_.padded);
    const auto groups = static_cast<std::size_t>(cols_ / layout_.group);
    codes_.resize(groups * padded);
    for (std::size_t g = 0; g < groups; ++g) {
      const std::byte* const record = tile + static_cast<std::ptrdiff_t>(g) * layout_.group_bytes;
      packed_codes(layout_, record, lane, std::span(codes_).subspan(g * padded, padded));
      for (int s = 0; s < layout_.subgroups(); ++s) {
        subscales_.push_back(packed_subscale(layout_, record, s, lane));
        submins_.push_back(layout_.submins ? packed_submin(layout_, record, s, lane) : 0);
      }
      scales_.push_back(packed_scale(layout_, record, lane));
      mins_.push_back(packed_min(layout_, record, lane));
    }
  }

  float dot_floats(const float* x) const {
    float ways[4] = {};
    for (std::size_t k = 0; k < weights_.size(); ++k) ways[k % 4] = fused(weights_[k], x[k], ways[k % 4]);
    return tree_sum(ways, 4);
  }

  // Of the rounded x.
  float dot_pairs(const std::int8_t* x) const {
    float ways[4] = {};
    for (std::size_t k = 0; k < weights_.size(); k += 2) {
      float& sum = ways[k / 2 % 4];
      for (const std::size_t col : {k + 1, k}) {
        std::uint16_t rounded = 0;
        std::memcpy(&rounded, x + 2 * col, sizeof rounded);
        sum = flushed(fused(flushed(weights_[col]), flushed(bfloat_to_float(rounded)), sum));
      }
    }
    return tree_sum(ways, 4);
  }

  // Of the quantised x.
  float dot_codes(const QuantizedArgs& x) const {
    const auto subgroups = static_cast<std::size_t>(layout_.subgroups());
    const std::size_t width = static_cast<std::size_t>(layout_.padded) / subgroups;
    float acc = 0;
    for (std::size_t g = 0; g < scales_.size(); ++g) {
      std::int32_t total = 0, minima = 0;
      for (std::size_t s = g * subgroups; s < (g + 1) * subgroups; ++s) {
        std::int32_t sum = layout_.zero > 0 ? x.offsets[s] : 0;
        for (std::size_t k = s * width; k < (s + 1) * width; ++k) sum += codes_[k] * x.codes[k];
        total += subscales_[s] * sum;
        if (layout_.submins) minima += submins_[s] * x.subsums[s];
      }
      float value = static_cast<float>(total) * scales_[g];
      if (layout_.sums_inputs()) {
        value = fused(layout_.submins ? static_cast<float>(minima) : x.sums[g], mins_[g], value);
      }
      acc = fused(value, x.scales[g], acc);
    }
    return acc;
  }

  Format format_;
  int cols_;
  CodesLayout layout_;
  std::vector<float> weights_;            // of floats
  std::vector<int> codes_;                // for codes only, as what follows: groups, each padded
  std::vector<int> subscales_, submins_;  // a subgroup's
  std::vector<float> scales_, mins_;      // a group's
};

float finished(float sum, const MatvecKey& key, const MatvecArgs& args, std::int64_t row, int tile_index) {
  if (key.affine.scale) sum = sum * args.scales[tile_index];
  if (key.affine.bias) sum = sum + args.bias[tile_index * std::int64_t{key.rows} + row];
  return sum;
}

// What becomes of `out`, the row's result, where the product is `sum`; up() is that with the second matrix.
template <class Up>
void store(Epilogue epilogue, float sum, Up up, float& out) {
  switch (epilogue) {
    case Epilogue::store:
      out = sum;
      break;
    case Epilogue::add:
      out = out + sum;
      break;
    case Epilogue::swiglu:
      out = silu(sum) * up();
      break;
    case Epilogue::relu2glu:
      out = squared_relu(sum) * up();
      break;
    case Epilogue::geglu:
      out = gelu(sum) * up();
      break;
    case Epilogue::swiglu_clamped:
      out = swiglu_clamped(sum, up());
      break;
    case Epilogue::gelu:
      out = gelu(sum);
      break;
    case Epilogue::relu2:
      out = squared_relu(sum);
      break;
  }
}

// The product with all tokens' x, of which `tokens` has the Args of each.
void multiply(const MatvecKey& key, const std::vector<MatvecArgs>& tokens) {
  if (tokens.empty()) return;
  TileRow main(key.format, key.cols), up(key.format, key.cols);
  const MatvecArgs& any = tokens.front();
  const std::int64_t tiles = is_gated(key.epilogue) ? 2 : 1;
  const std::int64_t bytes = tile_bytes(key.format, key.cols);
  const std::int64_t end = std::min<std::int64_t>(any.unit_end * kLanes, key.rows);
  for (std::int64_t row = any.unit_begin * kLanes; row < end; ++row) {
    const std::byte* const tile = any.w + row / kLanes * tiles * bytes;
    const auto lane = static_cast<int>(row % kLanes);
    main.unpack(tile, lane);
    if (is_gated(key.epilogue)) up.unpack(tile + bytes, lane);
    for (const MatvecArgs& args : tokens) {
      store(
          key.epilogue, finished(main.dot(args), key, args, row, 0),
          [&] { return finished(up.dot(args), key, args, row, 1); }, args.out[row]);
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
  std::vector<float> values(static_cast<std::size_t>(key.dim));
  packed_row(key.format, args.table, row, 1, values);
  for (int k = 0; k < key.dim; ++k) {
    const float value = values[static_cast<std::size_t>(k)] * key.scale;
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
  std::vector<MatvecArgs> tokens;
  for (std::int64_t t = 0; t < key.tokens; ++t) tokens.push_back(token_args(key, args, t));
  multiply(key, tokens);
}

void reference(const MatmulKey& key, const MatmulArgs& args) {
  const MatvecKey product{key.format, key.rows, key.cols, key.epilogue, 1, key.affine};
  std::vector<MatvecArgs> tokens;
  for (std::int64_t t = 0; t < round_up(args.n_tokens, kTokenBlock); ++t) {
    tokens.push_back(token_args(key, args, t));
  }
  multiply(product, tokens);
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
