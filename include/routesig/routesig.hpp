/// \file routesig.hpp
/// Everything of routesig::core.
#pragma once

#include "routesig/controls.hpp"
#include "routesig/decomposition.hpp"
#include "routesig/error.hpp"
#include "routesig/overlap_ladder.hpp"
#include "routesig/parallel.hpp"
#include "routesig/random.hpp"
#include "routesig/recorder.hpp"
#include "routesig/routing.hpp"
#include "routesig/signature.hpp"
#include "routesig/similarity.hpp"
#include "routesig/statistics.hpp"
#include "routesig/token_shuffle.hpp"
#include "routesig/token_table.hpp"
#include "routesig/topk.hpp"
#include "routesig/trace.hpp"
#include "routesig/trace_filter.hpp"
#include "routesig/version.hpp"
