#include "runtime/grammar/utf8_ranges.h"

#include <algorithm>
#include <string>

#include "tokenizer/utf8.h"

namespace llamajit {
namespace {

// The last code points of each length in bytes, and of what lies before the surrogates.
constexpr std::array<char32_t, 5> kEnds{0x7F, 0x7FF, 0xD7FF, 0xFFFF, 0x10FFFF};
constexpr CodePointRange kSurrogates{0xD800, 0xDFFF};

std::uint8_t byte_at(const std::string& bytes, std::size_t i) {
  return static_cast<std::uint8_t>(bytes[i]);
}

// Both ends have the same length in bytes. Where the range does not take all that its last bytes can say, it is cut
// so that each part does.
void add_same_length(char32_t first, char32_t last, std::vector<Utf8Sequence>& out) {
  for (int shift = 6; shift <= 18; shift += 6) {
    const char32_t low_bits = (char32_t{1} << static_cast<unsigned>(shift)) - 1;
    if ((first & ~low_bits) == (last & ~low_bits)) continue;  // the same bytes before these
    if ((first & low_bits) != 0) {
      add_same_length(first, first | low_bits, out);
      add_same_length((first | low_bits) + 1, last, out);
      return;
    }
    if ((last & low_bits) != low_bits) {
      add_same_length(first, (last & ~low_bits) - 1, out);
      add_same_length(last & ~low_bits, last, out);
      return;
    }
  }
  std::string low, high;
  append_utf8(low, first);
  append_utf8(high, last);
  Utf8Sequence sequence{{}, static_cast<int>(low.size())};
  for (std::size_t i = 0; i < low.size(); ++i) sequence.bytes.at(i) = {byte_at(low, i), byte_at(high, i)};
  out.push_back(sequence);
}

}  // namespace

std::vector<Utf8Sequence> utf8_sequences(CodePointRange range) {
  std::vector<Utf8Sequence> out;
  char32_t first = range.first;
  for (const char32_t end : kEnds) {
    if (first >= kSurrogates.first && first <= kSurrogates.last) first = kSurrogates.last + 1;
    if (first > range.last) break;
    if (first > end) continue;
    const char32_t last = std::min(range.last, end);
    add_same_length(first, last, out);
    first = last + 1;
  }
  return out;
}

}  // namespace llamajit
