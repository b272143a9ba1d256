/// \file preparation.hpp
/// What a candidate of a tuning does to its table before logistic regression sees it.
#pragma once

#include <span>

#include "classify/tables.hpp"
#include "routesig/classify/tuning.hpp"

namespace routesig::detail {

/// `labels` say which rows are for training.
[[nodiscard]] Table prepared(const Candidate& candidate, std::span<const int> labels);

}  // namespace routesig::detail
