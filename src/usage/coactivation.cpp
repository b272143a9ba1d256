#include "routesig/usage/coactivation.hpp"

#include "routesig/error.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/known_tokens.hpp"
#include "routesig/parallel.hpp"
#include "routesig/routing.hpp"

namespace routesig {

Coactivation coactivation(std::span<const RoutingTrace> traces, Pairs pairs, const SignatureOptions& options) {
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
