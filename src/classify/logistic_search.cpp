#include "classify/logistic_search.hpp"

#include <cmath>

#include "classify/row_products.hpp"
#include "routesig/interrupt.hpp"
#include "routesig/parallel.hpp"

namespace routesig {
namespace detail {

Table class_contrasts(std::size_t classes) {
  const auto n = static_cast<Eigen::Index>(classes);
  Table out = Table::Zero(n, n - 1);
  if (n == 2) out(1, 0) = 1.0;
  for (Eigen::Index k = 0; n > 2 && k + 1 < n; ++k) {
    const double norm = std::sqrt(static_cast<double>((k + 1) * (k + 2)));
    out.col(k).head(k + 1).setConstant(1.0 / norm);
    out(k + 1, k) = -static_cast<double>(k + 1) / norm;
  }
  return out;
}

namespace {

/// Rows that stay in the cache between their two uses; whole tiles.
constexpr std::size_t kRowBlock = 48;

static_assert(kRowBlock % kDotTile == 0);

/// Rows of the table in one piece of work: whole blocks, 16 pieces or fewer, whatever the number of threads.
[[nodiscard]] std::size_t rows_a_piece(std::size_t rows) {
  return std::max<std::size_t>(1, (rows + 16 * kRowBlock - 1) / (16 * kRowBlock)) * kRowBlock;
}

/// What a piece of rows adds up.
struct LogisticSums {
  SideBySide products;       // [columns, free scores of all searches]
  Eigen::VectorXd totals;    // [free scores of all searches]
  std::vector<double> loss;  // [searches]
};

/// One pass over rows [begin, end); `at` [searches + 1] says where each search's free scores begin.
void add_piece(const Features& x, std::size_t begin, std::size_t end, std::span<LogisticSearch* const> searches,
               std::span<const Eigen::Index> at, const SideBySide& weights, const Eigen::VectorXd& offsets,
               LogisticSums& sums) {
  sums.products = SideBySide(x.columns, weights.vectors);
  sums.totals.setZero(offsets.size());
  sums.loss.assign(searches.size(), 0.0);
  SideBySide free(kRowBlock, weights.vectors);
  for (std::size_t first = begin; first < end; first += kRowBlock) {
    interruption_point();
    const std::size_t count = std::min(kRowBlock, end - first);
    row_dots(x, first, count, weights, free);
    auto scores = free.values.topLeftCorner(static_cast<Eigen::Index>(count), offsets.size());
    scores.rowwise() += offsets.transpose();
    for (std::size_t s = 0; s < searches.size(); ++s)
      sums.loss[s] += searches[s]->residuals(first, scores.middleCols(at[s], at[s + 1] - at[s]));
    sums.totals += scores.colwise().sum().transpose();
    add_rows(x, first, count, free, sums.products);
  }
}

/// One step of every search.
void step_together(const Features& x, std::span<LogisticSearch* const> searches) {
  std::vector<Eigen::Index> at{0};
  for (const LogisticSearch* one : searches) at.push_back(at.back() + static_cast<Eigen::Index>(one->scores()));
  SideBySide weights(x.columns, static_cast<std::size_t>(at.back()));
  Eigen::VectorXd offsets(at.back());
  const auto each = [&](const auto& body) {
    parallel_for(searches.size(), 1, [&](std::size_t s, std::size_t) { body(s, at[s], at[s + 1] - at[s]); });
  };
  each([&](std::size_t s, Eigen::Index first, Eigen::Index count) {
    searches[s]->write_query(weights.values.middleCols(first, count), offsets.segment(first, count));
  });
  const std::size_t grain = rows_a_piece(x.rows);
  std::vector<LogisticSums> pieces((x.rows + grain - 1) / grain);
  parallel_for(x.rows, grain, [&](std::size_t first, std::size_t end) {
    add_piece(x, first, end, searches, at, weights, offsets, pieces[first / grain]);
  });
  SideBySide& products = pieces.front().products;
  parallel_for(x.columns, 128, [&](std::size_t first, std::size_t end) {
    const auto middle = [&](SideBySide& of) {
      return of.values.middleRows(static_cast<Eigen::Index>(first), static_cast<Eigen::Index>(end - first));
    };
    for (std::size_t p = 1; p < pieces.size(); ++p) middle(products) += middle(pieces[p].products);
  });
  each([&](std::size_t s, Eigen::Index first, Eigen::Index count) {
    double loss = 0.0;
    Eigen::VectorXd totals = Eigen::VectorXd::Zero(count);
    for (const LogisticSums& piece : pieces) {
      loss += piece.loss[s];
      totals += piece.totals.segment(first, count);
    }
    searches[s]->tell(loss, products.values.middleCols(first, count), totals);
  });
}

}  // namespace

void search_together(const Features& x, std::vector<LogisticSearch*> searches) {
  while (true) {
    std::erase_if(searches, [](const LogisticSearch* one) { return one->done(); });
    if (searches.empty()) return;
    step_together(x, searches);
  }
}

}  // namespace detail
}  // namespace routesig
