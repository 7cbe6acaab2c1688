// What the scheduler's thread leaves for the network's.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tools/serve/answer.h"

namespace llamajit::serve {

struct Fault {
  std::string message;
};

struct ChoiceEvent {
  std::size_t choice;
  std::variant<Piece, Ending, Fault> what;
};

class Outbox {
 public:
  // True: the other thread is to be told that there is something; it was not yet.
  bool put(ChoiceEvent event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    return !std::exchange(told_, true);
  }
  // Everything since it was last emptied; nothing: put() says so again when there is more.
  std::vector<ChoiceEvent> take() {
    const std::lock_guard lock(mutex_);
    if (events_.empty()) told_ = false;
    return std::exchange(events_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<ChoiceEvent> events_;
  bool told_ = false;
};

}  // namespace llamajit::serve
