// Writes SentencePiece's precompiled charsmaps, a double array and the replacements, for tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace llamajit::test {

class CharsmapWriter {
 public:
  using Map = std::map<std::string, std::string>;

  // Keys without zero bytes, and what replaces them.
  explicit CharsmapWriter(const Map& map) {
    std::vector<std::pair<std::string, std::size_t>> keys;
    for (const auto& [key, replacement] : map) {
      keys.emplace_back(key, replacements.size());
      replacements.append(replacement).append(1, '\0');
    }
    units.resize(1 << 16);
    used_.assign(units.size(), false);
    used_[0] = true;
    place(0, keys, 0);
  }

  std::vector<std::uint32_t> units;
  std::string replacements;

  std::string bytes() const {
    std::string result;
    append(result, static_cast<std::uint32_t>(4 * units.size()));
    for (const std::uint32_t unit : units) append(result, unit);
    return result + replacements;
  }

 private:
  using Keys = std::vector<std::pair<std::string, std::size_t>>;

  static void append(std::string& to, std::uint32_t value) {
    for (int i = 0; i < 4; ++i) to += static_cast<char>(value >> (8 * i));
  }

  // Gives the children of a node, whose keys have the same first `depth` bytes, the first places that are free.
  void place(std::size_t node, const Keys& keys, std::size_t depth) {
    std::map<std::uint8_t, Keys> children;
    for (const auto& key : keys) {
      const bool ends = key.first.size() == depth;
      children[ends ? std::uint8_t{0} : static_cast<std::uint8_t>(key.first[depth])].push_back(key);
    }
    std::size_t offset = 1;
    for (const auto fits =
             [&] {
               for (const auto& [byte, unused] : children) {
                 if (used_.at(node ^ offset ^ byte)) return false;
               }
               return true;
             };
         !fits();) {
      ++offset;
    }
    units[node] |= static_cast<std::uint32_t>(offset << 10);
    for (const auto& [byte, unused] : children) used_[node ^ offset ^ byte] = true;
    for (const auto& [byte, below] : children) {
      const std::size_t child = node ^ offset ^ byte;
      if (byte == 0) {
        units[node] |= 0x100;
        units[child] = 0x80000000U | static_cast<std::uint32_t>(below.front().second);
      } else {
        units[child] = byte;
        place(child, below, depth + 1);
      }
    }
  }

  std::vector<bool> used_;
};

}  // namespace llamajit::test
