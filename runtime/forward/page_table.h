// The pages of one text and one kind of layers.
#pragma once

#include <cstddef>
#include <vector>

#include "runtime/forward/kv_cache.h"

namespace llamajit {

// Page p holds positions [p * kKvPage, (p + 1) * kKvPage) of the beginning of a text. Where the layers have a window,
// the pages that lie before it are given back, and nullptr stands for them: no kernel reads what its token does not
// see. A page that several tables share is copied when one of them writes to it.
class PageTable {
 public:
  PageTable(KvCache& cache, std::size_t kind);
  PageTable(PageTable&&) = default;
  PageTable(const PageTable&) = delete;
  PageTable& operator=(const PageTable&) = delete;
  PageTable& operator=(PageTable&&) = delete;
  ~PageTable();

  // As jit::Cursor has them; the address stays.
  std::byte* const* data() const { return pages_.data(); }
  // Whether the pages that a token at `pos` sees of earlier positions are there.
  bool reaches_back_from(int pos) const;
  // Forgets everything from position `end` on. The next one must find what it sees, or be the first.
  void cut(int end);
  // One of the first `end` positions, of which the same is true.
  PageTable fork(int end) const;

  // How many pages must be free before steps append positions [first, end), where `first` is the end of the table:
  // at most, however the steps divide them.
  int pages_needed(int first, int end) const;
  // Makes room for the positions [first, end) of one step, and before that gives back the pages that neither these
  // see nor those that follow a cut of KvCache::kFreeCut positions. What attention reads behind them is finite.
  void make_room(int first, int end);

 private:
  int first_seen(int pos) const;
  bool copies_last(int first) const;
  int own_pages_before(int page) const;
  void give_back_before(int page);
  void clear_behind(int end);

  KvCache* cache_;
  std::size_t kind_;
  std::vector<std::byte*> pages_;
  int given_back_ = 0;  // so many are, the first ones
  int finite_ =
      0;  // positions from the table's end to this one were cleared since their pages were taken or cut
};

}  // namespace llamajit
