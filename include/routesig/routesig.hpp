/// \file routesig.hpp
/// Everything of routesig::core.
#pragma once

#include "routesig/debiased.hpp"
#include "routesig/error.hpp"
#include "routesig/evidence.hpp"
#include "routesig/information.hpp"
#include "routesig/inner_products.hpp"
#include "routesig/known_tokens.hpp"
#include "routesig/metric.hpp"
#include "routesig/metrics.hpp"
#include "routesig/parallel.hpp"
#include "routesig/random.hpp"
#include "routesig/recorder.hpp"
#include "routesig/reliability.hpp"
#include "routesig/routing.hpp"
#include "routesig/signature.hpp"
#include "routesig/similarity.hpp"
#include "routesig/statistics.hpp"
#include "routesig/topk.hpp"
#include "routesig/trace.hpp"
#include "routesig/version.hpp"
