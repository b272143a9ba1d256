#include "routesig/information/evidence.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "routesig/interrupt.hpp"
#include "routesig/known_tokens.hpp"
#include "routesig/parallel.hpp"
#include "routesig/routing.hpp"

namespace routesig {

std::vector<double> prefix_signatures(std::span<const RoutingTrace> traces, int tokens,
                                      const SignatureOptions& options) {
  if (traces.empty()) return {};
  const RoutingInfo& info = traces[0].info();
  const auto layers = static_cast<std::size_t>(info.layers), experts = static_cast<std::size_t>(info.experts);
  std::vector<std::uint64_t> counts(traces.size() * layers * experts);
  parallel_for(traces.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const auto& positions = traces[i].columns().positions;
      std::vector<std::int32_t> chosen;  // positions of the token set, ascending
      for (int t = 0; t < traces[i].tokens(); ++t)
        if (contains(options.tokens, traces[i].columns().types[static_cast<std::size_t>(t)]))
          chosen.push_back(positions[static_cast<std::size_t>(t)]);
      std::ranges::sort(chosen);
      const auto kept = std::min(chosen.size(), static_cast<std::size_t>(std::max(tokens, 0)));
      if (kept == 0) continue;
      for (std::size_t l = 0; l < layers; ++l) {
        interruption_point();
        for (const int token : known_tokens(traces[i], static_cast<int>(l), options)) {
          if (positions[static_cast<std::size_t>(token)] > chosen[kept - 1]) continue;
          for (const ExpertId e : traces[i].experts(static_cast<int>(l), token))
            ++counts[(i * layers + l) * experts + e];
        }
      }
    }
  });
  return normalized_layers<double>(std::span<const std::uint64_t>(counts), info.experts);
}

}  // namespace routesig
