#include "jit/inspect/contract.h"

#include <algorithm>
#include <string_view>
#include <type_traits>

#include <fmt/format.h>

#include "jit/formats/packing.h"

namespace llamajit::jit::inspect {
namespace {

std::string_view to_string(NormKind kind) {
  return kind == NormKind::layer ? "layer" : "rms";
}
std::string to_string(const ScoreKey& scores) {
  return fmt::format("scale {}, cap {}", scores.scale == 0 ? "by head_dim" : fmt::to_string(scores.scale),
                     scores.cap == 0 ? "none" : fmt::to_string(scores.cap));
}
std::string to_string(Affine affine) {
  if (affine.scale && affine.bias) return "scale and bias";
  return affine.scale ? "scale" : affine.bias ? "bias" : "none";
}

// "scales[0] * w xq[t] + bias"; `token` is "[t]" or "".
template <class Key>
std::string sum_of(const Key& key, std::string_view matrix, int scale, std::string_view token) {
  return fmt::format("{}{} {}{}{}", key.affine.scale ? fmt::format("scales[{}] * ", scale) : "", matrix,
                     input_format(key.format) ? "xq" : "x", token, key.affine.bias ? " + bias" : "");
}
template <class Key>
std::string product(const Key& key, std::string_view token) {
  const auto w = [&] { return sum_of(key, "w", 0, token); };
  const auto gate = [&] { return sum_of(key, "gate", 0, token); };
  const auto up = [&] { return sum_of(key, "up", 1, token); };
  switch (key.epilogue) {
    case Epilogue::store:
      return fmt::format("out{} = {}", token, w());
    case Epilogue::add:
      return fmt::format("out{} += {}", token, w());
    case Epilogue::swiglu:
      return fmt::format("out{} = silu({}) * ({}), w = (gate, up)", token, gate(), up());
    case Epilogue::relu2glu:
      return fmt::format("out{} = max({}, 0)^2 * ({}), w = (gate, up)", token, gate(), up());
    case Epilogue::geglu:
      return fmt::format("out{} = gelu({}) * ({}), w = (gate, up)", token, gate(), up());
    case Epilogue::swiglu_clamped:
      return fmt::format(
          "out{} = g / (1 + exp(-1.702 g)) * (u + 1), g = min({}, 7), u = max(min({}, 7), -7), "
          "w = (gate, up)",
          token, gate(), up());
    case Epilogue::gelu:
      return fmt::format("out{} = gelu({})", token, w());
    case Epilogue::relu2:
      return fmt::format("out{} = max({}, 0)^2", token, w());
  }
  return "";
}

std::string scores(std::string_view product, const ScoreKey& key) {
  const std::string factor = key.scale == 0 ? " / sqrt(head_dim)" : fmt::format(" * {}", key.scale);
  if (key.cap == 0) return fmt::format("{}{}", product, factor);
  return fmt::format("{} * tanh({}{} / {})", key.cap, product, factor, key.cap);
}

// Every name in a formula is that of a field; words that are none are listed in contract_test.cpp.
struct Formula {
  std::string operator()(const EmbedKey& k) const {
    if (k.which == EmbedRow::position) return "out += row at->pos of the table, as f32";
    if (k.which == EmbedRow::first) return "out += row 0 of the table, as f32";
    return fmt::format("out = row at->token of the table, as f32{}", k.scale == 1 ? "" : ", * scale");
  }
  std::string operator()(const NormKey& k) const {
    return fmt::format("out {} {}", k.adds ? "+=" : "=",
                       k.kind == NormKind::layer
                           ? "d / sqrt(mean(d^2) + eps) * weight + bias, d = x - mean(x)"
                           : "x / sqrt(mean(x^2) + eps) * weight");
  }
  std::string operator()(const QuantizeKey& k) const {
    return fmt::format(
        "for each group: out.scales = max|x| / 127, out.codes = round(x * (127 / max|x|)); "
        "for each subgroup: out.{} = {}sum of out.codes",
        k.numbers().name, k.zero > 0 ? fmt::format("-{} * ", k.zero) : "");
  }
  std::string operator()(const RoundKey&) const { return "out.codes = x, rounded to bf16"; }
  std::string operator()(const MatvecKey& k) const {
    return k.tokens == 1 ? product(k, "") : "for each t < tokens: " + product(k, "[t]");
  }
  std::string operator()(const MatmulKey& k) const { return "for each t < n_tokens: " + product(k, "[t]"); }
  std::string operator()(const RopeKey&) const {
    return "for each t < n_tokens, head and pair (even, odd) of x: "
           "out = (even cos - odd sin, odd cos + even sin), cos and sin from row at[t].pos of the table";
  }
  std::string operator()(const KvAppendKey& k) const {
    return fmt::format(
        "for each t < n_tokens and head: k and v, as {}, into at[t].pages at position at[t].pos, "
        "from keys_at and values_at on",
        jit::to_string(k.type));
  }
  std::string operator()(const AttentionKey& k) const {
    return fmt::format("for {}each head: out = sum over {}p <= at->pos{} of softmax({}{}{})[p] * values[p]",
                       k.tokens > 1 ? "each t < tokens, for " : "",
                       k.window == 0 ? ""
                       : k.causal    ? fmt::format("at->pos - {} < ", k.window)
                                     : fmt::format("at->own - {} <= ", k.window / 2),
                       k.tokens > 1 && k.causal ? " + t" : "", scores("q keys[p]", k.scores),
                       !k.slopes      ? ""
                       : k.tokens > 1 ? " + slopes |p - at->own - t|"
                                      : " + slopes |p - at->own|",
                       k.sinks ? ", sinks" : "");
  }
  std::string operator()(const AttentionRangesKey& k) const {
    return fmt::format(
        "for each range of the part, for each head: its one of the records = sum of e * values, max s, "
        "sum of e; s = {}, e = exp(s - max s)",
        scores("q keys", k.scores));
  }
  std::string operator()(const AttentionMergeKey& k) const {
    return fmt::format("for each head: out = the attention over all ranges{}, from their records",
                       k.sinks ? " and sinks" : "");
  }
  std::string operator()(const SoftmaxKey&) const {
    return "x = exp(x * scale - max(x * scale)), divided by their sum";
  }
  std::string operator()(const CapKey&) const { return "x = cap * tanh(x / cap) in [begin, end)"; }
  std::string operator()(const ArgmaxKey&) const {
    return "best = the first place of the largest x in [begin, end)";
  }
  std::string operator()(const RouteKey& k) const {
    return fmt::format("ids = the used largest {}{}, ascending; weights = their {}{} * scale{}{}",
                       k.biased ? "p + bias" : "p", k.chooses_groups() ? " of groups_used groups" : "",
                       k.gating == Gating::softmax_of_chosen ? "softmax" : "p",
                       k.renormalises ? " / sum" : "", k.scaled ? " * scales[ids]" : "",
                       k.gating == Gating::softmax_of_chosen ? "; p = logits"
                       : k.gating == Gating::softmax         ? "; p = softmax of logits"
                                                             : "; p = sigmoid of logits");
  }
  std::string operator()(const MixKey& k) const {
    return k.adds ? "for each vector: out += x * weights in [begin, end)"
                  : "out = the sum of x * weights in [begin, end)";
  }
  std::string operator()(const CopyKey&) const { return "out = x"; }
  std::string operator()(const ConvKey&) const {
    return "for each t < n_tokens: out[t] = silu(sum of weights * the last taps x) in [begin, end); "
           "the last x stay in at->state, from state_at on";
  }
  std::string operator()(const DecayKey&) const {
    return "for each head: decay = exp(a * softplus(alpha + dt)), rate = sigmoid(beta)";
  }
  std::string operator()(const DeltaKey&) const {
    return "for each t < n_tokens: S = S * decay, d = (v - k S) * rate, S = S + k d, out = q S; "
           "S is in at->state, from state_at on";
  }
  std::string operator()(const GateKey& k) const {
    if (k.kind == GateKind::factor) return "out = x * gates in [begin, end)";
    return fmt::format("out = x * {}(gates) in [begin, end)", jit::to_string(k.kind));
  }
  std::string operator()(const LessonAddKey&) const { return "out = a + b"; }
  std::string operator()(const LessonDotKey&) const { return "out = sum of a * b"; }
  std::string operator()(const LessonAttentionKey&) const {
    return "for each query: weights = softmax(q * k), out = sum of weights * v";
  }
  std::string operator()(const LessonFeedForwardKey&) const { return "out = (x + h) + h * w"; }
  std::string operator()(const LessonOneBitKey&) const {
    return "out = scale * sum of x, -x where its bit of signs is set";
  }
  std::string operator()(const LessonExpertsKey&) const {
    return "weights = softmax of the used largest scores, in their place; out = sum of weights * outputs";
  }
  std::string operator()(const LessonStateKey&) const {
    return "for each t: d = v - k * S, S = S + k * d, states = S, out = q * S";
  }
};

template <class T>
KeyValue key_value(const T& value) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<std::int64_t>(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    return std::stod(fmt::format("{}", value));  // written as briefly as the float: 1e-05 for 1e-05F
  } else {
    return std::string(to_string(value));
  }
}

template <class T>
constexpr std::string_view kTypeName{};
template <>
constexpr std::string_view kTypeName<float> = "float";
template <>
constexpr std::string_view kTypeName<std::byte> = "std::byte";
template <>
constexpr std::string_view kTypeName<std::int8_t> = "std::int8_t";
template <>
constexpr std::string_view kTypeName<std::int16_t> = "std::int16_t";
template <>
constexpr std::string_view kTypeName<std::uint16_t> = "std::uint16_t";
template <>
constexpr std::string_view kTypeName<std::int32_t> = "std::int32_t";
template <>
constexpr std::string_view kTypeName<std::int64_t> = "std::int64_t";
template <>
constexpr std::string_view kTypeName<QuantizedArgs> = "QuantizedArgs";
template <>
constexpr std::string_view kTypeName<Cursor> = "Cursor";
template <>
constexpr std::string_view kTypeName<Best> = "Best";

// "const float*"
template <class T>
std::string type_name() {
  if constexpr (std::is_pointer_v<T>) {
    return type_name<std::remove_pointer_t<T>>() + "*";
  } else {
    using Plain = std::remove_const_t<T>;
    static_assert(!kTypeName<Plain>.empty(), "a type of a new field needs its name here");
    return fmt::format("{}{}", std::is_const_v<T> ? "const " : "", kTypeName<Plain>);
  }
}

template <class Struct, class T>
std::size_t offset_of(T Struct::*member) {
  const Struct object{};
  return static_cast<std::size_t>(reinterpret_cast<const std::byte*>(&(object.*member)) -
                                  reinterpret_cast<const std::byte*>(&object));
}

template <class T>
concept Described = requires {
  T::fields();
};

// Appends the fields of a struct that lies `at` bytes from the Args' begin; `prefix` is "xq." in such a one.
template <class Struct>
void append_fields(std::vector<ArgsField>& to, std::string_view prefix, std::size_t at) {
  Struct::fields().for_each([&](const auto& field) {
    using T = std::remove_cvref_t<decltype(std::declval<Struct>().*field.kMember)>;
    const std::size_t offset = at + offset_of(field.kMember);
    to.push_back({.name = fmt::format("{}{}", prefix, field.kName),
                  .offset = offset,
                  .size = sizeof(T),  // NOLINT(bugprone-sizeof-expression): of pointers, too
                  .type = type_name<T>(),
                  .meaning = field.meaning});
    if constexpr (Described<T>) append_fields<T>(to, fmt::format("{}{}.", prefix, field.kName), offset);
  });
}

template <class Args>
const std::vector<ArgsField>& fields_of_args() {
  static const std::vector<ArgsField> fields = [] {
    std::vector<ArgsField> all;
    append_fields<Args>(all, "", 0);
    return all;
  }();
  return fields;
}

}  // namespace

