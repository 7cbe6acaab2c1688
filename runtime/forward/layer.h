// A layer, said once: what the forward pass does with it, in words that two lowerings understand, one for a
// single token (token_lowering.h) and one for the rows of a step (rows_lowering.h).
#pragma once

#include "runtime/forward/weights.h"
#include "runtime/model/config.h"

namespace llamajit {

// hidden = the feed-forward's first half.
template <class To>
void feed_forward(To& to, const LayerShape& shape, const LayerWeights& weights) {
  to.norm(Role::ffn_norm, shape, weights.ffn_norm, {&weights.gate_up});
  to.hidden(shape, weights.gate_up);
}

// `To` has the verbs
//   norm(role, shape, weights, matrices)          the residual stream's norm, ready for these matrices
//   project(shape, weights)                       q, k and v
//   attend(shape, weights)                        norms of heads, rotation, append, attention
//   hidden(shape, matrix)                         the feed-forward's first half
//   meet()                                        waits until all threads have come here
//   add_attention(shape, weights), add_hidden(…)  x += the product, of a norm where there are weights for one
template <class To>
void layer(To& to, const LayerShape& shape, const LayerWeights& weights) {
  to.norm(Role::att_norm, shape, weights.att_norm, {&weights.wq, &weights.wk, &weights.wv});
  to.project(shape, weights);
  to.attend(shape, weights);
  if (shape.parallel_residual) feed_forward(to, shape, weights);
  to.meet();
  to.add_attention(shape, weights);
  if (!shape.parallel_residual) {
    feed_forward(to, shape, weights);
    to.meet();
  }
  to.add_hidden(shape, weights);
}

}  // namespace llamajit
