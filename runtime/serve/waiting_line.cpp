#include "runtime/serve/waiting_line.h"

#include <cassert>
#include <iterator>
#include <utility>

namespace llamajit::serve {

std::list<WaitingRequest>::const_iterator WaitingLine::find_next(
    const std::map<std::string, int>& at_work) const {
  assert(!line_.empty());
  const auto places = [&](const WaitingRequest& waiting) {
    const auto found = at_work.find(waiting.request.share);
    return found == at_work.end() ? 0 : found->second;
  };
  auto next = line_.begin();
  for (auto it = std::next(next); it != line_.end(); ++it) {
    if (places(*it) < places(*next)) next = it;
  }
  return next;
}

WaitingRequest WaitingLine::take(const std::map<std::string, int>& at_work) {
  std::list<WaitingRequest> taken;
  taken.splice(taken.begin(), line_, find_next(at_work));
  return std::move(taken.front());
}

std::list<WaitingRequest> WaitingLine::take_cancelled() {
  std::list<WaitingRequest> cancelled;
  for (auto it = line_.begin(); it != line_.end();) {
    const auto here = it++;
    if (here->ticket->cancelled()) cancelled.splice(cancelled.end(), line_, here);
  }
  return cancelled;
}

}  // namespace llamajit::serve
