// What attention remembers: pages with the keys and values of kKvPage positions, in the layout that the kernels
// read. Sequences take pages, share them and give them back (page_table.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "jit/kernels/attention.h"
#include "jit/kernels/kv_append.h"
#include "jit/kernels/kv_layout.h"
#include "runtime/base/split.h"
#include "runtime/forward/layer_states.h"
#include "runtime/forward/page_pool.h"
#include "runtime/model/config.h"

namespace llamajit {

class Journal;

// Layers with the same window need the keys and values of the same positions: they are of one kind, whose pages
// are its own, so that they can be given back as soon as no window of these layers reaches them.
class KvCache {
 public:
  // For whom there is room.
  struct Room {
    int sequences;
    std::int64_t positions = 0;  // of all together, where layers have no window; 0: `context` of each
  };
  // Sequences of at most `context` positions each, to which a step appends at most `rows` tokens at once; zeros, and
  // no memory used before it is. Throws std::runtime_error if it can't be reserved.
  // A rank keeps its heads' alone. What becomes of its sequences is noted in the journal, where there is one.
  KvCache(const Config& config, int context, const Room& room, jit::ElementType type, int rows,
          const Split& split = {}, Journal* journal = nullptr);

  jit::ElementType type() const { return type_; }
  int context() const { return context_; }  // positions of a sequence, at the most
  int rows() const { return rows_; }
  std::size_t n_layers() const { return layers_.size(); }
  const jit::KvLayout& layout(std::size_t layer) const { return layers_[layer].layout; }
  Journal* journal() const { return journal_; }
  // Of layers without keys and values.
  const LayerStates& states() const { return states_; }
  // What a token at `pos` reads, itself included: windows end what a layer looks back on.
  std::int64_t bytes_read_at(std::int64_t pos) const;
  // What all pages that are held take.
  std::int64_t bytes_in_use() const;

  // The kernels that write and read it.
  jit::KvAppendKey append_key(std::size_t layer) const;
  jit::AttentionKey attention_key(std::size_t layer) const;
  // The same for as many tokens at once as go well together, their queries `token_stride` floats apart.
  jit::AttentionKey tile_key(std::size_t layer, std::int64_t token_stride) const;
  jit::AttentionRangesKey ranges_key(std::size_t layer) const;
  jit::AttentionMergeKey merge_key(std::size_t layer) const;
  // From the first byte of a page of the layer's kind on, where a head's keys and values lie; those of the layer's
  // next heads follow.
  std::int64_t keys_at(std::size_t layer, std::int64_t head) const {
    return layers_[layer].keys_at + (head - layers_[layer].first_head) * layers_[layer].layout.keys_bytes();
  }
  std::int64_t values_at(std::size_t layer, std::int64_t head) const {
    return layers_[layer].values_at +
           (head - layers_[layer].first_head) * layers_[layer].layout.values_bytes();
  }

  // One at least; a layer without keys and values counts to the first.
  std::size_t kinds() const { return pools_.size(); }
  std::size_t kind(std::size_t layer) const { return layers_[layer].kind; }
  int window(std::size_t kind) const { return windows_[kind]; }  // positions; 0: all
  // Pages of layers without a window, where there are fewer than all sequences may want.
  std::optional<int> scarce_pages() const { return scarce_pages_; }
  PagePool& pool(std::size_t kind) { return pools_[kind]; }
  const PagePool& pool(std::size_t kind) const { return pools_[kind]; }
  // The first `positions` of a kind's page.
  void copy_page(std::size_t kind, std::byte* to, const std::byte* from, int positions) const;
  // Makes the values of positions [first, end) of a kind's page zeros: attention reads up to the next multiple of
  // sixteen.
  void clear_values(std::size_t kind, std::byte* page, int first, int end) const;

  // Pages are kept until the windows of so many tokens more are past them. So a text may be cut by that many tokens
  // at no cost, as chats and speculation do all the time.
  static constexpr int kFreeCut = 32;

 private:
  struct Layer {
    jit::KvLayout layout;
    std::size_t kind;
    std::int64_t first_head;  // that is here
    std::int64_t n_kv_heads;  // that are here
    std::int64_t own_heads;   // of them: none where another layer's are seen
    int group;
    int window;
    jit::ScoreKey scores;
    bool sinks;
    bool slopes;
    std::int64_t keys_at;
    std::int64_t values_at;
  };

  jit::ElementType type_;
  int context_;
  int rows_;
  bool causal_;
  Journal* journal_;
  LayerStates states_;
  std::vector<int> windows_;  // of each kind
  std::vector<Layer> layers_;
  std::vector<PagePool> pools_;
  std::optional<int> scarce_pages_;
};

// What a cache and a table of angles for one sequence of `context` positions would take, in steps of `rows` tokens
// at most. A file's numbers may be huge: 64 bits throughout.
std::int64_t context_bytes(const Config& config, int context, jit::ElementType type, int rows,
                           const Split& split = {});

}  // namespace llamajit
