// The checks themselves are checked, with machine code that is wrong in one way each.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jit/code/executable_memory.h"
#include "tests/support/abi_call.h"
#include "tests/support/kernel_check.h"

namespace llamajit::test::harness_test {
namespace {

using jit::ExecutableMemory;
using jit::NormArgs;
using testing::HasSubstr;
using testing::StartsWith;

using Code = std::vector<std::uint8_t>;

// Machine code that can be called.
class Function {
 public:
  explicit Function(Code code) : memory_(code) {}
  jit::KernelEntry entry() const {
    return reinterpret_cast<jit::KernelEntry>(reinterpret_cast<std::uintptr_t>(memory_.data()));
  }

 private:
  ExecutableMemory memory_;
};

// Returns what abi_call() says of `code` followed by vzeroupper, ret.
std::string abi_report(Code code) {
  code.insert(code.end(), {0xC5, 0xF8, 0x77, 0xC3});
  return abi_call(Function(code).entry(), nullptr, nullptr);
}

class Harness : public testing::Test {
 protected:
  void SetUp() override {
    if (generating_host_tiers().empty()) GTEST_SKIP() << "this CPU has no AVX2";
  }
};

TEST_F(Harness, AFunctionThatKeepsTheAbiPasses) {
  EXPECT_EQ(abi_report({}), "");
}

TEST_F(Harness, CalleeSavedRegisters) {
  EXPECT_EQ(abi_report({0x31, 0xDB}), "rbx");        // xor ebx, ebx
  EXPECT_EQ(abi_report({0x31, 0xED}), "rbp");        // xor ebp, ebp
  EXPECT_EQ(abi_report({0x45, 0x31, 0xE4}), "r12");  // xor r12d, r12d
  EXPECT_EQ(abi_report({0x45, 0x31, 0xED}), "r13");
  EXPECT_EQ(abi_report({0x45, 0x31, 0xF6}), "r14");
  EXPECT_EQ(abi_report({0x45, 0x31, 0xFF, 0x31, 0xDB}), "rbx, r15");
}

TEST_F(Harness, StackPointer) {
  EXPECT_EQ(abi_report({0xC5, 0xF8, 0x77, 0xC2, 0x08, 0x00}), "rsp");  // vzeroupper; ret 8
}

TEST_F(Harness, DirectionFlag) {
  EXPECT_EQ(abi_report({0xFD}), "direction flag");  // std
}

TEST_F(Harness, ControlWords) {
  // push 0x9F80; ldmxcsr [rsp]; pop rax: flushes subnormals to zero
  EXPECT_EQ(abi_report({0x68, 0x80, 0x9F, 0x00, 0x00, 0x0F, 0xAE, 0x14, 0x24, 0x58}), "mxcsr");
  // push 0x027F; fldcw [rsp]; pop rax: rounds to double
  EXPECT_EQ(abi_report({0x68, 0x7F, 0x02, 0x00, 0x00, 0xD9, 0x2C, 0x24, 0x58}), "x87 control word");
}

TEST_F(Harness, WhatAFunctionBrokeIsMendedForTheNext) {
  abi_report({0xFD});
  abi_report({0x68, 0x80, 0x9F, 0x00, 0x00, 0x0F, 0xAE, 0x14, 0x24, 0x58});
  EXPECT_EQ(abi_report({}), "");
}

TEST_F(Harness, DirtyUpperHalves) {
  // A bare ret: the poison is still there, which shows also that it was.
  EXPECT_THAT(abi_call(Function({0xC3}).entry(), nullptr, nullptr),
              testing::AllOf(HasSubstr("upper part of ymm0"), HasSubstr("upper part of ymm15")));
}

// A "kernel" that copies four floats from x to out, then does something wrong; its twin does the first only.
class WrongCopy : public Harness {
 protected:
  static std::string report(Edge edge, const Code& wrong) {
    const MakeCall make = [](CallMemory& memory) {
      const float* x = memory.uniform("x", 4);
      return args_bytes(NormArgs{x, nullptr, memory.allocate<float>("out", 4)});
    };
    CallMemory twin(Edge::back, 1);
    make(twin);
    std::ranges::copy(twin.view<float>("x"), const_cast<float*>(twin.view<float>("out").data()));
    Code code = {0x48, 0x8B, 0x07,        // mov rax, [rdi]
                 0x48, 0x8B, 0x4F, 0x10,  // mov rcx, [rdi + 16]
                 0xC5, 0xF8, 0x10, 0x00,  // vmovups xmm0, [rax]
                 0xC5, 0xF8, 0x11, 0x01,  // vmovups [rcx], xmm0
                 0xC5, 0xF8, 0x77};       // vzeroupper
    code.insert(code.end(), wrong.begin(), wrong.end());
    code.push_back(0xC3);
    return run_and_compare(Function(code).entry(), edge, 1, make, twin, "a wrong copy");
  }
  static inline const Code kWriteAfter = {0xC7, 0x41, 0x10, 0x00,
                                          0x00, 0x00, 0x00};  // mov dword [rcx + 16], 0
  static inline const Code kWriteBefore = {0xC7, 0x41, 0xFC, 0x00,
                                           0x00, 0x00, 0x00};  // mov dword [rcx - 4], 0
  static inline const Code kReadAfter = {0x8B, 0x50, 0x10};    // mov edx, [rax + 16]
  static inline const Code kReadBefore = {0x8B, 0x50, 0xFC};   // mov edx, [rax - 4]
};

TEST_F(WrongCopy, PassesIfNothingIsWrong) {
  EXPECT_EQ(report(Edge::front, {}), "");
  EXPECT_EQ(report(Edge::back, {}), "");
}

TEST_F(WrongCopy, OneLaneIsWrong) {
  // xor dword [rcx + 8], 1
  EXPECT_THAT(report(Edge::back, {0x83, 0x71, 0x08, 0x01}), StartsWith("out[2] is 0x"));
}

TEST_F(WrongCopy, AnInputIsOverwritten) {
  // xor dword [rax + 12], 1
  EXPECT_THAT(report(Edge::back, {0x83, 0x70, 0x0C, 0x01}), StartsWith("x[3] is 0x"));
}

TEST_F(WrongCopy, WritesIntoTheSlack) {
  EXPECT_THAT(report(Edge::front, kWriteAfter), StartsWith("wrote outside out: 16 bytes from its start"));
  EXPECT_THAT(report(Edge::back, kWriteBefore), StartsWith("wrote outside out: -4 bytes from its start"));
}

TEST_F(WrongCopy, BothFaultsAreNamed) {
  // xor dword [rcx], 1; xor ebx, ebx
  EXPECT_THAT(report(Edge::back, {0x83, 0x31, 0x01, 0x31, 0xDB}),
              testing::AllOf(StartsWith("out[0]"), HasSubstr("clobbered: rbx")));
}

// Memory with addresses in it is not what the twin's is, but stays what it was.
TEST_F(Harness, AddressesMayDifferButMustBeKept) {
  const MakeCall make = [](CallMemory& memory) {
    const float* x = memory.uniform("x", 4);
    return args_bytes(memory.addresses("table", std::vector{x, x + 1}));
  };
  CallMemory twin(Edge::back, 1);
  make(twin);
  const auto report = [&](const Code& code) {
    return run_and_compare(Function(code).entry(), Edge::back, 1, make, twin, "what has a table");
  };
  EXPECT_EQ(report({0xC5, 0xF8, 0x77, 0xC3}), "");  // vzeroupper; ret
  // mov rax, [rdi]; xor byte [rax + 8], 1; vzeroupper; ret
  EXPECT_THAT(report({0x48, 0x8B, 0x07, 0x80, 0x70, 0x08, 0x01, 0xC5, 0xF8, 0x77, 0xC3}),
              testing::AllOf(StartsWith("table[1] is 0x"), HasSubstr("it was")));
}

using WrongCopyDeathTest = WrongCopy;

TEST_F(WrongCopyDeathTest, ReadsOrWritesBeyondTheGuardedEdge) {
  EXPECT_DEATH(report(Edge::back, kReadAfter), "access violation in a wrong copy");
  EXPECT_DEATH(report(Edge::front, kReadBefore), "access violation in a wrong copy");
  EXPECT_DEATH(report(Edge::back, kWriteAfter), "access violation in a wrong copy");
  EXPECT_DEATH(report(Edge::front, kWriteBefore), "access violation in a wrong copy");
}

TEST(GuardedBuffer, AMisalignedFrontStillSeesWritesBeforeIt) {
  const GuardedBuffer<float> buffer(5, Edge::front, 1);
  EXPECT_EQ(buffer.touched_slack(), std::nullopt);
  reinterpret_cast<std::uint8_t*>(buffer.data())[-1] = 0;
  EXPECT_EQ(buffer.touched_slack(), -1);
}

TEST(GuardedBuffer, MayBeEmpty) {
  EXPECT_EQ(GuardedBuffer<float>(0, Edge::back).touched_slack(), std::nullopt);
}

}  // namespace
}  // namespace llamajit::test::harness_test
