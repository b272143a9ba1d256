/// \file nearest_centroid.hpp
/// The plainest classifier: the class whose mean row is nearest.
///
///     const routesig::NearestCentroid<> by_distance;                              // Euclidean
///     const routesig::NearestCentroid<routesig::LayerCosine> by_cosine({.layers = 16});
///     const std::vector<int> labels = by_cosine.fit(x, training).predict(x);
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "routesig/classify/features.hpp"
#include "routesig/error.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/parallel.hpp"

namespace routesig {

template <typename C>
concept Closeness = requires(const C& closeness, std::span<const double> row) {
  { closeness(row, row) } -> std::convertible_to<double>;
};

/// -|a - b|^2
struct Euclidean {
  double operator()(std::span<const double> a, std::span<const double> b) const;
};

/// Mean over layers of the cosine, rows being [layers, columns / layers]; 0 for a layer where either is all zero.
struct LayerCosine {
  std::size_t layers = 1;

  double operator()(std::span<const double> a, std::span<const double> b) const;
};

template <Closeness C>
struct CentroidModel {
  C closeness{};
  std::size_t columns = 0;
  std::vector<int> classes{};       ///< the labels that occurred, ascending
  std::vector<double> centroids{};  ///< [classes, columns]

  /// [rows, classes], larger is nearer.
  [[nodiscard]] std::vector<double> closeness_of(const Features& x) const {
    if (x.columns != columns)
      throw invalid_argument("NearestCentroid: expected ", columns, " features, got ", x.columns);
    std::vector<double> out(x.rows * classes.size());
    parallel_for(x.rows, 16, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i)
        for (std::size_t k = 0; k < classes.size(); ++k)
          out[i * classes.size() + k] = closeness(x.row(i), std::span(centroids).subspan(k * columns, columns));
    });
    return out;
  }

  /// The label of the nearest centroid; ties: the lower label.
  [[nodiscard]] std::vector<int> predict(const Features& x) const {
    const std::vector<double> close = closeness_of(x);
    std::vector<int> out(x.rows);
    for (std::size_t i = 0; i < x.rows; ++i) {
      const auto row = std::span(close).subspan(i * classes.size(), classes.size());
      out[i] = classes[static_cast<std::size_t>(std::ranges::max_element(row) - row.begin())];
    }
    return out;
  }
};

template <Closeness C = Euclidean>
class NearestCentroid {
 public:
  using Model = CentroidModel<C>;

  explicit NearestCentroid(C closeness = {}) : closeness_(closeness) {}

  /// `labels` [rows] count from 0; a negative label leaves the row out.
  [[nodiscard]] Model fit(const Features& x, std::span<const int> labels) const {
    detail::check_labels("NearestCentroid", x, labels);
    Model out{.closeness = closeness_, .columns = x.columns, .classes = labels_present(labels), .centroids = {}};
    if (out.classes.empty()) throw invalid_argument("NearestCentroid: expected labelled rows, got none");
    for (const int label : out.classes) {
      interruption_point();
      std::vector<double> sum(x.columns, 0.0);
      double rows = 0.0;
      for (std::size_t i = 0; i < x.rows; ++i) {
        if (labels[i] != label) continue;
        std::ranges::transform(sum, x.row(i), sum.begin(), std::plus());
        rows += 1.0;
      }
      for (const double total : sum) out.centroids.push_back(total / rows);
    }
    return out;
  }

  /// One model for each vector of labels.
  [[nodiscard]] std::vector<Model> fit_each(const Features& x, std::span<const std::vector<int>> training) const {
    std::vector<Model> out(training.size());
    parallel_for(training.size(), 1, [&](std::size_t begin, std::size_t) { out[begin] = fit(x, training[begin]); });
    return out;
  }

 private:
  C closeness_;
};

}  // namespace routesig
