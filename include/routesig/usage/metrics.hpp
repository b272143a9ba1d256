/// \file metrics.hpp
/// Descriptions of routing other than similarity, each beside its chance level.
///
///     const auto even = routesig::load(counts);                                  // load.hpp
///     const auto together = routesig::coactivation(traces);                      // coactivation.hpp
///     const auto sure = routesig::uncertainty(logits, top_k);                    // uncertainty.hpp
///     const auto words = routesig::vocabulary_specialization(traces);            // specialization.hpp
#pragma once

#include "routesig/usage/coactivation.hpp"
#include "routesig/usage/load.hpp"
#include "routesig/usage/specialization.hpp"
#include "routesig/usage/uncertainty.hpp"
