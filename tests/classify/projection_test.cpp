#include "routesig/classify/projection.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "classify/eigenpairs.hpp"
#include "classify/tables.hpp"
#include "routesig/parallel.hpp"
#include "routesig/random.hpp"

namespace routesig {
namespace {

std::vector<double> noise(std::size_t count, std::uint64_t seed = 1) {
  Random random(seed);
  std::vector<double> out(count);
  for (double& v : out) v = random.normal();
  return out;
}

TEST(Pca, ByHand) {
  // (0, 0), (2, 2), (4, 4) and a fourth point across: mean (2, 2).
  const std::vector<double> values{0, 0, 4, 4, 1, 3, 3, 1};
  const Pca found = pca(Features(values, 4, 2), 2);
  const double half = std::sqrt(0.5);
  ASSERT_EQ(found.components, 2U);
  EXPECT_EQ(found.mean, (std::vector<double>{2, 2}));
  EXPECT_NEAR(found.loadings[0], half, 1e-15);
  EXPECT_NEAR(found.loadings[1], half, 1e-15);
  EXPECT_NEAR(found.variance[0], 16.0 / 3.0, 1e-14);
  EXPECT_NEAR(found.variance[1], 4.0 / 3.0, 1e-14);
  EXPECT_NEAR(found.total_variance, 20.0 / 3.0, 1e-14);
  EXPECT_NEAR(found.points[0], -4.0 * half, 1e-14);  // the first point
  EXPECT_NEAR(found.points[2], 4.0 * half, 1e-14);
}

TEST(Pca, BothFormsAndTheWholeDecompositionAgree) {
  // 300 x 260 takes the covariance, its transpose the Gram matrix, both large enough for block Lanczos.
  for (const auto& [rows, columns] : {std::pair<std::size_t, std::size_t>{300, 260}, {260, 300}, {30, 8}, {8, 30}}) {
    const std::vector<double> values = noise(rows * columns);
    const Pca found = pca(Features(values, rows, columns), 3);
    const auto n = static_cast<Eigen::Index>(rows), d = static_cast<Eigen::Index>(columns);
    detail::Table x = Eigen::Map<const detail::Table>(values.data(), n, d);
    x.rowwise() -= x.colwise().mean().eval();
    const Eigen::MatrixXd covariance = x.transpose() * x / static_cast<double>(n - 1);
    const auto whole = detail::largest(Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(covariance), 3);
    for (Eigen::Index k = 0; k < 3; ++k) {
      EXPECT_NEAR(found.variance[static_cast<std::size_t>(k)] / whole.values[k], 1.0, 1e-11);
      const Eigen::Map<const Eigen::VectorXd> loading(found.loadings.data() + k * d, d);
      EXPECT_NEAR(std::abs(loading.dot(whole.vectors.col(k))), 1.0, 1e-11);
      EXPECT_NEAR(loading.norm(), 1.0, 1e-12);
      EXPECT_EQ(loading.maxCoeff(), loading.cwiseAbs().maxCoeff());  // the fixed sign
    }
    EXPECT_NEAR(found.total_variance, covariance.trace(), 1e-9);
  }
}

TEST(TopEigenpairs, FindsRepeatedEigenvaluesAsOftenAsTheyOccur) {
  const Eigen::Index size = 240;
  Eigen::VectorXd values = Eigen::VectorXd::LinSpaced(size, 0.0, 1.0);
  values.tail(2).setConstant(3.0);
  const std::vector<double> random = noise(static_cast<std::size_t>(size * size));
  const Eigen::MatrixXd q =
      Eigen::HouseholderQR<Eigen::MatrixXd>(Eigen::Map<const Eigen::MatrixXd>(random.data(), size, size))
          .householderQ();
  const detail::Eigenpairs top = detail::top_eigenpairs(q * values.asDiagonal() * q.transpose(), 3);
  EXPECT_NEAR(top.values[0], 3.0, 1e-12);
  EXPECT_NEAR(top.values[1], 3.0, 1e-12);
  EXPECT_NEAR(top.values[2], values[size - 3], 1e-12);
}

TEST(TopEigenpairs, MatricesOfLowRankAreFineToo) {
  const std::vector<double> values = noise(2 * 250);
  const Eigen::Map<const Eigen::MatrixXd> factor(values.data(), 250, 2);
  const detail::Eigenpairs top = detail::top_eigenpairs(factor * factor.transpose(), 3);
  EXPECT_NEAR(top.values.sum(), factor.squaredNorm(), 1e-9);
  EXPECT_LT(std::abs(top.values[2]), 1e-9);
}

TEST(Pca, ComponentsBeyondTheRankAreLeftOut) {
  std::vector<double> line;
  for (int i = 0; i < 5; ++i)
    for (const double direction : {1.0, 2.0, 0.1}) line.push_back(0.3 + i * direction);
  EXPECT_EQ(pca(Features(line, 5, 3), 2).components, 1U);
  EXPECT_EQ(pca(Features(std::vector<double>(12, 0.1), 4, 3), 2).components, 0U);
  EXPECT_EQ(pca(Features(std::vector<double>{1, 2}, 1, 2), 2).components, 0U);
  EXPECT_EQ(pca(Features(std::vector<double>{1, 2}, 1, 2), 2).mean[1], 2.0);
  EXPECT_EQ(pca(Features({}, 0, 3), 2).components, 0U);
}

TEST(Pca, OrderOfRowsDoesNotMatterAndOtherRowsCanBePlaced) {
  const std::vector<double> values = noise(20 * 7);
  std::vector<double> turned;
  for (std::size_t i = 20; i-- > 0;)
    turned.insert(turned.end(), values.begin() + static_cast<std::ptrdiff_t>(i * 7),
                  values.begin() + static_cast<std::ptrdiff_t>(i * 7 + 7));
  const Pca a = pca(Features(values, 20, 7)), b = pca(Features(turned, 20, 7));
  for (std::size_t i = 0; i < 14; ++i) EXPECT_NEAR(a.loadings[i], b.loadings[i], 1e-12);
  const std::vector<double> placed = a.transform(Features(values, 20, 7));
  EXPECT_EQ(placed, a.points);
  EXPECT_THROW((void)a.transform(Features(values, 28, 5)), std::invalid_argument);
}

TEST(Pca, SameBytesOnAnyNumberOfThreads) {
  const std::vector<double> values = noise(280 * 250);
  std::vector<std::vector<double>> found;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    found.push_back(pca(Features(values, 280, 250)).points);
  }
  set_num_threads(0);
  EXPECT_EQ(found[0], found[1]);
  EXPECT_EQ(found[0], found[2]);
}

TEST(Pca, RefusesNaN) {
  const std::vector<double> values{0.0, std::numeric_limits<double>::quiet_NaN()};
  EXPECT_THROW((void)pca(Features(values, 2, 1)), std::invalid_argument);
}

}  // namespace
}  // namespace routesig
