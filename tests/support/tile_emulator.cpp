#include "tests/support/tile_emulator.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>
#include <vector>

#include <Zydis/Zydis.h>
#include <fmt/format.h>
#include <ucontext.h>

#include "jit/base/float_bits.h"
#include "jit/base/isa.h"
#include "jit/base/tile_permission.h"

namespace llamajit::test {

// --- the state
// ------------------------------------------------------------------------------------------------------------------

const char* TileState::load_config(const std::byte* from) {
  std::array<std::uint8_t, kConfigBytes> bytes;
  std::memcpy(bytes.data(), from, bytes.size());
  const auto zeros = [&](std::size_t begin, std::size_t end) {
    return std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(begin),
                       bytes.begin() + static_cast<std::ptrdiff_t>(end),
                       [](std::uint8_t b) { return b == 0; });
  };
  TileState next;
  next.palette_ = bytes[0];
  if (next.palette_ > 1) return "LDTILECFG: #GP, there is no such palette";
  if (next.palette_ == 0) {
    release();
    return nullptr;
  }
  next.start_row_ = bytes[1];
  if (!zeros(2, 16) || !zeros(32, 48) || !zeros(56, 64)) return "LDTILECFG: #GP, a reserved byte is not zero";
  for (std::size_t i = 0; i < kTiles; ++i) {
    Tile& tile = next.tiles_[i];
    tile.row_bytes = bytes[16 + 2 * i] | bytes[17 + 2 * i] << 8;
    tile.rows = bytes[48 + i];
    if (tile.row_bytes > kRowBytes) return "LDTILECFG: #GP, a row of more than 64 bytes";
    if (tile.rows > kMostRows) return "LDTILECFG: #GP, a tile of more than 16 rows";
    if ((tile.rows == 0) != (tile.row_bytes == 0)) return "LDTILECFG: #GP, a tile with rows or bytes alone";
  }
  *this = next;
  return nullptr;
}

void TileState::store_config(std::byte* to) const {
  std::array<std::uint8_t, kConfigBytes> bytes{};
  if (is_configured()) {
    bytes[0] = static_cast<std::uint8_t>(palette_);
    bytes[1] = static_cast<std::uint8_t>(start_row_);
    for (std::size_t i = 0; i < kTiles; ++i) {
      bytes[16 + 2 * i] = static_cast<std::uint8_t>(tiles_[i].row_bytes);
      bytes[48 + i] = static_cast<std::uint8_t>(tiles_[i].rows);
    }
  }
  std::memcpy(to, bytes.data(), bytes.size());
}

const char* TileState::check(int tile) const {
  if (!is_configured()) return "#UD, tiles are not configured";
  return at(tile).rows == 0 ? "#UD, the configuration has no such tile" : nullptr;
}

const char* TileState::zero(int tile) {
  if (const char* wrong = check(tile)) return wrong;
  at(tile).data = {};
  start_row_ = 0;
  return nullptr;
}

// Rows before start_row, which an interrupted load left behind, stay; those behind the last one become zeros.
const char* TileState::load(int tile, const std::byte* from, std::ptrdiff_t stride) {
  if (const char* wrong = check(tile)) return wrong;
  Tile& to = at(tile);
  for (int row = start_row_; row < kMostRows; ++row) {
    auto& bytes = to.data[static_cast<std::size_t>(row)];
    bytes = {};
    if (row < to.rows) std::memcpy(bytes.data(), from + row * stride, static_cast<std::size_t>(to.row_bytes));
  }
  start_row_ = 0;
  return nullptr;
}

const char* TileState::store(std::byte* to, std::ptrdiff_t stride, int tile) {
  if (const char* wrong = check(tile)) return wrong;
  const Tile& from = at(tile);
  for (int row = start_row_; row < from.rows; ++row) {
    std::memcpy(to + row * stride, from.data[static_cast<std::size_t>(row)].data(),
                static_cast<std::size_t>(from.row_bytes));
  }
  start_row_ = 0;
  return nullptr;
}

