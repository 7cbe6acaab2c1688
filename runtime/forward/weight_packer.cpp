#include "runtime/forward/weight_packer.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>

#include "runtime/base/excerpt.h"
#include "runtime/base/numbers.h"

namespace llamajit {
namespace {

// Of a file, packed before its pages are let go. Two threads' pieces are little beside any model, and each is
// more than the kernel maps around a fault (64 KiB), of which a little stays behind at its ends.
constexpr std::int64_t kPieceBytes = std::int64_t{4} << 20;

void pack_tile(const jit::SourceMatrix& from, jit::Format as, std::int64_t tile, std::byte* to) {
  as == from.format ? jit::pack_tile(from, tile, to) : jit::pack_tile_as_pairs(from, tile, to);
}

std::int64_t bytes_per_row(const Tensor& tensor) {
  return static_cast<std::int64_t>(tensor.data.size()) / source(tensor).rows;
}

// A tile whose rows stand in another order in the file.
void pack_rotated_tile(const LayerShape& shape, const Tensor& from, jit::Format as, std::int64_t tile,
                       std::byte* to) {
  const std::int64_t first = tile * jit::kLanes;
  const std::int64_t n_rows = std::clamp<std::int64_t>(from.rows - first, 0, jit::kLanes);
  const auto row_bytes = static_cast<std::size_t>(bytes_per_row(from));
  std::vector<std::byte> rows;
  for (std::int64_t row = first; row < first + n_rows; ++row) {
    const auto at = static_cast<std::size_t>(rotated_row(shape, row));
    const std::span<const std::byte> bytes = from.data.subspan(at * row_bytes, row_bytes);
    rows.insert(rows.end(), bytes.begin(), bytes.end());
  }
  pack_tile({from.format, n_rows, from.cols, rows, from.scales}, as, 0, to);
}

// The unit of the file's matrix, experts' one behind the other, that is number `i` of those that are here.
std::int64_t unit_in_file(const PackedMatrix& m, std::int64_t i) {
  return i / m.units() * m.all_units() + m.own.first + i % m.units();
}

// False if some value of the unit is no finite number.
bool pack_unit(const PackJob& job, std::int64_t i) {
  const PackedMatrix& m = job.to;
  const std::int64_t unit = unit_in_file(m, i);
  std::byte* const to = m.data + i / m.units() * m.copy_stride + unit % m.all_units() * m.unit_bytes() +
                        job.first_tile * jit::tile_bytes(m.format, m.cols);
  if (job.rotated != nullptr && job.rotated->rope.pairs != RopeConfig::Pairs::adjacent) {
    pack_rotated_tile(*job.rotated, *job.from, m.format, unit, to);
  } else {
    pack_tile(source(*job.from), m.format, job.from->row_at(unit * jit::kLanes) / jit::kLanes, to);
  }
  return jit::all_finite(m.format, m.cols, to);
}

// The bytes between the first of rows [begin, end) and the last, those of other tensors that lie there, too.
std::span<const std::byte> bytes_of_rows(const Tensor& tensor, std::int64_t begin, std::int64_t end) {
  end = std::min(end, tensor.rows);
  if (begin >= end) return {};
  const std::int64_t first = tensor.row_at(begin), last = tensor.row_at(end - 1);
  const std::int64_t row_bytes = bytes_per_row(tensor);
  return tensor.data.subspan(static_cast<std::size_t>(first * row_bytes),
                             static_cast<std::size_t>((last + 1 - first) * row_bytes));
}

// Packs a thread's share of a matrix. False if some value is no finite number.
bool pack_share(const ModelFile& file, const PackJob& job, int thread, int threads) {
  const auto [begin, end] = share_of(job.to.units() * job.to.copies, thread, threads);
  const std::int64_t per_piece =
      std::max<std::int64_t>(1, kPieceBytes / (bytes_per_row(*job.from) * jit::kLanes));
  bool finite = true;
  for (std::int64_t first = begin; first < end; first += per_piece) {
    const std::int64_t last = std::min(first + per_piece, end);
    for (std::int64_t i = first; i < last; ++i) finite = pack_unit(job, i) && finite;
    file.drop_pages(bytes_of_rows(*job.from, unit_in_file(job.to, first) * jit::kLanes,
                                  (unit_in_file(job.to, last - 1) + 1) * jit::kLanes));
  }
  return finite;
}

}  // namespace

void refuse_weights(const ModelFile& file, const Tensor& tensor) {
  const jit::SourceMatrix from = source(tensor);
  std::vector<float> values(static_cast<std::size_t>(tensor.cols));
  for (std::int64_t row = 0; row < tensor.rows; ++row) {
    source_row(from, tensor.row_at(row), values);
    const auto wrong = std::ranges::find_if_not(values, [](float value) { return std::isfinite(value); });
    if (wrong == values.end()) continue;
    throw std::runtime_error(fmt::format("{}: {}: expected finite weights, found {} at ({}, {})", file.path(),
                                         excerpt(tensor.name), without_sign_of_nan(*wrong), row,
                                         wrong - values.begin()));
  }
  throw std::runtime_error(fmt::format("{}: {}: expected weights in bf16's range, found one beyond it",
                                       file.path(), excerpt(tensor.name)));
}

void pack(const ModelFile& file, std::span<const PackJob> jobs, Team& team) {
  // Of each thread: the first job that has met a value that is no finite number.
  std::vector<std::size_t> refused(static_cast<std::size_t>(team.size()), jobs.size());
  auto pack_shares = [&](int thread) {
    std::size_t& first = refused[static_cast<std::size_t>(thread)];
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (!pack_share(file, jobs[i], thread, team.size())) first = std::min(first, i);
    }
  };
  team.run(pack_shares);
  file.check_intact();
  const std::size_t first = std::ranges::min(refused);
  if (first < jobs.size()) refuse_weights(file, *jobs[first].from);
  file.drop_pages();
}

}  // namespace llamajit
