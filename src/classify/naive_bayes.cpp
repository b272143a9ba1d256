#include "routesig/classify/naive_bayes.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "classify/tables.hpp"
#include "routesig/error.hpp"
#include "routesig/interrupt.hpp"

namespace routesig {

std::vector<int> NaiveBayesModel::predict(const Features& x) const {
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

NaiveBayesModel NaiveBayes::fit(const Features& x, std::span<const int> labels) const {
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

}  // namespace routesig
