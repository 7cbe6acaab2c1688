#include "runtime/base/file_sample.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

namespace llamajit {

std::string file_sample(std::span<const std::byte> bytes) {
  constexpr std::size_t kFirst = std::size_t{1} << 16;
  constexpr std::size_t kPlaces = 512, kBytes = 64;
  const auto text = [&](std::size_t begin, std::size_t n) {
    const auto some = bytes.subspan(begin, std::min(n, bytes.size() - begin));
    return std::string_view(reinterpret_cast<const char*>(some.data()), some.size());
  };
  std::string sample = fmt::format("{} {}", bytes.size(), text(0, kFirst));
  for (std::size_t i = 0; i < kPlaces; ++i) sample += text(bytes.size() / kPlaces * i, kBytes);
  return sample;
}

}  // namespace llamajit
