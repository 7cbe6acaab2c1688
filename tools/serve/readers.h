// Threads that read requests: a grammar that takes long to compile holds up nobody else's request. Their priority is
// below the caller's, for the texts that are being written.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace llamajit::serve {

class Readers {
 public:
  // Throws std::runtime_error where the system gives fewer threads. (boost::asio::thread_pool would wait for those that
  // it has got by then, which wait for work.)
  explicit Readers(int threads);
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;
  // Once all that was asked for is done.
  ~Readers();

  void post(std::function<void()> read);

 private:
  void work();
  void end() noexcept;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace llamajit::serve
