#include "routesig/statistics/multiplicity.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace routesig {
namespace {

void expect_near(const std::vector<double>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-15) << i;
}

TEST(Holm, ByHand) {
  // Sorted .01 .02 .03 .04 times 4 3 2 1: .04 .06 .06 .04, made to ascend: .04 .06 .06 .06.
  expect_near(holm(std::vector<double>{.03, .01, .04, .02}), {.06, .04, .06, .06});
  expect_near(holm(std::vector<double>{.6, .9}), {1.0, 1.0});
  EXPECT_TRUE(holm({}).empty());
}

TEST(BenjaminiHochberg, ByHand) {
  // Sorted .01 .02 .03 .5 times 4/1 4/2 4/3 4/4: .04 .04 .04 .5.
  expect_near(benjamini_hochberg(std::vector<double>{.03, .01, .5, .02}), {.04, .04, .5, .04});
  expect_near(benjamini_hochberg(std::vector<double>{.9}), {.9});
  EXPECT_TRUE(benjamini_hochberg({}).empty());
}

TEST(Multiplicity, RefusesWhatIsNoProbability) {
  for (const double bad : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THROW((void)holm(std::vector<double>{.5, bad}), std::invalid_argument);
    EXPECT_THROW((void)benjamini_hochberg(std::vector<double>{.5, bad}), std::invalid_argument);
  }
}

}  // namespace
}  // namespace routesig
