#include "runtime/forward/step.h"

#include <cassert>
#include <cstring>

namespace llamajit {
namespace {

template <class T>
void add_at(std::byte* at, std::int64_t bytes) {
  T value;
  std::memcpy(&value, at, sizeof value);
  value += bytes;
  std::memcpy(at, &value, sizeof value);
}

}  // namespace

std::string_view to_string(Role role) {
  switch (role) {
    case Role::embed:
      return "embed";
    case Role::embedding_norm:
      return "embedding norm";
    case Role::att_output_norm:
      return "attention output norm";
    case Role::layer_output_norm:
      return "layer output norm";
    case Role::att_norm:
      return "attention norm";
    case Role::quantize:
      return "quantize";
    case Role::round:
      return "round to bf16";
    case Role::q:
      return "q";
    case Role::k:
      return "k";
    case Role::v:
      return "v";
    case Role::q_down:
      return "q, compressed";
    case Role::q_down_norm:
      return "norm compressed q";
    case Role::latent_norm:
      return "norm latent";
    case Role::absorb:
      return "absorb keys";
    case Role::raise:
      return "values of heads";
    case Role::place:
      return "place values of a head";
    case Role::q_norm:
      return "norm q";
    case Role::k_norm:
      return "norm k";
    case Role::rotate_q:
      return "rotate q";
    case Role::rotate_k:
      return "rotate k";
    case Role::append:
      return "append k, v";
    case Role::attention:
      return "attention";
    case Role::merge:
      return "merge attention";
    case Role::att_gate:
      return "gate of attention";
    case Role::gate:
      return "gate";
    case Role::delta_input:
      return "delta q, k, v";
    case Role::delta_decay:
      return "delta decay";
    case Role::delta_rate:
      return "delta rate";
    case Role::convolve:
      return "convolve";
    case Role::decay:
      return "decay and rate";
    case Role::delta:
      return "delta rule";
    case Role::delta_norm:
      return "delta norm";
    case Role::att_sub_norm:
      return "attention sub-norm";
    case Role::o:
      return "o";
    case Role::att_post_norm:
      return "attention post-norm";
    case Role::ffn_post_norm:
      return "feed-forward post-norm";
    case Role::cap:
      return "cap logits";
    case Role::ffn_norm:
      return "feed-forward norm";
    case Role::router_norm:
      return "router norm";
    case Role::expert_norm:
      return "experts' norm";
    case Role::expert_post_norm:
      return "experts' post-norm";
    case Role::shared_post_norm:
      return "shared post-norm";
    case Role::router:
      return "router";
    case Role::shared_router:
      return "gate of the shared expert";
    case Role::route:
      return "choice of experts";
    case Role::gather:
      return "gather experts' rows";
    case Role::shared_gate_up:
      return "shared gate, up";
    case Role::shared_down:
      return "shared down";
    case Role::mix:
      return "mix experts";
    case Role::gate_up:
      return "gate, up";
    case Role::ffn_sub_norm:
      return "feed-forward sub-norm";
    case Role::down:
      return "down";
    case Role::layer_inputs:
      return "layers' inputs";
    case Role::layer_input_norm:
      return "norm layers' inputs";
    case Role::token_norm:
      return "token norm";
    case Role::hidden_norm:
      return "hidden norm";
    case Role::input_projection:
      return "token and hidden";
    case Role::input_gate:
      return "gate of input";
    case Role::input_down:
      return "input down";
    case Role::input_norm:
      return "input post-norm";
    case Role::scale_stream:
      return "scale stream";
    case Role::v_norm:
      return "norm v";
    case Role::final_norm:
      return "final norm";
    case Role::classifier:
      return "classifier";
    case Role::argmax:
      return "argmax";
    case Role::softmax:
      return "softmax";
  }
  return "";
}

void Target::link() {
  if (kernel == nullptr) return;
  entry = kernel->entry;
  key = kernel->key_address();
}

void Program::link() {
  for (std::vector<Step>& steps : threads) {
    for (Step& step : steps) {
      step.target.link();
      if (step.calls == Calls::experts) step.experts->link();
    }
  }
}

RowArgs::RowArgs(const Step& step) : step_(step) {
  assert(step.args_bytes <= kMost);
  std::memcpy(bytes_, step.args, step.args_bytes);
}

void RowArgs::move(const RowMembers& members, std::int64_t to) {
  for (std::size_t i = 0; i < members.n_pointers; ++i) {
    const RowMembers::Pointer& pointer = members.pointers[i];
    add_at<std::intptr_t>(bytes_ + pointer.at, to * pointer.stride);
  }
}

void RowArgs::set_count(std::int64_t n) {
  if (step_.rows->count_at != RowMembers::kNone) std::memcpy(bytes_ + step_.rows->count_at, &n, sizeof n);
}

void RowArgs::set_units(const Deal::Range& units) {
  static_assert(sizeof units == 2 * sizeof(std::int64_t));
  std::memcpy(bytes_ + step_.rows->units_at, &units, sizeof units);
}

jit::AttentionArgs attention_args(const Step& step, std::int64_t row, std::int64_t head, std::int64_t heads) {
  const AttentionHeads& h = *step.heads;
  jit::AttentionArgs args = *static_cast<const jit::AttentionArgs*>(step.args);
  const std::int64_t floats = row * h.row_stride + head * h.head_stride;
  args.q += floats;
  args.out += floats;
  args.at += row;
  args.keys_at += head * h.keys_bytes;
  args.values_at += head * h.values_bytes;
  args.n_kv_heads = heads;
  if (args.sinks != nullptr) args.sinks += head * h.group;
  if (args.slopes != nullptr) args.slopes += head * h.group;
  return args;
}

void run(const Program& program, const Rows& rows, int thread, Team& team) {
  for (const Step& step : program.threads[static_cast<std::size_t>(thread)]) {
    if (step.is_barrier()) {
      team.barrier(thread);
    } else if (step.calls == Calls::one && step.exchange == nullptr) {
      step.target.call(step.args);
    } else {
      for_each_call(step, rows, thread, program.walks,
                    [](const Target& target, const void* args) { target.call(args); });
    }
  }
}

void run(Program& program, const Rows& rows, Team& team) {
  auto job = [&](int thread) { run(static_cast<const Program&>(program), rows, thread, team); };
  team.run(job);
  ++program.walks;
}

}  // namespace llamajit
