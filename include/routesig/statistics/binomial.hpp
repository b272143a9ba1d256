/// \file binomial.hpp
/// How many of n independent events of probability p happen, at a cost that does not depend on n.
///
///     routesig::Random random(/*seed=*/0);
///     const std::uint64_t heads = routesig::binomial(random, /*n=*/1'000'000'000'000, /*p=*/0.5);
///     const double half = routesig::binomial_probability(/*k=*/500'000'000'000, /*n=*/1'000'000'000'000, /*p=*/0.5);
///
/// Means below 10 by inversion, larger ones by transformed rejection with a squeeze (BTRS: Hormann, J. Statistical
/// Computation and Simulation 46, 1993). Probabilities far from the mode are compared by logarithms without the
/// cancellation that log-gamma functions have at large n (Loader, "Fast and accurate computation of binomial
/// probabilities", 2000). As exact as the platform's exp and log.
#pragma once

#include <cstdint>

#include "routesig/random.hpp"

namespace routesig {
namespace detail {

/// log k! - k log m + m: minus the logarithm of the Poisson probability of k at mean m.
[[nodiscard]] double log_rarity(double k, double m);

}  // namespace detail

/// P(X = k) of X binomial(n, p): n, k whole numbers of at most 2^53, 0 < p < 1.
[[nodiscard]] double binomial_probability(double k, double n, double p);

/// Binomial(n, p), for any n; p is from 0 to 1.
[[nodiscard]] std::uint64_t binomial(Random& random, std::uint64_t n, double p);

}  // namespace routesig
