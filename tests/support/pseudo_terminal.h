// The program under test in a terminal, with somebody who types.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace llamajit::test {

class PseudoTerminal {
 public:
  // The terminal has 24 lines of 80 characters.
  PseudoTerminal(std::vector<std::string> arguments,
                 const std::vector<std::pair<std::string, std::string>>& environment);
  PseudoTerminal(const PseudoTerminal&) = delete;
  PseudoTerminal& operator=(const PseudoTerminal&) = delete;
  ~PseudoTerminal();

  // Types; what the program writes meanwhile is kept.
  void type(const std::string& keys);
  void resize(int lines, int characters);
  // Reads until this is on the screen behind what was waited for
  // before. False when the program ends or time is out first.
  bool wait_for(const std::string& text, std::chrono::seconds limit = std::chrono::seconds(30));
  // Everything so far.
  const std::string& screen() const { return screen_; }
  // Reads to the end. The exit code; -1 where a signal ended it or time is out.
  int finish();

 private:
  bool read_some(int limit_ms);

  int fd_ = -1;
  pid_t pid_ = -1;
  std::string screen_;
  std::size_t seen_ = 0;
};

}  // namespace llamajit::test
