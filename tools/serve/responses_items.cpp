#include "tools/serve/responses_items.h"

#include <utility>

namespace llamajit::serve {
namespace {

// Ids have no line feed of their own: they are the server's.
std::string key_of(const std::string& owner, const std::string& id) {
  return id + '\n' + owner;
}

}  // namespace

void ResponsesItems::keep(const std::string& owner, const Json& item) {
  std::string key = key_of(owner, item.at("id").get<std::string>());
  std::string text = text_of(item);
  const std::lock_guard lock(mutex_);
  bytes_ += key.size() + text.size();
  keys_.push_back(key);
  texts_.insert_or_assign(std::move(key), std::move(text));
  while (bytes_ > kMostBytes) {
    const auto oldest = texts_.find(keys_.front());
    bytes_ -= oldest->first.size() + oldest->second.size();
    texts_.erase(oldest);
    keys_.pop_front();
  }
}

std::optional<Json> ResponsesItems::find(const std::string& owner, const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = texts_.find(key_of(owner, id));
  if (found == texts_.end()) return std::nullopt;
  return Json::parse(found->second);
}

}  // namespace llamajit::serve
