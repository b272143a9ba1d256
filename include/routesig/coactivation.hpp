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

#include "routesig/interrupt.hpp"
#include "routesig/known_tokens.hpp"

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
[[nodiscard]] inline Coactivation coactivation(std::span<const RoutingTrace> traces, Pairs pairs = Pairs::all,
                                               const SignatureOptions& options = {}) {
  Coactivation out;
  if (traces.empty()) return out;
  const RoutingInfo& info = traces[0].info();
  out.layers = static_cast<std::size_t>(info.layers);
  out.experts = static_cast<std::size_t>(info.experts);
  out.top_k = info.top_k;
  out.counts.resize(out.layers * out.experts * out.experts);
  out.tokens.resize(out.layers);
  for (const RoutingTrace& trace : traces) {
    if (!trace.info().same_shape(info))
      throw invalid_argument("coactivation: trace ", shown(trace.sequence().id), " has another routing shape");
    if (pairs == Pairs::adjacent && !trace.info().ranked)
      throw invalid_argument("coactivation: adjacent pairs need the rank order of experts, which is unknown for trace ",
                             shown(trace.sequence().id));
  }
  parallel_for(out.layers, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t l = begin; l < end; ++l) {
      const auto layer = std::span(out.counts).subspan(l * out.experts * out.experts, out.experts * out.experts);
      for (const RoutingTrace& trace : traces) {
        interruption_point();
        for (const int token : known_tokens(trace, static_cast<int>(l), options)) {
          const auto row = trace.experts(static_cast<int>(l), token);
          ++out.tokens[l];
          for (std::size_t i = 0; i < row.size(); ++i)
            for (std::size_t j = 0; j < row.size(); ++j)
              if (pairs == Pairs::all || i == j || i + 1 == j || j + 1 == i) ++layer[row[i] * out.experts + row[j]];
        }
      }
    }
  });
  return out;
}

}  // namespace routesig
