#include "routesig/classify/nearest_centroid.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace routesig {
namespace {

const std::vector<double> kValues{0, 0, 2, 0, 10, 10, 12, 10, 1, 1};

TEST(NearestCentroid, ByHand) {
  const Features x(kValues, 5, 2);
  const auto model = NearestCentroid<>().fit(x, std::vector<int>{0, 0, 2, 2, -1});
  EXPECT_EQ(model.classes, (std::vector<int>{0, 2}));
  EXPECT_EQ(model.centroids, (std::vector<double>{1, 0, 11, 10}));
  EXPECT_EQ(model.closeness_of(x)[0], -1.0);
  EXPECT_EQ(model.predict(x), (std::vector<int>{0, 0, 2, 2, 0}));
}

TEST(NearestCentroid, TiesGoToTheLowerLabel) {
  const std::vector<double> values{-1, 1, 0};
  const auto model = NearestCentroid<>().fit(Features(values, 3, 1), std::vector<int>{4, 1, -1});
  EXPECT_EQ(model.predict(Features(values, 3, 1))[2], 1);
}

TEST(NearestCentroid, TheLayerCosineAveragesOverLayers) {
  const LayerCosine two{.layers = 2};
  const std::vector<double> a{1, 0, 0, 0}, b{1, 1, 3, 4};
  EXPECT_NEAR(two(a, b), 0.5 * 0.70710678118654752, 1e-15);  // the second layer of a is empty: 0
  EXPECT_NEAR(two(b, b), 1.0, 1e-15);
  EXPECT_THROW((void)LayerCosine{.layers = 3}(a, b), std::invalid_argument);
  const std::vector<double> values{9, 1, 1, 0.2, 0.1, 1};  // direction decides, not length
  const NearestCentroid<LayerCosine> by_cosine({.layers = 1});
  const auto model = by_cosine.fit(Features(values, 3, 2), std::vector<int>{0, -1, 1});
  EXPECT_EQ(model.predict(Features(values, 3, 2)), (std::vector<int>{0, 0, 1}));
}

TEST(NearestCentroid, RefusesWhatDoesNotFit) {
  const Features x(kValues, 5, 2);
  EXPECT_THROW((void)NearestCentroid<>().fit(x, std::vector<int>(5, -1)), std::invalid_argument);
  const auto model = NearestCentroid<>().fit(x, std::vector<int>{0, 0, 1, 1, 1});
  EXPECT_THROW((void)model.predict(Features(kValues, 2, 5)), std::invalid_argument);
}

}  // namespace
}  // namespace routesig
