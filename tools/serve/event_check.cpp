#include "tools/serve/event_check.h"

#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "jit/base/file_descriptor.h"

namespace llamajit::serve {
namespace {

// The call's answer, which is negative where it is refused.
template <class Answer>
Answer granted(const char* call, Answer answer) {
  if (answer >= 0) return answer;
  throw std::runtime_error(
      fmt::format("{}: expected the system to grant it, as a server waits for its sockets by it: {}", call,
                  std::generic_category().message(errno)));
}

}  // namespace

void check_events() {
  const jit::FileDescriptor events(granted("epoll_create1", epoll_create1(EPOLL_CLOEXEC)));
  std::array<int, 2> ends{};
  granted("pipe", pipe(ends.data()));
  const jit::FileDescriptor reader(ends[0]);
  const jit::FileDescriptor writer(ends[1]);

  epoll_event readable{.events = EPOLLIN, .data = {}};
  granted("epoll_ctl", epoll_ctl(events.get(), EPOLL_CTL_ADD, reader.get(), &readable));
  char byte = 0;
  granted("write", write(writer.get(), &byte, 1));
  granted("epoll_wait", epoll_wait(events.get(), &readable, 1, 0));
  granted("read", read(reader.get(), &byte, 1));
}

}  // namespace llamajit::serve
