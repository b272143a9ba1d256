/// \file specialization.hpp
/// Which experts a token id calls for: N_ix / N_x, the share of the occurrences of token x that chose expert i (OLMoE,
/// arXiv 2409.02060, section 5.4). The share of a domain's tokens, N_iD / N_D, is its counts over its tokens.
///
///     const auto found = routesig::vocabulary_specialization(traces, /*least=*/10);
///     const double share = found(/*token=*/0, /*layer=*/3, /*expert=*/17);
///
/// Chance, where every token draws top_k experts uniformly: K / E.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "routesig/signature.hpp"
#include "routesig/trace.hpp"

namespace routesig {

struct VocabularySpecialization {
  std::size_t layers = 0;
  std::size_t experts = 0;
  std::vector<std::int32_t> token_ids{};     ///< [ids] ascending: those that occur often enough
  std::vector<std::uint64_t> occurrences{};  ///< [ids, layers] with known routing
  std::vector<double> shares{};              ///< [ids, layers, experts] N_ix / N_x; 0 where x never occurs

  [[nodiscard]] double operator()(std::size_t id, std::size_t layer, std::size_t expert) const noexcept {
    return shares[(id * layers + layer) * experts + expert];
  }
};

/// Token ids with at least `least` occurrences of known routing in some layer.
[[nodiscard]] VocabularySpecialization vocabulary_specialization(std::span<const RoutingTrace> traces,
                                                                 std::uint64_t least = 10,
                                                                 const SignatureOptions& options = {});

}  // namespace routesig
