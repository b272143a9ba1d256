#include "classify/lbfgs.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace routesig {
namespace {

TEST(Lbfgs, FindsTheMinimumOfAnIllConditionedQuadratic) {
  const std::size_t size = 40;
  Lbfgs search(std::vector<double>(size, 1.0), {.tolerance = 1e-9});
  while (!search.done()) {
    double value = 0.0;
    for (std::size_t i = 0; i < size; ++i) {
      const double curvature = std::pow(10.0, 4.0 * static_cast<double>(i) / static_cast<double>(size - 1));
      const double off = search.point()[i] - static_cast<double>(i);
      value += 0.5 * curvature * off * off;
      search.gradient()[i] = curvature * off;
    }
    search.tell(value);
  }
  EXPECT_TRUE(search.converged());
  for (std::size_t i = 0; i < size; ++i) EXPECT_NEAR(search.point()[i], static_cast<double>(i), 1e-8);
}

TEST(Lbfgs, FindsItsWayFromAFlatAndASteepStart) {
  for (const double start : {-40.0, 40.0}) {  // e^x - x: almost linear on one side, exploding on the other
    Lbfgs search({start}, {.tolerance = 1e-10});
    while (!search.done()) {
      search.gradient()[0] = std::exp(search.point()[0]) - 1.0;
      search.tell(std::exp(search.point()[0]) - search.point()[0]);
    }
    EXPECT_TRUE(search.converged());
    EXPECT_NEAR(search.point()[0], 0.0, 1e-9);
  }
}

TEST(Lbfgs, StopsAtTheLimitAndWhereRoundingEndsProgress) {
  Lbfgs limited({3.0}, {.tolerance = 0.0, .max_iterations = 2});
  while (!limited.done()) {
    limited.gradient()[0] = std::sinh(limited.point()[0]);
    limited.tell(std::cosh(limited.point()[0]));
  }
  EXPECT_EQ(limited.iterations(), 2);
  EXPECT_FALSE(limited.converged());
  Lbfgs lying({1.0}, {});
  while (!lying.done()) {  // the slope never changes its sign, the value never falls
    lying.gradient()[0] = 1.0;
    lying.tell(5.0 - lying.point()[0]);
  }
  EXPECT_FALSE(lying.converged());
  EXPECT_TRUE(Lbfgs(std::vector<double>{}).point().empty());
}

}  // namespace
}  // namespace routesig
