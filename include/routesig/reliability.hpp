/// \file reliability.hpp
/// How far the similarity of two finite texts can rise: the likeness of the two halves of one text.
///
///     const auto halves = routesig::half_similarities(traces, routesig::Split::interleaved);
///     const double reliability = routesig::spearman_brown(halves.values[0]);    // prompt 0, layer 0
///     const double needed = routesig::tokens_for_reliability(.95, /*r=*/64.0 / 8 - 1);
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "routesig/interrupt.hpp"
#include "routesig/known_tokens.hpp"
#include "routesig/metric.hpp"

namespace routesig {

/// How a text is halved: tokens 0, 2, 4, ... against 1, 3, 5, ...; or the first half against the second.
enum class Split : std::uint8_t { interleaved, contiguous };

/// Cosines of the two halves of every prompt.
struct HalfSimilarities {
  std::size_t prompts = 0;
  std::size_t layers = 0;
  std::vector<double> values{};         ///< [prompts, layers]; 0 where fewer than two tokens are known
  std::vector<std::uint64_t> tokens{};  ///< [prompts, layers] tokens with known routing, both halves together
};

/// Reliability of the whole from the correlation of its halves, 2 h / (1 + h) (Spearman 1910, Brown 1910).
[[nodiscard]] constexpr double spearman_brown(double half) noexcept { return 2.0 * half / (1.0 + half); }

/// Tokens at which a cosine reaches reliability `rho`, where it grows as 1 / (1 + r / T): r rho / (1 - rho).
[[nodiscard]] inline double tokens_for_reliability(double rho, double r) {
  if (!(rho > 0.0 && rho < 1.0) || !(r >= 0.0))
    throw invalid_argument("reliability: expected a reliability between 0 and 1 and r of 0 or more, got ", rho, " and ",
                           r);
  return r * rho / (1.0 - rho);
}

[[nodiscard]] inline HalfSimilarities half_similarities(std::span<const RoutingTrace> traces, Split split,
                                                        const SignatureOptions& options = {}) {
  HalfSimilarities out{.prompts = traces.size()};
  if (traces.empty()) return out;
  const RoutingInfo& info = traces[0].info();
  out.layers = static_cast<std::size_t>(info.layers);
  out.values.resize(out.prompts * out.layers);
  out.tokens.resize(out.values.size());
  parallel_for(traces.size(), 1, [&](std::size_t begin, std::size_t end) {
    std::vector<double> halves[2];
    for (std::size_t i = begin; i < end; ++i)
      for (int layer = 0; layer < info.layers; ++layer) {
        interruption_point();
        const std::vector<int> tokens = known_tokens(traces[i], layer, options);
        for (auto& half : halves) half.assign(static_cast<std::size_t>(info.experts), 0.0);
        for (std::size_t t = 0; t < tokens.size(); ++t) {
          const bool second = split == Split::interleaved ? t % 2 == 1 : 2 * t >= tokens.size();
          for (const ExpertId e : traces[i].experts(layer, tokens[t])) halves[second ? 1 : 0][e] += 1.0;
        }
        const std::size_t at = i * out.layers + static_cast<std::size_t>(layer);
        out.values[at] = Cosine{}(halves[0], halves[1]);
        out.tokens[at] = tokens.size();
      }
  });
  return out;
}

}  // namespace routesig
