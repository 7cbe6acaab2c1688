#include "runtime/model/model_file.h"

#include <algorithm>
#include <functional>

namespace llamajit {

jit::SourceMatrix source(const Tensor& tensor) {
  const std::int64_t rows = tensor.block == 0 ? tensor.rows : tensor.row_at(tensor.rows - 1) + 1;
  return {tensor.format, rows, tensor.cols, tensor.data, tensor.scales};
}

std::int64_t rotated_row(const LayerShape& shape, std::int64_t row) {
  if (shape.rope.pairs == RopeConfig::Pairs::adjacent) return row;
  const std::int64_t at = row % shape.head_dim();
  if (at >= shape.rotated_dims()) return row;
  return row - at + at / 2 + at % 2 * (shape.rotated_dims() / 2);
}

void ModelFile::check_intact() const {
  for (const MappedFile& part : parts) part.check_intact();
}

void ModelFile::drop_pages() const noexcept {
  for (const MappedFile& part : parts) part.drop_pages();
}

void ModelFile::drop_pages(std::span<const std::byte> bytes) const noexcept {
  for (const MappedFile& part : parts) part.drop_pages(bytes);
}

std::vector<const Tensor*> ModelFile::tensors() const {
  std::vector<const Tensor*> all{
      &embedding,        &positions,          &token_types,      &embedding_norm, &embedding_norm_bias,
      &layer_inputs,     &layer_input_matrix, &layer_input_norm, &token_norm,     &hidden_norm,
      &input_projection, &final_norm,         &final_norm_bias,  &classifier_bias};
  for (const LayerTensors& l : layers) {
    all.insert(all.end(), {&l.att_norm,
                           &l.wq,
                           &l.wk,
                           &l.wv,
                           &l.wo,
                           &l.ffn_norm,
                           &l.gate,
                           &l.down,
                           &l.up,
                           &l.att_norm_bias,
                           &l.ffn_norm_bias,
                           &l.wq_bias,
                           &l.wk_bias,
                           &l.wv_bias,
                           &l.wo_bias,
                           &l.up_bias,
                           &l.down_bias,
                           &l.wq_scale,
                           &l.wk_scale,
                           &l.wv_scale,
                           &l.wo_scale,
                           &l.gate_scale,
                           &l.up_scale,
                           &l.down_scale,
                           &l.q_norm,
                           &l.k_norm,
                           &l.att_sub_norm,
                           &l.ffn_sub_norm,
                           &l.att_post_norm,
                           &l.ffn_post_norm,
                           &l.att_output_norm,
                           &l.att_output_norm_bias,
                           &l.layer_output_norm,
                           &l.layer_output_norm_bias,
                           &l.router,
                           &l.router_choice,
                           &l.router_bias,
                           &l.gate_biases,
                           &l.up_biases,
                           &l.down_biases,
                           &l.sinks,
                           &l.q_down,
                           &l.q_down_norm,
                           &l.latent_norm,
                           &l.absorb,
                           &l.raise,
                           &l.att_gate,
                           &l.input_gate,
                           &l.input_down,
                           &l.input_norm,
                           &l.output_scale,
                           &l.delta_decay,
                           &l.delta_rate,
                           &l.delta_conv,
                           &l.delta_decay_bias,
                           &l.delta_a,
                           &l.delta_norm,
                           &l.shared_router,
                           &l.shared_gate,
                           &l.shared_up,
                           &l.expert_scales,
                           &l.router_norm,
                           &l.expert_norm,
                           &l.expert_post_norm,
                           &l.shared_post_norm,
                           &l.shared_down});
  }
  if (!config.shared_classifier) all.push_back(&classifier);
  std::erase_if(all, [](const Tensor* tensor) { return !tensor->exists(); });
  // Versions store the same tensors in different orders; all
  // views lie in one mapping, so their addresses say which.
  std::ranges::sort(all, std::less<>(), [](const Tensor* tensor) { return tensor->data.data(); });
  return all;
}

}  // namespace llamajit
