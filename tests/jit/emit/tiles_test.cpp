// Tiles as the Emitter speaks of them, and the emulator that runs them on CPUs without any.
#include <array>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jit/base/tile_permission.h"
#include "jit/code/executable_memory.h"
#include "jit/emit/emitter.h"
#include "tests/support/kernel_check.h"
#include "tests/support/tile_emulator.h"

namespace llamajit::test::tiles_test {
namespace {

using testing::HasSubstr;

constexpr int kRow = TileState::kRowBytes, kRows = TileState::kMostRows;
using Bytes = std::array<std::uint8_t, std::size_t{kRow} * kRows>;

enum class Product : std::uint8_t { ssd, sud, usd, uud, bf16 };
constexpr Product kProducts[] = {Product::ssd, Product::sud, Product::usd, Product::uud, Product::bf16};

// acc of (m, n) and 4 bytes each, a of (m, k) and b of (k, n) four times a byte; rows lie 64 bytes apart.
struct Case {
  Product product;
  int m, n, k;
  Bytes a, b, acc;
};

std::array<std::uint8_t, 64> config_of(const Case& c) {
  std::array<std::uint8_t, 64> config{};
  config[0] = 1;
  const int rows[] = {c.m, c.m, c.k}, row_bytes[] = {4 * c.n, 4 * c.k, 4 * c.n};
  for (std::size_t i = 0; i < 3; ++i) {
    config[16 + 2 * i] = static_cast<std::uint8_t>(row_bytes[i]);
    config[48 + i] = static_cast<std::uint8_t>(rows[i]);
  }
  return config;
}

// By the CPU's instructions, or what emulates them. Tile 0 is acc, 1 a and 2 b.
Bytes by_instructions(const Case& c) {
  Bytes out{};
  const auto config = config_of(c);
  const std::int64_t stride = kRow;
  asm volatile("ldtilecfg %0" : : "m"(config));
  asm volatile("tileloadd (%0,%1,1), %%tmm0" : : "r"(c.acc.data()), "r"(stride) : "memory");
  asm volatile("tileloadd (%0,%1,1), %%tmm1" : : "r"(c.a.data()), "r"(stride) : "memory");
  asm volatile("tileloaddt1 -64(%0,%1,1), %%tmm2" : : "r"(c.b.data() + 64), "r"(stride) : "memory");
  switch (c.product) {
    case Product::ssd:
      asm volatile("tdpbssd %tmm2, %tmm1, %tmm0");
      break;
    case Product::sud:
      asm volatile("tdpbsud %tmm2, %tmm1, %tmm0");
      break;
    case Product::usd:
      asm volatile("tdpbusd %tmm2, %tmm1, %tmm0");
      break;
    case Product::uud:
      asm volatile("tdpbuud %tmm2, %tmm1, %tmm0");
      break;
    case Product::bf16:
      asm volatile("tdpbf16ps %tmm2, %tmm1, %tmm0");
      break;
  }
  asm volatile("tilestored %%tmm0, (%0,%1,1)" : : "r"(out.data()), "r"(stride) : "memory");
  asm volatile("tilerelease");
  return out;
}

// By the emulator alone.
Bytes by_state(const Case& c) {
  TileState state;
  Bytes out{};
  const auto config = config_of(c);
  const auto bytes = [](const std::uint8_t* p) { return reinterpret_cast<const std::byte*>(p); };
  state.load_config(bytes(config.data()));
  state.load(0, bytes(c.acc.data()), kRow);
  state.load(1, bytes(c.a.data()), kRow);
  state.load(2, bytes(c.b.data()), kRow);
  if (c.product == Product::bf16) {
    state.multiply_bf16(0, 1, 2);
  } else {
    state.multiply_bytes(0, 1, 2,
                         {c.product == Product::ssd || c.product == Product::sud,
                          c.product == Product::ssd || c.product == Product::usd});
  }
  state.store(reinterpret_cast<std::byte*>(out.data()), kRow, 0);
  return out;
}

// As the manual's formula has it: of bytes; the other bytes of the result are 0.
Bytes by_formula(const Case& c) {
  Bytes out{};
  const bool a_signed = c.product == Product::ssd || c.product == Product::sud;
  const bool b_signed = c.product == Product::ssd || c.product == Product::usd;
  const auto value = [](const Bytes& from, int row, int byte, bool is_signed) {
    const std::uint8_t bits = from[static_cast<std::size_t>(row * kRow + byte)];
    return std::int64_t{is_signed ? static_cast<std::int8_t>(bits) : bits};
  };
  for (int row = 0; row < c.m; ++row) {
    for (int col = 0; col < c.n; ++col) {
      const auto at = static_cast<std::size_t>(row * kRow + 4 * col);
      std::uint32_t before;
      std::memcpy(&before, &c.acc[at], sizeof before);
      std::int64_t sum = before;
      for (int i = 0; i < 4 * c.k; ++i) {
        sum += value(c.a, row, i, a_signed) * value(c.b, i / 4, 4 * col + i % 4, b_signed);
      }
      const auto wrapped = static_cast<std::uint32_t>(sum);
      std::memcpy(&out[at], &wrapped, sizeof wrapped);
    }
  }
  return out;
}

class Cases {
 public:
  explicit Cases(std::uint64_t seed) : random_(seed) {}
  Case next(Product product) {
    Case c{product, size(), size(), size(), {}, {}, {}};
    for (Bytes* bytes : {&c.a, &c.b, &c.acc}) {
      for (std::uint8_t& b : *bytes) b = static_cast<std::uint8_t>(random_());
    }
    // Numbers of ordinary size, some of them subnormal, for there is no contract of NaNs.
    for (std::size_t i = 1; product == Product::bf16 && i < c.a.size(); i += 2) {
      for (Bytes* bytes : {&c.a, &c.b})
        (*bytes)[i] = static_cast<std::uint8_t>(((*bytes)[i] & 0x83U) | exponent());
      c.acc[i] = static_cast<std::uint8_t>((c.acc[i] & 0x83U) | exponent());
    }
    return c;
  }

