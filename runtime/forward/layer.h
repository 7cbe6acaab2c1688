// A layer, said once: what the forward pass does with it, in words that two lowerings understand, one for a
// single token (token_program.h) and one for the rows of a step (rows_program.h).
#pragma once

#include "runtime/forward/step.h"
#include "runtime/forward/weights.h"
#include "runtime/model/config.h"

namespace llamajit {

// hidden = the feed-forward's first half.
template <class To>
void feed_forward(To& to, const LayerShape& shape, const LayerWeights& weights) {
  if (shape.has_experts()) {
    to.norm(Role::ffn_norm, shape, weights.ffn_norm,
            {&weights.router, &weights.shared_router, &weights.shared_gate_up});
    return to.experts_hidden(shape, weights);
  }
  if (!weights.share_norm(shape)) to.norm(Role::ffn_norm, shape, weights.ffn_norm, {&weights.gate_up});
  to.hidden(shape, weights.gate_up);
}

// `To` has the verbs
//   norm(role, shape, weights, matrices)  the residual stream's norm, where there are weights for one, ready
//                                         for these matrices
//   project(shape, weights)               q, k and v, with norms of all heads together
//   attend(shape, weights)                norms of heads, rotation, append, attention, its gate
//   project_delta(weights)                what a delta net begins with, in their place
//   recur(shape, weights)                 its convolution, its recurrence, their norms and gates
//   hidden(shape, matrix)                 the feed-forward's first half
//   experts_hidden(shape, weights)        the same of the experts that are chosen, and of the shared one
//   add_experts(shape, weights)           x += their second half, weighed
//   take_input(shape, weights)            x += what a layer gets from the token's embedding
//   scale_stream(shape, weights)          x *= the layer's scale
//   norm_stream(role, shape, weights)     x = its norm, where there are weights for one
//   attended(shape)                       where attention leaves its result
//   gather_attended(shape, weights)       what attention gives is there, and with a parallel residual what hidden() does
//   gather_hidden(shape, weights)         what hidden() or experts_hidden() gives is there
//   add_branch(roles, shape, sub_norm, values, matrix, post_norm)
//                                         x += the product, both of whose sides may be normed
template <class To>
void layer(To& to, const LayerShape& shape, const LayerWeights& weights) {
  if (weights.share_norm(shape)) {
    to.norm(Role::att_norm, shape, weights.att_norm,
            {&weights.wq, &weights.wk, &weights.wv, &weights.gate_up});
  } else {
    to.norm(Role::att_norm, shape, weights.att_norm,
            {&weights.wq, &weights.wk, &weights.wv, &weights.att_gate, &weights.delta.decay,
             &weights.delta.rate});
  }
  if (shape.is_linear()) {
    to.project_delta(weights);
    to.recur(shape, weights);
  } else {
    to.project(shape, weights);
    to.attend(shape, weights);
  }
  if (shape.parallel_residual) feed_forward(to, shape, weights);
  to.gather_attended(shape, weights);
  to.add_branch(kAttentionBranch, shape, weights.att_sub_norm, to.attended(shape), weights.wo,
                weights.att_post_norm);
  to.norm_stream(Role::att_output_norm, shape, weights.att_output_norm);
  if (!shape.parallel_residual) {
    feed_forward(to, shape, weights);
    to.gather_hidden(shape, weights);
  }
  if (shape.has_experts()) {
    to.add_experts(shape, weights);
  } else {
    to.add_branch(kFeedForwardBranch, shape, weights.ffn_sub_norm, to.hidden_values(), weights.down,
                  weights.ffn_post_norm);
  }
  to.norm_stream(Role::layer_output_norm, shape, weights.layer_output_norm);
  if (weights.input_gate.exists()) to.take_input(shape, weights);
  if (weights.output_scale != nullptr) to.scale_stream(shape, weights);
}

}  // namespace llamajit
