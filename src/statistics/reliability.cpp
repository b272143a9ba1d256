#include "routesig/statistics/reliability.hpp"

#include "routesig/error.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/known_tokens.hpp"
#include "routesig/metric.hpp"
#include "routesig/parallel.hpp"
#include "routesig/routing.hpp"

namespace routesig {

double tokens_for_reliability(double rho, double r) {
  if (!(rho > 0.0 && rho < 1.0) || !(r >= 0.0))
    throw invalid_argument("reliability: expected a reliability between 0 and 1 and r of 0 or more, got ", rho, " and ",
                           r);
  return r * rho / (1.0 - rho);
}

HalfSimilarities half_similarities(std::span<const RoutingTrace> traces, Split split, const SignatureOptions& options) {
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
