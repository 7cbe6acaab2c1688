#include "jit/inspect/contract.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>

#include <fmt/format.h>

namespace llamajit::jit::inspect {
namespace {

// "scale, bias, add"
std::string to_text(Affine affine, Epilogue epilogue) {
  return fmt::format("{}{}{}", affine.scale ? "scale, " : "", affine.bias ? "bias, " : "",
                     to_string(epilogue));
}

template <class Key>
std::string product(const Key& key, std::string_view x, std::string_view out) {
  const auto sum = [&](std::string_view matrix) {
    return fmt::format("{}{} {}{}", key.affine.scale ? "scale * " : "", matrix, x,
                       key.affine.bias ? " + bias" : "");
  };
  switch (key.epilogue) {
    case Epilogue::store:
      return fmt::format("{} = {}", out, sum("W"));
    case Epilogue::add:
      return fmt::format("{} += {}", out, sum("W"));
    case Epilogue::swiglu:
      return fmt::format("{} = silu({}) * ({})", out, sum("Wgate"), sum("Wup"));
    case Epilogue::relu2glu:
      return fmt::format("{} = max({}, 0)^2 * ({})", out, sum("Wgate"), sum("Wup"));
    case Epilogue::gelu:
      return fmt::format("{} = gelu({})", out, sum("W"));
  }
  return "";
}

struct Formula {
  std::string operator()(const EmbedKey&) const { return "out = row at->token of the table, as f32"; }
  std::string operator()(const NormKey& k) const {
    return k.kind == NormKind::layer ? "out = d / sqrt(mean(d^2) + eps) * weight + bias, d = x - mean(x)"
                                     : "out = x / sqrt(mean(x^2) + eps) * weight";
  }
  std::string operator()(const QuantizeKey& k) const {
    const std::string of_codes = k.zero > 0 ? fmt::format("offset = -{} * sum of the codes", k.zero)
                                            : "sum = sum of the codes * scale";
    return fmt::format(
        "for each group: scale = max|x| / 127, codes = round(x / scale); for each subgroup: {}", of_codes);
  }
  std::string operator()(const RoundKey&) const { return "out.codes = x, rounded to bf16"; }
  std::string operator()(const MatvecKey& k) const {
    return k.tokens == 1 ? product(k, "x", "out") : "for each token t: " + product(k, "x[t]", "out[t]");
  }
  std::string operator()(const MatmulKey& k) const {
    return "for each token t: " + product(k, "x[t]", "out[t]");
  }
  std::string operator()(const RopeKey&) const {
    return "for each token, head and pair: (a, b) = (a cos - b sin, b cos + a sin) of the position's angle";
  }
  std::string operator()(const KvAppendKey& k) const {
    return fmt::format("for each token t and head: keys[at[t].pos] = k, values[at[t].pos] = v, as {}",
                       to_string(k.type));
  }
  std::string operator()(const AttentionKey& k) const {
    return fmt::format(
        "for {}each head: out = sum over {}p <= pos{} of softmax(q.k[p] / sqrt(head_dim))[p] * v[p]",
        k.tokens > 1 ? "each token t, for " : "", k.window > 0 ? fmt::format("pos - {} < ", k.window) : "",
        k.tokens > 1 ? " + t" : "");
  }
  std::string operator()(const AttentionRangesKey&) const {
    return "for each of a part's ranges, for each head: its record = sum of w * v, max s, sum of w; "
           "s = q.k / sqrt(head_dim), w = exp(s - max s)";
  }
  std::string operator()(const AttentionMergeKey&) const {
    return "for each head: out = the attention over all ranges, from their records";
  }
  std::string operator()(const SoftmaxKey&) const {
    return "x = exp(x * scale - max(x * scale)), divided by their sum";
  }
  std::string operator()(const ArgmaxKey&) const {
    return "best = the first place of the largest x in [begin, end)";
  }
  std::string operator()(const LessonAddKey&) const { return "out = a + b"; }
  std::string operator()(const LessonDotKey&) const { return "out = sum of a * b"; }
  std::string operator()(const LessonAttentionKey&) const {
    return "for each query: out = sum of softmax(q * k) * v";
  }
  std::string operator()(const LessonFeedForwardKey&) const { return "out = (x + h) + h * w"; }
  std::string operator()(const LessonOneBitKey&) const {
    return "out = scale * sum of x, -x where the sign bit is set";
  }
};

// The double that is written as briefly as the float: 1e-05 for 1e-05F.
double in_short(float value) {
  return std::stod(fmt::format("{}", value));
}

using Fields = std::vector<std::pair<std::string, KeyValue>>;

struct KeyFields {
  Fields operator()(const EmbedKey& k) const { return {{"format", to_string(k.format)}, {"dim", k.dim}}; }
  Fields operator()(const NormKey& k) const { return {{"n", k.n}, {"eps", in_short(k.eps)}}; }
  Fields operator()(const QuantizeKey& k) const {
    return {{"n", k.n}, {"group", k.group}, {"subgroup", k.subgroup}, {"zero", k.zero}};
  }
  Fields operator()(const RoundKey& k) const { return {{"n", k.n}}; }
  Fields operator()(const MatvecKey& k) const {
    Fields fields = matrix(k);
    fields.emplace_back("streams", k.streams);
    fields.emplace_back("tokens", k.tokens);
    return fields;
  }
  Fields operator()(const MatmulKey& k) const { return matrix(k); }
  Fields operator()(const RopeKey& k) const { return {{"head_dim", k.head_dim}}; }
  Fields operator()(const KvAppendKey& k) const {
    return {{"type", std::string(to_string(k.type))}, {"head_dim", k.head_dim}};
  }
  Fields operator()(const AttentionKey& k) const {
    Fields fields = attention(k);
    fields.emplace_back("one_range", std::int64_t{k.one_range});
    fields.emplace_back("tokens", k.tokens);
    fields.emplace_back("token_stride", k.token_stride);
    return fields;
  }
  Fields operator()(const AttentionRangesKey& k) const {
    Fields fields = attention(k);
    fields.emplace_back("ranges", k.ranges);
    return fields;
  }
  Fields operator()(const AttentionMergeKey& k) const {
    return {{"head_dim", k.head_dim}, {"ranges", k.ranges}, {"window", k.window}};
  }
  Fields operator()(const SoftmaxKey& k) const { return {{"n", k.n}}; }
  Fields operator()(const ArgmaxKey& k) const { return {{"n", k.n}}; }
  template <LessonKey Key>
  Fields operator()(const Key& k) const {
    return {{"n", k.n}};
  }

