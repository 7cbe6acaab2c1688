// From keys to callable kernels: each key is generated once, and all code of a model is published together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "jit/base/isa.h"
#include "jit/code/executable_memory.h"
#include "jit/emit/annotations.h"
#include "jit/kernels/kernels.h"

namespace llamajit::jit {

// All kernels are called alike. Generated code ignores the key (it was baked in); a scalar twin reads it.
using KernelEntry = void (*)(const void* args, const void* key);

struct KernelInfo {
  KernelKey key;
  std::string name;
  KernelEntry entry = nullptr;  // set by publish()
  std::size_t offset = 0;       // of its code within the published code
  std::size_t size = 0;         // bytes of code and constants; 0 on the scalar tier

  const void* key_address() const {
    return std::visit([](const auto& k) -> const void* { return &k; }, key);
  }
};

// A kernel to call; valid after publish() for as long as the cache lives.
template <class Args>
class Kernel {
 public:
  Kernel() = default;
  explicit Kernel(const KernelInfo& info) : info_(&info) {}
  void operator()(const Args& args) const { info_->entry(&args, info_->key_address()); }
  const KernelInfo& info() const { return *info_; }

 private:
  const KernelInfo* info_ = nullptr;
};

class CodeCache {
 public:
  explicit CodeCache(Isa isa);

  // Generates the kernel unless the cache has it. Not after publish(). Throws std::runtime_error that names
  // the kernel if its code can't be generated.
  template <class Key>
  Kernel<typename Key::Args> get(const Key& key) {
    return Kernel<typename Key::Args>(find_or_generate(key));
  }
  // Makes everything callable. With `breakpoints`, debuggers may stop in it.
  void publish(bool breakpoints = false);

  Isa isa() const { return isa_; }
  const std::deque<KernelInfo>& kernels() const { return kernels_; }
  std::size_t code_bytes() const { return code_.size(); }
  double emit_ms() const { return emit_ms_; }  // spent generating and publishing
  // Where the code runs; nullptr before publish(), and where there is none.
  const std::uint8_t* address() const { return memory_.data(); }
  // The code of all kernels, in order; each starts at a multiple of 64 bytes.
  const std::vector<std::uint8_t>& code() const { return code_; }

 private:
  const KernelInfo& find_or_generate(const KernelKey& key);

  Isa isa_;
  std::deque<KernelInfo> kernels_;  // addresses stay
  std::map<KernelKey, KernelInfo*> by_key_;
  std::vector<std::uint8_t> code_;
  ExecutableMemory memory_;
  double emit_ms_ = 0;
};

// The code of one kernel for any tier that generates, also one that this CPU lacks; always the same. With
// `annotations`, the emitter says there what it does.
std::vector<std::uint8_t> generate_code(Isa isa, const KernelKey& key, Annotations* annotations = nullptr);

// Runs the scalar twin.
void run_reference(const KernelKey& key, const void* args);

}  // namespace llamajit::jit
