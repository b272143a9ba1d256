#include "routesig/usage/specialization.hpp"

#include <algorithm>
#include <map>

#include "routesig/error.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/known_tokens.hpp"
#include "routesig/parallel.hpp"
#include "routesig/routing.hpp"

namespace routesig {

VocabularySpecialization vocabulary_specialization(std::span<const RoutingTrace> traces, std::uint64_t least,
                                                   const SignatureOptions& options) {
  VocabularySpecialization out;
  if (traces.empty()) return out;
  const RoutingInfo& info = traces[0].info();
  out.layers = static_cast<std::size_t>(info.layers);
  out.experts = static_cast<std::size_t>(info.experts);
  std::map<std::int32_t, std::uint64_t> total;  // occurrences, known or not: no layer has more
  for (const RoutingTrace& trace : traces) {
    if (!trace.info().same_shape(info))
      throw invalid_argument("specialization: trace ", shown(trace.sequence().id), " has another routing shape");
    if (trace.columns().token_ids.empty() && trace.tokens() > 0)
      throw invalid_argument("specialization: expected token ids, trace ", shown(trace.sequence().id), " has none");
    interruption_point();
    for (const std::int32_t id : trace.columns().token_ids) ++total[id];
  }
  std::map<std::int32_t, std::size_t> place;
  for (const auto& [id, count] : total)
    if (count >= least) place.emplace(id, place.size());

  std::vector<std::uint64_t> counts(place.size() * out.layers * out.experts);
  std::vector<std::uint64_t> occurrences(place.size() * out.layers);
  parallel_for(out.layers, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t l = begin; l < end; ++l)
      for (const RoutingTrace& trace : traces) {
        interruption_point();
        for (const int token : known_tokens(trace, static_cast<int>(l), options)) {
          const auto found = place.find(trace.columns().token_ids[static_cast<std::size_t>(token)]);
          if (found == place.end()) continue;
          const std::size_t row = found->second * out.layers + l;
          ++occurrences[row];
          for (const ExpertId e : trace.experts(static_cast<int>(l), token)) ++counts[row * out.experts + e];
        }
      }
  });
  for (const auto& [id, at] : place) {  // the chosen tokens may be fewer than all
    const auto rows = std::span(occurrences).subspan(at * out.layers, out.layers);
    if (std::ranges::max(rows) < least) continue;
    out.token_ids.push_back(id);
    for (std::size_t l = 0; l < out.layers; ++l) {
      out.occurrences.push_back(rows[l]);
      for (std::size_t e = 0; e < out.experts; ++e)
        out.shares.push_back(static_cast<double>(counts[(at * out.layers + l) * out.experts + e]) /
                             static_cast<double>(std::max<std::uint64_t>(rows[l], 1)));
    }
  }
  return out;
}

}  // namespace routesig
