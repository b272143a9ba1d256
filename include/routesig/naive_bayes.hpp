/// \file naive_bayes.hpp
/// Multinomial naive Bayes on counts, one added to each (McCallum and Nigam, 1998).
///
///     const auto labels = routesig::NaiveBayes().fit(counts, training).predict(counts);
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "routesig/features.hpp"
#include "routesig/interrupt.hpp"

namespace routesig {

struct NaiveBayesModel {
  std::size_t columns = 0;
  std::vector<int> classes{};        ///< the labels that occurred, ascending
  std::vector<double> log_prior{};   ///< [classes]
  std::vector<double> log_shares{};  ///< [classes, columns]

  /// The likeliest label of each row; ties: the lower label.
  [[nodiscard]] std::vector<int> predict(const Features& x) const {
    if (x.columns != columns) throw invalid_argument("NaiveBayes: expected ", columns, " features, got ", x.columns);
    std::vector<int> out(x.rows);
    for (std::size_t i = 0; i < x.rows; ++i) {
      interruption_point();
      std::size_t best = 0;
      double most = 0.0;
      for (std::size_t k = 0; k < classes.size(); ++k) {
        const auto shares = detail::as_array(std::span(log_shares).subspan(k * columns, columns));
        const double score = log_prior[k] + (detail::as_array(x.row(i)) * shares).sum();
        if (k == 0 || score > most) {
          best = k;
          most = score;
        }
      }
      out[i] = classes[best];
    }
    return out;
  }
};

class NaiveBayes {
 public:
  using Model = NaiveBayesModel;

  /// `labels` [rows] count from 0; a negative label leaves the row out. Counts are 0 or more.
  [[nodiscard]] NaiveBayesModel fit(const Features& x, std::span<const int> labels) const {
    detail::check_labels("NaiveBayes", x, labels);
    NaiveBayesModel out{.columns = x.columns, .classes = labels_present(labels)};
    if (out.classes.empty()) throw invalid_argument("NaiveBayes: expected labelled rows, got none");
    const auto all = std::ranges::count_if(labels, [](int label) { return label >= 0; });
    for (const int label : out.classes) {
      interruption_point();
      Eigen::ArrayXd sums = Eigen::ArrayXd::Ones(static_cast<Eigen::Index>(x.columns));
      for (std::size_t i = 0; i < x.rows; ++i)
        if (labels[i] == label) sums += detail::as_array(x.row(i));
      const Eigen::ArrayXd shares = (sums / sums.sum()).log();
      out.log_shares.insert(out.log_shares.end(), shares.data(), shares.data() + shares.size());
      out.log_prior.push_back(
          std::log(static_cast<double>(std::ranges::count(labels, label)) / static_cast<double>(all)));
    }
    return out;
  }
};

}  // namespace routesig
