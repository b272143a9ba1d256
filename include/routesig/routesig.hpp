/// \file routesig.hpp
/// The core: what an inference engine includes. Headers alone, on the standard library: recorders and what they hear,
/// traces, signatures and their similarity. The analyses are in analysis.hpp.
#pragma once

#include "routesig/error.hpp"
#include "routesig/identity_rows.hpp"
#include "routesig/inner_products.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/known_tokens.hpp"
#include "routesig/metric.hpp"
#include "routesig/parallel.hpp"
#include "routesig/random.hpp"
#include "routesig/recorder.hpp"
#include "routesig/recorder_state.hpp"
#include "routesig/routing.hpp"
#include "routesig/signature.hpp"
#include "routesig/similarity.hpp"
#include "routesig/topk.hpp"
#include "routesig/trace.hpp"
#include "routesig/trace_columns.hpp"
#include "routesig/version.hpp"
