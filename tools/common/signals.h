// Ctrl-C and changes of the terminal's size, for those who wait for input and those who generate.
#pragma once

#include <array>
#include <atomic>
#include <csignal>

namespace llamajit::cli {

// Whether whoever started the program wants it to go on in spite of a signal, as shells do of SIGINT behind `&`.
bool is_ignored(int signal);

// While it lives, SIGINT and SIGWINCH end nothing; they are told here. One at a time. A SIGINT that is ignored stays so.
class Signals {
 public:
  Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();

  // To be polled: readable once a signal has come. Whichever thread the system gives a signal to, this works.
  int fd() const;
  // Returns whether one has come since it was last asked for.
  bool take_interrupt();
  bool take_resize();
  const std::atomic<bool>& interrupted() const;  // set until it is taken

 private:
  void drain() const;

  struct sigaction interrupt_before_ {};
  struct sigaction resize_before_ {};
};

}  // namespace llamajit::cli
