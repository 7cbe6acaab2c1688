// A Config describes a model beside its weights.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "jit/kernels/attention.h"
#include "jit/kernels/epilogue.h"
#include "jit/kernels/norm.h"
#include "jit/kernels/route.h"

namespace llamajit {

// How the rotations' angles come about (RoPE, arXiv:2104.09864).
struct RopeConfig {
  enum class Scaling : std::uint8_t {
    none,
    linear,  // positions divided by `factor`
    yarn,    // the same for slow rotations alone (YaRN, arXiv:2309.00071)
  };
  // Which values of a head are rotated together, of the first `dims`.
  enum class Pairs : std::uint8_t {
    adjacent,  // 2i and 2i + 1
    halves,    // i and dims / 2 + i
  };
  bool rotates = true;  // false: heads know no positions (NoPE, arXiv:2305.19466)
  float theta = 10000.0F;
  Pairs pairs = Pairs::adjacent;
  int dims = 0;  // of each head, from its beginning, are rotated; 0: all
  Scaling scaling = Scaling::none;
  float factor = 1.0F;
  // YaRN: rotations that turn beta_fast times or more within the original context keep their angles, those
  // that turn beta_slow times or less are scaled.
  int original_context = 0;  // tokens
  float beta_fast = 32.0F;
  float beta_slow = 1.0F;
  float magnitude = 1.0F;         // rotated values are multiplied by this, and with YaRN by
  bool magnifies = true;          // 1 + ln(factor) / 10, if it magnifies
  std::vector<float> divisors{};  // (dims / 2) of each pair's frequency, as Llama 3.1 has them; empty: none
  std::vector<float>
      long_divisors{};  // those of contexts beyond the original one (LongRoPE, arXiv:2402.13753)
  // A rotated query at position p is also multiplied by 1 + query_growth * ln(1 + floor((p + 1) /
  // original_context)).
  float query_growth = 0;

  // Whether heads stay as they are.
  bool changes_nothing() const { return !rotates && query_growth == 0; }

  bool operator==(const RopeConfig&) const = default;
};

// Whose weights the norms of queries and keys have, and over what they are taken.
enum class HeadNorm : std::uint8_t {
  shared,    // one vector of weights for each head: RMSNorm
  own,       // each head has its own: LayerNorm without bias
  together,  // over all heads as one vector: RMSNorm
};

// Linear attention by the gated delta rule (arXiv:2412.06464), which keeps a state instead of keys and values.
struct DeltaNet {
  int key_heads = 0;
  int value_heads = 0;  // a multiple of key_heads; 0: there is none
  int key_dim = 0;      // of a head: a multiple of 16, as value_dim
  int value_dim = 0;
  int taps = 0;  // tokens that the convolution before it sees, the last one included
  bool adjacent =
      false;  // a key head's value heads stand side by side; else every key_heads'th is one of its

  int keys() const { return key_heads * key_dim; }  // of all heads; so many queries, too
  int values() const { return value_heads * value_dim; }
  int channels() const { return 2 * keys() + values(); }  // that are convolved: queries, keys, values
  int key_head(int value_head) const {
    return adjacent ? value_head / (value_heads / key_heads) : value_head % key_heads;
  }

  bool operator==(const DeltaNet&) const = default;
};

// Keys and values of all heads come out of one vector, which is what is kept (MLA, arXiv:2405.04434). A head's
// key and value are linear in it, so that queries can be brought into its space, and what attention gives out
// of it: attention is that of n_heads queries over one head of keys, the rotated values and behind them the
// vector, which are its values, too.
struct LatentAttention {
  int rank = 0;        // of the vector: a multiple of 16; 0: there is none
  int query_rank = 0;  // of the vector that queries come out of; 0: they come out of the stream
  int key_dim = 0;     // of a head, beside rope.dims rotated values, which all heads' keys share
  int value_dim = 0;   // of a head: a multiple of 16

