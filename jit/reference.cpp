#include "jit/reference.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "jit/formats/packing.h"
#include "jit/kv_layout.h"
#include "jit/scalar_math.h"

namespace llamajit::jit {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

float read_f32(const std::byte* at) {
  float value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// One row of a packed f32 tile times x.
float dot_f32(const MatvecKey& key, const MatvecArgs& args, const std::byte* tile, int lane) {
  float ways[4] = {};
  for (int k = 0; k < key.cols; ++k) {
    ways[k % 4] = fused(read_f32(tile + (std::int64_t{k} * kLanes + lane) * 4), args.x[k], ways[k % 4]);
  }
  return tree_sum(ways, 4);
}

// One row of a packed q8_0 tile times the quantised x.
float dot_q8(const MatvecKey& key, const MatvecArgs& args, const std::byte* tile, int lane) {
  const Q8Layout layout(key.format);
  float acc = 0;
  for (int g = 0; g < key.cols / layout.group; ++g) {
    const std::byte* codes = tile + g * layout.group_bytes;
    std::int32_t sum = args.xq.offsets[g];
    for (int k = 0; k < layout.padded; ++k) {
      sum += std::to_integer<int>(codes[(k / 4 * kLanes + lane) * 4 + k % 4]) *
             args.xq.codes[g * layout.padded + k];
    }
    const float scale = read_f32(codes + layout.codes_bytes + lane * 4) * args.xq.scales[g];
    acc = fused(static_cast<float>(sum), scale, acc);
  }
  return acc;
}

float dot(const MatvecKey& key, const MatvecArgs& args, const std::byte* tile, int lane) {
  return key.format.kind == FormatKind::f32 ? dot_f32(key, args, tile, lane) : dot_q8(key, args, tile, lane);
}

}  // namespace

void reference(const EmbedKey& key, const EmbedArgs& args) {
  for (int k = 0; k < key.dim; ++k)
    args.out[k] = packed_value(key.format, key.dim, args.table, args.at->token, k, 1);
}

void reference(const NormKey& key, const NormArgs& args) {
  Lanes ways[4];
  for (int i = 0; i < key.n; ++i) {
    float& acc = ways[i / kLanes % 4].v[i % kLanes];
    acc = fused(args.x[i], args.x[i], acc);
  }
  Lanes total;
  for (int i = 0; i < kLanes; ++i) {
    total.v[i] = (ways[0].v[i] + ways[1].v[i]) + (ways[2].v[i] + ways[3].v[i]);
  }
  const float scale = 1.0F / std::sqrt(total.fold_add() / static_cast<float>(key.n) + key.eps);
  for (int i = 0; i < key.n; ++i) args.out[i] = args.x[i] * scale * args.weight[i];
}

void reference(const QuantizeKey& key, const QuantizeArgs& args) {
  const auto padded = static_cast<int>(round_up(key.group, 4));
  for (int g = 0; g < key.n / key.group; ++g) {
    const float* x = args.x + std::ptrdiff_t{g} * key.group;
    std::int8_t* codes = args.out.codes + std::ptrdiff_t{g} * padded;
    const Q8Scale q8 = q8_scale(x, key.group);
    std::int32_t sum = 0;
    for (int k = 0; k < padded; ++k) {
      codes[k] = k < key.group ? q8_code(x[k] * q8.inverse) : std::int8_t{0};
      sum += codes[k];
    }
    args.out.scales[g] = q8.scale;
    args.out.offsets[g] = sum * -128;
  }
}

void reference(const MatvecKey& key, const MatvecArgs& args) {
  const std::int64_t bytes = tile_bytes(key.format, key.cols);
  const int tiles = key.epilogue == Epilogue::swiglu ? 2 : 1;  // of a unit
  for (std::int64_t unit = args.unit_begin; unit < args.unit_end; ++unit) {
    const std::byte* tile = args.w + unit * tiles * bytes;
    for (int lane = 0; lane < kLanes && unit * kLanes + lane < key.rows; ++lane) {
      float& out = args.out[unit * kLanes + lane];
      const float sum = dot(key, args, tile, lane);
      switch (key.epilogue) {
        case Epilogue::store:
          out = sum;
          break;
        case Epilogue::add:
          out = out + sum;
          break;
        case Epilogue::swiglu:
          out = silu(sum) * dot(key, args, tile + bytes, lane);
          break;
      }
    }
  }
}

void reference(const MatmulKey& key, const MatmulArgs& args) {
  const MatvecKey row{key.format, key.rows, key.cols, key.epilogue};
  const bool quantised = key.format.kind == FormatKind::q8_0;
  for (std::int64_t t = 0; t < round_up(args.n_tokens, kTokenBlock); ++t) {
    MatvecArgs one{args.w, nullptr, {}, args.out + t * row_stride(key.rows), args.unit_begin, args.unit_end};
    if (quantised) {
      const std::int64_t groups = key.cols / key.format.group;
      const std::int64_t codes = row_stride(quantized_codes(key.cols, key.format.group));
      one.xq = {args.xq.codes + t * codes, args.xq.scales + t * groups, args.xq.offsets + t * groups};
    } else {
      one.x = args.x + t * row_stride(key.cols);
    }
    reference(row, one);
  }
}

void reference(const RopeKey& key, const RopeArgs& args) {
  for (std::int64_t i = 0; i < args.n_tokens * args.n_heads; ++i) {
    const std::int64_t token = i / args.n_heads;
    const float* cosine = args.table + (args.at->pos + token) * 2 * key.head_dim;
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
    layout.write_key(args.k_cache + head * layout.keys_bytes(), args.at->pos + token, args.k + from);
    layout.write_value(args.v_cache + head * layout.values_bytes(), args.at->pos + token, args.v + from);
  }
}

void reference(const SoftmaxKey& key, const SoftmaxArgs& args) {
  const auto n = static_cast<std::size_t>(key.n);
  std::vector<float> padded(n + kLanes);
  for (std::size_t i = 0; i < n; ++i) padded[i] = args.x[i] * args.scale;
  const float inverse = 1.0F / exponentials(padded.data(), key.n).sum;
  for (std::size_t i = 0; i < n; ++i) args.x[i] = padded[i] * inverse;
}

void reference(const ArgmaxKey& /*key*/, const ArgmaxArgs& args) {
  *args.best = {-kInfinity, static_cast<std::int32_t>(args.begin)};
  for (std::int64_t i = args.begin; i < args.end; ++i) {
    if (args.x[i] > args.best->value) *args.best = {args.x[i], static_cast<std::int32_t>(i)};
  }
}

}  // namespace llamajit::jit
