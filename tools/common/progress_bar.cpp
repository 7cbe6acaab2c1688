#include "tools/common/progress_bar.h"

#include <cmath>
#include <cstddef>
#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

namespace llamajit::cli {

ProgressBar::ProgressBar() : is_terminal_(::isatty(STDERR_FILENO) != 0) {}

ProgressBar::~ProgressBar() {
  if (drawn_ >= 0) std::fputs("\r\x1b[K", stderr);
}

void ProgressBar::show(std::string_view what, double done) {
  const int percent = static_cast<int>(100 * done);
  if (!is_terminal_ || (percent == drawn_ && what == what_)) return;
  drawn_ = percent;
  what_ = what;
  constexpr int kWidth = 40;
  const auto filled = static_cast<std::size_t>(std::lround(kWidth * done));
  const std::string bar = std::string(filled, '#') + std::string(kWidth - filled, '.');
  const std::string line = fmt::format("\r[{}] {:>3} % {}\x1b[K", bar, percent, what);
  std::fputs(line.c_str(), stderr);
}

}  // namespace llamajit::cli
