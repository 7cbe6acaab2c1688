#include "tests/support/reference_model.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <span>
#include <utility>

#include "tests/support/reference_math.h"

namespace llamajit::test {
namespace {

class Reference {
 public:
  // Of a layer that drafts with what it has of its model.
  explicit Reference(const ModelFile& file, const ModelFile* model = nullptr)
      : file_(file),
        embedding_(file.embedding.exists() ? file.embedding : model->embedding),
        classifier_(file.classifier.exists() || model == nullptr ? file.classifier : model->classifier),
        c_(file.config),
        keys_(file.layers.size()),
        values_(file.layers.size()),
        mixed_(file.layers.size()),
        states_(file.layers.size()) {}

  Vector logits(const Vector& hidden) const {
    Vector logits = multiply(classifier_, {}, {}, hidden);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      logits[i] *= c_.logit_scale;
      if (file_.classifier_bias.exists()) logits[i] += value(file_.classifier_bias, 0, i) * c_.logit_scale;
      logits[i] = capped(logits[i], c_.logit_cap);
    }
    return logits;
  }

  // The hidden states of a whole text, each of whose tokens sees all others.
  std::vector<Vector> encode(const std::vector<TokenId>& tokens) {
    std::vector<Vector> xs;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      position_ = static_cast<double>(i);
      xs.push_back(embedded(tokens[i]));
    }
    for (std::size_t layer = 0; layer < file_.layers.size(); ++layer) {
      const LayerTensors& l = file_.layers[layer];
      shape_ = &c_.layer(layer);
      std::vector<Vector> inputs;
      for (std::size_t i = 0; i < xs.size(); ++i) {
        position_ = static_cast<double>(i);
        inputs.push_back(normed(xs[i], l.att_norm, l.att_norm_bias));
        remember(l, layer, inputs.back());
      }
      for (std::size_t i = 0; i < xs.size(); ++i) {
        position_ = static_cast<double>(i);
        Vector& x = xs[i];
        add(x, normed(attended(l, layer, inputs[i]), l.att_post_norm, {}));
        x = normed(x, l.att_output_norm, l.att_output_norm_bias);
        add(x, normed(feed_forward(l, x, normed(x, l.ffn_norm, l.ffn_norm_bias)), l.ffn_post_norm, {}));
        x = normed(x, l.layer_output_norm, l.layer_output_norm_bias);
      }
    }
    for (Vector& x : xs) x = normed(x, file_.final_norm, file_.final_norm_bias);
    return xs;
  }

  // The hidden state behind the next token; a layer that drafts takes one beside it.
  Vector feed(TokenId token, const Vector& given = {}) {
    Vector x = embedded(token);
    if (c_.takes_hidden) {
      x = normed(x, file_.token_norm, {});
      const Vector right = normed(given, file_.hidden_norm, {});
      x.insert(x.end(), right.begin(), right.end());
      x = multiply(file_.input_projection, {}, {}, x);
    }
    const Vector inputs = layer_inputs(static_cast<std::size_t>(token), x);
    for (std::size_t layer = 0; layer < file_.layers.size(); ++layer) {
      const LayerTensors& l = file_.layers[layer];
      shape_ = &c_.layer(layer);
      const Vector att_input = normed(x, l.att_norm, l.att_norm_bias);
      const Vector att =
          normed(shape_->is_linear() ? delta_net(l, layer, att_input) : attention(l, layer, att_input),
                 l.att_post_norm, {});
      if (shape_->parallel_residual) {
        const Vector ffn =
            feed_forward(l, x, l.ffn_norm.exists() ? normed(x, l.ffn_norm, l.ffn_norm_bias) : att_input);
        add(x, att);
        add(x, ffn);
      } else {
        add(x, att);
        add(x, normed(feed_forward(l, x, normed(x, l.ffn_norm, l.ffn_norm_bias)), l.ffn_post_norm, {}));
      }
      if (l.input_gate.exists()) {
        const auto n = static_cast<std::size_t>(c_.layer_input_dim);
        Vector hidden = activated(jit::Epilogue::gelu, {}, multiply(l.input_gate, {}, {}, x));
        for (std::size_t i = 0; i < n; ++i) hidden[i] *= inputs[layer * n + i];
        add(x, normed(multiply(l.input_down, {}, {}, hidden), l.input_norm, {}));
      }
      if (l.output_scale.exists()) {
        for (double& v : x) v *= value(l.output_scale, 0, 0);
      }
    }
    ++position_;
    return normed(x, file_.final_norm, file_.final_norm_bias);
  }

