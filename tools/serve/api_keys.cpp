#include "tools/serve/api_keys.h"

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include <fmt/format.h>

namespace llamajit::serve {

ApiKeys ApiKeys::read(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(fmt::format("{}: expected a file of keys that can be read", path));
  ApiKeys keys;
  for (std::string line; std::getline(file, line);) {
    line.erase(0, line.find_first_not_of(" \t\r"));
    line.erase(line.find_last_not_of(" \t\r") + 1);
    if (!line.empty() && line.front() != '#') keys.keys_.push_back(line);
  }
  if (file.bad() || keys.keys_.empty()) {
    throw std::runtime_error(fmt::format("{}: expected a key in each line, found none", path));
  }
  return keys;
}

bool equal_in_constant_time(std::string_view known, std::string_view given) {
  unsigned different = known.size() == given.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const char c = known.empty() ? '\0' : known[i % known.size()];
    different |= static_cast<unsigned char>(c) ^ static_cast<unsigned char>(given[i]);
  }
  return different == 0;
}

std::optional<std::string> ApiKeys::share_of(std::string_view authorization) const {
  if (!wanted()) return "";
  constexpr std::string_view kScheme = "bearer ";
  const auto same_letter = [](char small, char any) { return small == (any | 0x20); };
  const bool is_bearer = authorization.size() > kScheme.size() &&
                         std::equal(kScheme.begin(), kScheme.end(), authorization.begin(), same_letter);
  const std::string_view given = is_bearer ? authorization.substr(kScheme.size()) : std::string_view();
  std::optional<std::string> share;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    if (equal_in_constant_time(keys_[i], given)) share = fmt::format("key {}", i);
  }
  return share;
}

}  // namespace llamajit::serve
