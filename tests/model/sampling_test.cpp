// The next token: the largest logit, or a draw.
#include "sampling.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

namespace {

using routesig::Random;
using routesig::olmoe::most_likely;
using routesig::olmoe::sample;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(MostLikely, IsTheLargestAndTiesGoToTheLowerId) {
  EXPECT_EQ(most_likely(std::array{0.0F, 3.0F, 1.0F, 3.0F}), 1);
  EXPECT_EQ(most_likely(std::array{-0.0F, 0.0F}), 0);
  EXPECT_EQ(most_likely(std::array{kNaN, -kInf, -5.0F}), 2);
  EXPECT_EQ(most_likely(std::array{kNaN, kNaN}), 0);
}

TEST(Sample, FollowsTheSoftmaxAtItsTemperature) {
  const std::array logits{0.0F, std::log(2.0F), std::log(5.0F)};  // temperature 1: 1/8, 2/8, 5/8
  Random random(3);
  std::array<int, 3> counts{};
  constexpr int kDraws = 80'000;
  for (int i = 0; i < kDraws; ++i) ++counts[static_cast<std::size_t>(sample(logits, 1.0, random))];
  // Four standard deviations of a count: 4 sqrt(n p (1 - p)) < 560.
  EXPECT_NEAR(counts[0], kDraws / 8, 560);
  EXPECT_NEAR(counts[1], kDraws / 4, 560);
  EXPECT_NEAR(counts[2], kDraws * 5 / 8, 560);
}

TEST(Sample, AlmostFrozenIsGreedy) {
  Random random(3);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(sample(std::array{1.0F, 1.5F, 1.4F}, 1e-300, random), 1);
}

TEST(Sample, TakesOneUniformNumberWhateverTheLogits) {
  Random random(5), other(5);
  static_cast<void>(sample(std::array{kNaN, 1.0F}, 1.0, random));
  static_cast<void>(sample(std::array{0.0F, 1.0F}, 1.0, random));
  other.uniform();
  other.uniform();
  EXPECT_EQ(random.uniform(), other.uniform());
}

TEST(Sample, WithoutASoftmaxIsGreedy) {
  Random random(5);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(sample(std::array{1.0F, kNaN, 2.0F}, 1.0, random), 2);
}

}  // namespace
