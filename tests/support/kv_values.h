// Keys and values of a cache as plain numbers, and caches of random ones.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "jit/kernels/kv_layout.h"
#include "tests/support/kernel_check.h"

namespace llamajit::test {

inline constexpr std::array kKvTypes = {jit::ElementType::f32, jit::ElementType::f16, jit::ElementType::bf16,
                                        jit::ElementType::q8_0};

inline std::string_view name_of(jit::ElementType type) {
  static constexpr std::array kNames = {"f32", "f16", "bf16", "q8_0"};
  return kNames[static_cast<std::size_t>(type)];
}

inline float scale_at(const std::byte* at) {
  float scale;
  std::memcpy(&scale, at, sizeof scale);
  return scale;
}

inline double key_value(const jit::KvLayout& layout, const std::byte* keys, std::int64_t pos, int d) {
  const double element = layout.element(keys + layout.key_at(pos, d));
  return layout.scaled() ? element * scale_at(keys + layout.key_scale_at(pos, d / layout.block_dims()))
                         : element;
}
inline double value_value(const jit::KvLayout& layout, const std::byte* values, std::int64_t pos, int d) {
  const double element = layout.element(values + layout.value_at(pos, d));
  return layout.scaled() ? element * scale_at(values + layout.value_scale_at(pos, d / layout.block_dims()))
                         : element;
}

// A sequence's pages of one layer: the heads' keys, behind them their values.
struct PagesOfLayer {
  jit::KvLayout layout;
  int n_heads;
  std::vector<std::vector<std::byte>> pages;

  std::int64_t values_at() const { return n_heads * layout.keys_bytes(); }
  std::byte* keys(int page, int head) { return data(page) + head * layout.keys_bytes(); }
  std::byte* values(int page, int head) { return data(page) + values_at() + head * layout.values_bytes(); }
  std::byte* data(int page) { return pages[static_cast<std::size_t>(page)].data(); }
};

// So many positions hold numbers from [-magnitude, magnitude), the others of the last page zeros.
inline PagesOfLayer random_pages(const jit::KvLayout& layout, int n_heads, int positions, CallMemory& memory,
                                 float magnitude = 1) {
  const auto page_bytes = static_cast<std::size_t>(n_heads * (layout.keys_bytes() + layout.values_bytes()));
  const auto n_pages = static_cast<std::size_t>(jit::divide_up(positions, jit::kKvPage));
  PagesOfLayer result{layout, n_heads, {n_pages, std::vector<std::byte>(page_bytes)}};
  const auto x = [&] {
    return memory.random_floats(static_cast<std::size_t>(layout.head_dim), -magnitude, magnitude);
  };
  for (int pos = 0; pos < positions; ++pos) {
    const int page = pos / jit::kKvPage;
    for (int head = 0; head < n_heads; ++head) {
      layout.write_key(result.keys(page, head), pos % jit::kKvPage, x().data());
      layout.write_value(result.values(page, head), pos % jit::kKvPage, x().data());
    }
  }
  return result;
}

// The pages in a call's memory as "page0", "page1" …, the last one first, so that they do not follow each
// other, and their table. Pointers differ from run to run, so that nobody compares them.
inline std::byte** table_of(const std::vector<std::vector<std::byte>>& pages, CallMemory& memory,
                            const std::string& name = "page") {
  std::byte** const table = memory.scratch<std::byte*>(name + "s", pages.size());
  for (std::size_t i = pages.size(); i-- > 0;) table[i] = memory.copy_of(name + std::to_string(i), pages[i]);
  return table;
}
inline const jit::Cursor* cursors(const std::vector<jit::Cursor>& at, CallMemory& memory) {
  jit::Cursor* const to = memory.scratch<jit::Cursor>("at", at.size());
  std::copy(at.begin(), at.end(), to);
  return to;
}

}  // namespace llamajit::test
