#include "runtime/generate/reply_stream.h"

#include <algorithm>
#include <utility>

namespace llamajit {
namespace {

constexpr std::size_t kLongestSequence = 64;  // bytes; whatever is longer than any emoji is let go

constexpr std::size_t kLongestCharacter = 4;

bool continues_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

bool within(char32_t code, char32_t low, char32_t high) {
  return low <= code && code <= high;
}

bool is_joiner(char32_t code) {
  return code == 0x200D || within(code, 0xFE00, 0xFE0F) || within(code, 0x1F3FB, 0x1F3FF) ||
         within(code, 0xE0020, 0xE007F);
}

// Characters that often become one with what follows.
bool may_go_on(char32_t code) {
  const bool jamo =
      within(code, 0x1100, 0x11FF) || within(code, 0xA960, 0xA97C) || within(code, 0xD7B0, 0xD7FB);
  return jamo || is_joiner(code) || within(code, 0x1F000, 0x1FAFF) || within(code, 0x2600, 0x27BF);
}

// Bytes at the text's end that may become one with what comes next: a run of such characters, back to where
// one begins that nothing joins to.
std::size_t open_sequence(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0) {
    std::size_t begin = end - 1;
    while (begin > 0 && end - begin < kLongestCharacter && continues_character(text[begin])) --begin;
    const std::string_view last = text.substr(begin, end - begin);
    const bool is_character = utf8_well_formed(last) == last.size();  // other bytes become one with nothing
    if (!is_character || !may_go_on(utf8_code_point(last))) break;
    end = begin;
    if (text.size() - end > kLongestSequence) return 0;
  }
  return text.size() - end;
}

}  // namespace

ReplyStream::ReplyStream(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase(stops_, std::string());
}

std::string ReplyStream::push(std::string_view bytes) {
  return release(characters_.push(bytes));
}

// The stop string that is whole first, of several that end there the longest: so what is shown does not depend on how the
// text is cut into tokens.
ReplyStream::Found ReplyStream::find_stop() const {
  Found found;
  std::size_t end = std::string::npos;
  for (const std::string& stop : stops_) {
    const std::size_t at = pending_.find(stop);
    if (at == std::string::npos || std::pair(at + stop.size(), at) >= std::pair(end, found.begin)) continue;
    found = {at, stop};
    end = at + stop.size();
  }
  return found;
}

// The longest end of what is pending that a stop string begins with.
std::size_t ReplyStream::held_for_stop() const {
  std::size_t held = 0;
  for (const std::string& stop : stops_) {
    for (std::size_t n = std::min(stop.size() - 1, pending_.size()); n > held; --n) {
      if (pending_.ends_with(std::string_view(stop).substr(0, n))) held = n;
    }
  }
  return held;
}

std::string ReplyStream::release(std::string_view text) {
  if (stopped()) return {};
  pending_ += text;
  if (const Found found = find_stop(); !found.stop.empty()) {
    stop_ = found.stop;
    return std::exchange(pending_, {}).substr(0, found.begin);
  }
  std::size_t shown = pending_.size() - held_for_stop();
  shown -= open_sequence(std::string_view(pending_).substr(0, shown));
  std::string out = pending_.substr(0, shown);
  pending_.erase(0, shown);
  return out;
}

std::string ReplyStream::finish() {
  std::string out = release(characters_.finish());
  return stopped() ? out : out + std::exchange(pending_, {});
}

}  // namespace llamajit
