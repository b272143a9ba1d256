/// \file routesig.hpp
/// Everything of routesig::core.
#pragma once

#include "routesig/classifier.hpp"
#include "routesig/error.hpp"
#include "routesig/logistic_regression.hpp"
#include "routesig/nearest_centroid.hpp"
#include "routesig/parallel.hpp"
#include "routesig/projection.hpp"
#include "routesig/random.hpp"
#include "routesig/recorder.hpp"
#include "routesig/routing.hpp"
#include "routesig/signature.hpp"
#include "routesig/similarity.hpp"
#include "routesig/statistics.hpp"
#include "routesig/topk.hpp"
#include "routesig/trace.hpp"
#include "routesig/tuning.hpp"
#include "routesig/version.hpp"
