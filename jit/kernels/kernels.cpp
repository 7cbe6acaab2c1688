#include "jit/kernels/kernels.h"

#include <cctype>

#include <fmt/format.h>

namespace llamajit::jit {
namespace {

std::string suffix(Epilogue epilogue) {
  return epilogue == Epilogue::store ? "" : fmt::format("_{}", to_string(epilogue));
}

// An attention without a window has none in its name.
std::string window_suffix(int window) {
  return window > 0 ? fmt::format("_window{}", window) : "";
}
std::string_view sinks_suffix(bool sinks) {
  return sinks ? "_sinks" : "";
}
// The same for what is done with its scores.
std::string suffix(const ScoreKey& scores) {
  return fmt::format("{}{}", scores.scale == 0 ? "" : "_scaled", scores.cap == 0 ? "" : "_capped");
}

std::string suffix(Affine affine) {
  return fmt::format("{}{}", affine.scale ? "_scaled" : "", affine.bias ? "_bias" : "");
}

// A format as part of an identifier: "int8_64", "q4_k".
std::string identifier(Format format) {
  std::string name = to_string(format);
  for (char& c : name) c = c == '/' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

struct Name {
  std::string operator()(const EmbedKey& k) const {
    return fmt::format("embed_{}_{}{}{}", identifier(k.format), k.dim, k.scale == 1 ? "" : "_scaled",
                       k.adds() ? fmt::format("_of_{}", to_string(k.which)) : "");
  }
  std::string operator()(const NormKey& k) const {
    return fmt::format("{}_{}{}{}", k.kind == NormKind::layer ? "layernorm" : "rmsnorm", k.n,
                       k.own_weights ? "_own_weights" : "", k.adds ? "_add" : "");
  }
  std::string operator()(const QuantizeKey& k) const {
    const std::string subgroup = k.subgroup < k.group ? fmt::format("by{}", k.subgroup) : "";
    const std::string_view result = k.zero > 0 ? "" : "_sums";
    return fmt::format("quantize_q8_{}{}{}_zero{}_{}", k.group, subgroup, result, k.zero, k.n);
  }
  std::string operator()(const RoundKey& k) const { return fmt::format("round_bf16_{}", k.n); }
  std::string operator()(const MatvecKey& k) const {
    return fmt::format("matvec_{}_{}x{}{}{}{}{}", identifier(k.format), k.rows, k.cols, suffix(k.affine),
                       suffix(k.epilogue), k.tokens == 1 ? "" : fmt::format("_{}tokens", k.tokens),
                       k.streams == 1 ? "" : fmt::format("_streams{}", k.streams));
  }
  std::string operator()(const MatmulKey& k) const {
    return fmt::format("matmul_{}_{}x{}{}{}", identifier(k.format), k.rows, k.cols, suffix(k.affine),
                       suffix(k.epilogue));
  }
  std::string operator()(const RopeKey& k) const { return fmt::format("rope_{}", k.head_dim); }
  std::string operator()(const KvAppendKey& k) const {
    return fmt::format("kv_append_{}_{}", to_string(k.type), k.head_dim);
  }
  std::string operator()(const AttentionKey& k) const {
    const std::string tokens =
        k.tokens > 1 ? fmt::format("_{}tokens{}", k.tokens, k.causal ? "" : "_same_positions") : "";
    return fmt::format("attention_{}_{}_gqa{}{}{}{}{}{}{}{}", to_string(k.type), k.head_dim, k.group,
                       k.one_range ? "_one_range" : "", window_suffix(k.window),
                       k.window > 0 && !k.causal ? "_around" : "", suffix(k.scores), sinks_suffix(k.sinks),
                       k.slopes ? "_slopes" : "", tokens);
  }
  std::string operator()(const AttentionRangesKey& k) const {
    return fmt::format("attention_ranges_{}_{}x{}_gqa{}{}{}", to_string(k.type), k.ranges, k.head_dim,
                       k.group, window_suffix(k.window), suffix(k.scores));
  }
  std::string operator()(const AttentionMergeKey& k) const {
    return fmt::format("attention_merge_{}x{}{}{}", k.ranges, k.head_dim, window_suffix(k.window),
                       sinks_suffix(k.sinks));
  }
  std::string operator()(const SoftmaxKey& k) const { return fmt::format("softmax_{}", k.n); }
  std::string operator()(const CapKey& k) const { return fmt::format("cap_{}", k.n); }
  std::string operator()(const ArgmaxKey& k) const { return fmt::format("argmax_{}", k.n); }
  std::string operator()(const RouteKey& k) const {
    const std::string groups = k.chooses_groups() ? fmt::format("_{}of{}groups{}", k.groups_used, k.groups,
                                                                k.by_best ? "_by_best" : "")
                                                  : "";
    return fmt::format("route_{}of{}{}_{}{}{}{}{}", k.used, k.experts, groups, to_string(k.gating),
                       k.renormalises ? "_renormalised" : "", k.biased ? "_biased" : "",
                       k.scaled ? "_scaled" : "",
                       k.shared == SharedExpert::none ? "" : fmt::format("_{}_shared", to_string(k.shared)));
  }
  std::string operator()(const MixKey& k) const {
    return fmt::format("mix_{}x{}{}", k.vectors, k.n, k.adds ? "" : "_store");
  }
  std::string operator()(const CopyKey& k) const { return fmt::format("copy_{}", k.n); }
  std::string operator()(const ConvKey& k) const { return fmt::format("conv_{}x{}", k.taps, k.channels); }
  std::string operator()(const DecayKey& k) const { return fmt::format("decay_{}", k.heads); }
  std::string operator()(const DeltaKey& k) const {
    return fmt::format("delta_{}x{}", k.key_dim, k.value_dim);
  }
  std::string operator()(const GateKey& k) const { return fmt::format("gate_{}_{}", to_string(k.kind), k.n); }
  std::string operator()(const LessonAddKey& k) const { return fmt::format("add_{}", k.n); }
  std::string operator()(const LessonDotKey& k) const { return fmt::format("dot_{}", k.n); }
  std::string operator()(const LessonAttentionKey& k) const { return fmt::format("self_attention_{}", k.n); }
  std::string operator()(const LessonFeedForwardKey& k) const { return fmt::format("feed_forward_{}", k.n); }
  std::string operator()(const LessonOneBitKey& k) const { return fmt::format("one_bit_dot_{}", k.n); }
  std::string operator()(const LessonExpertsKey& k) const {
    return fmt::format("experts_{}of{}", k.used, k.n);
  }
  std::string operator()(const LessonStateKey& k) const { return fmt::format("state_{}", k.n); }
};

struct Shape {
  std::string operator()(const EmbedKey& k) const { return fmt::format("({})", k.dim); }
  std::string operator()(const NormKey& k) const { return fmt::format("({})", k.n); }
  std::string operator()(const QuantizeKey& k) const { return fmt::format("({}) by {}", k.n, k.group); }
  std::string operator()(const RoundKey& k) const { return fmt::format("({})", k.n); }
  std::string operator()(const MatvecKey& k) const { return fmt::format("({}, {})", k.rows, k.cols); }
  std::string operator()(const MatmulKey& k) const { return fmt::format("({}, {}, tokens)", k.rows, k.cols); }
  std::string operator()(const RopeKey& k) const { return fmt::format("(heads, {})", k.head_dim); }
  std::string operator()(const KvAppendKey& k) const { return fmt::format("(heads, {})", k.head_dim); }
  std::string operator()(const AttentionKey& k) const {
    return fmt::format("(heads x {}, positions, {})", k.rows(), k.head_dim);
  }
  std::string operator()(const AttentionRangesKey& k) const {
    return fmt::format("({}, {}, {})", k.group, k.ranges, k.head_dim);
  }
  std::string operator()(const AttentionMergeKey& k) const {
    return fmt::format("(heads, {}, {})", k.ranges, k.head_dim);
  }
  std::string operator()(const SoftmaxKey& k) const { return fmt::format("({})", k.n); }
  std::string operator()(const CapKey& k) const { return fmt::format("({})", k.n); }
  std::string operator()(const ArgmaxKey& k) const { return fmt::format("({})", k.n); }
  std::string operator()(const RouteKey& k) const { return fmt::format("({} of {})", k.used, k.experts); }
  std::string operator()(const MixKey& k) const { return fmt::format("({}, {})", k.vectors, k.n); }
  std::string operator()(const CopyKey& k) const { return fmt::format("({})", k.n); }
  std::string operator()(const ConvKey& k) const {
    return fmt::format("(tokens, {}) by {}", k.channels, k.taps);
  }
  std::string operator()(const DecayKey& k) const { return fmt::format("({})", k.heads); }
  std::string operator()(const DeltaKey& k) const {
    return fmt::format("(tokens, {}, {})", k.key_dim, k.value_dim);
  }
  std::string operator()(const GateKey& k) const { return fmt::format("({})", k.n); }
  std::string operator()(const LessonAttentionKey& k) const { return fmt::format("(queries, {})", k.n); }
  template <LessonKey Key>
  std::string operator()(const Key& k) const {
    return fmt::format("({})", k.n);
  }
};

}  // namespace

std::string_view to_string(Epilogue epilogue) {
  switch (epilogue) {
    case Epilogue::store:
      return "store";
    case Epilogue::add:
      return "add";
    case Epilogue::swiglu:
      return "swiglu";
    case Epilogue::relu2glu:
      return "relu2glu";
    case Epilogue::geglu:
      return "geglu";
    case Epilogue::swiglu_clamped:
      return "swiglu_clamped";
    case Epilogue::gelu:
      return "gelu";
    case Epilogue::relu2:
      return "relu2";
  }
  return "";
}

std::string_view to_string(Gating gating) {
  switch (gating) {
    case Gating::softmax:
      return "softmax";
    case Gating::sigmoid:
      return "sigmoid";
    case Gating::softmax_of_chosen:
      return "softmax_of_chosen";
  }
  return "";
}

std::string_view to_string(SharedExpert shared) {
  switch (shared) {
    case SharedExpert::none:
      return "no";
    case SharedExpert::plain:
      return "plain";
    case SharedExpert::gated:
      return "gated";
  }
  return "";
}

std::string_view to_string(EmbedRow row) {
  switch (row) {
    case EmbedRow::token:
      return "token";
    case EmbedRow::position:
      return "position";
    case EmbedRow::first:
      return "first";
  }
  return "";
}

std::string_view to_string(GateKind kind) {
  switch (kind) {
    case GateKind::sigmoid:
      return "sigmoid";
    case GateKind::silu:
      return "silu";
    case GateKind::factor:
      return "factor";
  }
  return "";
}

std::string kernel_name(const KernelKey& key) {
  return std::visit(Name{}, key);
}
std::string kernel_shape(const KernelKey& key) {
  return std::visit(Shape{}, key);
}

}  // namespace llamajit::jit