  template <class Key>
  static Fields attention(const Key& k) {
    return {{"type", std::string(to_string(k.type))},
            {"head_dim", k.head_dim},
            {"group", k.group},
            {"window", k.window}};
  }
  template <class Key>
  static Fields matrix(const Key& k) {
    return {{"format", to_string(k.format)},
            {"rows", k.rows},
            {"cols", k.cols},
            {"epilogue", to_text(k.affine, k.epilogue)}};
  }
};

struct ArgsField {
  std::size_t offset;
  std::string_view name;
};

// The members of QuantizedArgs, as part of other Args.
constexpr std::size_t kCodes = offsetof(QuantizedArgs, codes);
constexpr std::size_t kScales = offsetof(QuantizedArgs, scales);
constexpr std::size_t kOffsets = offsetof(QuantizedArgs, offsets);
constexpr std::size_t kSums = offsetof(QuantizedArgs, sums);

constexpr ArgsField kEmbed[] = {{offsetof(EmbedArgs, table), "table"},
                                {offsetof(EmbedArgs, out), "out"},
                                {offsetof(EmbedArgs, at), "at"}};
constexpr ArgsField kNorm[] = {{offsetof(NormArgs, x), "x"},
                               {offsetof(NormArgs, weight), "weight"},
                               {offsetof(NormArgs, out), "out"},
                               {offsetof(NormArgs, bias), "bias"},
                               {offsetof(NormArgs, vectors), "vectors"}};
constexpr ArgsField kQuantize[] = {{offsetof(QuantizeArgs, x), "x"},
                                   {offsetof(QuantizeArgs, out) + kCodes, "out.codes"},
                                   {offsetof(QuantizeArgs, out) + kScales, "out.scales"},
                                   {offsetof(QuantizeArgs, out) + kOffsets, "out.offsets"},
                                   {offsetof(QuantizeArgs, out) + kSums, "out.sums"}};
constexpr ArgsField kRound[] = {{offsetof(QuantizeArgs, x), "x"},
                                {offsetof(QuantizeArgs, out) + kCodes, "out.codes"}};
constexpr ArgsField kMatvec[] = {{offsetof(MatvecArgs, w), "w"},
                                 {offsetof(MatvecArgs, x), "x"},
                                 {offsetof(MatvecArgs, xq) + kCodes, "xq.codes"},
                                 {offsetof(MatvecArgs, xq) + kScales, "xq.scales"},
                                 {offsetof(MatvecArgs, xq) + kOffsets, "xq.offsets"},
                                 {offsetof(MatvecArgs, xq) + kSums, "xq.sums"},
                                 {offsetof(MatvecArgs, out), "out"},
                                 {offsetof(MatvecArgs, unit_begin), "unit_begin"},
                                 {offsetof(MatvecArgs, unit_end), "unit_end"},
                                 {offsetof(MatvecArgs, scales), "scales"},
                                 {offsetof(MatvecArgs, bias), "bias"}};
constexpr ArgsField kMatmul[] = {{offsetof(MatmulArgs, w), "w"},
                                 {offsetof(MatmulArgs, x), "x"},
                                 {offsetof(MatmulArgs, xq) + kCodes, "xq.codes"},
                                 {offsetof(MatmulArgs, xq) + kScales, "xq.scales"},
                                 {offsetof(MatmulArgs, xq) + kOffsets, "xq.offsets"},
                                 {offsetof(MatmulArgs, xq) + kSums, "xq.sums"},
                                 {offsetof(MatmulArgs, scratch), "scratch"},
                                 {offsetof(MatmulArgs, out), "out"},
                                 {offsetof(MatmulArgs, unit_begin), "unit_begin"},
                                 {offsetof(MatmulArgs, unit_end), "unit_end"},
                                 {offsetof(MatmulArgs, n_tokens), "n_tokens"},
                                 {offsetof(MatmulArgs, scales), "scales"},
                                 {offsetof(MatmulArgs, bias), "bias"}};
constexpr ArgsField kRope[] = {{offsetof(RopeArgs, x), "x"},
                               {offsetof(RopeArgs, out), "out"},
                               {offsetof(RopeArgs, table), "table"},
                               {offsetof(RopeArgs, at), "at"},
                               {offsetof(RopeArgs, n_heads), "n_heads"},
                               {offsetof(RopeArgs, n_tokens), "n_tokens"},
                               {offsetof(RopeArgs, token_stride), "token_stride"}};
constexpr ArgsField kKvAppend[] = {{offsetof(KvAppendArgs, k), "k"},
                                   {offsetof(KvAppendArgs, v), "v"},
                                   {offsetof(KvAppendArgs, at), "at"},
                                   {offsetof(KvAppendArgs, keys_at), "keys_at"},
                                   {offsetof(KvAppendArgs, values_at), "values_at"},
                                   {offsetof(KvAppendArgs, n_kv_heads), "n_kv_heads"},
                                   {offsetof(KvAppendArgs, n_tokens), "n_tokens"},
                                   {offsetof(KvAppendArgs, token_stride), "token_stride"}};
constexpr ArgsField kAttention[] = {{offsetof(AttentionArgs, q), "q"},
                                    {offsetof(AttentionArgs, out), "out"},
                                    {offsetof(AttentionArgs, scratch), "scratch"},
                                    {offsetof(AttentionArgs, at), "at"},
                                    {offsetof(AttentionArgs, keys_at), "keys_at"},
                                    {offsetof(AttentionArgs, values_at), "values_at"},
                                    {offsetof(AttentionArgs, n_kv_heads), "n_kv_heads"}};
constexpr ArgsField kAttentionRanges[] = {{offsetof(AttentionRangesArgs, q), "q"},
                                          {offsetof(AttentionRangesArgs, records), "records"},
                                          {offsetof(AttentionRangesArgs, scratch), "scratch"},
                                          {offsetof(AttentionRangesArgs, at), "at"},
                                          {offsetof(AttentionRangesArgs, keys_at), "keys_at"},
                                          {offsetof(AttentionRangesArgs, values_at), "values_at"},
                                          {offsetof(AttentionRangesArgs, part), "part"},
                                          {offsetof(AttentionRangesArgs, parts), "parts"}};
constexpr ArgsField kAttentionMerge[] = {{offsetof(AttentionMergeArgs, records), "records"},
                                         {offsetof(AttentionMergeArgs, out), "out"},
                                         {offsetof(AttentionMergeArgs, at), "at"},
                                         {offsetof(AttentionMergeArgs, n_heads), "n_heads"}};
constexpr ArgsField kSoftmax[] = {{offsetof(SoftmaxArgs, x), "x"}, {offsetof(SoftmaxArgs, scale), "scale"}};
constexpr ArgsField kArgmax[] = {{offsetof(ArgmaxArgs, x), "x"},
                                 {offsetof(ArgmaxArgs, best), "best"},
                                 {offsetof(ArgmaxArgs, begin), "begin"},
                                 {offsetof(ArgmaxArgs, end), "end"}};
constexpr ArgsField kLessonAdd[] = {{offsetof(LessonAddArgs, a), "a"},
                                    {offsetof(LessonAddArgs, b), "b"},
                                    {offsetof(LessonAddArgs, out), "out"}};
constexpr ArgsField kLessonDot[] = {{offsetof(LessonDotArgs, a), "a"},
                                    {offsetof(LessonDotArgs, b), "b"},
                                    {offsetof(LessonDotArgs, out), "out"}};
constexpr ArgsField kLessonAttention[] = {
    {offsetof(LessonAttentionArgs, q), "q"},     {offsetof(LessonAttentionArgs, k), "k"},
    {offsetof(LessonAttentionArgs, v), "v"},     {offsetof(LessonAttentionArgs, weights), "weights"},
    {offsetof(LessonAttentionArgs, out), "out"}, {offsetof(LessonAttentionArgs, queries), "queries"}};
constexpr ArgsField kLessonFeedForward[] = {{offsetof(LessonFeedForwardArgs, x), "x"},
                                            {offsetof(LessonFeedForwardArgs, h), "h"},
                                            {offsetof(LessonFeedForwardArgs, w), "w"},
                                            {offsetof(LessonFeedForwardArgs, out), "out"}};
constexpr ArgsField kLessonOneBit[] = {{offsetof(LessonOneBitArgs, signs), "signs"},
                                       {offsetof(LessonOneBitArgs, x), "x"},
                                       {offsetof(LessonOneBitArgs, out), "out"},
                                       {offsetof(LessonOneBitArgs, scale), "scale"}};

struct ArgsFields {
  std::span<const ArgsField> operator()(const EmbedKey&) const { return kEmbed; }
  std::span<const ArgsField> operator()(const NormKey&) const { return kNorm; }
  std::span<const ArgsField> operator()(const QuantizeKey&) const { return kQuantize; }
  std::span<const ArgsField> operator()(const RoundKey&) const { return kRound; }
  std::span<const ArgsField> operator()(const MatvecKey&) const { return kMatvec; }
  std::span<const ArgsField> operator()(const MatmulKey&) const { return kMatmul; }
  std::span<const ArgsField> operator()(const RopeKey&) const { return kRope; }
  std::span<const ArgsField> operator()(const KvAppendKey&) const { return kKvAppend; }
  std::span<const ArgsField> operator()(const AttentionKey&) const { return kAttention; }
  std::span<const ArgsField> operator()(const AttentionRangesKey&) const { return kAttentionRanges; }
  std::span<const ArgsField> operator()(const AttentionMergeKey&) const { return kAttentionMerge; }
  std::span<const ArgsField> operator()(const SoftmaxKey&) const { return kSoftmax; }
  std::span<const ArgsField> operator()(const ArgmaxKey&) const { return kArgmax; }
  std::span<const ArgsField> operator()(const LessonAddKey&) const { return kLessonAdd; }
  std::span<const ArgsField> operator()(const LessonDotKey&) const { return kLessonDot; }
  std::span<const ArgsField> operator()(const LessonAttentionKey&) const { return kLessonAttention; }
  std::span<const ArgsField> operator()(const LessonFeedForwardKey&) const { return kLessonFeedForward; }
  std::span<const ArgsField> operator()(const LessonOneBitKey&) const { return kLessonOneBit; }
};

}  // namespace

std::string kernel_formula(const KernelKey& key) {
  return std::visit(Formula{}, key);
}

Fields key_fields(const KernelKey& key) {
  return std::visit(KeyFields{}, key);
}

std::string key_text(const KernelKey& key) {
  std::string text;
  for (const auto& [name, value] : key_fields(key)) {
    if (!text.empty()) text += ", ";
    text += std::visit([&n = name](const auto& v) { return fmt::format("{} {}", n, v); }, value);
  }
  return text;
}

std::string args_field(const KernelKey& key, std::int64_t offset) {
  const std::span<const ArgsField> fields = std::visit(ArgsFields{}, key);
  const auto found = std::ranges::find(fields, static_cast<std::size_t>(offset), &ArgsField::offset);
  return found == fields.end() ? "" : std::string(found->name);
}

}  // namespace llamajit::jit::inspect