 private:
  int size() { return static_cast<int>(random_() % kRows) + 1; }
  std::uint8_t exponent() { return random_() % 8 == 0 ? 0x00 : 0x3C; }

  std::mt19937_64 random_;
};

TEST(TileEmulator, MultipliesBytesAsTheManualSays) {
  if (!tiles_run()) GTEST_SKIP() << "the CPU has tiles, and the system refuses them";
  Cases cases(1);
  for (const Product product : {Product::ssd, Product::sud, Product::usd, Product::uud}) {
    for (int i = 0; i < 50; ++i) {
      const Case c = cases.next(product);
      EXPECT_EQ(by_instructions(c), by_formula(c))
          << static_cast<int>(product) << ": " << c.m << " " << c.n << " " << c.k;
    }
  }
  EXPECT_FALSE(take_leftover_tiles());
}

TEST(TileEmulator, SumsWrapAround) {
  if (!tiles_run()) GTEST_SKIP() << "the CPU has tiles, and the system refuses them";
  Case c{Product::uud, 16, 16, 16, {}, {}, {}};
  c.a.fill(255);
  c.b.fill(255);
  c.acc.fill(0xFF);
  const Bytes out = by_instructions(c);
  std::uint32_t sum;
  std::memcpy(&sum, out.data(), sizeof sum);
  EXPECT_EQ(sum, 64U * 255 * 255 - 1);
}

// amx.md has what was measured: two chains that begin with +0, then their sum, then that of the result.
TEST(TileEmulator, PairsOfBf16AreSummedInTwoChains) {
  if (!tiles_run()) GTEST_SKIP() << "the CPU has tiles, and the system refuses them";
  Case c{Product::bf16, 1, 1, 3, {}, {}, {}};
  const auto put = [](Bytes& to, int row, int column, float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const auto half = static_cast<std::uint16_t>(bits >> 16);
    std::memcpy(&to[static_cast<std::size_t>(row * kRow + 2 * column)], &half, sizeof half);
  };
  const float even[] = {0x1p24F, 1.0F, 1.0F}, odd[] = {1.0F, 1.0F, -0x1p24F};
  for (int k = 0; k < 3; ++k) {
    put(c.a, 0, 2 * k, even[k]);
    put(c.a, 0, 2 * k + 1, odd[k]);
    put(c.b, k, 0, 1.0F);
    put(c.b, k, 1, 1.0F);
  }
  const float three = 3.0F;
  std::memcpy(c.acc.data(), &three, sizeof three);
  const Bytes out = by_instructions(c);
  float sum;
  std::memcpy(&sum, out.data(), sizeof sum);
  // 2^24 + 1 + 1 is 2^24, twice rounded to even; 1 + 1 - 2^24 is exact.
  EXPECT_EQ(sum, (0x1p24F + (2.0F - 0x1p24F)) + 3.0F);
}

// The configuration's bytes that a case changes.
const char* configured(TileState& state, std::initializer_list<std::pair<int, int>> changes) {
  std::array<std::uint8_t, 64> config{};
  config[0] = 1;
  config[16] = config[18] = config[20] = 64;
  config[48] = config[49] = config[50] = 16;
  for (const auto& [at, value] : changes)
    config[static_cast<std::size_t>(at)] = static_cast<std::uint8_t>(value);
  return state.load_config(reinterpret_cast<const std::byte*>(config.data()));
}

TEST(TileEmulator, KnowsWhatNoCpuWouldDo) {
  TileState state;
  std::byte memory[64 * 16]{};
  EXPECT_THAT(state.load(0, memory, 64), HasSubstr("not configured"));
  EXPECT_THAT(state.zero(0), HasSubstr("not configured"));
  EXPECT_THAT(configured(state, {{0, 2}}), HasSubstr("palette"));
  for (const int reserved : {2, 15, 32, 47, 56, 63})
    EXPECT_THAT(configured(state, {{reserved, 1}}), HasSubstr("reserved"));
  EXPECT_THAT(configured(state, {{16, 65}}), HasSubstr("64 bytes"));
  EXPECT_THAT(configured(state, {{17, 1}}), HasSubstr("64 bytes"));
  EXPECT_THAT(configured(state, {{48, 17}}), HasSubstr("16 rows"));
  EXPECT_THAT(configured(state, {{48, 0}}), HasSubstr("rows or bytes alone"));
  EXPECT_FALSE(state.is_configured());
  ASSERT_EQ(configured(state, {}), nullptr);
  EXPECT_THAT(state.zero(3), HasSubstr("no such tile"));
  EXPECT_THAT(state.store(memory, 64, 7), HasSubstr("no such tile"));
  EXPECT_EQ(state.multiply_bytes(0, 1, 2, {true, true}), nullptr);
  EXPECT_THAT(state.multiply_bytes(0, 0, 1, {true, true}), HasSubstr("same tile"));
  EXPECT_THAT(state.multiply_bytes(0, 1, 1, {true, true}), HasSubstr("same tile"));
  EXPECT_THAT(state.multiply_bf16(1, 0, 1), HasSubstr("same tile"));
  ASSERT_EQ(configured(state, {{48, 8}}), nullptr);
  EXPECT_THAT(state.multiply_bytes(0, 1, 2, {true, true}), HasSubstr("as many rows"));
  ASSERT_EQ(configured(state, {{18, 32}}), nullptr);
  EXPECT_THAT(state.multiply_bytes(0, 1, 2, {true, true}), HasSubstr("inner lengths"));
  ASSERT_EQ(configured(state, {{16, 32}}), nullptr);
  EXPECT_THAT(state.multiply_bytes(0, 1, 2, {true, true}), HasSubstr("as long as"));
  ASSERT_EQ(configured(state, {{18, 62}}), nullptr);
  EXPECT_THAT(state.multiply_bytes(0, 1, 2, {true, true}), HasSubstr("whole number of four"));
  ASSERT_EQ(configured(state, {{0, 0}}), nullptr) << "a palette of 0 releases";
  EXPECT_FALSE(state.is_configured());
}

TEST(TileEmulator, KeepsTheFirstErrorUntilItIsTaken) {
  const std::uint64_t before = emulated_instructions();
  asm volatile("tilezero %tmm3");
  if (emulated_instructions() == before) GTEST_SKIP() << "the CPU's own tiles run here";
  EXPECT_THAT(take_tile_error(), testing::AllOf(HasSubstr("tilezero"), HasSubstr("not configured")));
  EXPECT_EQ(take_tile_error(), "");
}

// A load that was interrupted goes on at the row where it was; rows behind the last one become zeros.
TEST(TileEmulator, LoadsBeginWithTheStartRow) {
  TileState state;
  Bytes memory, out{};
  memory.fill(7);
  ASSERT_EQ(configured(state, {{1, 2}, {16, 8}, {48, 4}}), nullptr);
  ASSERT_EQ(state.load(0, reinterpret_cast<const std::byte*>(memory.data()), 8), nullptr);
  ASSERT_EQ(state.store(reinterpret_cast<std::byte*>(out.data()), 8, 0), nullptr);
  for (std::size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], i >= 16 && i < 32 ? 7 : 0) << i;
  std::array<std::uint8_t, 64> config;
  state.store_config(reinterpret_cast<std::byte*>(config.data()));
  EXPECT_EQ(config[0], 1);
  EXPECT_EQ(config[1], 0) << "the next load begins at the first row";
  EXPECT_EQ(config[16], 8);
  EXPECT_EQ(config[48], 4);
}

TEST(TileEmulator, ThreadsHaveTilesOfTheirOwn) {
  if (!tiles_run()) GTEST_SKIP() << "the CPU has tiles, and the system refuses them";
  std::vector<std::thread> threads;
  std::array<int, 4> wrong{};
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    threads.emplace_back([&wrong, i] {
      Cases cases(i);
      for (int round = 0; round < 50; ++round) {
        const Case c = cases.next(Product::sud);
        if (by_instructions(c) != by_formula(c)) ++wrong[i];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, (std::array<int, 4>{}));
}

TEST(TileEmulator, LeavesOtherInstructionsToWhoeverHasThem) {
  EXPECT_EXIT(asm volatile("ud2"), testing::KilledBySignal(SIGILL), "");
}

// In a child, since the permission can't be given back.
TEST(TileEmulator, DoesWhatTheCpuDoes) {
  constexpr int kSame = 0, kDifferent = 1, kRefused = 2;
  const pid_t child = fork();
  ASSERT_NE(child, -1);
  if (child == 0) {
    if (jit::tiles_refused()) _exit(kRefused);
    const std::uint64_t before = emulated_instructions();
    Cases cases(5);
    bool same = true;
    for (const Product product : kProducts) {
      for (int i = 0; i < 300; ++i) {
        const Case c = cases.next(product);
        same = same && by_instructions(c) == by_state(c);
      }
    }
    _exit(same && emulated_instructions() == before ? kSame : kDifferent);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kRefused) GTEST_SKIP() << "no tiles here, or the system refuses them";
  EXPECT_EQ(WEXITSTATUS(status), kSame);
}

TEST(EmitterTiles, AProductOfATileAndItselfIsRefused) {
  std::array<std::uint8_t, 4096> buffer;
  jit::Emitter e({jit::Tier::avx512amx}, buffer);
  const auto tiles = e.tiles({3}, "tiles");
  EXPECT_NO_THROW(e.dot_tiles(tiles[0], tiles[1], tiles[2], jit::TileBytes::s8));
  EXPECT_THROW(e.dot_tiles(tiles[0], tiles[0], tiles[2], jit::TileBytes::s8), std::logic_error);
  EXPECT_THROW(e.dot_tiles(tiles[0], tiles[1], tiles[0], jit::TileBytes::u8), std::logic_error);
  EXPECT_THROW(e.dot_tiles(tiles[0], tiles[1], tiles[1], jit::TileBytes::s8), std::logic_error);
}

// Two configurations in turn, loads and stores with displacements, and a return without any tile left behind.
TEST(EmitterTiles, ShapesCanChange) {
  if (!tile_kernels_run()) GTEST_SKIP() << "this CPU lacks what stands beside tiles";
  alignas(64) std::array<std::uint8_t, 4096> buffer;
  jit::Emitter e({jit::Tier::avx512amx}, buffer);
  const auto tiles = e.tiles({2}, "tiles");
  const jit::Reg64 stride = e.gpr("stride");
  e.enter();
  e.mov(stride, kRow);
  for (const int rows : {16, 8}) {
    e.configure_tiles(std::vector<jit::TileShape>(2, {rows, rows * 2}));
    e.load_tile(tiles[1], e.args() + kRow, stride);
    e.store_tile(e.args() + rows * 2 * kRow, stride, tiles[1]);
  }
  e.leave();
  const jit::ExecutableMemory code(std::span(e.getCode(), e.getSize()));
  std::vector<std::uint8_t> memory(std::size_t{kRow} * 64);
  for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<std::uint8_t>(i * 7 + i / 256);
  std::vector<std::uint8_t> expected = memory;
  for (const std::size_t rows : {16, 8}) {
    for (std::size_t row = 0; row < rows; ++row) {
      std::memcpy(&expected[(2 * rows + row) * kRow], &expected[(1 + row) * kRow], 2 * rows);
    }
  }
  reinterpret_cast<void (*)(void*)>(reinterpret_cast<std::uintptr_t>(code.data()))(memory.data());
  EXPECT_EQ(memory, expected);
  EXPECT_FALSE(take_leftover_tiles());
}

}  // namespace
}  // namespace llamajit::test::tiles_test
