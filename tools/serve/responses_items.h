// What /v1/responses has answered lately.
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "tools/serve/json_text.h"

namespace llamajit::serve {

// Clients may send an item that they were given as its id alone (item_reference): AI SDK does so with its own settings,
// from the second question of a conversation on. Any thread may call it.
class ResponsesItems {
 public:
  // `owner`: whose requests may have it back. The oldest are forgotten once all take more than kMostBytes.
  void keep(const std::string& owner, const Json& item);
  std::optional<Json> find(const std::string& owner, const std::string& id) const;

  static constexpr std::size_t kMostBytes = std::size_t{16} << 20;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::string> texts_;  // by owner and id
  std::deque<std::string> keys_;                        // the oldest first
  std::size_t bytes_ = 0;
};

}  // namespace llamajit::serve
