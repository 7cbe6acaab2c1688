// Intel's tiles (AMX) in software, so that kernels with tiles are tested on CPUs that have none. A process that was not
// allowed tiles gets SIGILL for their instructions on every CPU; the handler does what they do, in the order in which
// Intel's manual says it, and goes on behind them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace llamajit::test {

// The state of a thread, and the instructions that change it. What a CPU would answer with #UD or #GP is returned as
// words; nullptr means that all went well. Memory is accessed as the CPU would.
class TileState {
 public:
  static constexpr int kTiles = 8, kMostRows = 16, kRowBytes = 64, kConfigBytes = 64;
  // Whether bytes of the first and of the second operand of a product are signed.
  struct Signs {
    bool a, b;
  };

  const char* load_config(const std::byte* from);
  void store_config(std::byte* to) const;
  void release() { *this = {}; }
  const char* zero(int tile);
  const char* load(int tile, const std::byte* from, std::ptrdiff_t stride);
  const char* store(std::byte* to, std::ptrdiff_t stride, int tile);
  const char* multiply_bytes(int acc, int a, int b, Signs signs);
  const char* multiply_bf16(int acc, int a, int b);

  bool is_configured() const { return palette_ != 0; }

 private:
  struct Tile {
    int rows = 0, row_bytes = 0;
    std::array<std::array<std::uint8_t, kRowBytes>, kMostRows> data{};
  };
  const char* check(int tile) const;
  const char* check_product(int acc, int a, int b) const;
  Tile& at(int tile) { return tiles_[static_cast<std::size_t>(tile)]; }
  const Tile& at(int tile) const { return tiles_[static_cast<std::size_t>(tile)]; }

  int palette_ = 0, start_row_ = 0;
  std::array<Tile, kTiles> tiles_{};
};

// Installs the handler, once a process. Any other SIGILL goes on to the handler that was there before.
void emulate_tiles();
// Whether code with tiles may be run: it is emulated, or, where LDTILECFG raises no SIGILL, was allowed the CPU's own.
bool tiles_run();
// The same of whole kernels, which have AVX-512 beside tiles.
bool tile_kernels_run();
// How many instructions were emulated so far, in all threads.
std::uint64_t emulated_instructions();
// Whether the calling thread has emulated tiles that nobody released. It has none afterwards.
bool take_leftover_tiles();
// What an instruction did first since the last call, of any thread, that no CPU would do; "" if nothing.
std::string take_tile_error();

}  // namespace llamajit::test
