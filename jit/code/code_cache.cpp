#include "jit/code/code_cache.h"

#include <cassert>
#include <chrono>
#include <memory>
#include <new>
#include <stdexcept>

#include <fmt/format.h>

#include "jit/emit/emitter.h"
#include "jit/kernels/generators.h"
#include "jit/twins/reference.h"

namespace llamajit::jit {
namespace {

constexpr std::size_t kAlignment = 64;  // of kernels, so of their constants too
constexpr std::size_t kMaxKernelBytes = std::size_t{1} << 20;

struct AlignedDelete {
  void operator()(std::uint8_t* p) const { ::operator delete[](p, std::align_val_t{kAlignment}); }
};

// Memory to emit into; its pages are touched only as far as kernels are long.
std::span<std::uint8_t> emission_buffer() {
  thread_local const std::unique_ptr<std::uint8_t[], AlignedDelete> buffer(new (std::align_val_t{kAlignment})
                                                                               std::uint8_t[kMaxKernelBytes]);
  return {buffer.get(), kMaxKernelBytes};
}

// Adds its lifetime to a sum of milliseconds.
class Stopwatch {
 public:
  explicit Stopwatch(double& ms) : ms_(ms) {}
  ~Stopwatch() { ms_ += std::chrono::duration<double, std::milli>(Clock::now() - start_).count(); }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  double& ms_;
  Clock::time_point start_ = Clock::now();
};

template <class Key>
KernelEntry reference_entry(const Key&) {
  return [](const void* args, const void* key) {
    reference(*static_cast<const Key*>(key), *static_cast<const typename Key::Args*>(args));
  };
}

}  // namespace

std::vector<std::uint8_t> generate_code(Isa isa, const KernelKey& key, Annotations* annotations) {
  assert(isa.generates());
  try {
    Emitter emitter(isa, emission_buffer(), annotations);
    std::visit([&](const auto& k) { generate(emitter, k); }, key);
    return {emitter.getCode(), emitter.getCode() + emitter.getSize()};
  } catch (const Xbyak::Error& error) {
    throw std::runtime_error(
        fmt::format("{} for {}: {}", kernel_name(key), to_string(isa.tier), error.what()));
  }
}

void run_reference(const KernelKey& key, const void* args) {
  std::visit([&]<class Key>(const Key& k) { reference(k, *static_cast<const typename Key::Args*>(args)); },
             key);
}

CodeCache::CodeCache(Isa isa) : isa_(isa) {}

const KernelInfo& CodeCache::find_or_generate(const KernelKey& key) {
  if (const auto known = by_key_.find(key); known != by_key_.end()) return *known->second;
  assert(memory_.data() == nullptr);
  const Stopwatch stopwatch(emit_ms_);
  KernelInfo& info = kernels_.emplace_back();
  info.key = key;
  info.name = kernel_name(key);
  by_key_[key] = &info;
  if (!isa_.generates()) {
    info.entry = std::visit([](const auto& k) { return reference_entry(k); }, key);
    return info;
  }
  const std::vector<std::uint8_t> code = generate_code(isa_, key);
  info.offset = code_.size();
  info.size = code.size();
  code_.insert(code_.end(), code.begin(), code.end());
  code_.resize(static_cast<std::size_t>(round_up(static_cast<std::int64_t>(code_.size()), kAlignment)), 0xCC);
  return info;
}

void CodeCache::publish(bool breakpoints) {
  if (!isa_.generates()) return;
  const Stopwatch stopwatch(emit_ms_);
  memory_ = ExecutableMemory(code_, breakpoints);
  for (KernelInfo& info : kernels_) {
    // The one place where bytes become a function.
    info.entry =
        reinterpret_cast<KernelEntry>(reinterpret_cast<std::uintptr_t>(memory_.data() + info.offset));
  }
}

}  // namespace llamajit::jit
