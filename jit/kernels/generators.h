// Emits each kernel's code; one file for each kernel. The contracts are in kernels.h.
#pragma once

#include "jit/emit/emitter.h"
#include "jit/kernels/kernels.h"

namespace llamajit::jit {

void generate(Emitter& e, const EmbedKey& key);
void generate(Emitter& e, const NormKey& key);
void generate(Emitter& e, const QuantizeKey& key);
void generate(Emitter& e, const RoundKey& key);
void generate(Emitter& e, const MatvecKey& key);
void generate(Emitter& e, const MatmulKey& key);
void generate(Emitter& e, const RopeKey& key);
void generate(Emitter& e, const KvAppendKey& key);
void generate(Emitter& e, const AttentionKey& key);
void generate(Emitter& e, const AttentionRangesKey& key);
void generate(Emitter& e, const AttentionMergeKey& key);
void generate(Emitter& e, const SoftmaxKey& key);
void generate(Emitter& e, const CapKey& key);
void generate(Emitter& e, const ArgmaxKey& key);
void generate(Emitter& e, const RouteKey& key);
void generate(Emitter& e, const MixKey& key);
void generate(Emitter& e, const CopyKey& key);
void generate(Emitter& e, const ConvKey& key);
void generate(Emitter& e, const DecayKey& key);
void generate(Emitter& e, const DeltaKey& key);
void generate(Emitter& e, const GateKey& key);
void generate(Emitter& e, const LessonAddKey& key);
void generate(Emitter& e, const LessonDotKey& key);
void generate(Emitter& e, const LessonAttentionKey& key);
void generate(Emitter& e, const LessonFeedForwardKey& key);
void generate(Emitter& e, const LessonOneBitKey& key);
void generate(Emitter& e, const LessonExpertsKey& key);
void generate(Emitter& e, const LessonStateKey& key);

}  // namespace llamajit::jit
