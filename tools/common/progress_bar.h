// How far a long job is.
#pragma once

#include <string>
#include <string_view>

namespace llamajit::cli {

// One line of a terminal, drawn over itself; nothing where standard error is something else.
class ProgressBar {
 public:
  ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar();  // wipes the line

  // `done` of 1, with what is being done.
  void show(std::string_view what, double done);

 private:
  bool is_terminal_;
  int drawn_ = -1;  // percent
  std::string what_;
};

}  // namespace llamajit::cli
