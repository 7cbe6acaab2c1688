// Tiles: two-dimensional registers, and the product of two of them.
#include <cassert>
#include <functional>
#include <numeric>
#include <stdexcept>

#include "jit/emit/emitter.h"

namespace llamajit::jit {
namespace {

[[maybe_unused]] constexpr int kTiles = 8, kMostRows = 16, kMostRowBytes = 64;

// What LDTILECFG reads; the bytes that are not named here are reserved.
constexpr std::size_t kPalette = 0, kRowBytes = 16, kRows = 48;

}  // namespace

std::vector<Xbyak::Tmm> Emitter::tiles(std::initializer_list<int> shape, std::string_view role) {
  record_role(Annotations::File::tile, next_tile_, 1, shape, role);
  std::vector<Xbyak::Tmm> out(
      static_cast<std::size_t>(std::accumulate(shape.begin(), shape.end(), 1, std::multiplies<>())));
  for (Xbyak::Tmm& tile : out) tile = Xbyak::Tmm(next_tile_++);
  assert(isa_.has_tiles() && next_tile_ <= kTiles);
  return out;
}

void Emitter::configure_tiles(std::span<const TileShape> shapes) {
  assert(shapes.size() == static_cast<std::size_t>(next_tile_));
  TileConfig config{};
  config[kPalette] = 1;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    assert(0 < shapes[i].rows && shapes[i].rows <= kMostRows);
    assert(0 < shapes[i].row_bytes && shapes[i].row_bytes <= kMostRowBytes && shapes[i].row_bytes % 4 == 0);
    config[kRowBytes + 2 * i] = static_cast<std::uint8_t>(shapes[i].row_bytes);
    config[kRows + i] = static_cast<std::uint8_t>(shapes[i].rows);
  }
  ldtilecfg(ptr[rip + tile_configs_[config]]);
}

// Without an index Xbyak refuses the one and encodes the other wrongly.
void Emitter::load_tile(const Xbyak::Tmm& to, const RegExp& from, const Reg64& stride) {
  assert(from.getIndex().getBit() == 0);
  tileloadd(to, ptr[from + stride]);
}

void Emitter::store_tile(const RegExp& to, const Reg64& stride, const Xbyak::Tmm& from) {
  assert(to.getIndex().getBit() == 0);
  tilestored(ptr[to + stride], from);
}

void Emitter::dot_tiles(const Xbyak::Tmm& acc, const Xbyak::Tmm& a, const Xbyak::Tmm& b, TileBytes b_bytes) {
  if (acc.getIdx() == a.getIdx() || acc.getIdx() == b.getIdx() || a.getIdx() == b.getIdx()) {
    throw std::logic_error("a product of tiles names one of them twice, which no CPU executes");
  }
  b_bytes == TileBytes::s8 ? tdpbssd(acc, a, b) : tdpbsud(acc, a, b);
}

}  // namespace llamajit::jit
