/// \file matched_similarity.hpp
/// How alike the signatures of the same prompt are in two sets, layer by layer, beside those of different prompts.
///
///     const auto same = routesig::matched_similarity(a, b);         // [prompts, layers], prompts in one order
///     const auto other = routesig::mismatched_similarity(a, b);     // [layers]: what a different prompt would give
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "routesig/metric.hpp"
#include "routesig/signature.hpp"
#include "routesig/similarity.hpp"

namespace routesig {
namespace detail {

void check_matched(const SignatureView& a, const SignatureView& b);

}  // namespace detail

/// metric(a_i, b_i) of every layer: [prompts, layers]; absent where either has no token.
template <Metric M = Cosine>
[[nodiscard]] std::vector<std::optional<double>> matched_similarity(const SignatureView& a, const SignatureView& b,
                                                                    const M& metric = {}) {
  detail::check_matched(a, b);
  std::vector<std::optional<double>> out(a.prompts * a.layers);
  for (std::size_t i = 0; i < a.prompts; ++i)
    for (std::size_t l = 0; l < a.layers; ++l)
      if (!empty_row(a.row(i, l)) && !empty_row(b.row(i, l))) out[i * a.layers + l] = metric(a.row(i, l), b.row(i, l));
  return out;
}

/// Mean of metric(a_i, b_j) over i != j, layer by layer: [layers]; absent where there is no such pair. As inner
/// products are linear, two sums of rows are enough.
template <InnerProductMetric M = Cosine>
[[nodiscard]] std::vector<std::optional<double>> mismatched_similarity(const SignatureView& a, const SignatureView& b,
                                                                       const M& metric = {}) {
  detail::check_matched(a, b);
  std::vector<std::optional<double>> out(a.layers);
  std::vector<double> sum_a(a.experts), sum_b(a.experts), embedded(a.experts);
  const auto add = [&](std::span<const double> row, std::vector<double>& sum) {
    metric.embed(row, embedded);
    std::ranges::transform(sum, embedded, sum.begin(), std::plus<>());
  };
  for (std::size_t l = 0; l < a.layers; ++l) {
    std::ranges::fill(sum_a, 0.0);
    std::ranges::fill(sum_b, 0.0);
    double some_a = 0.0, some_b = 0.0, some_both = 0.0, same = 0.0;
    for (std::size_t i = 0; i < a.prompts; ++i) {
      const bool in_a = !empty_row(a.row(i, l)), in_b = !empty_row(b.row(i, l));
      some_a += in_a ? 1.0 : 0.0;
      some_b += in_b ? 1.0 : 0.0;
      some_both += in_a && in_b ? 1.0 : 0.0;
      add(a.row(i, l), sum_a);
      add(b.row(i, l), sum_b);
      same += metric(a.row(i, l), b.row(i, l));
    }
    double all = 0.0;
    for (std::size_t e = 0; e < a.experts; ++e) all += sum_a[e] * sum_b[e];
    const double pairs = some_a * some_b - some_both;
    if (pairs > 0.0) out[l] = (all - same) / pairs;
  }
  return out;
}

}  // namespace routesig
