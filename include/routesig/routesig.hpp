/// \file routesig.hpp
/// Everything of routesig::core.
#pragma once

#include "routesig/bca.hpp"
#include "routesig/bootstrap.hpp"
#include "routesig/category_matrix.hpp"
#include "routesig/dispersion.hpp"
#include "routesig/error.hpp"
#include "routesig/labelling.hpp"
#include "routesig/multiplicity.hpp"
#include "routesig/pair_sums.hpp"
#include "routesig/parallel.hpp"
#include "routesig/permutation.hpp"
#include "routesig/random.hpp"
#include "routesig/recorder.hpp"
#include "routesig/routing.hpp"
#include "routesig/signature.hpp"
#include "routesig/similarity.hpp"
#include "routesig/statistics.hpp"
#include "routesig/topk.hpp"
#include "routesig/trace.hpp"
#include "routesig/unit_pairs.hpp"
#include "routesig/version.hpp"
