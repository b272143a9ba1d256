#include "routesig/comparison/cka.hpp"

#include <gtest/gtest.h>

#include "routesig/random.hpp"

namespace routesig {
namespace {

std::vector<double> normals(std::size_t n, std::uint64_t seed) {
  std::vector<double> out(n);
  Random random(seed);
  for (double& x : out) x = random.normal();
  return out;
}

TEST(Cka, HsicByHand) {
  // Prompts at 0, 0, 1, 1: K = 1 between the last two. tr = 2, 1'K1 = 2, 1'KK1 = 2;
  // (2 + 2 * 2 / (3 * 2) - 2 / 2 * 2) / (4 * 1) = 1 / 6.
  const std::vector<double> x{0, 0, 1, 1};
  const auto k = linear_kernel(x, 4);
  EXPECT_NEAR(unbiased_hsic(k, k, 4), 1.0 / 6.0, 1e-15);
  EXPECT_NEAR(*unbiased_cka(k, k, 4), 1.0, 1e-15);
}

TEST(Cka, OfMatricesWithoutRelationIsAboutZero) {
  const auto k = linear_kernel(normals(80 * 1024, 1), 80), l = linear_kernel(normals(80 * 1024, 2), 80);
  EXPECT_NEAR(*unbiased_cka(k, l, 80), 0.0, 0.06);
  EXPECT_NEAR(*unbiased_cka(k, k, 80), 1.0, 1e-12);
}

TEST(Cka, DoesNotDependOnOriginScaleOrSigns) {
  auto x = normals(20 * 6, 3);
  const auto y = normals(20 * 4, 4);
  const auto l = linear_kernel(y, 20);
  const double before = *unbiased_cka(linear_kernel(x, 20), l, 20);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = 3.0 * (i % 6 == 2 ? -x[i] : x[i]) + 0.5 * static_cast<double>(i % 6);
  EXPECT_NEAR(*unbiased_cka(linear_kernel(x, 20), l, 20), before, 1e-12);
}

TEST(Cka, IsAbsentWherePromptsDoNotDifferOrAreFew) {
  const auto k = linear_kernel(normals(30, 1), 10);
  const auto same = linear_kernel(std::vector<double>(30, 0.1), 10);
  EXPECT_FALSE(unbiased_cka(k, same, 10));
  EXPECT_FALSE(unbiased_cka(std::vector<double>(100), k, 10));
  EXPECT_FALSE(unbiased_cka(linear_kernel(normals(9, 1), 3), linear_kernel(normals(9, 2), 3), 3));
  EXPECT_THROW((void)unbiased_hsic(k, same, 9), std::invalid_argument);
  EXPECT_THROW((void)linear_kernel(std::vector<double>(7), 2), std::invalid_argument);
}

}  // namespace
}  // namespace routesig
