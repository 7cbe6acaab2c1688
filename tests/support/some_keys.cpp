#include "tests/support/some_keys.h"

#include <variant>

#include "tests/support/sanitized.h"

namespace llamajit::test {
namespace {

using jit::ElementType;
using jit::Epilogue;
using jit::Format;
using jit::FormatKind;
using jit::KernelKey;

void add_attention(std::vector<KernelKey>& keys) {
  for (const ElementType type : {ElementType::f32, ElementType::f16, ElementType::bf16, ElementType::q8_0}) {
    for (const int head_dim : {8, 48}) {
      keys.emplace_back(jit::KvAppendKey{type, head_dim});
      for (const int group : {1, 2, 7}) {
        for (const int window : {0, 100}) {
          keys.emplace_back(jit::AttentionKey{type, head_dim, group, true, 1, 0, window});
          keys.emplace_back(jit::AttentionKey{type, head_dim, group, false, 1, 0, window});
          if (window > 0) {
            keys.emplace_back(
                jit::AttentionKey{type, head_dim, group, false, 1, 0, window, {}, false, false});
          }
          keys.emplace_back(jit::AttentionRangesKey{type, head_dim, group, 4, window});
        }
        keys.emplace_back(jit::AttentionRangesKey{type, head_dim, group, 5});
        keys.emplace_back(jit::AttentionKey{type, head_dim, group, true, 4, 512});
        keys.emplace_back(jit::AttentionKey{type, head_dim, group, false, 4, 512});
      }
    }
  }
  for (const int tokens : {1, 4}) {
    keys.emplace_back(jit::AttentionKey{
        ElementType::f16, 48, 2, false, tokens, 512 * (tokens / 4), 0, {}, false, false, true});
  }
  constexpr jit::ScoreKey kScores{0.07F, 50.0F};
  for (const bool one_range : {true, false}) {
    keys.emplace_back(jit::AttentionKey{ElementType::f16, 48, 2, one_range, 1, 0, 100, kScores});
    keys.emplace_back(jit::AttentionKey{ElementType::f16, 48, 2, one_range, 4, 512, 0, kScores});
  }
  for (const int group : {2, 8}) {
    for (const int tokens : {1, 4}) {
      keys.emplace_back(
          jit::AttentionKey{ElementType::f16, 48, group, false, tokens, 512 * (tokens / 4), 0, {}, true});
    }
  }
  keys.emplace_back(jit::AttentionKey{ElementType::f16, 48, 2, false, 4, 512, 0, {}, false, false});
  keys.emplace_back(jit::AttentionMergeKey{48, 4, 0, true});
  keys.emplace_back(jit::AttentionRangesKey{ElementType::f16, 48, 2, 4, 0, kScores});
  keys.emplace_back(jit::KvAppendKey{ElementType::f32, 256});
  for (const int head_dim : {8, 48}) {
    keys.emplace_back(jit::AttentionMergeKey{head_dim, 4});
    keys.emplace_back(jit::AttentionMergeKey{head_dim, 5});
    keys.emplace_back(jit::AttentionMergeKey{head_dim, 4, 100});
  }
}

void add_delta_net(std::vector<KernelKey>& keys) {
  for (const int n : {64, 77}) {
    keys.emplace_back(jit::ConvKey{n, 4});
    keys.emplace_back(jit::DecayKey{n});
    keys.emplace_back(jit::DeltaKey{18, n});
    keys.emplace_back(jit::GateKey{n, jit::GateKind::sigmoid});
    keys.emplace_back(jit::GateKey{n, jit::GateKind::silu});
    keys.emplace_back(jit::GateKey{n, jit::GateKind::factor});
  }
  keys.emplace_back(jit::DeltaKey{128, 128});
}

void add_products(std::vector<KernelKey>& keys, Format format, int cols) {
  for (const Epilogue epilogue : {Epilogue::store, Epilogue::add, Epilogue::swiglu}) {
    for (const int rows : {50, 64}) {
      keys.emplace_back(jit::MatmulKey{format, rows, cols, epilogue});
      for (const int streams : {1, 2, 4}) {
        keys.emplace_back(jit::MatvecKey{format, rows, cols, epilogue, streams});
      }
    }
  }
}

// By a matrix of one of ggml's formats.
bool multiplies_blocks(const KernelKey& key) {
  const auto of_blocks = [](const Format& format) {
    return has_codes(format) && format.kind != FormatKind::int8;
  };
  if (const auto* matvec = std::get_if<jit::MatvecKey>(&key)) return of_blocks(matvec->format);
  const auto* matmul = std::get_if<jit::MatmulKey>(&key);
  return matmul != nullptr && of_blocks(matmul->format);
}

}  // namespace

std::vector<KernelKey> some_keys() {
  const Format f32{FormatKind::f32, 0};
  std::vector<KernelKey> keys = {jit::QuantizeKey{128, 64, 64, 128},
                                 jit::QuantizeKey{128, 32, 32, 128},
                                 jit::QuantizeKey{86, 43, 43, 128},
                                 jit::QuantizeKey{512, 256, 32, 0},
                                 jit::QuantizeKey{512, 256, 16, 32},
                                 jit::RoundKey{64},
                                 jit::RoundKey{77},
                                 jit::RopeKey{8},
                                 jit::RopeKey{48},
                                 jit::EmbedKey{f32, 64},
                                 jit::EmbedKey{f32, 67},
                                 jit::EmbedKey{f32, 67, 8.0F},
                                 jit::EmbedKey{f32, 67, 1.0F, jit::EmbedRow::position},
                                 jit::EmbedKey{f32, 67, 1.0F, jit::EmbedRow::first}};
  for (const int n : {7, 64, 77, 512}) {
    keys.emplace_back(jit::NormKey{n, 1e-5F});
    keys.emplace_back(jit::NormKey{n, 1e-5F, jit::NormKind::layer});
    keys.emplace_back(jit::NormKey{n, 1e-5F, jit::NormKind::layer, true});
    keys.emplace_back(jit::NormKey{n, 1e-5F, jit::NormKind::rms, false, true});
    keys.emplace_back(jit::CapKey{n, 30.0F});
    keys.emplace_back(jit::SoftmaxKey{n});
    keys.emplace_back(jit::ArgmaxKey{n});
    keys.emplace_back(jit::LessonAddKey{n});
    keys.emplace_back(jit::LessonDotKey{n});
    keys.emplace_back(jit::LessonAttentionKey{n});
    keys.emplace_back(jit::LessonFeedForwardKey{n});
    keys.emplace_back(jit::LessonOneBitKey{n});
    keys.emplace_back(jit::LessonExpertsKey{n, 1});
    keys.emplace_back(jit::LessonExpertsKey{n, 2});
    keys.emplace_back(jit::LessonStateKey{n});
  }
  using jit::Gating;
  for (const Gating gating : {Gating::softmax, Gating::sigmoid, Gating::softmax_of_chosen}) {
    keys.emplace_back(jit::RouteKey{20, 3, gating});
    keys.emplace_back(jit::RouteKey{64, 8, gating, true, true, 2.5F, jit::SharedExpert::gated});
    keys.emplace_back(jit::RouteKey{64, 8, gating, true, false, 1, jit::SharedExpert::plain});
    keys.emplace_back(jit::RouteKey{64, 8, gating, true, true, 1, jit::SharedExpert::none, 8, 4, true});
    keys.emplace_back(
        jit::RouteKey{64, 8, gating, false, false, 1, jit::SharedExpert::none, 8, 4, false, true});
  }
  keys.emplace_back(jit::MixKey{77, 3});
  keys.emplace_back(jit::MixKey{77, 3, false});
  keys.emplace_back(jit::CopyKey{77});
  add_delta_net(keys);
  add_attention(keys);
  add_products(keys, f32, 71);
  for (const Epilogue epilogue : {Epilogue::store, Epilogue::add, Epilogue::gelu}) {
    keys.emplace_back(jit::MatvecKey{f32, 50, 71, epilogue, 2, {true, true}});
    keys.emplace_back(jit::MatmulKey{f32, 50, 71, epilogue, {true, true}});
  }
  keys.emplace_back(jit::MatvecKey{f32, 50, 71, Epilogue::swiglu_clamped, 2, {false, true}});
  keys.emplace_back(jit::MatmulKey{f32, 50, 71, Epilogue::swiglu_clamped, {false, true}});
  for (const Epilogue epilogue : {Epilogue::relu2glu, Epilogue::geglu}) {
    keys.emplace_back(jit::MatvecKey{f32, 50, 71, epilogue, 2, {true, false}});
    keys.emplace_back(jit::MatmulKey{f32, 50, 71, epilogue, {true, false}});
  }
  keys.emplace_back(jit::MatvecKey{f32, 50, 71, Epilogue::relu2, 1});
  for (const int group : {4, 43, 64}) {
    const Format int8{FormatKind::int8, group};
    keys.emplace_back(jit::EmbedKey{int8, 4 * group});
    add_products(keys, int8, 4 * group);
  }
  for (const FormatKind kind : {FormatKind::f16, FormatKind::bf16, FormatKind::bf16_pairs}) {
    keys.emplace_back(jit::EmbedKey{{kind, 0}, 71});
    keys.emplace_back(jit::MatvecKey{{kind, 0}, 50, 71, Epilogue::add, 2});
    keys.emplace_back(jit::MatvecKey{{kind, 0}, 50, 71, Epilogue::add, 2, {}, 9});
    keys.emplace_back(jit::MatmulKey{{kind, 0}, 50, 71, Epilogue::add});
  }
  for (const jit::FormatTraits& traits : jit::all_format_traits()) {
    const Format format{traits.kind, traits.group};
    keys.emplace_back(jit::EmbedKey{format, traits.group});
    keys.emplace_back(jit::MatvecKey{format, 50, 2 * traits.group, Epilogue::swiglu, 1});
    keys.emplace_back(jit::MatvecKey{format, 50, 2 * traits.group, Epilogue::swiglu, 1, {}, 9});
    keys.emplace_back(jit::MatmulKey{format, 50, 2 * traits.group, Epilogue::swiglu});
  }
  if (kSanitized) {  // a fourth of those that are most and longest
    int attentions = 0, products = 0;
    std::erase_if(keys, [&](const KernelKey& key) {
      const bool attends = std::holds_alternative<jit::AttentionKey>(key) ||
                           std::holds_alternative<jit::AttentionRangesKey>(key);
      return (attends && attentions++ % 4 != 0) || (multiplies_blocks(key) && products++ % 4 != 0);
    });
  }
  return keys;
}

std::vector<KernelKey> listed_keys() {
  const std::vector<KernelKey> all = some_keys();
  std::vector<KernelKey> listed;
  for (std::size_t i = 0; i < all.size(); i += kSanitized ? 4 : 1) listed.push_back(all[i]);
  return listed;
}

}  // namespace llamajit::test
