// The cosines and sines of every position's rotations, computed once, as the text gets there.
#pragma once

#include <cstddef>
#include <vector>

#include "runtime/base/memory.h"
#include "runtime/model/config.h"

namespace llamajit {

class RopeTable {
 public:
  // For pair i of a head, position p: the angle p * theta^(-2i / dims), scaled as the configuration says;
  // pairs beyond `dims`, or all where nothing rotates, are turned by 0. Room for `positions`, of which the
  // first kAtOnce are there.
  // `grows`: with the config's growth of queries.
  RopeTable(int positions, int head_dim, const RopeConfig& config, bool grows = false);

  // Computes what is missing of the first `positions`. Not while others read.
  void reach(int positions) {
    if (positions > filled_) fill(positions);
  }

  static constexpr int kAtOnce = 1024;

  // (positions, 2, head_dim), as jit::RopeArgs wants it.
  const float* data() const { return reinterpret_cast<const float*>(memory_.data()); }

 private:
  void fill(int positions);
  double growth(int pos) const;

  PagedMemory memory_;
  int positions_;
  int head_dim_;
  std::vector<double> angles_;  // of each pair that is rotated, from one position to the next
  double magnitude_;            // what the rotated values are multiplied by
  double query_growth_;         // as RopeConfig has it, 0: nothing grows
  int original_context_;
  int filled_ = 0;  // positions
};

// The tables of a model's layers, one for all that rotate alike.
class RopeTables {
 public:
  RopeTables(int positions, const Config& config);

  void reach(int positions) {
    for (RopeTable& table : tables_) table.reach(positions);
  }
  const float* keys(std::size_t layer) const { return tables_[of_layer_[layer].keys].data(); }
  const float* queries(std::size_t layer) const { return tables_[of_layer_[layer].queries].data(); }

 private:
  std::vector<RopeTable> tables_;
  struct OfLayer {
    std::size_t keys, queries;  // numbers of tables, one where queries do not grow
  };
  std::vector<OfLayer> of_layer_;
};

}  // namespace llamajit
