#include "routesig/similarity.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/traces.hpp"

namespace routesig {
namespace {

using testing::random_trace;
using testing::shape;

static_assert(InnerProductMetric<Cosine>);

static_assert(InnerProductMetric<Hellinger>);
static_assert(Metric<Overlap> && !InnerProductMetric<Overlap>);

struct PlainCosine {  // the definition, hidden from the matrix product
  double operator()(std::span<const double> a, std::span<const double> b) const { return Cosine{}(a, b); }
};

struct PlainHellinger {
  double operator()(std::span<const double> a, std::span<const double> b) const { return Hellinger{}(a, b); }
};

SignatureSet<double> some(std::size_t n, int layers = 3, int experts = 16) {
  std::vector<RoutingTrace> traces;
  for (std::size_t i = 0; i < n; ++i) traces.push_back(random_trace(shape(layers, experts, 4), 6, 6, i));
  return signatures(std::span<const RoutingTrace>(traces));
}

TEST(Similarity, ByHand) {
  // Layer 0: (1,0).(1,0) = 1; layer 1: (1,0).(.5,.5) = 1/sqrt 2; mean.
  const Signature<double> a{.layers = 2, .experts = 2, .values = {1, 0, 1, 0}};
  const Signature<double> b{.layers = 2, .experts = 2, .values = {1, 0, .5, .5}};
  EXPECT_NEAR(similarity(a, b), (1 + 1 / std::sqrt(2.0)) / 2, 1e-15);
}

TEST(Similarity, LayersWithoutDataAreLeftOut) {
  const Signature<double> a{.layers = 3, .experts = 2, .values = {1, 0, 0, 0, .5, .5}};
  const Signature<double> b{.layers = 3, .experts = 2, .values = {1, 0, .5, .5, 0, 1}};
  EXPECT_DOUBLE_EQ(similarity(a, a), 1.0);
  EXPECT_NEAR(similarity(a, b), (1 + 1 / std::sqrt(2.0)) / 2, 1e-15);  // layers 0 and 2
  const Signature<double> none{.layers = 3, .experts = 2, .values = {0, 0, 1, 0, 0, 0}};
  EXPECT_TRUE(std::isnan(similarity(a, none)));  // no layer that both know
}

template <typename Metric>
void expect_shared_layers(const Metric& metric) {
  SignatureSet<double> set = some(20);
  for (const int row : {0, 4, 7, 8, 31}) std::fill_n(set.values.begin() + row * 16, 16, 0.0);
  std::fill_n(set.values.begin() + 15 * 48, 48, 0.0);  // prompt 15 knows nothing
  const auto matrix = similarity_matrix(set, metric), layers = similarity_layers(set, metric);
  const SignatureView view(set);
  for (std::size_t i = 0; i < 20; ++i)
    for (std::size_t j = 0; j < 20; ++j) {
      double sum = 0.0, shared = 0.0;
      for (std::size_t l = 0; l < 3; ++l) {
        const double x = layers[(l * 20 + i) * 20 + j];
        ASSERT_EQ(std::isnan(x), !view.known(i, l) || !view.known(j, l));
        if (std::isnan(x)) continue;
        sum += x;
        shared += 1.0;
      }
      const double mean = matrix[i * 20 + j];
      ASSERT_EQ(std::isnan(mean), shared == 0.0);
      if (shared == 0.0) continue;
      ASSERT_NEAR(mean, sum / shared, 1e-14);
    }
}

TEST(Similarity, EveryPairIsTheMeanOverTheLayersThatBothKnow) {
  expect_shared_layers(Cosine{});
  expect_shared_layers(Overlap{});
}

TEST(Similarity, MetricsByHand) {
  const std::vector<double> p{.5, .5, 0}, q{.5, 0, .5}, r{0, 0, 1}, zero(3);
  EXPECT_NEAR(Hellinger{}(p, q), .5, 1e-15);
  EXPECT_NEAR(Overlap{}(p, q), .5, 1e-15);
  const auto ends = [&](const auto& metric) {
    EXPECT_NEAR(metric(p, p), 1.0, 1e-15);
    EXPECT_NEAR(metric(p, r), 0.0, 1e-15);
    EXPECT_EQ(metric(p, zero), 0.0);
    EXPECT_EQ(metric(zero, zero), 0.0);
  };
  ends(Cosine{});
  ends(Hellinger{});
  ends(Overlap{});
}

TEST(Similarity, SinglePrecisionStaysWithinAMillionth) {
  const auto set = some(200, 16, 64);
  const auto exact = similarity_matrix(set);
  const auto single = similarity_matrix<Cosine, float>(set);
  const auto cross = similarity_matrix<Cosine, float>(set, set);
  for (std::size_t i = 0; i < exact.size(); ++i) ASSERT_NEAR(single[i], exact[i], 1e-6);
  EXPECT_EQ(single, cross);
  const auto layers = similarity_layers(set);
  const auto single_layers = similarity_layers<Cosine, float>(set);
  for (std::size_t i = 0; i < layers.size(); ++i) ASSERT_NEAR(single_layers[i], layers[i], 1e-6);
}

TEST(Similarity, MatrixIsSymmetricWithOnesOnTheDiagonal) {
  const auto set = some(150);
  const auto m = similarity_matrix(set);
  for (std::size_t i = 0; i < 150; ++i) {
    EXPECT_NEAR(m[i * 150 + i], 1.0, 1e-14);
    for (std::size_t j = 0; j < i; ++j) ASSERT_EQ(m[i * 150 + j], m[j * 150 + i]);
  }
}

TEST(Similarity, MatrixProductEqualsTheDefinition) {
  const auto set = some(140);
  const auto fast = similarity_matrix(set), slow = similarity_matrix(set, PlainCosine{});
  for (std::size_t i = 0; i < fast.size(); ++i) ASSERT_NEAR(fast[i], slow[i], 1e-14);
  const auto affinity = similarity_matrix(set, Hellinger{}), plain = similarity_matrix(set, PlainHellinger{});
  for (std::size_t i = 0; i < plain.size(); ++i) ASSERT_NEAR(affinity[i], plain[i], 1e-14);
}

TEST(Similarity, TwoSetsGiveTheirBlockOfTheJointMatrix) {
  const auto set = some(10);
  const SignatureView all(set), head(std::span(set.values).first(4 * 48), 4, 3, 16),
      tail(std::span(set.values).subspan(4 * 48), 6, 3, 16);
  for (const auto& [block, whole] :
       {std::pair{similarity_matrix(head, tail), similarity_matrix(all)},
        std::pair{similarity_matrix(head, tail, Overlap{}), similarity_matrix(all, Overlap{})}})
    for (std::size_t i = 0; i < 4; ++i)
      for (std::size_t j = 0; j < 6; ++j) EXPECT_NEAR(block[i * 6 + j], whole[i * 10 + 4 + j], 1e-14);
}

TEST(Similarity, LayersAverageToTheWhole) {
  const auto set = some(9);
  const auto layers = similarity_layers(set), whole = similarity_matrix(set), cross = similarity_layers(set, set);
  for (std::size_t i = 0; i < 81; ++i) {
    EXPECT_NEAR((layers[i] + layers[81 + i] + layers[162 + i]) / 3, whole[i], 1e-14);
    EXPECT_NEAR(layers[i], cross[i], 1e-14);
  }
}

TEST(Similarity, SameBytesOnAnyNumberOfThreads) {
  const auto set = some(300);
  set_num_threads(1);
  const auto one = similarity_matrix(set);
  set_num_threads(4);
  EXPECT_EQ(similarity_matrix(set), one);
  set_num_threads(0);
}

TEST(Similarity, RelabellingExpertsOfALayerChangesNothing) {
  auto set = some(8);
  const auto before = similarity_matrix(set);
  for (std::size_t p = 0; p < 8; ++p)
    std::reverse(set.values.begin() + static_cast<std::ptrdiff_t>(p * 48 + 16),
                 set.values.begin() + static_cast<std::ptrdiff_t>(p * 48 + 32));
  const auto after = similarity_matrix(set);
  for (std::size_t i = 0; i < 64; ++i) EXPECT_NEAR(before[i], after[i], 1e-14);
}

TEST(Similarity, OfNoPromptsIsEmpty) {
  const auto a = some(2, 3, 16);
  const SignatureView none({}, 0, 3, 16);
  EXPECT_TRUE(similarity_matrix(none).empty());
  EXPECT_TRUE(similarity_matrix(none, a).empty());
  EXPECT_TRUE(similarity_matrix(a, none).empty());
  EXPECT_TRUE(similarity_layers(none).empty());
  EXPECT_TRUE(similarity_layers(a, none).empty());
}

TEST(Similarity, RefusesAnotherShape) {
  const auto a = some(2), b = some(2, 3, 8);
  EXPECT_THROW((void)similarity_matrix(a, b), std::invalid_argument);
  EXPECT_THROW(SignatureView(a.values, 3, 3, 16), std::invalid_argument);
  EXPECT_TRUE(similarity_matrix(SignatureView({}, 0, 0, 0)).empty());
}

}  // namespace
}  // namespace routesig
