/// \file multiplicity.hpp
/// Many tests at once: p-values adjusted so that one threshold serves them all.
///
///     const std::vector<double> some = routesig::holm(p);                  // at most 5 % of studies err at all
///     const std::vector<double> rate = routesig::benjamini_hochberg(p);    // at most 5 % of findings are false
#pragma once

#include <span>
#include <vector>

namespace routesig {

/// Holm's step-down adjustment [Scand. J. Statist. 1979]: the chance of any false finding, whatever depends on what.
[[nodiscard]] std::vector<double> holm(std::span<const double> p);

/// Benjamini and Hochberg's adjustment [JRSS B 1995]: the expected share of false findings among all, for independent
/// or positively dependent tests.
[[nodiscard]] std::vector<double> benjamini_hochberg(std::span<const double> p);

}  // namespace routesig
