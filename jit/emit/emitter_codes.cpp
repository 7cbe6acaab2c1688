// Integer codes: taking them apart, and the dot product of pairs.
#include <algorithm>

#include "jit/emit/emitter.h"

namespace llamajit::jit {
namespace {

constexpr std::size_t kTableRow = 16;  // bytes that a shuffle has room for

}  // namespace

// --- bits and bytes
// ----------------------------------------------------------------------------------------------------

void Emitter::and_bits(const V16& to, const V16& a, const Source& b) {
  each(to, b, [&](std::size_t p, const Xbyak::Operand& o) {
    isa_.wide() ? vpandd(to.part[p], a.part[p], o) : vpand(to.part[p], a.part[p], o);
  });
}

void Emitter::or_masked(const V16& to, const V16& bits, const V16& mask) {
  for (std::size_t p = 0; p < static_cast<std::size_t>(to.parts); ++p) {
    if (isa_.wide()) {
      constexpr std::uint8_t kOrAnd = 0xF8;  // a | (b & c)
      vpternlogd(to.part[p], bits.part[p], mask.part[p], kOrAnd);
    } else {
      vpand(bits.part[p], bits.part[p], mask.part[p]);
      vpor(to.part[p], to.part[p], bits.part[p]);
    }
  }
}

void Emitter::load_shifted(const V16& to, const RegExp& from, int bits) {
  if (bits == 0) return load(to, from);
  const auto count = static_cast<std::uint8_t>(bits > 0 ? bits : -bits);
  each(to, from, [&](std::size_t p, const Xbyak::Operand& memory) {
    const Vec& v = to.part[p];
    if (isa_.wide()) {
      bits > 0 ? vpsrld(v, memory, count) : vpslld(v, memory, count);
    } else {
      vmovups(v, memory);
      bits > 0 ? vpsrld(v, v, count) : vpslld(v, v, count);
    }
  });
}

void Emitter::load_table(const V16& to, std::span<const std::uint8_t> bytes) {
  table_.assign(bytes.begin(), bytes.end());
  for (std::size_t i = bytes.size(); i-- > kTableRow;) {
    table_[i] = static_cast<std::uint8_t>(bytes[i] - bytes[i - kTableRow]);
  }
  broadcast_table_row(to.part[0], 0);
}

void Emitter::broadcast_table_row(const Vec& to, int row) {
  const auto at = ptr[rip + table_label_ + row * static_cast<int>(kTableRow)];
  if (isa_.wide()) {
    vbroadcasti32x4(Xbyak::Zmm(to.getIdx()), at);
  } else {
    vbroadcasti128(ymm_of(to), at);
  }
}

// A shuffle takes the lower four bits of an index, or gives zero where its uppermost bit is set. So what the next
// 16 entries add is looked up with indices 16 less: bytes that don't reach so far wrap around, and get nothing.
void Emitter::look_up(const V16& to, const V16& table, const V16& index, const V16& temp) {
  constexpr Const kRowInEachByte{0x10101010};
  for (std::size_t p = 0; p < static_cast<std::size_t>(to.parts); ++p) {
    const int rows = static_cast<int>(table_.size() / kTableRow);
    if (rows > 1) vpsubb(index.part[p], to.part[p], constant(kRowInEachByte));
    vpshufb(to.part[p], table.part[p], to.part[p]);
    for (int row = 1; row < rows; ++row) {
      if (row > 1) vpsubb(index.part[p], index.part[p], constant(kRowInEachByte));
      broadcast_table_row(temp.part[p], row);
      vpshufb(temp.part[p], temp.part[p], index.part[p]);
      vpaddb(to.part[p], to.part[p], temp.part[p]);
    }
  }
}

void Emitter::set_rows(std::span<const TableRow> rows) {
  table_.clear();
  for (const TableRow& row : rows) table_.insert(table_.end(), row.begin(), row.end());
}

void Emitter::broadcast_row(const V16& to, int row) {
  for (std::size_t p = 0; p < static_cast<std::size_t>(to.uniform() ? 1 : to.parts); ++p) {
    broadcast_table_row(to.part[p], row);
  }
}

void Emitter::look_up_row(const V16& to, const V16& row, const V16& index) {
  for (std::size_t p = 0; p < static_cast<std::size_t>(to.parts); ++p) {
    vpshufb(to.part[p], row.part[p], index.part[p]);
  }
}

void Emitter::or_8_if_bit(const V16& to, const RegExp& from, int bit, int half, const V16& temp) {
  constexpr std::uint32_t kEachByte = 0x01010101;
  constexpr int kSecondHalf = 4, kBitOf8 = 3;
  const Const eights{8 * kEachByte};
  if (isa_.wide()) {
    const Vec& bytes = temp.part[0];
    vbroadcasti64x4(Xbyak::Zmm(bytes.getIdx()), ptr[from]);
    vptestmb(k1, bytes, constant({kEachByte << bit}, {kEachByte << (bit + kSecondHalf)}));
    vpaddb(to.part[0] | k1, to.part[0], constant(eights));
    return;
  }
  for (int p = 0; p < to.parts; ++p) {
    const Vec &bytes = temp.part[static_cast<std::size_t>(p)], &result = to.part[static_cast<std::size_t>(p)];
    load_shifted({{bytes, bytes}, 1}, from, bit + kSecondHalf * (half + p) - kBitOf8);
    vpand(bytes, bytes, constant(eights));
    vpor(result, result, bytes);
  }
}

void Emitter::add_bytes(const V16& to, const V16& a, const V16& b) {
  for (std::size_t p = 0; p < static_cast<std::size_t>(to.parts); ++p) {
    vpaddb(to.part[p], a.part[p], b.part[p]);
  }
}

void Emitter::load_if_bit(const V16& to, const RegExp& from, int bit, const Const& value) {
  constexpr int kUppermost = 31;
  for (std::size_t p = 0; p < static_cast<std::size_t>(to.parts); ++p) {
    const Vec& v = to.part[p];
    vpmovzxwd(v, ptr[from + kPartBytes / 2 * static_cast<int>(p)]);
    vpslld(v, v, static_cast<std::uint8_t>(kUppermost - bit));
    vpsrad(v, v, kUppermost);
  }
  and_bits(to, to, value);
}

void Emitter::load_s8(const V16& to, const RegExp& from) {
  for (int p = 0; p < to.parts; ++p) {
    vpmovsxbd(to.part[static_cast<std::size_t>(p)], ptr[from + kPartBytes / 4 * p]);
  }
}

void Emitter::load_u8(const V16& to, const RegExp& from) {
  for (int p = 0; p < to.parts; ++p) {
    vpmovzxbd(to.part[static_cast<std::size_t>(p)], ptr[from + kPartBytes / 4 * p]);
  }
}

void Emitter::load_u8_pairs(const V16& to, const RegExp& from, int bits) {
  for (int p = 0; p < to.parts; ++p) {
    const Vec& v = to.part[static_cast<std::size_t>(p)];
    vpmovzxbw(v, ptr[from + kPartBytes / 2 * p]);
    if (bits > 0) vpsrlw(v, v, static_cast<std::uint8_t>(bits));
  }
}

// --- pairs of i16
// ----------------------------------------------------------------------------------------------------

void Emitter::dot_i16(const V16& acc, const V16& w, const V16& x, const V16& temp) {
  for (std::size_t p = 0; p < static_cast<std::size_t>(acc.parts); ++p) {
    if (isa_.has_dot()) {
      vpdpwssd(acc.part[p], w.part[p], x.part[0]);
    } else {
      vpmaddwd(temp.part[p], w.part[p], x.part[0]);
      vpaddd(acc.part[p], acc.part[p], temp.part[p]);
    }
  }
}

}  // namespace llamajit::jit
