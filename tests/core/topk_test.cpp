#include "routesig/topk.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <set>
#include <utility>
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
  EXPECT_FALSE(route_row(logits, experts, weights, {.renormalize = true}));
  EXPECT_NEAR(std::accumulate(weights.begin(), weights.end(), 0.0F), 1.0F, 1e-6F);
  EXPECT_TRUE(std::ranges::is_sorted(weights, std::greater<>()));
}

TEST(RouteRow, ARowWithoutASoftmaxHasNanWeightsAndIsReported) {
  for (const std::vector<float>& logits :
       {std::vector<float>{1.0F, kNan, 2.0F}, {kInf, 0.0F, 1.0F}, {-kInf, -kInf, -kInf}, {kNan, kNan, kNan}}) {
    std::vector<ExpertId> experts(2);
    std::vector<float> weights(2);
    EXPECT_TRUE(route_row(logits, experts, weights, {.renormalize = true}));
    EXPECT_NE(experts[0], experts[1]);
    for (const float w : weights) EXPECT_TRUE(std::isnan(w));
  }
}

TEST(RouteRow, MinusInfinityBesideFiniteLogitsHasWeightZero) {
  std::vector<ExpertId> experts(2);
  std::vector<float> weights(2);
  EXPECT_FALSE(route_row(std::vector<float>{-kInf, 3.0F, -kInf}, experts, weights, {.renormalize = true}));
  EXPECT_EQ(experts, (std::vector<ExpertId>{1, 0}));
  EXPECT_EQ(weights, (std::vector<float>{1.0F, 0.0F}));
}

// Routes one row and keeps all that comes out of it.
struct Routed {
  std::vector<ExpertId> experts;
  std::vector<float> weights;
  bool nonfinite = false;
};
Routed routed(const std::vector<float>& logits, std::size_t k, const RouterRule& rule,
              const std::vector<float>& bias = {}) {
  Routed row{std::vector<ExpertId>(k), std::vector<float>(k)};
  row.nonfinite = route_row(logits, row.experts, row.weights, rule, bias);
  return row;
}

TEST(RouteRow, SoftmaxOfChosenIsTheRenormalizedSoftmax) {
  // e^2 and e^1 of their own sum: 1 / (1 + e^-1) = 0.73106, whatever the third logit is.
  const std::vector<float> logits{1.0F, -5.0F, 2.0F};
  const Routed chosen = routed(logits, 2, {.scoring = Scoring::softmax_of_chosen});
  EXPECT_EQ(chosen.experts, (std::vector<ExpertId>{2, 0}));
  EXPECT_NEAR(chosen.weights[0], 0.73106F, 1e-5F);
  EXPECT_EQ(chosen.weights, routed(logits, 2, {.renormalize = true}).weights);
}

TEST(RouteRow, ScaleMultipliesTheWeights) {
  const Routed row = routed({0.0F, 0.0F}, 2, {.renormalize = true, .scale = 2.5F});
  EXPECT_EQ(row.weights, (std::vector<float>{1.25F, 1.25F}));
}

TEST(RouteRow, SigmoidChoosesWithTheBiasAndWeighsWithout) {
  // Sigmoids 1/2, 3/4, 1/4 (logits 0, ln 3, -ln 3). The bias lifts the last above the first: 0.5, 0.75, 0.65.
  const float ln3 = std::log(3.0F);
  const Routed row = routed({0.0F, ln3, -ln3}, 2, {.scoring = Scoring::sigmoid}, {0.0F, 0.0F, 0.4F});
  EXPECT_EQ(row.experts, (std::vector<ExpertId>{1, 2}));
  EXPECT_NEAR(row.weights[0], 0.75F, 1e-6F);
  EXPECT_NEAR(row.weights[1], 0.25F, 1e-6F);
}

TEST(RouteRow, OnlyTheBestGroupsAreChosenFrom) {
  // Three groups of three; scores are s, logits ln(s / (1 - s)). Sums of the two best: 0.9 + 0.1, 0.6 + 0.5, 0.7 + 0.2:
  // group 1 wins with 1.1, group 0 is second with 1.0, so that the best of group 2 is out although it is the second
  // best.
  const std::vector<float> scores{0.9F, 0.1F, 0.05F, 0.6F, 0.5F, 0.01F, 0.2F, 0.7F, 0.02F};
  std::vector<float> logits;
  for (const float s : scores) logits.push_back(std::log(s / (1.0F - s)));
  RouterRule rule{.scoring = Scoring::sigmoid, .renormalize = true, .scale = 2.0F, .groups = 3, .kept_groups = 2};
  const Routed row = routed(logits, 3, rule);
  EXPECT_EQ(row.experts, (std::vector<ExpertId>{0, 3, 4}));
  EXPECT_NEAR(row.weights[0], 0.9F, 1e-6F);  // of a sum of 2, times 2
  EXPECT_NEAR(row.weights[1], 0.6F, 1e-6F);
  rule.kept_groups = 3;
  EXPECT_EQ(routed(logits, 3, rule).experts, (std::vector<ExpertId>{0, 7, 3}));
}

TEST(RouteRow, EqualGroupsGoToTheLowerIndex) {
  const RouterRule rule{.scoring = Scoring::sigmoid, .groups = 4, .kept_groups = 2};
  EXPECT_EQ(routed(std::vector<float>(8, 1.0F), 4, rule).experts, (std::vector<ExpertId>{0, 1, 2, 3}));
}

