#!/usr/bin/env bash
# Software  Eigen 3.4.0-4 (libeigen3-dev), compiled with the system's g++ -O2 and no other option
# Guess     An array's functions give for infinities what those of <cmath> give: exp(-inf) is 0, sqrt(inf) is inf. The
#           vectorized ones may differ by rounding errors, in the last places.
# Seen      Of 35 floats of -Infinity, exp() makes 32 times 2.9e-39 and three times 0, and logistic() does the same; from
#           -88.72 on downwards the 32 all stay at 2.9e-39, which is the exponential of -88.72. sqrt() makes of 35
#           infinities 32 NaN and three infinities. log() makes of 1e-40, a number that float can hold, 32 times -87.34 and
#           three times -92.10. What is left over of whole vectors is computed by the C library. With EIGEN_FAST_MATH=0
#           sqrt() is right and the rest is the same.
# Matters   exp(-inf) = 0 is what a mask over logits or over attention scores rests on. In a softmax by Eigen all forbidden
#           tokens have a probability, of which the logarithm is a finite number, so that "is it possible" can't be asked
#           of it, and subnormal products make it slow. In the last one to three columns it is right, so that a test with
#           three or 33 tokens and the mask on the last passes. Vector functions have to be compared at infinities too.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir debs root
download() { (cd debs && apt-get download -qq -o APT::Sandbox::User=root libeigen3-dev=3.4.0-4); }
download || { apt-get update -qq && download; }
dpkg-deb -x debs/*.deb root

cat > edges.cpp <<'CPP'
#include <Eigen/Core>
#include <cmath>
#include <cstdio>
#include <limits>

// Prints what the vectorized function makes of 35 equal numbers, as runs of equal results.
template <typename Function>
void show(const char* name, float value, Function function) {
    const Eigen::ArrayXf result = function(Eigen::ArrayXf::Constant(35, value).eval());
    std::printf("%s(%g):", name, value);
    for (Eigen::Index start = 0, end = 0; start < result.size(); start = end) {
        const auto equal = [&](float other) {
            return other == result[start] || (std::isnan(other) && std::isnan(result[start]));
        };
        while (end < result.size() && equal(result[end])) ++end;
        std::printf("%s %d x %g", start == 0 ? "" : ",", static_cast<int>(end - start), std::fabs(result[start]) * (result[start] < 0 ? -1 : 1));
    }
    std::printf("\n");
}

int main() {
    const float infinity = std::numeric_limits<float>::infinity();
    const auto exponential = [](const Eigen::ArrayXf& x) { return x.exp().eval(); };
    for (const float value : {-infinity, -1000.0F, -100.0F, -88.0F, infinity}) show("exp", value, exponential);
    show("logistic", -infinity, [](const Eigen::ArrayXf& x) { return x.logistic().eval(); });
    show("sqrt", infinity, [](const Eigen::ArrayXf& x) { return x.sqrt().eval(); });
    show("log", 1e-40F, [](const Eigen::ArrayXf& x) { return x.log().eval(); });
    // Eight logits of which the last four are forbidden.
    Eigen::ArrayXf logits(8);
    logits << 2, 1, 0, 1, -infinity, -infinity, -infinity, -infinity;
    const Eigen::ArrayXf softmax = (logits - logits.maxCoeff()).exp() / (logits - logits.maxCoeff()).exp().sum();
    std::printf("softmax of 8, 4 of them forbidden: %d of the 4 have a probability\n", static_cast<int>((softmax.tail(4) > 0).count()));
}
CPP
g++ -std=c++17 -O2 -Iroot/usr/include/eigen3 edges.cpp -o edges
./edges | tee seen
echo 'with EIGEN_FAST_MATH=0:'
g++ -std=c++17 -O2 -DEIGEN_FAST_MATH=0 -Iroot/usr/include/eigen3 edges.cpp -o exact
./exact | tee seen-exact | grep -E '^(exp\(-inf|sqrt)'

cat > expected <<'TXT'
exp(-inf): 32 x 2.93827e-39, 3 x 0
exp(-1000): 32 x 2.93827e-39, 3 x 0
exp(-100): 32 x 2.93827e-39, 3 x 3.78351e-44
exp(-88): 35 x 6.0546e-39
exp(inf): 35 x inf
logistic(-inf): 32 x 2.93827e-39, 3 x 0
sqrt(inf): 32 x nan, 3 x inf
log(9.99995e-41): 32 x -87.3365, 3 x -92.1034
softmax of 8, 4 of them forbidden: 4 of the 4 have a probability
TXT
if ! diff expected seen >&2 || ! diff <(sed 's/^sqrt.*/sqrt(inf): 35 x inf/' expected) seen-exact >&2; then
  echo 'CHANGED: the lines above are not as expected' >&2
  exit 1
fi
