// The scalar twin of each kernel: the specification, and what the scalar tier runs. Each does exactly what
// its contract in kernels.h says, in that order, so generated code must match it bit for bit.
#pragma once

#include "jit/kernels/kernels.h"

namespace llamajit::jit {

void reference(const EmbedKey& key, const EmbedArgs& args);
void reference(const NormKey& key, const NormArgs& args);
void reference(const QuantizeKey& key, const QuantizeArgs& args);
void reference(const RoundKey& key, const QuantizeArgs& args);
void reference(const MatvecKey& key, const MatvecArgs& args);
void reference(const MatmulKey& key, const MatmulArgs& args);
void reference(const RopeKey& key, const RopeArgs& args);
void reference(const KvAppendKey& key, const KvAppendArgs& args);
void reference(const AttentionKey& key, const AttentionArgs& args);
void reference(const AttentionRangesKey& key, const AttentionRangesArgs& args);
void reference(const AttentionMergeKey& key, const AttentionMergeArgs& args);
void reference(const SoftmaxKey& key, const SoftmaxArgs& args);
void reference(const CapKey& key, const CapArgs& args);
void reference(const ArgmaxKey& key, const ArgmaxArgs& args);
void reference(const RouteKey& key, const RouteArgs& args);
void reference(const MixKey& key, const MixArgs& args);
void reference(const CopyKey& key, const CopyArgs& args);
void reference(const ConvKey& key, const ConvArgs& args);
void reference(const DecayKey& key, const DecayArgs& args);
void reference(const DeltaKey& key, const DeltaArgs& args);
void reference(const GateKey& key, const GateArgs& args);
void reference(const LessonAddKey& key, const LessonAddArgs& args);
void reference(const LessonDotKey& key, const LessonDotArgs& args);
void reference(const LessonAttentionKey& key, const LessonAttentionArgs& args);
void reference(const LessonFeedForwardKey& key, const LessonFeedForwardArgs& args);
void reference(const LessonOneBitKey& key, const LessonOneBitArgs& args);
void reference(const LessonExpertsKey& key, const LessonExpertsArgs& args);
void reference(const LessonStateKey& key, const LessonStateArgs& args);

}  // namespace llamajit::jit
