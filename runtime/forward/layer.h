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
  to.norm(Role::ffn_norm, shape, weights.ffn_norm, {&weights.gate_up});
  to.hidden(shape, weights.gate_up);
}

// `To` has the verbs
//   norm(role, shape, weights, matrices)          the residual stream's norm, ready for these matrices
//   project(shape, weights)                       q, k and v
//   attend(shape, weights)                        norms of heads, rotation, append, attention
//   hidden(shape, matrix)                         the feed-forward's first half
//   meet()                                        waits until all threads have come here
//   add_product(roles, shape, norm, values, matrix)  x += the product, of a norm where there are weights for one
template <class To>
void layer(To& to, const LayerShape& shape, const LayerWeights& weights) {
  to.norm(Role::att_norm, shape, weights.att_norm, {&weights.wq, &weights.wk, &weights.wv});
  to.project(shape, weights);
  to.attend(shape, weights);
  if (shape.parallel_residual) feed_forward(to, shape, weights);
  to.meet();
  to.add_product({Role::att_sub_norm, Role::o}, shape, weights.att_sub_norm, to.attended(), weights.wo);
  if (!shape.parallel_residual) {
    feed_forward(to, shape, weights);
    to.meet();
  }
  to.add_product({Role::ffn_sub_norm, Role::down}, shape, weights.ffn_sub_norm, to.hidden_values(),
                 weights.down);
}

}  // namespace llamajit
