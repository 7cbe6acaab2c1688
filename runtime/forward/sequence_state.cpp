#include "runtime/forward/sequence_state.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

namespace llamajit {
namespace {

PagedMemory state_memory(std::size_t bytes) {
  return bytes == 0 ? PagedMemory() : PagedMemory(bytes, "a sequence's state");
}

}  // namespace

SequenceState::SequenceState(std::int64_t bytes) : memory_(state_memory(static_cast<std::size_t>(bytes))) {}

void SequenceState::keep_copy() {
  if (!exists() || seen_ == 0 || (!copies_.empty() && copies_.back().seen == seen_)) return;
  Copy copy{seen_, {}};
  if (copies_.size() == kCopies) {
    copy.memory = std::move(copies_.front().memory);
    copies_.pop_front();
  } else {
    copy.memory = state_memory(memory_.size());
  }
  std::memcpy(copy.memory.data(), memory_.data(), memory_.size());
  copies_.push_back(std::move(copy));
}

void SequenceState::cut(int tokens) {
  if (!exists() || tokens >= seen_) return;
  while (!copies_.empty() && copies_.back().seen > tokens) copies_.pop_back();
  become(latest(tokens));
}

SequenceState SequenceState::fork(int tokens) const {
  SequenceState state(static_cast<std::int64_t>(memory_.size()));
  if (!exists()) return state;
  if (tokens < seen_) {
    state.become(latest(tokens));
  } else {
    std::memcpy(state.data(), data(), memory_.size());
    state.seen_ = seen_;
  }
  return state;
}

const SequenceState::Copy* SequenceState::latest(int tokens) const {
  const auto behind = std::ranges::find_if(copies_, [=](const Copy& copy) { return copy.seen > tokens; });
  return behind == copies_.begin() ? nullptr : &*std::prev(behind);
}

void SequenceState::become(const Copy* copy) {
  if (copy == nullptr) {
    std::memset(data(), 0, memory_.size());
  } else {
    std::memcpy(data(), copy->memory.data(), memory_.size());
  }
  seen_ = copy == nullptr ? 0 : copy->seen;
}

}  // namespace llamajit
