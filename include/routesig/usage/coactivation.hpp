/// \file coactivation.hpp
/// Which experts are chosen together: N_ij / N_i (OLMoE, arXiv 2409.02060, section 5.2).
///
///     const auto found = routesig::coactivation(traces);
///     const std::uint64_t both = found(/*layer=*/3, /*i=*/5, /*j=*/9);           // tokens that chose both
///
/// Chance, where every token draws top_k experts uniformly: N_ij / N_i = (K - 1) / (E - 1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "routesig/signature.hpp"
#include "routesig/trace.hpp"

namespace routesig {

/// Which pairs of a row count: all of them; or neighbouring ranks alone, as OLMoE's script does.
enum class Pairs : std::uint8_t { all, adjacent };

/// How many tokens chose two experts together.
struct Coactivation {
  std::size_t layers = 0;
  std::size_t experts = 0;
  int top_k = 0;
  std::vector<std::uint64_t> counts{};  ///< [layers, experts, experts]: N_ij; N_i on the diagonal
  std::vector<std::uint64_t> tokens{};  ///< [layers] tokens with known routing

  [[nodiscard]] std::uint64_t operator()(std::size_t layer, std::size_t i, std::size_t j) const noexcept {
    return counts[(layer * experts + i) * experts + j];
  }
};

/// Over all tokens of all traces. Adjacent pairs need the rank order.
[[nodiscard]] Coactivation coactivation(std::span<const RoutingTrace> traces, Pairs pairs = Pairs::all,
                                        const SignatureOptions& options = {});

}  // namespace routesig
