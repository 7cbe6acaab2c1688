// Runs the built program as its users do, and keeps everything that it said.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace llamajit::test {

struct ChildOptions {
  std::string input;  // standard input, from a file; then end of file
  std::string directory;
  std::vector<std::pair<std::string, std::string>> environment;  // added to this process's
  std::string output_path;            // standard output goes to this file instead of a pipe
  bool packets = false;               // standard output is a socket that keeps each write apart
  std::function<bool()> before_exec;  // in the child; false: it exits with kRefused at once
  std::chrono::seconds limit{60};     // then it is killed
};

inline constexpr int kRefused = 99;

struct ChildResult {
  std::string out;
  std::string err;
  std::vector<std::string> writes;  // with packets
  int exit_code = -1;               // -1: a signal ended it
  int signal = 0;
  bool timed_out = false;
};

// A running child. Not to be used where other threads run: it forks.
class Child {
 public:
  Child(const std::vector<std::string>& command, const ChildOptions& options);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();

  pid_t pid() const { return pid_; }
  // Reads standard output until it has had this many bytes, or it ends, or time is out.
  void read_out(std::size_t bytes);
  void close_out();
  // Reads everything to the end and waits.
  ChildResult finish();

 private:
  bool pump();
  int poll_ms() const;
  void drain(int& fd, std::string& to, bool packets);

  pid_t pid_ = -1;
  int out_ = -1;
  int err_ = -1;
  bool packets_;
  std::chrono::steady_clock::time_point deadline_;
  ChildResult result_;
};

ChildResult run_child(const std::vector<std::string>& command, const ChildOptions& options = {});

// The same for the program under test, by its arguments.
ChildResult run_program(std::vector<std::string> arguments, const ChildOptions& options = {});

}  // namespace llamajit::test
