#include "jit/inspect/gdb.h"

#include <fstream>
#include <mutex>
#include <string>
#include <utility>

// The names and layouts are gdb's (its manual, "JIT Compilation Interface"). Weak, so that a program may hold
// another JIT compiler that brings them too; they share the list then. Exported by name, as gdb looks for
// them also in programs whose symbols were stripped (jit/CMakeLists.txt).
// NOLINTBEGIN(readability-identifier-naming, bugprone-reserved-identifier)
extern "C" {

struct jit_code_entry {
  jit_code_entry* next_entry;
  jit_code_entry* prev_entry;
  const std::uint8_t* symfile_addr;
  std::uint64_t symfile_size;
};

enum : std::uint32_t { JIT_NOACTION = 0, JIT_REGISTER_FN, JIT_UNREGISTER_FN };

struct jit_descriptor {
  std::uint32_t version;
  std::uint32_t action_flag;
  jit_code_entry* relevant_entry;
  jit_code_entry* first_entry;
};

[[gnu::weak, gnu::used, gnu::visibility("default")]] jit_descriptor __jit_debug_descriptor = {
    1, JIT_NOACTION, nullptr, nullptr};

// gdb has a breakpoint here.
[[gnu::weak, gnu::used, gnu::noinline, gnu::visibility("default")]] void __jit_debug_register_code() {
  asm volatile("" ::: "memory");
}
}
// NOLINTEND(readability-identifier-naming, bugprone-reserved-identifier)

namespace llamajit::jit::inspect {
namespace {

std::mutex list_mutex;

void tell_gdb(std::uint32_t action, jit_code_entry* entry) {
  __jit_debug_descriptor.action_flag = action;
  __jit_debug_descriptor.relevant_entry = entry;
  __jit_debug_register_code();
  __jit_debug_descriptor.action_flag = JIT_NOACTION;
  __jit_debug_descriptor.relevant_entry = nullptr;
}

}  // namespace

struct GdbRegistration::Entry : jit_code_entry {
  std::vector<std::uint8_t> image;
};

GdbRegistration::GdbRegistration(std::vector<std::uint8_t> image) : entry_(std::make_unique<Entry>()) {
  entry_->image = std::move(image);
  entry_->symfile_addr = entry_->image.data();
  entry_->symfile_size = entry_->image.size();
  const std::lock_guard lock(list_mutex);
  jit_code_entry*& first = __jit_debug_descriptor.first_entry;
  entry_->prev_entry = nullptr;
  entry_->next_entry = first;
  if (first != nullptr) first->prev_entry = entry_.get();
  first = entry_.get();
  tell_gdb(JIT_REGISTER_FN, entry_.get());
}

GdbRegistration::~GdbRegistration() {
  const std::lock_guard lock(list_mutex);
  if (entry_->prev_entry != nullptr) {
    entry_->prev_entry->next_entry = entry_->next_entry;
  } else {
    __jit_debug_descriptor.first_entry = entry_->next_entry;
  }
  if (entry_->next_entry != nullptr) entry_->next_entry->prev_entry = entry_->prev_entry;
  tell_gdb(JIT_UNREGISTER_FN, entry_.get());
}

void dump_private_mappings() {
  // core(5), "Controlling which mappings are written to the core dump"
  constexpr unsigned long kPrivateFileMappings = 1U << 2;
  unsigned long filter = 0;
  std::fstream file("/proc/self/coredump_filter");
  if (!(file >> std::hex >> filter)) return;
  file.seekp(0);
  file << "0x" << std::hex << (filter | kPrivateFileMappings) << std::flush;
}

bool debugger_attached() {
  constexpr std::string_view kField = "TracerPid:\t";
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(kField)) return line.substr(kField.size()) != "0";
  }
  return false;
}

}  // namespace llamajit::jit::inspect