const char* TileState::check_product(int acc, int a, int b) const {
  if (acc == a || acc == b || a == b) return "#UD, two operands are the same tile";
  for (const int tile : {acc, a, b}) {
    if (const char* wrong = check(tile)) return wrong;
    if (at(tile).row_bytes % 4 != 0) return "#UD, rows are no whole number of four bytes";
  }
  if (at(acc).rows != at(a).rows) return "#UD, the result has not as many rows as the first operand";
  if (at(a).row_bytes / 4 != at(b).rows) return "#UD, the operands' inner lengths differ";
  if (at(acc).row_bytes != at(b).row_bytes)
    return "#UD, the result's rows are not as long as the second operand's";
  return nullptr;
}

namespace {

using Row = std::array<std::uint8_t, TileState::kRowBytes>;
using Sums = std::array<std::uint32_t, TileState::kRowBytes / 4>;

Sums sums_of(const Row& row) {
  Sums sums;
  std::memcpy(sums.data(), row.data(), row.size());
  return sums;
}

template <bool is_signed>
std::int32_t byte_of_row(const Row& row, int i) {
  const std::uint8_t byte = row[static_cast<std::size_t>(i)];
  return is_signed ? static_cast<std::int8_t>(byte) : byte;
}

// sums[n] += the products of a's four bytes number k and those of b's row, modulo 2^32.
template <bool a_signed, bool b_signed>
void add_products(Sums& sums, const Row& a, int k, const Row& b) {
  for (int n = 0; n < TileState::kRowBytes / 4; ++n) {
    std::int32_t sum = 0;
    for (int j = 0; j < 4; ++j) {
      sum += byte_of_row<a_signed>(a, 4 * k + j) * byte_of_row<b_signed>(b, 4 * n + j);
    }
    sums[static_cast<std::size_t>(n)] += static_cast<std::uint32_t>(sum);
  }
}

using AddProducts = void (*)(Sums& sums, const Row& a, int k, const Row& b);
AddProducts adding(TileState::Signs signs) {
  if (signs.a) return signs.b ? add_products<true, true> : add_products<true, false>;
  return signs.b ? add_products<false, true> : add_products<false, false>;
}

float flushed(float x) {
  return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0F, x) : x;
}
float bf16_of_row(const Row& row, int i) {
  std::uint16_t bits;
  std::memcpy(&bits, row.data() + std::ptrdiff_t{2} * i, sizeof bits);
  return flushed(jit::bfloat_to_float(bits));
}

}  // namespace

// The second operand's rows are as long as the result's; what lies behind them in either is zeros.
const char* TileState::multiply_bytes(int acc, int a, int b, Signs signs) {
  if (const char* wrong = check_product(acc, a, b)) return wrong;
  const AddProducts add = adding(signs);
  Tile& to = at(acc);
  for (std::size_t row = 0; row < kMostRows; ++row) {
    Sums sums{};
    if (row < static_cast<std::size_t>(to.rows)) {
      sums = sums_of(to.data[row]);
      for (int k = 0; k < at(b).rows; ++k)
        add(sums, at(a).data[row], k, at(b).data[static_cast<std::size_t>(k)]);
    }
    to.data[row] = {};
    std::memcpy(to.data[row].data(), sums.data(), static_cast<std::size_t>(to.row_bytes));
  }
  start_row_ = 0;
  return nullptr;
}