TEST(RouteRow, ASumOfZeroGivesEvenWeights) {
  const RouterRule rule{.scoring = Scoring::sigmoid, .renormalize = true, .scale = 3.0F};
  const Routed row = routed({-200.0F, -300.0F, -400.0F, -500.0F}, 4, rule);
  EXPECT_FALSE(row.nonfinite);
  EXPECT_EQ(row.weights, std::vector<float>(4, 0.75F));
  EXPECT_EQ(routed({-200.0F, -300.0F}, 2, {.scoring = Scoring::sigmoid}).weights, std::vector<float>(2, 0.0F));
}

TEST(RouteRow, SigmoidKeepsTheRuleOfRowsThatAreNotFinite) {
  const RouterRule rule{.scoring = Scoring::sigmoid, .renormalize = true, .groups = 2, .kept_groups = 1};
  for (const std::vector<float>& logits : {std::vector<float>{1.0F, kNan, 2.0F, 3.0F},
                                           {kInf, 0.0F, 1.0F, 2.0F},
                                           {-kInf, -kInf, -kInf, -kInf},
                                           {kNan, kNan, kNan, kNan}}) {
    const Routed row = routed(logits, 2, rule);
    EXPECT_TRUE(row.nonfinite);
    EXPECT_NE(row.experts[0], row.experts[1]);
    EXPECT_EQ(row.experts[0] / 2, row.experts[1] / 2);  // both of one group
    for (const float w : row.weights) EXPECT_TRUE(std::isnan(w));
  }
  EXPECT_TRUE(routed({1.0F, 2.0F}, 1, {.scoring = Scoring::sigmoid}, {0.0F, kNan}).nonfinite);
  // A bias of -inf takes an expert out; a logit of -inf beside finite ones has the score 0.
  EXPECT_FALSE(routed({1.0F, 2.0F}, 1, {.scoring = Scoring::sigmoid}, {0.0F, -kInf}).nonfinite);
  EXPECT_EQ(routed({1.0F, 2.0F}, 1, {.scoring = Scoring::sigmoid}, {0.0F, -kInf}).experts[0], 0);
  EXPECT_EQ(routed({-kInf, 0.0F}, 2, {.scoring = Scoring::sigmoid}).weights, (std::vector<float>{0.5F, 0.0F}));
}

TEST(RouteRow, RefusesWhatDoesNotFit) {
  const std::vector<float> four(4, 0.0F);
  const Scoring sigmoid_scores = Scoring::sigmoid;
  EXPECT_THROW(routed(four, 5, {}), std::invalid_argument);
  EXPECT_THROW(routed(four, 0, {}), std::invalid_argument);
  EXPECT_THROW(routed(four, 1, {.groups = 2}), std::invalid_argument);
  EXPECT_THROW(routed(four, 1, {.scoring = sigmoid_scores, .groups = 3}), std::invalid_argument);
  EXPECT_THROW(routed(four, 1, {.scoring = sigmoid_scores, .groups = 4}), std::invalid_argument);
  EXPECT_THROW(routed(four, 1, {.scoring = sigmoid_scores, .groups = 9}), std::invalid_argument);
  EXPECT_THROW(routed(four, 1, {.scoring = sigmoid_scores, .groups = 2, .kept_groups = 3}), std::invalid_argument);
  EXPECT_THROW(routed(four, 3, {.scoring = sigmoid_scores, .groups = 2}), std::invalid_argument);
  EXPECT_THROW(routed(four, 1, {.scale = kInf}), std::invalid_argument);
  EXPECT_THROW(routed(four, 1, {}, four), std::invalid_argument);
  EXPECT_THROW(routed(four, 1, {.scoring = sigmoid_scores}, {0.0F}), std::invalid_argument);
}

TEST(Sigmoid, IsWithinItsErrorOfTheExactOne) {
  EXPECT_EQ(sigmoid(0.0F), 0.5F);
  EXPECT_EQ(sigmoid(kInf), 1.0F);
  EXPECT_EQ(sigmoid(-kInf), 0.0F);
  EXPECT_TRUE(std::isnan(sigmoid(kNan)));
  double worst = 0.0;
  for (std::uint32_t bits = 0; bits < 0x42AE'0000U; bits += 4099) {  // 0 ... 87: normal results
    for (const float x : {std::bit_cast<float>(bits), -std::bit_cast<float>(bits)}) {
      const double exact = 1.0 / (1.0 + std::exp(-static_cast<double>(x)));
      worst = std::max(worst, std::abs(sigmoid(x) - exact) / exact);
    }
  }
  EXPECT_LT(worst, 2e-7);
  for (float x = -110.0F; x < -87.0F; x += 0.01F)  // subnormal results: within the spacing of their numbers
    EXPECT_NEAR(sigmoid(x), std::exp(static_cast<double>(x)), 2.0 * std::numeric_limits<float>::denorm_min()) << x;
}

TEST(Sigmoid, HasTheseBitsEverywhere) {
  const std::pair<float, std::uint32_t> known[] = {
      {1.0F, 0x3F3B'26A8U},  {-1.0F, 0x3E89'B2B1U},  {0.1F, 0x3F06'6509U},   {-3.3F, 0x3D11'B319U},
      {7.25F, 0x3F7F'D17EU}, {-20.0F, 0x310D'A433U}, {-88.5F, 0x0027'FCE2U}, {-100.0F, 0x0000'001BU},
      {16.0F, 0x3F7F'FFFEU}, {-0.4F, 0x3ECD'78CFU}};
  for (const auto& [x, bits] : known) EXPECT_EQ(std::bit_cast<std::uint32_t>(sigmoid(x)), bits) << x;
}

}  // namespace
}  // namespace routesig
