// Two recordings of the same tokens, compared as the promises allow: the experts of a row may differ only where the
// margin between ranks k and k + 1 is below 1e-5.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "routesig/trace.hpp"

namespace routesig::testing {

/// The index of the largest of row `row` of `values` [rows, width].
[[nodiscard]] inline std::int32_t largest(const std::vector<float>& values, std::size_t row, std::size_t width) {
  const auto begin = values.begin() + static_cast<std::ptrdiff_t>(row * width);
  return static_cast<std::int32_t>(std::max_element(begin, begin + static_cast<std::ptrdiff_t>(width)) - begin);
}

/// The router's logit at rank k minus that at rank k + 1 (both 0-based counts from the best); infinite where k is all.
[[nodiscard]] inline float margin(std::span<const float> logits, std::size_t k) {
  std::vector<float> sorted(logits.begin(), logits.end());
  std::ranges::sort(sorted, std::greater<>());
  return k < sorted.size() ? sorted[k - 1] - sorted[k] : std::numeric_limits<float>::infinity();
}

/// Expects the same rows, expert sets that differ only within the margin, and weights within 1e-4 where sets agree.
/// Both recorded with weights and router logits.
inline void expect_same_routing(const TraceSet& a, const TraceSet& b) {
  ASSERT_EQ(a.size(), b.size());
  std::size_t rows = 0, ties = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].columns().token_ids, b[i].columns().token_ids);
    ASSERT_EQ(a[i].columns().positions, b[i].columns().positions);
    ASSERT_EQ(a[i].columns().types, b[i].columns().types);
    const auto experts = static_cast<std::size_t>(a[i].info().experts), k = static_cast<std::size_t>(a[i].top_k());
    for (int token = 0; token < a[i].tokens(); ++token)
      for (int layer = 0; layer < a[i].layers(); ++layer, ++rows) {
        const auto ranked = [&](const RoutingTrace& trace) {
          std::vector<std::pair<ExpertId, float>> row;
          for (std::size_t r = 0; r < k; ++r)
            row.emplace_back(trace.experts(layer, token)[r], trace.weights(layer, token)[r]);
          std::ranges::sort(row);
          return row;
        };
        const auto of_a = ranked(a[i]), of_b = ranked(b[i]);
        const auto same_expert = [](const auto& x, const auto& y) { return x.first == y.first; };
        if (!std::ranges::equal(of_a, of_b, same_expert)) {
          const std::size_t row = static_cast<std::size_t>(token * a[i].layers() + layer) * experts;
          EXPECT_LT(margin(std::span(a[i].columns().router_logits).subspan(row, experts), k), 1e-5F)
              << "trace " << i << ", token " << token << ", layer " << layer;
          ++ties;
          continue;
        }
        for (std::size_t r = 0; r < k; ++r) EXPECT_NEAR(of_a[r].second, of_b[r].second, 1e-4F);
      }
  }
  EXPECT_GT(rows, 0U);
  ::testing::Test::RecordProperty("rows", static_cast<int>(rows));
  ::testing::Test::RecordProperty("near_ties", static_cast<int>(ties));
}

}  // namespace routesig::testing
