#include "routesig/inner_products.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "routesig/random.hpp"

namespace routesig {
namespace {

std::vector<double> random_values(std::size_t count, std::uint64_t seed) {
  Random random(seed);
  std::vector<double> out(count);
  for (double& x : out) x = random.uniform();
  return out;
}

template <typename Scalar>
PackedRows<Scalar> packed(std::span<const double> values, std::size_t depth) {
  return {values.size() / std::max<std::size_t>(depth, 1), depth, [&](std::size_t row, std::span<double> out) {
            std::ranges::copy(values.subspan(row * depth, depth), out.begin());
          }};
}

double dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0.0;
  for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
  return sum;
}

template <typename Scalar>
class InnerProducts : public ::testing::Test {};
using Scalars = ::testing::Types<double, float>;
TYPED_TEST_SUITE(InnerProducts, Scalars);

TYPED_TEST(InnerProducts, ByHand) {
  const std::vector<double> rows{1, 2, 3, 4, 5, 6};  // (1, 2), (3, 4), (5, 6)
  const auto x = packed<TypeParam>(rows, 2);
  std::vector<TypeParam> out(9);
  inner_products(x, x, 0.5, std::span(out));
  EXPECT_EQ(out, (std::vector<TypeParam>{2.5, 5.5, 8.5, 5.5, 12.5, 19.5, 8.5, 19.5, 30.5}));
}

TYPED_TEST(InnerProducts, EqualTheDefinitionForEveryRemainder) {
  // Sizes around the widths of a vector, of a register tile, of a cache tile and of a depth block.
  const double tolerance = std::is_same_v<TypeParam, float> ? 1e-6 : 1e-14;
  for (const std::size_t n : {1U, 7U, 24U, 49U, 143U, 145U, 300U})
    for (const std::size_t depth : {1U, 63U, 65U, 257U}) {
      const auto a = random_values(n * depth, n), b = random_values(31 * depth, 99);
      const auto x = packed<TypeParam>(a, depth), y = packed<TypeParam>(b, depth);
      std::vector<TypeParam> xx(n * n), xy(n * 31);
      const double scale = 1.0 / static_cast<double>(depth);
      inner_products(x, x, scale, std::span(xx));
      inner_products(x, y, scale, std::span(xy));
      const auto row = [&](const std::vector<double>& of, std::size_t i) {
        return std::span(of).subspan(i * depth, depth);
      };
      for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j < n; ++j)
          ASSERT_NEAR(xx[i * n + j], scale * dot(row(a, i), row(a, j)), tolerance) << n << ' ' << depth;
        for (std::size_t j = 0; j < 31; ++j)
          ASSERT_NEAR(xy[i * 31 + j], scale * dot(row(a, i), row(b, j)), tolerance) << n << ' ' << depth;
      }
    }
}

TYPED_TEST(InnerProducts, AProductWithItselfIsSymmetricToTheLastBit) {
  const std::size_t n = 200, depth = 100;
  const auto values = random_values(n * depth, 1);
  const auto x = packed<TypeParam>(values, depth), same = packed<TypeParam>(values, depth);
  std::vector<TypeParam> half(n * n), whole(n * n);
  inner_products(x, x, 1.0, std::span(half));
  inner_products(x, same, 1.0, std::span(whole));
  EXPECT_EQ(half, whole);
}

TYPED_TEST(InnerProducts, NothingOfNothingIsNothing) {
  const auto none = packed<TypeParam>({}, 3);
  std::vector<TypeParam> out;
  inner_products(none, none, 1.0, std::span(out));
  const PackedRows<TypeParam> empty(2, 0, [](std::size_t, std::span<double>) {});
  std::vector<TypeParam> zeros(4, TypeParam{1});
  inner_products(empty, empty, 1.0, std::span(zeros));
  EXPECT_EQ(zeros, std::vector<TypeParam>(4));
}

TYPED_TEST(InnerProducts, RefusesOtherSizes) {
  const std::vector<double> values(12, 1.0);
  const auto a = packed<TypeParam>(values, 3), b = packed<TypeParam>(values, 4);
  std::vector<TypeParam> out(12);
  EXPECT_THROW(inner_products(a, b, 1.0, std::span(out)), std::invalid_argument);
  EXPECT_THROW(inner_products(a, a, 1.0, std::span(out)), std::invalid_argument);
}

}  // namespace
}  // namespace routesig
