#include "runtime/weights.h"

namespace llamajit {

// What a thread has to do for a matrix: pack tensor `from` into every tiles_per_unit'th tile from
// `first_tile` on.
struct Weights::PackJob {
  const Tensor* from;
  PackedMatrix to;
  int first_tile;
};

// Places everything: called once without memory to learn the size, and once with it.
std::vector<Weights::PackJob> Weights::lay_out(const ModelFile& file, Carver& carver) {
  std::vector<PackJob> jobs;
  const auto place = [&](const Tensor& tensor, int tiles_per_unit) {
    PackedMatrix m{tensor.format, static_cast<int>(tensor.rows), static_cast<int>(tensor.cols),
                   tiles_per_unit, nullptr};
    m.data = carver.take<std::byte>(m.bytes());
    return m;
  };
  const auto matrix = [&](const Tensor& tensor) {
    const PackedMatrix m = place(tensor, 1);
    jobs.push_back({&tensor, m, 0});
    return m;
  };
  const auto pair = [&](const Tensor& gate, const Tensor& up) {
    const PackedMatrix m = place(gate, 2);
    jobs.push_back({&gate, m, 0});
    jobs.push_back({&up, m, 1});
    return m;
  };
  const auto vector = [&](const Tensor& tensor) {
    float* const to = carver.take<float>(tensor.cols);
    for (std::int64_t i = 0; to != nullptr && i < tensor.cols; ++i)
      to[i] = source_value(source(tensor), 0, i);
    return to;
  };

  embedding = matrix(file.embedding);
  classifier = file.config.shared_classifier ? embedding : matrix(file.classifier);
  final_norm = vector(file.final_norm);
  layers.clear();
  for (const LayerTensors& layer : file.layers) {
    LayerWeights to{};
    to.att_norm = vector(layer.att_norm);
    to.ffn_norm = vector(layer.ffn_norm);
    to.wq = matrix(layer.wq);
    to.wk = matrix(layer.wk);
    to.wv = matrix(layer.wv);
    to.wo = matrix(layer.wo);
    to.gate_up = pair(layer.gate, layer.up);
    to.down = matrix(layer.down);
    layers.push_back(to);
  }
  return jobs;
}

Weights::Weights(const ModelFile& file, Team& team) {
  Carver sizing(nullptr);
  lay_out(file, sizing);
  memory_ = PagedMemory(sizing.size(), "weights");
  Carver carver(memory_.data());
  const std::vector<PackJob> jobs = lay_out(file, carver);
  auto pack = [&](int thread) {
    for (const PackJob& job : jobs) {
      const std::int64_t bytes = jit::tile_bytes(job.to.format, job.to.cols);
      const auto [begin, end] = share_of(job.to.units(), thread, team.size());
      for (std::int64_t unit = begin; unit < end; ++unit) {
        jit::pack_tile(source(*job.from), unit,
                       job.to.data + (unit * job.to.tiles_per_unit + job.first_tile) * bytes);
      }
    }
  };
  team.run(pack);
  file.check_intact();
  for (const MappedFile& part : file.parts) part.drop_pages();
}

std::int64_t Weights::bytes_per_token() const {
  std::int64_t bytes = classifier.bytes();
  for (const LayerWeights& layer : layers) {
    for (const PackedMatrix* m : {&layer.wq, &layer.wk, &layer.wv, &layer.wo, &layer.gate_up, &layer.down}) {
      bytes += m->bytes();
    }
  }
  return bytes;
}

}  // namespace llamajit
