#include "routesig/controls/residual_similarity.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "routesig/inner_products.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/similarity.hpp"

namespace routesig {
namespace detail {
namespace {

/// Sums over layers, and over `sources`, of the cosines of every pair of prompts: [prompts, prompts].
[[nodiscard]] std::vector<double> summed_similarity(const TokenTable& table,
                                                    std::span<const std::vector<std::uint32_t>> sources) {
  const std::size_t n = table.prompts(), cells = table.layers * table.experts;
  std::vector<std::vector<std::uint32_t>> counts;
  counts.reserve(sources.size());
  for (const auto& source : sources) counts.push_back(table.counts(source));
  const PackedRows<double> rows(n, cells * sources.size(), [&](std::size_t prompt, std::span<double> out) {
    interruption_point();
    for (std::size_t s = 0; s < counts.size(); ++s)
      for (std::size_t l = 0; l < table.layers; ++l) {
        const auto* const from = counts[s].data() + prompt * cells + l * table.experts;
        const auto to = out.subspan(s * cells + l * table.experts, table.experts);
        double norm = 0.0;
        for (std::size_t e = 0; e < table.experts; ++e) norm += static_cast<double>(from[e]) * from[e];
        if (norm == 0.0) continue;
        for (std::size_t e = 0; e < table.experts; ++e) to[e] = from[e] / std::sqrt(norm);
      }
  });
  std::vector<double> out(n * n);
  inner_products(rows, rows, 1.0, std::span(out));
  return out;
}

}  // namespace
}  // namespace detail

std::vector<double> residual_similarity(const TokenTable& table, const ShuffleOptions& options,
                                        const Progress& progress) {
  detail::check_shuffles(options);
  constexpr std::size_t kAtOnce = 4;  // shuffles side by side
  const std::vector<std::vector<std::uint32_t>> own{table.unshuffled()};
  std::vector<double> out = detail::summed_similarity(table, own);
  for (std::size_t first = 0; first < options.shuffles; first += kAtOnce) {
    std::vector<std::vector<std::uint32_t>> sources;
    for (std::size_t r = first; r < std::min(first + kAtOnce, options.shuffles); ++r)
      sources.push_back(table.shuffled(options.seed, r));
    const std::vector<double> shuffled = detail::summed_similarity(table, sources);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] -= shuffled[i] / static_cast<double>(options.shuffles);
    if (progress) progress(std::min(first + kAtOnce, options.shuffles), options.shuffles);
  }
  for (double& x : out) x /= static_cast<double>(table.layers);
  const std::vector<std::uint32_t> counts = table.counts(table.unshuffled());
  const std::vector<double> values(counts.begin(), counts.end());
  const SignatureView view(values, table.prompts(), table.layers, table.experts);
  detail::leave_out_unknown(view, view, 0, table.layers, std::span(out));
  return out;
}

}  // namespace routesig
