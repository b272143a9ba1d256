#include "routesig/classify/folds.hpp"

#include <algorithm>
#include <map>

namespace routesig {

std::vector<int> stratified_folds(std::span<const int> labels, int folds, Random& random) {
  if (folds < 2) throw invalid_argument("folds: expected 2 or more, got ", folds);
  std::map<int, std::vector<std::size_t>> rows;
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] >= 0) rows[labels[i]].push_back(i);
  std::vector<int> out(labels.size(), -1);
  int next = 0;
  for (auto& [label, members] : rows) {
    random.shuffle(std::span(members));
    for (const std::size_t i : members) {
      out[i] = next;
      next = (next + 1) % folds;
    }
  }
  return out;
}

namespace detail {
namespace {

/// A group: its rows by label.
struct GroupOfRows {
  std::map<int, int> rows;  // label -> rows
  int size = 0;
};

/// What the folds' squared shares of each label grow by if `group` joins a fold that holds `counts`.
[[nodiscard]] double crowding(const GroupOfRows& group, const std::map<int, int>& counts,
                              const std::map<int, int>& totals) {
  double sum = 0.0;
  for (const auto& [label, rows] : group.rows) {
    const auto at = counts.find(label);
    const double here = at == counts.end() ? 0.0 : at->second;
    sum += rows * (2.0 * here + rows) / totals.at(label);
  }
  return sum;
}

}  // namespace
}  // namespace detail

std::vector<int> grouped_folds(std::span<const int> labels, std::span<const int> groups, int folds, Random& random) {
  if (folds < 2) throw invalid_argument("folds: expected 2 or more, got ", folds);
  if (groups.size() != labels.size())
    throw invalid_argument("folds: expected one group for each of ", labels.size(), " rows, got ", groups.size());
  std::map<int, detail::GroupOfRows> members;
  std::map<int, int> totals;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0) continue;
    detail::GroupOfRows& group = members[groups[i]];
    ++group.rows[labels[i]];
    ++group.size;
    ++totals[labels[i]];
  }
  std::vector<int> order;
  order.reserve(members.size());
  for (const auto& [name, group] : members) order.push_back(name);
  random.shuffle(std::span(order));
  std::ranges::stable_sort(order, [&](int a, int b) { return members[a].size > members[b].size; });

  std::vector<std::map<int, int>> counts(static_cast<std::size_t>(folds));
  std::vector<int> sizes(counts.size(), 0);
  std::map<int, int> fold_of;
  for (const int name : order) {
    const detail::GroupOfRows& group = members[name];
    std::size_t best = 0;
    double least = detail::crowding(group, counts[0], totals);
    for (std::size_t f = 1; f < counts.size(); ++f) {
      const double crowd = detail::crowding(group, counts[f], totals);
      const bool equal = crowd <= least + 1e-12 && crowd >= least - 1e-12;
      if (equal ? sizes[f] < sizes[best] : crowd < least) {
        best = f;
        least = crowd;
      }
    }
    for (const auto& [label, rows] : group.rows) counts[best][label] += rows;
    sizes[best] += group.size;
    fold_of[name] = static_cast<int>(best);
  }
  std::vector<int> out(labels.size(), -1);
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] >= 0) out[i] = fold_of[groups[i]];
  return out;
}

std::vector<int> training_labels(std::span<const int> labels, std::span<const int> fold, int held_out) {
  std::vector<int> out(labels.begin(), labels.end());
  for (std::size_t i = 0; i < out.size(); ++i)
    if (fold[i] == held_out) out[i] = -1;
  return out;
}

}  // namespace routesig
