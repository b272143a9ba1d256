#include "routesig/topk.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include "routesig/random.hpp"

namespace routesig {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNan = std::nanf("");

std::vector<ExpertId> best(const std::vector<float>& logits, std::size_t k) {
  std::vector<ExpertId> out(k);
  top_k(logits, out);
  return out;
}

// The slow, obvious way: a stable sort of (NaN last, larger first).
std::vector<ExpertId> by_stable_sort(const std::vector<float>& logits, std::size_t k) {
  std::vector<ExpertId> order(logits.size());
  std::iota(order.begin(), order.end(), ExpertId{0});
  std::ranges::stable_sort(order, [&](ExpertId a, ExpertId b) {
    if (std::isnan(logits[a]) || std::isnan(logits[b])) return !std::isnan(logits[a]) && std::isnan(logits[b]);
    return logits[a] > logits[b];
  });
  order.resize(k);
  return order;
}

TEST(TopK, TiesGoToTheLowerIndex) {
  EXPECT_EQ(best({0.1F, 2.0F, 2.0F, -1.0F}, 2), (std::vector<ExpertId>{1, 2}));
  EXPECT_EQ(best({0.0F, 0.0F, 0.0F}, 3), (std::vector<ExpertId>{0, 1, 2}));
}

TEST(TopK, MinusZeroEqualsZero) { EXPECT_EQ(best({-0.0F, 0.0F}, 1), (std::vector<ExpertId>{0})); }

TEST(TopK, NanLiesBelowMinusInfinity) {
  EXPECT_EQ(best({kNan, -kInf, 1.0F}, 3), (std::vector<ExpertId>{2, 1, 0}));
  EXPECT_EQ(best({-kNan, kNan, -kInf}, 2), (std::vector<ExpertId>{2, 0}));
}

TEST(TopK, EqualsAStableSortOnHardRows) {
  Random random(1);
  const std::vector<float> hard{kNan, -kInf, kInf, 0.0F, -0.0F, 1e-42F, -1e-42F, 1.0F, 1.0F, 2.0F};
  for (const std::size_t experts : {1U, 2U, 8U, 60U, 64U, 257U}) {
    for (int round = 0; round < 200; ++round) {
      std::vector<float> logits(experts);
      for (float& x : logits)
        x = round % 2 == 0 ? hard[random.below(static_cast<std::uint32_t>(hard.size()))]
                           : static_cast<float>(random.normal());
      const std::size_t k = 1 + random.below(static_cast<std::uint32_t>(experts));
      const auto got = best(logits, k);
      ASSERT_EQ(got, by_stable_sort(logits, k));
      ASSERT_EQ(std::set<ExpertId>(got.begin(), got.end()).size(), k);
    }
  }
}

TEST(TopK, RefusesAnImpossibleK) {
  std::vector<ExpertId> three(3), none;
  EXPECT_THROW(top_k(std::vector<float>{1.0F, 2.0F}, three), std::invalid_argument);
  EXPECT_THROW(top_k(std::vector<float>{1.0F, 2.0F}, none), std::invalid_argument);
}

TEST(RouteRow, WeightsAreSoftmaxOverAllExperts) {
  // e^0, e^1, e^2 of a total of 1 + e + e^2 = 11.107...
  const std::vector<float> logits{0.0F, 1.0F, 2.0F};
  std::vector<ExpertId> experts(2);
  std::vector<float> weights(2);
  EXPECT_FALSE(route_row(logits, experts, weights));
  EXPECT_EQ(experts, (std::vector<ExpertId>{2, 1}));
  EXPECT_NEAR(weights[0], 0.66524F, 1e-5F);
  EXPECT_NEAR(weights[1], 0.24473F, 1e-5F);
}

TEST(RouteRow, RenormalizedWeightsSumToOne) {
  Random random(2);
  std::vector<float> logits(64), weights(8);
  std::vector<ExpertId> experts(8);
  for (float& x : logits) x = static_cast<float>(random.normal());
  EXPECT_FALSE(route_row(logits, experts, weights, true));
  EXPECT_NEAR(std::accumulate(weights.begin(), weights.end(), 0.0F), 1.0F, 1e-6F);
  EXPECT_TRUE(std::ranges::is_sorted(weights, std::greater<>()));
}

TEST(RouteRow, ARowWithoutASoftmaxHasNanWeightsAndIsReported) {
  for (const std::vector<float>& logits :
       {std::vector<float>{1.0F, kNan, 2.0F}, {kInf, 0.0F, 1.0F}, {-kInf, -kInf, -kInf}, {kNan, kNan, kNan}}) {
    std::vector<ExpertId> experts(2);
    std::vector<float> weights(2);
    EXPECT_TRUE(route_row(logits, experts, weights, true));
    EXPECT_NE(experts[0], experts[1]);
    for (const float w : weights) EXPECT_TRUE(std::isnan(w));
  }
}

TEST(RouteRow, MinusInfinityBesideFiniteLogitsHasWeightZero) {
  std::vector<ExpertId> experts(2);
  std::vector<float> weights(2);
  EXPECT_FALSE(route_row(std::vector<float>{-kInf, 3.0F, -kInf}, experts, weights, true));
  EXPECT_EQ(experts, (std::vector<ExpertId>{1, 0}));
  EXPECT_EQ(weights, (std::vector<float>{1.0F, 0.0F}));
}

}  // namespace
}  // namespace routesig
