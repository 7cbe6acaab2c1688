// Numbers that arithmetic treats specially: NaNs of several bits, infinities, subnormals, the ends of f32 and of f16. Where the
// twin has a number, so has every tier, the same; where it has a NaN, they have one.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "jit/kernels/kernels.h"
#include "jit/kernels/kv_layout.h"
#include "tests/jit/kernels/attention_check.h"
#include "tests/support/kernel_check.h"
#include "tests/support/kv_values.h"
#include "tests/support/products.h"

namespace llamajit::test::specials_test {
namespace {

using jit::AttentionKey;
using jit::ElementType;

// One value in so many is special; 1: all are.
constexpr int kRates[] = {1, 5, 70};

float special(std::mt19937_64& random) {
  constexpr std::uint32_t kBits[] = {
      0x7F800000, 0xFF800000,              // infinities
      0x7FC00000, 0xFFC00000, 0x7F800001,  // NaNs: quiet, the one that instructions make, signalling
      0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFE000,  // of full payloads, as f32 and as f16 hold them
      0x00000001, 0x80000001, 0x007FFFFF,  // subnormals
      0x00800000, 0x7F7FFFFF, 0xFF7FFFFF,  // the ends of f32
      0x33800000, 0x38800000, 0x477FE000, 0xC77FF000, 0x80000000, 0x00000000};
  return std::bit_cast<float>(kBits[random() % std::size(kBits)]);
}

std::vector<float> with_specials(CallMemory& memory, std::size_t count, int rate, float magnitude = 2) {
  std::vector<float> values = memory.random_floats(count, -magnitude, magnitude);
  for (float& value : values) {
    if (memory.random()() % static_cast<unsigned>(rate) == 0) value = special(memory.random());
  }
  return values;
}

// Calls of a key, with as many special values in all that make() fills.
template <class Key, class Make>
void check(const Key& key, Make make) {
  Kernels kernels(key);
  for (const int rate : kRates) {
    for (const std::uint64_t seed : {1, 2, 3}) {
      const auto floats = [&](CallMemory& memory, const char* name, int count) {
        return memory.copy_of(name, with_specials(memory, static_cast<std::size_t>(count), rate));
      };
      kernels.check(seed, fmt::format("one special value in {}", rate),
                    [&](CallMemory& memory) { return make(memory, floats); });
    }
  }
}

constexpr int kSizes[] = {3, 16, 77, 256};

TEST(Specials, Norms) {
  for (const jit::NormKind kind : {jit::NormKind::rms, jit::NormKind::layer}) {
    for (const int n : kSizes) {
      for (const bool adds : {false, true}) {
        check(jit::NormKey{n, 1e-5F, kind, false, adds}, [&](CallMemory& memory, const auto& floats) {
          jit::NormArgs args{};
          args.x = floats(memory, "x", 2 * n);
          args.weight = floats(memory, "weight", n);
          args.bias = floats(memory, "bias", n);
          args.out = floats(memory, "out", 2 * n);
          args.vectors = 2;
          return args;
        });
      }
    }
  }
}

TEST(Specials, SoftmaxCapAndArgmax) {
  for (const int n : kSizes) {
    check(jit::SoftmaxKey{n}, [&](CallMemory& memory, const auto& floats) {
      return jit::SoftmaxArgs{floats(memory, "x", n), 0.7F};
    });
    check(jit::CapKey{n, 30.0F}, [&](CallMemory& memory, const auto& floats) {
      return jit::CapArgs{floats(memory, "x", n), 0, n};
    });
    check(jit::ArgmaxKey{n}, [&](CallMemory& memory, const auto& floats) {
      return jit::ArgmaxArgs{floats(memory, "x", n), memory.allocate<jit::Best>("best", 1), 0, n};
    });
  }
}

TEST(Specials, QuantizeAndRound) {
  for (const jit::QuantizeKey key : {jit::QuantizeKey{128, 32, 32, 128}, jit::QuantizeKey{86, 43, 43, 128},
                                     jit::QuantizeKey{512, 256, 16, 32}, jit::QuantizeKey{512, 256, 32, 0}}) {
    check(key, [&](CallMemory& memory, const auto& floats) {
      const auto groups = static_cast<std::size_t>(key.n / key.group),
                 subgroups = static_cast<std::size_t>(key.n / key.subgroup);
      jit::QuantizeArgs args{};
      args.x = floats(memory, "x", key.n);
      args.out.codes = memory.allocate<std::int8_t>(
          "codes", groups * static_cast<std::size_t>(jit::round_up(key.group, 4)));
      args.out.scales = memory.allocate<float>("scales", groups);
      args.out.offsets = memory.allocate<std::int32_t>("offsets", subgroups);
      args.out.sums = memory.allocate<float>("sums", groups);
      args.out.subsums = memory.allocate<std::int16_t>("subsums", subgroups);
      return args;
    });
  }
  for (const int n : kSizes) {
    check(jit::RoundKey{n}, [&](CallMemory& memory, const auto& floats) {
      jit::QuantizeArgs args{};
      args.x = floats(memory, "x", n);
      args.out.codes = memory.allocate<std::int8_t>("codes", static_cast<std::size_t>(jit::rounded_bytes(n)));
      return args;
    });
  }
}

TEST(Specials, KeysAndValues) {
  for (const ElementType type : kKvTypes) {
    for (const int head_dim : {4, 44, 64}) {
      const jit::KvAppendKey key{type, head_dim};
      const KvPages pages(jit::KvLayout(key), 1, 1, std::byte{0x5A});
      check(key, [&](CallMemory& memory, const auto& floats) {
        jit::KvAppendArgs args{};
        args.k = floats(memory, "k", head_dim);
        args.v = floats(memory, "v", head_dim);
        args.at = memory.addresses("at", std::vector{pages.place(memory, "text", 3)});
        args.keys_at = pages.keys_at();
        args.values_at = pages.values_at();
        args.n_kv_heads = 1;
        return args;
      });
    }
  }
}

// Values that a token does not see, but the step's last one does, are multiplied by 0, and make NaNs of it.
void check_attention(const AttentionKey& key) {
  using namespace attention_check;
  Kernels kernels(key);
  for (const int rate : kRates) {
    for (const int position : {0, 20, key.one_range ? 200 : 600}) {
      const Call call{1, position};
      CallMemory source(Edge::back, static_cast<std::uint64_t>(rate * 1000 + position));
      Inputs inputs = random_inputs(key, call);
      inputs.q = with_specials(source, inputs.q.size(), rate);
      if (key.sinks) inputs.sinks = with_specials(source, inputs.sinks.size(), rate);
      for (int pos = 0; pos < position + key.tokens; ++pos) {
        if (rate > 1 && source.random()() % static_cast<unsigned>(rate) != 0) continue;
        const std::vector<float> k = with_specials(source, 44, rate), v = with_specials(source, 44, rate);
        inputs.kv.write_key(0, pos, k.data());
        inputs.kv.write_value(0, pos, v.data());
      }
      check_against_twin(kernels, key, call, inputs);
    }
  }
}

TEST(Specials, Attention) {
  for (const ElementType type : kKvTypes) {
    for (const bool one_range : {true, false}) {
      for (const int tokens : {1, 4}) {
        AttentionKey key{type, 44, 2, one_range, tokens, tokens > 1 ? 88 : 0};
        check_attention(key);
        key.scores.cap = 30;
        key.sinks = !one_range;
        check_attention(key);
      }
    }
  }
}

TEST(Specials, RotationsAndGates) {
  for (const int n : kSizes) {
    for (const jit::GateKind kind : {jit::GateKind::sigmoid, jit::GateKind::silu, jit::GateKind::factor}) {
      check(jit::GateKey{n, kind}, [&](CallMemory& memory, const auto& floats) {
        return jit::GateArgs{floats(memory, "x", n), floats(memory, "gates", n), floats(memory, "out", n), 0,
                             n};
      });
    }
  }
  for (const int n : {8, 48}) {
    check(jit::RopeKey{n}, [&](CallMemory& memory, const auto& floats) {
      jit::RopeArgs args{};
      args.x = floats(memory, "x", 2 * n);
      args.out = memory.allocate<float>("out", static_cast<std::size_t>(2 * n));
      args.table = floats(memory, "table", 2 * n);
      args.at = memory.addresses("at", std::vector<jit::Cursor>(1));
      args.n_heads = 2;
      args.n_tokens = 1;
      return args;
    });
  }
}

// Blocks of any bytes at all: scales are whatever a float of 16 bits may be.
std::vector<std::byte> packed_of_any_bytes(jit::Format format, int rows, CallMemory& source, int rate) {
  const jit::FormatTraits& traits = *jit::format_traits(format.kind);
  const jit::BlockRows layout(format.kind, format.group);
  std::vector<std::byte> blocks = source.random_bytes(static_cast<std::size_t>(rows * layout.row_bytes()));
  if (rate > 1) {
    jit::Group group{};
    for (int row = 0; row < rows; ++row) {
      if (source.random()() % static_cast<unsigned>(rate) == 0) continue;
      std::byte* const to = blocks.data() + row * layout.row_bytes();
      layout.split(to, 0, group);
      group.scale = 0.01F;
      if (traits.mins != jit::Mins::none) group.min = -0.02F;
      layout.join(group, 0, to);
    }
  }
  const float scale = special(source.random());
  std::vector<std::byte> packed(static_cast<std::size_t>(jit::packed_bytes(format, rows, format.group)));
  for (int tile = 0; tile < rows / jit::kLanes; ++tile) {
    jit::pack_tile({format, rows, format.group, blocks, std::as_bytes(std::span(&scale, 1))}, tile,
                   packed.data() + tile * jit::tile_bytes(format, format.group));
  }
  return packed;
}

TEST(Specials, ProductsOfEveryFormat) {
  constexpr int kRows = 32;
  for (const jit::FormatTraits& traits : jit::all_format_traits()) {
    const jit::Format format{traits.kind, traits.group};
    for (const jit::Epilogue epilogue : {jit::Epilogue::add, jit::Epilogue::swiglu}) {
      const jit::MatvecKey key{format, kRows / (is_gated(epilogue) ? 2 : 1), traits.group, epilogue};
      const jit::MatmulKey chunk{key.format, key.rows, key.cols, epilogue};
      Kernels alone(key);
      Kernels many(chunk);
      for (const int rate : {1, 5}) {
        CallMemory source(Edge::back, static_cast<std::uint64_t>(rate));
        const std::vector<std::byte> packed = packed_of_any_bytes(format, kRows, source, rate);
        TokenActivations inputs(format, traits.group, jit::kTokenBlock, 7);
        inputs[1].scales = with_specials(source, inputs[1].scales.size(), 1);
        const auto fill = [&](CallMemory& memory, int n_tokens, auto& args) {
          args.w = memory.copy_of("w", packed);
          inputs.copy_to(memory, n_tokens, args);
          args.out = memory.uniform(
              "out", static_cast<std::size_t>((n_tokens - 1) * jit::row_stride(key.rows) + key.rows));
          args.unit_end = key.rows / jit::kLanes;
        };
        alone.check(1, fmt::format("any bytes in one of {} rows", rate), [&](CallMemory& memory) {
          jit::MatvecArgs args{};
          fill(memory, 1, args);
          return args;
        });
        many.check(1, fmt::format("any bytes in one of {} rows", rate), [&](CallMemory& memory) {
          jit::MatmulArgs args{};
          fill(memory, jit::kTokenBlock, args);
          args.scratch = memory.scratch<std::byte>(
              "scratch", static_cast<std::size_t>(matmul_scratch_bytes(chunk, memory.isa())));
          args.n_tokens = jit::kTokenBlock;
          return args;
        });
      }
    }
  }
}

TEST(Specials, ProductsOfFloats) {
  constexpr int kRows = 16, kCols = 70;
  for (const jit::FormatKind kind :
       {jit::FormatKind::f32, jit::FormatKind::f16, jit::FormatKind::bf16, jit::FormatKind::bf16_pairs}) {
    const jit::Format format{kind, 0};
    for (const Finish& finish : kFinishes) {
      const int tiles = is_gated(finish.epilogue) ? 2 : 1;
      const jit::MatvecKey key{format, kRows, kCols, finish.epilogue, 1, finish.affine};
      Kernels kernels(key);
      for (const int rate : kRates) {
        kernels.check(
            static_cast<std::uint64_t>(rate), fmt::format("one special value in {}", rate),
            [&](CallMemory& memory) {
              std::vector<std::byte> w(
                  static_cast<std::size_t>(jit::packed_bytes(format, kRows * tiles, kCols)));
              const auto size = kind == jit::FormatKind::f32 ? 4U : 2U;
              const std::vector<float> values = with_specials(memory, w.size() / size, rate);
              for (std::size_t i = 0; i < values.size(); ++i) {
                const std::uint16_t half = kind == jit::FormatKind::f16 ? jit::float_to_half(values[i])
                                                                        : jit::float_to_bfloat(values[i]);
                std::memcpy(&w[i * size], size == 4 ? static_cast<const void*>(&values[i]) : &half, size);
              }
              jit::MatvecArgs args{};
              args.w = memory.copy_of("w", w);
              TokenActivations inputs(format, kCols, 1, 3);
              inputs[0].x = with_specials(memory, kCols, rate);
              if (kind == jit::FormatKind::bf16_pairs) round_to_pairs(inputs[0]);
              inputs.copy_to(memory, 1, args);
              args.out = memory.copy_of("out", with_specials(memory, kRows, rate));
              args.scales = memory.copy_of("scales", with_specials(memory, 2, rate));
              args.bias = memory.copy_of("bias", with_specials(memory, 2 * kRows, rate));
              args.unit_end = 1;
              return args;
            });
      }
    }
  }
}

}  // namespace
}  // namespace llamajit::test::specials_test
