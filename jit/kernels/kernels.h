// The menu: every kernel. Each has a header with its Key (what is baked into its instructions), Args (what
// varies from call to call) and contract. `T16` below means a row count rounded up to whole tiles of 16;
// vectors are f32 unless said otherwise.
//
// One order of arithmetic. Each contract fixes the order in which floats are combined, always in steps of
// sixteen lanes, so that a kernel gives the same bits on every tier, for every split over threads, and in its
// scalar twin (twins/reference.h). "Sum over i, n ways" means n accumulators, number i % n taking term i,
// added as a balanced tree: (a0+a1)+(a2+a3).
#pragma once

#include <string>
#include <variant>

#include "jit/kernels/argmax.h"
#include "jit/kernels/attention.h"
#include "jit/kernels/cap.h"
#include "jit/kernels/conv.h"
#include "jit/kernels/copy.h"
#include "jit/kernels/decay.h"
#include "jit/kernels/delta.h"
#include "jit/kernels/embed.h"
#include "jit/kernels/gate.h"
#include "jit/kernels/kv_append.h"
#include "jit/kernels/lesson_keys.h"
#include "jit/kernels/matmul.h"
#include "jit/kernels/matvec.h"
#include "jit/kernels/mix.h"
#include "jit/kernels/norm.h"
#include "jit/kernels/quantize.h"
#include "jit/kernels/rope.h"
#include "jit/kernels/route.h"
#include "jit/kernels/softmax.h"

namespace llamajit::jit {

using KernelKey =
    std::variant<EmbedKey, NormKey, QuantizeKey, RoundKey, MatvecKey, MatmulKey, RopeKey, KvAppendKey,
                 AttentionKey, AttentionRangesKey, AttentionMergeKey, SoftmaxKey, CapKey, ArgmaxKey, RouteKey,
                 MixKey, CopyKey, ConvKey, DecayKey, DeltaKey, GateKey, LessonAddKey, LessonDotKey,
                 LessonAttentionKey, LessonFeedForwardKey, LessonOneBitKey, LessonExpertsKey, LessonStateKey>;

// "matvec_int8_64_768x288_swiglu": a C identifier, the same on every tier; debuggers and dumps show it.
std::string kernel_name(const KernelKey& key);
// "(768, 288)": for tables.
std::string kernel_shape(const KernelKey& key);

}  // namespace llamajit::jit