std::string kernel_formula(const KernelKey& key) {
  return std::visit(Formula{}, key);
}

std::vector<std::pair<std::string, KeyValue>> key_fields(const KernelKey& key) {
  std::vector<std::pair<std::string, KeyValue>> fields;
  std::visit(
      [&](const auto& k) {
        k.fields().for_each(
            [&](const auto& field) { fields.emplace_back(field.kName, key_value(k.*field.kMember)); });
      },
      key);
  return fields;
}

std::string key_text(const KernelKey& key) {
  std::string text;
  for (const auto& [name, value] : key_fields(key)) {
    if (!text.empty()) text += ", ";
    text += std::visit([&n = name](const auto& v) { return fmt::format("{} {}", n, v); }, value);
  }
  return text;
}

const std::vector<ArgsField>& args_fields(const KernelKey& key) {
  return std::visit(
      [](const auto& k) -> const std::vector<ArgsField>& {
        return fields_of_args<typename std::remove_cvref_t<decltype(k)>::Args>();
      },
      key);
}

std::vector<std::string> args_table(const KernelKey& key) {
  std::vector<std::string> table;
  for (const ArgsField& field : args_fields(key)) {
    const std::string declaration = fmt::format("{} {}", field.type, field.name);
    table.push_back(field.meaning.empty()
                        ? fmt::format("args + {:<5} {}", field.offset, declaration)
                        : fmt::format("args + {:<5} {:<26} {}", field.offset, declaration, field.meaning));
  }
  return table;
}

std::string args_field(const KernelKey& key, std::int64_t offset) {
  // A struct lies where its first field does, which comes behind it.
  std::string name;
  for (const ArgsField& field : args_fields(key)) {
    if (field.offset == static_cast<std::size_t>(offset)) name = field.name;
  }
  return name;
}

}  // namespace llamajit::jit::inspect
