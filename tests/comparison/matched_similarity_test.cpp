#include "routesig/comparison/matched_similarity.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "routesig/random.hpp"

namespace routesig {
namespace {

TEST(MatchedSimilarity, ByHand) {
  const std::vector<double> a{1.0, 0.0, /**/ 0.5, 0.5}, b{0.5, 0.5, /**/ 0.5, 0.5};  // two prompts, one layer
  const SignatureView x(a, 2, 1, 2), y(b, 2, 1, 2);
  const auto same = matched_similarity(x, y);
  EXPECT_NEAR(*same[0], std::sqrt(0.5), 1e-15);
  EXPECT_NEAR(*same[1], 1.0, 1e-15);
  EXPECT_NEAR(*mismatched_similarity(x, y)[0], 0.5 * (std::sqrt(0.5) + 1.0), 1e-15);
}

TEST(MatchedSimilarity, MismatchedIsTheMeanOverPairsOfDifferentPrompts) {
  const std::size_t n = 7, layers = 3, experts = 5;
  std::vector<double> a(n * layers * experts), b(a.size());
  Random random(1);
  for (double& v : a) v = random.uniform();
  for (double& v : b) v = random.uniform();
  for (std::size_t e = 0; e < experts; ++e) a[(2 * layers + 1) * experts + e] = 0.0;  // prompt 2 has no layer 1 in a
  const SignatureView x(a, n, layers, experts), y(b, n, layers, experts);
  const auto all = similarity_layers(x, y);
  const auto same = matched_similarity(x, y);
  const auto other = mismatched_similarity(x, y);
  for (std::size_t l = 0; l < layers; ++l) {
    double sum = 0.0, pairs = 0.0;
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) {
        const bool empty = l == 1 && i == 2;
        if (i == j)
          EXPECT_EQ(same[i * layers + l].has_value(), !empty);
        else if (!empty) {
          sum += all[(l * n + i) * n + j];
          pairs += 1.0;
        }
      }
    EXPECT_NEAR(*other[l], sum / pairs, 1e-13);
  }
}

TEST(MatchedSimilarity, OnePromptHasNoOther) {
  const std::vector<double> a{1.0, 0.0}, nothing{0.0, 0.0};
  const SignatureView x(a, 1, 1, 2);
  EXPECT_FALSE(mismatched_similarity(x, x)[0]);
  EXPECT_FALSE(matched_similarity(x, SignatureView(nothing, 1, 1, 2))[0]);
  EXPECT_THROW((void)matched_similarity(x, SignatureView({}, 0, 1, 2)), std::invalid_argument);
  EXPECT_THROW((void)mismatched_similarity(x, SignatureView(a, 1, 2, 1)), std::invalid_argument);
}

}  // namespace
}  // namespace routesig
