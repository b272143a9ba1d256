/// \file naive_bayes.hpp
/// Multinomial naive Bayes on counts, one added to each (McCallum and Nigam, 1998).
///
///     const auto labels = routesig::NaiveBayes().fit(counts, training).predict(counts);
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "routesig/classify/features.hpp"

namespace routesig {

struct NaiveBayesModel {
  std::size_t columns = 0;
  std::vector<int> classes{};        ///< the labels that occurred, ascending
  std::vector<double> log_prior{};   ///< [classes]
  std::vector<double> log_shares{};  ///< [classes, columns]

  /// The likeliest label of each row; ties: the lower label.
  [[nodiscard]] std::vector<int> predict(const Features& x) const;
};

class NaiveBayes {
 public:
  using Model = NaiveBayesModel;

  /// `labels` [rows] count from 0; a negative label leaves the row out. Counts are 0 or more.
  [[nodiscard]] NaiveBayesModel fit(const Features& x, std::span<const int> labels) const;
};

}  // namespace routesig
