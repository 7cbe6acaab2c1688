// The keys of a GGUF file that describe its model.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "runtime/files/gguf.h"
#include "runtime/model/families.h"

namespace llamajit {

// Reads them by their names without the family's, and remembers which: others are refused in the end.
// Everything throws std::runtime_error that names the file and the key, what was expected and what was found.
class GgufKeys {
 public:
  GgufKeys(const GgufFile& file, const Family& family) : file_(file), family_(family) {}

 protected:
  // A key of the family: "llama.block_count". Whoever asks for one does what it says.
  std::string key(std::string_view name) const {
    asked_.emplace(name);
    return fmt::format("{}.{}", family_.name, name);
  }
  std::optional<int> count(std::string_view name, std::int64_t low, std::int64_t high) const;
  int required_count(std::string_view name, std::int64_t high) const;
  // Positive, and as large as a float can be.
  std::optional<float> positive(std::string_view name) const;
  std::optional<float> positive_or_zero(std::string_view name) const;
  // One number for all layers, or an array with each layer's; nothing where the file has neither.
  std::vector<int> counts(std::string_view name, std::int64_t low, std::int64_t high) const;
  std::vector<int> required_counts(std::string_view name, std::int64_t high) const;
  // A key that asks for something that is not done would be a part of the computation left out.
  void refuse_other_keys() const;
  // Zero and false.
  static bool asks_for_nothing(const GgufEntry& entry);

  const GgufFile& file_;
  const Family& family_;
  int blocks_ = 0;  // layers of the file

 private:
  mutable std::set<std::string, std::less<>> asked_;
};

}  // namespace llamajit