 private:
  Vector embedded(TokenId token) const {
    Vector x;
    for (int i = 0; i < c_.dim; ++i) {
      const auto col = static_cast<std::size_t>(i);
      x.push_back(value(embedding_, static_cast<std::size_t>(token), col) * c_.embedding_scale);
      if (file_.token_types.exists()) x.back() += value(file_.token_types, 0, col);
      if (file_.positions.exists()) {
        x.back() += value(file_.positions, static_cast<std::size_t>(position_), col);
      }
    }
    return normed(x, file_.embedding_norm, file_.embedding_norm_bias);
  }
  // Of all layers, one behind the other; none where layers get nothing from the embedding.
  Vector layer_inputs(std::size_t token, const Vector& x) const {
    const auto n = static_cast<std::size_t>(c_.layer_input_dim);
    if (n == 0) return {};
    Vector all = multiply(file_.layer_input_matrix, {}, {}, x);
    for (double& v : all) v /= std::sqrt(static_cast<double>(c_.dim));
    for (std::size_t first = 0; first < all.size(); first += n) {
      normalise(std::span(&all[first], n), jit::NormKind::rms, double{c_.norm_eps}, file_.layer_input_norm,
                {});
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      const double own = value(file_.layer_inputs, token, i) * std::sqrt(static_cast<double>(n));
      all[i] = (all[i] + own) / std::numbers::sqrt2;
    }
    return all;
  }
  void add(Vector& x, const Vector& y) const {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i] * shape_->residual_scale;
  }
  // As it is without weights.
  Vector normed(Vector x, const Tensor& weight, const Tensor& bias) const {
    if (weight.exists()) normalise(x, c_.norm, double{c_.norm_eps}, weight, bias);
    return x;
  }
  std::size_t head_dim() const { return static_cast<std::size_t>(shape_->head_dim()); }

  void norm_heads(Vector& x, const Tensor& norm) const {
    if (!norm.exists()) return;
    const bool together = shape_->head_norm == HeadNorm::together;
    const bool own = shape_->head_norm == HeadNorm::own;
    const std::size_t size = together ? x.size() : head_dim();
    for (std::size_t first = 0; first < x.size(); first += size) {
      Tensor weight = norm;
      if (own) weight.data = norm.data.subspan(first * sizeof(float));  // the files are of F32
      normalise(std::span(&x[first], size), own ? jit::NormKind::layer : jit::NormKind::rms,
                double{shape_->norm_eps}, weight, {});
    }
  }

  // `growth`: of queries with the text.
  void rotate_heads(Vector& x, double growth) const {
    for (double& v : x) v *= growth;
    const std::size_t dims = static_cast<std::size_t>(shape_->rotated_dims());
    for (std::size_t first = 0; first < x.size(); first += head_dim()) {
      rotate(std::span(&x[first], head_dim()), dims);
    }
  }
  // The first `dims` values.
  void rotate(std::span<double> head, std::size_t dims) const {
    for (std::size_t i = 0; shape_->rope.rotates && i < dims / 2; ++i) {
      const bool halves = shape_->rope.pairs == RopeConfig::Pairs::halves;
      double& a = head[halves ? i : 2 * i];
      double& b = head[halves ? i + dims / 2 : 2 * i + 1];
      const bool scaled = shape_->rope.scaling == RopeConfig::Scaling::linear;
      const double angle =
          position_ / (scaled ? shape_->rope.factor : 1) *
          std::pow(shape_->rope.theta, -2.0 * static_cast<double>(i) / static_cast<double>(dims));
      const double turned = a * std::cos(angle) - b * std::sin(angle);
      b = b * std::cos(angle) + a * std::sin(angle);
      a = turned;
    }
  }

  // With the keys and values of each head as they come out of the latent vector.
  Vector latent_attention(const LayerTensors& l, std::size_t layer, const Vector& x) {
    Vector low = x;
    const double eps = double{shape_->norm_eps};
    if (l.q_down.exists()) {
      low = multiply(l.q_down, {}, {}, x);
      normalise(low, jit::NormKind::rms, eps, l.q_down_norm, {});
    }
    Vector q = multiply(l.wq, {}, {}, low), latent = multiply(l.wv, {}, {}, x);
    normalise(latent, jit::NormKind::rms, eps, l.latent_norm, {});
    Vector rotated = multiply(l.wk, {}, {}, x);
    rotate(rotated, rotated.size());
    const Vector own = of_heads(l.absorb, latent, shape_->n_heads, true);
    const auto key = static_cast<std::size_t>(shape_->latent.key_dim);
    const auto size = static_cast<std::size_t>(shape_->query_size());
    const auto values = static_cast<std::size_t>(shape_->latent.value_dim);
    Vector k;
    for (std::size_t at = 0; at < own.size(); at += key) {
      k.insert(k.end(), &own[at], &own[at] + key);
      k.insert(k.end(), rotated.begin(), rotated.end());
    }
    keys_[layer].push_back(k);
    values_[layer].push_back(of_heads(l.raise, latent, shape_->n_heads, false));
    Vector out;
    for (std::size_t head = 0; head < q.size() / size; ++head) {
      rotate(std::span(&q[head * size + key], rotated.size()), rotated.size());
      Vector weights, result(values);
      double sum = 0;
      for (const Vector& at : keys_[layer]) {
        double score = 0;
        for (std::size_t i = 0; i < size; ++i) score += q[head * size + i] * at[head * size + i];
        weights.push_back(std::exp(score * double{shape_->scores.scale}));
        sum += weights.back();
      }
      for (std::size_t p = 0; p < weights.size(); ++p) {
        for (std::size_t i = 0; i < values; ++i) {
          result[i] += weights[p] / sum * values_[layer][p][head * values + i];
        }
      }
      out.insert(out.end(), result.begin(), result.end());
    }
    return multiply(l.wo, {}, {}, out);
  }

  Vector attention(const LayerTensors& l, std::size_t layer, const Vector& x) {
    if (shape_->is_latent()) return latent_attention(l, layer, x);
    if (shape_->owns_kv()) remember(l, layer, x);
    return attended(l, layer, x);
  }

  // To what is remembered.
  Vector attended(const LayerTensors& l, std::size_t layer, const Vector& x) const {
    Vector q = multiply(l.wq, l.wq_scale, l.wq_bias, x);
    norm_heads(q, l.q_norm);
    const double lengths = std::floor((position_ + 1) / shape_->rope.original_context);
    const double growth = shape_->rope.query_growth;
    rotate_heads(q, growth == 0 ? 1 : 1 + growth * std::log(1 + lengths));
    if (!shape_->owns_kv()) layer = static_cast<std::size_t>(shape_->kv_layer);
    Vector out(q.size());
    for (std::size_t head = 0; head < q.size() / head_dim(); ++head) attend(q, head, layer, l.sinks, out);
    if (l.att_gate.exists()) {
      const Vector gate = multiply(l.att_gate, {}, {}, x);
      for (std::size_t i = 0; i < out.size(); ++i) out[i] *= sigmoid(gate[i]);
    }
    if (l.att_sub_norm.exists()) {
      normalise(out, jit::NormKind::rms, double{shape_->norm_eps}, l.att_sub_norm, {});
    }
    return multiply(l.wo, l.wo_scale, l.wo_bias, out);
  }

  // ALiBi's (arXiv:2108.12409): 2^(-8/n), 2^(-16/n), … of n heads, a power of two; of other numbers those of the next
  // smaller one, and then the first, the third, … of the next larger one.
  double slope(std::size_t head) const {
    std::size_t n = 1;
    while (2 * n <= static_cast<std::size_t>(shape_->n_heads)) n *= 2;
    if (head < n) return std::pow(2.0, -8.0 * static_cast<double>(head + 1) / static_cast<double>(n));
    return std::pow(2.0, -4.0 * static_cast<double>(2 * (head - n) + 1) / static_cast<double>(n));
  }

  // The positions that a token sees of so many: the last ones, or in an encoder those around its own.
  std::pair<std::size_t, std::size_t> seen(std::size_t positions) const {
    if (shape_->window == 0) return {0, positions};
    const auto window = static_cast<std::size_t>(shape_->window);
    if (c_.causal) return {positions - std::min(window, positions), positions};
    const auto own = static_cast<std::size_t>(position_);
    return {own - std::min(own, window / 2), std::min(positions, own + window / 2 + 1)};
  }

  void attend(const Vector& q, std::size_t head, std::size_t layer, const Tensor& sinks, Vector& out) const {
    const auto group = static_cast<std::size_t>(shape_->n_heads / shape_->n_kv_heads);
    const std::size_t at = head * head_dim(), at_kv = head / group * head_dim();
    Vector weights;
    double sum = 0;
    const std::vector<Vector>& keys = keys_[layer];
    const auto [first, end] = seen(keys.size());
    for (std::size_t p = first; p < end; ++p) {
      const Vector& key = keys[p];
      double score = 0;
      for (std::size_t i = 0; i < head_dim(); ++i) score += q[at + i] * key[at_kv + i];
      const double scale = shape_->scores.scale;
      score *= scale == 0 ? 1 / std::sqrt(static_cast<double>(head_dim())) : scale;
      score = capped(score, shape_->scores.cap);
      if (shape_->slopes) score -= slope(head) * std::abs(static_cast<double>(p) - position_);
      weights.push_back(std::exp(score));
      sum += weights.back();
    }
    if (sinks.exists()) sum += std::exp(value(sinks, 0, head));
    for (std::size_t p = 0; p < weights.size(); ++p) {
      for (std::size_t i = 0; i < head_dim(); ++i) {
        out[at + i] += weights[p] / sum * values_[layer][first + p][at_kv + i];
      }
    }
  }

  void remember(const LayerTensors& l, std::size_t layer, const Vector& x) {
    Vector k = multiply(l.wk, l.wk_scale, l.wk_bias, x), v = multiply(l.wv, l.wv_scale, l.wv_bias, x);
    norm_heads(k, l.k_norm);
    rotate_heads(k, 1);
    for (std::size_t first = 0; shape_->norms_values && first < v.size(); first += head_dim()) {
      double squares = 0;
      for (std::size_t i = 0; i < head_dim(); ++i) squares += v[first + i] * v[first + i];
      const double root = std::sqrt(squares / static_cast<double>(head_dim()) + double{shape_->norm_eps});
      for (std::size_t i = 0; i < head_dim(); ++i) v[first + i] /= root;
    }
    keys_[layer].push_back(k);
    values_[layer].push_back(v);
  }

  // The convolution of all tokens' inputs so far, at the last one, through SiLU.
  Vector convolved(const Tensor& conv, const std::vector<Vector>& inputs) const {
    Vector out(inputs.back().size());
    const std::size_t taps = static_cast<std::size_t>(conv.cols);
    for (std::size_t channel = 0; channel < out.size(); ++channel) {
      for (std::size_t back = 0; back < std::min(taps, inputs.size()); ++back) {
        out[channel] += inputs[inputs.size() - 1 - back][channel] * value(conv, channel, taps - 1 - back);
      }
      out[channel] *= sigmoid(out[channel]);
    }
    return out;
  }

  Vector delta_net(const LayerTensors& l, std::size_t layer, const Vector& x) {
    const DeltaNet& delta = shape_->delta;
    mixed_[layer].push_back(multiply(l.wq, {}, {}, x));
    Vector all = convolved(l.delta_conv, mixed_[layer]);
    const auto key_dim = static_cast<std::size_t>(delta.key_dim);
    const auto value_dim = static_cast<std::size_t>(delta.value_dim);
    for (std::size_t head = 0; head < static_cast<std::size_t>(2 * delta.key_heads); ++head) {
      double squares = 0;
      for (std::size_t i = 0; i < key_dim; ++i) squares += std::pow(all[head * key_dim + i], 2);
      for (std::size_t i = 0; i < key_dim; ++i) {
        all[head * key_dim + i] /= std::sqrt(squares + double{shape_->norm_eps});
      }
    }
    const Vector alpha = multiply(l.delta_decay, {}, {}, x), beta = multiply(l.delta_rate, {}, {}, x);
    const Vector gate = multiply(l.att_gate, {}, {}, x);
    std::vector<Vector>& states = states_[layer];
    states.resize(alpha.size(), Vector(key_dim * value_dim));
    Vector out;
    for (std::size_t head = 0; head < alpha.size(); ++head) {
      const auto key_head = static_cast<std::size_t>(delta.key_head(static_cast<int>(head)));
      const double* const q = &all[key_head * key_dim];
      const double* const k = q + delta.keys();
      const double* const v = &all[static_cast<std::size_t>(2 * delta.keys()) + head * value_dim];
      const double plus = std::log1p(std::exp(alpha[head] + value(l.delta_decay_bias, 0, head)));
      const double decay = std::exp(value(l.delta_a, 0, head) * plus);
      Vector result(value_dim);
      for (std::size_t j = 0; j < value_dim; ++j) {
        const auto at = [&](std::size_t i) -> double& { return states[head][i * value_dim + j]; };
        double remembered = 0;
        for (std::size_t i = 0; i < key_dim; ++i) remembered += k[i] * (at(i) *= decay);
        const double learned = (v[j] - remembered) * sigmoid(beta[head]);
        for (std::size_t i = 0; i < key_dim; ++i) {
          result[j] += q[i] / std::sqrt(static_cast<double>(key_dim)) * (at(i) += k[i] * learned);
        }
      }
      normalise(result, jit::NormKind::rms, double{shape_->norm_eps}, l.delta_norm, {});
      out.insert(out.end(), result.begin(), result.end());
    }
    for (std::size_t i = 0; i < out.size(); ++i) out[i] *= gate[i] * sigmoid(gate[i]);
    return multiply(l.wo, {}, {}, out);
  }

  static Tensor expert_of(const Tensor& all, std::size_t expert, std::int64_t experts) {
    Tensor one = all;
    one.rows = all.rows / experts;
    const auto row_bytes = all.data.size() / static_cast<std::size_t>(source(all).rows);
    const auto first = static_cast<std::size_t>(all.row_at(static_cast<std::int64_t>(expert) * one.rows));
    one.data = all.data.subspan(first * row_bytes, static_cast<std::size_t>(one.rows) * row_bytes);
    one.block = 0;
    return one;
  }
  Vector gated(const Tensor& gate, const Tensor& up, const Tensor& down, const Vector& x) const {
    return multiply(down, {}, {},
                    activated(shape_->activation, multiply(gate, {}, {}, x), multiply(up, {}, {}, x)));
  }
  static Tensor bias_of(const Tensor& all, std::size_t expert) {
    return all.exists() ? expert_of(all, expert, all.rows) : Tensor();
  }
  Vector expert(const LayerTensors& l, std::size_t i, const Vector& x) const {
    const std::int64_t n = shape_->route.experts;
    const Vector hidden =
        activated(shape_->activation, multiply(expert_of(l.gate, i, n), {}, bias_of(l.gate_biases, i), x),
                  multiply(expert_of(l.up, i, n), {}, bias_of(l.up_biases, i), x));
    return multiply(expert_of(l.down, i, n), {}, bias_of(l.down_biases, i), hidden);
  }

  // The sum of a feed-forward and of experts beside it, of which each has its norms; `x` is the stream.
  Vector beside(const LayerTensors& l, const Vector& x, const Vector& input) const {
    Vector scaled = x;
    double squares = 0;
    for (const double v : x) squares += v * v;
    for (std::size_t i = 0; i < x.size(); ++i) {
      scaled[i] /= std::sqrt(squares / static_cast<double>(x.size()) + double{shape_->norm_eps});
      scaled[i] *= value(l.router_norm, 0, i) / std::sqrt(static_cast<double>(x.size()));
    }
    const Vector chosen = normed(experts(l, scaled, normed(x, l.expert_norm, {})), l.expert_post_norm, {});
    Vector out = normed(gated(l.shared_gate, l.shared_up, l.shared_down, input), l.shared_post_norm, {});
    for (std::size_t i = 0; i < out.size(); ++i) out[i] += chosen[i];
    return out;
  }

  // Their results times their weights, summed. The router has an input of its own where they stand beside.
  Vector experts(const LayerTensors& l, const Vector& router_input, const Vector& x) const {
    const jit::RouteKey& route = shape_->route;
    Vector p = multiply(l.router, {}, l.router_bias, router_input);
    double sum = 0;
    for (const double logit : p) sum += std::exp(logit);
    for (double& logit : p) {
      logit = route.gating == jit::Gating::sigmoid ? sigmoid(logit) : std::exp(logit) / sum;
    }
    std::vector<std::pair<double, std::size_t>> choice;
    for (std::size_t i = 0; i < p.size(); ++i) {
      choice.emplace_back(p[i] + (l.router_choice.exists() ? value(l.router_choice, 0, i) : 0), i);
    }
    keep_best_groups(route, choice);
    std::ranges::sort(choice, std::greater<>());
    choice.resize(static_cast<std::size_t>(route.used));
    double total = 0;
    for (const auto& [c, i] : choice) total += p[i];
    // A softmax of those that were chosen is the one over all of them, renormalised.
    const bool renormalises = route.renormalises || route.gating == jit::Gating::softmax_of_chosen;
    Vector out(x.size());
    for (const auto& [c, i] : choice) {
      const Vector result = expert(l, i, x);
      double weight = p[i] / (renormalises ? total : 1) * route.scale;
      if (l.expert_scales.exists()) weight *= value(l.expert_scales, 0, i);
      for (std::size_t d = 0; d < out.size(); ++d) out[d] += result[d] * weight;
    }
    if (shape_->shared_hidden_dim == 0 || shape_->norms_experts) return out;
    const Vector shared = gated(l.shared_gate, l.shared_up, l.shared_down, x);
    const double weight = l.shared_router.exists() ? sigmoid(multiply(l.shared_router, {}, {}, x)[0]) : 1;
    for (std::size_t d = 0; d < out.size(); ++d) out[d] += shared[d] * weight;
    return out;
  }

  Vector feed_forward(const LayerTensors& l, const Vector& stream, const Vector& x) const {
    if (shape_->norms_experts) return beside(l, stream, x);
    if (shape_->has_experts()) return experts(l, x, x);
    const Vector gate = shape_->gated() ? multiply(l.gate, l.gate_scale, {}, x) : Vector();
    Vector hidden = activated(shape_->activation, gate, multiply(l.up, l.up_scale, l.up_bias, x));
    if (l.ffn_sub_norm.exists()) {
      normalise(hidden, jit::NormKind::rms, double{shape_->norm_eps}, l.ffn_sub_norm, {});
    }
    return multiply(l.down, l.down_scale, l.down_bias, hidden);
  }

  const ModelFile& file_;
  const Tensor &embedding_, &classifier_;
  const Config& c_;
  const LayerShape* shape_ = nullptr;               // of the layer at hand
  std::vector<std::vector<Vector>> keys_, values_;  // of each layer and position
  std::vector<std::vector<Vector>> mixed_;          // the same, of what is convolved
  std::vector<std::vector<Vector>> states_;         // of each layer and value head: (key_dim, value_dim)
  double position_ = 0;
};

}  // namespace

std::vector<std::vector<double>> reference_logits(const ModelFile& file, const std::vector<TokenId>& tokens) {
  Reference reference(file);
  std::vector<std::vector<double>> logits;
  for (const TokenId token : tokens) logits.push_back(reference.logits(reference.feed(token)));
  return logits;
}

std::vector<std::vector<double>> reference_draft_logits(const ModelFile& layer, const ModelFile& model,
                                                        const std::vector<TokenId>& tokens, std::size_t own) {
  const auto hidden = reference_hidden(model, tokens);
  Reference reference(layer, &model);
  std::vector<std::vector<double>> logits;
  Vector last;
  for (std::size_t i = 1; i < tokens.size(); ++i) {
    last = reference.feed(tokens[i], i + own < tokens.size() ? hidden[i - 1] : last);
    logits.push_back(reference.logits(last));
  }
  return logits;
}

std::vector<std::vector<double>> reference_hidden(const ModelFile& file, const std::vector<TokenId>& tokens) {
  Reference reference(file);
  if (!file.config.causal) return reference.encode(tokens);
  std::vector<std::vector<double>> hidden;
  for (const TokenId token : tokens) hidden.push_back(reference.feed(token));
  return hidden;
}

}  // namespace llamajit::test
