// A reply as it comes: whole characters, and the end where a stop string begins.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/utf8.h"

namespace llamajit {

// push() and finish() return whole code points of UTF-8, whole emoji sequences (with
// their modifiers and joiners, flags) and whole syllables of conjoining jamo, and nothing
// of a stop string. Only a mark that combines with the character before it may come later
// than its base, as nothing tells that it will; terminals put it where it belongs.
class ReplyStream {
 public:
  // Empty stop strings never match.
  explicit ReplyStream(std::vector<std::string> stops);

  // Adds a token's bytes; returns what can be shown by now.
  std::string push(std::string_view bytes);
  // Returns what was held back, at the end of the reply.
  std::string finish();
  // A stop string was found: everything before it has been returned, and nothing more will be.
  bool stopped() const { return !stop_.empty(); }
  // Which one; empty: none yet.
  const std::string& stop() const { return stop_; }

 private:
  struct Found {
    std::size_t begin = std::string::npos;
    std::string_view stop{};  // of stops_; empty: none
  };
  std::string release(std::string_view text);
  Found find_stop() const;
  std::size_t held_for_stop() const;

  std::vector<std::string> stops_;
  Utf8Stream characters_;
  std::string pending_;
  std::string stop_;
};

}  // namespace llamajit