// Two chains of fused multiplications begin with +0, one over the even and one over the odd elements of the pairs. Their
// sum is rounded, and then added to the result.
const char* TileState::multiply_bf16(int acc, int a, int b) {
  if (const char* wrong = check_product(acc, a, b)) return wrong;
  Tile& to = at(acc);
  for (std::size_t row = 0; row < kMostRows; ++row) {
    const Row before = to.data[row];
    to.data[row] = {};
    if (row >= static_cast<std::size_t>(to.rows)) continue;
    for (int n = 0; n < to.row_bytes / 4; ++n) {
      float chains[2] = {0.0F, 0.0F};
      for (int k = 0; k < at(b).rows; ++k) {
        for (int j = 0; j < 2; ++j) {
          chains[j] =
              flushed(std::fma(bf16_of_row(at(a).data[row], 2 * k + j),
                               bf16_of_row(at(b).data[static_cast<std::size_t>(k)], 2 * n + j), chains[j]));
        }
      }
      float sum;
      std::memcpy(&sum, before.data() + std::ptrdiff_t{4} * n, sizeof sum);
      sum = flushed(flushed(sum) + flushed(chains[0] + chains[1]));
      std::memcpy(to.data[row].data() + std::ptrdiff_t{4} * n, &sum, sizeof sum);
    }
  }
  start_row_ = 0;
  return nullptr;
}

// --- the handler
// ------------------------------------------------------------------------------------------------------------------

namespace {

thread_local TileState tiles;
std::atomic<std::uint64_t> emulated{0};
std::atomic<int> error_state{0};  // 0: none, 1: being written, 2: there
char error_text[256];
struct sigaction handler_before;
ZydisDecoder decoder;
bool run_tiles = false;

struct Decoded {
  ZydisDecodedInstruction is;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT_VISIBLE];

  int tile(std::size_t operand) const { return ZydisRegisterGetId(operands[operand].reg.value); }
};

std::uint64_t value_of(ZydisRegister reg, const greg_t* registers) {
  // As instructions number them.
  constexpr int kPlaces[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                             REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  if (reg == ZYDIS_REGISTER_NONE) return 0;
  return static_cast<std::uint64_t>(registers[kPlaces[ZydisRegisterGetId(reg)]]);
}

// Without the index, which is the rows' distance.
std::byte* address_of(const Decoded& d, std::size_t operand, const greg_t* registers) {
  const ZydisDecodedOperandMem& m = d.operands[operand].mem;
  const std::uint64_t base = m.base == ZYDIS_REGISTER_RIP
                                 ? static_cast<std::uint64_t>(registers[REG_RIP]) + d.is.length
                                 : value_of(m.base, registers);
  return reinterpret_cast<std::byte*>(base + static_cast<std::uint64_t>(m.disp.value));
}
std::ptrdiff_t stride_of(const Decoded& d, std::size_t operand, const greg_t* registers) {
  const ZydisDecodedOperandMem& m = d.operands[operand].mem;
  return static_cast<std::ptrdiff_t>(value_of(m.index, registers) * m.scale);
}

const char* multiply(const Decoded& d, TileState::Signs signs) {
  return tiles.multiply_bytes(d.tile(0), d.tile(1), d.tile(2), signs);
}

enum class Answer : std::uint8_t { done, wrong, not_ours };

Answer emulate(const Decoded& d, const greg_t* registers, const char*& wrong) {
  wrong = nullptr;
  switch (d.is.mnemonic) {
    case ZYDIS_MNEMONIC_LDTILECFG:
      wrong = tiles.load_config(address_of(d, 0, registers));
      break;
    case ZYDIS_MNEMONIC_STTILECFG:
      tiles.store_config(address_of(d, 0, registers));
      break;
    case ZYDIS_MNEMONIC_TILERELEASE:
      tiles.release();
      break;
    case ZYDIS_MNEMONIC_TILEZERO:
      wrong = tiles.zero(d.tile(0));
      break;
    case ZYDIS_MNEMONIC_TILELOADD:
    case ZYDIS_MNEMONIC_TILELOADDT1:
      wrong = tiles.load(d.tile(0), address_of(d, 1, registers), stride_of(d, 1, registers));
      break;
    case ZYDIS_MNEMONIC_TILESTORED:
      wrong = tiles.store(address_of(d, 0, registers), stride_of(d, 0, registers), d.tile(1));
      break;
    case ZYDIS_MNEMONIC_TDPBSSD:
      wrong = multiply(d, {true, true});
      break;
    case ZYDIS_MNEMONIC_TDPBSUD:
      wrong = multiply(d, {true, false});
      break;
    case ZYDIS_MNEMONIC_TDPBUSD:
      wrong = multiply(d, {false, true});
      break;
    case ZYDIS_MNEMONIC_TDPBUUD:
      wrong = multiply(d, {false, false});
      break;
    case ZYDIS_MNEMONIC_TDPBF16PS:
      wrong = tiles.multiply_bf16(d.tile(0), d.tile(1), d.tile(2));
      break;
    default:
      return Answer::not_ours;
  }
  return wrong == nullptr ? Answer::done : Answer::wrong;
}

// The first one stays until it is taken.
void keep_error(const Decoded& d, const char* what) {
  int none = 0;
  if (!error_state.compare_exchange_strong(none, 1)) return;
  const auto end = fmt::format_to_n(error_text, sizeof error_text - 1, "{}: {}",
                                    ZydisMnemonicGetString(d.is.mnemonic), what);
  *end.out = '\0';
  error_state = 2;
}

void pass_on(int signal, siginfo_t* info, void* context) {
  if ((handler_before.sa_flags & SA_SIGINFO) != 0) {
    handler_before.sa_sigaction(signal, info, context);
  } else if (handler_before.sa_handler == SIG_DFL || handler_before.sa_handler == SIG_IGN) {
    sigaction(signal, &handler_before, nullptr);  // the instruction then runs again, and gets there
  } else {
    handler_before.sa_handler(signal);
  }
}

void on_illegal_instruction(int signal, siginfo_t* info, void* context) {
  constexpr std::size_t kLongest = 15;
  const int saved = errno;
  greg_t* const registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  Decoded decoded;
  const char* wrong = nullptr;
  ZydisDecoderContext decoding;
  const bool good =
      ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(
          &decoder, &decoding, reinterpret_cast<const void*>(registers[REG_RIP]), kLongest, &decoded.is)) &&
      ZYAN_SUCCESS(ZydisDecoderDecodeOperands(&decoder, &decoding, &decoded.is, decoded.operands,
                                              decoded.is.operand_count_visible));
  const Answer answer = good ? emulate(decoded, registers, wrong) : Answer::not_ours;
  if (answer == Answer::not_ours) {
    pass_on(signal, info, context);
  } else {
    if (answer == Answer::wrong) keep_error(decoded, wrong);
    ++emulated;
    registers[REG_RIP] += decoded.is.length;
  }
  errno = saved;
}

}  // namespace

