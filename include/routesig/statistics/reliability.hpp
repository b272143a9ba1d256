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

#include "routesig/signature.hpp"
#include "routesig/trace.hpp"

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
[[nodiscard]] double tokens_for_reliability(double rho, double r);

[[nodiscard]] HalfSimilarities half_similarities(std::span<const RoutingTrace> traces, Split split,
                                                 const SignatureOptions& options = {});

}  // namespace routesig
