#include "runtime/files/gguf_keys.h"

#include <algorithm>
#include <limits>
#include <type_traits>
#include <variant>

namespace llamajit {

std::optional<int> GgufKeys::count(std::string_view name, std::int64_t low, std::int64_t high) const {
  const auto value = file_.integer(key(name), low, high);
  return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

int GgufKeys::required_count(std::string_view name, std::int64_t high) const {
  const auto value = count(name, 1, high);
  if (!value) file_.fail(key(name), fmt::format("an integer from 1 to {}", high), "none");
  return *value;
}

std::optional<float> GgufKeys::positive(std::string_view name) const {
  const auto value = positive_or_zero(name);
  if (value && *value == 0) file_.fail(key(name), "a positive number", "0");
  return value;
}

std::optional<float> GgufKeys::positive_or_zero(std::string_view name) const {
  const auto value = file_.number(key(name));
  if (value && (*value < 0 || *value > std::numeric_limits<float>::max())) {
    file_.fail(key(name), "a positive number", fmt::to_string(*value));
  }
  return value ? std::optional(static_cast<float>(*value)) : std::nullopt;
}

std::vector<int> GgufKeys::counts(std::string_view name, std::int64_t low, std::int64_t high) const {
  std::vector<int> values;
  const auto layers = static_cast<std::size_t>(blocks_);
  for (const std::int64_t value : file_.integers(key(name), low, high, layers)) {
    values.push_back(static_cast<int>(value));
  }
  return values;
}

std::vector<int> GgufKeys::required_counts(std::string_view name, std::int64_t high) const {
  std::vector<int> values = counts(name, 1, high);
  if (values.empty()) {
    file_.fail(key(name), fmt::format("an integer from 1 to {}, or one for each layer", high), "none");
  }
  return values;
}

void GgufKeys::refuse_other_keys() const {
  // These change nothing here: they repeat what tensors say, or concern pictures, training, or who
  // converted.
  constexpr std::string_view kHarmless[] = {"vocab_size",
                                            "tensor_data_layout",
                                            "rope.dimension_sections",
                                            "rope.scaling.finetuned",
                                            "n_deepstack_layers",
                                            "attention.layer_norm_epsilon",
                                            "attention.layer_norm_rms_epsilon"};
  const std::string prefix = fmt::format("{}.", family_.name);
  for (const GgufEntry& entry : file_.metadata()) {
    if (!entry.key.starts_with(prefix)) continue;
    const std::string_view name = entry.key.substr(prefix.size());
    if (asked_.contains(name) || std::ranges::count(kHarmless, name) > 0 || asks_for_nothing(entry)) continue;
    file_.fail(entry.key, "keys that docs/gguf.md lists as honoured", "another, which may change the result");
  }
}

bool GgufKeys::asks_for_nothing(const GgufEntry& entry) {
  const auto* const scalar = std::get_if<GgufScalar>(&entry.value);
  if (scalar == nullptr) return false;
  return std::visit(
      [](const auto& value) {
        if constexpr (std::is_arithmetic_v<std::remove_cvref_t<decltype(value)>>) return value == 0;
        return false;
      },
      *scalar);
}

}  // namespace llamajit
