// A table of words in columns, also of Hangul, whose letters are two columns wide.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace llamajit::cli {

// Columns on a terminal: bytes that continue a character
// have none, and what takes three bytes (Hangul) has two.
inline std::size_t columns_of(std::string_view text) {
  std::size_t columns = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0U) != 0x80U) columns += byte >= 0xE1U && byte < 0xF0U ? 2 : 1;
  }
  return columns;
}

class TextTable {
 public:
  // `align` has an l or an r for each column.
  TextTable(std::vector<std::string> head, std::string_view align) : align_(align) { add(std::move(head)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

  std::string text() const {
    std::string out;
    for (const std::vector<std::string>& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) {
        const std::string padding(width(i) - columns_of(row[i]), ' ');
        if (i > 0) out += "  ";
        if (align_[i] == 'r') out += padding;
        out += row[i];
        if (align_[i] == 'l' && i + 1 < row.size()) out += padding;
      }
      out.erase(out.find_last_not_of(' ') + 1);
      out += '\n';
    }
    return out;
  }

 private:
  std::size_t width(std::size_t column) const {
    std::size_t width = 0;
    for (const std::vector<std::string>& row : rows_) width = std::max(width, columns_of(row[column]));
    return width;
  }

  std::string_view align_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace llamajit::cli
