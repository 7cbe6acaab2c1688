// The pages of a sequence: keys and values of one layer's heads, which stand flush with both ends of a page.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "jit/kernels/cursor.h"
#include "jit/kernels/kv_layout.h"
#include "tests/support/kernel_check.h"

namespace llamajit::test {

class KvPages {
 public:
  // There are so many positions at least, and all bytes are `fill`. Values lie before keys where n_heads is even.
  KvPages(const jit::KvLayout& layout, int n_heads, int n_positions, std::byte fill);
  // Every position holds numbers from [-magnitude, magnitude).
  static KvPages random(const jit::KvLayout& layout, int n_heads, int n_positions, CallMemory& source,
                        float magnitude = 1);

  const jit::KvLayout& layout() const { return layout_; }
  int heads() const { return n_heads_; }
  int positions() const { return static_cast<int>(pages_.size()) * jit::kKvPage; }
  std::int64_t keys_at() const { return values_first() ? layout_.values_bytes() * n_heads_ + kGap : 0; }
  std::int64_t values_at() const { return values_first() ? 0 : layout_.keys_bytes() * n_heads_ + kGap; }
  const std::vector<std::byte>& page(int index) const { return pages_[static_cast<std::size_t>(index)]; }

  // A head's numbers at a position.
  double key(int head, int pos, int d) const;
  double value(int head, int pos, int d) const;
  void write_key(int head, int pos, const float* x);
  void write_value(int head, int pos, const float* x);
  // All heads' keys, or values, of a position become NaNs.
  void spoil_key(int pos);
  void spoil_value(int pos);

  // A cursor at pos. The table of pages ends with that of pos, and has nothing where `first` lies behind;
  // buffers are called "<name> page 0" and so on, and lie in memory in another order than they follow.
  jit::Cursor place(CallMemory& memory, const std::string& name, int pos, int first = 0) const;
  // The same for twins alone, which may see all pages, for as long as these live.
  jit::Cursor cursor(int pos);

 private:
  static constexpr int kGap = 48;

  bool values_first() const { return n_heads_ % 2 == 0; }
  std::int64_t keys_of(int head) const { return keys_at() + head * layout_.keys_bytes(); }
  std::int64_t values_of(int head) const { return values_at() + head * layout_.values_bytes(); }
  std::byte* page_of(int pos) { return pages_[static_cast<std::size_t>(pos / jit::kKvPage)].data(); }

  jit::KvLayout layout_;
  int n_heads_;
  std::vector<std::vector<std::byte>> pages_;
  std::vector<std::byte*> table_;  // cursor()'s
};

}  // namespace llamajit::test
