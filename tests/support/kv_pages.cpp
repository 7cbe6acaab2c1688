#include "tests/support/kv_pages.h"

#include <cstring>

#include <fmt/format.h>

#include "tests/support/kv_values.h"

namespace llamajit::test {

using jit::kKvPage;

namespace {

void spoil(std::byte* at, std::size_t bytes) {
  std::memset(at, 0xFF, bytes);
}

}  // namespace

KvPages::KvPages(const jit::KvLayout& layout, int n_heads, int n_positions, std::byte fill)
    : layout_(layout), n_heads_(n_heads) {
  const std::int64_t bytes = (layout_.keys_bytes() + layout_.values_bytes()) * n_heads + kGap;
  pages_.assign(static_cast<std::size_t>(jit::divide_up(n_positions, kKvPage)),
                std::vector<std::byte>(static_cast<std::size_t>(bytes), fill));
}

KvPages KvPages::random(const jit::KvLayout& layout, int n_heads, int n_positions, CallMemory& source,
                        float magnitude) {
  KvPages pages(layout, n_heads, n_positions, std::byte{0xFF});
  const auto numbers = [&] {
    return source.random_floats(static_cast<std::size_t>(layout.head_dim), -magnitude, magnitude);
  };
  for (int head = 0; head < n_heads; ++head) {
    for (int pos = 0; pos < pages.positions(); ++pos) {
      pages.write_key(head, pos, numbers().data());
      pages.write_value(head, pos, numbers().data());
    }
  }
  return pages;
}

double KvPages::key(int head, int pos, int d) const {
  return key_value(layout_, page(pos / kKvPage).data() + keys_of(head), pos % kKvPage, d);
}
double KvPages::value(int head, int pos, int d) const {
  return value_value(layout_, page(pos / kKvPage).data() + values_of(head), pos % kKvPage, d);
}
void KvPages::write_key(int head, int pos, const float* x) {
  layout_.write_key(page_of(pos) + keys_of(head), pos % kKvPage, x);
}
void KvPages::write_value(int head, int pos, const float* x) {
  layout_.write_value(page_of(pos) + values_of(head), pos % kKvPage, x);
}

void KvPages::spoil_key(int pos) {
  for (int head = 0; head < n_heads_; ++head) {
    std::byte* const keys = page_of(pos) + keys_of(head);
    const auto element = static_cast<std::size_t>(layout_.element_bytes());
    for (int d = 0; d < layout_.head_dim; ++d) spoil(keys + layout_.key_at(pos % kKvPage, d), element);
    if (!layout_.scaled()) continue;
    for (int b = 0; b < layout_.blocks(); ++b) spoil(keys + layout_.key_scale_at(pos % kKvPage, b), 4);
  }
}

void KvPages::spoil_value(int pos) {
  for (int head = 0; head < n_heads_; ++head) {
    std::byte* const values = page_of(pos) + values_of(head);
    const auto row = static_cast<std::size_t>(layout_.value_row_bytes());
    spoil(values + layout_.value_at(pos % kKvPage, 0), row);
    if (!layout_.scaled()) continue;
    for (int b = 0; b < layout_.blocks(); ++b) spoil(values + layout_.value_scale_at(pos % kKvPage, b), 4);
  }
}

jit::Cursor KvPages::place(CallMemory& memory, const std::string& name, int pos, int first) const {
  std::vector<std::byte*> table(static_cast<std::size_t>(pos / kKvPage) + 1);
  for (const int odd : {1, 0}) {
    for (auto i = static_cast<std::size_t>(first / kKvPage); i < table.size(); ++i) {
      if (static_cast<int>(i % 2) == odd)
        table[i] = memory.copy_of(fmt::format("{} page {}", name, i), pages_[i]);
    }
  }
  return {-1, pos, memory.addresses(name + " table", table)};
}

jit::Cursor KvPages::cursor(int pos) {
  table_.clear();
  for (std::vector<std::byte>& page : pages_) table_.push_back(page.data());
  return {-1, pos, table_.data()};
}

}  // namespace llamajit::test
