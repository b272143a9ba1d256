#include "routesig/statistics/jensen_shannon.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "routesig/similarity.hpp"

namespace routesig {
namespace {

static_assert(Metric<JensenShannon> && !InnerProductMetric<JensenShannon>);

TEST(JensenShannon, ByHand) {
  const std::vector<double> p{.5, .5, 0}, q{.5, 0, .5};
  EXPECT_NEAR(JensenShannon{}(p, q), .5, 1e-15);  // 1 - (H(.5, .25, .25) - 1) with H = 1.5 bits
}

TEST(JensenShannon, EqualRowsGiveOneAndRowsWithoutACommonExpertZero) {
  const std::vector<double> p{.5, .5, 0}, r{0, 0, 1}, zero(3);
  EXPECT_NEAR(JensenShannon{}(p, p), 1.0, 1e-15);
  EXPECT_NEAR(JensenShannon{}(p, r), 0.0, 1e-15);
  EXPECT_EQ(JensenShannon{}(p, zero), 0.0);
  EXPECT_EQ(JensenShannon{}(zero, zero), 0.0);
}

TEST(JensenShannon, AMatrixIsMadeOfIt) {
  const std::vector<double> values{.5, .5, 0, .5, 0, .5};  // [prompts, layers, experts] = [2, 1, 3]
  const auto all = similarity_matrix(SignatureView(values, 2, 1, 3), JensenShannon{});
  for (const std::size_t off : {1U, 2U}) EXPECT_NEAR(all[off], .5, 1e-15);
  for (const std::size_t on : {0U, 3U}) EXPECT_NEAR(all[on], 1.0, 1e-15);
}

}  // namespace
}  // namespace routesig
