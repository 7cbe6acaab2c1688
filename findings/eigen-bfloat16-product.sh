#!/usr/bin/env bash
# Software  Eigen 3.4.0-4 (libeigen3-dev), compiled with the system's g++ -O2 and no other option
# Guess     A product of two bfloat16 matrices is summed in float and rounded at the end, as the processors' own bfloat16
#           instructions do. If it were summed in bfloat16, a sum of ones would stop at 256, the last number to which 1 can
#           be added, and all elements of a product of ones would.
# Seen      The product of a 9 x 4096 and a 4096 x 9 matrix of ones, all elements 4096, is 512 in its upper eight rows and
#           1024, eight times, and 512 in the last. The left matrix times a vector is 4096, and the right one transposed
#           times a vector 256. Half precision does it likewise: 2048, 4088 and 4096 stand for one sum. How many partial
#           sums there are, and how often they are rounded, depends on where the blocks of the kernel leave an element, and
#           on the options of the compiler: with -mavx2 -mfma the upper rows are up to 4032 and the last is 2048.
# Matters   There is no warning, and nothing is wrong for inner dimensions below 256, as in most tests. At 4096, the width of
#           an 8 billion model, sums that don't cancel (a norm, a mean, attention over many keys) are wrong by a factor of
#           four, eight or 16 by their place, which no scale makes good, and a prompt's last row differs from the same row
#           further up. A 16-bit format needs a test with a long sum of one sign, and kernels have to say in what they sum.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir debs root
download() { (cd debs && apt-get download -qq -o APT::Sandbox::User=root libeigen3-dev=3.4.0-4); }
download || { apt-get update -qq && download; }
dpkg-deb -x debs/*.deb root

cat > ones.cpp <<'CPP'
#include <Eigen/Core>
#include <cstdio>
#include <map>

template <typename Derived>
void tally(const char* name, const Eigen::MatrixBase<Derived>& result) {
    std::map<float, int> counts;
    for (Eigen::Index row = 0; row < result.rows(); ++row) {
        for (Eigen::Index column = 0; column < result.cols(); ++column) ++counts[static_cast<float>(result(row, column))];
    }
    std::printf("  %s:", name);
    for (const auto& [value, count] : counts) std::printf(" %d x %g", count, value);
    std::printf("\n");
}

template <typename Number>
void products(const char* name, Eigen::Index inner) {
    using Matrix = Eigen::Matrix<Number, Eigen::Dynamic, Eigen::Dynamic>;
    using Vector = Eigen::Matrix<Number, Eigen::Dynamic, 1>;
    const Matrix left = Matrix::Ones(9, inner);
    const Matrix right = Matrix::Ones(inner, 9);
    const Vector vector = Vector::Ones(inner);
    const Matrix product = left * right;
    std::printf("%s, inner dimension %d\n", name, static_cast<int>(inner));
    tally("left * right, upper 8 rows", product.topRows(8));
    tally("left * right, last row", product.bottomRows(1));
    tally("left * vector", (left * vector).eval());
    tally("right.transpose() * vector", (right.transpose() * vector).eval());
}

int main() {
    products<Eigen::bfloat16>("bfloat16", 256);
    products<Eigen::bfloat16>("bfloat16", 4096);
    products<Eigen::half>("half", 4096);
    products<float>("float", 4096);
}
CPP
g++ -std=c++17 -O2 -Iroot/usr/include/eigen3 ones.cpp -o ones
./ones | tee seen

cat > expected <<'TXT'
bfloat16, inner dimension 256
  left * right, upper 8 rows: 72 x 256
  left * right, last row: 9 x 256
  left * vector: 9 x 256
  right.transpose() * vector: 9 x 256
bfloat16, inner dimension 4096
  left * right, upper 8 rows: 72 x 512
  left * right, last row: 1 x 512 8 x 1024
  left * vector: 9 x 4096
  right.transpose() * vector: 9 x 256
half, inner dimension 4096
  left * right, upper 8 rows: 72 x 4088
  left * right, last row: 1 x 4088 8 x 4096
  left * vector: 9 x 4096
  right.transpose() * vector: 9 x 2048
float, inner dimension 4096
  left * right, upper 8 rows: 72 x 4096
  left * right, last row: 9 x 4096
  left * vector: 9 x 4096
  right.transpose() * vector: 9 x 4096
TXT
if ! diff expected seen >&2; then
  echo 'CHANGED: the lines above are not as expected' >&2
  exit 1
fi