  bool operator==(const LatentAttention&) const = default;
};

// One layer's numbers. Readers guarantee: all counts > 0, head_dim even, n_heads % n_kv_heads == 0, and the
// shapes of the layer's tensors follow from these.
struct LayerShape {
  int dim = 0;         // of the residual stream: the same in all layers
  int hidden_dim = 0;  // of the feed-forward, of each expert where a choice of them is one
  int n_heads = 0;
  int n_kv_heads = 0;
  int head_size = 0;  // 0: dim / n_heads, which divides then
  int window =
      0;  // positions that a token attends to, its own included, the last, or in encoders in the middle; 0: all
  float norm_eps = 1e-5F;
  jit::NormKind norm = jit::NormKind::rms;           // of the residual stream
  jit::Epilogue activation = jit::Epilogue::swiglu;  // what the feed-forward's first half ends with
  bool parallel_residual = false;  // attention and feed-forward both start from the layer's input
  HeadNorm head_norm = HeadNorm::shared;
  jit::ScoreKey scores{};        // of attention
  bool sinks = false;            // each head has one
  bool slopes = false;           // each head has one, by which scores fall with the distance (ALiBi)
  bool norms_values = false;     // each head's, by an RMSNorm without weights
  int kv_layer = -1;             // whose keys and values are seen, one before; -1: its own
  bool gated_attention = false;  // what attention gives is multiplied with sigmoids
  LatentAttention latent{};      // head_size is its rope.dims + rank then, and n_kv_heads 1
  DeltaNet delta{};              // in the place of attention, whose heads then mean nothing
  jit::RouteKey route{0, 0};     // of experts, where there are any
  int shared_hidden_dim = 0;     // of the expert that takes every token, where there is one
  // It is a feed-forward beside the experts: each of the two has norms of its own before and behind it.
  bool norms_experts = false;
  float residual_scale = 1;  // of what attention and feed-forward add to the stream
  RopeConfig rope{};

  bool has_experts() const { return route.experts > 0; }
  bool owns_kv() const { return kv_layer < 0 && !is_linear(); }
  bool is_linear() const { return delta.value_heads > 0; }
  bool is_latent() const { return latent.rank > 0; }
  bool gated() const { return is_gated(activation); }
  int rotated_dims() const { return rope.dims > 0 ? rope.dims : head_dim(); }
  int head_dim() const { return head_size > 0 ? head_size : dim / n_heads; }
  int group() const { return n_heads / n_kv_heads; }  // query heads for each K/V head
  int q_dim() const { return head_dim() * n_heads; }
  int kv_dim() const { return head_dim() * n_kv_heads; }
  // Of what queries' matrix gives, and of a head.
  int query_size() const { return is_latent() ? latent.key_dim + rope.dims : head_dim(); }
  int query_dim() const { return query_size() * n_heads; }
  int latent_values() const { return latent.value_dim * n_heads; }
  // Of what o is multiplied with.
  int attended_dim() const { return is_linear() ? delta.values() : is_latent() ? latent_values() : q_dim(); }

  bool operator==(const LayerShape&) const = default;
};

// The model's numbers: its layers' shape, which most models have in common, and what stands around the
// layers, whose norm is that of the common shape, too.
// Which hidden states of a text make its embedding.
enum class Pooling : std::uint8_t { mean, first, last };

struct Config : LayerShape {
  int n_layers = 0;
  int vocab_size = 0;
  int seq_len = 0;                 // the longest context the model was made for, in tokens
  bool shared_classifier = false;  // the classifier is the embedding
  float embedding_scale = 1;
  int layer_input_dim = 0;  // of what each layer gets from the token's embedding; 0: nothing
  float logit_scale = 1;    // of what the classifier gives
  float logit_cap = 0;      // then, by jit::CapKey; 0: none
  // Where not, each token attends to all of its text: an encoder, which makes embeddings and predicts no token.
  bool causal = true;
  std::optional<Pooling> pooling{};  // where the model was made for embeddings
  // A layer that drafts for a model: beside a token it takes the hidden state that the model had one token before.
  bool takes_hidden = false;
  std::vector<LayerShape> layers{};  // (n_layers), where they differ; empty: all have the common shape

  const LayerShape& layer(std::size_t i) const { return layers.empty() ? *this : layers[i]; }
  // The largest that a layer has, by a function or a member: config.most(&LayerShape::q_dim).
  template <class Number>
  int most(Number number) const {
    int largest = std::invoke(number, static_cast<const LayerShape&>(layer(0)));
    for (const LayerShape& shape : layers) largest = std::max(largest, std::invoke(number, shape));
    return largest;
  }
};

}  // namespace llamajit