void emulate_tiles() {
  static const bool installed = [] {
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    struct sigaction action {};
    action.sa_sigaction = on_illegal_instruction;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    if (sigaction(SIGILL, nullptr, &handler_before) != 0 || sigaction(SIGILL, &action, nullptr) != 0)
      return false;
    // Should a CPU do LDTILECFG itself, and leave the handler only what comes after it, it has to do the rest as well.
    alignas(64) std::uint8_t config[TileState::kConfigBytes] = {1};
    config[16] = 4;
    config[48] = 1;
    asm volatile("ldtilecfg %0" : : "m"(config));
    run_tiles = tiles.is_configured() || !jit::tiles_refused();
    asm volatile("tilerelease");
    return true;
  }();
  (void)installed;
}

bool tiles_run() {
  return run_tiles;
}

bool tile_kernels_run() {
  static const bool has_others = [] {
    const std::vector<jit::Tier> tiers = jit::host_tiers();
    return std::ranges::count(tiers, jit::Tier::avx512bf16) > 0;
  }();
  return run_tiles && has_others;
}

std::uint64_t emulated_instructions() {
  return emulated;
}

bool take_leftover_tiles() {
  const bool found = tiles.is_configured();
  tiles.release();
  return found;
}

std::string take_tile_error() {
  if (error_state != 2) return "";
  std::string text = error_text;
  error_state = 0;
  return text;
}

}  // namespace llamajit::test
