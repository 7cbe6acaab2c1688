// Brings a file's matrices into the layout that the kernels read.
#pragma once

#include <span>

#include "runtime/base/team.h"
#include "runtime/forward/weights.h"
#include "runtime/model/model_file.h"

namespace llamajit {

// What is to be done for a matrix: tensor `from` goes into every tiles_per_unit'th tile from `first_tile` on.
struct PackJob {
  const Tensor* from;
  PackedMatrix to;
  int first_tile = 0;
  const LayerShape* rotated = nullptr;  // whose rotated_row() says in which order its rows are taken
};

// Each thread of the team packs the rows that it will later multiply. The file's pages are let go on the way,
// so that the file and its packed copy are never both in memory as a whole.
// Throws std::runtime_error if the file was cut short meanwhile, and where a weight is no finite number.
void pack(const ModelFile& file, std::span<const PackJob> jobs, Team& team);

// Throws std::runtime_error for a tensor of which some value is no finite number, as it is or as it is packed:
// names it and the place.
[[noreturn]] void refuse_weights(const ModelFile& file, const Tensor& tensor);

}  // namespace llamajit
