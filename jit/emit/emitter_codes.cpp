// Integer codes: taking them apart, and the dot product of pairs.
#include <algorithm>

#include "jit/emit/emitter.h"

namespace llamajit::jit {

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

void Emitter::load_table(const V16& to, std::span<const std::uint8_t, 16> bytes) {
  std::copy(bytes.begin(), bytes.end(), table_.emplace().begin());
  if (isa_.wide()) {
    vbroadcasti32x4(Xbyak::Zmm(to.part[0].getIdx()), ptr[rip + table_label_]);
  } else {
    vbroadcasti128(ymm_of(to.part[0]), ptr[rip + table_label_]);
  }
}

void Emitter::look_up(const V16& to, const V16& table) {
  for (std::size_t p = 0; p < static_cast<std::size_t>(to.parts); ++p) {
    vpshufb(to.part[p], table.part[p], to.part[p]);
  }
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
