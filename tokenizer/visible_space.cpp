#include "tokenizer/visible_space.h"

#include <cstddef>

namespace llamajit {

std::string with_spaces(std::string_view text) {
  std::string spaced;
  spaced.reserve(text.size());
  for (std::size_t at; (at = text.find(kVisibleSpace)) != std::string_view::npos;) {
    spaced.append(text.substr(0, at)).append(1, ' ');
    text.remove_prefix(at + kVisibleSpace.size());
  }
  return spaced.append(text);
}

}  // namespace llamajit
