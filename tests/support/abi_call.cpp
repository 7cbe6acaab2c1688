#include "tests/support/abi_call.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <fmt/format.h>

namespace llamajit::test {
namespace {

// The thunk reads and writes these; it knows the offsets.
struct Frame {
  const void* entry;              // 0
  const void* args;               // 8
  const void* key;                // 16
  std::uint64_t vector_bits;      // 24: 0, 256 or 512
  std::uint64_t rsp_before;       // 32
  std::uint64_t rsp_after;        // 40
  std::uint64_t callee_saved[6];  // 48: rbx, rbp, r12..r15 after the call
  std::uint64_t rflags;           // 96
  std::uint32_t mxcsr_before;     // 104
  std::uint32_t mxcsr_after;      // 108
  std::uint16_t x87_before;       // 112
  std::uint16_t x87_after;        // 114
  std::uint8_t unused[12];        // 116
  std::uint8_t poison[64];        // 128
  std::uint8_t vectors[16][64];   // 192: vector registers 0..15 after the call
};
static_assert(offsetof(Frame, callee_saved) == 48 && offsetof(Frame, mxcsr_before) == 104);
static_assert(offsetof(Frame, poison) == 128 && offsetof(Frame, vectors) == 192);

constexpr const char* kCalleeSavedNames[6] = {"rbx", "rbp", "r12", "r13", "r14", "r15"};
constexpr std::uint64_t kPoison = 0x7FA00BADFFC0DEADULL;  // two NaNs
// As the thunk loads them.
constexpr std::uint64_t kCalleeSavedValue = 0x5AFE5AFE00000000ULL;

constexpr std::uint32_t kMxcsrControl = 0xFFC0;  // the low six bits record exceptions; those may change
constexpr std::uint64_t kDirectionFlag = 0x400;

}  // namespace

extern "C" void llamajit_abi_thunk(Frame* frame);

// The frame's address is kept in memory, as after the call no register but rip can be relied on.
asm(R"(
  .intel_syntax noprefix
  .local llamajit_abi_frame
  .comm llamajit_abi_frame, 8, 8
  .text
  .p2align 4
  .type llamajit_abi_thunk, @function
llamajit_abi_thunk:
  endbr64
  push rbx
  push rbp
  push r12
  push r13
  push r14
  push r15
  sub rsp, 8
  mov qword ptr [rip + llamajit_abi_frame], rdi
  mov [rdi + 32], rsp
  stmxcsr [rdi + 104]
  fnstcw [rdi + 112]

  cmp qword ptr [rdi + 24], 256
  jb 2f
  je 1f
  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
  vmovups zmm\n, [rdi + 128]
  .endr
  mov rax, [rdi + 128]
  .irp n, 1,2,3,4,5,6,7
  kmovd k\n, eax
  .endr
  jmp 2f
1:
  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
  vmovups ymm\n, [rdi + 128]
  .endr
2:
  movabs rbx, 0x5AFE5AFE00000000
  lea rbp, [rbx + 1]
  lea r12, [rbx + 2]
  lea r13, [rbx + 3]
  lea r14, [rbx + 4]
  lea r15, [rbx + 5]
  mov rax, [rdi + 128]
  mov rcx, rax
  mov rdx, rax
  mov r8, rax
  mov r9, rax
  mov r10, rax
  mov r11, rdi
  mov rsi, [rdi + 16]
  mov rdi, [rdi + 8]
  call [r11]

  mov r11, qword ptr [rip + llamajit_abi_frame]
  mov [r11 + 40], rsp
  mov rsp, [r11 + 32]
  pushfq
  pop qword ptr [r11 + 96]
  cld
  mov [r11 + 48], rbx
  mov [r11 + 56], rbp
  mov [r11 + 64], r12
  mov [r11 + 72], r13
  mov [r11 + 80], r14
  mov [r11 + 88], r15
  stmxcsr [r11 + 108]
  ldmxcsr [r11 + 104]
  fnstcw [r11 + 114]
  fldcw [r11 + 112]

  cmp qword ptr [r11 + 24], 256
  jb 4f
  je 3f
  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
  vmovups [r11 + 192 + 64 * \n], zmm\n
  .endr
  vzeroupper
  jmp 4f
3:
  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
  vmovups [r11 + 192 + 64 * \n], ymm\n
  .endr
  vzeroupper
4:
  add rsp, 8
  pop r15
  pop r14
  pop r13
  pop r12
  pop rbp
  pop rbx
  ret
  .size llamajit_abi_thunk, . - llamajit_abi_thunk
  .att_syntax
)");

std::string abi_call(jit::KernelEntry entry, const void* args, const void* key) {
  Frame frame{};
  frame.entry = reinterpret_cast<const void*>(entry);
  frame.args = args;
  frame.key = key;
  frame.vector_bits = __builtin_cpu_supports("avx512bw") ? 512 : __builtin_cpu_supports("avx") ? 256 : 0;
  for (std::size_t i = 0; i < sizeof frame.poison; i += sizeof kPoison) {
    std::memcpy(frame.poison + i, &kPoison, sizeof kPoison);
  }
  llamajit_abi_thunk(&frame);

  std::string broken;
  const auto report = [&](std::string_view what) {
    broken += fmt::format("{}{}", broken.empty() ? "" : ", ", what);
  };
  for (std::size_t i = 0; i < 6; ++i) {
    if (frame.callee_saved[i] != kCalleeSavedValue + i) report(kCalleeSavedNames[i]);
  }
  if (frame.rsp_after != frame.rsp_before) report("rsp");
  if ((frame.rflags & kDirectionFlag) != 0) report("direction flag");
  if (((frame.mxcsr_after ^ frame.mxcsr_before) & kMxcsrControl) != 0) report("mxcsr");
  if (frame.x87_after != frame.x87_before) report("x87 control word");
  for (std::size_t i = 0; i < 16; ++i) {
    static constexpr std::uint8_t kZeros[48] = {};
    if (std::memcmp(frame.vectors[i] + 16, kZeros, sizeof kZeros) != 0)
      report(fmt::format("upper part of ymm{}", i));
  }
  return broken;
}

}  // namespace llamajit::test
