// The fast selection against the rule in topk.hpp.
#include "router.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "routesig/random.hpp"
#include "routesig/topk.hpp"

namespace {

using routesig::ExpertId;

std::vector<ExpertId> selected(const std::vector<float>& logits, std::size_t experts, std::size_t k,
                               std::vector<std::uint8_t>& nonfinite) {
  std::vector<ExpertId> ids(logits.size() / experts * k);
  nonfinite.resize(logits.size() / experts);
  routesig::olmoe::select_experts(logits, experts, k, ids, nonfinite);
  return ids;
}

TEST(SelectExperts, TiesGoToTheLowerIndexAndNaNComesLast) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  std::vector<std::uint8_t> nonfinite;
  EXPECT_EQ(selected({1.0F, 2.0F, 2.0F, -0.0F, 0.0F}, 5, 5, nonfinite), (std::vector<ExpertId>{1, 2, 0, 3, 4}));
  EXPECT_EQ(nonfinite, std::vector<std::uint8_t>{0});
  EXPECT_EQ(selected({nan, -inf, 3.0F, inf}, 4, 4, nonfinite), (std::vector<ExpertId>{3, 2, 1, 0}));
  EXPECT_EQ(nonfinite, std::vector<std::uint8_t>{1});
}

// Few distinct values, so that nearly every row has ties at rank k; NaN and infinities among them.
TEST(SelectExperts, AgreesWithTheReferenceOnTheWholeGrid) {
  const float special[] = {-1.0F,
                           0.0F,
                           -0.0F,
                           0.5F,
                           2.0F,
                           std::numeric_limits<float>::quiet_NaN(),
                           std::numeric_limits<float>::infinity(),
                           -std::numeric_limits<float>::infinity()};
  routesig::Random random(1);
  std::size_t ties = 0;
  for (const std::size_t experts : {1U, 2U, 7U, 64U, 300U})
    for (std::size_t k = 1; k <= std::min<std::size_t>(experts, 33); k += 1 + k / 4) {
      std::vector<float> logits;
      for (std::size_t i = 0; i < 40 * experts; ++i)
        logits.push_back(i % 3 == 0 ? static_cast<float>(random.normal())
                                    : special[random.below(i < 20 * experts ? 5 : 8)]);
      std::vector<std::uint8_t> nonfinite;
      const std::vector<ExpertId> ids = selected(logits, experts, k, nonfinite);
      for (std::size_t row = 0; row < 40; ++row) {
        const std::span<const float> of_row = std::span(logits).subspan(row * experts, experts);
        std::vector<ExpertId> expected(k);
        routesig::top_k(of_row, expected);
        EXPECT_TRUE(std::ranges::equal(expected, std::span(ids).subspan(row * k, k))) << experts << " experts, k " << k;
        EXPECT_EQ(nonfinite[row] != 0, routesig::is_nonfinite(of_row));
        for (std::size_t i = 1; i < k; ++i) ties += of_row[expected[i]] == of_row[expected[i - 1]] ? 1U : 0U;
      }
    }
  EXPECT_GT(ties, 1000U);  // else this test would not have tested what it says
}

}  // namespace
