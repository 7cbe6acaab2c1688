// Holds generated kernels against their scalar twins: the same bits on every tier the host has, or a NaN where the twin has
// one, at both edges of guarded memory, with the ABI kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

#include "jit/base/isa.h"
#include "jit/code/code_cache.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/sanitized.h"

namespace llamajit::test {

// The tiers of this host that have generated code, but for tiles.
std::vector<jit::Tier> generating_host_tiers();

// All memory of one call. Made once for the twin and once for each run of generated code, from the same seed,
// so that afterwards all of it, inputs and unwritten outputs included, must be equal.
class CallMemory {
 public:
  // `isa` is the tier of the kernel that is called, scalar for the twin.
  CallMemory(Edge edge, std::uint64_t seed, jit::Isa isa = {}) : edge_(edge), random_(seed), isa_(isa) {}

  // `name` is what messages call it.
  template <class T>
  T* copy_of(std::string name, const std::vector<T>& values) {
    T* to = allocate<T>(std::move(name), values.size());
    std::copy(values.begin(), values.end(), to);
    return to;
  }
  float* uniform(std::string name, std::size_t count, float low = -1.0F, float high = 1.0F) {
    return copy_of(std::move(name), random_floats(count, low, high));
  }
  // The same for values with addresses of this memory in them, which the twin's have not: what must be equal
  // afterwards is what they were.
  template <class T>
  T* addresses(std::string name, const std::vector<T>& values) {
    T* to = scratch<T>(std::move(name), values.size());
    std::copy(values.begin(), values.end(), to);
    const auto bytes = buffers_.back().memory.span();
    buffers_.back().kept.assign(bytes.begin(), bytes.end());
    return to;
  }
  // Not initialised but with poison.
  template <class T>
  T* allocate(std::string name, std::size_t count) {
    T* const to = reinterpret_cast<T*>(add(std::move(name), count * sizeof(T), sizeof(T), true));
    buffers_.back().has_floats = std::is_same_v<T, float>;
    return to;
  }
  // Whose contents after the call are nobody's concern.
  template <class T = float>
  T* scratch(std::string name, std::size_t count) {
    return reinterpret_cast<T*>(add(std::move(name), count * sizeof(T), sizeof(T), false));
  }

  std::vector<float> random_floats(std::size_t count, float low = -1.0F, float high = 1.0F);
  std::vector<std::byte> random_bytes(std::size_t count);
  std::mt19937_64& random() { return random_; }
  jit::Isa isa() const { return isa_; }  // what scratch may depend on, and nothing else

  // The contents of the buffer with that name.
  template <class T>
  std::span<const T> view(std::string_view name) const {
    const std::span<const std::byte> bytes = find(name);
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }

  // The first difference from the twin's memory, or write outside a buffer; "" if there is none.
  std::string difference(const CallMemory& twin) const;

 private:
  struct Buffer {
    std::string name;
    GuardedBuffer<std::byte> memory;
    std::size_t value_size;
    bool compared;                     // with the twin's
    bool has_floats = false;           // of which one NaN is as good as another
    std::vector<std::byte> kept = {};  // what it must hold afterwards, where that is not the twin's
  };
  std::byte* add(std::string name, std::size_t bytes, std::size_t value_size, bool compared);
  std::span<const std::byte> find(std::string_view name) const;

  Edge edge_;
  std::mt19937_64 random_;
  jit::Isa isa_;
  std::vector<Buffer> buffers_;
};

template <class Args>
std::vector<std::byte> args_bytes(const Args& args) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&args);
  return {bytes, bytes + sizeof args};
}

// Fills memory with a call's inputs and returns its Args, as bytes.
using MakeCall = std::function<std::vector<std::byte>(CallMemory&)>;

// Makes the call on fresh memory and says how it differs from its twin or what of the ABI it broke; "" if
// nothing. `context` is printed should the call fault.
std::string run_and_compare(jit::KernelEntry entry, Edge edge, std::uint64_t seed, const MakeCall& make,
                            const CallMemory& twin, const std::string& context, jit::Isa isa = {});

// One key's kernel on every generating tier of the host, with tiles emulated, and on those once whose code is the same.
class KernelUnderTest {
 public:
  explicit KernelUnderTest(jit::KernelKey key);

  // An emulated instruction takes 15 us: grids leave out part of their shapes.
  void leave_out_tiles() {
    std::erase_if(tiers_, [](const OnTier& on) { return jit::Isa{on.tier}.has_tiles(); });
  }

  // Runs the twin, then each tier's kernel at both edges and twice at one, and compares. `what` names this
  // call among those of one key. Returns the twin's memory.
  std::unique_ptr<CallMemory> check_bytes(std::uint64_t seed, const std::string& what, const MakeCall& make);

 private:
  struct OnTier {
    jit::Tier tier;
    std::unique_ptr<jit::CodeCache> cache;
  };
  void run_on(const OnTier& on, Edge edge, std::uint64_t seed, const std::string& what, const MakeCall& make,
              const CallMemory& twin) const;

  jit::KernelKey key_;
  std::vector<OnTier> tiers_;
};

template <class Key>
class Kernels : public KernelUnderTest {
 public:
  explicit Kernels(const Key& key) : KernelUnderTest(key) {}

  // As check_bytes(), with make(memory) returning Key::Args.
  template <class Make>
  std::unique_ptr<CallMemory> check(std::uint64_t seed, const std::string& what, Make make) {
    return check_bytes(seed, what, [&](CallMemory& memory) { return args_bytes(make(memory)); });
  }
};

template <class Key>
Kernels(const Key&) -> Kernels<Key>;

// Fails unless |actual - expected| <= bound at every index; for holding twins against plain mathematics.
void expect_within(std::string_view what, std::span<const float> actual, std::span<const double> expected,
                   std::span<const double> bounds);

inline constexpr double kEps = 0x1p-24;  // half an ulp of 1: the relative error of one rounding to float

}  // namespace llamajit::test
