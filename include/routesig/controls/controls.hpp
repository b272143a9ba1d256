/// \file controls.hpp
/// The separation of a model beside that of control models which saw the same tokens: random weights, or routers turned
/// by random rotations.
///
///     const auto c = routesig::compare_with_controls(traces, rotated);       // rotated: a TraceSet per seed
///     if (c.difference) use(c.difference->gain, c.difference->p);          // D(real) - mean D(control)
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "routesig/signature.hpp"
#include "routesig/statistics/statistics.hpp"
#include "routesig/trace.hpp"

namespace routesig {

/// One statistic of the real model and of the control models.
struct ControlValue {
  double real = 0.0;
  std::vector<double> controls{};  ///< [controls]
  double mean = 0.0;               ///< of the controls
  double low = 0.0;                ///< smallest of the controls
  double high = 0.0;               ///< largest
  double gain = 0.0;               ///< real - mean
  PValue p{};                      ///< one-sided: rank of the real model among the controls
};

struct ControlComparison {
  std::optional<ControlValue> difference{};           ///< D = mean within - mean across
  std::optional<ControlValue> cohens_d{};             ///< absent where any model has none
  std::vector<std::optional<ControlValue>> layers{};  ///< D of every layer; p not adjusted for their number
  std::vector<std::size_t> unlabelled{};              ///< prompts left out: no task
  std::vector<std::size_t> empty{};                   ///< prompts left out: no token of the set in some model
};

/// D and Cohen's d of the real model and of every control. Throws std::invalid_argument unless every control holds the
/// same prompts and the same tokens, in the same order. `groups`: pairs of prompts of one group do not count.
[[nodiscard]] ControlComparison compare_with_controls(const TraceSet& real, std::span<const TraceSet> controls,
                                                      const SignatureOptions& options = {}, bool groups = true);

}  // namespace routesig
