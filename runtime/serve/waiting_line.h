// Requests that have no place yet.
#pragma once

#include <cstddef>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "runtime/base/clock.h"
#include "runtime/serve/generation.h"

namespace llamajit::serve {

struct WaitingRequest {
  GenerationRequest request;
  std::shared_ptr<Listener> listener;
  std::shared_ptr<Ticket> ticket;
  Clock::time_point since;
};

// First come, first served within a share; of the shares, the one that has the fewest places at work is next, and
// of equal ones the one whose request came first. Not for several threads at once.
class WaitingLine {
 public:
  std::size_t size() const { return line_.size(); }
  bool empty() const { return line_.empty(); }
  void add(WaitingRequest request) { line_.push_back(std::move(request)); }
  // `at_work` counts the places of each share. There must be one that waits.
  const WaitingRequest& next(const std::map<std::string, int>& at_work) const { return *find_next(at_work); }
  WaitingRequest take(const std::map<std::string, int>& at_work);
  // Takes out those that were cancelled.
  std::list<WaitingRequest> take_cancelled();
  std::list<WaitingRequest> take_all() { return std::exchange(line_, {}); }

 private:
  std::list<WaitingRequest>::const_iterator find_next(const std::map<std::string, int>& at_work) const;

  std::list<WaitingRequest> line_;  // in the order that they came in
};

}  // namespace llamajit::serve
