// The lessons' kernels share this: a walk over vectors, sixteen lanes at a time.
#pragma once

#include <algorithm>
#include <initializer_list>

#include "jit/base/scalar_math.h"
#include "jit/kernels/generators.h"

namespace llamajit::jit {

// A vector in memory that is walked over.
struct Walked {
  Reg64 at;
  int lanes_bytes = 4 * kLanes;  // that sixteen lanes take
};

// Emits body(i, lanes), `ways` vectors of sixteen lanes in a turn, of which i is the number, the last with
// the lanes that n has left; in between moves on what is walked over.
template <class Body>
void over_vector(Emitter& e, const Reg64& count, int n, int ways, std::initializer_list<Walked> walked,
                 Body body) {
  const int step = ways * kLanes;
  e.repeat(count, n / step, [&] {
    for (int i = 0; i < ways; ++i) body(i, kLanes);
    if (n == step) return;
    for (const Walked& vector : walked) e.add(vector.at, ways * vector.lanes_bytes);
  });
  for (int i = 0; i * kLanes < n % step; ++i) body(i, std::min(kLanes, n % step - i * kLanes));
}

// sums[0] = the ways' sum, as a balanced tree.
inline void add_ways(Emitter& e, const std::vector<V16>& sums) {
  if (sums.size() == 1) return;
  e.note("the ways' sum");
  for (std::size_t i = 0; i < sums.size(); i += 2) e.add(sums[i], sums[i], sums[i + 1]);
  if (sums.size() == 4) e.add(sums[0], sums[0], sums[2]);
}

// In the twins: the sum of n terms as the kernels have it; add(i, sum) is the sum with term i.
template <class Add>
float lesson_sum(int n, int ways, Add add) {
  float sums[4][kLanes] = {};
  for (int i = 0; i < n; ++i) {
    float& sum = sums[i / kLanes % ways][i % kLanes];
    sum = add(i, sum);
  }
  Lanes total;
  for (int lane = 0; lane < kLanes; ++lane) {
    const float of_lane[] = {sums[0][lane], sums[1][lane], sums[2][lane], sums[3][lane]};
    total.v[lane] = tree_sum(of_lane, ways);
  }
  return total.fold_add();
}

}  // namespace llamajit::jit
