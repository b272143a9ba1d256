#include "routesig/statistics/unit_pairs.hpp"

#include <numeric>

namespace routesig {

PairSpread pair_spread(const Units& units, std::span<const double> similarity) {
  PairSpread out;
  double total = 0.0;
  units.for_each_pair(similarity, [&](double x) {
    total += x;
    out.pairs += 1.0;
  });
  if (!std::isfinite(total)) throw invalid_argument("separation: expected finite similarities, got a sum of ", total);
  out.mean = out.pairs > 0.0 ? total / out.pairs : 0.0;
  units.for_each_pair(similarity, [&](double x) { out.squares += (x - out.mean) * (x - out.mean); });
  return out;
}

double upper_sum(std::span<const double> matrix, std::size_t units) {
  double sum = 0.0;
  for (std::size_t g = 0; g < units; ++g) {
    const auto row = matrix.subspan(g * units + g, units - g);
    sum += std::reduce(row.begin(), row.end());  // several sums at a time; the diagonal is 0
  }
  return sum;
}

CentredPairs centred_pairs(const Units& units, std::span<const double> similarity) {
  CentredPairs out{.mean = pair_spread(units, similarity).mean};
  out.sums = units.pair_sums(similarity, [&](double x) { return x - out.mean; });
  out.squares = units.pair_sums(similarity, [&](double x) { return (x - out.mean) * (x - out.mean); });
  return out;
}

}  // namespace routesig
