// Options of llama.cpp's programs, which people type from habit.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llamajit::cli {

enum class ForeignAnswer {
  alias,     // it is another name of an option here
  unneeded,  // it would change nothing: said, and the run goes on
  refused,   // the result would not be what was asked for
};

struct ForeignWord {
  std::vector<std::string_view> names;
  ForeignAnswer answer;
  enum class Value { none, one, maybe } value;
  std::string_view text;  // the option that it is another name of, or why
};

// The first row with this name, aliases of options that are not among `options` (all of a command) left
// out. Null where there is none.
const ForeignWord* find_foreign_word(std::string_view name, const std::vector<std::string>& options);

std::span<const ForeignWord> foreign_words();

}  // namespace llamajit::cli
