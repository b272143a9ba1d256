#include "routesig/classify/features.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "classify/row_products.hpp"
#include "routesig/random.hpp"

namespace routesig {
namespace {

TEST(Standardization, ByHandWithConstantColumnsLeftAlone) {
  const std::vector<double> values{1, 7, 3, 7, 100, 100};
  const Features x(values, 3, 2);
  const Standardization s = standardization(x, std::vector<int>{0, 1, -1});  // the third row is left out
  EXPECT_EQ(s.mean, (std::vector<double>{2, 7}));
  EXPECT_EQ(s.scale, (std::vector<double>{1, 1}));  // ddof 0; 7 is constant
  EXPECT_EQ(standardized(x, s), (std::vector<double>{-1, 0, 1, 0, 98, 93}));
}

TEST(Standardization, TakesTheRoundingOfAMeanForConstant) {
  const std::vector<double> tenths(7, 0.1);
  EXPECT_EQ(standardization(Features(tenths, 7, 1), std::vector<int>(7, 0)).scale[0], 1.0);
}

TEST(Features, RefusesWhatDoesNotFit) {
  const std::vector<double> values(6);
  EXPECT_THROW(Features(values, 2, 2), std::invalid_argument);
  EXPECT_THROW((void)standardization(Features(values, 3, 2), std::vector<int>{0}), std::invalid_argument);
  const std::vector<double> odd{1.0, std::numeric_limits<double>::quiet_NaN()};
  EXPECT_THROW(detail::check_finite("here", Features(odd, 2, 1)), std::invalid_argument);
}

TEST(Features, LabelsPresentAreSortedAndOnce) {
  EXPECT_EQ(labels_present(std::vector<int>{3, -1, 0, 3}), (std::vector<int>{0, 3}));
}

TEST(RowProducts, EqualTheDefinitionForAnyShape) {
  Random random(1);
  for (const std::size_t rows : {1U, 5U, 12U, 25U})
    for (const std::size_t columns : {1U, 7U, 24U, 33U})
      for (const std::size_t vectors : {1U, 3U, 4U, 5U, 8U, 15U, 16U, 21U}) {
        std::vector<double> values(rows * columns);
        for (double& v : values) v = random.normal();
        const Features x(values, rows, columns);
        detail::SideBySide weights(columns, vectors), out(rows, vectors), sums(columns, vectors);
        for (std::size_t j = 0; j < columns; ++j)
          for (std::size_t k = 0; k < vectors; ++k) weights.row(j)[k] = random.normal();
        detail::row_dots(x, 0, rows, weights, out);
        detail::add_rows(x, 0, rows, out, sums);
        const Eigen::Map<const detail::Table> table(values.data(), static_cast<Eigen::Index>(rows),
                                                    static_cast<Eigen::Index>(columns));
        const detail::Table dots = table * weights.values;
        EXPECT_LT((out.values - dots).cwiseAbs().maxCoeff(), 1e-12);
        EXPECT_LT((sums.values - table.transpose() * dots).cwiseAbs().maxCoeff(), 1e-10);
      }
}

}  // namespace
}  // namespace routesig
