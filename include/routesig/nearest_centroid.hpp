/// \file nearest_centroid.hpp
/// The plainest classifier: the class whose mean row is nearest.
///
///     const routesig::NearestCentroid<> by_distance;                              // Euclidean
///     const routesig::NearestCentroid<routesig::LayerCosine> by_cosine({.layers = 16});
///     const std::vector<int> labels = by_cosine.fit(x, training).predict(x);
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include "routesig/features.hpp"
#include "routesig/interrupt.hpp"

namespace routesig {

template <typename C>
concept Closeness = requires(const C& closeness, std::span<const double> row) {
  { closeness(row, row) } -> std::convertible_to<double>;
};

/// -|a - b|^2
struct Euclidean {
  double operator()(std::span<const double> a, std::span<const double> b) const {
    return -(detail::as_array(a) - detail::as_array(b)).square().sum();
  }
};

/// Mean over layers of the cosine, rows being [layers, columns / layers]; 0 for a layer where either is all zero.
struct LayerCosine {
  std::size_t layers = 1;

  double operator()(std::span<const double> a, std::span<const double> b) const {
    if (layers == 0 || a.size() % layers != 0)
      throw invalid_argument("NearestCentroid: expected a number of layers that divides ", a.size(), " features, got ",
                             layers);
    const std::size_t width = a.size() / layers;
    double sum = 0.0;
    for (std::size_t l = 0; l < layers; ++l) {
      const auto x = detail::as_array(a.subspan(l * width, width)), y = detail::as_array(b.subspan(l * width, width));
      const double norms = std::sqrt(x.square().sum()) * std::sqrt(y.square().sum());
      if (norms > 0.0) sum += (x * y).sum() / norms;
    }
    return sum / static_cast<double>(layers);
  }
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
      Eigen::ArrayXd sum = Eigen::ArrayXd::Zero(static_cast<Eigen::Index>(x.columns));
      double rows = 0.0;
      for (std::size_t i = 0; i < x.rows; ++i) {
        if (labels[i] != label) continue;
        sum += detail::as_array(x.row(i));
        rows += 1.0;
      }
      sum /= rows;
      out.centroids.insert(out.centroids.end(), sum.data(), sum.data() + sum.size());
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
