// Who may use the server.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llamajit::serve {

class ApiKeys {
 public:
  ApiKeys() = default;
  // A file with a key in each line; empty lines and those that begin with '#' are none. Throws std::runtime_error for a
  // file that can't be read, or has no key.
  static ApiKeys read(const std::string& path);

  bool wanted() const { return !keys_.empty(); }
  // The share of the key in "Bearer KEY"; nothing: it is not let in. Without keys everybody is, with one share. How long
  // it takes tells nothing of the keys but how many there are.
  std::optional<std::string> share_of(std::string_view authorization) const;

 private:
  std::vector<std::string> keys_;
};

// Whether they are the same, in a time that depends on the length of `given` alone.
bool equal_in_constant_time(std::string_view known, std::string_view given);

}  // namespace llamajit::serve
