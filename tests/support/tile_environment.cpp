// Linked into test programs that may run kernels with tiles: these are emulated from the start, and a test during which
// they do what no CPU would has failed.
#include <string>

#include <gtest/gtest.h>

#include "tests/support/tile_emulator.h"

namespace llamajit::test {
namespace {

class TileErrors : public testing::EmptyTestEventListener {
  void OnTestEnd(const testing::TestInfo& /*test*/) override {
    if (const std::string error = take_tile_error(); !error.empty()) ADD_FAILURE() << error;
  }
};

[[maybe_unused]] const bool listening = [] {
  emulate_tiles();
  testing::UnitTest::GetInstance()->listeners().Append(new TileErrors);
  return true;
}();

}  // namespace
}  // namespace llamajit::test
